//! What differs between two versions of an instrument, and what each difference does to access.

use std::cmp::Ordering;

use serde_json::Value;
use terms::Moment;

use crate::InstrumentKind;

/// What a change does to access, were both versions in force.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bearing {
    /// Fewer calls are permitted, or none more.
    Narrows,
    /// More calls may be permitted.
    Widens,
    /// No call is decided otherwise.
    Neutral,
    /// Cannot be told from the change alone: to be treated as if it widened.
    Unknown,
}

/// What a change is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Meaning {
    /// A grantee is added.
    GranteeAdded,
    /// A grantee is removed.
    GranteeRemoved,
    /// A model family is added.
    ModelFamilyAdded,
    /// A model family is removed.
    ModelFamilyRemoved,
    /// A directive that the license waives is added.
    WaiverAdded,
    /// A directive that the license waived is removed.
    WaiverRemoved,
    /// A country group is added.
    CountryGroupAdded,
    /// A country group is removed.
    CountryGroupRemoved,
    /// An obligation is added.
    ObligationAdded,
    /// An obligation is removed.
    ObligationRemoved,
    /// Who is not a foreign person.
    DefinitionChanged,
    /// Whom or what it bars, or whom it covers.
    ScopeChanged,
    /// Which evidence it asks for.
    EvidenceChanged,
    /// A condition of the license.
    ConditionChanged,
    /// Whether it is in force.
    StatusChanged,
    /// From when or until when.
    DatesChanged,
    /// Which instrument it replaces.
    SupersedesChanged,
    /// Who issued it, on what it rests, and its original.
    SourceChanged,
    /// Something that this release has no name for.
    Other,
}

/// One difference between two versions.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Change {
    /// Where, as a JSON pointer (RFC 6901) into the document.
    pub path: String,
    /// What it is about.
    pub meaning: Meaning,
    /// What stood there; `null` if nothing did.
    pub old: Value,
    /// What stands there now; `null` if nothing does.
    pub new: Value,
    /// What it does to access.
    pub bearing: Bearing,
}

/// Returns every difference between two versions of a directive or of a license, in order of their paths.
///
/// The number of the version itself is no difference. A place that this release does not know is [`Meaning::Other`] and
/// [`Bearing::Unknown`], never passed over.
#[must_use]
pub fn diff(old: &Value, new: &Value) -> Vec<Change> {
    let kind = new.get("type").and_then(Value::as_str).and_then(InstrumentKind::of_type);
    let mut changes = Vec::new();
    Walk { kind, changes: &mut changes }.at("", old, new);
    changes
}

/// Returns true if putting `new` in force, where `old` governs or nothing does, can take access away only.
pub(crate) fn only_narrows(kind: InstrumentKind, old: Option<&Value>, new: &Value) -> bool {
    let harmless = |change: &Change| matches!(change.bearing, Bearing::Narrows | Bearing::Neutral);
    match old {
        Some(old) => diff(old, new).iter().all(harmless),
        None => kind == InstrumentKind::Directive,
    }
}

struct Walk<'c> {
    kind: Option<InstrumentKind>,
    changes: &'c mut Vec<Change>,
}

impl Walk<'_> {
    fn at(&mut self, path: &str, old: &Value, new: &Value) {
        if old == new {
            return;
        }
        let reading = self.kind.and_then(|kind| reading(kind, path, old, new));
        match (reading, old, new) {
            (Some((meaning, reading)), _, _) => self.read(path, meaning, &reading, old, new),
            (None, Value::Object(before), Value::Object(after)) => {
                let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
                names.sort();
                names.dedup();
                for name in names {
                    let part = |of: &serde_json::Map<String, Value>| of.get(name).cloned().unwrap_or_default();
                    self.at(&format!("{path}/{}", escaped(name)), &part(before), &part(after));
                }
            }
            (None, _, _) => self.push(path, Meaning::Other, old.clone(), new.clone(), Bearing::Unknown),
        }
    }

    fn read(&mut self, path: &str, meaning: Meaning, reading: &Reading, old: &Value, new: &Value) {
        match reading {
            Reading::Nothing => {}
            Reading::Always(bearing) => self.push(path, meaning, old.clone(), new.clone(), *bearing),
            Reading::Access(rank) => {
                let bearing = compare(rank(old), rank(new));
                self.push(path, meaning, old.clone(), new.clone(), bearing);
            }
            Reading::Pair(both) => self.push(path, meaning, old.clone(), new.clone(), both(old, new)),
            Reading::Members { removed, more } => {
                let less = if *more == Bearing::Narrows { Bearing::Widens } else { Bearing::Narrows };
                for item in missing(old, new) {
                    self.push(path, *removed, item, Value::Null, less);
                }
                for item in missing(new, old) {
                    self.push(path, meaning, Value::Null, item, *more);
                }
            }
        }
    }

    fn push(&mut self, path: &str, meaning: Meaning, old: Value, new: Value, bearing: Bearing) {
        self.changes.push(Change { path: path.to_owned(), meaning, old, new, bearing });
    }
}

/// Escapes a name for a JSON pointer (RFC 6901 section 3).
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Returns the members of `of` that `other` lacks.
fn missing(of: &Value, other: &Value) -> Vec<Value> {
    let other = other.as_array().map(Vec::as_slice).unwrap_or_default();
    let of = of.as_array().into_iter().flatten();
    of.filter(|item| !other.contains(item)).cloned().collect()
}

/// How a difference at some place is read.
enum Reading {
    /// It is none.
    Nothing,
    /// Always so.
    Always(Bearing),
    /// By how much access each of the two leaves, larger for more; `None` if that cannot be told.
    Access(fn(&Value) -> Option<i64>),
    /// By both together.
    Pair(fn(&Value, &Value) -> Bearing),
    /// As a set; `more` is what one more member does.
    Members { removed: Meaning, more: Bearing },
}

fn compare<T: Ord>(old: Option<T>, new: Option<T>) -> Bearing {
    match old.zip(new).map(|(old, new)| new.cmp(&old)) {
        None => Bearing::Unknown,
        Some(Ordering::Greater) => Bearing::Widens,
        Some(Ordering::Less) => Bearing::Narrows,
        Some(Ordering::Equal) => Bearing::Neutral,
    }
}

/// Returns how to read a difference at `path`; `None` to look into its members, or if the place is unknown.
fn reading(kind: InstrumentKind, path: &str, old: &Value, new: &Value) -> Option<(Meaning, Reading)> {
    use Reading::{Always, Nothing, Pair};
    let is_directive = kind == InstrumentKind::Directive;
    let reach = if is_directive { Bearing::Narrows } else { Bearing::Widens };
    Some(match path {
        "/version" => (Meaning::Other, Nothing),
        "/status_since" | "/received_at" | "/comply_by" => (Meaning::DatesChanged, Always(Bearing::Neutral)),
        "/issuer" | "/addressee" | "/confidentiality" | "/authority" | "/source" | "/interpretation" | "/reporting" => {
            (Meaning::SourceChanged, Always(Bearing::Neutral))
        }
        "/supersedes" => (Meaning::SupersedesChanged, Always(Bearing::Unknown)),
        "/obligations" => members(Meaning::ObligationAdded, Meaning::ObligationRemoved, Bearing::Narrows),
        "/models/families" => members(Meaning::ModelFamilyAdded, Meaning::ModelFamilyRemoved, reach),
        "/models/include_derivatives" if is_directive => (Meaning::ScopeChanged, Pair(|old, new| turned_on(new, old))),
        "/models/include_derivatives" => (Meaning::ScopeChanged, Pair(turned_on)),
        _ if is_directive => return directive(path, old, new),
        _ => return license(path, old, new),
    })
}

fn members(added: Meaning, removed: Meaning, more: Bearing) -> (Meaning, Reading) {
    (added, Reading::Members { removed, more })
}

fn groups(more: Bearing) -> (Meaning, Reading) {
    members(Meaning::CountryGroupAdded, Meaning::CountryGroupRemoved, more)
}

fn directive(path: &str, old: &Value, new: &Value) -> Option<(Meaning, Reading)> {
    use Reading::{Access, Always, Pair};
    let another = old.get("deny") != new.get("deny");
    Some(match path {
        "/status" => (Meaning::StatusChanged, Access(|value| Some(i64::from(value != "in_force")))),
        "/effective_at" => (Meaning::DatesChanged, Access(moment)),
        "/grace_minutes" => (Meaning::DatesChanged, Access(|value| number_or(value, 0))),
        "/expires_at" => (Meaning::DatesChanged, Access(|value| end(value).map(|end| -end))),
        "/effect" => (Meaning::ScopeChanged, Access(|value| Some(i64::from(value != "prohibit")))),
        "/person_scope" if another => (Meaning::ScopeChanged, Access(persons_left)),
        "/destination_scope" if another => (Meaning::ScopeChanged, Access(destinations_left)),
        "/entity_scope" if another => (Meaning::ScopeChanged, Pair(entities)),
        "/person_scope/definition" => (Meaning::DefinitionChanged, Access(definition)),
        "/person_scope/groups" | "/destination_scope/groups" | "/entity_scope/headquartered_in" => {
            groups(Bearing::Narrows)
        }
        "/person_scope/unknown" | "/person_scope/rule" | "/destination_scope/unsettled" | "/actions" => {
            (Meaning::ScopeChanged, Always(Bearing::Unknown))
        }
        "/evidence/min_assurance" => (Meaning::EvidenceChanged, Access(|value| assurance(value).map(|rank| -rank))),
        "/evidence/max_age_hours" | "/evidence/employment_max_age_minutes" => {
            (Meaning::EvidenceChanged, Access(|value| number_or(value, i64::MAX)))
        }
        _ => return None,
    })
}

fn license(path: &str, old: &Value, new: &Value) -> Option<(Meaning, Reading)> {
    use Reading::{Access, Always, Pair};
    let any_absent = old.is_null() || new.is_null();
    Some(match path {
        "/status" => (Meaning::StatusChanged, Access(|value| Some(i64::from(value == "in_force")))),
        "/valid/from" => (Meaning::DatesChanged, Access(|value| moment(value).map(|from| -from))),
        "/valid/to" => (Meaning::DatesChanged, Access(end)),
        "/under" => members(Meaning::WaiverAdded, Meaning::WaiverRemoved, Bearing::Widens),
        // A document may repeat what no license waives: that says nothing new.
        "/never_waives" | "/recordkeeping_years" => (Meaning::ConditionChanged, Always(Bearing::Neutral)),
        "/grantees/organizations" => members(Meaning::GranteeAdded, Meaning::GranteeRemoved, Bearing::Widens),
        "/grantees/own_staff" => (Meaning::ScopeChanged, Pair(turned_on)),
        "/entity_scope" => (Meaning::ScopeChanged, Access(reach)),
        "/beneficiaries/employee_scope" => (Meaning::ScopeChanged, Access(employees)),
        "/nationality_exclude" if any_absent => {
            (Meaning::ScopeChanged, Access(|value| Some(i64::from(value.is_null()))))
        }
        "/nationality_exclude/rule" => (Meaning::ScopeChanged, Always(Bearing::Unknown)),
        "/territory/exclude_groups" | "/territory/unsettled_groups" | "/nationality_exclude/groups" => {
            groups(Bearing::Narrows)
        }
        "/end_uses" => (Meaning::ConditionChanged, Pair(end_uses)),
        "/tenant_binding" => (Meaning::ConditionChanged, Pair(|old, new| turned_on(new, old))),
        "/conditions/token_caps" => (Meaning::ConditionChanged, Pair(caps)),
        _ => return None,
    })
}

/// Of a switch that gives access when it is on; absent is off.
fn turned_on(old: &Value, new: &Value) -> Bearing {
    let on = |value: &Value| Some(value.as_bool().unwrap_or(false));
    compare(on(old), on(new))
}

fn moment(value: &Value) -> Option<i64> {
    Moment::parse(value.as_str()?).ok().map(Moment::as_millis)
}

/// An end that is absent never comes.
fn end(value: &Value) -> Option<i64> {
    if value.is_null() { Some(i64::MAX) } else { moment(value) }
}

fn number_or(value: &Value, absent: i64) -> Option<i64> {
    if value.is_null() { Some(absent) } else { value.as_i64() }
}

/// Whom a scope of persons leaves: nationals of some countries are fewer than all foreign persons.
fn persons_left(scope: &Value) -> Option<i64> {
    rank(scope.get("deny")?, &["everyone", "foreign_person", "nationals_of", "none"])
}

fn destinations_left(scope: &Value) -> Option<i64> {
    rank(scope.get("deny")?, &["all_foreign", "groups", "none"])
}

/// Only to bar none can be compared with the others: where an organization is incorporated says nothing of its parent.
fn entities(old: &Value, new: &Value) -> Bearing {
    let denies = |scope: &Value| scope.get("deny").and_then(Value::as_str).map(str::to_owned);
    match (denies(old).as_deref(), denies(new).as_deref()) {
        (Some("none"), Some("foreign_organization" | "headquarters")) => Bearing::Narrows,
        (Some("foreign_organization" | "headquarters"), Some("none")) => Bearing::Widens,
        _ => Bearing::Unknown,
    }
}

fn definition(value: &Value) -> Option<i64> {
    rank(value, &["citizens_nationals_only", "ear_772"])
}

fn assurance(level: &Value) -> Option<i64> {
    rank(level, &["none", "ial1", "ial2", "ial3"])
}

fn reach(value: &Value) -> Option<i64> {
    if value.is_null() { Some(0) } else { rank(value, &["named", "branches", "wholly_owned", "majority_owned"]) }
}

/// Absent covers direct employees and holds the others.
fn employees(value: &Value) -> Option<i64> {
    if value.is_null() { Some(0) } else { rank(value, &["direct", "regular_120_64", "employees_contractors_interns"]) }
}

fn rank(value: &Value, order: &[&str]) -> Option<i64> {
    let text = value.as_str()?;
    order.iter().position(|name| *name == text).and_then(|at| i64::try_from(at).ok())
}

/// No end use named means that the license is limited to none.
fn end_uses(old: &Value, new: &Value) -> Bearing {
    let limits = |value: &Value| value.as_array().is_some_and(|uses| !uses.is_empty());
    let (lost, gained) = (missing(old, new), missing(new, old));
    match (limits(old), limits(new)) {
        (false, _) => Bearing::Narrows,
        (true, false) => Bearing::Widens,
        (true, true) if gained.is_empty() => Bearing::Narrows,
        (true, true) if lost.is_empty() => Bearing::Widens,
        (true, true) => Bearing::Unknown,
    }
}

/// A period without a cap is without end.
fn caps(old: &Value, new: &Value) -> Bearing {
    let of = |caps: &Value, per: &str| {
        let mut caps = caps.as_array().into_iter().flatten();
        let cap = caps.find(|cap| cap.get("per").is_some_and(|known| known == per));
        cap.map_or(Some(u64::MAX), |cap| cap.get("tokens").and_then(Value::as_u64))
    };
    let bearings = ["day", "month", "year", "total"].map(|per| compare(of(old, per), of(new, per)));
    let only = |bearing| bearings.iter().all(|one| [bearing, Bearing::Neutral].contains(one));
    if only(Bearing::Narrows) {
        return Bearing::Narrows;
    }
    if only(Bearing::Widens) { Bearing::Widens } else { Bearing::Unknown }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn order() -> Value {
        serde_json::from_str(include_str!("../../../examples/june-12.directive.json")).unwrap()
    }

    fn letter() -> Value {
        serde_json::from_str(include_str!("../../../examples/annex-a.license.json")).unwrap()
    }

    /// Returns what one change of `document` at `path` means and does.
    fn change(document: &Value, path: &str, value: Value) -> Vec<(Meaning, Bearing)> {
        let mut new = document.clone();
        *new.pointer_mut(path).unwrap() = value;
        let changes = diff(document, &new);
        assert!(changes.iter().all(|change| change.path.starts_with(path)), "{changes:?}");
        changes.into_iter().map(|change| (change.meaning, change.bearing)).collect()
    }

    /// Writes `null` where the document leaves something out, so that there is a place to change.
    fn with_all(mut document: Value) -> Value {
        for name in ["effect", "grace_minutes", "actions"] {
            document[name] = json!(null);
        }
        document["models"]["include_derivatives"] = json!(null);
        document["evidence"]["employment_max_age_minutes"] = json!(null);
        document
    }

    #[test]
    fn a_version_that_says_the_same_has_no_changes() {
        let mut next = order();
        next["version"] = json!(2);
        assert_eq!(diff(&order(), &next), []);
    }

    #[test]
    fn more_of_a_directive_narrows_and_more_of_a_license_widens() {
        use Bearing::{Narrows, Widens};
        let families = json!(["ash-1"]);
        let both = [(Meaning::ModelFamilyRemoved, Widens), (Meaning::ModelFamilyAdded, Narrows)];
        let mut one = order();
        one["models"]["families"] = json!(["mythos-5"]);
        assert_eq!(change(&one, "/models/families", families.clone()), both);
        let mut one = letter();
        one["models"]["families"] = json!(["mythos-5"]);
        let both = [(Meaning::ModelFamilyRemoved, Narrows), (Meaning::ModelFamilyAdded, Widens)];
        assert_eq!(change(&one, "/models/families", families), both);
        for (document, narrows) in [(order(), false), (letter(), true)] {
            let bearing = if narrows { Narrows } else { Widens };
            assert_eq!(change(&document, "/status", json!("stayed")), [(Meaning::StatusChanged, bearing)]);
        }
    }

    #[test]
    fn each_part_of_a_directive_is_read_by_its_meaning() {
        use Bearing::{Narrows, Unknown, Widens};
        for (path, value, meaning, bearing) in [
            ("/person_scope", json!({ "deny": "none" }), Meaning::ScopeChanged, Widens),
            ("/person_scope/definition", json!("citizens_nationals_only"), Meaning::DefinitionChanged, Narrows),
            ("/entity_scope", json!({ "deny": "somebody" }), Meaning::ScopeChanged, Unknown),
            ("/effective_at", json!("2030-01-01T00:00:00Z"), Meaning::DatesChanged, Widens),
            ("/expires_at", json!("2030-01-01T00:00:00Z"), Meaning::DatesChanged, Widens),
            ("/evidence/min_assurance", json!("ial3"), Meaning::EvidenceChanged, Narrows),
            ("/evidence/max_age_hours", json!(9_000), Meaning::EvidenceChanged, Widens),
            ("/authority", json!([]), Meaning::SourceChanged, Bearing::Neutral),
            ("/person_scope", json!({ "deny": "everyone" }), Meaning::ScopeChanged, Narrows),
            ("/effect", json!("prohibit"), Meaning::ScopeChanged, Narrows),
            ("/grace_minutes", json!(90), Meaning::DatesChanged, Widens),
            ("/models/include_derivatives", json!(true), Meaning::ScopeChanged, Narrows),
            ("/evidence/employment_max_age_minutes", json!(15), Meaning::EvidenceChanged, Narrows),
            ("/actions", json!(["deemed_export"]), Meaning::ScopeChanged, Unknown),
        ] {
            assert_eq!(change(&with_all(order()), path, value), [(meaning, bearing)], "{path}");
        }
        let mut grouped = order();
        grouped["destination_scope"] = json!({ "deny": "groups", "groups": ["E:1"], "unsettled": false });
        let groups = change(&grouped, "/destination_scope/groups", json!(["E:1", "D:5"]));
        assert_eq!(groups, [(Meaning::CountryGroupAdded, Narrows)]);
        let mut barred = order();
        barred["entity_scope"] = json!({ "deny": "foreign_organization" });
        let parents = json!({ "deny": "headquarters", "headquartered_in": ["D:5"] });
        assert_eq!(change(&barred, "/entity_scope", parents), [(Meaning::ScopeChanged, Unknown)]);
    }

    #[test]
    fn each_part_of_a_license_is_read_by_its_meaning() {
        use Bearing::{Narrows, Widens};
        let mut letter = letter();
        letter["grantees"] = json!({ "organizations": ["northgate-grid"], "own_staff": false });
        letter["beneficiaries"]["employee_scope"] = json!("direct");
        letter["tenant_binding"] = json!(true);
        letter["conditions"]["token_caps"] = json!([{ "tokens": 5_000, "per": "month" }]);
        letter["end_uses"] = json!(["cyber_defence"]);
        letter["entity_scope"] = json!("branches");
        letter["nationality_exclude"] = json!(null);
        let cap = |tokens: u64, per: &str| json!([{ "tokens": tokens, "per": per }]);
        for (path, value, meaning, bearing) in [
            ("/grantees/own_staff", json!(true), Meaning::ScopeChanged, Widens),
            ("/grantees/organizations", json!([]), Meaning::GranteeRemoved, Narrows),
            ("/beneficiaries/employee_scope", json!("regular_120_64"), Meaning::ScopeChanged, Widens),
            ("/tenant_binding", json!(false), Meaning::ConditionChanged, Widens),
            ("/conditions/token_caps", cap(4_000, "month"), Meaning::ConditionChanged, Narrows),
            ("/conditions/token_caps", json!([]), Meaning::ConditionChanged, Widens),
            ("/conditions/token_caps", cap(4_000, "day"), Meaning::ConditionChanged, Bearing::Unknown),
            ("/end_uses", json!([]), Meaning::ConditionChanged, Widens),
            ("/end_uses", json!(["cyber_defence", "research"]), Meaning::ConditionChanged, Widens),
            ("/entity_scope", json!("majority_owned"), Meaning::ScopeChanged, Widens),
            ("/nationality_exclude", json!({ "groups": ["D:5"], "rule": "ear" }), Meaning::ScopeChanged, Narrows),
            ("/valid/from", json!("2030-01-01T00:00:00Z"), Meaning::DatesChanged, Narrows),
        ] {
            assert_eq!(change(&letter, path, value), [(meaning, bearing)], "{path}");
        }
    }

    #[test]
    fn what_this_release_does_not_know_is_never_passed_over() {
        let mut new = order();
        new["a/b"] = json!({ "surprise": true });
        let changes = diff(&order(), &new);
        assert_eq!(changes.len(), 1);
        assert_eq!((changes[0].path.as_str(), changes[0].bearing), ("/a~1b", Bearing::Unknown));
        assert!(!only_narrows(InstrumentKind::Directive, Some(&order()), &new));
        assert_eq!(diff(&json!({ "type": "ruling/v1", "a": 1 }), &json!({ "type": "ruling/v1", "a": 2 })).len(), 1);
    }

    #[test]
    fn a_first_directive_only_narrows_and_a_first_license_never_does() {
        assert!(only_narrows(InstrumentKind::Directive, None, &order()));
        assert!(!only_narrows(InstrumentKind::License, None, &letter()));
    }
}
