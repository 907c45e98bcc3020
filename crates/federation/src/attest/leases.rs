//! Evidence as it ages, from the word of a source to the decision: fresh, in grace and over at the exact instants.

use std::{collections::BTreeSet, time::Duration};

use control::{FederatedChange, Source};
use policy::{Determination, Reliance, standing_at};
use serde_json::{Value, json};
use terms::{Affiliation, Assurance, ChannelId, IssuerId, Moment, PersonId, Standing, UsPersonLimb};

use super::{ClaimKind, TrustEntry, TrustList, accept, verified_claims};
use crate::{page::Known, world::World};

const DAY: Duration = Duration::from_hours(24);

fn trust() -> TrustList {
    let entry = |issuer: &str, framework: &str| TrustEntry {
        issuer: IssuerId::parse(issuer).unwrap(),
        claims: vec![ClaimKind::Standing, ClaimKind::Citizenship],
        assurance: Assurance::Ial2,
        means: BTreeSet::new(),
        frameworks: BTreeSet::from([framework.to_owned()]),
        good_for_days: None,
    };
    TrustList::new(vec![entry("vendor", "us_nist_800_63_4"), entry("employer", "exeat_employer")]).unwrap()
}

/// Commits what `issuer` verified about Ada now, as it comes through `channel`.
fn verify(world: &World, (issuer, channel): (&str, &str), framework: &str, evidence: Value, claims: Value) {
    let (channel, issuer) = (ChannelId::parse(channel).unwrap(), IssuerId::parse(issuer).unwrap());
    let said = json!({
        "verification": {
            "trust_framework": framework, "assurance_level": "ial2", "time": world.now().to_string(),
            "evidence": [evidence],
        },
        "claims": claims,
    });
    let ada = PersonId::parse("ada").unwrap();
    let source = Source::evidence(channel.clone(), "test.verified", "message");
    let made = world.federation().commit(&source, |view| {
        let statements = verified_claims(&said, "file/1", view.now()).unwrap();
        Ok(accept(view, &trust(), &ada, &issuer, Some(&channel), &statements, view.now())?)
    });
    made.unwrap();
}

fn document(kind: &str, expiry: &str) -> Value {
    let details = json!({ "type": kind, "date_of_expiry": expiry, "issuer": { "country_code": "US" } });
    json!({ "type": "document", "document_details": details })
}

/// A world in which an order bars foreign persons, with Ada employed for years to come and a channel of each kind that is
/// always heard, so that nothing but the evidence in question ends.
fn world() -> World {
    let world = World::new();
    world.direct(|order| {
        order["evidence"]["max_age_hours"] = json!(8_784);
        order["entity_scope"] = json!({ "deny": "none" });
    });
    let federation = world.federation();
    let proofing = ChannelId::parse("proofing").unwrap();
    let channel = federation.read(|view| view.channel(&proofing)).unwrap().unwrap();
    let held = world.ada().affiliations.remove(0);
    let changes = vec![
        FederatedChange::Channel(terms::Channel { interval_s: 0, ..channel }),
        FederatedChange::Affiliation(Affiliation { ends_at: world.now().plus(DAY * 1_000), ..held }),
    ];
    federation.commit(&Source::own("test"), |_| Ok(changes)).unwrap();
    world
}

/// Where Ada stands now, and until when that is so.
fn standing(world: &World) -> (Standing, Moment) {
    let channels = world.federation().read(|view| view.channels()).unwrap();
    let relied = channels.iter().map(|channel| Reliance { channel: channel.id.clone(), until: channel.stale_at() });
    standing_at(&world.ada(), &relied.collect::<Vec<_>>(), world.now())
}

/// What the gateway would answer Ada now: true for a permit, and up to when.
fn answer(world: &World) -> (bool, Moment) {
    let ada = PersonId::parse("ada").unwrap();
    let known = Known::find(&world.federation(), &ada).unwrap().unwrap();
    match &known.decided(&world.control.snapshot())[..] {
        [(_, Determination::Permit(permit))] => (true, permit.valid_until()),
        [(_, Determination::Refuse(refusal))] => (false, refusal.valid_until()),
        other => panic!("{other:?}"),
    }
}

/// The moment before.
fn before(moment: Moment) -> Moment {
    Moment::from_millis(moment.as_millis() - 1)
}

fn wait(world: &World, until: Moment) {
    world.clock.advance(until.since(world.now()));
}

#[test]
fn a_nationality_by_passport_is_fresh_for_a_year_then_in_grace_for_a_week_then_over() {
    let world = world();
    let start = world.now();
    verify(
        &world,
        ("vendor", "proofing"),
        "us_nist_800_63_4",
        document("passport", "2035-01-01"),
        json!({ "nationalities": ["US"] }),
    );
    let (fresh_until, over) = (start.plus(DAY * 365), start.plus(DAY * 372));
    for held in world.ada().attestations {
        assert_eq!((held.fresh_until, held.expires_at), (Some(fresh_until), over), "{:?}", held.claim);
    }
    let national = Standing::UsPerson(UsPersonLimb::National);
    assert_eq!(standing(&world), (national, over));
    assert_eq!(answer(&world), (true, start.plus(DAY * 366)), "the order itself takes none older than 366 days");
    wait(&world, before(over));
    assert_eq!(standing(&world), (national, over));
    wait(&world, over);
    assert_eq!(standing(&world).0, Standing::Unattested);
}

#[test]
fn a_vouch_is_relied_on_for_ninety_days_and_seven_of_grace_and_a_call_ends_at_that_very_moment() {
    let world = world();
    let start = world.now();
    assert!(!answer(&world).0);
    let us = json!({ "us_person": { "basis": "citizen" } });
    verify(&world, ("employer", "larkspur-hr"), "exeat_employer", json!({ "type": "vouch" }), us);
    let hr = ChannelId::parse("larkspur-hr").unwrap();
    let heard = |world: &World| world.federation().heard(&hr, world.now()).unwrap();
    let over = start.plus(DAY * 97);
    assert_eq!(world.ada().attestations[0].fresh_until, Some(start.plus(DAY * 90)));
    wait(&world, start.plus(DAY * 97 - Duration::from_mins(5)));
    heard(&world);
    assert_eq!(answer(&world), (true, over), "the earliest of all leases");
    wait(&world, before(over));
    assert_eq!(answer(&world), (true, over));
    wait(&world, over);
    assert!(!answer(&world).0);
}

#[test]
fn a_green_card_that_expires_ends_its_holders_calls_at_that_very_moment_and_without_grace() {
    for (expiry, over) in [("2026-12-24", "2026-12-24T00:00:00Z"), ("2036-01-01", "2027-02-18T12:00:00Z")] {
        let (world, over) = (world(), Moment::parse(over).unwrap());
        let card = document("permanent_resident_card", expiry);
        let claims = json!({ "us_person": { "basis": "lawful_permanent_resident" } });
        verify(&world, ("vendor", "proofing"), "us_nist_800_63_4", card, claims);
        assert_eq!(world.ada().attestations[0].fresh_until, None, "there is no grace");
        assert_eq!(answer(&world), (true, over));
        wait(&world, before(over));
        assert!(answer(&world).0);
        wait(&world, over);
        assert!(!answer(&world).0);
    }
}

#[test]
fn a_status_that_ends_before_its_document_ends_first() {
    let world = world();
    let card = document("permanent_resident_card", "2036-01-01");
    let claims = json!({ "us_person": { "basis": "lawful_permanent_resident", "expires_at": "2026-12-01" } });
    verify(&world, ("vendor", "proofing"), "us_nist_800_63_4", card, claims);
    assert_eq!(answer(&world), (true, Moment::parse("2026-12-01T00:00:00Z").unwrap()));
}

#[test]
fn what_an_employer_says_counts_until_its_directory_is_silent_for_too_long_and_again_once_it_is_heard() {
    let world = world();
    let start = world.now();
    let us = json!({ "us_person": { "basis": "citizen" } });
    verify(&world, ("employer", "larkspur-hr"), "exeat_employer", json!({ "type": "vouch" }), us);
    let hr = ChannelId::parse("larkspur-hr").unwrap();
    let over = start.plus(Duration::from_secs(3_600 + 600));
    assert_eq!(answer(&world), (true, over), "the interval and the grace of the channel");
    wait(&world, before(over));
    assert!(answer(&world).0);
    wait(&world, over);
    assert!(!answer(&world).0, "nothing was said, and nothing was heard");
    world.federation().heard(&hr, world.now()).unwrap();
    assert_eq!(answer(&world), (true, over.plus(Duration::from_secs(3_600 + 600))));
}

#[test]
fn an_employment_that_a_license_covers_counts_until_the_employers_directory_is_silent_for_too_long() {
    let world = world();
    world.license(|license| {
        license["grantees"] = json!({ "organizations": ["larkspur"], "own_staff": false });
        license["beneficiaries"] = json!({ "employee_scope": "direct" });
        license["territory"] = json!({ "exclude_groups": [], "unsettled_groups": [] });
    });
    let claims = json!({ "us_person": { "basis": "none" } });
    let record = json!({ "type": "electronic_record", "record": { "type": "immigration_register" } });
    verify(&world, ("vendor", "proofing"), "us_nist_800_63_4", record, claims);
    assert!(answer(&world).0, "by the registrar's word");
    let held = world.ada().affiliations.remove(0);
    let hr = ChannelId::parse("larkspur-hr").unwrap();
    let rests = FederatedChange::Affiliation(Affiliation { channel: Some(hr.clone()), ..held });
    world.federation().commit(&Source::own("test"), |_| Ok(vec![rests])).unwrap();
    let over = world.now().plus(Duration::from_secs(3_600 + 600));
    assert_eq!(answer(&world), (true, over));
    wait(&world, over);
    assert!(!answer(&world).0);
    world.federation().heard(&hr, world.now()).unwrap();
    assert!(answer(&world).0);
}
