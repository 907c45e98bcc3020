//! How many events with output a call may deliver: the lease that its entries in the log grant.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use crate::{Problem, record::Durable};

/// What the log allows a call to deliver.
///
/// The opening entry allows a first part. Another of the same size is asked for when half of the last one is used, and
/// counts once the entry that grants it is durable: a process that is killed has delivered no more than the log says.
#[derive(Debug)]
pub(super) struct Allowance {
    part: u64,
    granted: u64,
    asked: Option<Durable>,
}

impl Allowance {
    /// Begins with what the opening entry allows, which is durable.
    pub(super) fn new(part: u64) -> Self {
        Self { part, granted: part, asked: None }
    }

    /// Returns true if `events` may be delivered in all.
    pub(super) fn covers(&self, events: u64) -> bool {
        events <= self.granted
    }

    /// Returns up to how many events it is time to ask for, now that `events` are counted.
    pub(super) fn due(&self, events: u64) -> Option<u64> {
        let half_used = events.saturating_add(self.part / 2) >= self.granted;
        (half_used && self.asked.is_none()).then(|| self.granted.saturating_add(self.part))
    }

    /// Learns that the entry which grants the next part was submitted.
    pub(super) fn asked(&mut self, entry: Durable) {
        self.asked = Some(entry);
    }

    /// Waits until the part that was asked for is granted.
    ///
    /// # Errors
    ///
    /// [`Problem::LedgerUnavailable`]: it never will be, or nothing was asked for.
    pub(super) fn poll_granted(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Problem>> {
        let Some(asked) = &mut self.asked else { return Poll::Ready(Err(Problem::LedgerUnavailable)) };
        ready!(Pin::new(asked).poll(cx))?;
        self.asked = None;
        self.granted = self.granted.saturating_add(self.part);
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::{future::ready, task::Waker};

    use super::*;

    fn granted(allowance: &mut Allowance) -> Poll<bool> {
        let mut cx = Context::from_waker(Waker::noop());
        allowance.poll_granted(&mut cx).map(|granted| granted.is_ok())
    }

    #[test]
    fn the_next_part_is_asked_for_once_when_half_of_the_last_is_used() {
        let mut allowance = Allowance::new(8);
        assert_eq!((allowance.due(3), allowance.due(4)), (None, Some(16)));
        allowance.asked(Durable::new(ready(Ok(()))));
        assert_eq!(allowance.due(8), None, "it was asked for");
        assert!(allowance.covers(8) && !allowance.covers(9), "asked for is not granted");
        assert_eq!(granted(&mut allowance), Poll::Ready(true));
        assert!(allowance.covers(16) && !allowance.covers(17));
        assert_eq!((allowance.due(11), allowance.due(12)), (None, Some(24)));
    }

    #[test]
    fn a_part_of_one_event_is_granted_event_by_event() {
        let mut allowance = Allowance::new(1);
        assert_eq!((allowance.due(0), allowance.due(1)), (None, Some(2)));
        allowance.asked(Durable::new(ready(Ok(()))));
        assert_eq!(granted(&mut allowance), Poll::Ready(true));
        assert!(allowance.covers(2) && !allowance.covers(3));
    }

    #[test]
    fn what_is_not_durable_or_was_never_asked_for_is_not_granted() {
        let mut allowance = Allowance::new(2);
        assert_eq!(granted(&mut allowance), Poll::Ready(false));
        allowance.asked(Durable::new(std::future::pending()));
        assert_eq!(granted(&mut allowance), Poll::Pending);
        allowance.asked(Durable::new(ready(Err(Problem::LedgerUnavailable))));
        assert_eq!(granted(&mut allowance), Poll::Ready(false));
        assert!(!allowance.covers(3));
    }
}
