//! A transmitter speaks about the people of its own organization and about nobody else.

use federation::{Receive, SsfReceiver, register};
use secevent::event;
use serde_json::{Value, json};
use terms::{Assurance, ChannelKind, Claim, Country};

use super::world::{World, email};

/// Claims with which an event of any type would take away all that it can.
fn worst(event: &str) -> Value {
    match event.rsplit([':', '/']).next().unwrap() {
        "notice" => json!({ "attributes": ["active", "citizenships"] }),
        "full" => json!({ "data": { "active": false, "citizenships": ["CN"] } }),
        _ => json!({
            "claims": { "nationalities": ["CN"], "employmentEnd": "2020-01-01" }, "credential_type": "x509",
            "change_type": "revoke", "namespace": "NIST-IAL", "current_status": "not-compliant",
            "previous_status": "compliant", "principal": "USER", "reason": "hijacking", "new-value": "x@acme.example",
            "current_level": if event.contains("risk") { "HIGH" } else { "nist-ial0" },
        }),
    }
}

/// Everything that may be taken from somebody.
fn standing(world: &World, person: &str) -> (terms::Person, Vec<String>) {
    (world.known(person), world.live_keys(person))
}

fn people_events() -> impl Iterator<Item = String> {
    event::types().filter(|uri| !uri.contains("/ssf/event-type/"))
}

/// Ways to name bo of borealis.
fn names_of_bo(world: &World) -> Vec<Value> {
    let address = "bo@borealis.example";
    let user = email(address);
    vec![
        user.clone(),
        json!({ "format": "iss_sub", "iss": world.borealis.issuer, "sub": address }),
        json!({ "format": "opaque", "id": address }),
        json!({ "format": "account", "uri": format!("acct:{address}") }),
        json!({ "format": "scim", "uri": format!("/Users/{address}"), "externalId": address }),
        json!({ "format": "aliases", "identifiers": [email("x@acme.example"), user] }),
        json!({ "format": "complex", "user": user, "tenant": { "format": "opaque", "id": "acme" } }),
        json!({ "format": "complex", "user": user, "tenant": { "format": "opaque", "id": "borealis" } }),
        json!({ "format": "complex", "tenant": { "format": "opaque", "id": "borealis" } }),
    ]
}

#[tokio::test]
async fn no_event_of_any_type_touches_another_organizations_people_however_they_are_named() {
    let world = World::new().await;
    let citizen = Claim::Citizenship { country: Country::parse("US").unwrap(), from: None, until: None };
    world.attest("bo-n", "bo", citizen, Assurance::Ial2, Some("borealis-oidc"));
    drop(world.key("bo", "borealis").await);
    let before = standing(&world, "bo");
    for event in people_events() {
        for subject in names_of_bo(&world) {
            world.signal(&world.acme, subject.clone(), &event, worst(&event)).await;
            assert_eq!(standing(&world, "bo"), before, "{event} about {subject}");
        }
    }
    assert!(world.reviews().is_empty(), "nor is anybody troubled about them");
}

#[tokio::test]
async fn of_a_person_of_two_organizations_each_takes_only_what_it_gave() {
    for event in people_events() {
        let world = World::new().await;
        let citizen =
            |country: &str| Claim::Citizenship { country: Country::parse(country).unwrap(), from: None, until: None };
        world.account("ada", "borealis-oidc", "ada@acme.example", Some("borealis"));
        world.attest("theirs", "ada", citizen("US"), Assurance::Ial2, Some("borealis-oidc"));
        world.attest("labs", "ada", citizen("US"), Assurance::Ial2, None);
        let theirs = world.key("ada", "borealis").await;
        let account = |world: &World| {
            let accounts = world.known("ada").accounts;
            accounts.into_iter().find(|account| account.channel.as_str() == "borealis-oidc").unwrap()
        };
        let before = account(&world);
        world.signal(&world.acme, email("ada@acme.example"), &event, worst(&event)).await;
        assert_eq!(account(&world), before, "{event}");
        assert_eq!(world.attested("ada").into_iter().collect::<Vec<_>>(), ["labs", "theirs"], "{event}");
        assert_eq!(world.live_keys("ada"), [theirs], "{event}");
    }
}

#[tokio::test]
async fn a_transmitter_of_the_laboratory_itself_does_not_speak_for_its_customers() {
    let world = World::new().await;
    world.channel("lab-oidc", ChannelKind::Oidc, "acme", None);
    let settings = SsfReceiver {
        channel: super::world::id("lab-ssf"),
        organization: None,
        tenant: Some("lab".to_owned()),
        ..world.settings("acme", &world.acme)
    };
    world.listen(&settings);
    let before = standing(&world, "ada");
    for event in people_events() {
        let token = world.set(&world.acme, &event, email("ada@acme.example"), &event, worst(&event));
        assert_eq!(world.push("lab-ssf", &token).await.status, 202, "{event}");
        assert_eq!(standing(&world, "ada"), before, "{event}");
    }
}

#[tokio::test]
async fn two_organizations_share_an_issuer_and_an_audience_only_if_their_tokens_are_told_apart() {
    let world = World::new().await;
    let secret = |name: &str| Receive::Push { authorization: Some(name.to_owned()) };
    let open = || Receive::Push { authorization: None };
    let poll = || Receive::Poll { endpoint: Some("https://idp.acme.example/poll".to_owned()), authorization: None };
    let tenants = [Some("acme".to_owned()), Some("borealis".to_owned())];
    for (own, other, tenants, is_taken) in [
        (open(), open(), [None, None], false),
        (open(), open(), [Some("acme".to_owned()), None], false),
        (open(), open(), [Some("acme".to_owned()), Some("acme".to_owned())], false),
        (open(), secret("borealis"), [None, None], false),
        (secret("one"), secret("one"), [None, None], false),
        (poll(), open(), [None, None], false),
        (open(), open(), tenants, true),
        (secret("acme"), secret("borealis"), [None, None], true),
        (poll(), secret("borealis"), [None, None], false),
        (poll(), poll(), [None, None], false),
    ] {
        let [own_tenant, other_tenant] = tenants;
        let unshared =
            SsfReceiver { audience: "https://exeat.example/b".to_owned(), ..world.settings("borealis", &world.acme) };
        world.listen(&unshared);
        world.listen(&SsfReceiver { delivery: own, tenant: own_tenant, ..world.settings("acme", &world.acme) });
        let borealis = SsfReceiver { delivery: other, tenant: other_tenant, ..world.settings("borealis", &world.acme) };
        let registered = register(&world.federation, &borealis);
        assert_eq!(registered.is_ok(), is_taken, "{:?} {:?}: {registered:?}", borealis.delivery, borealis.tenant);
        if let Err(fault) = registered {
            assert!(matches!(fault, control::Fault::Invalid(faults) if faults[0].field == "audience"));
        }
    }
}
