//! Which verifications were asked for, and when: what an echo proves.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use terms::{ChannelId, Moment};

/// The most verifications of one channel that an echo may still come for.
const MOST: usize = 32;

/// Verifications that were asked for and not echoed yet, by channel.
///
/// Kept in memory: after a restart an echo of what was asked before is refused, and the next one is asked for.
#[derive(Debug, Default)]
pub(crate) struct Asked(Mutex<BTreeMap<ChannelId, VecDeque<(String, Moment)>>>);

/// What the state of a verification event tells.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Echo {
    /// It was asked for then: whatever the transmitter had to say before, it has sent.
    Asked(Moment),
    /// It has no state: the transmitter sent it on its own account.
    Unasked,
    /// Nobody asked for it.
    Wrong,
}

impl Asked {
    /// Makes a state that nobody can guess, and remembers that it was asked for at `now`.
    ///
    /// # Errors
    ///
    /// If the operating system has no randomness.
    pub(crate) fn ask(&self, channel: &ChannelId, now: Moment) -> Result<String, getrandom::Error> {
        let mut random = [0; 24];
        getrandom::fill(&mut random)?;
        let state = URL_SAFE_NO_PAD.encode(random);
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let states = asked.entry(channel.clone()).or_default();
        states.push_back((state.clone(), now));
        if states.len() > MOST {
            states.pop_front();
        }
        Ok(state)
    }

    /// Says what an echo proves. A state stays known, since a token may come again.
    pub(crate) fn echo(&self, channel: &ChannelId, state: Option<&str>) -> Echo {
        let Some(state) = state else { return Echo::Unasked };
        let asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = asked.get(channel).into_iter().flatten().find(|(asked, _)| asked == state);
        found.map_or(Echo::Wrong, |(_, at)| Echo::Asked(*at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_proves_when_it_was_asked_for_and_only_at_its_own_channel() {
        let (acme, other) = (ChannelId::parse("acme").unwrap(), ChannelId::parse("other").unwrap());
        let (asked, at) = (Asked::default(), Moment::from_millis(1_000));
        let state = asked.ask(&acme, at).unwrap();
        assert_eq!(state.len(), 32);
        assert_eq!(asked.echo(&acme, Some(&state)), Echo::Asked(at));
        assert_eq!(asked.echo(&acme, Some(&state)), Echo::Asked(at), "a token may come again");
        assert_eq!(asked.echo(&other, Some(&state)), Echo::Wrong);
        assert_eq!(asked.echo(&acme, Some("guess")), Echo::Wrong);
        assert_eq!(asked.echo(&acme, None), Echo::Unasked);
    }

    #[test]
    fn what_was_asked_long_ago_is_forgotten() {
        let (acme, asked) = (ChannelId::parse("acme").unwrap(), Asked::default());
        let first = asked.ask(&acme, Moment::from_millis(0)).unwrap();
        (1..=MOST).for_each(|_| drop(asked.ask(&acme, Moment::from_millis(1)).unwrap()));
        assert_eq!(asked.echo(&acme, Some(&first)), Echo::Wrong);
    }
}
