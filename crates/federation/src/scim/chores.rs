//! What happens without a request: employments begin and end, rosters are overdue, and what was removed is cleared away.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use control::Document;
use scim::ResourceType;
use terms::{ChannelId, Moment};
use tokio::{task::spawn_blocking, time::sleep};

use super::{
    Scim,
    record::{Record, collection, due_on},
    refusal::Refusal,
    service::deletion,
    tenant::{Agreement, agreements},
};

/// How often everything is looked at; an affiliation ends when it ends, and the account at most this much later.
const EVERY: Duration = Duration::from_secs(15);
/// How often the users of a tenant are looked through whose roster is overdue.
const SWEPT_EVERY: Duration = Duration::from_secs(600);
const DAY: Duration = Duration::from_secs(86_400);
/// How many documents are read at a time.
const PAGE: u32 = 500;

/// How far everything was looked at.
#[derive(Debug, Default)]
struct Progress {
    /// Until when employments are known to have begun and ended; from the beginning of time at first.
    looked_at: Option<Moment>,
    /// When the users of a tenant were last looked through.
    swept: BTreeMap<ChannelId, Moment>,
}

/// Ids of users by channel.
type Users = BTreeMap<ChannelId, Vec<String>>;

impl Scim {
    /// Looks after every tenant until `shutdown` is ready: once at first and then four times a minute. To stop it at any
    /// time is harmless; whatever was not done is done by the next.
    pub async fn run(self: Arc<Self>, shutdown: impl Future<Output = ()> + Send) {
        let mut progress = Progress::default();
        tokio::pin!(shutdown);
        loop {
            let this = Arc::clone(&self);
            let round = spawn_blocking(move || {
                this.look_after(&mut progress);
                progress
            });
            progress = round.await.unwrap_or_default();
            tokio::select! {
                biased;
                () = &mut shutdown => return,
                () = sleep(EVERY) => {}
            }
        }
    }

    fn look_after(&self, progress: &mut Progress) {
        let now = self.federation.now();
        match self.follow_employments(progress.looked_at, now) {
            Ok(()) => progress.looked_at = Some(now),
            Err(refusal) => tracing::error!(%refusal, "employments could not be followed"),
        }
        let tenants = self.federation.read(agreements);
        let tenants = tenants.inspect_err(|fault| tracing::error!(%fault, "tenants could not be listed"));
        for (channel, agreement) in tenants.unwrap_or_default() {
            let done = match agreement.removed {
                true => self.clear(&channel),
                false => self.suspend_unheard(&channel, &agreement, progress, now),
            };
            if let Err(refusal) = done {
                tracing::error!(%channel, %refusal, "a tenant could not be looked after");
            }
        }
    }

    /// Lets begin and end what did since the last look.
    fn follow_employments(&self, since: Option<Moment>, now: Moment) -> Result<(), Refusal> {
        let users = match since {
            None => self.all_due(now)?,
            Some(since) => self.due_between(since, now)?,
        };
        for (channel, ids) in users {
            self.for_each_of((&channel, ResourceType::User), "scim.employment_due", &ids, |view, tenant, old| {
                let new = old.changed(old.resource.clone(), old.facts.absent, view.now());
                self.consequences(view, tenant, &new, !old.was_open(view.now()))
            })?;
        }
        Ok(())
    }

    /// Finds those who are due on one of the days between two moments.
    fn due_between(&self, since: Moment, now: Moment) -> Result<Users, Refusal> {
        let mut users = Users::new();
        let days = now.since(since).as_secs() / DAY.as_secs() + 1;
        for day in 0..=days {
            let at = since.plus(Duration::from_secs(day * DAY.as_secs()));
            for document in self.federation.read(|view| view.find(collection(ResourceType::User), &due_on(at)))? {
                self.note_due(&mut users, &document, now)?;
            }
        }
        Ok(users)
    }

    fn all_due(&self, now: Moment) -> Result<Users, Refusal> {
        let mut users = Users::new();
        let mut after = String::new();
        loop {
            let page = self.federation.read(|view| view.documents(collection(ResourceType::User), &after, PAGE))?;
            let Some(last) = page.last() else { return Ok(users) };
            after.clone_from(&last.id);
            for document in &page {
                self.note_due(&mut users, document, now)?;
            }
        }
    }

    fn note_due(&self, users: &mut Users, document: &Document, now: Moment) -> Result<(), Refusal> {
        let channel = document.id.split('/').next().and_then(|id| ChannelId::parse(id).ok());
        let is_due = self.facts(document)?.due.is_some_and(|due| due <= now);
        if let (Some(channel), true) = (channel, is_due) {
            let ids = users.entry(channel).or_default();
            let id = Record::id_in(&document.id);
            if ids.last().is_none_or(|last| last != id) {
                ids.push(id.to_owned());
            }
        }
        Ok(())
    }

    /// Suspends everybody of whom nothing was heard for as long as the roster may take.
    fn suspend_unheard(
        &self,
        channel: &ChannelId,
        agreement: &Agreement,
        progress: &mut Progress,
        now: Moment,
    ) -> Result<(), Refusal> {
        let Some(within) = agreement.roster_within_s.map(Duration::from_secs) else { return Ok(()) };
        let was_swept = progress.swept.get(channel).is_some_and(|swept| now < swept.plus(SWEPT_EVERY));
        if was_swept || now < agreement.reconciled_at.plus(within) {
            return Ok(());
        }
        let mut unheard = Vec::new();
        self.for_each(channel, ResourceType::User, |document| {
            let facts = self.facts(document)?;
            if !facts.absent && now >= facts.modified.plus(within) {
                unheard.push(Record::id_in(&document.id).to_owned());
            }
            Ok(())
        })?;
        if !unheard.is_empty() {
            tracing::warn!(%channel, users = unheard.len(), "no roster came in time: users are suspended");
        }
        self.mark(channel, &unheard, true)?;
        progress.swept.insert(channel.clone(), now);
        Ok(())
    }

    /// Ends whatever a removed tenant opened, and forgets it.
    fn clear(&self, channel: &ChannelId) -> Result<(), Refusal> {
        for kind in ResourceType::ALL {
            let mut ids = Vec::new();
            self.for_each(channel, kind, |document| {
                ids.push(Record::id_in(&document.id).to_owned());
                Ok(())
            })?;
            self.for_each_of((channel, kind), "scim.tenant_clear", &ids, deletion)?;
        }
        self.commit(channel, "scim.tenant_clear", |_| Ok((vec![Agreement::gone(channel)], ())))
    }
}
