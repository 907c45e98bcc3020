//! What a change of a user does to the person: account, affiliation, keys.

use std::time::Duration;

use axum::http::StatusCode;
use control::{FederatedChange, Source};
use serde_json::{Value, json};
use terms::{Account, AccountState, ChannelId, Clock, SubjectName};

use super::world::{EXPORT, World, patch, user};

const IN_USE: (AccountState, bool) = (AccountState::Active, true);
const OUT_OF_USE: (AccountState, bool) = (AccountState::Suspended, false);

#[tokio::test(flavor = "current_thread")]
async fn every_way_to_deactivate_takes_the_person_out_of_use_and_every_way_back_restores() {
    let world = World::new().await;
    let id = world.hire("ada", json!({ "externalId": "1" })).await;
    assert_eq!(world.standing(&id), IN_USE);
    let path = format!("/Users/{id}");
    let ways = [
        ("PATCH", patch(json!([{ "op": "replace", "path": "active", "value": false }]))),
        ("PATCH", patch(json!([{ "op": "Replace", "path": "active", "value": "False" }]))),
        ("PATCH", patch(json!([{ "op": "Add", "value": { "active": "false" } }]))),
        ("PUT", user("ada", json!({ "externalId": "1", "active": false }))),
        ("PUT", user("ada", json!({ "externalId": "1", "active": "False" }))),
    ];
    for (method, body) in ways {
        let reply = world.call("acme-hr", &format!("{method} {path}"), body.clone()).await;
        assert_eq!((reply.status, &reply.body["active"]), (StatusCode::OK, &json!(false)), "{body}");
        assert_eq!(world.standing(&id), OUT_OF_USE, "{body}");
        assert_eq!(world.get("acme-hr", &path).await.body["active"], false, "the user is still answered");
        let back = world.patch(&id, json!([{ "op": "replace", "path": "active", "value": true }])).await;
        assert_eq!((back.status, world.standing(&id)), (StatusCode::OK, IN_USE));
    }
}

#[tokio::test(flavor = "current_thread")]
async fn to_leave_the_active_state_ends_the_sessions_and_to_come_back_does_not_begin_them_again() {
    let world = World::new().await;
    let id = world.hire("ada", json!({})).await;
    world.clock.advance(Duration::from_secs(60));
    let left_at = world.clock.now();
    world.patch(&id, json!([{ "op": "replace", "path": "active", "value": false }])).await;
    world.clock.advance(Duration::from_secs(60));
    world.patch(&id, json!([{ "op": "replace", "path": "active", "value": true }])).await;
    assert_eq!(world.person(&id).accounts[0].sessions_end, Some(left_at));
}

#[tokio::test(flavor = "current_thread")]
async fn deactivation_leaves_keys_that_work_again_and_deletion_revokes_them_for_good() {
    let world = World::new().await;
    let id = world.hire("ada", json!({ "externalId": "1" })).await;
    let ada = world.person(&id).id;
    world.key(&ada, "acme").await;
    world.key(&ada, "borealis").await;
    world.patch(&id, json!([{ "op": "replace", "path": "active", "value": false }])).await;
    assert_eq!(world.live_keys(&ada), 2);
    let gone = world.call("acme-hr", &format!("DELETE /Users/{id}"), Value::Null).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(world.live_keys(&ada), 1, "the key of the other employer is not this one's to revoke");
    assert_eq!(world.standing(&id), (AccountState::Ended, false));
    assert_eq!(world.get("acme-hr", &format!("/Users/{id}")).await.status, StatusCode::NOT_FOUND);
    let again = world.call("acme-hr", &format!("DELETE /Users/{id}"), Value::Null).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "current_thread")]
async fn whoever_is_created_under_the_names_of_somebody_deleted_is_somebody_else() {
    let world = World::new().await;
    let names = json!({ "externalId": "1", "emails": [{ "value": "ada@acme.example", "type": "work" }] });
    let first = world.hire("ada", names.clone()).await;
    world.say(&first, json!({ "citizenships": ["FR"] })).await;
    let ada = world.person(&first).id;
    world.call("acme-hr", &format!("DELETE /Users/{first}"), Value::Null).await;
    let second = world.hire("ada", names).await;
    let other = world.person(&second);
    assert_ne!((&first, &ada), (&second, &other.id));
    assert_eq!((other.attestations.len(), world.standing(&second)), (0, IN_USE));
    assert_eq!(world.standing(&first), (AccountState::Ended, false));
}

#[tokio::test(flavor = "current_thread")]
async fn a_person_whom_a_registrar_linked_is_taken_up_once_and_not_by_who_comes_after() {
    let world = World::new().await;
    let bo = world.hire("bo", json!({})).await;
    let bo = world.person(&bo).id;
    let linked = Account {
        channel: ChannelId::parse("acme-hr").unwrap(),
        subject: SubjectName::parse("hr-7").unwrap(),
        organization: Some(terms::OrganizationId::parse("acme").unwrap()),
        state: AccountState::Active,
        sessions_end: None,
    };
    let registrar = Source::own("test.link");
    let person = bo.clone();
    let link = vec![FederatedChange::Account { person, account: linked }];
    world.federation.commit(&registrar, |_| Ok(link)).unwrap();
    let taken = world.call("acme-hr", "POST /Users", user("bo2", json!({ "externalId": "hr-7" }))).await;
    assert_eq!(taken.refusal(), (409, "uniqueness"), "bo is in use already");
}

#[tokio::test(flavor = "current_thread")]
async fn a_changed_external_id_asks_whether_it_is_the_same_human() {
    let world = World::new().await;
    let id = world.hire("ada", json!({ "externalId": "1" })).await;
    world.patch(&id, json!([{ "op": "replace", "path": "title", "value": "Captain" }])).await;
    assert_eq!(world.reviews().len(), 0);
    world.patch(&id, json!([{ "op": "replace", "path": "externalId", "value": "2" }])).await;
    let reviews = world.reviews();
    assert_eq!(reviews.len(), 1);
    assert!(reviews[0].what.contains("same person") && reviews[0].person == Some(world.person(&id).id));
}

#[tokio::test(flavor = "current_thread")]
async fn employment_ends_on_its_day_and_begins_on_its_day_without_another_word() {
    let world = World::new().await;
    let day = |text: &str| format!("2026-06-{text}T00:00:00Z");
    let ended = world.hire("ada", json!({ EXPORT: { "employmentEnd": day("11") } })).await;
    assert_eq!(world.standing(&ended), OUT_OF_USE);
    let ends = world.hire("bo", json!({ EXPORT: { "employmentEnd": day("14") } })).await;
    let begins = world.hire("cy", json!({ EXPORT: { "employmentStart": day("14") } })).await;
    assert_eq!((world.standing(&ends), world.standing(&begins)), (IN_USE, OUT_OF_USE));
    world.later(Duration::from_hours(24)).await;
    assert_eq!((world.standing(&ends), world.standing(&begins)), (IN_USE, OUT_OF_USE));
    world.clock.advance(Duration::from_hours(13));
    assert_eq!(world.standing(&ends), (AccountState::Active, false), "the affiliation ends by itself");
    world.later(Duration::ZERO).await;
    assert_eq!((world.standing(&ends), world.standing(&begins)), (OUT_OF_USE, IN_USE));
    world.say(&ends, json!({ "employmentEnd": day("30") })).await;
    assert_eq!(world.standing(&ends), IN_USE, "a longer employment is the employer's own word");
}

#[tokio::test(flavor = "current_thread")]
async fn what_a_signal_suspended_returns_by_active_said_anew_and_not_by_a_new_title() {
    let world = World::new().await;
    let id = world.hire("ada", json!({})).await;
    suspend(&world, &id);
    world.patch(&id, json!([{ "op": "replace", "path": "title", "value": "Captain" }])).await;
    assert_eq!(world.standing(&id).0, AccountState::Suspended);
    world.patch(&id, json!([{ "op": "replace", "path": "active", "value": true }])).await;
    assert_eq!(world.standing(&id).0, AccountState::Active);
}

/// Directories send `active` with every profile update.
#[tokio::test(flavor = "current_thread")]
async fn what_a_signal_suspended_does_not_return_by_a_replacement_that_repeats_active() {
    let world = World::new().await;
    let id = world.hire("ada", json!({})).await;
    suspend(&world, &id);
    let put = async |more| world.call("acme-hr", &format!("PUT /Users/{id}"), user("ada", more)).await;
    for more in [json!({ "title": "Captain" }), json!({ "title": "Captain" }), json!({ "active": "True" })] {
        assert_eq!(put(more.clone()).await.status, StatusCode::OK);
        assert_eq!(world.standing(&id).0, AccountState::Suspended, "{more}");
    }
    let silent = json!({ "schemas": [super::world::USER], "userName": "ada" });
    world.call("acme-hr", &format!("PUT /Users/{id}"), silent).await;
    assert_eq!(world.standing(&id).0, AccountState::Suspended, "a PUT that does not name `active` says nothing of it");
    put(json!({})).await;
    assert_eq!(world.standing(&id).0, AccountState::Suspended, "nor did they take anybody out by that");
    put(json!({ "active": false })).await;
    put(json!({})).await;
    assert_eq!(world.standing(&id).0, AccountState::Active, "their own no, and then their own yes");
}

/// Suspends a user of `acme` as a signal does.
fn suspend(world: &World, id: &str) {
    let person = world.person(id);
    let account = Account { state: AccountState::Suspended, ..person.accounts[0].clone() };
    let signal = Source::signal(account.channel.clone(), "signal.account_disabled", "jti-1");
    let change = FederatedChange::Account { person: person.id, account };
    world.federation.commit(&signal, |_| Ok(vec![change])).unwrap();
}

#[tokio::test(flavor = "current_thread")]
async fn the_ids_of_one_employer_are_unknown_to_another_and_the_same_names_are_free_to_both() {
    let world = World::new().await;
    let id = world.hire("ada", json!({ "externalId": "1" })).await;
    let other = world.call("borealis-hr", "POST /Users", user("ada", json!({ "externalId": "1" }))).await;
    assert_eq!(other.status, StatusCode::CREATED);
    assert_ne!(world.person(&id).id, world.person_of("borealis-hr", &other.id()).id);
    let path = format!("/Users/{id}");
    let off = patch(json!([{ "op": "replace", "path": "active", "value": false }]));
    for (method, body) in
        [("GET", Value::Null), ("PATCH", off), ("PUT", user("ada", json!({}))), ("DELETE", Value::Null)]
    {
        let reply = world.call("borealis-hr", &format!("{method} {path}"), body).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND, "{method}");
    }
    assert_eq!(world.standing(&id), IN_USE);
    for path in ["/Users?filter=externalId%20eq%20%221%22", "/Users?filter=id%20pr", "/Users"] {
        let found = world.get("borealis-hr", path).await;
        assert_eq!((&found.body["totalResults"], &found.body["Resources"][0]["id"]), (&json!(1), &json!(other.id())));
    }
    let stolen = [("Authorization", format!("Bearer {}", world.token("borealis-hr")))];
    let stolen = stolen.each_ref().map(|(name, value)| (*name, value.as_str()));
    let reply = world.call_with("acme-hr", &format!("GET {path}"), Value::Null, &stolen).await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
}
