//! The directive desk from the command line: keys, signatures, two people, and an emergency.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "parts of a test")]

use std::{
    fs,
    process::{Command, Output},
};

use serde_json::{Value, json};
use testkit::server::Server;

use crate::world::{World, administered, answered, failed, finding, said};

const ID: &str = "DIR-2026-06-12";
const ORDER: &str = include_str!("../../../../examples/june-12.directive.json");

/// A server that asks for two approvals, and two approvers with their keys in the world's folder.
struct Desk {
    world: World,
    server: Server,
}

impl Desk {
    fn new() -> Self {
        let mut world = World::new();
        world.setup.approvals = 2;
        let server = world.setup.start().unwrap();
        let desk = Self { world, server };
        for (who, role) in [("iris", "counsel"), ("otto", "security")] {
            let key = desk.json(&["approver", "keygen", "--out", &desk.key(who)]);
            let public = key["public_key"].as_str().unwrap();
            desk.json(&["approver", "add", who, "--role", role, "--public-key", public]);
        }
        desk
    }

    fn key(&self, who: &str) -> String {
        self.world.path(&format!("{who}.jwk")).display().to_string()
    }

    /// Writes a file into the world's folder; returns its path.
    fn write(&self, name: &str, text: &str) -> String {
        let path = self.world.path(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = administered(&self.server);
        command.arg("--json").args(arguments);
        command
    }

    /// Runs a command that must succeed; returns what it answers.
    fn json(&self, arguments: &[&str]) -> Value {
        answered(&mut self.command(arguments))
    }

    /// Runs a command that must fail with exit code 1; returns what it says.
    fn fails(&self, arguments: &[&str]) -> String {
        said(&failed(&mut self.command(arguments)))
    }

    /// Signs as `who`, with more arguments; returns those that the command needs.
    fn sign<'a>(&self, who: &'a str, key: &'a str, version: &'a str, act: &'a str, more: &[&'a str]) -> Output {
        let arguments = ["directive", "sign", ID, "--version", version, "--act", act, "--key", key, "--approver", who];
        self.run(&[&arguments[..], more].concat())
    }

    fn approve(&self, who: &str, version: &str, act: &str) -> Output {
        let signed = self.sign(who, &self.key(who), version, act, &[]);
        assert!(signed.status.success(), "{}", said(&signed));
        signed
    }
}

/// The second version of the order, which names one more family.
fn amended() -> String {
    let order = include_str!("../../../../examples/june-12.directive.toml");
    order.replace("version = 1", "version = 2").replace("\"fable-5\"", "\"ember-2\", \"fable-5\"")
}

#[test]
fn an_order_is_filed_signed_by_two_and_enforced() {
    let desk = Desk::new();
    let order = desk.write("order.json", ORDER);
    assert!(desk.fails(&["directive", "apply", &order]).contains("approvals"));
    desk.json(&["directive", "file", &order]);
    let shown = said(&desk.approve("iris", "1", "apply"));
    assert!(shown.contains("iris signs: apply directive `DIR-2026-06-12` version 1"), "{shown}");
    assert!(shown.contains("foreign_person") && shown.contains("SHA-256"), "{shown}");
    assert!(desk.fails(&["directive", "enforce", ID]).contains("1 count"));
    desk.approve("otto", "1", "apply");
    let applied = desk.json(&["directive", "enforce", ID]);
    assert_eq!(applied["item"]["applied"], true);
    assert_eq!(applied["item"]["approvals"].as_array().unwrap().len(), 2);

    desk.json(&["directive", "stay", ID]);
    assert!(said(&desk.sign("iris", &desk.key("iris"), "2", "lift", &[])).contains("is filed to `stay`"));
    desk.approve("iris", "2", "stay");
    desk.approve("otto", "2", "stay");
    assert_eq!(desk.json(&["directive", "enforce", ID])["item"]["document"]["status"], "stayed");
    let back = desk.json(&["directive", "rollback", ID, "--to", "1"]);
    assert_eq!((&back["item"]["version"], &back["item"]["document"]["status"]), (&json!(3), &json!("in_force")));
    let Desk { world, server } = desk;
    assert!(server.terminate().unwrap().success());
    let report = world.verify();
    assert!(report.holds(), "{report}");
}

#[test]
fn a_signature_made_without_a_network_is_handed_in_by_somebody_else() {
    let desk = Desk::new();
    let order = desk.write("order.json", ORDER);
    desk.json(&["directive", "file", &order]);
    for who in ["iris", "otto"] {
        let signed = desk.sign(who, &desk.key(who), "1", "apply", &["--offline", &order]);
        assert!(signed.status.success(), "{}", said(&signed));
        let file = desk.write(&format!("{who}.json"), &String::from_utf8(signed.stdout).unwrap());
        desk.json(&["directive", "approve", ID, "--jws", &file]);
    }
    desk.json(&["directive", "enforce", ID, "--version", "1"]);

    let other = desk.write("other.json", &ORDER.replace("mythos-5", "ember-2"));
    let signed = desk.sign("iris", &desk.key("iris"), "1", "apply", &["--offline", &other]);
    let file = desk.write("late.json", &String::from_utf8(signed.stdout).unwrap());
    assert!(desk.fails(&["directive", "approve", ID, "--jws", &file]).contains("in force"));
}

#[test]
fn a_toml_document_is_filed_and_its_mistakes_are_named_with_line_and_column() {
    let desk = Desk::new();
    desk.json(&["directive", "file", &desk.write("order.json", ORDER)]);
    for who in ["iris", "otto"] {
        desk.approve(who, "1", "apply");
    }
    desk.json(&["directive", "enforce", ID]);
    let amended = amended();
    let bad = desk.write("bad.toml", &amended.replace("max_age_hours = ", "max_age_hours = -"));
    let line = amended.lines().position(|line| line.starts_with("max_age_hours")).unwrap() + 1;
    let said = desk.fails(&["directive", "file", &bad]);
    assert!(said.contains(&format!("bad.toml:{line}:1: evidence.max_age_hours")), "{said}");

    let filed = desk.json(&["directive", "file", &desk.write("amended.toml", &amended)]);
    let added = |changes: &Value| {
        let added = changes.as_array().unwrap().iter().find(|change| change["meaning"] == "model_family_added");
        let added = added.unwrap_or_else(|| panic!("{changes}"));
        assert_eq!((&added["new"], &added["bearing"]), (&json!("ember-2"), &json!("narrows")));
    };
    added(&filed["item"]["changes"]);
    added(&desk.json(&["directive", "diff", ID]));
    let mut table = administered(&desk.server);
    let table = table.args(["directive", "diff", ID, "--from", "1", "--to", "2"]).output().unwrap();
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(table.contains("model_family_added") && table.contains("narrows"), "{table}");
}

#[test]
fn breaking_the_glass_is_an_alarm_in_the_metrics_in_the_log_and_to_the_doctor() {
    let desk = Desk::new();
    desk.json(&["directive", "file", &desk.write("order.json", ORDER)]);
    let glass = ["directive", "enforce", ID, "--break-glass", "the letter came on a Friday night", "--minutes", "60"];
    let applied = desk.json(&glass);
    assert_eq!(applied["item"]["break_glass"]["ended"], Value::Null);
    let findings = desk.world.doctor();
    assert_eq!(finding(&findings, "break glass")["grade"], "wrong");
    assert_eq!(finding(&findings, "directive desk")["grade"], "ok");
    assert!(desk.server.log().contains("an instrument takes force without its approvals"));
    for who in ["iris", "otto"] {
        desk.approve(who, "1", "apply");
    }
    assert_eq!(finding(&desk.world.doctor(), "break glass")["grade"], "ok");
}

#[test]
fn a_desk_of_one_says_so_at_its_start_and_to_the_doctor() {
    let world = World::new();
    let server = world.setup.start().unwrap();
    assert!(server.log().contains("`desk.approvals` is 0"), "{}", server.log());
    assert_eq!(finding(&world.doctor(), "directive desk")["grade"], "look");
}
