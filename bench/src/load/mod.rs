//! Load: requests, how they are sent, and what their answers were like. Every answer is checked.

mod client;
mod closed;
mod events;
mod held;
mod open;

use std::{
    fmt,
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue};

pub(crate) use closed::{Closed, closed};
pub(crate) use held::{Held, Life, hold};
pub(crate) use open::{Open, open};

use crate::sample::Sample;

/// What is sent, again and again.
#[derive(Clone, Debug)]
pub(crate) struct Shot {
    /// To where.
    pub(crate) address: SocketAddr,
    /// Path of the request.
    pub(crate) path: &'static str,
    /// Beside host and content type.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// The body.
    pub(crate) body: Bytes,
    /// The answer must be a stream, which ends with its dialect's terminal event.
    pub(crate) stream: bool,
}

/// How an answer ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Ending {
    /// Whole: a status of success, and a stream with its terminal event.
    Whole,
    /// A stream that ended with an error event.
    Cut,
    /// Anything else: no connection, another status, an end before the end.
    Failed(String),
}

/// One answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// When the request was sent.
    pub(crate) sent: Instant,
    /// From sending to the first byte of the body.
    pub(crate) first: Option<Duration>,
    /// From sending to the end of the body.
    pub(crate) full: Duration,
    /// Between events, if it was a stream; an event that came with the one before has a gap of zero.
    pub(crate) gaps: Sample,
    /// Events, if it was a stream.
    pub(crate) events: u64,
    /// How it ended.
    pub(crate) ending: Ending,
}

/// What one load saw.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// From sending (or from when it should have been sent) to the end, of whole answers.
    pub(crate) full: Sample,
    /// The same to the first byte.
    pub(crate) first: Sample,
    /// Between events of one stream.
    pub(crate) gaps: Sample,
    /// Events.
    pub(crate) events: u64,
    /// Answers that were not whole, and why the first was not.
    pub(crate) failures: Failures,
}

/// Answers that were not as they must be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Failures {
    /// How many.
    pub(crate) count: u64,
    /// Why the first.
    pub(crate) first: Option<String>,
}

impl Seen {
    /// Adds an answer that was sent `late` after it should have been.
    fn add(&mut self, answer: Answer, late: Duration) {
        self.events += answer.events;
        match answer.ending {
            Ending::Whole => {
                self.full.add(late + answer.full);
                self.gaps.extend(answer.gaps);
                answer.first.into_iter().for_each(|first| self.first.add(late + first));
            }
            Ending::Cut => self.failures.add("a stream was cut".to_owned()),
            Ending::Failed(why) => self.failures.add(why),
        }
    }

    fn extend(&mut self, other: Self) {
        self.full.extend(other.full);
        self.first.extend(other.first);
        self.gaps.extend(other.gaps);
        self.events += other.events;
        self.failures.extend(other.failures);
    }

    /// Returns how many answers were whole.
    pub(crate) fn answered(&self) -> usize {
        self.full.len()
    }
}

impl Failures {
    /// Adds one.
    pub(crate) fn add(&mut self, why: String) {
        self.count += 1;
        self.first.get_or_insert(why);
    }

    /// Adds those of another load.
    pub(crate) fn extend(&mut self, other: Self) {
        self.count += other.count;
        self.first = self.first.take().or(other.first);
    }
}

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} answers failed", self.count)?;
        self.first.iter().try_for_each(|why| write!(f, ", the first: {why}"))
    }
}

/// Runs one load to its end on a runtime of one thread.
fn run<T>(load: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(tokio::task::LocalSet::new().block_on(&runtime, load))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use testkit::upstream::FakeUpstream;

    use crate::stub::{Pace, in_process};

    pub(crate) fn shot(address: SocketAddr, body: &'static str) -> Shot {
        let stream = body.contains(r#""stream":true"#);
        let body = Bytes::from_static(body.as_bytes());
        Shot { address, path: "/v1/chat/completions", headers: Vec::new(), body, stream }
    }

    fn closed_for(address: SocketAddr, body: &'static str) -> Seen {
        let how = Closed { connections: 2, length: Duration::from_millis(200), stagger: Duration::ZERO };
        closed(&shot(address, body), how).unwrap().seen
    }

    #[test]
    fn whole_answers_are_timed_and_their_events_counted() {
        let pace = Pace { events: 5, gap: Duration::from_millis(10), delay: Duration::ZERO };
        let stub = in_process(pace);
        let unary = closed_for(stub, "{}");
        assert!(unary.answered() > 1 && unary.failures.count == 0 && unary.events == 0, "{unary:?}");
        let streams = closed_for(stub, r#"{"stream":true}"#);
        let events = u64::try_from(streams.answered()).unwrap() * 7;
        assert_eq!((streams.failures.count, streams.events), (0, events));
        assert!(streams.gaps.quantile(0.5).unwrap() >= Duration::from_millis(8), "{:?}", streams.gaps.quantile(0.5));
        assert!(streams.first.quantile(0.5) < streams.full.quantile(0.5));
    }

    #[test]
    fn a_stream_without_its_end_is_a_failure_and_so_is_a_status() {
        let upstream = FakeUpstream::start().unwrap();
        let garbage = closed_for(upstream.address(), r#"{"stream":true,"model":"garbage"}"#);
        assert_eq!(garbage.answered(), 0);
        assert!(garbage.failures.to_string().contains("terminal event"), "{}", garbage.failures);
        let refused = closed_for(upstream.address(), r#"{"model":"status-503"}"#);
        assert_eq!(refused.answered(), 0);
        assert!(refused.failures.to_string().contains("status 503"), "{}", refused.failures);
    }

    #[test]
    fn an_address_without_a_server_fails_every_answer_instead_of_hanging() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let seen = closed_for(free, "{}");
        assert!(seen.failures.count > 0 && seen.answered() == 0);
    }
}
