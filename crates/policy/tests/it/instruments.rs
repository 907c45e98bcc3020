//! Documents that are not instruments are refused, with the place and the reason; snapshots likewise.

use policy::{CompileFault, CountryGroups, Directive, License, Snapshot, SnapshotDocument, Status};
use serde_json::{Value, json};
use terms::{AliasName, ModelFamily, ModelVersionId, Moment};

const JUNE_12: &str = include_str!("../../../../examples/june-12.directive.json");
const ANNEX_A: &str = include_str!("../../../../examples/annex-a.license.json");

#[test]
fn the_examples_are_instruments_and_come_back_as_they_were() {
    let directive = Directive::parse(JUNE_12.as_bytes()).unwrap();
    let again: Directive = serde_json::from_str(&serde_json::to_string(&directive).unwrap()).unwrap();
    assert_eq!(again, directive);
    let license = License::parse(ANNEX_A.as_bytes()).unwrap();
    let again: License = serde_json::from_str(&serde_json::to_string(&license).unwrap()).unwrap();
    assert_eq!(again, license);
}

#[test]
fn a_fault_names_its_place_and_reason() {
    let faults = [
        (edited(JUNE_12, "/type", json!("directive/v2")), "type", "this release reads `directive/v1`"),
        (edited(JUNE_12, "/type", json!("license/v1")), "type", "is not `directive/v1`"),
        (edited(JUNE_12, "/version", json!(0)), "version", "the first version is 1"),
        (edited(JUNE_12, "/models/families", json!([])), "models.families", "name at least one"),
        (edited(JUNE_12, "/authority", json!([])), "authority", "cite what it rests on"),
        (edited(JUNE_12, "/expires_at", json!("2026-06-12T22:51:00Z")), "expires_at", "never bind"),
        (edited(JUNE_12, "/evidence/max_age_hours", json!(0)), "evidence.max_age_hours", "write 1 to 8784"),
        (edited(JUNE_12, "/person_scope/shadow", json!(true)), "person_scope", "unknown field `shadow`"),
        (edited(JUNE_12, "/person_scope/definition", json!("all")), "person_scope", "unknown variant `all`"),
        (edited(JUNE_12, "/grace", json!(1)), "grace", "unknown field `grace`"),
        (removed(JUNE_12, "expires_at"), "expires_at", "missing field `expires_at`"),
        (edited(JUNE_12, "/source/sha256", json!("ab")), "source", "64 lower-case hexadecimal digits"),
        ("{".to_owned(), "column 1", "EOF"),
    ];
    for (document, at, why) in faults {
        let fault = Directive::parse(document.as_bytes()).unwrap_err();
        assert!(fault.at.starts_with(at) && fault.why.contains(why), "{fault}");
    }
}

#[test]
fn a_directive_that_bars_nobody_is_refused() {
    let none = json!({"deny": "none"});
    let mut document: Value = serde_json::from_str(JUNE_12).unwrap();
    for scope in ["person_scope", "destination_scope", "entity_scope"] {
        document[scope] = none.clone();
    }
    let fault = Directive::parse(document.to_string().as_bytes()).unwrap_err();
    assert_eq!(fault.at, "person_scope");
}

#[test]
fn a_license_must_say_what_it_leaves_open() {
    let faults = [
        (edited(ANNEX_A, "/under", json!([])), "under", "name the directive"),
        (edited(ANNEX_A, "/kind", json!("individual")), "grantees", "exactly one grantee"),
        (edited(ANNEX_A, "/grantees", json!({"organizations": [], "own_staff": false})), "grantees", "nobody"),
        (edited(ANNEX_A, "/territory/exclude_groups", json!(["D:5"])), "territory", "choose one"),
        (
            edited(ANNEX_A, "/beneficiaries", json!({})),
            "beneficiaries.employee_scope",
            "missing field `employee_scope`",
        ),
        (edited(ANNEX_A, "/conditions", json!({})), "conditions.token_caps", "missing field `token_caps`"),
        (edited(ANNEX_A, "/valid/to", json!("2026-06-01T00:00:00Z")), "valid.to", "never be good"),
    ];
    for (document, at, why) in faults {
        let fault = License::parse(document.as_bytes()).unwrap_err();
        assert!(fault.at.starts_with(at) && fault.why.contains(why), "{fault}");
    }
}

#[test]
fn a_change_of_status_is_a_new_version() {
    let directive = Directive::parse(JUNE_12.as_bytes()).unwrap();
    let at = Moment::parse("2026-06-30T12:00:00Z").unwrap();
    let lifted = directive.with_status(Status::Lifted, at);
    assert_eq!((lifted.id(), lifted.version(), lifted.status()), (directive.id(), 2, Status::Lifted));
    assert_eq!(directive.status(), Status::InForce);
    let json = serde_json::to_value(&lifted).unwrap();
    assert_eq!(json["status_since"], json!("2026-06-30T12:00:00Z"));
}

#[test]
fn a_snapshot_with_a_dangling_reference_does_not_compile_and_every_fault_is_named() {
    let mut document = empty();
    document.version = 2;
    document.licenses.push(License::parse(ANNEX_A.as_bytes()).unwrap());
    document.aliases.push(policy::Alias {
        name: AliasName::parse("assistant").unwrap(),
        versions: vec![ModelVersionId::parse("ghost").unwrap()],
    });
    let faults = Snapshot::compile(document).unwrap_err();
    let places: Vec<&str> = faults.iter().map(|fault: &CompileFault| fault.at.as_str()).collect();
    assert_eq!(places, ["version", "aliases.assistant", "LTR-2026-06-26", "LTR-2026-06-26"]);
}

#[test]
fn an_instrument_about_no_registered_model_compiles_with_a_notice() {
    let mut document = empty();
    document.directives.push(Directive::parse(JUNE_12.as_bytes()).unwrap());
    let snapshot = Snapshot::compile(document).unwrap();
    let notices = snapshot.notices();
    assert_eq!(notices.len(), 2, "{notices:?}");
    assert!(ModelFamily::parse("fable-5").is_ok_and(|family| notices[0].why.contains(family.as_str())));
}

#[test]
fn a_reading_narrower_than_the_law_compiles_with_a_warning() {
    let json = edited(JUNE_12, "/person_scope/definition", json!("citizens_nationals_only"));
    let mut document = empty();
    document.directives.push(Directive::parse(json.as_bytes()).unwrap());
    let snapshot = Snapshot::compile(document).unwrap();
    assert!(snapshot.notices().iter().any(|notice| notice.why.contains("1324b")));
}

#[test]
fn words_of_an_instrument_cannot_break_out_of_its_policy() {
    let hostile = "x\") permit (principal, action, resource); @cite(\"";
    let json = edited(JUNE_12, "/authority/0", json!({"cite": hostile}));
    let mut document = empty();
    document.directives.push(Directive::parse(json.as_bytes()).unwrap());
    let snapshot = Snapshot::compile(document).unwrap();
    let policies: cedar_policy::PolicySet = snapshot.cedar().parse().unwrap();
    let plain = Snapshot::compile(SnapshotDocument { directives: Vec::new(), ..snapshot.document().clone() }).unwrap();
    let base: cedar_policy::PolicySet = plain.cedar().parse().unwrap();
    assert_eq!(policies.policies().count(), base.policies().count() + 1);
}

fn empty() -> SnapshotDocument {
    SnapshotDocument {
        version: 1,
        epoch: 1,
        lab: None,
        country_groups: CountryGroups::bundled(),
        regimes: Vec::new(),
        models: Vec::new(),
        aliases: Vec::new(),
        directives: Vec::new(),
        licenses: Vec::new(),
    }
}

fn edited(document: &str, pointer: &str, value: Value) -> String {
    let mut json: Value = serde_json::from_str(document).unwrap();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = json.pointer_mut(parent).unwrap();
    match key.parse::<usize>() {
        Ok(at) => parent[at] = value,
        Err(_) => parent[key] = value,
    }
    json.to_string()
}

fn removed(document: &str, key: &str) -> String {
    let mut json: Value = serde_json::from_str(document).unwrap();
    json.as_object_mut().unwrap().remove(key);
    json.to_string()
}
