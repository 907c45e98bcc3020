//! What is used under one capped license in its current periods.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use policy::{Consumed, Period};
use terms::{InstrumentId, Moment};

use crate::lease::lock;

/// The most tokens that are believed of one call, so that no report overflows a sum: 2^40, about 10^12.
const TOKENS_MAX: u64 = 1 << 40;

/// The caps of a license by their periods. Several of one period are those of several versions of the license, of which
/// one speaks now: to reach any of them is a reason to decide again.
pub(crate) type Caps = BTreeMap<Period, BTreeSet<u64>>;

/// What is used under one capped license: by calls that ended, in the current period of each cap, and by live ones.
///
/// A live call counts in the current period, whenever it began; when it ends, what it used belongs to the period
/// in which it ended. Taken from the ledger the sums are the same.
#[derive(Debug)]
pub(crate) struct Account {
    license: InstrumentId,
    /// Tokens of live calls.
    live: AtomicU64,
    /// The tokens of live calls with which the first cap is reached.
    room: AtomicU64,
    books: Mutex<Books>,
}

#[derive(Debug)]
struct Books {
    periods: Vec<Book>,
    /// How many caps are reached.
    reached: usize,
    history: History,
}

/// What counts in the current period of a kind.
#[derive(Debug)]
struct Book {
    period: Period,
    caps: BTreeSet<u64>,
    /// When the current period began.
    began: Moment,
    /// Tokens of calls that ended in it.
    settled: u64,
}

/// Whether what the ledger holds of earlier calls is in the sums.
#[derive(Debug)]
enum History {
    /// Not yet; with what ended meanwhile.
    Awaited(Vec<Settled>),
    Counted,
    /// The ledger could not be read: the account knows nothing and never will.
    Lost,
}

/// What a call used that ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settled {
    /// The index of its closing entry; [`u64::MAX`] if the ledger took none.
    pub(crate) index: u64,
    /// When it ended.
    pub(crate) at: Moment,
    /// Tokens.
    pub(crate) tokens: u64,
}

/// What calls used that ended before an account was kept, read from the ledger.
#[derive(Debug)]
pub(crate) struct Earlier {
    /// The index after the last entry that was read.
    pub(crate) end: u64,
    /// Tokens for each period, in order, with the beginning of the period they were used in.
    pub(crate) sums: Vec<(Moment, u64)>,
}

/// That the answer to calls under a license changed.
#[must_use = "calls must be decided again"]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Turn {
    /// A cap is reached.
    Reached,
    /// A cap was reached before, and a live call that somebody is about to recall used more.
    Exceeded,
    /// A cap is not reached any more, or it became known what is used.
    Freed,
}

impl Account {
    /// Opens an account for a license; nothing is known of it until [`Account::count_earlier`].
    pub(crate) fn new(license: InstrumentId, caps: Caps, now: Moment) -> Self {
        let book = |(period, caps): (Period, _)| Book { period, caps, began: period.start(now), settled: 0 };
        let periods = caps.into_iter().map(book).collect();
        Self {
            license,
            live: AtomicU64::new(0),
            room: AtomicU64::new(u64::MAX),
            books: Mutex::new(Books { periods, reached: 0, history: History::Awaited(Vec::new()) }),
        }
    }

    /// Returns the license.
    pub(crate) fn license(&self) -> &InstrumentId {
        &self.license
    }

    /// Takes over other caps; false if they are for other periods or the account lost its history, so that a new one is
    /// needed.
    pub(crate) fn renew(&self, caps: &Caps) -> bool {
        let mut books = lock(&self.books);
        let same = books.periods.iter().map(|book| &book.period).eq(caps.keys());
        if !same || matches!(books.history, History::Lost) {
            return false;
        }
        for (book, caps) in books.periods.iter_mut().zip(caps.values()) {
            book.caps.clone_from(caps);
        }
        // Whoever puts a version in force decides its calls again.
        let _ = self.weigh(&mut books);
        true
    }

    /// Returns the beginnings of the current periods, in order.
    pub(crate) fn periods(&self, now: Moment) -> Vec<Moment> {
        lock(&self.books).periods.iter().map(|book| book.period.start(now)).collect()
    }

    /// Adds what is used in the current periods to `facts`; nothing as long as it is not known.
    pub(crate) fn tell(&self, now: Moment, facts: &mut Vec<Consumed>) -> Option<Turn> {
        let mut books = lock(&self.books);
        if !matches!(books.history, History::Counted) {
            return None;
        }
        let turn = self.roll(&mut books, now);
        let live = self.live.load(SeqCst);
        facts.extend(books.periods.iter().map(|book| consumed(&self.license, book, live)));
        turn
    }

    /// Counts more tokens of a live call, or takes them back.
    pub(crate) fn charge(&self, before: u64, after: u64) -> Option<Turn> {
        let (before, after) = (before.min(TOKENS_MAX), after.min(TOKENS_MAX));
        if after <= before {
            self.live.fetch_sub(before - after, SeqCst);
            return None;
        }
        let live = self.live.fetch_add(after - before, SeqCst).saturating_add(after - before);
        if live < self.room.load(SeqCst) {
            return None;
        }
        let mut books = lock(&self.books);
        self.weigh(&mut books).or_else(|| (books.reached > 0).then_some(Turn::Exceeded))
    }

    /// Counts what a call used that ended, in place of the `charged` tokens it counted for while it was live.
    pub(crate) fn settle(&self, charged: u64, settled: Settled) -> Option<Turn> {
        let mut books = lock(&self.books);
        self.live.fetch_sub(charged.min(TOKENS_MAX), SeqCst);
        match &mut books.history {
            History::Awaited(meanwhile) => meanwhile.push(settled),
            History::Counted => {
                let turn = self.roll(&mut books, settled.at);
                books.add(&settled);
                return self.weigh(&mut books).or(turn);
            }
            History::Lost => {}
        }
        None
    }

    /// Learns what the ledger holds of calls that ended earlier; of those that ended meanwhile each counts once.
    pub(crate) fn count_earlier(&self, earlier: &Earlier, now: Moment) -> Turn {
        let mut books = lock(&self.books);
        let history = std::mem::replace(&mut books.history, History::Counted);
        let _ = self.roll(&mut books, now);
        for (book, (began, tokens)) in books.periods.iter_mut().zip(&earlier.sums) {
            if book.began == *began {
                book.settled = book.settled.saturating_add(*tokens);
            }
        }
        if let History::Awaited(meanwhile) = history {
            meanwhile.iter().filter(|settled| settled.index >= earlier.end).for_each(|settled| books.add(settled));
        }
        self.weigh(&mut books).unwrap_or(Turn::Freed)
    }

    /// Gives the history up: what is not known permits nothing.
    pub(crate) fn lose_earlier(&self) {
        lock(&self.books).history = History::Lost;
    }

    /// Begins anew whatever period ended.
    fn roll(&self, books: &mut Books, now: Moment) -> Option<Turn> {
        let mut rolled = false;
        for book in &mut books.periods {
            let began = book.period.start(now);
            if book.began < began {
                (book.began, book.settled, rolled) = (began, 0, true);
            }
        }
        if rolled { self.weigh(books) } else { None }
    }

    /// Compares what is used with the caps. Whoever adds to `live` reads `room` after it, and here `live` is read
    /// after `room` was written: so of two that reach a cap together one sees it.
    fn weigh(&self, books: &mut Books) -> Option<Turn> {
        if !matches!(books.history, History::Counted) {
            return None;
        }
        let rooms: Vec<u64> = books.periods.iter().flat_map(Book::rooms).collect();
        self.room.store(rooms.iter().copied().min().unwrap_or(u64::MAX), SeqCst);
        let live = self.live.load(SeqCst);
        let reached = rooms.iter().filter(|room| live >= **room).count();
        let before = std::mem::replace(&mut books.reached, reached);
        match reached.cmp(&before) {
            Ordering::Greater => Some(Turn::Reached),
            Ordering::Less => Some(Turn::Freed),
            Ordering::Equal => None,
        }
    }
}

impl Book {
    /// Returns, for each cap, the tokens of live calls that reach it.
    fn rooms(&self) -> impl Iterator<Item = u64> {
        self.caps.iter().map(|cap| cap.saturating_sub(self.settled))
    }
}

impl Books {
    fn add(&mut self, settled: &Settled) {
        for book in self.periods.iter_mut().filter(|book| book.began <= settled.at) {
            book.settled = book.settled.saturating_add(settled.tokens.min(TOKENS_MAX));
        }
    }
}

fn consumed(license: &InstrumentId, book: &Book, live: u64) -> Consumed {
    Consumed { instrument: license.clone(), per: book.period, tokens: book.settled.saturating_add(live) }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, thread};

    use super::*;

    fn moment(text: &str) -> Moment {
        Moment::parse(text).unwrap()
    }

    fn monthly(caps: &[u64]) -> Caps {
        Caps::from([(Period::Month, caps.iter().copied().collect())])
    }

    fn opened(caps: Caps, now: &str) -> Account {
        Account::new(InstrumentId::parse("LTR-1").unwrap(), caps, moment(now))
    }

    /// Opens an account at noon of June 27 of which nothing earlier is known and nothing is to be known.
    fn account(cap: u64) -> Account {
        counted(monthly(&[cap]))
    }

    fn counted(caps: Caps) -> Account {
        let account = opened(caps, "2026-06-27T12:00:00Z");
        let _ = account.count_earlier(&Earlier { end: 0, sums: Vec::new() }, moment("2026-06-27T12:00:00Z"));
        account
    }

    fn told(account: &Account, now: &str) -> Vec<u64> {
        let mut facts = Vec::new();
        let _ = account.tell(moment(now), &mut facts);
        facts.into_iter().map(|consumed| consumed.tokens).collect()
    }

    fn ended(index: u64, at: &str, tokens: u64) -> Settled {
        Settled { index, at: moment(at), tokens }
    }

    #[test]
    fn a_cap_is_reached_once_however_many_count_at_the_same_time() {
        let account = Arc::new(account(5_000));
        let count = |account: Arc<Account>| {
            let reached = |turn: &Turn| *turn == Turn::Reached;
            thread::spawn(move || (0..1_000).filter_map(|used| account.charge(used, used + 1)).filter(reached).count())
        };
        let threads: Vec<_> = (0..8).map(|_| count(Arc::clone(&account))).collect();
        let reached: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert_eq!((reached, told(&account, "2026-06-27T12:00:00Z")), (1, vec![8_000]));
    }

    #[test]
    fn a_report_that_is_less_than_what_was_counted_makes_room_again() {
        let account = account(10);
        assert_eq!([account.charge(0, 9), account.charge(9, 10)], [None, Some(Turn::Reached)]);
        assert_eq!(account.settle(10, ended(7, "2026-06-27T12:00:01Z", 4)), Some(Turn::Freed));
        assert_eq!(told(&account, "2026-06-27T12:00:01Z"), [4]);
    }

    #[test]
    fn a_new_month_keeps_what_is_live_and_nothing_that_ended_before() {
        let account = account(10);
        assert_eq!(account.settle(0, ended(7, "2026-06-30T23:59:59Z", 10)), Some(Turn::Reached));
        assert_eq!(account.charge(0, 3), Some(Turn::Exceeded));
        assert_eq!(told(&account, "2026-06-30T23:59:59.999Z"), [13]);
        assert_eq!(told(&account, "2026-07-01T00:00:00Z"), [3]);
        assert_eq!(account.settle(3, ended(8, "2026-07-01T00:00:01Z", 12)), Some(Turn::Reached));
    }

    #[test]
    fn each_period_counts_for_itself_and_the_cap_that_is_nearest_is_reached_first() {
        let account = counted(Caps::from([(Period::Day, [10].into()), (Period::Total, [25].into())]));
        assert_eq!(account.settle(0, ended(7, "2026-06-27T13:00:00Z", 12)), Some(Turn::Reached), "the day's");
        assert_eq!(told(&account, "2026-06-27T13:00:00Z"), [12, 12]);
        assert_eq!(told(&account, "2026-06-28T00:00:00Z"), [0, 12]);
        assert_eq!([account.charge(0, 9), account.charge(9, 10)], [None, Some(Turn::Reached)], "the next day's");
        assert_eq!([account.charge(10, 12), account.charge(12, 13)], [Some(Turn::Exceeded), Some(Turn::Reached)]);
        assert_eq!(told(&account, "2026-06-29T00:00:00Z"), [13, 25], "what is live goes on");
    }

    #[test]
    fn where_versions_of_a_license_set_different_caps_each_is_a_reason_to_decide_again() {
        let account = counted(monthly(&[10, 20]));
        let turns = [(0, 9), (9, 10), (10, 19), (19, 20)].map(|(before, after)| account.charge(before, after));
        assert_eq!(turns, [None, Some(Turn::Reached), Some(Turn::Exceeded), Some(Turn::Reached)]);
    }

    #[test]
    fn what_ended_while_the_ledger_was_read_counts_once() {
        let account = opened(monthly(&[100]), "2026-06-27T12:00:00Z");
        let read_too = account.settle(0, ended(41, "2026-06-27T12:00:00Z", 5));
        let not_read = account.settle(0, ended(42, "2026-06-27T12:00:00Z", 7));
        assert_eq!((read_too, not_read, told(&account, "2026-06-27T12:00:00Z")), (None, None, Vec::new()));
        let earlier = Earlier { end: 42, sums: vec![(moment("2026-06-01T00:00:00Z"), 30)] };
        assert_eq!(account.count_earlier(&earlier, moment("2026-06-27T12:00:01Z")), Turn::Freed);
        assert_eq!(told(&account, "2026-06-27T12:00:01Z"), [37]);
    }

    #[test]
    fn what_the_ledger_holds_of_another_month_does_not_count() {
        let account = opened(monthly(&[100]), "2026-06-30T23:59:59Z");
        let earlier = Earlier { end: 42, sums: vec![(moment("2026-06-01T00:00:00Z"), 100)] };
        let _ = account.count_earlier(&earlier, moment("2026-07-01T00:00:00Z"));
        assert_eq!(told(&account, "2026-07-01T00:00:00Z"), [0]);
    }

    #[test]
    fn without_its_history_an_account_tells_nothing_and_is_replaced() {
        let account = opened(monthly(&[100]), "2026-06-27T12:00:00Z");
        assert!(account.renew(&monthly(&[50])), "it may still be on its way");
        account.lose_earlier();
        assert_eq!(told(&account, "2026-06-27T12:00:00Z"), Vec::<u64>::new());
        assert!(!account.renew(&monthly(&[50])));
    }

    #[test]
    fn no_report_however_absurd_overflows_a_sum() {
        let account = account(u64::MAX);
        for _ in 0..4 {
            assert_eq!(account.charge(0, u64::MAX), None);
            assert_eq!(account.settle(0, ended(1, "2026-06-27T12:00:00Z", u64::MAX)), None);
        }
        assert_eq!(told(&account, "2026-06-27T12:00:00Z"), [8 * TOKENS_MAX]);
    }
}
