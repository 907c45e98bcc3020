//! Counts from the ledger what was used under capped licenses before anybody kept an account.

use std::{
    collections::BTreeMap,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use ledger::{Ledger, LookupError, Reader};
use proof::entry::{Entry, Kind};
use terms::{Clock, Moment};

use super::{Account, Tally, account::Earlier, license_of, used};

/// The longest that a change waits for the count. It goes on beyond that, and until it ends the new caps count as
/// reached: a change may be urgent for another reason than the cap.
const WAIT: Duration = Duration::from_secs(1);
/// The longest that the count waits for what was submitted to the ledger before it began.
const DURABLE_WITHIN: Duration = Duration::from_secs(10);
/// How often it says how far it is.
const PROGRESS: Duration = Duration::from_secs(5);

/// Counts, in a thread of its own, what `accounts` have to know, and waits for it for a while.
pub(super) fn begin(tally: Arc<Tally>, accounts: Vec<Arc<Account>>, ledger: &Ledger, clock: &Arc<dyn Clock>) {
    let (ledger, clock) = (ledger.clone(), Arc::clone(clock));
    let (done, wait) = mpsc::channel();
    let count = move || {
        recount(&accounts, &ledger, clock.as_ref());
        tally.revise();
        // Nobody may wait any more.
        let _ = done.send(());
    };
    if let Err(error) = thread::Builder::new().name("tally".to_owned()).spawn(count) {
        tracing::error!(%error, "tokens used earlier are not counted: what is capped is refused");
        return;
    }
    let _ = wait.recv_timeout(WAIT);
}

fn recount(accounts: &[Arc<Account>], ledger: &Ledger, clock: &dyn Clock) {
    let began = Instant::now();
    let counted = durable_end(ledger).and_then(|end| Count::new(accounts, ledger, clock.now()).run(end));
    match counted {
        Ok(count) => {
            let (entries, seconds) = (count.read, began.elapsed().as_secs_f64());
            tracing::info!(entries, seconds, "tokens used under capped licenses counted from the ledger");
            for (account, sums) in accounts.iter().zip(count.sums) {
                let sums = sums.into_iter().map(|sum| (sum.began, sum.tokens)).collect();
                let _ = account.count_earlier(&Earlier { end: count.end, sums }, clock.now());
            }
        }
        Err(error) => {
            tracing::error!(%error, "tokens used earlier cannot be counted: what is capped is refused");
            accounts.iter().for_each(|account| account.lose_earlier());
        }
    }
}

/// Waits until everything submitted so far is durable, and can be read; returns the size of the log by then.
fn durable_end(ledger: &Ledger) -> Result<u64, LookupError> {
    // What waited first and what was durable then are together at least what was submitted.
    let waiting = ledger.health().queued as u64;
    let submitted = ledger.health().durable + waiting;
    let until = Instant::now() + DURABLE_WITHIN;
    loop {
        let durable = ledger.health().durable;
        if durable >= submitted {
            return Ok(durable);
        }
        if Instant::now() > until {
            return Err(LookupError::NotYet(submitted));
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// A count under way.
struct Count<'a> {
    accounts: &'a [Arc<Account>],
    reader: Reader,
    /// For each account, a sum for each of its periods.
    sums: Vec<Vec<Sum>>,
    /// The accounts that open calls are under, by the index of their opening entries.
    under: BTreeMap<u64, Vec<usize>>,
    /// Calls that ended since, and began before the first entry that was read.
    early: Vec<Closed>,
    read: u64,
    /// The index after the last entry that was read.
    end: u64,
    told: Instant,
}

#[derive(Clone, Copy)]
struct Sum {
    began: Moment,
    tokens: u64,
}

#[derive(Clone, Copy)]
struct Closed {
    opened: u64,
    at: Moment,
    tokens: u64,
}

impl<'a> Count<'a> {
    fn new(accounts: &'a [Arc<Account>], ledger: &Ledger, now: Moment) -> Self {
        let sum = |began| Sum { began, tokens: 0 };
        let sums = accounts.iter().map(|account| account.periods(now).into_iter().map(sum).collect()).collect();
        let (under, early, reader) = (BTreeMap::new(), Vec::new(), ledger.reader());
        Self { accounts, reader, sums, under, early, read: 0, end: 0, told: Instant::now() }
    }

    /// Reads from the beginning of the longest period on, and as far before it as calls reach that ended in it.
    fn run(mut self, end: u64) -> Result<Self, LookupError> {
        let since = self.sums.iter().flatten().map(|sum| sum.began).min();
        let since = since.unwrap_or(Moment::MAX).as_millis();
        let first = self.reader.first_since(u64::try_from(since).unwrap_or(0), end)?;
        self.end = first;
        for stored in self.reader.clone().entries(first)? {
            let stored = stored?;
            self.end = stored.index + 1;
            self.take(stored.index, decoded(stored.index, &stored.leaf)?, first);
        }
        self.look_back(first)?;
        Ok(self)
    }

    fn take(&mut self, index: u64, entry: Entry, first: u64) {
        self.progress();
        let at = moment(&entry);
        match (entry.kind, entry.opened) {
            (Kind::Open, _) => self.names(index, &entry),
            (Kind::Redecision, Some(opened)) => self.names(opened, &entry),
            (Kind::Close, Some(opened)) => {
                let tokens = entry.usage.zip(entry.outcome).map_or(0, |(usage, outcome)| used(&usage, outcome));
                let closed = Closed { opened, at, tokens };
                if opened < first { self.early.push(closed) } else { self.add(closed) }
            }
            _ => {}
        }
    }

    /// Learns which accounts a call is under.
    fn names(&mut self, opened: u64, entry: &Entry) {
        let licenses = entry.basis.iter().flatten().filter_map(|provision| license_of(provision));
        for license in licenses {
            let at = self.accounts.iter().position(|account| account.license().as_str() == license);
            let under = at.map(|at| (at, self.under.entry(opened).or_default()));
            if let Some((at, under)) = under.filter(|(at, under)| !under.contains(at)) {
                under.push(at);
            }
        }
    }

    fn add(&mut self, closed: Closed) {
        for account in self.under.remove(&closed.opened).unwrap_or_default() {
            let sums = self.sums.get_mut(account).into_iter().flatten();
            for sum in sums.filter(|sum| sum.began <= closed.at) {
                sum.tokens = sum.tokens.saturating_add(closed.tokens);
            }
        }
    }

    /// Reads what calls began under that ended after entry `first` and began before it.
    fn look_back(&mut self, first: u64) -> Result<(), LookupError> {
        let early = std::mem::take(&mut self.early);
        let Some(from) = early.iter().map(|closed| closed.opened).min() else { return Ok(()) };
        let count = usize::try_from(first - from).unwrap_or(usize::MAX);
        for stored in self.reader.clone().entries(from)?.take(count) {
            let stored = stored?;
            let entry = decoded(stored.index, &stored.leaf)?;
            match (entry.kind, entry.opened) {
                (Kind::Open, _) => self.names(stored.index, &entry),
                (Kind::Redecision, Some(opened)) => self.names(opened, &entry),
                _ => {}
            }
        }
        early.into_iter().for_each(|closed| self.add(closed));
        Ok(())
    }

    fn progress(&mut self) {
        self.read += 1;
        if self.read.is_multiple_of(4_096) && self.told.elapsed() > PROGRESS {
            self.told = Instant::now();
            tracing::info!(entries = self.read, "counting tokens used under capped licenses from the ledger");
        }
    }
}

fn decoded(index: u64, leaf: &[u8]) -> Result<Entry, LookupError> {
    Entry::decode(leaf).map_err(|_| LookupError::Damaged(index))
}

fn moment(entry: &Entry) -> Moment {
    Moment::from_millis(i64::try_from(entry.at_ms).unwrap_or(i64::MAX))
}
