//! What a change of a user does to the person: account, affiliation, attestations, keys.

use control::{FederatedChange, Review};
use identity::KeyRecord;
use scim::{ExportControl, Resource};
use serde_json::json;
use terms::{
    Account, AccountState, Affiliation, AffiliationId, Assurance, Attestation, AttestationId, Claim, Country, Moment,
    Person, PersonId, SubjectName,
};

use super::{
    record::Record,
    refusal::Refusal,
    statements::{engagement, statements},
    tenant::Tenant,
};
use crate::attest::{Said, TrustList, contradictions, stable_id};

/// The longest name of a person, in characters.
const NAME_MAX: usize = 256;

/// What the registry now holds of the person; nothing of a new one.
#[derive(Debug)]
pub(super) struct Held<'a> {
    pub(super) id: &'a PersonId,
    pub(super) person: Option<&'a Person>,
    /// True if the employer's word brings back what it does not remember to have taken: it says `active` anew.
    pub(super) restores: bool,
}

/// Returns the changes that make the registry say what the user now says.
pub(super) fn of_user(
    tenant: &Tenant,
    trust: &TrustList,
    held: &Held<'_>,
    user: &Record,
    now: Moment,
) -> Result<Vec<FederatedChange>, Refusal> {
    let said = ExportControl::of(&user.resource);
    let is_active = user.facts.open;
    let mut changes = Vec::new();
    let state = if is_active { AccountState::Active } else { AccountState::Suspended };
    changes.extend(account(tenant, held, user, state, now)?);
    changes.extend(affiliation(tenant, held, user, &said, is_active, now)?);
    changes.extend(attestations(tenant, trust, held, user, &said, now)?);
    Ok(changes)
}

/// Returns the changes that end what the user opened, for good: the keys of the tenant are revoked.
pub(super) fn of_deletion(
    tenant: &Tenant,
    held: &Held<'_>,
    user: &Record,
    keys: &[KeyRecord],
    now: Moment,
) -> Result<Vec<FederatedChange>, Refusal> {
    let mut changes: Vec<FederatedChange> =
        account(tenant, held, user, AccountState::Ended, now)?.into_iter().collect();
    changes.extend(affiliation(tenant, held, user, &ExportControl::of(&user.resource), false, now)?);
    changes.extend(own_attestations(tenant, held).map(withdrawal));
    let open = keys.iter().filter(|key| key.revoked_at.is_none());
    let of_tenant = open.filter(|key| key.organization.as_ref() == Some(&tenant.organization));
    changes.extend(of_tenant.map(|key| FederatedChange::RevokeKey(key.id.clone())));
    Ok(changes)
}

/// Returns what to call the person.
pub(super) fn display_name(resource: &Resource) -> String {
    let given = [resource.part("name", "givenName"), resource.part("name", "familyName")];
    let joined = given.into_iter().flatten().collect::<Vec<_>>().join(" ");
    let joined = Some(joined.as_str()).filter(|name| !name.is_empty());
    let names = [resource.text("displayName"), resource.part("name", "formatted"), joined, resource.text("userName")];
    let name = names.into_iter().flatten().find(|name| !name.trim().is_empty()).unwrap_or_default();
    name.chars().filter(|c| !c.is_control()).take(NAME_MAX).collect()
}

/// An account that leaves the active state ends its sessions; coming back does not begin them again. One that somebody else
/// suspended stays so until the employer says `active` anew: to write a new title is no such word.
fn account(
    tenant: &Tenant,
    held: &Held<'_>,
    user: &Record,
    state: AccountState,
    now: Moment,
) -> Result<Option<FederatedChange>, Refusal> {
    let subject =
        SubjectName::parse(&user.id).map_err(|_| Refusal::Unreadable(format!("user {} is no subject", user.id)))?;
    let own = |account: &&Account| account.channel == tenant.channel.id && account.subject == subject;
    let known = held.person.and_then(|person| person.accounts.iter().find(own));
    let was_active = known.is_some_and(|account| account.state == AccountState::Active);
    let is_held_back = known.is_some_and(|account| account.state == AccountState::Suspended) && !held.restores;
    let state = if is_held_back && state == AccountState::Active { AccountState::Suspended } else { state };
    let ended = (was_active && state != AccountState::Active).then_some(now);
    let account = Account {
        channel: tenant.channel.id.clone(),
        subject: subject.clone(),
        organization: Some(tenant.organization.clone()),
        state,
        sessions_end: ended.or_else(|| known?.sessions_end),
    };
    let is_new = known != Some(&account);
    Ok(is_new.then(|| FederatedChange::Account { person: held.id.clone(), account }))
}

/// What the employment is: until it ends as the employer says, or, if that is not said, as long as the channel lives.
fn affiliation(
    tenant: &Tenant,
    held: &Held<'_>,
    user: &Record,
    said: &ExportControl,
    is_active: bool,
    now: Moment,
) -> Result<Option<FederatedChange>, Refusal> {
    let id = AffiliationId::parse(&format!("scim-{}", user.id))
        .map_err(|_| Refusal::Unreadable(format!("user {} names no affiliation", user.id)))?;
    let known = held.person.and_then(|person| person.affiliations.iter().find(|known| known.id == id));
    let until = said.employment_end.unwrap_or(Moment::MAX);
    let ends_at = match known {
        Some(known) if is_active && !held.restores && known.ends_at <= now => known.ends_at,
        _ if is_active => until,
        Some(known) => known.ends_at.min(now),
        None => return Ok(None),
    };
    let affiliation = Affiliation {
        id,
        person: held.id.clone(),
        organization: tenant.organization.clone(),
        engagement: engagement(said),
        issuer: tenant.issuer.clone(),
        evidence: reference(tenant, user),
        attested_at: known.map_or(now, |known| known.attested_at),
        ends_at,
        channel: Some(tenant.channel.id.clone()),
    };
    if known == Some(&affiliation) {
        return Ok(None);
    }
    Ok(Some(FederatedChange::Affiliation(Affiliation { attested_at: now, ..affiliation })))
}

fn reference(tenant: &Tenant, user: &Record) -> String {
    format!("scim {}/{}", tenant.channel.id, user.id)
}

/// What the employer says anew takes the place of what it said before about the same; what it no longer says is withdrawn.
/// What the trust list does not let it say is left out.
///
/// A word that would lift a restriction does not: the old one stays in force beside it, so that the most restrictive
/// counts, and a review is opened. So it is if the word contradicts somebody else's.
fn attestations(
    tenant: &Tenant,
    trust: &TrustList,
    held: &Held<'_>,
    user: &Record,
    said: &ExportControl,
    now: Moment,
) -> Result<Vec<FederatedChange>, Refusal> {
    let mut old: Vec<&Attestation> = own_attestations(tenant, held).collect();
    let issued_at = said.attested_at.unwrap_or(user.facts.said_at);
    let (mut new, mut unchanged) = (Vec::new(), Vec::new());
    for statement in statements(said, issued_at, &reference(tenant, user), trust.freshness()) {
        let (Ok(worth), Said::Claim(claim)) = (trust.judge(&tenant.issuer, &statement, now), &statement.said) else {
            continue;
        };
        let draft = Attestation {
            id: attestation_id(user, &statement.evidence, &(claim, issued_at, worth.assurance, worth.expires_at))?,
            person: held.id.clone(),
            claim: claim.clone(),
            issuer: tenant.issuer.clone(),
            evidence: statement.evidence.clone(),
            assurance: worth.assurance,
            issued_at,
            expires_at: worth.expires_at,
            supersedes: None,
            means: statement.means,
            fresh_until: (worth.fresh_until < worth.expires_at).then_some(worth.fresh_until),
            channel: Some(tenant.channel.id.clone()),
        };
        match old.iter().position(|known| is_same(known, &draft)) {
            Some(at) => unchanged.push(old.swap_remove(at).claim.clone()),
            None => new.push(draft),
        }
    }
    let replaces = |draft: Attestation, old: &mut Vec<&Attestation>| {
        let replaced = predecessor(old, &draft.claim).map(|at| old.swap_remove(at).id.clone());
        Attestation { supersedes: replaced, ..draft }
    };
    let said: Vec<Claim> = new.iter().map(|draft| draft.claim.clone()).chain(unchanged).collect();
    let new: Vec<Attestation> = new.into_iter().map(|draft| replaces(draft, &mut old)).collect();
    let (kept, gone): (Vec<&Attestation>, Vec<&Attestation>) =
        old.into_iter().partition(|old| old.expires_at > now && restricts(&old.claim, &said));
    let others = held.person.map(|person| person.attestations.as_slice()).unwrap_or_default();
    let others = others.iter().filter(|other| other.issuer != tenant.issuer && other.expires_at > now);
    let mut changes: Vec<FederatedChange> =
        contradictions(&new, others).into_iter().map(|found| review(held, found.id, found.what, now)).collect();
    if !kept.is_empty() && user.facts.said_at == now {
        changes.push(changed_word(tenant, held, user, &kept, now));
    }
    changes.extend(new.into_iter().map(FederatedChange::Attestation));
    changes.extend(gone.into_iter().map(withdrawal));
    Ok(changes)
}

/// Returns true for what restricted the person and is missing from what is `said` instead, on the same question. What is
/// no longer said at all restricts nothing: where nothing is known, nothing is allowed.
fn restricts(old: &Claim, said: &[Claim]) -> bool {
    let same_question = said.iter().any(|new| subject(new).0 == subject(old).0);
    let of_no_use = match old {
        Claim::UsPerson { .. } | Claim::Location { .. } => true,
        Claim::Citizenship { country, .. } | Claim::PermanentResidency { country, .. } => *country == Country::US,
        Claim::ForeignPerson | Claim::Stateless => false,
    };
    same_question && !of_no_use
}

fn changed_word(
    tenant: &Tenant,
    held: &Held<'_>,
    user: &Record,
    kept: &[&Attestation],
    now: Moment,
) -> FederatedChange {
    let mut ids: Vec<&str> = kept.iter().map(|kept| kept.id.as_str()).collect();
    ids.sort_unstable();
    let id = stable_id("rev", &json!([tenant.channel.id, user.id, ids]));
    let what = format!(
        "`{}` of `{}` says otherwise than before: {} of its earlier statements stay in force until they end or are withdrawn",
        user.id,
        tenant.channel.id,
        kept.len()
    );
    review(held, id, what, now)
}

/// Asks whether a user whose external id changed still is the same human: an id that was given away would carry what was
/// attested of the one to the other.
pub(super) fn renamed(tenant: &Tenant, held: &Held<'_>, user: &Record, now: Moment) -> FederatedChange {
    let id = stable_id("rev", &json!([tenant.channel.id, user.id, user.facts.revision]));
    let what = format!("the `externalId` of `{}` of `{}` changed: is it the same person?", user.id, tenant.channel.id);
    review(held, id, what, now)
}

fn review(held: &Held<'_>, id: String, what: String, now: Moment) -> FederatedChange {
    FederatedChange::Review(Review { id, person: Some(held.id.clone()), what, opened_at: now, closed_at: None })
}

/// Returns the same id for the same word of the same user, until the employer says otherwise: so what an operator withdrew
/// does not return by being repeated.
fn attestation_id(
    user: &Record,
    evidence: &str,
    word: &(&Claim, Moment, Assurance, Moment),
) -> Result<AttestationId, Refusal> {
    let text = stable_id("scim", &json!([user.id, user.facts.said_at, evidence, word]));
    AttestationId::parse(&text).map_err(|bad| Refusal::Unreadable(bad.to_string()))
}

fn is_same(known: &Attestation, draft: &Attestation) -> bool {
    let own = Attestation { id: known.id.clone(), supersedes: known.supersedes.clone(), ..draft.clone() };
    *known == own
}

/// Finds what a claim takes the place of: the same employer's word about the same, unless it would lift a restriction.
fn predecessor(old: &[&Attestation], claim: &Claim) -> Option<usize> {
    old.iter().position(|known| subject(&known.claim) == subject(claim) && !lifts(&known.claim, claim))
}

fn lifts(old: &Claim, new: &Claim) -> bool {
    match (old, new) {
        (Claim::ForeignPerson, Claim::UsPerson { .. }) => true,
        (Claim::Citizenship { until: None, country, .. }, Claim::Citizenship { until: Some(_), .. }) => {
            *country != Country::US
        }
        _ => false,
    }
}

/// What a claim is about: its kind, and the country where one person can have several.
fn subject(claim: &Claim) -> (u8, Option<Country>) {
    match claim {
        Claim::UsPerson { .. } | Claim::ForeignPerson => (0, None),
        Claim::Stateless => (1, None),
        Claim::Citizenship { country, .. } => (1, Some(*country)),
        Claim::PermanentResidency { country, .. } => (2, Some(*country)),
        Claim::Location { .. } => (3, None),
    }
}

fn own_attestations<'a>(tenant: &'a Tenant, held: &Held<'a>) -> impl Iterator<Item = &'a Attestation> {
    let all = held.person.map(|person| person.attestations.as_slice()).unwrap_or_default();
    all.iter().filter(|attestation| attestation.channel.as_ref() == Some(&tenant.channel.id))
}

fn withdrawal(attestation: &Attestation) -> FederatedChange {
    let reason = "the employer no longer says so".to_owned();
    FederatedChange::Withdrawal { attestation: attestation.id.clone(), reason }
}
