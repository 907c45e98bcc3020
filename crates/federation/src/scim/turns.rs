//! Who may work when: few threads for all channels, and fewer for each, so that one employer holds up no other.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use terms::ChannelId;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::refusal::Refusal;

/// How many requests are worked on at once; each holds a thread that may wait for the disk.
const AT_ONCE: usize = 16;
/// How many tokens are looked up at once.
const LOOKED_UP_AT_ONCE: usize = 8;
/// How many requests of one channel are read and worked on at once; each may hold a body of 4 MiB.
const OF_CHANNEL: usize = 4;
/// How long a request waits for its turn.
const TURN_WITHIN: Duration = Duration::from_secs(10);

/// The turns of all channels. A turn is over when it is dropped.
pub(super) struct Turns {
    look_ups: Arc<Semaphore>,
    work: Arc<Semaphore>,
    /// Of channels whose token was shown, so there are no more than tenants were taken in.
    channels: Mutex<BTreeMap<ChannelId, Arc<Semaphore>>>,
}

/// A turn.
pub(super) type Turn = OwnedSemaphorePermit;

impl Turns {
    pub(super) fn new() -> Self {
        Self {
            look_ups: Arc::new(Semaphore::new(LOOKED_UP_AT_ONCE)),
            work: Arc::new(Semaphore::new(AT_ONCE)),
            channels: Mutex::default(),
        }
    }

    /// Waits until a token may be looked up.
    pub(super) async fn look_up(&self) -> Result<Turn, Refusal> {
        taken(&self.look_ups).await
    }

    /// Waits until a channel, whose token was shown, may send a body.
    pub(super) async fn of(&self, channel: &ChannelId) -> Result<Turn, Refusal> {
        taken(&self.places(channel)).await
    }

    /// Waits until a request may be worked on.
    pub(super) async fn work(&self) -> Result<Turn, Refusal> {
        taken(&self.work).await
    }

    fn places(&self, channel: &ChannelId) -> Arc<Semaphore> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let places = channels.entry(channel.clone()).or_insert_with(|| Arc::new(Semaphore::new(OF_CHANNEL)));
        Arc::clone(places)
    }
}

async fn taken(of: &Arc<Semaphore>) -> Result<Turn, Refusal> {
    let turn = timeout(TURN_WITHIN, Arc::clone(of).acquire_owned()).await;
    turn.ok().and_then(Result::ok).ok_or(Refusal::TooMany)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_channel_that_takes_every_place_of_its_own_leaves_those_of_others() {
        let turns = Turns::new();
        let (loud, calm) = (ChannelId::parse("loud").unwrap(), ChannelId::parse("calm").unwrap());
        let at_once = async |channel| timeout(Duration::ZERO, turns.of(channel)).await.ok().and_then(Result::ok);
        let mut held = Vec::new();
        for _ in 0..OF_CHANNEL {
            held.push(at_once(&loud).await.unwrap());
        }
        assert!(at_once(&loud).await.is_none());
        assert!(at_once(&calm).await.is_some());
        held.pop();
        assert!(at_once(&loud).await.is_some(), "a place is free again");
    }
}
