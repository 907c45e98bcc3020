//! People whom only the directory of their employer knows by the name that an event uses.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    body::Body,
    http::{Request, header},
};
use federation::{Scim, ScimSettings, TrustList};
use serde_json::{Value, json};
use terms::{AccountState, IssuerId};
use tower::ServiceExt;

use super::world::{CAEP, RISC, World, email, id};

/// A user whom acme provisions, with the id that the directory has for her.
async fn provisioned(world: &World, user: Value) -> String {
    let settings = ScimSettings {
        origin: "https://exeat.example".to_owned(),
        issuers: BTreeMap::from([(id("acme-hr"), IssuerId::parse("acme-hr").unwrap())]),
        trust: Arc::new(TrustList::new(Vec::new()).unwrap()),
    };
    let scim = Arc::new(Scim::new(world.federation.clone(), Arc::clone(&world.vault), settings));
    let tenant = json!({ "channel": "acme-hr", "organization": "acme", "interval_s": 0, "grace_s": 0 });
    let token = scim.register(&serde_json::from_value(tenant).unwrap()).unwrap();
    let request = Request::post("/scim/v2/acme-hr/Users")
        .header(header::AUTHORIZATION, format!("Bearer {}", token.reveal()))
        .header(header::CONTENT_TYPE, "application/scim+json")
        .body(Body::from(user.to_string()));
    let response = scim.router().oneshot(request.unwrap()).await.unwrap();
    assert_eq!(response.status(), 201);
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    let created: Value = serde_json::from_slice(&body).unwrap();
    created["id"].as_str().unwrap().to_owned()
}

fn user() -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": "Eve.Ling@acme.example", "externalId": "00u1eve", "active": true,
    })
}

/// The state of the account of a user, and whether its sessions were ended.
fn account(world: &World, user_id: &str) -> (AccountState, bool) {
    let subject = terms::SubjectName::parse(user_id).unwrap();
    let person = world.federation.read(|view| view.account(&id("acme-hr"), &subject)).unwrap().unwrap();
    let account = world.known(person.as_str()).accounts.into_iter().find(|account| account.subject == subject);
    let account = account.unwrap();
    (account.state, account.sessions_end.is_some())
}

#[tokio::test]
async fn a_user_is_found_by_user_name_and_by_external_id() {
    let iss_sub = |iss: &str| json!({ "format": "iss_sub", "iss": iss, "sub": "00u1eve" });
    for subject in [
        email("eve.ling@ACME.example"),
        json!({ "format": "account", "uri": "acct:eve.ling@acme.example" }),
        json!({ "format": "scim", "uri": "https://scim.acme.example/Users/7", "externalId": "00u1eve" }),
        iss_sub("https://idp.acme.example"),
    ] {
        let world = World::new().await;
        let eve = provisioned(&world, user()).await;
        world.signal(&world.acme, subject.clone(), &format!("{RISC}account-disabled"), json!({})).await;
        assert_eq!(account(&world, &eve).0, AccountState::Suspended, "{subject}");
    }
    let world = World::new().await;
    let eve = provisioned(&world, user()).await;
    for subject in [iss_sub("https://idp.elsewhere.example"), email("eve@acme.example")] {
        world.signal(&world.acme, subject, &format!("{RISC}account-disabled"), json!({})).await;
    }
    world.signal(&world.borealis, email("eve.ling@acme.example"), &format!("{RISC}account-disabled"), json!({})).await;
    assert_eq!(account(&world, &eve), (AccountState::Active, false));
    world.signal(&world.acme, email("eve.ling@acme.example"), &format!("{CAEP}session-revoked"), json!({})).await;
    assert_eq!(account(&world, &eve), (AccountState::Active, true));
}

#[tokio::test]
async fn a_name_that_was_recycled_while_the_directory_still_has_it_suspends_until_the_directory_speaks() {
    let world = World::new().await;
    let eve = provisioned(&world, user()).await;
    let recycled = format!("{RISC}identifier-recycled");
    world.signal(&world.acme, email("eve.ling@acme.example"), &recycled, json!({})).await;
    assert_eq!(account(&world, &eve).0, AccountState::Suspended);
    world.signal(&world.acme, email("eve.ling@acme.example"), &format!("{RISC}account-purged"), json!({})).await;
    assert_eq!(
        account(&world, &eve).0,
        AccountState::Suspended,
        "what is over at the provider may return by the employer"
    );
}
