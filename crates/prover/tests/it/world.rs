//! The documents of `examples/`, in any reading, as snapshots; and how tests ask for proofs.

use std::time::Duration;

use policy::{CountryGroups, Directive, License, Regime, Snapshot, SnapshotDocument};
use prover::{Example, Fault, Proofs, Property, Settings, Verdict, View, prove, prove_views};
use serde_json::{Value, json};
use terms::OrganizationId;

/// `examples/june-12.directive.json`, to be changed.
pub(crate) fn june_12() -> Value {
    serde_json::from_str(include_str!("../../../../examples/june-12.directive.json")).unwrap()
}

/// `examples/annex-a.license.json`, to be changed.
pub(crate) fn annex_a() -> Value {
    serde_json::from_str(include_str!("../../../../examples/annex-a.license.json")).unwrap()
}

pub(crate) fn snapshot(directives: &[Value], licenses: &[Value]) -> Snapshot {
    let models = json!([
        {"id": "fable-5.0", "family": "fable-5", "control": "subject", "clearance": "open"},
        {"id": "mythos-5.0", "family": "mythos-5", "control": "subject", "clearance": "open"},
        {"id": "mythos-5.1", "family": "mythos-5", "control": "subject", "clearance": "identified"},
        {"id": "quill-1.0", "family": "quill-1", "control": "published", "clearance": "open"},
    ]);
    let directive = |json: &Value| Directive::parse(json.to_string().as_bytes()).unwrap();
    let license = |json: &Value| License::parse(json.to_string().as_bytes()).unwrap();
    Snapshot::compile(SnapshotDocument {
        version: 1,
        epoch: 1,
        lab: OrganizationId::parse("larkspur-labs").ok(),
        country_groups: CountryGroups::bundled(),
        regimes: vec![Regime::bundled()],
        models: serde_json::from_value(models).unwrap(),
        aliases: Vec::new(),
        directives: directives.iter().map(directive).collect(),
        licenses: licenses.iter().map(license).collect(),
    })
    .unwrap()
}

/// Generous limits: other tests run at the same time.
pub(crate) fn settings() -> Settings {
    Settings { per_property: Duration::from_secs(60), total: Duration::from_secs(300), ..Settings::default() }
}

pub(crate) fn proved(before: Option<&Snapshot>, after: &Snapshot) -> Proofs {
    must(prove(before, after, &settings()))
}

pub(crate) fn proved_of(after: &View<'_>) -> Proofs {
    must(prove_views(None, after, &settings()))
}

fn must(proofs: Result<Proofs, Fault>) -> Proofs {
    proofs.unwrap_or_else(|fault| panic!("these tests need the Debian package `cvc5` (apt install cvc5): {fault}"))
}

/// Finds the one property with this id that is about something whose name has `about` in it.
pub(crate) fn property<'p>(proofs: &'p Proofs, id: &str, about: &str) -> &'p Property {
    let mut found = proofs.properties.iter().filter(|property| property.id == id && property.about.contains(about));
    let property = found.next().unwrap_or_else(|| panic!("no {id} about {about}"));
    assert!(found.next().is_none(), "several {id} about {about}");
    property
}

pub(crate) fn finding<'p>(proofs: &'p Proofs, id: &str, about: &str) -> &'p str {
    match &property(proofs, id, about).verdict {
        Verdict::Proved { finding, .. } => finding,
        other => panic!("{id} about {about}: {other:?}"),
    }
}

pub(crate) fn counterexample<'p>(proofs: &'p Proofs, id: &str, about: &str) -> &'p Example {
    match &property(proofs, id, about).verdict {
        Verdict::Refuted { counterexample } => counterexample,
        other => panic!("{id} about {about}: {other:?}"),
    }
}

pub(crate) fn failure<'p>(proofs: &'p Proofs, id: &str, about: &str) -> &'p str {
    match &property(proofs, id, about).verdict {
        Verdict::Failed { why } => why,
        other => panic!("{id} about {about}: {other:?}"),
    }
}

pub(crate) fn assert_all_proved(proofs: &Proofs) {
    let open: Vec<&Property> = proofs.open().collect();
    assert!(open.is_empty(), "{open:#?}");
    assert!(proofs.passed());
}
