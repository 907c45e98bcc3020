//! Closing entries on their way into the ledger. One that it does not take at once is tried again until it does: no call
//! stays open in a log that goes on.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use ledger::{Draft, Ledger, Pending, Unavailable};
use proof::{
    commit::Field,
    entry::{Entry, FACTS_BYTES_MAX},
};
use terms::CallId;
use tokio::{
    sync::{Notify, oneshot},
    time::{sleep, timeout},
};

use crate::{
    Problem, Shared, content,
    lease::{Live, lock},
    record::{DURABLE_WITHIN, Durable},
    tally::Settled,
};

/// So many bytes of responses that are kept may wait; what is beyond is left out of the record, as where a log has no room.
const KEPT_MAX: usize = 64 << 20;

/// The code of a call that policy cut on facts that no entry can hold: the record then names no decision.
const FACTS_TOO_LONG: &str = "facts_too_long";

/// How soon the ledger is asked again. A disk at its worst takes tens of milliseconds.
pub(crate) const AGAIN: Duration = Duration::from_millis(20);

/// The closing entry of a call, and what is settled once the ledger has it.
#[derive(Debug)]
pub(crate) struct Closing {
    pub(crate) call: CallId,
    pub(crate) draft: Draft,
    /// The live call, if its use may count under capped licenses.
    pub(crate) live: Option<Arc<Live>>,
    /// What it used under them.
    pub(crate) tokens: u64,
}

impl Closing {
    /// Returns how many bytes of a response it would keep.
    fn kept(&self) -> usize {
        self.draft.private.get(Field::SealedResponse).map_or(0, Bytes::len)
    }

    /// Leaves the response out of the record.
    fn leave_out(&mut self) {
        self.draft = self.draft.clone().with(Field::SealedResponse, content::TOO_LONG);
    }

    /// Leaves the facts out of the record, and with them the decision, which nobody could make again without them.
    fn leave_out_facts(&mut self) {
        let Draft { entry, private, chains } = self.draft.clone();
        let entry = Entry { snapshot: None, basis: None, code: Some(FACTS_TOO_LONG.to_owned()), ..entry };
        let private = private.iter().filter(|(field, _)| *field != Field::Main).collect();
        self.draft = Draft { entry, private, chains };
    }

    /// Leaves out what makes the entry too long, as far as that is known the response first; false if nothing is left.
    fn shorten(&mut self) -> bool {
        let facts = self.draft.private.get(Field::Main).map_or(0, Bytes::len);
        if self.kept() > content::TOO_LONG.len() && facts <= FACTS_BYTES_MAX {
            tracing::warn!(call = %self.call, "the log has no room to keep a response: raise `segment_mib`");
            self.leave_out();
        } else if facts > 0 {
            tracing::error!(call = %self.call, facts, "the facts that cut a call are too long to be recorded");
            self.leave_out_facts();
        } else {
            return false;
        }
        true
    }
}

/// How a closing entry is submitted: as one that somebody waits for, or nobody.
pub(crate) type Submit = fn(&Ledger, Draft) -> Result<Pending<()>, Unavailable>;

/// A closing entry that the ledger took, or will take as soon as it takes any.
#[derive(Debug)]
pub(crate) enum Submitted {
    Now(Pending<()>),
    Later(oneshot::Receiver<Pending<()>>),
}

/// Closing entries that the ledger did not take yet, in the order in which the calls ended.
///
/// While it takes none, it opens no call either: there are no more of them than there were calls in flight.
#[derive(Default)]
pub(crate) struct Unclosed {
    waiting: Mutex<VecDeque<Waiting>>,
    came: Notify,
}

struct Waiting {
    closing: Closing,
    taken: oneshot::Sender<Pending<()>>,
}

impl Submitted {
    /// Waits until the entry is durable, and no longer than for any other.
    pub(crate) fn durable(self) -> Durable {
        match self {
            Self::Now(pending) => Durable::of(pending),
            Self::Later(taken) => Durable::new(async {
                let pending = timeout(DURABLE_WITHIN, taken).await.ok().and_then(Result::ok);
                Durable::of(pending.ok_or(Problem::LedgerUnavailable)?).await
            }),
        }
    }
}

impl Unclosed {
    /// Returns the calls that wait to be closed and may count under capped licenses.
    pub(crate) fn live(&self) -> Vec<Arc<Live>> {
        lock(&self.waiting).iter().filter_map(|waiting| waiting.closing.live.clone()).collect()
    }

    fn first(&self) -> Option<Waiting> {
        lock(&self.waiting).pop_front()
    }

    fn add(&self, mut closing: Closing) -> oneshot::Receiver<Pending<()>> {
        let (taken, receiver) = oneshot::channel();
        let mut waiting = lock(&self.waiting);
        let kept: usize = waiting.iter().map(|waiting| waiting.closing.kept()).sum();
        if kept.saturating_add(closing.kept()) > KEPT_MAX {
            closing.leave_out();
        }
        waiting.push_back(Waiting { closing, taken });
        drop(waiting);
        self.came.notify_one();
        receiver
    }
}

impl fmt::Debug for Unclosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unclosed({})", lock(&self.waiting).len())
    }
}

impl Shared {
    /// Submits a closing entry, now or as soon as the ledger takes any; `None` if it never will. Then the opening entry is
    /// durable, and recovery closes the call as interrupted.
    pub(crate) fn close(&self, mut closing: Closing, submit: Submit) -> Option<Submitted> {
        match self.try_close(&mut closing, submit) {
            Ok(pending) => Some(Submitted::Now(pending)),
            Err(error) if may_pass(error) => {
                tracing::warn!(call = %closing.call, %error, "a call waits to be closed in the ledger");
                Some(Submitted::Later(self.unclosed.add(closing)))
            }
            Err(error) => {
                tracing::error!(call = %closing.call, %error, "a call could not be closed in the ledger");
                None
            }
        }
    }

    /// Submits the closing entries that wait, in order, as far as the ledger takes them; true if none is left.
    pub(crate) fn close_waiting(&self) -> bool {
        while let Some(Waiting { mut closing, taken }) = self.unclosed.first() {
            let submit: Submit = if taken.is_closed() { Ledger::close } else { Ledger::append };
            match self.try_close(&mut closing, submit) {
                // Whoever waited for it may be gone by now.
                Ok(pending) => drop(taken.send(pending)),
                Err(error) if may_pass(error) => {
                    lock(&self.unclosed.waiting).push_front(Waiting { closing, taken });
                    return false;
                }
                Err(error) => tracing::error!(call = %closing.call, %error, "a call could not be closed in the ledger"),
            }
        }
        true
    }

    /// Submits a closing entry, without what there is no room to keep. What the call used is settled once that is done, so
    /// whoever counts from the ledger either finds it there or is told of it here.
    fn try_close(&self, closing: &mut Closing, submit: Submit) -> Result<Pending<()>, Unavailable> {
        let mut submitted = submit(&self.ledger, closing.draft.clone());
        while matches!(submitted, Err(Unavailable::TooLong)) && closing.shorten() {
            submitted = submit(&self.ledger, closing.draft.clone());
        }
        let settled = |index| Settled { index, at: self.clock.now(), tokens: closing.tokens };
        match (&submitted, &closing.live) {
            (Ok(pending), Some(live)) => self.settle(live, settled(pending.index())),
            (Err(error), Some(live)) if !may_pass(*error) => self.settle(live, settled(u64::MAX)),
            _ => {}
        }
        submitted
    }
}

/// Returns true if what the ledger does not take now it may take later.
pub(crate) fn may_pass(error: Unavailable) -> bool {
    match error {
        Unavailable::Full | Unavailable::NoRoom | Unavailable::ClockBehind => true,
        Unavailable::Fenced | Unavailable::TooLong => false,
    }
}

/// Submits closing entries again that the ledger did not take. Runs as long as the worker.
pub(crate) async fn close_again(shared: Arc<Shared>) {
    loop {
        shared.unclosed.came.notified().await;
        while !shared.close_waiting() {
            sleep(AGAIN).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use proof::entry::Kind;

    use super::*;

    #[test]
    fn of_closing_entries_that_wait_no_more_than_so_much_content_is_kept() {
        let unclosed = Unclosed::default();
        let response = Bytes::from(vec![0; KEPT_MAX / 2]);
        for call in 0..3 {
            let draft = Draft::new(Entry::new(Kind::Close), "").with(Field::SealedResponse, response.clone());
            drop(unclosed.add(Closing { call: CallId([call; 16]), draft, live: None, tokens: 0 }));
        }
        let kept = std::iter::from_fn(|| unclosed.first()).map(|waiting| waiting.closing.kept());
        assert_eq!(kept.collect::<Vec<_>>(), [KEPT_MAX / 2, KEPT_MAX / 2, content::TOO_LONG.len()]);
    }
}
