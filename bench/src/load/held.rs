//! Streams that are opened together and held: what they cost, what ends them, and what disturbs them.

use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::{sync::Semaphore, task::JoinHandle};

use super::{
    Ending, Shot,
    client::{Client, ending},
    events::Events,
    run,
};

/// So many streams are being opened at a time, fewer than a listener's backlog.
const OPENING: usize = 64;
/// All streams must have had their first event within this time.
const TO_OPEN: Duration = Duration::from_secs(300);
/// Streams that are to end must have done so this long after the change.
const TO_END: Duration = Duration::from_secs(60);

/// The life of one stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Life {
    /// When pieces of the body arrived.
    pub(crate) arrivals: Vec<Instant>,
    /// When it ended and how, if it did.
    pub(crate) ended: Option<(Instant, Ending)>,
}

/// What became of streams that were held.
#[derive(Clone, Debug)]
pub(crate) struct Held<T> {
    /// In the order of the shots.
    pub(crate) lives: Vec<Life>,
    /// What the change returned.
    pub(crate) change: T,
}

/// Opens a stream with each shot and waits until each had its first event. Then calls `change` on another thread, waits
/// until it returned and until all streams that `ends` names have ended, and `linger` longer; then leaves the rest.
///
/// # Errors
///
/// A stream could not be opened, ended before the change, or did not end within a minute of it; or what `change`
/// returned.
pub(crate) fn hold<T: Send + 'static>(
    shots: Vec<Shot>,
    change: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
    ends: impl Fn(usize) -> bool,
    linger: Duration,
) -> anyhow::Result<Held<T>> {
    run(async {
        let streams = open_all(shots).await?;
        let change = tokio::task::spawn_blocking(change).await.context("the change ended in a panic")??;
        let mut lives = Vec::with_capacity(streams.len());
        let until = tokio::time::Instant::now() + TO_END;
        for (_, stream) in streams.iter().enumerate().filter(|(at, _)| ends(*at)) {
            stream.ended(until).await?;
        }
        tokio::time::sleep(linger).await;
        for stream in streams {
            stream.task.abort();
            lives.push(stream.life.take());
        }
        Ok(Held { lives, change })
    })?
}

/// One stream and the task that reads it.
struct Stream {
    life: Rc<RefCell<Life>>,
    task: JoinHandle<()>,
}

impl Stream {
    async fn ended(&self, until: tokio::time::Instant) -> anyhow::Result<()> {
        while self.life.borrow().ended.is_none() {
            ensure!(tokio::time::Instant::now() < until, "a stream did not end within 60 s of the change");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }
}

async fn open_all(shots: Vec<Shot>) -> anyhow::Result<Vec<Stream>> {
    let places = Rc::new(Semaphore::new(OPENING));
    let streams: Vec<_> = shots.into_iter().map(|shot| start(shot, Rc::clone(&places))).collect();
    let opened = async {
        for stream in &streams {
            first_event(stream).await?;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(TO_OPEN, opened).await.context("not all streams had an event within 300 s")??;
    Ok(streams)
}

fn start(shot: Shot, places: Rc<Semaphore>) -> Stream {
    let life = Rc::new(RefCell::new(Life::default()));
    let own = Rc::clone(&life);
    let task = tokio::task::spawn_local(async move {
        let mut client = Client::default();
        let ending = live(&mut client, &shot, &places, &own).await;
        let ending = ending.unwrap_or_else(|error| Ending::Failed(format!("{error:#}")));
        own.borrow_mut().ended = Some((Instant::now(), ending));
        // Clients keep a connection for their next call; closing it would be work in the middle of what is measured.
        std::future::pending::<()>().await;
    });
    Stream { life, task }
}

async fn first_event(stream: &Stream) -> anyhow::Result<()> {
    loop {
        if let Some((_, ending)) = &stream.life.borrow().ended {
            bail!("a stream ended before the change: {ending:?}");
        }
        if !stream.life.borrow().arrivals.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Opens a stream when there is a place, gives the place back after the first piece, and reads to the end.
async fn live(client: &mut Client, shot: &Shot, places: &Semaphore, life: &RefCell<Life>) -> anyhow::Result<Ending> {
    let place = places.acquire().await?;
    let mut body = client.send(shot).await?;
    let mut events = Events::default();
    next(&mut body, &mut events, life).await?;
    drop(place);
    while next(&mut body, &mut events, life).await? {}
    Ok(ending(&events, true))
}

async fn next(body: &mut Incoming, events: &mut Events, life: &RefCell<Life>) -> anyhow::Result<bool> {
    let Some(frame) = body.frame().await else { return Ok(false) };
    let data = frame.context("the answer broke off")?.into_data().unwrap_or_default();
    events.take(&data);
    life.borrow_mut().arrivals.push(Instant::now());
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        load::tests::shot,
        stub::{Pace, in_process},
    };

    fn shots(pace: Pace, count: usize) -> Vec<Shot> {
        vec![shot(in_process(pace), r#"{"stream":true}"#); count]
    }

    #[test]
    fn streams_are_held_over_the_change_and_left_after_it() {
        let pace = Pace { events: 1_000, gap: Duration::from_millis(20), ..Pace::AT_ONCE };
        let change = || {
            std::thread::sleep(Duration::from_millis(100));
            Ok(7)
        };
        let held = hold(shots(pace, 100), change, |_| false, Duration::ZERO).unwrap();
        assert_eq!((held.lives.len(), held.change), (100, 7));
        assert!(held.lives.iter().all(|life| life.arrivals.len() >= 2 && life.ended.is_none()));
    }

    #[test]
    fn streams_that_are_to_end_are_waited_for() {
        let pace = Pace { events: 10, gap: Duration::from_millis(20), ..Pace::AT_ONCE };
        let held = hold(shots(pace, 10), || Ok(()), |_| true, Duration::ZERO).unwrap();
        let whole = |life: &Life| matches!(life.ended, Some((_, Ending::Whole)));
        assert!(held.lives.iter().all(whole), "{:?}", held.lives);
    }

    #[test]
    fn a_stream_that_ends_before_the_change_is_an_error() {
        let upstream = testkit::upstream::FakeUpstream::start().unwrap();
        let refused = shot(upstream.address(), r#"{"model":"status-503"}"#);
        let error = hold(vec![refused], || Ok(()), |_| true, Duration::ZERO).unwrap_err();
        assert!(error.to_string().contains("before the change"), "{error:#}");
    }
}
