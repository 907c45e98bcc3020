//! What an erasure leaves: every other answer, also from a registry that is made again.

use std::{fs, time::Duration};

use axum::http::StatusCode;
use ledger::Draft;
use proof::entry::{Entry, Kind};
use serde_json::{Value, json};
use terms::{KeyId, Moment, PersonId};

use crate::{
    holds::{EPOCH, YEAR, after, erase, leave, place},
    world::{World, citizenship, employment},
};

/// Longer than any quarter of a year, shorter than two.
const QUARTER: Duration = Duration::from_secs(93 * 86_400);

async fn ask(world: &World, person: &str) -> Value {
    let question = json!({ "person": person, "organization": "larkspur-labs", "model": "mythos-5" });
    world.done("POST /admin/v1/ask", question).await["explanation"]["tried"][0]["answer"].clone()
}

/// Returns what an erasure is refused for.
async fn refused(world: &World, subject: &str, epoch: u32) -> String {
    let reply = erase(world, subject, epoch).await;
    assert_eq!(reply.status, StatusCode::CONFLICT, "{reply:?}");
    reply.body["detail"].as_str().unwrap().to_owned()
}

async fn add_minh(world: &World) {
    let minh = json!({ "id": "minh", "display_name": "Minh", "screening": "cleared" });
    world.done("POST /admin/v1/people", minh).await;
    let mut work = employment("aff-minh");
    work["person"] = json!("minh");
    world.done("POST /admin/v1/affiliations", work).await;
}

async fn mint(world: &World, person: &str) -> KeyId {
    let key = json!({ "holder": { "kind": "person", "person": person }, "organization": "larkspur-labs" });
    let minted = world.done("POST /admin/v1/keys", key).await;
    minted["item"]["id"].as_str().unwrap().parse().unwrap()
}

/// Makes the registry again from the ledger.
fn again(world: World) -> World {
    world.restart_after(|dir| fs::remove_dir_all(dir.join("registry")).unwrap())
}

#[tokio::test]
async fn after_an_erasure_every_question_about_the_past_is_still_answered() {
    let world = World::new();
    world.populate().await;
    add_minh(&world).await;
    let world = world.later(YEAR * 6);
    leave(&world).await;
    let before = ask(&world, "minh").await;
    assert_eq!(erase(&world, "person:ada", EPOCH).await.status, StatusCode::CREATED);
    assert_eq!(ask(&world, "minh").await, before);
    assert_eq!(ask(&world, "ada").await["outcome"], "refuse");
}

#[tokio::test]
async fn a_call_whose_facts_were_destroyed_is_not_explained_and_says_so() {
    let world = World::new();
    world.populate().await;
    let entry = Entry {
        subject: Some(world.ledger.pseudonym("person:ada")),
        snapshot: Some(*world.control.snapshot().digest()),
        call: Some([7; 16]),
        model: Some("mythos-5".to_owned()),
        ..Entry::new(Kind::Refusal)
    };
    let index = world.ledger.append(Draft::new(entry, "{}")).unwrap().wait().unwrap().index();
    let world = world.later(YEAR * 6);
    leave(&world).await;
    assert_eq!(erase(&world, "person:ada", EPOCH).await.status, StatusCode::CREATED);
    let line = format!("GET /admin/v1/calls/{index}/explanation");
    let asked = world.call(&world.root, &line, Value::Null).await;
    assert_eq!(asked.status, StatusCode::CONFLICT, "{asked:?}");
    assert!(asked.body["detail"].as_str().unwrap().contains("destroyed"), "{asked:?}");
}

#[tokio::test]
async fn whoever_can_do_something_is_not_erased() {
    let world = after(6).await;
    world.done("PATCH /admin/v1/people/ada", json!({ "active": true })).await;
    let key = mint(&world, "ada").await;
    assert!(refused(&world, "person:ada", EPOCH).await.contains("withdraw their access"));
    leave(&world).await;
    assert!(refused(&world, "person:ada", EPOCH).await.contains("revoke it"));
    world.done(&format!("POST /admin/v1/keys/{key}/revoke"), Value::Null).await;
    assert_eq!(erase(&world, "person:ada", EPOCH).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_subject_is_erased_from_its_earliest_quarter_on() {
    let world = World::new();
    world.populate().await;
    let world = world.later(QUARTER);
    leave(&world).await;
    let world = world.later(YEAR * 6);
    let why = refused(&world, "person:ada", EPOCH + 1).await;
    assert!(why.contains(&EPOCH.to_string()), "{why}");
    for epoch in [EPOCH, EPOCH + 1] {
        assert_eq!(erase(&world, "person:ada", epoch).await.status, StatusCode::CREATED);
    }
}

#[tokio::test]
async fn a_hold_on_an_organization_keeps_what_is_left_of_whoever_of_whom_something_was_erased() {
    let world = World::new();
    world.populate().await;
    // Its key only expires: no later entry says of which organization it was.
    world.elsewhere().await;
    let world = world.later(QUARTER);
    leave(&world).await;
    let world = world.later(YEAR * 6);
    assert_eq!(erase(&world, "person:ada", EPOCH).await.status, StatusCode::CREATED);
    let world = again(world);
    let hold = place(&world, json!({ "organization": "northgate-grid" })).await;
    let why = refused(&world, "person:ada", EPOCH + 1).await;
    assert!(why.contains(&hold), "{why}");
    let authorized = json!({ "authorization": "BIS, letter of 2032-01-02" });
    world.done(&format!("POST /admin/v1/holds/{hold}/release"), authorized).await;
    assert_eq!(erase(&world, "person:ada", EPOCH + 1).await.status, StatusCode::CREATED);
}

/// Ada is registered in one quarter, gets more in the next, and loses all of it in the third; Minh stays.
async fn story() -> (World, KeyId) {
    let world = World::new();
    world.populate().await;
    add_minh(&world).await;
    world.done("POST /admin/v1/attestations", citizenship("att-1")).await;
    let first = mint(&world, "ada").await;
    let world = world.later(QUARTER);
    let mut newer = citizenship("att-2");
    newer["supersedes"] = json!("att-1");
    world.done("POST /admin/v1/attestations", newer).await;
    let mut longer = employment("aff-ada-2");
    longer["ends_at"] = json!("2027-06-01T00:00:00Z");
    world.done("POST /admin/v1/affiliations", longer).await;
    mint(&world, "ada").await;
    let world = world.later(QUARTER);
    world.done(&format!("POST /admin/v1/keys/{first}/revoke"), Value::Null).await;
    world.done("POST /admin/v1/attestations/att-2/withdraw", json!({ "reason": "left" })).await;
    leave(&world).await;
    mint(&world, "minh").await;
    (world.later(YEAR * 6), first)
}

#[tokio::test]
async fn a_registry_made_again_after_erasures_answers_as_before_and_grants_nothing_that_was_taken_back() {
    let (mut world, first) = story().await;
    for erased in 0..3 {
        assert_eq!(erase(&world, "person:ada", EPOCH + erased).await.status, StatusCode::CREATED);
        let answers = async |world: &World| {
            let get = |path: &'static str| world.done(path, Value::Null);
            let keys = get("GET /admin/v1/keys?person=minh").await;
            [get("GET /admin/v1/people/minh").await, keys, ask(world, "minh").await]
        };
        let before = answers(&world).await;
        world = again(world);
        assert_eq!(answers(&world).await, before);
        let directory = world.control.directory();
        let ada = directory.person(&PersonId::parse("ada").unwrap());
        assert!(ada.is_none_or(|ada| !ada.active), "after {erased} more");
        assert!(directory.key(&first).is_none_or(|key| key.revoked_at.is_some()), "after {erased} more");
    }
}

#[tokio::test]
async fn what_a_source_said_of_two_people_is_not_destroyed_with_one_of_them() {
    let world = World::new();
    world.populate().await;
    add_minh(&world).await;
    let federation = world.control.federation();
    let review = |id: &str, person: &str| {
        control::FederatedChange::Review(control::Review {
            id: id.to_owned(),
            person: Some(person.parse().unwrap()),
            what: "screening".to_owned(),
            opened_at: Moment::parse("2026-06-12T12:00:00Z").unwrap(),
            closed_at: None,
        })
    };
    let own = control::Source::own("review.open");
    federation.commit(&own, |_| Ok(vec![review("one", "ada")])).unwrap();
    federation.commit(&own, |_| Ok(vec![review("both-1", "ada"), review("both-2", "minh")])).unwrap();
    let subjects: Vec<_> = world.entries().into_iter().map(|(entry, _)| entry.subject).collect();
    assert_eq!(subjects[subjects.len() - 2..], [Some(world.ledger.pseudonym("person:ada")), None]);
}
