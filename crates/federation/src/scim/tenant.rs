//! Employers: who is taken in, with which token, and what is expected of their directory.

use control::{Document, Fault, FederatedChange, FieldFault, Source, View};
use identity::{KeyText, Purpose};
use terms::{Channel, ChannelId, ChannelKind, IssuerId, Moment, OrganizationId};

use super::{
    Scim,
    refusal::Refusal,
    token::{self, Token},
};

const COLLECTION: &str = "scim.tenant";
/// The longest silence that may be agreed, in seconds: a week.
const SILENCE_MAX: u64 = 7 * 86_400;
/// One cycle of a common directory is 40 minutes: it is overdue after one and counts for nothing after two.
const CYCLE_S: u64 = 40 * 60;

/// An employer to be taken in.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct NewTenant {
    /// Names its channel; part of the URL that its directory is given.
    pub channel: ChannelId,
    /// The organization whose people it provisions.
    pub organization: OrganizationId,
    /// Within how many seconds its directory calls; 0 if it calls only when something changes.
    #[serde(default = "cycle")]
    pub interval_s: u64,
    /// For how many more seconds its word counts when it is overdue.
    #[serde(default = "cycle")]
    pub grace_s: u64,
    /// Within how many seconds it sends its whole roster, or everybody is suspended; absent if it never does.
    pub roster_within_s: Option<u64>,
}

fn cycle() -> u64 {
    CYCLE_S
}

/// An employer that was taken in.
#[derive(Clone, Debug, serde::Serialize)]
pub struct TenantEntry {
    /// Its channel: whose it is, when it was heard, and whether it is turned on.
    pub channel: Channel,
    /// The base URL that its directory is given.
    pub base_url: String,
    /// Within how many seconds it sends its whole roster, if it does.
    pub roster_within_s: Option<u64>,
    /// When it last sent one, or was taken in.
    pub reconciled_at: Moment,
    /// The tokens that are good now, the older first.
    pub tokens: Vec<Token>,
}

/// What is stored of a tenant; its document has the channel's id.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Agreement {
    pub(super) version: u32,
    pub(super) roster_within_s: Option<u64>,
    pub(super) reconciled_at: Moment,
    /// True once it was removed, until nothing of it is left.
    pub(super) removed: bool,
}

/// One employer: its channel, its organization, and under which name it attests.
#[derive(Clone, Debug)]
pub(super) struct Tenant {
    pub(super) channel: Channel,
    pub(super) organization: OrganizationId,
    pub(super) issuer: IssuerId,
}

impl Scim {
    /// Takes an employer in and returns the token for its directory, which is shown nowhere again.
    ///
    /// # Errors
    ///
    /// [`Fault`]: nothing was registered. [`Fault::Conflict`] if the channel is somebody else's or in use.
    pub fn register(&self, new: &NewTenant) -> Result<KeyText, Fault> {
        let token = KeyText::mint_for(Purpose::Scim).map_err(Fault::Random)?;
        check(new)?;
        self.federation.commit(&Source::own("scim.tenant_add"), |view| {
            if view.organization(&new.organization)?.is_none() {
                return Err(Fault::NotFound { what: "organization", id: new.organization.to_string() });
            }
            check_free(view, new)?;
            let now = view.now();
            let agreement =
                Agreement { version: 1, roster_within_s: new.roster_within_s, reconciled_at: now, removed: false };
            Ok(vec![
                FederatedChange::Channel(channel(new, now)),
                agreement.change(&new.channel),
                self.token_change(&new.channel, &token, now),
            ])
        })?;
        Ok(token)
    }

    /// Returns every employer that was taken in and not removed, in order of channel.
    ///
    /// # Errors
    ///
    /// [`Fault`] if the registry cannot be read.
    pub fn tenants(&self) -> Result<Vec<TenantEntry>, Fault> {
        self.federation.read(|view| {
            let mut entries = Vec::new();
            for (id, agreement) in agreements(view)?.into_iter().filter(|(_, agreement)| !agreement.removed) {
                let Some(channel) = view.channel(&id)? else { continue };
                entries.push(TenantEntry {
                    base_url: self.base_url(&id),
                    roster_within_s: agreement.roster_within_s,
                    reconciled_at: agreement.reconciled_at,
                    tokens: token::live(view, &id)?,
                    channel,
                });
            }
            Ok(entries)
        })
    }

    /// Removes an employer. At once its token opens nothing and its word counts for nothing; then [`Scim::run`] ends
    /// whatever it opened, for good.
    ///
    /// # Errors
    ///
    /// [`Fault::NotFound`] if there is none of that channel; any other: nothing was removed.
    pub fn remove(&self, channel: &ChannelId) -> Result<(), Fault> {
        let committed = self.federation.commit(&Source::own("scim.tenant_remove"), |view| {
            let agreement = registered(view, channel)?;
            let known = view.channel(channel)?.ok_or_else(|| unknown(channel))?;
            let mut changes = token::all_gone(view, channel)?;
            changes.push(FederatedChange::Channel(Channel { enabled: false, ..known }));
            changes.push(Agreement { removed: true, ..agreement }.change(channel));
            Ok(changes)
        });
        committed.map(drop)
    }

    /// Finds whose channel it is; only one that is turned on and has an organization may say anything.
    pub(super) fn tenant(&self, view: &View<'_>, channel: &ChannelId) -> Result<Tenant, Refusal> {
        let agreement = agreement(view, channel)?.filter(|agreement| !agreement.removed);
        let channel = view.channel(channel)?.filter(|channel| channel.kind == ChannelKind::Scim);
        let (Some(_), Some(channel)) = (agreement, channel) else { return Err(Refusal::Unauthenticated) };
        if !channel.enabled {
            return Err(Refusal::Forbidden("this channel is turned off: ask the operator"));
        }
        self.known_tenant(channel)
    }

    /// Finds whose channel it is, though it may be turned off or removed.
    pub(super) fn any_tenant(&self, view: &View<'_>, channel: &ChannelId) -> Result<Tenant, Refusal> {
        self.known_tenant(view.channel(channel)?.ok_or(Refusal::Unauthenticated)?)
    }

    fn known_tenant(&self, channel: Channel) -> Result<Tenant, Refusal> {
        let organization = channel.organization.clone();
        let organization = organization.ok_or(Refusal::Forbidden("this channel is of no organization"))?;
        let issuer = match self.settings.issuers.get(&channel.id) {
            Some(issuer) => issuer.clone(),
            None => IssuerId::parse(channel.id.as_str()).map_err(|bad| Refusal::Unreadable(bad.to_string()))?,
        };
        Ok(Tenant { channel, organization, issuer })
    }
}

impl Agreement {
    pub(super) fn change(&self, channel: &ChannelId) -> FederatedChange {
        FederatedChange::Document(Document {
            collection: COLLECTION.to_owned(),
            id: channel.to_string(),
            owner: None,
            terms: Vec::new(),
            body: serde_json::to_string(self).unwrap_or_default(),
        })
    }

    /// Returns the change that forgets the tenant.
    pub(super) fn gone(channel: &ChannelId) -> FederatedChange {
        FederatedChange::DocumentGone { collection: COLLECTION.to_owned(), id: channel.to_string() }
    }
}

/// Returns what was agreed with every tenant, removed ones too.
pub(super) fn agreements(view: &View<'_>) -> Result<Vec<(ChannelId, Agreement)>, Fault> {
    const PAGE: u32 = 500;
    let mut all = Vec::new();
    let mut after = String::new();
    loop {
        let page = view.documents(COLLECTION, &after, PAGE)?;
        let Some(last) = page.last() else { return Ok(all) };
        after.clone_from(&last.id);
        for document in &page {
            let channel = ChannelId::parse(&document.id).map_err(|bad| corrupt(bad.to_string()))?;
            all.push((channel, read(document)?));
        }
    }
}

pub(super) fn agreement(view: &View<'_>, channel: &ChannelId) -> Result<Option<Agreement>, Fault> {
    view.document(COLLECTION, channel.as_str())?.as_ref().map(read).transpose()
}

/// Returns what was agreed with a tenant that is not removed.
pub(super) fn registered(view: &View<'_>, channel: &ChannelId) -> Result<Agreement, Fault> {
    let found = agreement(view, channel)?.filter(|agreement| !agreement.removed);
    found.ok_or_else(|| unknown(channel))
}

fn unknown(channel: &ChannelId) -> Fault {
    Fault::NotFound { what: "SCIM tenant", id: channel.to_string() }
}

fn read(document: &Document) -> Result<Agreement, Fault> {
    serde_json::from_str(&document.body).map_err(|error| corrupt(format!("tenant `{}`: {error}", document.id)))
}

/// What is stored was written by this server: a registry that holds anything else is damaged.
fn corrupt(why: String) -> Fault {
    Fault::Conflict(why)
}

fn check(new: &NewTenant) -> Result<(), Fault> {
    let silence = [("interval_s", new.interval_s), ("grace_s", new.grace_s)];
    let too_long = silence.into_iter().filter(|(_, seconds)| *seconds > SILENCE_MAX);
    let mut faults: Vec<FieldFault> =
        too_long.map(|(field, _)| FieldFault::new(field, format!("must be at most {SILENCE_MAX}"))).collect();
    if new.roster_within_s.is_some_and(|within| !(3_600..=SILENCE_MAX).contains(&within)) {
        faults.push(FieldFault::new("roster_within_s", format!("must be 3600 to {SILENCE_MAX}")));
    }
    if faults.is_empty() { Ok(()) } else { Err(Fault::Invalid(faults)) }
}

/// A channel that was removed may be taken in again by its own organization and nobody else: people were known under it.
fn check_free(view: &View<'_>, new: &NewTenant) -> Result<(), Fault> {
    let Some(known) = view.channel(&new.channel)? else { return Ok(()) };
    let own = known.kind == ChannelKind::Scim && known.organization.as_ref() == Some(&new.organization);
    match agreement(view, &new.channel)? {
        None if own => Ok(()),
        Some(agreement) if own && agreement.removed => {
            Err(Fault::Conflict(format!("`{}` is still being removed: try again in some minutes", new.channel)))
        }
        _ => Err(Fault::Conflict(format!("there already is a channel `{}`: choose another name", new.channel))),
    }
}

fn channel(new: &NewTenant, now: Moment) -> Channel {
    Channel {
        id: new.channel.clone(),
        kind: ChannelKind::Scim,
        organization: Some(new.organization.clone()),
        issuer: None,
        heard_at: now,
        interval_s: new.interval_s,
        grace_s: new.grace_s,
        enabled: true,
    }
}
