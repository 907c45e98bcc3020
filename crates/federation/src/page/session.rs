//! Sessions of the page: short, in memory, and only of people who came by a link.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use terms::{Moment, PersonId};
use zeroize::Zeroizing;

/// How long a session lasts, whatever is done with it.
pub(super) const LASTS: Duration = Duration::from_mins(15);
/// Sessions of one person at a time.
const MAX_OWN: usize = 4;
/// Sessions at a time; a session takes some 200 bytes.
const MAX_SESSIONS: usize = 10_000;

/// A secret that its holder presents: 256 random bits, as 43 characters. Only its digest is kept.
#[derive(Clone)]
pub(super) struct Ticket(Zeroizing<String>);

impl Ticket {
    /// Makes a new one.
    pub(super) fn mint() -> Result<Self, getrandom::Error> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(bytes.as_mut_slice())?;
        Ok(Self(Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice()))))
    }

    /// Takes what a holder presents; `None` for anything but 43 characters of base64url.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (text.len() == 43 && text.bytes().all(plain)).then(|| Self(Zeroizing::new(text.to_owned())))
    }

    pub(super) fn reveal(&self) -> &str {
        &self.0
    }

    /// Returns what is kept in its place. It is looked up by this, so no comparison takes longer the closer a guess is.
    pub(super) fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }
}

/// Who is here, and until when.
#[derive(Clone, Debug, Default)]
pub(super) struct Sessions(Arc<Mutex<Begun>>);

/// Whose each session is and until when, by the digest of its ticket.
type Begun = BTreeMap<[u8; 32], (PersonId, Moment)>;

impl Sessions {
    /// Begins a session, in place of the person's oldest if they have four; `None` if there are as many as there may be, or
    /// no randomness.
    pub(super) fn begin(&self, person: &PersonId, now: Moment) -> Option<Ticket> {
        let mut sessions = self.sessions();
        while let Some(oldest) = oldest_of_many(&sessions, person) {
            sessions.remove(&oldest);
        }
        if sessions.len() >= MAX_SESSIONS {
            sessions.retain(|_, (_, until)| *until > now);
        }
        if sessions.len() >= MAX_SESSIONS {
            return None;
        }
        let ticket = Ticket::mint().ok()?;
        sessions.insert(ticket.digest(), (person.clone(), now.plus(LASTS)));
        Some(ticket)
    }

    /// Returns whose session it is, while it lasts.
    pub(super) fn person(&self, ticket: &Ticket, now: Moment) -> Option<PersonId> {
        let sessions = self.sessions();
        let (person, _) = sessions.get(&ticket.digest()).filter(|(_, until)| *until > now)?;
        Some(person.clone())
    }

    /// Ends a session.
    pub(super) fn end(&self, ticket: &Ticket) {
        self.sessions().remove(&ticket.digest());
    }

    /// The map is whole after every statement, so a thread that panicked left nothing half done.
    fn sessions(&self) -> MutexGuard<'_, Begun> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the oldest session of a person who has as many as they may.
fn oldest_of_many(sessions: &Begun, person: &PersonId) -> Option<[u8; 32]> {
    let own = || sessions.iter().filter(|(_, (whose, _))| whose == person);
    let is_full = own().count() >= MAX_OWN;
    own().min_by_key(|(_, (_, until))| *until).filter(|_| is_full).map(|(ticket, _)| *ticket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_has_four_sessions_and_the_oldest_makes_room_and_nobody_elses() {
        let sessions = Sessions::default();
        let [ada, bob] = ["ada", "bob"].map(|id| PersonId::parse(id).unwrap());
        let at = |second: u64| Moment::from_millis(0).plus(Duration::from_secs(second));
        let other = sessions.begin(&bob, at(0)).unwrap();
        let own: Vec<Ticket> = (1..=6).map(|second| sessions.begin(&ada, at(second)).unwrap()).collect();
        let lasts: Vec<bool> = own.iter().map(|ticket| sessions.person(ticket, at(7)).is_some()).collect();
        assert_eq!(lasts, [false, false, true, true, true, true]);
        assert_eq!(sessions.person(&other, at(7)), Some(bob));
    }
}
