//! Watching the status lists on which attestations rest.

use std::{collections::BTreeMap, time::Duration};

use control::{Fault, View};
use terms::{ChannelId, Moment};
use tokio::{
    task::{JoinError, JoinSet},
    time::{Interval, MissedTickBehavior},
};

use super::{
    Wallet,
    evidence::{WatchedList, read_stored},
    issuer,
    lists::status_at,
    names::LISTS,
    withdraw::{forget_over, withdraw},
};

/// How often it is asked which lists are due, and whether clearance credentials are to be revoked.
const TICK: Duration = Duration::from_secs(1);
/// How soon a list that could not be had is tried again; also how often one is fetched at most, whatever it says itself.
const RETRY: Duration = Duration::from_secs(10);
/// How often what is over is forgotten.
const FORGET_EVERY: Duration = Duration::from_hours(1);
/// Lists that are fetched at a time: each takes up to 1 MiB as it comes and 4 MiB inflated.
const AT_A_TIME: usize = 8;
/// Lists that are read from the registry at a time.
const PAGE: u32 = 256;

/// When each list is to be fetched; one that is missing is due.
#[derive(Debug, Default)]
pub(super) struct Due {
    lists: BTreeMap<ChannelId, Moment>,
    forget_at: Option<Moment>,
}

impl Wallet {
    /// Watches until `shutdown`: fetches each list when it is due, withdraws what rests on credentials that are no longer
    /// valid, and revokes the clearance credentials of people of whom they are no longer true.
    ///
    /// A list is fetched again when its `ttl` is over, after 10 s at the earliest and at the latest when it is no longer fresh
    /// by the table of freshness. One that cannot be had, or is not to be trusted, leaves its channel silent: what rests on
    /// it is stale once the grace after that is over.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        tokio::select! {
            () = shutdown => {}
            () = self.watching() => {}
            () = self.revoking() => {}
        }
    }

    async fn watching(&self) {
        let (mut due, mut tick) = (Due::default(), ticking());
        loop {
            tick.tick().await;
            if let Err(fault) = self.watch(&mut due).await {
                tracing::error!(%fault, "the status lists to watch cannot be read");
            }
        }
    }

    async fn revoking(&self) {
        let mut tick = ticking();
        loop {
            tick.tick().await;
            if let Err(fault) = self.revoke_ended().await {
                tracing::error!(%fault, "clearance credentials cannot be looked through");
            }
        }
    }

    /// Fetches every list that is due, and acts on what it says.
    ///
    /// # Errors
    ///
    /// [`Fault`]: the registry does not say which lists there are.
    pub(super) async fn watch(&self, due: &mut Due) -> Result<(), Fault> {
        let now = self.now();
        if due.forget_at.is_none_or(|at| at <= now) {
            due.forget_at = Some(now.plus(FORGET_EVERY));
            self.blocking(forget_over).await?;
        }
        let watched = self.watched().await?;
        due.lists.retain(|channel, _| watched.contains_key(channel));
        let is_due = |channel: &ChannelId| due.lists.get(channel).is_none_or(|at| *at <= now);
        let now_due: Vec<_> = watched.into_iter().filter(|(channel, _)| is_due(channel)).collect();
        let mut looks = JoinSet::new();
        for (channel, list) in now_due {
            if looks.len() >= AT_A_TIME {
                settle(due, looks.join_next().await);
            }
            looks.spawn(self.clone().look(channel, list));
        }
        while !looks.is_empty() {
            settle(due, looks.join_next().await);
        }
        Ok(())
    }

    /// Fetches a list, acts on it, and returns when it is to be fetched again.
    async fn look(self, channel: ChannelId, list: WatchedList) -> (ChannelId, Moment) {
        let now = self.now();
        let next = match self.act(&channel, &list).await {
            Ok(good_until) => good_until.max(now.plus(RETRY)),
            Err(why) => {
                tracing::warn!(%channel, why, "a status list could not be relied on");
                now.plus(RETRY)
            }
        };
        (channel, next)
    }

    async fn act(&self, channel: &ChannelId, list: &WatchedList) -> Result<Moment, String> {
        let id = list.issuer.clone();
        let issuer = self.blocking(move |federation| federation.read(|view| issuer::one(view, &id))).await;
        let issuer = issuer.map_err(|fault| fault.to_string())?.ok_or("its issuer is no longer trusted")?;
        let kept = self.current_list(&issuer, &list.uri).await.map_err(|fault| fault.to_string())?;
        let (channel, good_until) = (channel.clone(), kept.good_until);
        let acted = self.blocking(move |federation| {
            let withdrawn = withdraw(federation, &channel, |idx| status_at(&kept.token, idx))?;
            // Only once what it says is in effect: until then silence must still make what rests on it stale.
            federation.heard(&channel, kept.fetched_at)?;
            Ok(withdrawn)
        });
        let withdrawn = acted.await.map_err(|fault| fault.to_string())?;
        if withdrawn > 0 {
            tracing::info!(withdrawn, uri = list.uri, "credentials on a status list are no longer valid");
        }
        Ok(good_until)
    }

    async fn watched(&self) -> Result<BTreeMap<ChannelId, WatchedList>, Fault> {
        self.blocking(|federation| {
            let mut found = BTreeMap::new();
            let mut after = String::new();
            loop {
                let page = federation.read(|view: &View<'_>| view.documents(LISTS, &after, PAGE))?;
                let Some(last) = page.last() else { return Ok(found) };
                after.clone_from(&last.id);
                for document in page {
                    let channel = ChannelId::parse(&document.id).map_err(|bad| Fault::Conflict(bad.to_string()))?;
                    found.insert(channel, read_stored(&document.body)?);
                }
            }
        })
        .await
    }
}

fn ticking() -> Interval {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick
}

/// Notes when a list is due again; one whose look was broken off is due at once.
fn settle(due: &mut Due, looked: Option<Result<(ChannelId, Moment), JoinError>>) {
    if let Some(Ok((channel, next))) = looked {
        due.lists.insert(channel, next);
    }
}
