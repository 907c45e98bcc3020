//! What an employer attests of its people: taken as far as the trust list goes, and never as a way around a restriction.

use std::time::Duration;

use axum::http::StatusCode;
use control::{FederatedChange, Source};
use serde_json::{Value, json};
use terms::{Assurance, Claim, Means, UsPersonLimb};

use super::world::{EXPORT, World, user};

fn vouched(mut extension: Value) -> Value {
    let more = json!({ "attestedBy": "Bo", "attestedAt": "2026-06-12T11:00:00Z", "evidenceRef": "file 7" });
    extension.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    extension
}

#[tokio::test(flavor = "current_thread")]
async fn an_employers_vouch_becomes_attestations_under_the_trust_list() {
    let world = World::new().await;
    let said = vouched(json!({
        "usPersonBasis": "lawfulPermanentResident", "citizenships": ["FR"], "permanentResidencies": ["US"],
        "statusExpires": "2026-07-01T00:00:00Z", "workLocationCountry": "US",
    }));
    let id = world.hire("ada", json!({ EXPORT: said })).await;
    let held = world.person(&id).attestations;
    assert_eq!(held.len(), 3, "this employer is not believed about where people are: {held:?}");
    let standing = held.iter().find(|held| matches!(held.claim, Claim::UsPerson { .. })).unwrap();
    assert_eq!(standing.claim, Claim::UsPerson { limb: UsPersonLimb::LawfulPermanentResident });
    assert_eq!((standing.means, standing.assurance), (Some(Means::Vouch), Assurance::Ial2));
    assert_eq!(
        (standing.expires_at.to_string().as_str(), standing.evidence.as_str()),
        ("2026-07-01T00:00:00Z", "file 7")
    );
    let channels = held.iter().map(|held| held.channel.as_ref().unwrap().as_str());
    assert!(channels.into_iter().all(|channel| channel == "acme-hr"));
}

#[tokio::test(flavor = "current_thread")]
async fn nationality_is_stored_sealed_and_answered_only_to_its_own_employer_on_request() {
    let world = World::new().await;
    let id = world.hire("ada", json!({ "title": "Captain Nemo", EXPORT: { "citizenships": ["FR"] } })).await;
    let plain = world.get("acme-hr", &format!("/Users/{id}")).await;
    assert!(plain.body.get(EXPORT).is_none(), "{plain:?}");
    let asked = world.get("acme-hr", &format!("/Users/{id}?attributes={EXPORT}:citizenships")).await;
    assert_eq!(asked.body[EXPORT]["citizenships"], json!(["FR"]));
    let other = world.get("borealis-hr", &format!("/Users/{id}?attributes={EXPORT}:citizenships")).await;
    assert_eq!(other.status, StatusCode::NOT_FOUND);
    let filter = format!("/Users?filter={EXPORT}:citizenships%20eq%20%22FR%22");
    assert_eq!(world.get("acme-hr", &filter).await.body["totalResults"], 1);
    assert_eq!(world.get("borealis-hr", &filter).await.body["totalResults"], 0);
    let stored = world.federation.read(|view| view.documents("scim.user", "", 10)).unwrap();
    assert!(!stored[0].body.contains("Nemo") && !stored[0].terms.iter().any(|term| term.contains("ada")), "{stored:?}");
}

#[tokio::test(flavor = "current_thread")]
async fn a_change_of_nationality_leaves_the_most_restrictive_in_force_and_asks_for_a_review() {
    let world = World::new().await;
    let id = world.hire("ada", json!({ EXPORT: { "citizenships": ["IR"], "usPersonBasis": "none" } })).await;
    let restricted = world.attested(&id);
    assert_eq!((restricted.len(), world.reviews().len()), (2, 0));
    world.clock.advance(Duration::from_secs(1));
    world.say(&id, json!({ "citizenships": ["US"], "usPersonBasis": "citizen" })).await;
    let both = world.attested(&id);
    assert!(both.is_superset(&restricted) && both.len() == 4, "{both:?}");
    let reviews = world.reviews();
    assert_eq!((reviews.len(), &reviews[0].person), (1, &Some(world.person(&id).id)));
    assert!(!reviews[0].what.contains("IR"), "a review holds no personal value");
    world.clock.advance(Duration::from_secs(1));
    world.patch(&id, json!([{ "op": "add", "path": "title", "value": "Captain" }])).await;
    assert_eq!((world.attested(&id), world.reviews().len()), (both, 1), "nothing follows from a title");
}

#[tokio::test(flavor = "current_thread")]
async fn a_word_that_restricts_more_or_says_the_same_takes_the_place_of_the_one_before() {
    let world = World::new().await;
    let id = world.hire("ada", json!({ EXPORT: { "citizenships": ["US"], "usPersonBasis": "citizen" } })).await;
    world.clock.advance(Duration::from_secs(1));
    world.say(&id, json!({ "citizenships": ["US", "IR"], "usPersonBasis": "none" })).await;
    let claims = world.attested(&id);
    assert_eq!((claims.len(), world.reviews().len()), (3, 0), "{claims:?}");
    assert!(claims.iter().any(|claim| claim.contains("foreign_person")));
    world.clock.advance(Duration::from_secs(1));
    world.say(&id, vouched(json!({ "citizenships": ["US", "IR"], "usPersonBasis": "none" }))).await;
    assert_eq!((world.attested(&id).len(), world.reviews().len()), (3, 0));
    world.clock.advance(Duration::from_secs(1));
    world.patch(&id, json!([{ "op": "remove", "path": EXPORT }])).await;
    assert_eq!(world.attested(&id).len(), 0, "where nothing is said nothing is known, and nothing allowed");
}

#[tokio::test(flavor = "current_thread")]
async fn what_an_operator_withdrew_does_not_return_by_being_repeated_and_does_by_being_said_anew() {
    let world = World::new().await;
    let said = json!({ "usPersonBasis": "citizen" });
    let id = world.hire("ada", json!({ EXPORT: said.clone() })).await;
    let held = world.person(&id).attestations[0].id.clone();
    let gone = FederatedChange::Withdrawal { attestation: held, reason: "it is not so".to_owned() };
    world.federation.commit(&Source::own("test.withdraw"), |_| Ok(vec![gone])).unwrap();
    world.clock.advance(Duration::from_secs(1));
    world.patch(&id, json!([{ "op": "add", "path": "title", "value": "Captain" }])).await;
    world.call("acme-hr", &format!("PUT /Users/{id}"), user("ada", json!({ EXPORT: said.clone() }))).await;
    assert_eq!(world.attested(&id).len(), 0);
    world.say(&id, vouched(said)).await;
    assert_eq!(world.attested(&id).len(), 1);
}

#[tokio::test(flavor = "current_thread")]
async fn a_word_that_contradicts_another_source_is_kept_beside_it_and_asks_for_a_review() {
    let world = World::new().await;
    let id = world.hire("ada", json!({})).await;
    let new = json!({
        "id": "att-1", "claim": { "kind": "foreign_person" }, "issuer": "proofing", "evidence": "case 1",
        "assurance": "ial2", "issued_at": "2026-06-01T00:00:00Z", "expires_at": "2026-12-01T00:00:00Z",
    });
    let person = world.person(&id).id;
    let mut new = new;
    new["person"] = json!(person);
    let attestation: terms::Attestation = serde_json::from_value(new).unwrap();
    let held = vec![FederatedChange::Attestation(attestation)];
    world.federation.commit(&Source::own("test.attest"), |_| Ok(held)).unwrap();
    world.say(&id, json!({ "usPersonBasis": "citizen" })).await;
    assert_eq!((world.attested(&id).len(), world.reviews().len()), (2, 1));
    assert!(world.reviews()[0].what.contains("standing"));
}

#[tokio::test(flavor = "current_thread")]
async fn an_attestation_of_tomorrow_is_refused_and_one_of_long_ago_attests_nothing() {
    let world = World::new().await;
    let said = |at: &str| user("ada", json!({ EXPORT: { "usPersonBasis": "citizen", "attestedAt": at } }));
    let reply = world.call("acme-hr", "POST /Users", said("2026-06-13T00:00:00Z")).await;
    assert_eq!(reply.refusal(), (400, "invalidValue"));
    let reply = world.call("acme-hr", "POST /Users", said("1970-01-01T00:00:00Z")).await;
    assert_eq!((reply.status, world.attested(&reply.id()).len()), (StatusCode::CREATED, 0));
}
