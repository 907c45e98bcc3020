//! A change from the command line: planned, proved, applied, and what the plan said holds.

#![expect(clippy::unwrap_used, reason = "parts of a test")]

use std::{fs, process::Output};

use serde_json::Value;
use testkit::server::Server;

use crate::world::{World, administered, finding, populate, said};

const ORDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/june-12.directive.json");

/// A server with two people, one of them foreign, that proves what it puts in force.
struct Desk {
    world: World,
    server: Server,
}

impl Desk {
    fn new(solver: &str) -> Self {
        let mut world = World::new();
        world.setup.solver = Some(solver.to_owned());
        let server = world.setup.start().unwrap();
        Self { world, server }
    }

    fn path(&self, name: &str) -> String {
        self.world.path(name).display().to_string()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        administered(&self.server).args(arguments).output().unwrap()
    }

    fn text(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.text(&[arguments, &["--json"]].concat())).unwrap()
    }

    fn codes(&self) -> Vec<String> {
        self.world.record().into_iter().filter_map(|recorded| recorded.entry.code).collect()
    }
}

#[test]
fn a_plan_says_who_loses_what_is_sealed_in_the_log_and_comes_true() {
    let desk = Desk::new("cvc5");
    populate(&desk.server);
    let (saved, page, pictures) = (desk.path("plan.json"), desk.path("plan.html"), desk.path("pictures"));
    let made = desk.json(&[
        "directive",
        "plan",
        ORDER,
        "--save",
        &saved,
        "--html",
        &page,
        "--pictures",
        &pictures,
        "--replay",
        "2026-01-01T00:00:00Z",
        "--as-if-in-force",
    ]);
    let model = made["report"]["models"].as_array().unwrap().iter().find(|model| model["model"] == "mythos-5").unwrap();
    assert_eq!(model["turn_off"]["reach"]["keys"], 1, "the foreign person's key");
    assert_eq!(model["after"]["permit"]["keys"], 1, "the citizen's");
    assert_eq!(model["keeps"][0]["basis"][0], "DIR-2026-06-12.us-person");
    assert!(made["report"]["matrix"]["cells"].as_array().unwrap().len() >= 4);
    let proofs = made["proofs"]["properties"].as_array().unwrap();
    assert!(proofs.iter().any(|property| property["id"] == "I1"));
    assert!(proofs.iter().all(|property| property["verdict"]["verdict"] == "proved"), "{proofs:?}");
    assert!(fs::read_to_string(&page).unwrap().to_lowercase().starts_with("<!doctype html>"));
    assert!(fs::read_dir(&pictures).unwrap().count() >= 3);
    assert!(desk.codes().contains(&"plan.make".to_owned()));

    assert!(desk.text(&["plan", "show", &saved]).contains("mythos-5"));
    let seal = &made["seal"];
    // Until the next checkpoint covers it, a receipt is not there yet.
    let check = || desk.run(&["plan", "check", &saved, "--json"]);
    let covered = (0..500).map(|_| check()).find(|output| output.status.success()).unwrap();
    let checked: Value = serde_json::from_slice(&covered.stdout).unwrap();
    assert_eq!((&checked["sha256"], &checked["entry"]), (&seal["sha256"], &seal["entry"]));
    let forged = fs::read_to_string(&saved).unwrap().replacen("\"keys\":1", "\"keys\":2", 1);
    fs::write(&saved, forged).unwrap();
    let refused = desk.run(&["plan", "check", &saved]);
    assert!(!refused.status.success() && said(&refused).contains("was changed"), "{}", said(&refused));

    desk.json(&["directive", "apply", ORDER]);
    let codes = desk.codes();
    let place = |code: &str| codes.iter().position(|known| known == code);
    assert!(place("proofs.passed").unwrap() < place("directive.apply").unwrap(), "{codes:?}");
    let answer =
        |who: &str| desk.json(&["ask", "--person", who, "--organization", "larkspur-labs", "--model", "mythos-5"]);
    for (who, outcome) in [("ada", "permit"), ("minh", "refuse")] {
        let answer = answer(who).to_string();
        assert!(answer.contains(&format!("\"outcome\":\"{outcome}\"")), "{who}: {answer}");
    }
}

#[test]
fn a_plan_of_a_document_that_cannot_be_says_where_and_why_and_nothing_is_made() {
    let desk = Desk::new("cvc5");
    let wrong = desk.path("wrong.json");
    let order = fs::read_to_string(ORDER).unwrap();
    fs::write(&wrong, order.replace("\"max_age_hours\": 24", "\"max_age_hours\": 0")).unwrap();
    let refused = said(&desk.run(&["directive", "plan", &wrong]));
    assert!(refused.contains("evidence.max_age_hours") && refused.contains("documents.0"), "{refused}");
    assert!(!desk.codes().contains(&"plan.make".to_owned()));
}

#[test]
fn without_a_solver_nothing_goes_live_unless_somebody_says_why_on_record() {
    let desk = Desk::new("no-such-solver");
    let doctor = desk.world.doctor();
    assert_eq!(finding(&doctor, "proofs")["grade"], "wrong", "{doctor:?}");
    desk.json(&["directive", "file", ORDER]);
    let refused = said(&desk.run(&["directive", "enforce", "DIR-2026-06-12"]));
    assert!(refused.contains("NOTHING WAS PROVED") && refused.contains("cvc5"), "{refused}");
    assert!(!desk.codes().contains(&"directive.apply".to_owned()));
    let reason = "the letter gives ninety minutes and the solver is being installed";
    desk.json(&["directive", "enforce", "DIR-2026-06-12", "--without-proofs", reason]);
    let codes = desk.codes();
    assert!(codes.contains(&"proofs.overridden".to_owned()) && codes.contains(&"directive.apply".to_owned()));
}
