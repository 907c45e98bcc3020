//! When the writer takes what waits: at once for one call alone, together for many.
//!
//! A commit costs about the same however many entries it holds, most of it in the kernel. So where calls come one
//! after another, each is committed at once; where several came together last time, the next commit waits for more
//! of them, for no longer than a few commits take; and what nobody waits for goes with what somebody does.

use std::time::{Duration, Instant};

/// How long an entry that nobody waits for may wait for company.
pub(crate) const LINGER: Duration = Duration::from_millis(2);
/// A commit that gathers begins at the latest this many commit times after the one before it began.
const GATHER_COMMITS: u32 = 8;
/// And never later than this.
const GATHER_MAX: Duration = Duration::from_millis(1);
/// So many at once need no more company.
const MANY: usize = 16;

/// Who waits for an entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Awaited {
    /// Somebody does.
    Now,
    /// Nobody does: it may wait for [`LINGER`].
    Nobody,
    /// Somebody does, and it is the last entry: nothing is taken after it.
    Last,
}

/// What waits to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    /// When the first of it came; `None` if nothing waits.
    pub(crate) since: Option<Instant>,
    /// How many entries somebody waits for.
    pub(crate) awaited: usize,
}

/// What the writer does next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Next {
    /// Takes what waits.
    Take,
    /// Sleeps until so many entries are awaited (until any entry comes if that is 0), or for so long.
    Sleep { awaited: usize, timeout: Option<Duration> },
}

/// What the last commits tell about the next.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    /// How many entries were awaited in the last commit.
    awaited: usize,
    began: Option<Instant>,
    ended: Option<Instant>,
}

impl Pace {
    /// Learns that the writer took a batch with so many awaited entries.
    pub(crate) fn took(&mut self, awaited: usize, now: Instant) {
        *self = Self { awaited, began: Some(now), ended: None };
    }

    /// Learns that what it took is durable.
    pub(crate) fn wrote(&mut self, now: Instant) {
        self.ended = Some(now);
    }

    /// Says what to do while `waiting` waits.
    pub(crate) fn next(&self, waiting: Waiting, now: Instant) -> Next {
        let enough = self.enough();
        if let Some(timeout) = self.gathers_for(now).filter(|_| waiting.awaited < enough) {
            return Next::Sleep { awaited: enough, timeout: Some(timeout) };
        }
        if waiting.awaited > 0 {
            return Next::Take;
        }
        match waiting.since.map(|since| left(since + LINGER, now)) {
            Some(None) => Next::Take,
            Some(timeout) => Next::Sleep { awaited: 1, timeout },
            // What was just opened is soon closed, and that needs no waking.
            None => match self.ended.and_then(|ended| left(ended + LINGER, now)) {
                None => Next::Sleep { awaited: 0, timeout: None },
                timeout => Next::Sleep { awaited: 1, timeout },
            },
        }
    }

    /// Returns how many awaited entries are reason enough to commit at once.
    fn enough(&self) -> usize {
        if self.awaited < MANY { self.awaited * 2 } else { self.awaited }
    }

    /// Returns for how long the next commit gathers, if it does.
    fn gathers_for(&self, now: Instant) -> Option<Duration> {
        let (began, ended) = self.began.zip(self.ended)?;
        let longest = ((ended - began) * GATHER_COMMITS).min(GATHER_MAX);
        if self.awaited < 2 { None } else { left(began + longest, now) }
    }
}

/// Returns how long it is until `deadline`; `None` if it has come.
fn left(deadline: Instant, now: Instant) -> Option<Duration> {
    deadline.checked_duration_since(now).filter(|left| !left.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: Duration = Duration::from_micros(100);

    /// A pace after a commit of [`COMMIT`] with so many awaited entries, and when it ended.
    fn after(awaited: usize) -> (Pace, Instant) {
        let began = Instant::now();
        let mut pace = Pace::default();
        pace.took(awaited, began);
        pace.wrote(began + COMMIT);
        (pace, began + COMMIT)
    }

    fn waiting(since: Instant, awaited: usize) -> Waiting {
        Waiting { since: Some(since), awaited }
    }

    const NOTHING: Waiting = Waiting { since: None, awaited: 0 };

    #[test]
    fn a_call_that_comes_alone_is_committed_at_once() {
        for (pace, now) in [(Pace::default(), Instant::now()), after(0), after(1)] {
            assert_eq!(pace.next(waiting(now, 1), now), Next::Take, "{pace:?}");
        }
    }

    #[test]
    fn after_a_commit_of_several_the_next_waits_for_more_but_not_for_long() {
        let (pace, now) = after(3);
        let gathers = Next::Sleep { awaited: 6, timeout: Some(COMMIT * 7) };
        assert_eq!(pace.next(waiting(now, 1), now), gathers);
        assert_eq!(pace.next(NOTHING, now), gathers);
        assert_eq!(pace.next(waiting(now, 6), now), Next::Take);
        assert_eq!(pace.next(waiting(now, 1), now + COMMIT * 7), Next::Take);
    }

    #[test]
    fn on_a_slow_disk_nothing_waits_longer_than_the_disk_makes_it() {
        let began = Instant::now();
        let mut pace = Pace::default();
        pace.took(3, began);
        pace.wrote(began + GATHER_MAX);
        assert_eq!(pace.next(waiting(began, 1), began + GATHER_MAX), Next::Take);
    }

    #[test]
    fn as_many_as_came_last_time_are_enough_where_they_are_many() {
        let (pace, now) = after(64);
        assert_eq!(pace.next(waiting(now, 64), now), Next::Take);
        assert!(matches!(pace.next(waiting(now, 63), now), Next::Sleep { awaited: 64, .. }));
    }

    #[test]
    fn what_nobody_waits_for_lingers_until_somebody_waits_for_something() {
        let (pace, now) = after(1);
        assert_eq!(pace.next(waiting(now, 0), now), Next::Sleep { awaited: 1, timeout: Some(LINGER) });
        assert_eq!(pace.next(waiting(now, 1), now), Next::Take);
        assert_eq!(pace.next(waiting(now, 0), now + LINGER), Next::Take);
    }

    #[test]
    fn with_nothing_to_do_the_writer_sleeps_until_something_comes() {
        let (pace, now) = after(1);
        assert_eq!(pace.next(NOTHING, now), Next::Sleep { awaited: 1, timeout: Some(LINGER) });
        assert_eq!(pace.next(NOTHING, now + LINGER), Next::Sleep { awaited: 0, timeout: None });
        assert_eq!(Pace::default().next(NOTHING, now), Next::Sleep { awaited: 0, timeout: None });
    }
}
