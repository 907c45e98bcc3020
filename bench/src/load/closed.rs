//! A closed loop: each connection sends its next request when the one before is answered. Good for cost and for
//! throughput; its latencies leave out the waiting that requests behind a slow one would have had (see `open`).

use std::time::{Duration, Instant};

use super::{Seen, Shot, client::Client, run};

/// After a failure a connection waits this long, so that a contender that is down is not called without end.
const AFTER_FAILURE: Duration = Duration::from_millis(20);

/// How a closed loop is driven.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closed {
    /// Connections, each with one request at a time.
    pub(crate) connections: u32,
    /// No request is sent after this; those sent before are waited for.
    pub(crate) length: Duration,
    /// Between the first requests of two connections.
    pub(crate) stagger: Duration,
}

/// What a closed loop saw, and how long it took with its last answers.
#[derive(Clone, Debug)]
pub(crate) struct Saw {
    /// The answers.
    pub(crate) seen: Seen,
    /// From the first request to the last answer.
    pub(crate) took: Duration,
}

/// Sends a shot in a closed loop.
///
/// # Errors
///
/// There is no runtime; failed answers are counted, not errors.
pub(crate) fn closed(shot: &Shot, how: Closed) -> anyhow::Result<Saw> {
    run(async {
        let begun = Instant::now();
        let one = |at| tokio::task::spawn_local(one_connection(shot.clone(), begun, how.stagger * at, how.length));
        let tasks: Vec<_> = (0..how.connections).map(one).collect();
        let mut seen = Seen::default();
        for task in tasks {
            seen.extend(task.await?);
        }
        Ok(Saw { seen, took: begun.elapsed() })
    })?
}

async fn one_connection(shot: Shot, begun: Instant, wait: Duration, length: Duration) -> Seen {
    let (mut client, mut seen) = (Client::default(), Seen::default());
    tokio::time::sleep(wait).await;
    while begun.elapsed() < length {
        let failures = seen.failures.count;
        seen.add(client.exchange(&shot).await, Duration::ZERO);
        if seen.failures.count > failures {
            tokio::time::sleep(AFTER_FAILURE).await;
        }
    }
    seen
}
