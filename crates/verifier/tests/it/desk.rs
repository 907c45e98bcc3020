//! What takes force at the desk was approved, whole: nothing goes along with it, and nothing without an act.

use policy::{Directive, License, Snapshot, SnapshotDocument};
use proof::entry::{Entry, Kind};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use verifier::Report;

use crate::world::{Log, act, approval, approver_key, snapshot};

const KINDS: [(&str, Kind); 2] = [("file", Kind::Registry), ("approve", Kind::Admin)];
const SPOKE: &str = "2026-06-09T00:00:00Z";
const BINDS: &str = "2026-06-20T00:00:00Z";
const APPROVERS: [(&str, &str, u8); 2] = [("iris", "counsel", 1), ("otto", "security", 2)];

/// A document as it stands in a snapshot.
fn spelled<T: DeserializeOwned + Serialize>(document: Value) -> Value {
    serde_json::to_value(serde_json::from_value::<T>(document).unwrap()).unwrap()
}

fn directive(id: &str, version: u32) -> Value {
    spelled::<Directive>(json!({
        "type": "directive/v1", "id": id, "version": version,
        "issuer": { "agency": "US-DOC-BIS", "official": "Under Secretary" }, "authority": [{ "cite": "15 CFR 744.22(b)" }],
        "received_at": SPOKE, "effective_at": SPOKE, "expires_at": null, "status": "in_force", "status_since": SPOKE,
        "models": { "families": ["mythos-5"] },
        "person_scope": { "deny": "foreign_person", "definition": "ear_772", "unknown": "deny" },
        "destination_scope": { "deny": "none" }, "entity_scope": { "deny": "none" },
        "evidence": { "min_assurance": "ial2", "max_age_hours": 24 }, "obligations": [],
        "source": { "sha256": "0".repeat(64) },
    }))
}

fn license(id: &str) -> Value {
    spelled::<License>(json!({
        "type": "license/v1", "id": id, "version": 1, "kind": "approval_list",
        "issuer": { "agency": "US-DOC-BIS", "official": "Under Secretary" },
        "under": ["DIR-1"], "models": { "families": ["mythos-5"] },
        "grantees": { "organizations": ["northgate-grid"], "own_staff": false },
        "beneficiaries": { "employee_scope": "direct" }, "tenant_binding": true,
        "territory": { "exclude_groups": [], "unsettled_groups": [] }, "conditions": { "token_caps": [] },
        "valid": { "from": "2026-06-01T00:00:00Z", "to": null }, "status": "in_force", "status_since": SPOKE,
        "obligations": [], "source": { "sha256": "0".repeat(64) },
    }))
}

/// The document with another member.
fn with(mut document: Value, name: &str, value: impl Into<Value>) -> Value {
    document[name] = value.into();
    document
}

/// A directive that takes the place of the first when it binds, in eleven days.
fn successor() -> Value {
    spelled::<Directive>(with(with(directive("DIR-2", 1), "supersedes", "DIR-1"), "effective_at", BINDS))
}

/// The end of the first when the second binds.
fn superseded() -> Value {
    with(with(directive("DIR-1", 2), "status", "superseded"), "status_since", BINDS)
}

/// A log with a desk.
struct Desk {
    log: Log,
    epoch: u64,
}

impl Desk {
    /// A desk of two approvers that asks for both, where nothing is in force.
    fn begun() -> Self {
        let mut desk = Self { log: Log::begun(), epoch: 0 };
        desk.put("config.load", &[], &[]);
        desk.log.put(coded(Kind::Admin, "desk.policy"), br#"{"actor":"process:config","approvals":2}"#);
        for (name, role, seed) in APPROVERS {
            let key = approver_key(seed);
            let body = json!({ "id": name, "role": role, "public_key": key, "created_at": SPOKE, "revoked_at": null });
            desk.record("approver.add", Kind::Admin, "approver", &body);
        }
        desk
    }

    /// A desk where the first directive is in force.
    fn governed() -> Self {
        let mut desk = Self::begun();
        desk.approve("apply", &directive("DIR-1", 1));
        desk.put("directive.apply", &[directive("DIR-1", 1)], &[]);
        desk
    }

    fn record(&mut self, code: &str, kind: Kind, record: &str, body: &Value) {
        let said = json!({ "version": 4, "actor": "token:1", "change": { "record": record, "body": body } });
        self.log.put(coded(kind, code), said.to_string().as_bytes());
    }

    /// Files a document and has both sign the act.
    fn approve(&mut self, verb: &str, document: &Value) {
        let kind = document["type"].as_str().unwrap().split('/').next().unwrap();
        let (id, version) = (document["id"].as_str().unwrap(), document["version"].as_u64().unwrap());
        let [(file, filed), (approve, approved)] = KINDS;
        self.record(&format!("{kind}.{file}"), filed, kind, document);
        let act = act(verb, (kind, id, version), document);
        for (name, role, seed) in APPROVERS {
            self.record(&format!("{kind}.{approve}"), approved, "approval", &approval(&act, name, role, seed));
        }
    }

    /// Breaks the glass for a version of the first directive.
    fn break_glass(&mut self, version: u64, restore: &Value) {
        let body = json!({ "kind": "directive", "id": "DIR-1", "version": version, "restore": restore, "ended": null });
        self.record("directive.break_glass", Kind::Admin, "break_glass", &body);
    }

    /// Puts these in force; no code is none.
    fn put(&mut self, code: &str, directives: &[Value], licenses: &[Value]) -> u64 {
        self.epoch += 1;
        let read = |document: &Value| serde_json::from_value(document.clone()).unwrap();
        let document = SnapshotDocument {
            directives: directives.iter().map(read).collect(),
            licenses: licenses.iter().map(|license| serde_json::from_value(license.clone()).unwrap()).collect(),
            ..snapshot(self.epoch).document().clone()
        };
        let index = self.log.enact(&Snapshot::compile(document).unwrap());
        self.log.drafts.last_mut().unwrap().entry.code = (!code.is_empty()).then(|| code.to_owned());
        index
    }

    fn verified(&self) -> Report {
        self.log.verified()
    }
}

fn coded(kind: Kind, code: &str) -> Entry {
    Entry { code: Some(code.to_owned()), ..Entry::new(kind) }
}

/// Puts these in force where the first directive is and the second was approved, and says what is wrong with that.
fn faults(code: &str, directives: &[Value], licenses: &[Value]) -> String {
    let mut desk = Desk::governed();
    desk.approve("apply", &successor());
    let index = desk.put(code, directives, licenses);
    let report = desk.verified();
    let here = report.faults.iter().filter(|fault| fault.index == Some(index));
    assert_eq!(report.fault_count as usize, here.clone().count(), "{report}");
    here.map(|fault| fault.why.as_str()).collect::<Vec<_>>().join("; ")
}

#[test]
fn what_an_honest_desk_puts_in_force_holds() {
    let mut desk = Desk::governed();
    desk.put("config.reload", &[directive("DIR-1", 1)], &[]);
    desk.approve("apply", &successor());
    let before = [directive("DIR-1", 1), superseded(), successor()];
    desk.put("directive.apply", &before, &[]);
    desk.log.stop();
    desk.log.start(false, 0);
    desk.put("config.load", &before, &[]);
    // A stay by a break of the glass: the end that was to come goes on waiting behind it, and behind what comes back.
    let stayed = with(directive("DIR-1", 3), "status", "stayed");
    desk.break_glass(3, &directive("DIR-1", 1));
    desk.put("directive.stay", &[stayed, with(superseded(), "version", 4), successor()], &[]);
    let back = [with(directive("DIR-1", 5), "status_since", "2026-06-09T01:00:00Z"), with(superseded(), "version", 6)];
    desk.put("directive.restore", &[back.as_slice(), &[successor()]].concat(), &[]);
    let report = desk.verified();
    assert!(report.holds(), "{report}");
    assert_eq!(report.approvals, 4);
}

#[test]
fn nothing_goes_along_with_what_was_approved() {
    let first = directive("DIR-1", 1);
    let others: [(&[Value], &[Value], &str); 4] = [
        (&[first.clone(), successor()], &[license("LIC-9")], "version 1 of the license `LIC-9`"),
        (&[first.clone(), successor(), directive("DIR-3", 1)], &[], "version 1 of the directive `DIR-3`"),
        (&[directive("DIR-1", 2), successor()], &[], "version 2 of the directive `DIR-1`"),
        (&[with(first.clone(), "status", "stayed"), successor()], &[], "takes version 1 of the directive `DIR-1` away"),
    ];
    assert_eq!(faults("directive.apply", &[first, successor()], &[]), "");
    for (directives, licenses, what) in others {
        let why = faults("directive.apply", directives, licenses);
        assert!(why.contains(what), "`{what}` is not in `{why}`");
    }
}

#[test]
fn what_an_act_supersedes_ends_as_it_stood_when_the_other_binds_and_not_before() {
    let with_end = |end: Value| faults("directive.apply", &[directive("DIR-1", 1), end, successor()], &[]);
    assert_eq!(with_end(superseded()), "");
    let evidence = json!({ "min_assurance": "ial1", "max_age_hours": 24 });
    for end in [
        with(superseded(), "status_since", SPOKE),
        with(superseded(), "status", "lifted"),
        with(superseded(), "evidence", evidence),
    ] {
        assert!(with_end(end).contains("version 2 of the directive `DIR-1`"));
    }
    let mut without = Desk::governed();
    without.approve("apply", &directive("DIR-2", 1));
    let end = with(superseded(), "status_since", SPOKE);
    without.put("directive.apply", &[end, directive("DIR-2", 1)], &[]);
    assert!(!without.verified().holds(), "the second does not name the first");
}

#[test]
fn nothing_is_taken_away_before_a_later_version_of_it_governs() {
    assert!(faults("directive.apply", &[successor()], &[]).contains("takes version 1 of the directive `DIR-1` away"));
    let waiting = with(directive("DIR-1", 2), "status_since", BINDS);
    let put = |directives: &[Value]| {
        let mut desk = Desk::governed();
        desk.approve("apply", &waiting);
        desk.put("directive.apply", directives, &[]);
        desk.verified()
    };
    assert!(put(&[directive("DIR-1", 1), waiting.clone()]).holds());
    assert!(!put(std::slice::from_ref(&waiting)).holds(), "until it speaks, nothing does");
}

#[test]
fn an_entry_whose_code_is_no_act_changes_no_directive_and_no_license() {
    let first = directive("DIR-1", 1);
    for code in ["config.load", "config.reload", "directive.file", "person.apply", ""] {
        assert_eq!(faults(code, std::slice::from_ref(&first), &[]), "");
        let changed: [(&[Value], &[Value]); 3] =
            [(std::slice::from_ref(&first), &[license("LIC-9")]), (&[first.clone(), successor()], &[]), (&[], &[])];
        for (directives, licenses) in changed {
            assert!(faults(code, directives, licenses).contains("is no act that does"), "`{code}`");
        }
    }
    let mut begins = Desk { log: Log::begun(), epoch: 0 };
    begins.put("config.load", &[first], &[]);
    assert!(!begins.verified().holds(), "nothing is in force before the first snapshot");
}

#[test]
fn what_is_outdated_does_not_come_back_as_something_that_waited() {
    let mut desk = Desk::governed();
    let lifted = with(directive("DIR-1", 2), "status", "lifted");
    desk.approve("lift", &lifted);
    // The first version is outdated, and stays where it is until the next one takes force.
    desk.put("directive.lift", &[directive("DIR-1", 1), lifted.clone()], &[]);
    let stayed = with(directive("DIR-1", 3), "status", "stayed");
    desk.break_glass(3, &Value::Null);
    let honest = desk.log.clone();
    desk.put("directive.stay", &[stayed.clone(), directive("DIR-1", 4)], &[]);
    assert!(!desk.verified().holds());
    let mut desk = Desk { log: honest, ..desk };
    desk.put("directive.stay", &[stayed], &[]);
    assert!(desk.verified().holds(), "{}", desk.verified());
}
