//! What a receiver does of its own accord: finds transmitters, makes streams, has them prove that they work, fetches.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use secevent::stream::{Status, StreamStatus};
use terms::{ChannelId, Moment};
use tokio::task::JoinSet;

use super::{
    Receiver,
    manage::ManageFault,
    settings::{KeySource, Known, Receive},
};

/// How often to look which transmitters there are and what is due.
const TICK: Duration = Duration::from_millis(500);

/// How long to leave a transmitter alone after a failure.
const AFTER_FAILURE: Duration = Duration::from_secs(10);

/// How often to look whether a stream that was stopped runs again.
const STOPPED: Duration = Duration::from_secs(30);

/// How often to look after a stream that need not prove that it works.
const IDLE: Duration = Duration::from_mins(5);

/// What is done for a channel, each by itself.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Chore {
    Upkeep,
    Poll,
}

type Due = (ChannelId, Chore);

impl Receiver {
    /// Looks after every registered transmitter until it is dropped.
    pub async fn run(self) {
        let (mut busy, mut due) = (BTreeSet::<Due>::new(), BTreeMap::<Due, Moment>::new());
        let mut work = JoinSet::new();
        loop {
            for known in self.every().await {
                for chore in chores(&known) {
                    let key = (known.channel.id.clone(), chore);
                    let is_due = due.get(&key).is_none_or(|at| *at <= self.federation().now());
                    if is_due && busy.insert(key.clone()) {
                        let (this, known) = (self.clone(), known.clone());
                        work.spawn(async move { (key, this.chore(known, chore).await) });
                    }
                }
            }
            // Whatever is done is looked after at once: a poll follows the one before without a pause.
            let done = async {
                match work.join_next().await {
                    Some(done) => done.ok(),
                    None => std::future::pending().await,
                }
            };
            if let Ok(Some((key, again))) = tokio::time::timeout(TICK, done).await {
                busy.remove(&key);
                due.insert(key, self.federation().now().plus(again));
            }
        }
    }

    async fn every(&self) -> Vec<Known> {
        let this = self.clone();
        let read = self.blocking(move || this.federation().read(Known::all)).await;
        match read {
            Ok(Ok(known)) => known,
            Ok(Err(fault)) => {
                tracing::warn!(%fault, "transmitters cannot be read");
                Vec::new()
            }
            Err(_) => Vec::new(),
        }
    }

    /// Does one chore and returns after how long to do it again.
    async fn chore(self, known: Known, chore: Chore) -> Duration {
        let done = match chore {
            Chore::Upkeep => self.upkeep(known.clone()).await,
            Chore::Poll => self.poll(&known).await,
        };
        done.unwrap_or_else(|fault| {
            tracing::warn!(channel = %known.channel.id, %fault, "a transmitter could not be tended");
            AFTER_FAILURE
        })
    }

    /// Finds where the keys of a transmitter are, makes the stream if there is none, and has it prove that it works. Whatever
    /// is asked of a transmitter begins with what it says about itself, so what that is stays up to date.
    async fn upkeep(&self, known: Known) -> Result<Duration, ManageFault> {
        if known.settings.management.is_none() {
            if known.settings.keys == KeySource::Discovered {
                self.discover(&known).await?;
            }
            return Ok(IDLE);
        }
        if known.stream_id().is_none() {
            self.create_stream(&known.channel.id).await?;
            return Ok(Duration::ZERO);
        }
        if known.stream.status() != Status::Enabled {
            // That it runs again may have been said while nobody listened here.
            let StreamStatus { status, .. } = self.read_status(&known.channel.id).await?;
            self.remember(&known.channel.id, move |stream| stream.status = Some(status)).await?;
            if status != Status::Enabled {
                return Ok(STOPPED);
            }
        }
        match known.verify_every() {
            None => Ok(IDLE),
            Some(every) => self.request_verification(&known.channel.id).await.map(|()| every),
        }
    }
}

/// A channel that is off is let be.
fn chores(known: &Known) -> Vec<Chore> {
    let polls = matches!(known.settings.delivery, Receive::Poll { .. });
    let has_where = known.stream.poll_endpoint.is_some()
        || matches!(&known.settings.delivery, Receive::Poll { endpoint: Some(_), .. });
    match () {
        () if known.is_off() => Vec::new(),
        () if polls && has_where => vec![Chore::Upkeep, Chore::Poll],
        () => vec![Chore::Upkeep],
    }
}
