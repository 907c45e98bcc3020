//! What holds in every world.

use std::{collections::BTreeMap, sync::Arc};

use policy::{CallerFacts, Determination, Directive, Facts, License, Snapshot, SnapshotDocument, Status, decide};
use proptest::prelude::*;
use terms::{Attestation, Claim, Coverage, Moment, Organization, Person, Screening};

use crate::world::{World, documents, location, worlds};

proptest! {
    #![proptest_config(ProptestConfig { cases: 160, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn until_its_last_moment_a_determination_is_the_same_whenever_it_is_asked_for(world in worlds(), part in 0.0..1.0_f64) {
        let snapshot = compiled(&world.document);
        let determination = decide(&snapshot, &world.facts);
        let (from, until) = (world.facts.at.as_millis(), valid_until(&determination).as_millis());
        prop_assert!(from < until);
        let span = (until - from).min(1_000 * 3_600_000);
        #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "any moment within will do")]
        let within = from + (span as f64 * part) as i64;
        for at in [within, until - 1] {
            let facts = Facts { at: Moment::from_millis(at), ..world.facts.clone() };
            prop_assert_eq!(&decide(&snapshot, &facts), &determination);
        }
    }

    #[test]
    fn the_order_of_what_is_known_never_matters(world in worlds()) {
        let snapshot = compiled(&world.document);
        let mut facts = world.facts.clone();
        facts.organizations.reverse();
        facts.consumed.reverse();
        let facts = with_people(facts, |person| {
            person.attestations.reverse();
            person.affiliations.reverse();
        });
        prop_assert_eq!(decide(&snapshot, &facts), decide(&snapshot, &world.facts));
        let mut document = world.document.clone();
        document.models.reverse();
        document.directives.reverse();
        document.licenses.reverse();
        prop_assert_eq!(*compiled(&document).digest(), *snapshot.digest());
    }

    #[test]
    fn what_speaks_against_a_caller_never_turns_a_refusal_into_a_permit(world in worlds()) {
        let snapshot = compiled(&world.document);
        let refused = matches!(decide(&snapshot, &world.facts), Determination::Refuse(_));
        prop_assume!(refused);
        for (what, worse) in worsened(&world.facts) {
            let refused = matches!(decide(&snapshot, &worse), Determination::Refuse(_));
            prop_assert!(refused, "{}", what);
        }
        for document in restricted(&world.document) {
            let refused = matches!(decide(&compiled(&document), &world.facts), Determination::Refuse(_));
            prop_assert!(refused, "{:?}", document.directives);
        }
    }

    #[test]
    fn a_stay_and_a_vacatur_give_every_caller_the_answer_they_would_have_without_the_orders(world in worlds()) {
        let without = SnapshotDocument { directives: Vec::new(), licenses: Vec::new(), ..world.document.clone() };
        let before = without_digest(&decide(&compiled(&without), &world.facts));
        for status in [Status::Stayed, Status::Vacated] {
            let ended = compiled(&all_turned(&world.document, status, world.facts.at));
            prop_assert_eq!(without_digest(&decide(&ended, &world.facts)), before.clone(), "{:?}", status);
        }
    }

    #[test]
    fn taking_evidence_away_never_turns_a_hold_into_a_permit(world in worlds()) {
        let snapshot = compiled(&world.document);
        let facts = with_organizations(world.facts, |o| o.coverage = Coverage::None);
        let held = matches!(decide(&snapshot, &facts), Determination::Refuse(refusal) if refusal.is_hold());
        prop_assume!(held);
        let questions: [fn(&Person) -> Person; 4] =
            [without_standing, without_location, without_nationality, unaffiliated];
        for question in questions {
            let fewer = with_people(facts.clone(), |person| *person = question(person));
            prop_assert!(matches!(decide(&snapshot, &fewer), Determination::Refuse(_)));
        }
        let fewer = SnapshotDocument { licenses: Vec::new(), ..world.document };
        prop_assert!(matches!(decide(&compiled(&fewer), &facts), Determination::Refuse(_)));
    }

    #[test]
    fn a_permit_names_its_basis_and_a_refusal_of_a_controlled_model_says_what_would_clear_a_hold(world in worlds()) {
        match decide(&compiled(&world.document), &world.facts) {
            Determination::Permit(permit) => prop_assert!(!permit.basis().is_empty()),
            Determination::Refuse(refusal) => {
                let says_how = refusal.message().contains("to clear this");
                prop_assert_eq!(says_how, refusal.is_hold());
                prop_assert!(!refusal.message().contains("ada"));
            }
        }
    }

    #[test]
    fn an_instrument_comes_back_from_its_text_as_it_was_however_it_is_laid_out(document in documents()) {
        for directive in &document.directives {
            prop_assert_eq!(Directive::parse(&serde_json::to_vec(directive).unwrap()), Ok(directive.clone()));
            prop_assert_eq!(Directive::parse(&serde_json::to_vec_pretty(directive).unwrap()), Ok(directive.clone()));
        }
        for license in &document.licenses {
            prop_assert_eq!(License::parse(&serde_json::to_vec(license).unwrap()), Ok(license.clone()));
        }
    }

    #[test]
    fn canonical_bytes_compile_to_the_same_bytes_and_digest(document in documents()) {
        let snapshot = compiled(&document);
        let parsed: SnapshotDocument = serde_json::from_slice(&snapshot.canonical()).unwrap();
        let again = compiled(&parsed);
        prop_assert_eq!(again.canonical(), snapshot.canonical());
        prop_assert_eq!(again.digest(), snapshot.digest());
    }
}

/// Keeps the latest version of each directive, and adds one with another status that speaks from `at` on.
fn all_turned(document: &SnapshotDocument, status: Status, at: Moment) -> SnapshotDocument {
    let latest: BTreeMap<_, _> = document.directives.iter().map(|directive| (directive.id(), directive)).collect();
    let both = latest.into_values().flat_map(|directive| [directive.clone(), directive.with_status(status, at)]);
    SnapshotDocument { directives: both.collect(), ..document.clone() }
}

/// Spells a determination whole, but for the digest of its snapshot.
fn without_digest(determination: &Determination) -> String {
    match determination {
        Determination::Permit(permit) => format!(
            "permit {} {:?} {:?} {:?} {}",
            permit.model(),
            permit.basis(),
            permit.flags(),
            permit.obligations(),
            permit.valid_until()
        ),
        Determination::Refuse(refusal) => format!(
            "{} {:?} {:?} {}",
            refusal.message(),
            refusal.denied_by(),
            refusal.remedies(),
            refusal.valid_until()
        ),
    }
}

fn compiled(document: &SnapshotDocument) -> Snapshot {
    Snapshot::compile(document.clone()).unwrap()
}

fn valid_until(determination: &Determination) -> Moment {
    match determination {
        Determination::Permit(permit) => permit.valid_until(),
        Determination::Refuse(refusal) => refusal.valid_until(),
    }
}

fn worsened(facts: &Facts) -> Vec<(&'static str, Facts)> {
    let mut revoked = facts.clone();
    revoked.credential.revoked = true;
    vec![
        ("revoked", revoked),
        ("blocked", with_people(facts.clone(), |p| listed(p, Screening::Blocked))),
        ("denied", with_people(facts.clone(), |p| listed(p, Screening::DeniedPerson))),
        ("unscreened", with_people(facts.clone(), |p| listed(p, Screening::Review))),
        ("inactive", with_people(facts.clone(), |p| p.active = false)),
        ("in Iran", with_people(facts.clone(), |p| add_location(p, "IR"))),
        ("owned by blocked", with_organizations(facts.clone(), |o| owned(o, Coverage::Blocked))),
        ("owned by listed", with_organizations(facts.clone(), |o| owned(o, Coverage::EntityList))),
        ("ownership unknown", with_organizations(facts.clone(), |o| owned(o, Coverage::Undetermined))),
        ("reselling", with_organizations(facts.clone(), |o| o.resells = true)),
        ("declared for nothing", undeclared(facts)),
        ("headquartered nowhere known", with_organizations(facts.clone(), |o| o.headquarters = None)),
        ("tied to nobody", with_organizations(facts.clone(), |o| o.ties.clear())),
        ("foreign", with_organizations(facts.clone(), |o| o.kind = terms::OrganizationKind::Foreign)),
        ("nothing counted", Facts { consumed: Vec::new(), ..facts.clone() }),
        ("nobody heard", Facts { channels: Vec::new(), ..facts.clone() }),
        ("locked out", with_people(facts.clone(), |p| p.accounts.iter_mut().for_each(suspend))),
    ]
}

fn suspend(account: &mut terms::Account) {
    account.state = terms::AccountState::Suspended;
}

fn undeclared(facts: &Facts) -> Facts {
    let mut facts = facts.clone();
    facts.credential.end_use = None;
    facts
}

/// Lists a person that was cleared; to adjudicate a pending match is evidence, not a forbidding fact.
fn listed(person: &mut Person, screening: Screening) {
    if person.screening == Screening::Cleared {
        person.screening = screening;
    }
}

/// Finds owners of an organization that was clear; to resolve undetermined ownership is evidence.
fn owned(organization: &mut Organization, coverage: Coverage) {
    if matches!(organization.coverage, Coverage::None | Coverage::RedFlag) {
        organization.coverage = coverage;
    }
}

/// Adds the directive of June 12 as it came, to what is in force.
fn restricted(document: &SnapshotDocument) -> Vec<SnapshotDocument> {
    let json = include_str!("../../../../examples/june-12.directive.json");
    let mut more = document.clone();
    more.directives.push(Directive::parse(json.as_bytes()).unwrap());
    vec![more]
}

fn add_location(person: &mut Person, country: &str) {
    let Some(any) = person.attestations.first().cloned() else {
        return;
    };
    person.attestations.push(Attestation {
        id: terms::AttestationId::parse("added").unwrap(),
        claim: location(country),
        issuer: terms::IssuerId::parse("third").unwrap(),
        supersedes: None,
        ..any
    });
}

fn is_standing(claim: &Claim) -> bool {
    matches!(claim, Claim::UsPerson { .. } | Claim::ForeignPerson)
}

fn is_location(claim: &Claim) -> bool {
    matches!(claim, Claim::Location { .. })
}

fn without_standing(person: &Person) -> Person {
    without(person, is_standing)
}

fn without_location(person: &Person) -> Person {
    without(person, is_location)
}

fn without_nationality(person: &Person) -> Person {
    without(person, |claim| {
        matches!(claim, Claim::Citizenship { .. } | Claim::PermanentResidency { .. } | Claim::Stateless)
    })
}

fn without(person: &Person, question: fn(&Claim) -> bool) -> Person {
    let mut person = person.clone();
    person.attestations.retain(|attestation| !question(&attestation.claim));
    person
}

fn unaffiliated(person: &Person) -> Person {
    Person { affiliations: Vec::new(), ..person.clone() }
}

pub(crate) fn with_people(mut facts: Facts, change: impl Fn(&mut Person)) -> Facts {
    let changed = |person: &mut Arc<Person>| change(Arc::make_mut(person));
    match &mut facts.caller {
        CallerFacts::Person { person } => changed(person),
        CallerFacts::Workload { owners, recipients, .. } => owners.iter_mut().chain(recipients).for_each(changed),
        CallerFacts::Unbound => {}
    }
    facts
}

fn with_organizations(mut facts: Facts, change: impl Fn(&mut Organization)) -> Facts {
    for organization in &mut facts.organizations {
        change(Arc::make_mut(organization));
    }
    facts
}

/// Keeps the generator honest: worlds of every verdict occur.
#[test]
fn the_generated_worlds_are_not_all_alike() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut tally = [0_usize; 3];
    for _ in 0..300 {
        let World { document, facts } = worlds().new_tree(&mut runner).unwrap().current();
        let place = match decide(&compiled(&document), &facts) {
            Determination::Permit(_) => 0,
            Determination::Refuse(refusal) if refusal.is_hold() => 1,
            Determination::Refuse(_) => 2,
        };
        tally[place] += 1;
    }
    assert!(tally.iter().all(|count| *count >= 20), "{tally:?}");
}
