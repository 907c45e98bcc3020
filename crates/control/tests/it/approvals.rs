//! Two people approve what is put in force, and neither of them proposed it.

use std::{collections::BTreeMap, time::Duration};

use axum::http::StatusCode;
use control::{Actor, ApprovalAct, ApproverKey, DeskPolicy, InstrumentKind, Role};
use proof::entry::Kind;
use serde_json::{Value, json};
use terms::{Clock, Moment, PersonId};

use crate::{
    desk::june_12,
    world::{Reply, World},
};

const DIRECTIVE: &str = "/admin/v1/directives/DIR-2026-06-12";

/// A desk that asks for two approvals, and people who can give them.
pub(crate) struct Desk {
    pub(crate) world: World,
    keys: BTreeMap<String, ApproverKey>,
}

impl Desk {
    /// Iris is counsel, Nora too, and Otto is of security.
    pub(crate) async fn new() -> Self {
        Self::over(World::with_desk(DeskPolicy::default())).await
    }

    /// The same people in another world.
    pub(crate) async fn over(world: World) -> Self {
        let mut desk = Self { world, keys: BTreeMap::new() };
        for (id, role) in [("iris", "counsel"), ("nora", "counsel"), ("otto", "security")] {
            let key = ApproverKey::generate().unwrap();
            desk.world.done("POST /admin/v1/approvers", approver(id, role, &key)).await;
            desk.keys.insert(id.to_owned(), key);
        }
        desk
    }

    /// Files a document as root.
    pub(crate) async fn file(&self, document: Value) -> Value {
        self.world.done("POST /admin/v1/directives", document).await
    }

    /// Returns what `who` signs for the latest version, good for an hour.
    pub(crate) async fn signed(&self, who: &str, path: &str) -> Value {
        let shown = self.world.done(&format!("GET {path}"), Value::Null).await;
        self.sign(who, &shown["versions"][0]["document"], self.world.clock.now().plus(Duration::from_hours(1)))
    }

    pub(crate) fn sign(&self, who: &str, document: &Value, until: Moment) -> Value {
        self.sign_act(who, &ApprovalAct::on(document, until).unwrap())
    }

    pub(crate) fn sign_act(&self, who: &str, act: &ApprovalAct) -> Value {
        let jws = self.keys[who].sign(act, &PersonId::parse(who).unwrap()).unwrap();
        json!({ "act": act, "jws": jws })
    }

    pub(crate) async fn hand_in(&self, path: &str, signed: Value) -> Reply {
        self.world.call(&self.world.root, &format!("POST {path}/approvals"), signed).await
    }

    pub(crate) async fn approve(&self, who: &str, path: &str) {
        let reply = self.hand_in(path, self.signed(who, path).await).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{reply:?}");
    }

    pub(crate) async fn apply(&self, path: &str) -> Reply {
        self.world.call(&self.world.root, &format!("POST {path}/apply"), Value::Null).await
    }

    /// Requires that a signature is refused, naming `field`, and that nothing is recorded of it.
    async fn refuses(&self, signed: Value, field: &str) -> String {
        let before = self.world.entries().len();
        let reply = self.world.refused(&format!("POST {DIRECTIVE}/approvals"), signed, field).await;
        assert_eq!(self.world.entries().len(), before);
        reply.body["errors"][0]["detail"].as_str().unwrap().to_owned()
    }

    fn in_force(&self) -> usize {
        self.world.control.snapshot().document().directives.len()
    }
}

fn approver(id: &str, role: &str, key: &ApproverKey) -> Value {
    json!({ "id": id, "role": role, "public_key": key.public() })
}

/// Requires that an act waits for approvals; returns the places of what is missing.
pub(crate) fn unapproved(reply: &Reply) -> Vec<String> {
    assert_eq!(reply.status, StatusCode::CONFLICT, "{reply:?}");
    assert_eq!(reply.body["type"], "urn:exeat:problem:unapproved");
    let errors = reply.body["errors"].as_array().unwrap().iter();
    errors.map(|error| error["field"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_directive_takes_force_once_two_people_in_two_roles_have_signed_it() {
    let desk = Desk::new().await;
    let filed = desk.file(june_12(1)).await;
    assert_eq!(filed["item"]["applied"], false);
    for who in ["iris", "otto"] {
        assert_eq!(unapproved(&desk.apply(DIRECTIVE).await)[0], "approvals");
        desk.approve(who, DIRECTIVE).await;
    }
    assert_eq!(desk.in_force(), 0);
    assert_eq!(desk.apply(DIRECTIVE).await.status, StatusCode::OK);
    assert_eq!(desk.in_force(), 1);
    let shown = desk.world.done(&format!("GET {DIRECTIVE}"), Value::Null).await;
    let approvals = shown["versions"][0]["approvals"].as_array().unwrap().iter();
    let approvals: Vec<_> = approvals.map(|one| (one["approver"].clone(), one["role"].clone())).collect();
    assert_eq!(approvals, [(json!("iris"), json!("counsel")), (json!("otto"), json!("security"))]);
}

#[tokio::test]
async fn a_turn_is_proposed_approved_and_applied_like_a_version() {
    let desk = Desk::new().await;
    desk.file(june_12(1)).await;
    for who in ["iris", "otto"] {
        desk.approve(who, DIRECTIVE).await;
    }
    desk.apply(DIRECTIVE).await;
    let proposed = desk.world.done(&format!("POST {DIRECTIVE}/stay"), Value::Null).await;
    assert_eq!((&proposed["item"]["applied"], &proposed["item"]["version"]), (&json!(false), &json!(2)));
    let status = || desk.world.control.snapshot().document().directives[0].status();
    assert_eq!(status(), policy::Status::InForce);
    for who in ["iris", "otto"] {
        desk.approve(who, DIRECTIVE).await;
    }
    assert_eq!(desk.apply(DIRECTIVE).await.status, StatusCode::OK);
    assert_eq!(status(), policy::Status::Stayed);
    let codes = desk.world.codes(Kind::Snapshot);
    assert_eq!(codes, ["config.load", "directive.apply", "directive.stay"]);
}

#[tokio::test]
async fn where_approvals_are_needed_nothing_takes_force_in_one_step() {
    let desk = Desk::new().await;
    let before = desk.world.entries().len();
    let line = "POST /admin/v1/directives?apply=true";
    let reply = desk.world.call(&desk.world.root, line, june_12(1)).await;
    assert_eq!(unapproved(&reply), ["approvals"]);
    let officer = Actor::process("demo", Role::Root);
    let admin = desk.world.control.admin(&officer);
    let kind = InstrumentKind::Directive;
    assert!(admin.officer().unwrap().file_and_apply(kind, june_12(1).to_string().as_bytes()).is_err());
    assert_eq!((desk.world.entries().len(), desk.in_force()), (before, 0));
}

#[tokio::test]
async fn one_person_approves_once_and_two_of_one_role_count_once() {
    let desk = Desk::new().await;
    desk.file(june_12(1)).await;
    desk.approve("iris", DIRECTIVE).await;
    let again = desk.hand_in(DIRECTIVE, desk.signed("iris", DIRECTIVE).await).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    desk.approve("nora", DIRECTIVE).await;
    assert_eq!(unapproved(&desk.apply(DIRECTIVE).await), ["approvals", "approvals.nora"]);
    desk.approve("otto", DIRECTIVE).await;
    assert_eq!(desk.apply(DIRECTIVE).await.status, StatusCode::OK);
}

#[tokio::test]
async fn who_proposed_a_version_does_not_approve_it() {
    let desk = Desk::new().await;
    let mint = json!({ "role": "officer", "label": "otto's", "person": "otto" });
    let minted = desk.world.done("POST /admin/v1/admin-tokens", mint).await;
    assert_eq!(minted["item"]["person"], "otto");
    let filed = desk.world.call(minted["key"].as_str().unwrap(), "POST /admin/v1/directives", june_12(1)).await;
    let proposer = format!("token:{}", minted["item"]["id"].as_str().unwrap());
    assert_eq!(filed.body["item"]["proposer"], proposer.as_str());
    let why = desk.refuses(desk.signed("otto", DIRECTIVE).await, "jws").await;
    assert!(why.contains("`otto` proposed this"), "{why}");

    // The same holds for whoever is known to the process by that name, and after the token is gone.
    let revoke = format!("POST /admin/v1/admin-tokens/{}/revoke", minted["item"]["id"].as_str().unwrap());
    desk.world.done(&revoke, Value::Null).await;
    desk.refuses(desk.signed("otto", DIRECTIVE).await, "jws").await;
    let iris = Actor::process("iris", Role::Officer);
    let admin = desk.world.control.admin(&iris);
    admin.officer().unwrap().file(InstrumentKind::Directive, june_12(2).to_string().as_bytes()).unwrap();
    desk.refuses(desk.signed("iris", DIRECTIVE).await, "jws").await;
}

#[tokio::test]
async fn a_signature_over_anything_but_the_filed_version_is_refused_by_what_differs() {
    let desk = Desk::new().await;
    desk.file(june_12(1)).await;
    let until = Moment::parse("2026-06-12T13:00:00Z").unwrap();
    let mut other = june_12(1);
    other["models"]["families"] = json!(["fable-5"]);
    desk.refuses(desk.sign("iris", &other, until), "act.document_sha256").await;
    desk.refuses(desk.sign("iris", &june_12(2), until), "act.version").await;
    let mut lifted = june_12(1);
    lifted["status"] = json!("lifted");
    desk.refuses(desk.sign("iris", &lifted, until), "act.act").await;
    let mut foreign = june_12(1);
    foreign["id"] = json!("DIR-2026-06-13");
    desk.refuses(desk.sign("iris", &foreign, until), "act.id").await;

    // What is said beside the signature is not what was signed.
    let mut moved = desk.sign("iris", &june_12(1), until);
    moved["act"]["valid_until"] = json!("2026-06-12T14:00:00Z");
    assert!(desk.refuses(moved, "jws").await.contains("does not verify"));
    let mut borrowed = desk.sign("iris", &june_12(1), until);
    borrowed["jws"] = desk.sign("otto", &other, until)["jws"].clone();
    assert!(desk.refuses(borrowed, "jws").await.contains("does not verify"));
}

#[tokio::test]
async fn a_missing_or_ill_formed_signature_is_refused() {
    let desk = Desk::new().await;
    desk.file(june_12(1)).await;
    let good = desk.signed("iris", DIRECTIVE).await;
    let line = format!("POST {DIRECTIVE}/approvals");
    for field in ["act", "jws"] {
        let mut lacking = good.clone();
        lacking.as_object_mut().unwrap().remove(field);
        desk.world.refused(&line, lacking, field).await;
    }
    for bad in ["", "a..b", "a.b.c"] {
        let mut spoiled = good.clone();
        spoiled["jws"] = json!(bad);
        desk.refuses(spoiled, "jws").await;
    }
    let mut extended = good.clone();
    extended["act"]["note"] = json!("and everything else");
    desk.world.refused(&line, extended, "act.note").await;
    desk.world.done("POST /admin/v1/approvers/iris/revoke", Value::Null).await;
    assert!(desk.refuses(good, "jws").await.contains("revoked"));
}

#[tokio::test]
async fn an_unknown_approver_and_one_with_another_key_sign_in_vain() {
    let mut desk = Desk::new().await;
    desk.file(june_12(1)).await;
    desk.keys.insert("mallory".to_owned(), ApproverKey::generate().unwrap());
    let why = desk.refuses(desk.signed("mallory", DIRECTIVE).await, "jws").await;
    assert!(why.contains("`mallory`, who is no approver"), "{why}");
    desk.keys.insert("iris".to_owned(), ApproverKey::generate().unwrap());
    assert!(desk.refuses(desk.signed("iris", DIRECTIVE).await, "jws").await.contains("does not verify"));
}

#[tokio::test]
async fn an_approval_ends_at_its_time_and_can_be_given_again() {
    let desk = Desk::new().await;
    desk.file(june_12(1)).await;
    let past = Moment::parse("2026-06-12T12:00:00Z").unwrap();
    desk.refuses(desk.sign("iris", &june_12(1), past), "act.valid_until").await;
    let late = Moment::parse("2026-07-12T12:00:00.001Z").unwrap();
    desk.refuses(desk.sign("iris", &june_12(1), late), "act.valid_until").await;
    for who in ["iris", "otto"] {
        desk.approve(who, DIRECTIVE).await;
    }
    desk.world.clock.advance(Duration::from_hours(1));
    assert_eq!(unapproved(&desk.apply(DIRECTIVE).await), ["approvals", "approvals.iris", "approvals.otto"]);
    for who in ["iris", "otto"] {
        desk.approve(who, DIRECTIVE).await;
    }
    assert_eq!(desk.apply(DIRECTIVE).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_key_revoked_after_it_signed_no_longer_counts_also_if_another_is_registered() {
    let mut desk = Desk::new().await;
    desk.file(june_12(1)).await;
    for who in ["iris", "otto"] {
        desk.approve(who, DIRECTIVE).await;
    }
    desk.world.done("POST /admin/v1/approvers/otto/revoke", Value::Null).await;
    assert_eq!(unapproved(&desk.apply(DIRECTIVE).await), ["approvals", "approvals.otto"]);
    let key = ApproverKey::generate().unwrap();
    desk.world.done("POST /admin/v1/approvers", approver("otto", "security", &key)).await;
    assert_eq!(unapproved(&desk.apply(DIRECTIVE).await), ["approvals", "approvals.otto"]);
    desk.keys.insert("otto".to_owned(), key);
    desk.approve("otto", DIRECTIVE).await;
    assert_eq!(desk.apply(DIRECTIVE).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_version_filed_between_approval_and_application_needs_approvals_of_its_own() {
    let desk = Desk::new().await;
    desk.file(june_12(1)).await;
    desk.approve("iris", DIRECTIVE).await;
    let late = desk.signed("otto", DIRECTIVE).await;
    desk.file(june_12(2)).await;
    let reply = desk.hand_in(DIRECTIVE, late).await;
    assert_eq!(reply.status, StatusCode::CONFLICT, "{reply:?}");
    desk.approve("otto", DIRECTIVE).await;
    assert_eq!(unapproved(&desk.apply(DIRECTIVE).await), ["approvals"]);
    let line = format!("POST {DIRECTIVE}/apply");
    let first = desk.world.call(&desk.world.root, &line, json!({ "version": 1 })).await;
    assert_eq!(first.status, StatusCode::CONFLICT);
    assert_eq!(desk.in_force(), 0);
}

#[tokio::test]
async fn two_approvers_never_share_a_key_and_one_has_one_key_at_a_time() {
    let desk = Desk::new().await;
    let line = "POST /admin/v1/approvers";
    let shared = approver("mallory", "executive", &desk.keys["iris"]);
    desk.world.refused(line, shared, "public_key").await;
    let second = approver("iris", "executive", &ApproverKey::generate().unwrap());
    assert_eq!(desk.world.call(&desk.world.root, line, second).await.status, StatusCode::CONFLICT);
    desk.world.done("POST /admin/v1/approvers/iris/revoke", Value::Null).await;
    let again = approver("iris", "counsel", &desk.keys["iris"]);
    desk.world.refused(line, again, "public_key").await;
    let mut weak = approver("vera", "counsel", &desk.keys["iris"]);
    weak["public_key"] = json!("AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    desk.world.refused(line, weak, "public_key").await;
    let listed = desk.world.done("GET /admin/v1/approvers", Value::Null).await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn approvals_and_proposers_are_made_again_from_the_ledger() {
    let desk = Desk::new().await;
    desk.file(june_12(1)).await;
    desk.approve("iris", DIRECTIVE).await;
    desk.world.done("POST /admin/v1/approvers/nora/revoke", Value::Null).await;
    let lines = [format!("GET {DIRECTIVE}"), "GET /admin/v1/approvers".to_owned()];
    let mut before = Vec::new();
    for line in &lines {
        before.push(desk.world.done(line, Value::Null).await);
    }
    let Desk { world, keys } = desk;
    let world = world.restart_after(|dir| std::fs::remove_dir_all(dir.join("registry")).unwrap());
    for (line, before) in lines.iter().zip(before) {
        assert_eq!(world.done(line, Value::Null).await, before, "{line}");
    }
    let desk = Desk { world, keys };
    desk.approve("otto", DIRECTIVE).await;
    assert_eq!(desk.apply(DIRECTIVE).await.status, StatusCode::OK);
}

#[tokio::test]
async fn each_start_records_how_many_approvals_the_desk_asks_for() {
    let desk = Desk::new().await;
    let world = desk.world.restart();
    let policies = |world: &World| {
        let entries = world.entries().into_iter();
        let policies = entries.filter(|(entry, _)| entry.code.as_deref() == Some("desk.policy"));
        policies.map(|(_, private)| serde_json::from_str::<Value>(&private).unwrap()["approvals"].clone()).collect()
    };
    let recorded: Vec<Value> = policies(&world);
    assert_eq!(recorded, [2, 2]);
    assert_eq!(policies(&World::new()), [json!(0)]);
    let health = world.done("GET /admin/v1/health", Value::Null).await;
    assert_eq!(health["approvals_needed"], 2);
}

#[tokio::test]
async fn what_changes_is_told_when_a_version_is_filed() {
    let world = World::new();
    let first = world.done("POST /admin/v1/directives?apply=true", june_12(1)).await;
    assert_eq!(first["item"]["changes"], json!([]));
    let mut next = june_12(2);
    next["models"]["families"] = json!(["fable-5", "mythos-5"]);
    next["person_scope"]["unknown"] = json!("hold");
    let filed = world.done("POST /admin/v1/directives", next).await;
    assert_eq!(
        filed["item"]["changes"],
        json!([
            { "path": "/models/families", "meaning": "model_family_added", "old": null, "new": "fable-5",
              "bearing": "narrows" },
            { "path": "/person_scope/unknown", "meaning": "scope_changed", "old": "deny", "new": "hold",
              "bearing": "unknown" },
        ])
    );
}

#[tokio::test]
async fn what_an_earlier_version_said_comes_back_as_the_next_version() {
    let desk = Desk::new().await;
    desk.file(june_12(1)).await;
    for who in ["iris", "otto"] {
        desk.approve(who, DIRECTIVE).await;
    }
    assert_eq!(desk.apply(DIRECTIVE).await.status, StatusCode::OK);
    let mut more = june_12(2);
    more["models"]["families"] = json!(["fable-5", "mythos-5"]);
    desk.file(more).await;
    let line = format!("POST {DIRECTIVE}/rollback");
    for to in [2, 9] {
        desk.world.refused(&line, json!({ "to": to }), "to").await;
    }
    for who in ["iris", "otto"] {
        desk.approve(who, DIRECTIVE).await;
    }
    assert_eq!(desk.apply(DIRECTIVE).await.status, StatusCode::OK);
    desk.world.clock.advance(Duration::from_hours(1));
    let filed = desk.world.done(&line, json!({ "to": 1 })).await;
    let (item, document) = (&filed["item"], &filed["item"]["document"]);
    assert_eq!((&item["version"], &item["applied"]), (&json!(3), &json!(false)));
    assert_eq!(document["models"]["families"], json!(["mythos-5"]));
    assert_eq!(document["status_since"], "2026-06-12T13:00:00Z");
    let bearings = item["changes"].as_array().unwrap().iter().map(|change| change["bearing"].as_str().unwrap());
    assert_eq!(bearings.collect::<Vec<_>>(), ["widens", "neutral"]);
    assert_eq!(unapproved(&desk.apply(DIRECTIVE).await), ["approvals"]);
}
