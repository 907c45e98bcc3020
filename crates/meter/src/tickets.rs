//! Who may ask the model server: one request for each ticket, and no ticket twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{BuildHasher, RandomState},
    sync::{Mutex, PoisonError},
};

use http::HeaderMap;
use jose::{
    ClaimFault, Fault, Jwk,
    ticket::{self, Presented, Ticket, TicketFault},
};
use ledger::{LookupError, Reader};
use proof::entry::{Entry, Kind};
use terms::{CallId, ModelVersionId, Moment};

use crate::{problem::Problem, tally::LATE_MS};

/// Milliseconds of an hour.
const HOUR_MS: u64 = 3_600_000;

/// Calls that are remembered at a time, at about 12 bytes each: 2,000 a second, for more than two hours.
const REMEMBERED_MAX: usize = 16_000_000;

/// Which tickets are taken.
#[derive(Debug)]
pub(crate) struct Tickets {
    /// The origin of this meter's log: what `aud` must be.
    origin: String,
    /// The gateways, by the origins of their logs.
    issuers: BTreeMap<String, Jwk>,
    /// The names that the model server knows versions by, where they are others.
    known_as: BTreeMap<ModelVersionId, String>,
    taken: Mutex<Taken>,
    last: Mutex<Moment>,
}

/// The calls whose tickets were taken. A ticket for the same call is refused for as long as the call could count in the same
/// hour: whoever signs tickets may sign a second one.
#[derive(Debug, Default)]
struct Taken {
    /// Calls are random, but a gateway could choose them so that two fall together on purpose; this it does not know.
    secret: RandomState,
    /// Hashes of calls, by the hour in which their tickets were taken.
    hours: BTreeMap<u64, BTreeSet<u64>>,
}

impl Taken {
    /// Takes a call at `at`, once.
    fn claim(&mut self, call: CallId, at: Moment, max: usize) -> Result<(), Problem> {
        let key = self.secret.hash_one(call.0);
        self.hours.retain(|hour, _| at < remembered_until(*hour));
        if self.hours.values().any(|taken| taken.contains(&key)) {
            return Err(Problem::TicketReplayed);
        }
        if self.hours.values().map(BTreeSet::len).sum::<usize>() >= max {
            return Err(Problem::Overloaded);
        }
        self.hours.entry(Ticket::hour_of(at)).or_default().insert(key);
        Ok(())
    }
}

/// Returns how long a call is remembered whose ticket was taken in `hour`: nothing can count in the hour of its ticket any
/// more, which is the next one if the clocks differ.
fn remembered_until(hour: u64) -> Moment {
    let end = hour.saturating_add(2).saturating_mul(HOUR_MS).saturating_add(LATE_MS);
    Moment::from_millis(i64::try_from(end).unwrap_or(i64::MAX))
}

impl Tickets {
    pub(crate) fn new(
        origin: String,
        issuers: BTreeMap<String, Jwk>,
        known_as: BTreeMap<ModelVersionId, String>,
    ) -> Self {
        Self { origin, issuers, known_as, taken: Mutex::default(), last: Mutex::new(Moment::from_millis(0)) }
    }

    /// Verifies the ticket of a request, without using it up.
    pub(crate) fn present<'a>(&self, headers: &'a HeaderMap, now: Moment) -> Result<(Presented, &'a str), Problem> {
        let token = token(headers)?;
        let presented = ticket::verify(token, &self.origin, |issuer| self.issuers.get(issuer), self.never_back(now))?;
        Ok((presented, token))
    }

    /// Requires that a request names the model of its ticket, by the version or by the name the model server knows.
    pub(crate) fn check_model(&self, ticket: &Ticket, asked: Option<&str>) -> Result<(), Problem> {
        let known_as = self.known_as.get(&ticket.model).map(String::as_str);
        let is_it = |name: &str| name == ticket.model.as_str() || Some(name) == known_as;
        if asked.is_none_or(is_it) {
            return Ok(());
        }
        Err(Problem::AnotherModel { permitted: ticket.model.as_str().to_owned() })
    }

    /// Uses a ticket up, unless it expired since it was presented.
    pub(crate) fn take(&self, presented: &Presented, now: Moment) -> Result<(), Problem> {
        let now = self.never_back(now);
        if now >= presented.until {
            return Err(TicketFault::Token(Fault::Claim(ClaimFault::Expired)).into());
        }
        self.claim(presented.ticket.call, now)
    }

    fn claim(&self, call: CallId, at: Moment) -> Result<(), Problem> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).claim(call, at, REMEMBERED_MAX)
    }

    /// Remembers again the calls whose tickets an earlier process took, as far as more of the same could be shown.
    ///
    /// # Errors
    ///
    /// [`LookupError`]: the record cannot be read, so nothing may be served.
    pub(crate) fn remember(&self, reader: &Reader, end: u64, now: Moment) -> Result<usize, LookupError> {
        let since = Ticket::hour_of(now).saturating_sub(3).saturating_mul(HOUR_MS);
        let (mut entries, mut remembered) = (reader.entries(reader.first_since(since, end)?)?, 0);
        while let Some(unopened) = entries.next_unopened() {
            let unopened = unopened?;
            let entry = Entry::decode(unopened.leaf()).map_err(|_| LookupError::Damaged(unopened.index()))?;
            let Some(call) = taken(&entry) else { continue };
            let at = Moment::from_millis(i64::try_from(entry.at_ms).unwrap_or(i64::MAX));
            remembered += usize::from(self.claim(CallId(call), at).is_ok());
        }
        Ok(remembered)
    }

    /// Returns the latest time that was ever seen: a clock that is set back brings no old ticket to life.
    fn never_back(&self, now: Moment) -> Moment {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = now.max(*last);
        *last
    }
}

/// Returns the call whose ticket an entry says was taken.
pub(crate) fn taken(entry: &Entry) -> Option<[u8; 16]> {
    entry.call.filter(|_| entry.kind == Kind::Metered && entry.outcome.is_none())
}

fn token(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut tickets = headers.get_all(ticket::HEADER).iter();
    match (tickets.next(), tickets.next()) {
        (None, _) => Err(Problem::TicketMissing),
        (Some(one), None) => one.to_str().map_err(|_| Problem::TicketAmbiguous),
        (Some(_), Some(_)) => Err(Problem::TicketAmbiguous),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn claim(taken: &mut Taken, call: u8, at: i64) -> Result<(), Problem> {
        taken.claim(CallId([call; 16]), Moment::from_millis(at), 3)
    }

    #[test]
    fn a_call_is_remembered_until_no_ticket_of_its_hour_can_be_taken_any_more() {
        let mut taken = Taken::default();
        assert_eq!(claim(&mut taken, 1, 10 * HOUR), Ok(()));
        for later in [0, 120_000, HOUR, 2 * HOUR, 2 * HOUR + 719_999] {
            assert_eq!(claim(&mut taken, 1, 10 * HOUR + later), Err(Problem::TicketReplayed), "{later}");
        }
        assert_eq!(claim(&mut taken, 1, 12 * HOUR + 720_000), Ok(()));
    }

    /// Its body may take a minute to come, and by then nobody remembers the ticket any more.
    #[test]
    fn a_ticket_that_expired_since_it_was_presented_is_not_taken() {
        let tickets = Tickets::new("meter".to_owned(), BTreeMap::new(), BTreeMap::new());
        let ticket = Ticket {
            issuer: "gateway".to_owned(),
            audience: "meter".to_owned(),
            call: CallId([1; 16]),
            model: ModelVersionId::parse("mythos-5").unwrap(),
            index: 1,
            leaf: [1; 32],
            hour: 10,
        };
        let presented = Presented { ticket, until: Moment::from_millis(10 * HOUR) };
        let expired = tickets.take(&presented, Moment::from_millis(10 * HOUR)).unwrap_err();
        assert_eq!(expired.code(), "ticket_expired");
        let at_last = Moment::from_millis(10 * HOUR + 1);
        assert_eq!(tickets.take(&Presented { until: at_last, ..presented }, Moment::from_millis(10 * HOUR)), Ok(()));
    }

    #[test]
    fn what_is_remembered_takes_a_bounded_room() {
        let mut taken = Taken::default();
        (1..=3).for_each(|call| assert_eq!(claim(&mut taken, call, 10 * HOUR), Ok(())));
        assert_eq!(claim(&mut taken, 4, 11 * HOUR), Err(Problem::Overloaded));
        assert_eq!(claim(&mut taken, 3, 11 * HOUR), Err(Problem::TicketReplayed));
        assert_eq!(claim(&mut taken, 4, 13 * HOUR), Ok(()));
    }
}
