//! Workloads: whoever receives the output is a fixed set of people, or named with each request.

use std::{sync::Arc, time::Duration};

use identity::{Change, Holder};
use serde_json::{Value, json};
use terms::{Account, AccountState, Channel, Workload};

use super::{Told, Trusting, channel, issuer::claims, lab};
use crate::world::person;

struct Runs {
    trusting: Trusting,
    key: String,
}

impl Runs {
    /// Starts with a workload of `eve`'s for these people.
    fn with(recipients: &[&str]) -> Self {
        let trusting = Trusting::new();
        trusting.world.change(Change::Person(Arc::new(person("eve", true))));
        let holder = Holder::Workload { workload: "ci".parse().unwrap() };
        let runs = Self { key: trusting.world.key(holder), trusting };
        runs.workload("ci", recipients, &["eve"]);
        runs
    }

    fn workload(&self, id: &str, recipients: &[&str], owners: &[&str]) {
        let people = |ids: &[&str]| ids.iter().map(|id| id.parse().unwrap()).collect();
        self.trusting.world.change(Change::Workload(Arc::new(Workload {
            id: id.parse().unwrap(),
            purpose: "answers questions".to_owned(),
            organization: lab(),
            owners: people(owners),
            recipients: people(recipients),
            active: true,
        })));
    }

    /// Registers a person whom the issuer knows under the same name.
    fn known(&self, id: &str, us: bool) {
        let mut known = person(id, us);
        known.accounts = vec![Account {
            channel: "idp".parse().unwrap(),
            subject: format!("{id}@idp").parse().unwrap(),
            organization: Some(lab()),
            state: AccountState::Active,
            sessions_end: None,
        }];
        self.trusting.world.change(Change::Person(Arc::new(known)));
    }

    fn ask(&self) -> Told {
        self.trusting.bear(&self.key)
    }

    fn ask_for(&self, assertion: &str) -> Told {
        self.trusting.ask(&[("authorization", &format!("Bearer {}", self.key)), ("txn-token", assertion)])
    }

    /// Signs what the issuer says about the end user of one request.
    fn assertion(&self, jti: &str, change: impl FnOnce(&mut Value)) -> String {
        let claims = claims(|c| {
            (c["jti"], c["req_wl"]) = (json!(jti), json!("ci"));
            c["exp"] = json!(c["iat"].as_i64().unwrap() + 60);
            change(c);
        });
        self.trusting.issuer.signed("txntoken+jwt", &claims)
    }
}

#[track_caller]
fn denied(told: &Told) {
    assert_eq!(told.status, 403, "{told:?}");
}

#[test]
fn everyone_of_a_fixed_set_must_be_allowed() {
    let mut runs = Runs::with(&["ada"]);
    runs.known("minh", false);
    runs.ask().served();
    runs.workload("ci", &["ada", "minh"], &["eve"]);
    runs.ask().served();
    runs.trusting.world.june_12();
    denied(&runs.ask());
    runs.workload("ci", &["ada"], &["eve"]);
    runs.ask().served();
    // One whom nobody knows is not allowed either.
    runs.workload("ci", &["ada", "ghost"], &["eve"]);
    denied(&runs.ask());
}

#[test]
fn a_workload_that_nobody_answers_for_or_that_says_not_for_whom_is_refused() {
    let runs = Runs::with(&[]);
    denied(&runs.ask());
    runs.workload("ci", &["ada"], &["ghost"]);
    denied(&runs.ask());
}

#[test]
fn a_shared_key_without_a_person_opens_no_controlled_model() {
    let trusting = Trusting::new();
    let key = trusting.world.key(Holder::Shared);
    denied(&trusting.bear(&key));
    trusting.ask_for("ember-2", &[("x-api-key", &key)]).served();
}

#[test]
fn an_end_user_named_with_the_request_is_who_receives_the_output() {
    let mut runs = Runs::with(&[]);
    runs.known("minh", false);
    runs.ask_for(&runs.assertion("a-1", |_| {})).served();
    runs.ask_for(&runs.assertion("a-2", |c| c["sub"] = json!("minh@idp"))).served();
    runs.trusting.world.june_12();
    runs.ask_for(&runs.assertion("a-3", |_| {})).served();
    denied(&runs.ask_for(&runs.assertion("a-4", |c| c["sub"] = json!("minh@idp"))));
    let received = runs.trusting.world.upstream.received();
    assert!(received.iter().all(|request| request.headers.iter().all(|(name, _)| name != "txn-token")));
    // Where the set is fixed, the end user is one of it.
    runs.workload("ci", &["eve"], &["eve"]);
    denied(&runs.ask_for(&runs.assertion("a-5", |_| {})));
    runs.workload("ci", &["eve", "ada"], &["eve"]);
    runs.ask_for(&runs.assertion("a-6", |_| {})).served();
}

#[test]
fn an_assertion_is_good_for_one_request() {
    let runs = Runs::with(&[]);
    let assertion = runs.assertion("a-1", |_| {});
    runs.ask_for(&assertion).served();
    for _ in 0..2 {
        let again = runs.ask_for(&assertion);
        again.refused("invalid_token");
        assert!(again.message.contains("used before"), "{again:?}");
    }
    // The same name under another signature is the same message.
    runs.ask_for(&runs.assertion("a-1", |c| c["x"] = json!(1))).refused("invalid_token");
    runs.trusting.world.clock.advance(Duration::from_secs(64));
    runs.ask_for(&assertion).refused("invalid_token");
    runs.ask_for(&runs.assertion("a-2", |c| c["exp"] = json!(c["iat"].as_i64().unwrap() + 120))).served();
}

#[test]
fn an_assertion_must_be_right_in_every_part() {
    let runs = Runs::with(&[]);
    let iat = claims(|_| {})["iat"].as_i64().unwrap();
    type Change<'a> = &'a dyn Fn(&mut Value);
    let changes: [(&str, Change<'_>); 10] = [
        ("for another workload", &|c| c["req_wl"] = json!("other")),
        ("for no workload", &|c| drop(c.as_object_mut().unwrap().remove("req_wl"))),
        ("for several workloads", &|c| c["req_wl"] = json!(["ci"])),
        ("expired", &|c| (c["iat"], c["exp"]) = (json!(iat - 60), json!(iat - 6))),
        ("for too long", &|c| c["exp"] = json!(iat + 306)),
        ("from the future", &|c| c["iat"] = json!(iat + 30)),
        ("for another audience", &|c| c["aud"] = json!("https://other.example")),
        ("by another issuer", &|c| c["iss"] = json!("https://other.example")),
        ("without a name", &|c| drop(c.as_object_mut().unwrap().remove("jti"))),
        ("bound to a key", &|c| c["cnf"] = json!({ "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" })),
    ];
    for (n, (what, change)) in changes.into_iter().enumerate() {
        let told = runs.ask_for(&runs.assertion(&format!("a-{n}"), change));
        assert_eq!((told.status, told.code.as_str()), (401, "invalid_token"), "{what}: {told:?}");
    }
    let of_another_kind = claims(|c| c["req_wl"] = json!("ci"));
    runs.ask_for(&runs.trusting.issuer.signed("at+jwt", &of_another_kind)).refused("invalid_token");
    runs.ask_for(&runs.trusting.issuer.signed("JWT", &of_another_kind)).refused("invalid_token");
    let (one, two) = (runs.assertion("b-1", |_| {}), runs.assertion("b-2", |_| {}));
    let bearer = format!("Bearer {}", runs.key);
    let both = [("authorization", bearer.as_str()), ("txn-token", &one), ("txn-token", &two)];
    assert_eq!(runs.trusting.ask(&both).status, 400);
    runs.ask_for(&one).served();
}

#[test]
fn an_assertion_is_for_workloads_of_its_issuers_own_tenant() {
    let runs = Runs::with(&[]);
    let world = &runs.trusting.world;
    let key = world.key(super::ada());
    let assertion = runs.assertion("a-1", |_| {});
    let told = runs.trusting.ask(&[("authorization", &format!("Bearer {key}")), ("txn-token", &assertion)]);
    assert_eq!(told.status, 400, "a person is nobody's workload: {told:?}");
    let other = Channel { organization: Some("other-labs".parse().unwrap()), ..channel("idp", 0) };
    world.change(Change::Channel(Arc::new(other)));
    denied(&runs.ask_for(&runs.assertion("a-2", |_| {})));
}

#[test]
fn what_ends_an_end_users_session_ends_the_stream_made_for_them() {
    let runs = Runs::with(&[]);
    let (bearer, assertion) = (format!("Bearer {}", runs.key), runs.assertion("a-1", |_| {}));
    let hers = runs.trusting.stream(&[("authorization", &bearer), ("txn-token", &assertion)]);
    let effect = runs.trusting.account(AccountState::Suspended, None);
    assert_eq!((effect.examined, effect.recalled), (1, 1));
    assert!(hers.text().unwrap().contains("permission_error"));
}
