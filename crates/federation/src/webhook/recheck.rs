//! Asking again: what a lost delivery would have told is found out before the channel must be heard the next time.

use std::{collections::BTreeMap, time::Duration};

use control::{Document, Fault, View};
use terms::{Attestation, ChannelId, ChannelKind, Moment};

use super::{
    Refused, Vendor, Webhooks,
    ask::ask,
    on_disk,
    settle::{Delivered, EVIDENCE, settle},
    vendor::{Look, ObjectId, ObjectKind, State},
};

/// How often it is looked what is due.
const TICK: Duration = Duration::from_mins(1);
/// How often a vendor is asked within the time in which its channel must be heard.
const PER_INTERVAL: u32 = 4;
/// How soon, at the latest, a vendor that could not be asked about everything is tried again.
const RETRY: Duration = Duration::from_mins(15);

/// When the vendor of each channel is asked again; one that is missing is due.
pub(super) type Due = BTreeMap<ChannelId, Moment>;

/// Asks for ever.
pub(super) async fn run(hooks: Webhooks) {
    let mut due = Due::new();
    let mut tick = tokio::time::interval(TICK);
    loop {
        tick.tick().await;
        hooks.recheck(&mut due).await;
    }
}

impl Webhooks {
    /// Asks every vendor that is due about all evidence of theirs that is kept. One that answers about all of it was heard.
    pub(super) async fn recheck(&self, due: &mut Due) {
        for (channel, vendor) in &self.0.vendors {
            let now = self.0.federation.now();
            if due.get(channel).is_some_and(|at| *at > now) {
                continue;
            }
            let mut next = self.part_of_interval(channel).await;
            if let Err(why) = self.recheck_all(vendor).await {
                tracing::warn!(%channel, %why, "a vendor could not be asked about all of its evidence");
                next = next.min(RETRY);
            }
            due.insert(channel.clone(), now.plus(next));
        }
    }

    /// Returns in how long a vendor is asked again: a part of the time in which its channel must be heard or, if it need not
    /// be, in which one of its kind must.
    async fn part_of_interval(&self, channel: &ChannelId) -> Duration {
        let (hooks, id) = (self.clone(), channel.clone());
        let known = on_disk(move || hooks.0.federation.read(|view| view.channel(&id))).await;
        let told = known.ok().flatten().map(|known| Duration::from_secs(known.interval_s));
        let usual = || self.0.federation.freshness().channel(ChannelKind::Webhook).fresh;
        let interval = told.filter(|told| !told.is_zero()).unwrap_or_else(usual);
        (interval / PER_INTERVAL).max(TICK)
    }

    /// Asks about every piece of evidence, also after one about which the vendor does not answer.
    ///
    /// # Errors
    ///
    /// The first that went wrong: the vendor does not count as heard.
    async fn recheck_all(&self, vendor: &Vendor) -> Result<(), Refused> {
        let (hooks, channel) = (self.clone(), vendor.channel.clone());
        let counting = on_disk(move || hooks.0.federation.read(|view| counting(view, &channel))).await?;
        let mut all = Ok(());
        for look in counting {
            all = all.and(self.recheck_one(vendor, look).await);
        }
        all?;
        let (hooks, channel) = (self.clone(), vendor.channel.clone());
        on_disk(move || hooks.0.federation.heard(&channel, hooks.0.federation.now())).await
    }

    /// Acts on what is gone or was taken back; what still stands is no newer for having been asked about.
    async fn recheck_one(&self, vendor: &Vendor, look: Look) -> Result<(), Refused> {
        let finding = ask(&self.0.client, vendor, &look).await.map_err(Refused::Ask)?;
        if !matches!(finding.state, State::Gone | State::Failed) {
            return Ok(());
        }
        let event = format!("recheck-{}-{}", look.id.as_str(), self.0.federation.now().as_millis());
        let (channel, issuer) = (vendor.channel.clone(), vendor.issuer.clone());
        let delivered = Delivered { channel, issuer, event, look, finding };
        let hooks = self.clone();
        let settled = move || settle(&hooks.0.federation, &hooks.0.trust, &hooks.0.vault, &delivered);
        on_disk(settled).await.map(drop)
    }
}

/// Returns every object of a vendor on which some attestation rests that is held and not over.
fn counting(view: &View<'_>, channel: &ChannelId) -> Result<Vec<Look>, Fault> {
    let mut found = Vec::new();
    for document in view.find(EVIDENCE, channel.as_str())? {
        let Some(look) = look(channel, &document) else { continue };
        let owner = document.owner.as_ref().map(|owner| view.person(owner)).transpose()?.flatten();
        let prefix = format!("{}#", document.id);
        let rests = |held: &Attestation| held.evidence.starts_with(&prefix) && held.expires_at > view.now();
        if owner.is_some_and(|owner| owner.attestations.iter().any(rests)) {
            found.push(look);
        }
    }
    Ok(found)
}

/// Reads back what a piece of evidence is called by its vendor, and what kind of object it is there.
fn look(channel: &ChannelId, document: &Document) -> Option<Look> {
    let id = document.id.strip_prefix(channel.as_str())?.strip_prefix('/')?;
    let id = ObjectId::try_from(id.to_owned()).ok()?;
    Some(Look { kind: ObjectKind::parse(document.terms.get(1)?)?, id })
}
