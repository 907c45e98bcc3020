//! The published schemas and the parsers say the same: each field, each word of each list, and what must be there.

use std::{collections::BTreeSet, fs, path::Path};

use policy::{CountryGroups, Directive, DocumentKind, InstrumentFault, License, Regime, schema};
use serde_json::{Value, json};
use testkit::schema::faults;

const DATA: [(DocumentKind, &str); 2] = [
    (DocumentKind::Regime, include_str!("../../data/us-base.regime.json")),
    (DocumentKind::CountryGroups, include_str!("../../data/country-groups.json")),
];

#[test]
fn every_document_of_this_repository_fits_its_schema_and_parses() {
    let mut seen = 0;
    for (path, kind, value) in documents() {
        assert_eq!(faults(&schema_of(kind), &value), Vec::<String>::new(), "{path}");
        assert_eq!(parse(kind, &value), Ok(()), "{path}");
        seen += 1;
    }
    assert!(seen >= 15, "{seen}");
}

#[test]
fn the_largest_documents_fit_their_schemas_and_parse() {
    for (kind, value) in largest() {
        assert_eq!(faults(&schema_of(kind), &value), Vec::<String>::new(), "{value}");
        assert_eq!(parse(kind, &value), Ok(()), "{value}");
    }
}

#[test]
fn the_largest_documents_have_every_field_of_their_schemas_and_come_back_with_all_of_them() {
    for kind in DocumentKind::ALL {
        let mut written = BTreeSet::new();
        for (_, value) in largest().into_iter().filter(|(of, _)| *of == kind) {
            fields_of_value(&value, "", &mut written);
            let again = round_trip(kind, &value);
            let (mut before, mut after) = (BTreeSet::new(), BTreeSet::new());
            fields_of_value(&value, "", &mut before);
            fields_of_value(&again, "", &mut after);
            assert_eq!(before, after, "{kind:?}");
        }
        let mut described = BTreeSet::new();
        let schema = schema_of(kind);
        fields_of_schema(&schema, &schema, "", &mut described);
        if kind == DocumentKind::CountryGroups {
            written.retain(|field| field.len() > 3);
        }
        assert_eq!(written, described, "{kind:?}");
    }
}

#[test]
fn a_parser_knows_exactly_the_fields_that_its_schema_lists_in_that_place() {
    let mut asked = 0;
    for (kind, value) in largest().into_iter().filter(|(kind, _)| *kind != DocumentKind::CountryGroups) {
        for place in objects(&value, "") {
            let mut extended = value.clone();
            extended.pointer_mut(&place).unwrap()["shadow"] = json!(1);
            assert!(!faults(&schema_of(kind), &extended).is_empty(), "{place}");
            let fault = parse(kind, &extended).unwrap_err();
            assert!(fault.why.contains("unknown field `shadow`") || fault.why.contains("variant"), "{place}: {fault}");
            let schema = schema_of(kind);
            let named = at_place(&schema, &schema, &value, &place);
            let tag = |name: &&str| ["person_scope", "destination_scope", "entity_scope"].contains(name);
            let is_tagged = place.rsplit('/').next().filter(tag).is_some();
            let known: BTreeSet<String> = expected(&fault).collect();
            let listed: BTreeSet<String> = named.into_iter().filter(|name| !(is_tagged && name == "deny")).collect();
            if fault.why.contains("unknown field") {
                assert_eq!(known, listed, "{kind:?} {place}: {fault}");
                asked += 1;
            }
        }
    }
    assert!(asked >= 30, "{asked}");
}

#[test]
fn a_parser_takes_exactly_the_words_that_its_schema_lists_in_that_place() {
    let mut asked = 0;
    for (kind, value) in largest() {
        let schema = schema_of(kind);
        for (place, words) in lists(&schema, &schema, &value, "") {
            let with = |word: Value| {
                let mut other = value.clone();
                *other.pointer_mut(&place).unwrap() = word;
                other
            };
            let fault = parse(kind, &with(json!("no-such-word"))).unwrap_err();
            let known: BTreeSet<String> = expected(&fault).collect();
            let listed: BTreeSet<String> = words.iter().filter_map(Value::as_str).map(str::to_owned).collect();
            assert_eq!(known, listed, "{kind:?} {place}: {fault}");
            assert!(!faults(&schema, &with(json!("no-such-word"))).is_empty(), "{place}");
            for word in words {
                assert_eq!(faults(&schema, &with(word.clone())), Vec::<String>::new(), "{place} {word}");
            }
            asked += 1;
        }
    }
    assert!(asked >= 15, "{asked}");
}

#[test]
fn what_is_taken_away_added_or_of_another_type_is_refused_by_both_or_by_neither() {
    let mut tried = 0;
    for (kind, value) in largest() {
        let schema = schema_of(kind);
        for (what, mutated) in mutations(&value) {
            let fits = faults(&schema, &mutated).is_empty();
            let parsed = parse(kind, &mutated);
            // The parser takes `null` for an absent field, which no schema here says.
            let agree = if what.ends_with("= null") { !fits || parsed.is_ok() } else { fits == parsed.is_ok() };
            assert!(agree, "{kind:?} {what}: {:?} {parsed:?}", faults(&schema, &mutated));
            tried += 1;
        }
    }
    assert!(tried >= 600, "{tried}");
}

#[test]
fn the_reference_lists_exactly_the_fields_of_the_schemas() {
    let reference = include_str!("../../../../docs/documents.md");
    let sections: Vec<&str> = reference.split("\n## ").collect();
    for (kind, section) in DocumentKind::ALL.into_iter().zip(&sections[1..]) {
        let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
        let listed: BTreeSet<String> = rows.filter_map(|row| Some(row.split_once("` |")?.0.to_owned())).collect();
        let mut described = BTreeSet::new();
        let schema = schema_of(kind);
        fields_of_schema(&schema, &schema, "", &mut described);
        assert_eq!(listed, described, "{kind:?}");
    }
}

fn schema_of(kind: DocumentKind) -> Value {
    serde_json::from_str(schema(kind)).unwrap()
}

fn parse(kind: DocumentKind, value: &Value) -> Result<(), InstrumentFault> {
    let json = serde_json::to_vec_pretty(value).unwrap();
    match kind {
        DocumentKind::Directive => Directive::parse(&json).map(drop),
        DocumentKind::License => License::parse(&json).map(drop),
        DocumentKind::Regime => Regime::parse(&json).map(drop),
        DocumentKind::CountryGroups => CountryGroups::parse(&json).map(drop),
    }
}

fn round_trip(kind: DocumentKind, value: &Value) -> Value {
    let json = value.to_string();
    let again = match kind {
        DocumentKind::Directive => serde_json::to_value(Directive::parse(json.as_bytes()).unwrap()),
        DocumentKind::License => serde_json::to_value(License::parse(json.as_bytes()).unwrap()),
        DocumentKind::Regime => serde_json::to_value(Regime::parse(json.as_bytes()).unwrap()),
        DocumentKind::CountryGroups => serde_json::to_value(CountryGroups::parse(json.as_bytes()).unwrap()),
    };
    again.unwrap()
}

/// Every example, every instrument of the cases, and the bundled data.
fn documents() -> Vec<(String, DocumentKind, Value)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folders = ["examples", "cases/instruments"];
    let entries = folders.into_iter().flat_map(|folder| fs::read_dir(root.join(folder)).unwrap());
    let mut documents = Vec::new();
    for path in entries.map(|entry| entry.unwrap().path()) {
        let name = path.display().to_string();
        let kind = name.strip_suffix(".json").and_then(|stem| stem.rsplit('.').next());
        let Some(kind) = kind.and_then(|kind| kind.parse::<DocumentKind>().ok()) else {
            continue;
        };
        documents.push((name, kind, serde_json::from_slice(&fs::read(path).unwrap()).unwrap()));
    }
    let data = DATA.into_iter().map(|(kind, text)| (kind.as_str().to_owned(), kind, text));
    documents.extend(data.map(|(name, kind, text)| (name, kind, serde_json::from_str(text).unwrap())));
    documents
}

/// Documents that together have every field, each form of a scope among them.
fn largest() -> Vec<(DocumentKind, Value)> {
    let persons = [
        json!({"deny": "none"}),
        json!({"deny": "everyone"}),
        json!({"deny": "foreign_person", "definition": "ear_772", "unknown": "hold"}),
        json!({"deny": "nationals_of", "groups": ["D:5"], "rule": "itar", "unknown": "deny"}),
    ];
    let places = [
        json!({"deny": "none"}),
        json!({"deny": "all_foreign", "unsettled": true}),
        json!({"deny": "groups", "groups": ["D:5"], "unsettled": false}),
        json!({"deny": "none"}),
    ];
    let entities = [
        json!({"deny": "foreign_organization", "headquartered_in": ["D:5"]}),
        json!({"deny": "headquarters", "headquartered_in": ["D:5"]}),
        json!({"deny": "none"}),
        json!({"deny": "foreign_organization", "headquartered_in": ["E:1"]}),
    ];
    let forms = persons.into_iter().zip(places).zip(entities);
    let directives = forms.map(|((person, place), entity)| (DocumentKind::Directive, directive(person, place, entity)));
    let groups = (DocumentKind::CountryGroups, serde_json::from_str(DATA[1].1).unwrap());
    directives.chain([(DocumentKind::License, license()), (DocumentKind::Regime, regime()), groups]).collect()
}

fn directive(person: Value, place: Value, entity: Value) -> Value {
    json!({
        "type": "directive/v1", "id": "DIR-9", "version": 2, "supersedes": "DIR-8",
        "issuer": {"agency": "An agency", "official": "An official"},
        "addressee": "A lab", "confidentiality": "public",
        "authority": [{"cite": "15 CFR 744.22(b)"}],
        "received_at": "2026-06-12T21:21:00Z", "effective_at": "2026-06-12T22:00:00Z", "grace_minutes": 10,
        "comply_by": "2026-06-12T22:51:00Z", "expires_at": "2027-06-12T22:51:00Z",
        "status": "in_force", "status_since": "2026-06-12T21:21:00.5Z",
        "models": {"families": ["fable-5"], "include_derivatives": true},
        "actions": ["export", "deemed_export"], "effect": "prohibit",
        "person_scope": person, "destination_scope": place, "entity_scope": entity,
        "evidence": {"min_assurance": "ial2", "max_age_hours": 24, "employment_max_age_minutes": 15},
        "obligations": ["strip_logprobs", "strip_reasoning", {"max_output_tokens": 100}],
        "reporting": [{"what": "Misuse", "to": "An agency", "within_hours": 72}],
        "interpretation": [
            {"question": "Who?", "answer": "They.", "by": "Counsel", "on": "2026-06-12T22:05:00+02:00"},
        ],
        "source": {"sha256": "ab".repeat(32), "pages": 2},
    })
}

fn license() -> Value {
    json!({
        "type": "license/v1", "id": "LIC-9", "version": 2, "supersedes": "LIC-8", "kind": "approval_list",
        "issuer": {"agency": "An agency", "official": "An official"},
        "under": ["DIR-9"],
        "never_waives": ["ofac", "entity_list", "denied_persons", "embargo", "certification"],
        "models": {"families": ["fable-5"], "include_derivatives": true},
        "grantees": {"organizations": ["northgate-grid"], "own_staff": true}, "entity_scope": "branches",
        "beneficiaries": {"employee_scope": "direct"},
        "nationality_exclude": {"groups": ["E:1"], "rule": "ear"},
        "tenant_binding": true,
        "territory": {"exclude_groups": ["E:1"], "unsettled_groups": ["D:5"]},
        "end_uses": ["cyber_defense"],
        "conditions": {"token_caps": [{"tokens": 10, "per": "day"}, {"tokens": 100, "per": "total"}]},
        "valid": {"from": "2026-06-26T16:00:00Z", "to": "2027-06-26T16:00:00Z"},
        "status": "in_force", "status_since": "2026-06-26T16:00:00Z",
        "obligations": [{"max_output_tokens": 100}],
        "reporting": [{"what": "Misuse", "to": "An agency", "within_hours": 72}],
        "interpretation": [{"question": "Who?", "answer": "They.", "by": "Counsel", "on": "2026-06-26T22:05:00Z"}],
        "recordkeeping_years": 5,
        "source": {"sha256": "ab".repeat(32), "pages": 2},
    })
}

fn regime() -> Value {
    json!({
        "type": "regime/v1", "id": "us-base", "version": 2, "as_of": "2026-11-21",
        "issuer": {"agency": "An agency", "official": "A register"},
        "provisions": [{
            "id": "base.entity-ownership", "cite": "90 FR 47201",
            "in_force": [{"from": "2025-09-29T04:00:00Z", "to": "2025-11-10T05:00:00Z"}],
        }],
    })
}

/// Collects the name of every field that a value has, such as `reporting[].what`.
fn fields_of_value(value: &Value, at: &str, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
                into.insert(path.clone());
                fields_of_value(member, &path, into);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| fields_of_value(item, &format!("{at}[]"), into)),
        _ => {}
    }
}

/// Collects the name of every field that a schema describes.
fn fields_of_schema(root: &Value, schema: &Value, at: &str, into: &mut BTreeSet<String>) {
    for part in parts(root, schema) {
        if let Some(items) = part.get("items") {
            fields_of_schema(root, items, &format!("{at}[]"), into);
        }
        for (name, member) in part.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
            assert!(
                parts(root, member).iter().any(|part| part.get("description").is_some()),
                "{path} is not described"
            );
            into.insert(path.clone());
            fields_of_schema(root, member, &path, into);
        }
    }
}

/// Returns a schema with everything that it refers to and every form that it allows.
fn parts<'a>(root: &'a Value, schema: &'a Value) -> Vec<&'a Value> {
    let mut parts = vec![schema];
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        parts.extend(self::parts(root, root.pointer(&reference[1..]).unwrap()));
    }
    for forms in ["oneOf", "anyOf"] {
        let forms = schema.get(forms).and_then(Value::as_array);
        parts.extend(forms.into_iter().flatten().flat_map(|form| self::parts(root, form)));
    }
    parts
}

/// Returns the fields that a schema lists for the object in one place of a value that fits it.
fn at_place(root: &Value, schema: &Value, value: &Value, place: &str) -> BTreeSet<String> {
    let fitting = parts(root, schema).into_iter().filter(|part| {
        let forms = part.get("properties").and_then(|named| named.get("deny"));
        forms.is_none_or(|deny| deny.get("const") == value.get("deny"))
    });
    let parts: Vec<&Value> = fitting.collect();
    let Some(rest) = place.strip_prefix('/') else {
        let named = parts.iter().filter_map(|part| part.get("properties")).filter_map(Value::as_object);
        return named.flat_map(|named| named.keys().cloned()).collect();
    };
    let (step, rest) = rest.split_once('/').map_or((rest, String::new()), |(step, rest)| (step, format!("/{rest}")));
    let inner = parts.iter().filter_map(|part| match step.parse::<usize>() {
        Ok(_) => part.get("items"),
        Err(_) => part.get("properties").and_then(|named| named.get(step)),
    });
    let inner_value = value.pointer(&format!("/{step}")).unwrap();
    inner.flat_map(|schema| at_place(root, schema, inner_value, &rest)).collect()
}

/// Returns the place of every object in a value, but for those that stand for a word with a number.
fn objects(value: &Value, at: &str) -> Vec<String> {
    let own = (value.is_object() && !at.starts_with("/obligations/")).then(|| at.to_owned());
    let inner = children(value).into_iter().flat_map(|(step, child)| objects(child, &format!("{at}/{step}")));
    own.into_iter().chain(inner).collect()
}

/// Returns the place of every string whose schema lists the words that can stand there, with the list.
fn lists(root: &Value, schema: &Value, value: &Value, at: &str) -> Vec<(String, Vec<Value>)> {
    let mut found = Vec::new();
    for part in parts(root, schema) {
        let deny = part.get("properties").and_then(|named| named.get("deny"));
        if deny.is_some_and(|deny| deny.get("const") != value.get("deny")) {
            continue;
        }
        if let Some(words) = part.get("enum").and_then(Value::as_array) {
            // A field that is a whole list of words would be shortened by putting another word in its place.
            if !at.contains("/never_waives") {
                found.push((at.to_owned(), words.clone()));
            }
        }
        for (step, child) in children(value) {
            let inner = match value {
                Value::Array(_) => part.get("items"),
                _ => part.get("properties").and_then(|named| named.get(&step)),
            };
            found.extend(inner.into_iter().flat_map(|inner| lists(root, inner, child, &format!("{at}/{step}"))));
        }
    }
    found
}

fn children(value: &Value) -> Vec<(String, &Value)> {
    match value {
        Value::Object(members) => members.iter().map(|(name, member)| (name.clone(), member)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(at, item)| (at.to_string(), item)).collect(),
        _ => Vec::new(),
    }
}

/// Returns what a parser's message says that it expected.
fn expected(fault: &InstrumentFault) -> impl Iterator<Item = String> {
    let expected = fault.why.split_once("expected").map_or("", |(_, expected)| expected);
    expected.split('`').skip(1).step_by(2).map(str::to_owned)
}

/// Takes each field away, adds one to each object, and puts a value of each other type in each place.
fn mutations(value: &Value) -> Vec<(String, Value)> {
    let mut mutations = Vec::new();
    for place in places(value, "") {
        for other in [json!(null), json!(-1), json!(true), json!([{}]), json!({"a": 1}), json!("\u{7}")] {
            let mut mutated = value.clone();
            *mutated.pointer_mut(&place).unwrap() = other.clone();
            mutations.push((format!("{place} = {other}"), mutated));
        }
        let (parent, name) = place.rsplit_once('/').unwrap();
        let mut shorter = value.clone();
        if let Some(object) = shorter.pointer_mut(parent).and_then(Value::as_object_mut) {
            object.remove(name);
            mutations.push((format!("without {place}"), shorter));
        }
    }
    mutations
}

fn places(value: &Value, at: &str) -> Vec<String> {
    let of_child = |(step, child): (String, &Value)| {
        let place = format!("{at}/{step}");
        std::iter::once(place.clone()).chain(places(child, &place)).collect::<Vec<_>>()
    };
    children(value).into_iter().flat_map(of_child).collect()
}
