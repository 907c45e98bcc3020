//! Employers are taken in, given tokens, expected to be heard of, and removed.

use std::time::Duration;

use axum::http::StatusCode;
use control::Fault;
use federation::NewTenant;
use serde_json::{Value, json};
use terms::{AccountState, ChannelId, Clock, Freshness};

use super::world::{World, tenant, user};

const DAY: Duration = Duration::from_hours(24);

fn acme() -> ChannelId {
    ChannelId::parse("acme-hr").unwrap()
}

async fn opens(world: &World, token: &str) -> bool {
    let header = format!("Bearer {token}");
    let reply = world.call_with("acme-hr", "GET /Users", Value::Null, &[("Authorization", &header)]).await;
    assert!(matches!(reply.status, StatusCode::OK | StatusCode::UNAUTHORIZED), "{reply:?}");
    reply.status == StatusCode::OK
}

fn roster(names: &[&str]) -> Value {
    let schemas = ["urn:exeat:scim:api:messages:1.0:Roster"];
    json!({ "schemas": schemas, "totalResults": names.len(), "externalIds": names })
}

#[tokio::test(flavor = "current_thread")]
async fn a_token_is_stored_as_a_digest_and_every_other_text_opens_nothing() {
    let world = World::new().await;
    let good = world.token("acme-hr").to_owned();
    assert!(opens(&world, &good).await);
    let stored = world.federation.read(|view| view.find("scim.token", "acme-hr")).unwrap();
    let secret = good.rsplit('_').next().unwrap();
    assert!(stored.len() == 1 && !stored[0].body.contains(&secret[..20]));
    let other = good.replace("ex_scim_", "ex_admin_");
    let mistyped = format!("{}x", &good[..good.len() - 1]);
    for token in ["", "x", &other, &mistyped, world.token("borealis-hr")] {
        assert!(!opens(&world, token).await, "{token}");
    }
    let basic = [("Authorization", "Basic YTpi")];
    let reply = world.call_with("acme-hr", "GET /Users", Value::Null, &basic).await;
    assert_eq!(
        (reply.status, reply.headers["www-authenticate"].to_str().unwrap()),
        (StatusCode::UNAUTHORIZED, "Bearer")
    );
}

#[tokio::test(flavor = "current_thread")]
async fn a_token_that_is_followed_stays_good_for_the_overlap_and_no_third_one_does() {
    let world = World::new().await;
    let first = world.token("acme-hr").to_owned();
    let second = world.scim.rotate_token(&acme(), Duration::from_hours(1)).unwrap();
    assert!(opens(&world, &first).await && opens(&world, second.reveal()).await);
    assert_eq!(world.scim.tenants().unwrap()[0].tokens.len(), 2);
    world.clock.advance(Duration::from_secs(1));
    let third = world.scim.rotate_token(&acme(), Duration::from_hours(1)).unwrap();
    assert!(
        !opens(&world, &first).await && opens(&world, second.reveal()).await && opens(&world, third.reveal()).await
    );
    world.clock.advance(Duration::from_hours(1));
    assert!(!opens(&world, second.reveal()).await && opens(&world, third.reveal()).await);
    let fourth = world.scim.rotate_token(&acme(), Duration::ZERO).unwrap();
    assert!(!opens(&world, third.reveal()).await && opens(&world, fourth.reveal()).await);
    assert_eq!(world.scim.tenants().unwrap()[0].tokens.len(), 1);
}

#[tokio::test(flavor = "current_thread")]
async fn a_channel_is_one_employers_and_what_cannot_be_agreed_is_refused() {
    let world = World::new().await;
    let stolen = NewTenant { channel: acme(), ..tenant("borealis") };
    assert!(matches!(world.scim.register(&stolen), Err(Fault::Conflict(_))));
    assert!(matches!(world.scim.register(&tenant("acme")), Err(Fault::Conflict(_))));
    assert!(matches!(world.scim.register(&tenant("nobody")), Err(Fault::NotFound { .. })));
    let hasty = NewTenant { channel: ChannelId::parse("new").unwrap(), roster_within_s: Some(60), ..tenant("acme") };
    assert!(matches!(world.scim.register(&hasty), Err(Fault::Invalid(_))));
    let nobody = ChannelId::parse("nobody").unwrap();
    assert!(matches!(world.scim.rotate_token(&nobody, DAY), Err(Fault::NotFound { .. })));
    assert!(matches!(world.scim.remove(&nobody), Err(Fault::NotFound { .. })));
    let listed = world.scim.tenants().unwrap();
    let listed: Vec<&str> = listed.iter().map(|entry| entry.channel.id.as_str()).collect();
    assert_eq!(listed, ["acme-hr", "borealis-hr"]);
}

#[tokio::test(flavor = "current_thread")]
async fn a_removed_employer_opens_nothing_at_once_and_everything_it_opened_ends() {
    let mut world = World::new().await;
    let id = world.hire("ada", json!({})).await;
    let ada = world.person(&id).id;
    world.key(&ada, "acme").await;
    let other = world.call("borealis-hr", "POST /Users", user("bo", json!({}))).await.id();
    let token = world.token("acme-hr").to_owned();
    world.scim.remove(&acme()).unwrap();
    assert!(!opens(&world, &token).await);
    let channel = world.federation.read(|view| view.channel(&acme())).unwrap().unwrap();
    assert_eq!(channel.freshness(world.clock.now()), Freshness::Stale, "its word counts for nothing");
    assert!(matches!(world.scim.register(&tenant("acme")), Err(Fault::Conflict(_))), "it is still being removed");
    world.later(Duration::from_secs(15)).await;
    assert_eq!((world.standing(&id), world.live_keys(&ada)), ((AccountState::Ended, false), 0));
    assert_eq!(world.person_of("borealis-hr", &other).accounts[0].state, AccountState::Active);
    world.register(&tenant("acme"));
    assert_eq!(world.get("acme-hr", "/Users").await.body["totalResults"], 0);
    assert_ne!(world.hire("ada", json!({})).await, id);
}

#[tokio::test(flavor = "current_thread")]
async fn a_directory_that_is_heard_of_is_fresh_and_one_that_is_silent_for_two_cycles_is_stale() {
    let mut world = World::new().await;
    let channel = ChannelId::parse("acme-2").unwrap();
    let defaults = json!({ "channel": "acme-2", "organization": "acme" });
    world.register(&serde_json::from_value(defaults).unwrap());
    let freshness = |world: &World| {
        let known = world.federation.read(|view| view.channel(&channel)).unwrap().unwrap();
        known.freshness(world.clock.now())
    };
    world.clock.advance(Duration::from_mins(39));
    assert_eq!(freshness(&world), Freshness::Fresh);
    world.clock.advance(Duration::from_mins(2));
    assert_eq!(freshness(&world), Freshness::Grace);
    let stranger = [("Authorization", "Bearer ex_scim_nobody")];
    world.call_with("acme-2", "GET /Users", Value::Null, &stranger).await;
    assert_eq!(freshness(&world), Freshness::Grace, "who is not authenticated proves nothing");
    world.get("acme-2", "/Users?count=0").await;
    assert_eq!(freshness(&world), Freshness::Fresh);
    world.clock.advance(Duration::from_mins(80));
    assert_eq!(freshness(&world), Freshness::Stale);
}

#[tokio::test(flavor = "current_thread")]
async fn who_is_missing_from_a_roster_is_suspended_and_back_on_it_restored() {
    let world = World::new().await;
    let ada = world.hire("ada", json!({ "externalId": "1" })).await;
    let bo = world.hire("bo", json!({ "externalId": "2" })).await;
    let cy = world.hire("cy", json!({ "externalId": "3", "active": false })).await;
    world.clock.advance(Duration::from_secs(1));
    let first = world.call("acme-hr", "POST /Roster", roster(&["1", "3"])).await;
    assert_eq!((&first.body["present"], &first.body["suspended"]), (&json!(2), &json!([bo])), "{first:?}");
    let states = |world: &World| [&ada, &bo, &cy].map(|id| world.standing(id).0);
    assert_eq!(states(&world), [AccountState::Active, AccountState::Suspended, AccountState::Suspended]);
    let second = world.call("acme-hr", "POST /Roster", roster(&["1", "2", "3"])).await;
    assert_eq!(second.body["restored"], json!([bo]));
    assert_eq!(states(&world), [AccountState::Active, AccountState::Active, AccountState::Suspended]);
    for bad in [
        json!({ "externalIds": ["1"], "totalResults": 1 }),
        json!({ "schemas": roster(&[])["schemas"], "externalIds": ["1"], "totalResults": 2 }),
        roster(&[]),
    ] {
        assert_eq!(world.call("acme-hr", "POST /Roster", bad.clone()).await.refusal(), (400, "invalidSyntax"), "{bad}");
    }
    assert_eq!(states(&world)[0], AccountState::Active, "a roster cut short suspends nobody");
}

#[tokio::test(flavor = "current_thread")]
async fn who_is_missing_returns_by_active_said_anew_and_not_by_a_title() {
    let world = World::new().await;
    let id = world.hire("ada", json!({ "externalId": "1" })).await;
    world.clock.advance(Duration::from_secs(1));
    world.call("acme-hr", "POST /Roster", roster(&["2"])).await;
    world.patch(&id, json!([{ "op": "add", "path": "title", "value": "Captain" }])).await;
    assert_eq!(world.standing(&id), (AccountState::Suspended, false));
    world.patch(&id, json!([{ "op": "replace", "path": "active", "value": true }])).await;
    assert_eq!(world.standing(&id), (AccountState::Active, true));
}

#[tokio::test(flavor = "current_thread")]
async fn everybody_is_suspended_of_whom_nothing_was_heard_for_as_long_as_the_roster_may_take() {
    let mut world = World::new().await;
    let daily =
        NewTenant { roster_within_s: Some(86_400), channel: ChannelId::parse("acme-2").unwrap(), ..tenant("acme") };
    world.register(&daily);
    let hire = async |world: &World, name: &str| {
        world.call("acme-2", "POST /Users", user(name, json!({ "externalId": name }))).await.id()
    };
    let state = |world: &World, id: &str| {
        let person = world.person_of("acme-2", id);
        person.accounts[0].state
    };
    let old = hire(&world, "ada").await;
    world.later(DAY - Duration::from_hours(1)).await;
    let new = hire(&world, "bo").await;
    assert_eq!([state(&world, &old), state(&world, &new)], [AccountState::Active; 2]);
    world.later(Duration::from_hours(1)).await;
    assert_eq!([state(&world, &old), state(&world, &new)], [AccountState::Suspended, AccountState::Active]);
    world.call("acme-2", "POST /Roster", roster(&["ada", "bo"])).await;
    assert_eq!([state(&world, &old), state(&world, &new)], [AccountState::Active; 2]);
    world.later(DAY - Duration::from_secs(1)).await;
    assert_eq!([state(&world, &old), state(&world, &new)], [AccountState::Active; 2]);
    world.later(Duration::from_secs(600)).await;
    assert_eq!([state(&world, &old), state(&world, &new)], [AccountState::Suspended; 2]);
}
