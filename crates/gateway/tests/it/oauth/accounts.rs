//! A token of the deployment's own stands for a person for as long as the account by which it came is theirs.

use std::sync::Arc;

use control::FederatedChange;
use identity::Change;
use serde_json::json;
use terms::{AccountState, Person};
use testkit::http::Answer;

use super::{
    Trusting,
    aside::Issues,
    signals::{Plane, account, cut},
};
use crate::world::person;

fn stream(trusting: &Trusting, token: &str) -> Answer {
    trusting.stream(&[("authorization", &format!("Bearer {token}"))])
}

/// What a source said last of the account: that the name is nobody's.
fn gone() -> FederatedChange {
    let FederatedChange::Account { person, account } = account(AccountState::Active) else { unreachable!() };
    FederatedChange::AccountGone { person, account }
}

#[test]
fn a_token_of_our_own_ends_with_the_account_that_it_came_by_and_its_stream_at_once() {
    let Issues { trusting, keys } = Issues::new();
    let (plane, token) = (Plane::of(trusting, 0), keys.token(|_| {}));
    let hers = stream(&plane.trusting, &token);
    let effect = plane.signal("signal.identifier_changed", gone());
    assert_eq!((effect.examined, effect.recalled), (1, 1));
    cut(hers);
    plane.trusting.bear(&token).refused("invalid_token");
    plane.on_record("signal.identifier_changed", 1);
    let report = plane.audited();
    assert!(report.holds() && report.replays.not_possible == 0, "{report}");
}

#[test]
fn a_token_of_our_own_ends_when_the_name_that_it_came_by_is_somebody_elses() {
    let Issues { trusting, keys } = Issues::new();
    let token = keys.token(|_| {});
    let hers = stream(&trusting, &token);
    let accounts = trusting.world.directory.person(&"ada".parse().unwrap()).unwrap().accounts.clone();
    let eve = Person { accounts, ..person("eve", true) };
    let effect = trusting.world.change(Change::Person(Arc::new(eve)));
    assert_eq!((effect.examined, effect.recalled), (1, 1));
    cut(hers);
    trusting.bear(&token).refused("invalid_token");
    // The one who has the name now gets tokens of their own.
    trusting.bear(&keys.token(|c| (c["sub"], c["jti"]) = (json!("person:eve"), json!("t-2")))).served();
}

#[test]
fn sessions_that_ended_stay_ended_when_their_account_is_gone() {
    let Issues { trusting, keys } = Issues::new();
    let token = keys.token(|_| {});
    trusting.account(AccountState::Active, Some(crate::world::now()));
    trusting.bear(&token).refused("invalid_token");
    trusting.world.change(Change::Person(Arc::new(person("ada", true))));
    trusting.bear(&token).refused("invalid_token");
}
