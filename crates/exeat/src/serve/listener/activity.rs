//! What is under way on a connection, and when it has been silent for too long.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, sleep_until};

use super::ANSWER_WITHIN;

/// How long a connection may be open before its first request.
pub(super) const FIRST_WITHIN: Duration = Duration::from_secs(10);
/// How long a connection may be open without a request under way.
const IDLE: Duration = Duration::from_secs(75);
/// How long a connection may be open though no request on it begins or ends: its client takes no answer.
const STUCK: Duration = ANSWER_WITHIN.saturating_add(Duration::from_secs(30));
/// How often a connection is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What is known of a connection. Control frames of HTTP/2 count for nothing. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Activity(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    under_way: usize,
    /// For how long nothing may begin or end.
    patience: Duration,
    changed_at: Instant,
}

/// A request under way; over when dropped.
#[derive(Debug)]
pub(super) struct Under(Activity);

/// The body of an answer, which keeps its request under way until it is dropped.
pub(super) struct Answer<B> {
    pub(super) body: B,
    pub(super) _under: Under,
}

impl Activity {
    /// Begins a connection without a request.
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State { under_way: 0, patience: FIRST_WITHIN, changed_at: Instant::now() })))
    }

    /// Notes that a request began.
    pub(super) fn begin(&self) -> Under {
        self.count(|under_way| under_way + 1);
        Under(self.clone())
    }

    /// Returns when the connection has had its time.
    pub(super) async fn over(&self) {
        loop {
            let (deadline, now) = (self.deadline(), Instant::now());
            if deadline <= now {
                return;
            }
            sleep_until(deadline.min(now + LOOK_EVERY)).await;
        }
    }

    fn deadline(&self) -> Instant {
        let state = self.state();
        state.changed_at + state.patience
    }

    fn count(&self, count: impl FnOnce(usize) -> usize) {
        let mut state = self.state();
        state.under_way = count(state.under_way);
        state.patience = if state.under_way > 0 { STUCK } else { IDLE };
        state.changed_at = Instant::now();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Under {
    fn drop(&mut self) {
        self.0.count(|under_way| under_way.saturating_sub(1));
    }
}

impl<B: Body + Unpin> Body for Answer<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long from now the connection may be silent, to the second.
    fn patience(activity: &Activity) -> u64 {
        (activity.deadline() - Instant::now() + Duration::from_millis(500)).as_secs()
    }

    #[test]
    fn a_connection_has_ten_seconds_to_begin_and_then_longer() {
        let activity = Activity::new();
        assert_eq!(patience(&activity), 10);
        let first = activity.begin();
        let second = activity.begin();
        assert_eq!(patience(&activity), 120);
        drop(first);
        assert_eq!(patience(&activity), 120, "one is under way");
        drop(second);
        assert_eq!(patience(&activity), 75);
    }
}
