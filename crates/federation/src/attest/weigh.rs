//! What follows from a source's statements about a person: attestations, what they replace, and what contradicts.

use std::collections::BTreeMap;

use control::Fault;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use terms::{
    Affiliation, AffiliationId, Assurance, Attestation, AttestationId, BadId, Channel, Claim, Country, IssuerId,
    Moment, OrganizationId, Person, PersonId,
};

use super::{
    statement::{Said, Statement},
    trust::{Mistrust, TrustList, Worth},
};

/// Statements that one message may carry about one person.
const MAX_STATEMENTS: usize = 64;

/// Nothing of what was said is accepted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("person `{0}` is not known: add them first")]
    UnknownPerson(PersonId),
    #[error("channel `{0}` is not known or was turned off")]
    ChannelOff(String),
    #[error("channel `{channel}` speaks for organization `{organization}`, to which `{person}` does not belong")]
    NotTheirs { channel: String, organization: OrganizationId, person: PersonId },
    #[error("nothing of it is believed: {}", listed(.0))]
    Untrusted(Vec<Mistrust>),
    #[error("more than 64 statements about one person at a time")]
    TooMany,
    #[error("no id could be made: {0}")]
    Id(#[from] BadId),
    #[error("the registry could not be read: {0}")]
    Registry(#[from] Fault),
}

fn listed(mistrusts: &[Mistrust]) -> String {
    mistrusts.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// What follows from some statements.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Weighed {
    /// New attestations, each in place of the one it supersedes.
    pub(crate) attestations: Vec<Attestation>,
    /// Held attestations of the same issuer that the new ones replace as well.
    pub(crate) replaced: Vec<AttestationId>,
    /// New or renewed affiliations.
    pub(crate) affiliations: Vec<Affiliation>,
    /// What contradicts what is held; all of it stays held.
    pub(crate) conflicts: Vec<Conflict>,
    /// What was left out, because the issuer is not believed about it.
    pub(crate) mistrusted: Vec<Mistrust>,
}

/// Two attestations that cannot both be true. The policy relies on neither.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Conflict {
    /// Names the conflict; the same for the same person, question and two issuers, however often they repeat themselves.
    pub(crate) id: String,
    /// In words: who contradicts whom about what. Holds no personal value.
    pub(crate) what: String,
}

/// Weighs what `issuer` says about `person` through `channel`.
///
/// An issuer's newer word replaces its own older one on the same question and nobody else's. What it does not repeat
/// stays: a passport shows one nationality and takes no other away.
pub(crate) fn weigh(
    person: &Person,
    trust: &TrustList,
    issuer: &IssuerId,
    channel: Option<&Channel>,
    statements: &[Statement],
    now: Moment,
) -> Result<Weighed, Refusal> {
    if statements.len() > MAX_STATEMENTS {
        return Err(Refusal::TooMany);
    }
    if let Some(channel) = channel {
        check_channel(channel, person)?;
    }
    let source = Source { issuer, channel };
    let (believed, mistrusted) = believed(trust, source, statements, now);
    if believed.is_empty() && !mistrusted.is_empty() {
        return Err(Refusal::Untrusted(mistrusted));
    }
    let mut weighed = Weighed { mistrusted, ..Weighed::default() };
    for (said, (statement, worth)) in believed {
        match said {
            Said::Claim(claim) => attest(&mut weighed, person, source, claim, statement, worth)?,
            Said::Employment { organization, .. } => {
                employ(&mut weighed, person, source, organization, statement, worth)?;
            }
        }
    }
    weighed.conflicts = conflicts(person, &weighed, now);
    Ok(weighed)
}

/// Who speaks, and through what.
#[derive(Clone, Copy)]
struct Source<'a> {
    issuer: &'a IssuerId,
    channel: Option<&'a Channel>,
}

/// A tenant's channel speaks about the tenant's own people only.
fn check_channel(channel: &Channel, person: &Person) -> Result<(), Refusal> {
    if !channel.enabled {
        return Err(Refusal::ChannelOff(channel.id.to_string()));
    }
    let Some(organization) = &channel.organization else { return Ok(()) };
    let known = person.accounts.iter().any(|account| account.channel == channel.id);
    let affiliated = person.affiliations.iter().any(|held| held.organization == *organization);
    if known || affiliated {
        return Ok(());
    }
    let (channel, organization) = (channel.id.to_string(), organization.clone());
    Err(Refusal::NotTheirs { channel, organization, person: person.id.clone() })
}

type Believed<'a> = BTreeMap<&'a Said, (&'a Statement, Worth)>;

/// Returns what is believed, of each thing said the best proof; and why the rest is not.
fn believed<'a>(
    trust: &TrustList,
    source: Source<'_>,
    statements: &'a [Statement],
    now: Moment,
) -> (Believed<'a>, Vec<Mistrust>) {
    let (mut believed, mut mistrusted) = (Believed::new(), Vec::new());
    for statement in statements {
        match own(source, statement).and_then(|()| trust.judge(source.issuer, statement, now)) {
            Err(why) => mistrusted.push(why),
            Ok(worth) => {
                let kept = believed.entry(&statement.said).or_insert((statement, worth));
                if (kept.1.assurance, kept.1.expires_at) < (worth.assurance, worth.expires_at) {
                    *kept = (statement, worth);
                }
            }
        }
    }
    (believed, mistrusted)
}

/// A tenant's channel speaks of employment with the tenant only.
fn own(source: Source<'_>, statement: &Statement) -> Result<(), Mistrust> {
    let tenant = source.channel.and_then(|channel| channel.organization.as_ref());
    match (&statement.said, tenant) {
        (Said::Employment { organization, .. }, Some(tenant)) if organization != tenant => {
            Err(Mistrust::Elsewhere { organization: organization.clone() })
        }
        _ => Ok(()),
    }
}

fn attest(
    weighed: &mut Weighed,
    person: &Person,
    source: Source<'_>,
    claim: &Claim,
    statement: &Statement,
    worth: Worth,
) -> Result<(), Refusal> {
    let ours = |held: &&Attestation| held.issuer == *source.issuer && same_question(&held.claim, claim);
    let mut held: Vec<&Attestation> = person.attestations.iter().filter(ours).collect();
    if held.iter().any(|held| adds_nothing(held, claim, statement, worth)) {
        return Ok(());
    }
    held.sort_by_key(|held| held.issued_at);
    let free = |held: &&Attestation| !weighed.attestations.iter().any(|new| new.supersedes.as_ref() == Some(&held.id));
    let superseded = held.pop().filter(free).map(|held| held.id.clone());
    let older = held.into_iter().map(|held| held.id.clone()).filter(|id| !weighed.replaced.contains(id));
    let older: Vec<AttestationId> = older.collect();
    weighed.replaced.extend(older);
    let identity = json!([person.id, source.issuer, claim, statement.issued_at, worth.assurance, worth.expires_at]);
    weighed.attestations.push(Attestation {
        id: AttestationId::parse(&stable_id("att", &identity))?,
        person: person.id.clone(),
        claim: claim.clone(),
        issuer: source.issuer.clone(),
        evidence: statement.evidence.clone(),
        assurance: worth.assurance,
        issued_at: statement.issued_at,
        expires_at: worth.expires_at,
        supersedes: superseded,
        means: statement.means,
        fresh_until: (worth.fresh_until < worth.expires_at).then_some(worth.fresh_until),
        channel: source.channel.map(|channel| channel.id.clone()),
    });
    Ok(())
}

/// Returns true if the issuer's word that is held is newer, or says the same at least as well.
fn adds_nothing(held: &Attestation, claim: &Claim, statement: &Statement, worth: Worth) -> bool {
    let newer = held.issued_at > statement.issued_at;
    let weaker = worth.assurance < held.assurance && held.expires_at > statement.issued_at;
    let no_later = held.issued_at == statement.issued_at && worth.assurance <= held.assurance;
    newer || (held.claim == *claim && (weaker || no_later))
}

/// Returns true if one answer takes the other's place. A person can be a citizen of several countries.
fn same_question(one: &Claim, other: &Claim) -> bool {
    use Claim::{Citizenship, ForeignPerson, Location, PermanentResidency, Stateless, UsPerson};
    match (one, other) {
        (UsPerson { .. } | ForeignPerson, UsPerson { .. } | ForeignPerson)
        | (Location { .. }, Location { .. })
        | (Stateless, Stateless) => true,
        (Citizenship { country, .. }, Citizenship { country: other, .. })
        | (PermanentResidency { country, .. }, PermanentResidency { country: other, .. }) => country == other,
        _ => false,
    }
}

fn employ(
    weighed: &mut Weighed,
    person: &Person,
    source: Source<'_>,
    organization: &OrganizationId,
    statement: &Statement,
    worth: Worth,
) -> Result<(), Refusal> {
    let Said::Employment { engagement, ends_at, .. } = &statement.said else { return Ok(()) };
    // A word that carries no assurance cannot make anybody an employee.
    if worth.assurance == Assurance::None {
        return Ok(());
    }
    let affiliation = Affiliation {
        id: AffiliationId::parse(&stable_id("aff", &json!([person.id, source.issuer, organization])))?,
        person: person.id.clone(),
        organization: organization.clone(),
        engagement: *engagement,
        issuer: source.issuer.clone(),
        evidence: statement.evidence.clone(),
        attested_at: statement.issued_at,
        ends_at: ends_at.map_or(worth.expires_at, |ends| ends.min(worth.expires_at)),
        channel: source.channel.map(|channel| channel.id.clone()),
    };
    let known = |held: &Affiliation| held.id == affiliation.id && held.attested_at >= affiliation.attested_at;
    if !person.affiliations.iter().any(known) {
        weighed.affiliations.push(affiliation);
    }
    Ok(())
}

/// Finds what contradicts what, of the new attestations and of what stays held beside them.
fn conflicts(person: &Person, weighed: &Weighed, now: Moment) -> Vec<Conflict> {
    let new = &weighed.attestations;
    let gone = |held: &Attestation| {
        weighed.replaced.contains(&held.id) || new.iter().any(|new| new.supersedes.as_ref() == Some(&held.id))
    };
    contradictions(new, person.attestations.iter().filter(|held| held.expires_at > now && !gone(held)))
}

/// Finds what contradicts what, of new attestations and of those that are held beside them.
pub(crate) fn contradictions<'a>(new: &'a [Attestation], held: impl Iterator<Item = &'a Attestation>) -> Vec<Conflict> {
    let held: Vec<&Attestation> = held.collect();
    let mut found = Vec::new();
    for (at, one) in new.iter().enumerate() {
        let others = held.iter().copied().chain(new.iter().skip(at + 1));
        found.extend(others.filter(|other| contradict(&one.claim, &other.claim)).map(|other| conflict(one, other)));
    }
    found
}

fn contradict(one: &Claim, other: &Claim) -> bool {
    use Claim::{Citizenship, ForeignPerson, Location, PermanentResidency, Stateless, UsPerson};
    match (one, other) {
        (UsPerson { .. }, ForeignPerson) | (ForeignPerson, UsPerson { .. }) => true,
        (Stateless, Citizenship { until: None, .. }) | (Citizenship { until: None, .. }, Stateless) => true,
        (Location { country, .. }, Location { country: other, .. }) => country != other,
        (Citizenship { country, until, .. }, Citizenship { country: other, until: ended, .. })
        | (PermanentResidency { country, until, .. }, PermanentResidency { country: other, until: ended, .. }) => {
            country == other && until.is_some() != ended.is_some()
        }
        _ => false,
    }
}

fn conflict(one: &Attestation, other: &Attestation) -> Conflict {
    let mut ids = [&one.id, &other.id];
    ids.sort();
    let about = Said::Claim(one.claim.clone()).kind().as_str();
    let what =
        format!("`{}` of `{}` contradicts `{}` of `{}` about {about}", one.id, one.issuer, other.id, other.issuer);
    let mut issuers = [&one.issuer, &other.issuer];
    issuers.sort();
    Conflict { id: stable_id("rev", &json!([one.person, about, country(&one.claim), issuers])), what }
}

/// Returns of which country a claim speaks, where a person can have several of its kind.
fn country(claim: &Claim) -> Option<Country> {
    match claim {
        Claim::Citizenship { country, .. } | Claim::PermanentResidency { country, .. } => Some(*country),
        _ => None,
    }
}

/// Makes an id of what it stands for, so that the same said twice has one.
pub(crate) fn stable_id(prefix: &str, of: &Value) -> String {
    let digest = Sha256::digest(of.to_string());
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("{prefix}-{hex}")
}

#[cfg(test)]
mod tests;
