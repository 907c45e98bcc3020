//! One encoding of everything known about a key, for its digest. Every text has its length before it, every list its
//! count, every absent value its mark, so that different principals have different bytes.

use std::sync::Arc;

use terms::{
    Account, Affiliation, Attestation, ChannelId, Claim, Country, EndUse, Means, Moment, OrganizationId, Person,
    PersonId, Workload,
};

use super::population::{ModelTraffic, Principal};
use crate::{CallerFacts, CredentialFacts};

/// Appends the encoding of one principal.
///
/// `organizations` are the digests of its organizations, in its own order.
pub(crate) fn principal<'a>(
    out: &mut Vec<u8>,
    principal: &Principal,
    organizations: impl ExactSizeIterator<Item = &'a [u8; 32]>,
) {
    let Principal { credential: presented, caller: behind, organizations: _, traffic } = principal;
    credential(out, presented);
    caller(out, behind);
    length(out, organizations.len());
    for digest in organizations {
        out.extend(digest);
    }
    list(out, traffic, used);
}

fn credential(out: &mut Vec<u8>, credential: &CredentialFacts) {
    let CredentialFacts { id, expires_at, revoked, organization, end_use } = credential;
    text(out, id.as_str());
    moment(out, *expires_at);
    out.push(u8::from(*revoked));
    option(out, organization.as_ref(), |out, id: &OrganizationId| text(out, id.as_str()));
    option(out, end_use.as_ref(), |out, id: &EndUse| text(out, id.as_str()));
}

fn caller(out: &mut Vec<u8>, caller: &CallerFacts) {
    match caller {
        CallerFacts::Person { person: known } => {
            out.push(1);
            person(out, known);
        }
        CallerFacts::Workload { workload: program, owners, recipients } => {
            out.push(2);
            workload(out, program);
            list(out, owners, |out, p: &Arc<Person>| person(out, p));
            list(out, recipients, |out, p: &Arc<Person>| person(out, p));
        }
        CallerFacts::Unbound => out.push(3),
    }
}

fn person(out: &mut Vec<u8>, person: &Person) {
    let Person { id, display_name, screening, active, attestations, affiliations, accounts } = person;
    text(out, id.as_str());
    text(out, display_name);
    out.extend([*screening as u8, u8::from(*active)]);
    list(out, attestations, attestation);
    list(out, affiliations, affiliation);
    list(out, accounts, account);
}

fn account(out: &mut Vec<u8>, account: &Account) {
    let Account { channel, subject, organization, state, sessions_end } = account;
    text(out, channel.as_str());
    text(out, subject.as_str());
    option(out, organization.as_ref(), |out, id: &OrganizationId| text(out, id.as_str()));
    out.push(*state as u8);
    option(out, sessions_end.as_ref(), |out, at: &Moment| moment(out, *at));
}

fn attestation(out: &mut Vec<u8>, attestation: &Attestation) {
    let Attestation { id, person, claim: said, issuer, evidence, assurance, issued_at, expires_at, .. } = attestation;
    let Attestation { supersedes, means, fresh_until, channel, .. } = attestation;
    text(out, id.as_str());
    text(out, person.as_str());
    claim(out, said);
    text(out, issuer.as_str());
    text(out, evidence);
    out.push(*assurance as u8);
    moment(out, *issued_at);
    moment(out, *expires_at);
    option(out, supersedes.as_ref(), |out, id: &terms::AttestationId| text(out, id.as_str()));
    option(out, means.as_ref(), |out, means: &Means| out.push(*means as u8));
    option(out, fresh_until.as_ref(), |out, at: &Moment| moment(out, *at));
    option(out, channel.as_ref(), |out, id: &ChannelId| text(out, id.as_str()));
}

fn claim(out: &mut Vec<u8>, claim: &Claim) {
    match claim {
        Claim::UsPerson { limb } => out.extend([1, *limb as u8]),
        Claim::ForeignPerson => out.push(2),
        Claim::Citizenship { country, from, until } => tie(out, 3, *country, [from, until]),
        Claim::PermanentResidency { country, from, until } => tie(out, 4, *country, [from, until]),
        Claim::Stateless => out.push(6),
        Claim::Location { country, method } => {
            out.extend([5, *method as u8]);
            out.extend(country.as_str().bytes());
        }
    }
}

fn tie(out: &mut Vec<u8>, kind: u8, country: Country, dates: [&Option<Moment>; 2]) {
    out.push(kind);
    out.extend(country.as_str().bytes());
    for date in dates {
        option(out, date.as_ref(), |out, at: &Moment| moment(out, *at));
    }
}

fn affiliation(out: &mut Vec<u8>, affiliation: &Affiliation) {
    let Affiliation { id, person, organization, engagement, issuer, evidence, attested_at, ends_at, channel } =
        affiliation;
    for word in [id.as_str(), person.as_str(), organization.as_str(), issuer.as_str(), evidence] {
        text(out, word);
    }
    out.push(*engagement as u8);
    moment(out, *attested_at);
    moment(out, *ends_at);
    option(out, channel.as_ref(), |out, id: &ChannelId| text(out, id.as_str()));
}

fn workload(out: &mut Vec<u8>, workload: &Workload) {
    let Workload { id, purpose, organization, owners, recipients, active } = workload;
    text(out, id.as_str());
    text(out, purpose);
    text(out, organization.as_str());
    list(out, owners, |out, id: &PersonId| text(out, id.as_str()));
    list(out, recipients, |out, id: &PersonId| text(out, id.as_str()));
    out.push(u8::from(*active));
}

fn used(out: &mut Vec<u8>, traffic: &ModelTraffic) {
    let ModelTraffic { model, tokens_per_minute, calls, open_streams } = traffic;
    text(out, model.as_str());
    for count in [*tokens_per_minute, *calls, *open_streams] {
        out.extend(count.to_be_bytes());
    }
}

fn moment(out: &mut Vec<u8>, moment: Moment) {
    out.extend(moment.as_millis().to_be_bytes());
}

fn text(out: &mut Vec<u8>, text: &str) {
    length(out, text.len());
    out.extend(text.bytes());
}

fn list<T>(out: &mut Vec<u8>, items: &[T], put: impl Fn(&mut Vec<u8>, &T)) {
    length(out, items.len());
    for item in items {
        put(out, item);
    }
}

fn option<T>(out: &mut Vec<u8>, item: Option<&T>, put: impl Fn(&mut Vec<u8>, &T)) {
    out.push(u8::from(item.is_some()));
    if let Some(item) = item {
        put(out, item);
    }
}

fn length(out: &mut Vec<u8>, length: usize) {
    out.extend(u64::try_from(length).unwrap_or(u64::MAX).to_be_bytes());
}
