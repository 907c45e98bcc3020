//! Whom a token stands for in the registry as it is now, and whether they may have one of ours.

use control::View;
use identity::Holder;
use jose::base64url;
use sha2::{Digest, Sha256};
use terms::{Account, AccountState, Channel, ChannelId, Freshness, OrganizationId, Person, PersonId, WorkloadId};

use super::{presented::Presented, refusal::Refusal, rule::Registered};

/// For whom a token is issued.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Grantee {
    /// Who.
    pub(super) holder: Holder,
    /// The tenant.
    pub(super) organization: Option<OrganizationId>,
    /// Who answers for it, if it is a workload; in order.
    pub(super) owners: Vec<PersonId>,
    /// SHA-256, in base64url, over what was known about them: the ids of attestations and affiliations now held.
    pub(super) evidence: String,
}

impl Grantee {
    /// Spells the holder as `sub`.
    pub(super) fn subject(&self) -> String {
        match &self.holder {
            Holder::Person { person } => format!("person:{person}"),
            Holder::Workload { workload } => format!("workload:{workload}"),
            Holder::Shared => String::new(),
        }
    }
}

/// Returns for whom a token of ours may be issued in place of `presented`.
///
/// # Errors
///
/// A [`Refusal`] with `invalid_grant`: nobody is known by that name, or they may have no token now.
pub(super) fn grantee(view: &View<'_>, presented: &Presented) -> Result<Grantee, Refusal> {
    let channel = live(view, &presented.origin.channel)?;
    presented.check_sessions(view)?;
    match &presented.issued_to {
        Some(own) => match &own.holder {
            Holder::Workload { workload: id } => workload(view, id, own.organization.as_ref()),
            _ => person(view, presented, &channel),
        },
        None => person(view, presented, &channel),
    }
}

/// Returns the workload of a rule, for which `presented` is evidence.
///
/// # Errors
///
/// As [`grantee`].
pub(super) fn of_rule(view: &View<'_>, registered: &Registered, presented: &Presented) -> Result<Grantee, Refusal> {
    let rule = &registered.rule;
    if Registered::of_id(view, &rule.id)?.as_ref() != Some(registered) {
        return Err(Refusal::grant("the federation rule was changed meanwhile: try again"));
    }
    let channel = live(view, &rule.issuer)?;
    if channel.organization.is_some_and(|organization| organization != rule.organization) {
        return Err(Refusal::grant("the issuer does not speak for the organization of the rule"));
    }
    presented.check_sessions(view)?;
    workload(view, &rule.workload, Some(&rule.organization))
}

/// Returns the workload that calls for a person.
///
/// # Errors
///
/// A [`Refusal`] with `invalid_grant`: the caller is no workload, is called for no person, or for one who may not receive
/// its output.
pub(super) fn calling_for(view: &View<'_>, acting: &Grantee, user: &Grantee) -> Result<WorkloadId, Refusal> {
    let (Holder::Workload { workload: id }, Holder::Person { person }) = (&acting.holder, &user.holder) else {
        return Err(Refusal::grant("word about an end user is about a person, and for a workload that calls for them"));
    };
    let found = view.workload(id)?.ok_or_else(|| Refusal::grant("the workload is not known"))?;
    if !found.recipients.is_empty() && !found.recipients.contains(person) {
        return Err(Refusal::grant("the person is not among the recipients of the workload"));
    }
    Ok(found.id)
}

fn live(view: &View<'_>, id: &ChannelId) -> Result<Channel, Refusal> {
    let channel = view.channel(id)?.filter(|channel| channel.enabled);
    let channel = channel.ok_or_else(|| Refusal::grant("the issuer is not relied on any more"))?;
    match channel.freshness(view.now()) {
        Freshness::Stale => Err(Refusal::grant("the issuer was silent for too long to be relied on")),
        Freshness::Fresh | Freshness::Grace => Ok(channel),
    }
}

fn person(view: &View<'_>, presented: &Presented, channel: &Channel) -> Result<Grantee, Refusal> {
    let id = view.account(&channel.id, &presented.origin.sub)?;
    let person = id.map(|id| view.person(&id)).transpose()?.flatten();
    let person = person.ok_or_else(|| Refusal::grant("nobody is known here by the subject of the token"))?;
    let holder = Holder::Person { person: person.id.clone() };
    if presented.issued_to.as_ref().is_some_and(|own| own.holder != holder) {
        return Err(Refusal::grant("the subject of the token stands for somebody else now"));
    }
    let organization = channel.organization.clone();
    let concerned = |account: &&Account| account.channel == channel.id || is_of(account, organization.as_ref());
    let ended = |account: &Account| account.sessions_end.is_some_and(|end| presented.began <= end);
    let mut accounts = person.accounts.iter().filter(concerned);
    if accounts.any(|account| account.state != AccountState::Active || ended(account)) {
        return Err(Refusal::grant("the account, or its sessions, were suspended or ended"));
    }
    if !person.active {
        return Err(Refusal::grant("the person's access was withdrawn"));
    }
    Ok(Grantee { holder, organization, owners: Vec::new(), evidence: evidence([&person]) })
}

fn workload(view: &View<'_>, id: &WorkloadId, organization: Option<&OrganizationId>) -> Result<Grantee, Refusal> {
    let found = view.workload(id)?.filter(|workload| Some(&workload.organization) == organization);
    let found = found.ok_or_else(|| Refusal::grant("the workload is not known in that organization"))?;
    if !found.active {
        return Err(Refusal::grant("the workload's access was withdrawn"));
    }
    let owners = found.owners.iter().map(|owner| view.person(owner)).collect::<Result<Vec<_>, _>>()?;
    let owners: Vec<Person> = owners.into_iter().flatten().collect();
    if !owners.iter().any(|owner| answers_for(owner, &found.organization)) {
        return Err(Refusal::grant("nobody who may act for the organization answers for the workload"));
    }
    Ok(Grantee {
        holder: Holder::Workload { workload: found.id },
        organization: Some(found.organization),
        owners: found.owners,
        evidence: evidence(&owners),
    })
}

/// Tells whether a person can answer for a workload of an organization: active, and no account there out of use.
fn answers_for(owner: &Person, organization: &OrganizationId) -> bool {
    let mut accounts = owner.accounts.iter().filter(|account| is_of(account, Some(organization)));
    owner.active && accounts.all(|account| account.state == AccountState::Active)
}

fn is_of(account: &Account, organization: Option<&OrganizationId>) -> bool {
    organization.is_some() && account.organization.as_ref() == organization
}

/// Hashes the ids of what is held about people, each kind in order.
fn evidence<'a>(people: impl IntoIterator<Item = &'a Person>) -> String {
    let mut hash = Sha256::new();
    for person in people {
        let attestations = person.attestations.iter().map(|held| held.id.as_str());
        let affiliations = person.affiliations.iter().map(|held| held.id.as_str());
        let all = std::iter::once(person.id.as_str()).chain(attestations).chain(["/"]).chain(affiliations);
        // Neither `/` nor a line end can stand in an id, so no two lists hash the same bytes.
        all.for_each(|id| hash.update(format!("{id}\n")));
    }
    base64url::encode(hash.finalize())
}
