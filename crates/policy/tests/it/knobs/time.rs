//! When an order is enforced, and which of its versions speaks.

use serde_json::json;

use super::{Desk, LIFTING, STAY, edited, order};

const FREE: &str = "permit base.no-license-required";
const BARRED: &str = "deny foreign_person_barred";

#[test]
fn an_order_is_enforced_when_its_grace_is_over_and_not_before() {
    let desk = Desk::ordered(json!({
        "effective_at": "2026-06-29T15:00:00Z", "grace_minutes": 30, "comply_by": "2026-06-29T15:30:00Z",
    }));
    assert_eq!((desk.answer(), desk.until()), (FREE.to_owned(), "2026-06-29T15:30:00Z".to_owned()));
    assert_eq!(desk.clone().at("15:29:59.999").answer(), FREE);
    assert_eq!(desk.at("15:30:00").answer(), BARRED);
}

#[test]
fn without_grace_an_order_is_enforced_when_it_takes_effect() {
    let desk = Desk::ordered(json!({"effective_at": "2026-06-29T15:00:00Z"}));
    assert_eq!(desk.clone().at("14:59:59.999").answer(), FREE);
    assert_eq!(desk.at("15:00:00").answer(), BARRED);
}

#[test]
fn an_order_ends_by_its_own_terms() {
    let desk = Desk::ordered(json!({"expires_at": "2026-06-29T16:00:00Z"}));
    assert_eq!((desk.answer(), desk.until()), (BARRED.to_owned(), "2026-06-29T16:00:00Z".to_owned()));
    assert_eq!(desk.at("16:00:00").answer(), FREE);
}

#[test]
fn a_version_that_waits_takes_over_by_itself_and_every_answer_ends_there() {
    let waiting = order(2, json!({"status": "lifted", "status_since": "2026-06-29T16:00:00Z"}));
    let desk = Desk::ordered(json!({})).and(waiting);
    assert_eq!((desk.answer(), desk.until()), (BARRED.to_owned(), "2026-06-29T16:00:00Z".to_owned()));
    assert_eq!(desk.clone().at("15:59:59.999").answer(), BARRED);
    assert_eq!(desk.at("16:00:00").answer(), FREE);
}

#[test]
fn a_version_that_waits_can_also_begin_to_bind() {
    let waiting = order(2, json!({"status_since": "2026-06-29T16:00:00Z"}));
    let desk = Desk::ordered(json!({"status": "lifted"})).and(waiting);
    assert_eq!((desk.answer(), desk.until()), (FREE.to_owned(), "2026-06-29T16:00:00Z".to_owned()));
    assert_eq!(desk.at("16:00:00").answer(), BARRED);
}

#[test]
fn a_later_version_with_a_higher_number_overrides_one_that_waits() {
    let lifting = order(2, json!({"status": "lifted", "status_since": "2026-06-29T16:00:00Z"}));
    let instead = order(3, json!({"status_since": "2026-06-29T15:30:00Z"}));
    let desk = Desk::ordered(json!({})).and(lifting).and(instead);
    for time in ["15:00:00", "15:30:00", "16:00:00", "20:00:00"] {
        assert_eq!(desk.clone().at(time).answer(), BARRED, "{time}");
    }
}

#[test]
fn an_order_that_is_not_in_force_gives_exactly_the_answer_that_there_was_before_it() {
    let before = Desk::empty();
    for status in ["pending", "stayed", "vacated", "superseded", "lifted"] {
        let next = order(2, json!({"status": status, "status_since": "2026-06-29T14:59:59Z"}));
        let after = Desk::ordered(json!({})).and(next);
        assert_eq!(Desk::ordered(json!({})).answer(), BARRED);
        assert_eq!(after.whole(), before.whole(), "{status}");
        assert_ne!(after.compile().unwrap().digest(), before.compile().unwrap().digest());
    }
}

#[test]
fn the_stay_and_the_lifting_of_the_examples_restore_exactly_the_answer_that_there_was_before() {
    for (text, time) in [(STAY, "2026-06-23T19:40:00Z"), (LIFTING, "2026-06-30T12:00:00Z")] {
        let at = |desk: Desk, time: &str| {
            let moved = desk.with("/at", json!(time)).with("/credential/expires_at", json!("2026-07-30T00:00:00Z"));
            moved.citizen().works_for("northgate-grid")
        };
        let (before, after) = (Desk::empty(), Desk::ordered(json!({})).and(edited(text, json!({}))));
        assert_eq!(at(after.clone(), time).whole(), at(before, time).whole());
        let just_before = at(after, time).with("/at", json!("2026-06-23T19:39:59Z"));
        assert!(!just_before.answer().contains("no-license-required"), "{}", just_before.answer());
    }
}

#[test]
fn versions_of_a_license_govern_as_those_of_an_order() {
    let waiting =
        edited(super::ANNEX, json!({"version": 2, "status": "lifted", "status_since": "2026-06-29T16:00:00Z"}));
    let desk = Desk::licensed(json!({})).under(waiting);
    let (answer, until) = (desk.answer(), desk.until());
    assert_eq!((answer.as_str(), until.as_str()), ("permit LTR-2026-06-26.grantees", "2026-06-29T16:00:00Z"));
    assert_eq!(desk.at("16:00:00").answer(), BARRED);
}
