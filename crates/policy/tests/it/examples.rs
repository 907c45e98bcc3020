//! The documents in `examples/`, as they are published.

use std::{fs, path::Path};

use policy::{Directive, InstrumentFault, License, Status};
use serde_json::Value;

fn example(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    fs::read_to_string(folder.join(name)).unwrap()
}

fn directive(name: &str) -> Result<Directive, InstrumentFault> {
    Directive::parse(example(name).as_bytes())
}

#[test]
fn the_orders_of_the_story_are_versions_of_one_another() {
    let order = directive("june-12.directive.json").unwrap();
    let ninety_minutes = order.comply_by().unwrap().since(order.received_at());
    assert_eq!(ninety_minutes.as_secs(), 90 * 60);
    assert_eq!(order.binds_at(), order.comply_by().unwrap());
    for (name, status) in
        [("june-23-stay.directive.json", Status::Stayed), ("june-30-lifting.directive.json", Status::Lifted)]
    {
        let next = directive(name).unwrap();
        assert_eq!((next.id(), next.version(), next.status()), (order.id(), 2, status), "{name}");
        assert!(next.status_since() > order.status_since(), "{name}");
    }
}

#[test]
fn the_licenses_of_the_story_waive_the_order_for_families_that_it_names() {
    let order = directive("june-12.directive.json").unwrap();
    for name in ["annex-a.license.json", "palisade.license.json", "staff-exception.license.json"] {
        let license = License::parse(example(name).as_bytes()).unwrap();
        assert!(license.under().contains(order.id()), "{name}");
        assert!(license.families().is_subset(order.families()), "{name}");
    }
}

#[test]
fn the_kill_switch_prohibits() {
    assert!(directive("kill-switch.directive.json").unwrap().is_prohibition());
}

#[test]
fn the_order_as_it_is_typed_says_the_same_as_the_document_that_is_filed() {
    let typed: toml::Value = toml::from_str(&example("june-12.directive.toml")).unwrap();
    let mut typed: Value = serde_json::to_value(typed).unwrap();
    assert_eq!(typed["expires_at"], "null");
    typed["expires_at"] = Value::Null;
    let mut filed: Value = serde_json::from_str(&example("june-12.directive.json")).unwrap();
    filed.as_object_mut().unwrap().remove("interpretation");
    let parsed = |json: &Value| Directive::parse(json.to_string().as_bytes()).unwrap();
    assert_eq!(parsed(&typed), parsed(&filed));
}
