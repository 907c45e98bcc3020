//! Sources that agree, renew, contradict, overreach and repeat themselves.

use std::collections::BTreeSet;

use terms::{
    Account, AccountState, ChannelId, ChannelKind, Country, Engagement, LocationMethod, Means, Screening, SubjectName,
    UsPersonLimb,
};

use super::{
    super::{statement::ClaimKind, trust::TrustEntry},
    *,
};

fn moment(text: &str) -> Moment {
    Moment::parse(&format!("{text}T00:00:00Z")).unwrap()
}

fn now() -> Moment {
    moment("2026-06-01")
}

fn issuer(id: &str) -> IssuerId {
    IssuerId::parse(id).unwrap()
}

fn ada() -> Person {
    Person {
        id: PersonId::parse("ada").unwrap(),
        display_name: "Ada".to_owned(),
        screening: Screening::Cleared,
        active: true,
        attestations: Vec::new(),
        affiliations: Vec::new(),
        accounts: Vec::new(),
    }
}

/// `vendor` and `other` are believed about everything, `weak` about citizenship and up to IAL1 only.
fn trust() -> TrustList {
    let all = [
        ClaimKind::Standing,
        ClaimKind::Citizenship,
        ClaimKind::PermanentResidency,
        ClaimKind::Location,
        ClaimKind::Employment,
    ];
    let entry = |id: &str, claims: &[ClaimKind], assurance| TrustEntry {
        issuer: issuer(id),
        claims: claims.to_vec(),
        assurance,
        means: BTreeSet::new(),
        frameworks: BTreeSet::new(),
        good_for_days: None,
    };
    TrustList::new(vec![
        entry("vendor", &all, Assurance::Ial2),
        entry("other", &all, Assurance::Ial2),
        entry("weak", &[ClaimKind::Citizenship], Assurance::Ial1),
    ])
    .unwrap()
}

fn said(said: Said, day: &str) -> Statement {
    Statement {
        said,
        assurance: Assurance::Ial3,
        means: Some(Means::Document),
        framework: None,
        evidence: "file/1".to_owned(),
        issued_at: moment(day),
        expires_at: None,
    }
}

fn claims(claim: Claim, day: &str) -> Statement {
    said(Said::Claim(claim), day)
}

fn citizen(code: &str) -> Claim {
    Claim::Citizenship { country: Country::parse(code).unwrap(), from: None, until: None }
}

fn national() -> Claim {
    Claim::UsPerson { limb: UsPersonLimb::National }
}

fn at(code: &str) -> Claim {
    Claim::Location { country: Country::parse(code).unwrap(), method: LocationMethod::Declared }
}

fn hear(person: &Person, id: &str, statements: &[Statement]) -> Result<Weighed, Refusal> {
    weigh(person, &trust(), &issuer(id), None, statements, now())
}

/// Does to a person what the registry would.
fn apply(person: &mut Person, weighed: &Weighed) {
    let gone = |id: &AttestationId| {
        weighed.replaced.contains(id) || weighed.attestations.iter().any(|new| new.supersedes.as_ref() == Some(id))
    };
    person.attestations.retain(|held| !gone(&held.id));
    person.attestations.extend(weighed.attestations.iter().cloned());
    person.affiliations.retain(|held| weighed.affiliations.iter().all(|new| new.id != held.id));
    person.affiliations.extend(weighed.affiliations.iter().cloned());
}

fn heard(person: &mut Person, id: &str, statements: &[Statement]) -> Weighed {
    let weighed = hear(person, id, statements).unwrap();
    apply(person, &weighed);
    weighed
}

fn tenant(kind: ChannelKind) -> Channel {
    Channel {
        id: ChannelId::parse("acme-hr").unwrap(),
        kind,
        organization: Some(OrganizationId::parse("acme").unwrap()),
        issuer: None,
        heard_at: now(),
        interval_s: 60,
        grace_s: 60,
        enabled: true,
    }
}

#[test]
fn the_same_said_again_changes_nothing_and_newer_word_replaces_the_issuers_older_one() {
    let mut person = ada();
    let first = heard(&mut person, "vendor", &[claims(citizen("KR"), "2026-01-01")]);
    assert_eq!((first.attestations.len(), first.attestations[0].assurance), (1, Assurance::Ial2));
    assert_eq!(hear(&person, "vendor", &[claims(citizen("KR"), "2026-01-01")]).unwrap(), Weighed::default());
    let renewed = heard(&mut person, "vendor", &[claims(citizen("KR"), "2026-05-01")]);
    assert_eq!(renewed.attestations[0].supersedes.as_ref(), Some(&first.attestations[0].id));
    assert_eq!(person.attestations.len(), 1);
    let late = hear(&person, "vendor", &[claims(citizen("KR"), "2026-02-01")]).unwrap();
    assert_eq!(late, Weighed::default(), "older word that comes late is not newer");
}

#[test]
fn a_country_that_is_not_repeated_stays() {
    let mut person = ada();
    heard(&mut person, "vendor", &[claims(citizen("KR"), "2026-01-01"), claims(citizen("US"), "2026-01-01")]);
    let second = heard(&mut person, "vendor", &[claims(citizen("US"), "2026-05-01")]);
    assert_eq!(second.attestations.len(), 1);
    let held: BTreeSet<String> = person.attestations.iter().map(|held| format!("{:?}", held.claim)).collect();
    assert_eq!(held.len(), 2, "{held:?}");
}

#[test]
fn a_weaker_word_on_the_same_claim_does_not_unsay_the_stronger_one() {
    let mut person = ada();
    heard(&mut person, "vendor", &[claims(citizen("US"), "2026-01-01")]);
    let license = Statement { means: None, ..claims(citizen("US"), "2026-05-01") };
    assert_eq!(hear(&person, "vendor", &[license]).unwrap(), Weighed::default());
}

#[test]
fn sources_that_contradict_each_other_are_both_kept_and_reviewed_once() {
    let mut person = ada();
    heard(&mut person, "vendor", &[claims(national(), "2026-01-01")]);
    let against = heard(&mut person, "other", &[claims(Claim::ForeignPerson, "2026-02-01")]);
    assert_eq!((against.attestations.len(), against.attestations[0].supersedes.clone()), (1, None));
    assert_eq!((against.conflicts.len(), person.attestations.len()), (1, 2));
    assert!(against.conflicts[0].what.contains("about standing"), "{}", against.conflicts[0].what);
    let same = hear(&person, "other", &[claims(Claim::ForeignPerson, "2026-02-01")]).unwrap();
    assert_eq!(same.conflicts, [], "what is known already opens no second review");
}

#[test]
fn every_kind_of_contradiction_is_seen_and_several_citizenships_are_none() {
    let ended =
        Claim::Citizenship { country: Country::parse("KR").unwrap(), from: None, until: Some(moment("2020-01-01")) };
    let seen = |one: Claim, other: Claim| {
        let mut person = ada();
        heard(&mut person, "vendor", &[claims(one, "2026-05-20")]);
        heard(&mut person, "other", &[claims(other, "2026-05-21")]).conflicts.len()
    };
    assert_eq!(seen(at("US"), at("FR")), 1);
    assert_eq!(seen(at("US"), at("US")), 0);
    assert_eq!(seen(Claim::Stateless, citizen("KR")), 1);
    assert_eq!(seen(citizen("KR"), Claim::Stateless), 1);
    assert_eq!(seen(Claim::Stateless, ended.clone()), 0);
    assert_eq!(seen(citizen("KR"), ended), 1);
    assert_eq!(seen(citizen("KR"), citizen("US")), 0);
    assert_eq!(seen(citizen("US"), Claim::ForeignPerson), 0, "a question of law, not of fact: counsel reads it");
}

#[test]
fn one_message_that_contradicts_itself_replaces_no_part_of_itself() {
    let mut person = ada();
    heard(&mut person, "vendor", &[claims(national(), "2026-01-01")]);
    let both = [claims(national(), "2026-05-01"), claims(Claim::ForeignPerson, "2026-05-01")];
    let weighed = heard(&mut person, "vendor", &both);
    assert_eq!((weighed.attestations.len(), weighed.conflicts.len(), person.attestations.len()), (2, 1, 2));
    let superseded: Vec<_> = weighed.attestations.iter().filter_map(|new| new.supersedes.as_ref()).collect();
    assert_eq!(superseded.len(), 1, "what is held is replaced once");
}

#[test]
fn what_an_issuer_is_not_believed_about_is_left_out_and_named() {
    let weighed =
        hear(&ada(), "weak", &[claims(citizen("US"), "2026-01-01"), claims(national(), "2026-01-01")]).unwrap();
    assert_eq!((weighed.attestations.len(), weighed.attestations[0].assurance), (1, Assurance::Ial1));
    assert!(matches!(weighed.mistrusted[..], [Mistrust::Kind { .. }]));
    let refused = hear(&ada(), "weak", &[claims(national(), "2026-01-01")]).unwrap_err();
    assert_eq!(refused.to_string(), "nothing of it is believed: issuer `weak` is not trusted for `standing`");
    assert!(matches!(hear(&ada(), "nobody", &[claims(citizen("US"), "2026-01-01")]), Err(Refusal::Untrusted(_))));
}

#[test]
fn of_several_proofs_of_one_claim_the_best_counts() {
    let weak = Statement { assurance: Assurance::Ial1, ..claims(citizen("US"), "2026-05-01") };
    let short = Statement { expires_at: Some(moment("2026-07-01")), ..claims(citizen("US"), "2026-05-01") };
    let best = claims(citizen("US"), "2026-05-01");
    let weighed = hear(&ada(), "vendor", &[weak, short, best]).unwrap();
    assert_eq!(weighed.attestations.len(), 1);
    assert_eq!(weighed.attestations[0].assurance, Assurance::Ial2);
    assert_eq!(weighed.attestations[0].fresh_until, Some(moment("2027-05-01")));
}

#[test]
fn a_tenants_channel_speaks_about_its_own_people_only_and_not_once_it_is_off() {
    let trust = trust();
    let word = [claims(at("US"), "2026-05-20")];
    let through =
        |person: &Person, channel: &Channel| weigh(person, &trust, &issuer("vendor"), Some(channel), &word, now());
    let channel = tenant(ChannelKind::Scim);
    assert!(matches!(through(&ada(), &channel), Err(Refusal::NotTheirs { .. })));
    let mut known = ada();
    known.accounts.push(Account {
        channel: channel.id.clone(),
        subject: SubjectName::parse("u-1").unwrap(),
        organization: channel.organization.clone(),
        state: AccountState::Active,
        sessions_end: None,
    });
    let weighed = through(&known, &channel).unwrap();
    assert_eq!(weighed.attestations[0].channel.as_ref(), Some(&channel.id));
    let off = Channel { enabled: false, ..channel.clone() };
    assert!(matches!(through(&known, &off), Err(Refusal::ChannelOff(_))));
    let global = Channel { organization: None, ..channel };
    assert!(through(&ada(), &global).is_ok());
}

#[test]
fn employment_becomes_an_affiliation_with_the_tenant_and_is_renewed_in_place() {
    let employed = |organization: &str, day: &str| {
        let organization = OrganizationId::parse(organization).unwrap();
        said(Said::Employment { organization, engagement: Engagement::Employee, ends_at: None }, day)
    };
    let mut person = ada();
    let first = heard(&mut person, "vendor", &[employed("acme", "2026-05-01")]);
    assert_eq!(first.affiliations[0].ends_at, moment("2026-07-30"));
    let again = heard(&mut person, "vendor", &[employed("acme", "2026-05-31")]);
    assert_eq!((again.affiliations.len(), person.affiliations.len()), (1, 1));
    assert_eq!(hear(&person, "vendor", &[employed("acme", "2026-05-02")]).unwrap().affiliations, []);
    let channel = tenant(ChannelKind::Scim);
    let other = weigh(&person, &trust(), &issuer("vendor"), Some(&channel), &[employed("umbra", "2026-05-31")], now());
    assert!(matches!(other, Err(Refusal::Untrusted(why)) if matches!(why[..], [Mistrust::Elsewhere { .. }])));
    let unproved = Statement { means: None, ..employed("acme", "2026-05-31") };
    assert_eq!(hear(&ada(), "vendor", &[unproved]).unwrap().affiliations, []);
}

#[test]
fn more_statements_than_a_person_can_have_are_refused() {
    let many = vec![claims(citizen("US"), "2026-05-01"); 65];
    assert!(matches!(hear(&ada(), "vendor", &many), Err(Refusal::TooMany)));
}
