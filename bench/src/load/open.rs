//! An open loop: requests are sent at set times, whether or not those before are answered, and each latency counts
//! from the time at which its request *should* have been sent. So a stall of the server is seen by every request that
//! falls into it, which a closed loop leaves out ("coordinated omission").

use std::{
    cell::RefCell,
    rc::Rc,
    thread,
    time::{Duration, Instant},
};

use tokio::{sync::mpsc, task::JoinSet};

use super::{Seen, Shot, client::Client, run};
use crate::sample::Sample;

/// How an open loop is driven.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Open {
    /// Requests a second, evenly spaced.
    pub(crate) rate: u32,
    /// For how long.
    pub(crate) length: Duration,
}

/// What an open loop saw.
#[derive(Clone, Debug, Default)]
pub(crate) struct Saw {
    /// The answers; latencies from when a request should have been sent.
    pub(crate) seen: Seen,
    /// How late requests were sent: what the driver itself adds to every latency.
    pub(crate) late: Sample,
}

/// Sends a shot in an open loop.
///
/// # Errors
///
/// There is no runtime or no thread; failed answers are counted, not errors.
pub(crate) fn open(shot: &Shot, how: Open) -> anyhow::Result<Saw> {
    let due = pace(how)?;
    run(send_when_due(shot.clone(), due))
}

/// Tells each time a request is due, from a thread of its own: the runtime's timer counts whole milliseconds.
fn pace(how: Open) -> anyhow::Result<mpsc::UnboundedReceiver<Instant>> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let gap = Duration::from_secs(1) / how.rate.max(1);
    let (begun, length) = (Instant::now() + gap, how.length);
    thread::Builder::new().name("pace".to_owned()).spawn(move || {
        let mut due = begun;
        while due < begun + length {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if sender.send(due).is_err() {
                return;
            }
            due += gap;
        }
    })?;
    Ok(receiver)
}

async fn send_when_due(shot: Shot, mut due: mpsc::UnboundedReceiver<Instant>) -> Saw {
    let (saw, idle) = (Rc::new(RefCell::new(Saw::default())), Rc::new(RefCell::new(Vec::new())));
    let mut tasks = JoinSet::new();
    while let Some(due) = due.recv().await {
        let (shot, saw, idle) = (shot.clone(), Rc::clone(&saw), Rc::clone(&idle));
        tasks.spawn_local(async move {
            // Taken before anything is awaited and given back after, so never borrowed across an await.
            let taken: Option<Client> = idle.borrow_mut().pop();
            let mut client = taken.unwrap_or_default();
            let answer = client.exchange(&shot).await;
            idle.borrow_mut().push(client);
            let late = answer.sent.saturating_duration_since(due);
            let mut saw = saw.borrow_mut();
            saw.late.add(late);
            saw.seen.add(answer, late);
        });
        while tasks.try_join_next().is_some() {}
    }
    while tasks.join_next().await.is_some() {}
    saw.take()
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::{SocketAddr, TcpListener, TcpStream},
        sync::{Arc, Mutex},
    };

    use super::*;
    use crate::load::{Closed, closed, tests::shot};

    const STALL: Duration = Duration::from_millis(300);

    /// A server that answers at once, but from 200 ms after its start nobody for 300 ms.
    fn stalling() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let lock = Arc::new(Mutex::new(()));
        let stalled = Arc::clone(&lock);
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(200));
            let _held = stalled.lock().unwrap();
            thread::sleep(STALL);
        });
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, lock) = (stream.unwrap(), Arc::clone(&lock));
                thread::spawn(move || answer_all(stream, &lock));
            }
        });
        address
    }

    fn answer_all(mut stream: TcpStream, lock: &Mutex<()>) {
        let mut request = [0; 4_096];
        while stream.read(&mut request).is_ok_and(|read| read > 0) {
            drop(lock.lock().unwrap());
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
        }
    }

    #[test]
    fn a_stall_shows_in_the_latencies_of_an_open_loop_and_hides_in_those_of_a_closed_one() {
        let length = Duration::from_secs(1);
        let saw = open(&shot(stalling(), "{}"), Open { rate: 100, length }).unwrap();
        assert_eq!((saw.seen.failures.count, saw.seen.answered()), (0, 100));
        // 30 of 100 requests fall into the stall; the tenth slowest waited for about two thirds of it.
        let tail = saw.seen.full.quantile(0.9).unwrap();
        assert!(tail > STALL / 2, "{tail:?}");
        let how = Closed { connections: 1, length, stagger: Duration::ZERO };
        let seen = closed(&shot(stalling(), "{}"), how).unwrap().seen;
        assert!(seen.full.quantile(1.0).unwrap() > STALL / 2);
        assert!(seen.full.quantile(0.9).unwrap() < STALL / 10, "{:?}", seen.full.quantile(0.9));
    }

    #[test]
    fn requests_are_sent_at_the_rate_that_was_asked_for() {
        let how = Open { rate: 50, length: Duration::from_millis(400) };
        let mut due = pace(how).unwrap();
        let times = run(async {
            let mut times = Vec::new();
            while let Some(time) = due.recv().await {
                times.push(time);
            }
            times
        })
        .unwrap();
        assert_eq!(times.len(), 20);
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] == Duration::from_millis(20)));
    }
}
