//! Whom the documents let through, at most: written from the documents alone, not from the rules made of them.
//!
//! `policy` turns each document into policies. This is a second reading of the same documents, by other code, from
//! their JSON: where the two differ, a proof fails. A scope that is not known here is a fault, never a guess.

use std::collections::BTreeSet;

use policy::{Directive, FormalLicense, FormalRole, License};
use serde_json::Value;
use terms::{Engagement, Standing, UsPersonLimb};

use crate::{
    rulebook::{Gate, Rulebook, document_of},
    session::Broken,
};

/// Writes the permits that bound a gate: its directive's own terms, and every license that names it.
///
/// # Errors
///
/// [`Broken`]: a document has a scope that this prover cannot read.
pub(crate) fn of_gate(book: &Rulebook<'_>, gate: &Gate<'_>) -> Result<Vec<String>, Broken> {
    let mut permits: Vec<String> = own_terms(book, gate.directive)?.into_iter().collect();
    if prohibits(gate.directive)? {
        return Ok(permits);
    }
    let models: Vec<Value> = book.models(gate).map(document_of).collect();
    for (license, formal) in book.licenses().filter(|(license, _)| license.under().contains(gate.directive.id())) {
        if models.iter().all(|model| names(&document_of(license), model)) {
            permits.push(license_terms(license, formal)?);
        }
    }
    Ok(permits)
}

/// Writes whom a directive does not bar; `None` if it bars everybody.
///
/// # Errors
///
/// As for [`of_gate`].
pub(crate) fn own_terms(book: &Rulebook<'_>, directive: &Directive) -> Result<Option<String>, Broken> {
    let document = document_of(directive);
    let scope = Scope { id: directive.id().as_str(), document: &document };
    if scope.kind("person_scope")? == "everyone" {
        return Ok(None);
    }
    let terms = [persons(&scope, book)?, destinations(&scope)?, organizations(&scope)?, headquarters(&scope)];
    Ok(Some(permit(&terms.into_iter().flatten().collect::<Vec<_>>())))
}

/// Writes that a person has some role under one of these licenses.
pub(crate) fn with_role_under<'f>(licenses: impl Iterator<Item = &'f FormalLicense>) -> String {
    let roles = licenses.flat_map(|license| &license.roles);
    permit(&[has_one_of(roles)])
}

/// Tells whether a directive prohibits: then no license waives it.
fn prohibits(directive: &Directive) -> Result<bool, Broken> {
    let document = document_of(directive);
    let scope = Scope { id: directive.id().as_str(), document: &document };
    match document.get("effect").map(Value::as_str) {
        None | Some(Some("require_license")) => Ok(false),
        Some(Some("prohibit")) => Ok(true),
        Some(other) => Err(scope.unknown("effect", other.unwrap_or("something else"))),
    }
}

/// Tells whether a license names the family of a model version, or one that it was derived from if it reaches so far.
fn names(license: &Value, model: &Value) -> bool {
    let families = words(license, "/models/families");
    let is_named =
        |field: &str| model.get(field).and_then(Value::as_str).is_some_and(|family| families.contains(family));
    let derivatives = license.pointer("/models/include_derivatives").and_then(Value::as_bool).unwrap_or_default();
    is_named("family") || (derivatives && is_named("derived_from"))
}

fn persons(scope: &Scope<'_>, book: &Rulebook<'_>) -> Result<Option<String>, Broken> {
    match scope.kind("person_scope")? {
        "none" => Ok(None),
        "foreign_person" => match scope.word("/person_scope/definition")? {
            // 15 CFR 772.1: no foreign person is who is a citizen, a national, a permanent resident, or protected.
            "ear_772" => Ok(Some(us_person(book, |_| true))),
            "citizens_nationals_only" => {
                Ok(Some(us_person(book, |limb| matches!(limb, UsPersonLimb::Citizen | UsPersonLimb::National))))
            }
            other => Err(scope.unknown("person_scope.definition", other)),
        },
        "nationals_of" => {
            let others = other_nationality(scope, "/person_scope")?;
            let us_person = us_person(book, |_| true);
            Ok(Some(format!("({us_person} || (context.standing == \"foreign_person\" && {others}))")))
        }
        other => Err(scope.unknown("person_scope.deny", other)),
    }
}

fn us_person(book: &Rulebook<'_>, counts: impl Fn(UsPersonLimb) -> bool) -> String {
    let passes = |standing: &Standing| matches!(standing, Standing::UsPerson(limb) if counts(*limb));
    let words = book.formal.standings.iter().filter(|(_, standing)| passes(standing));
    let words: Vec<String> = words.map(|(word, _)| format!("{word:?}")).collect();
    format!("[{}].contains(context.standing)", words.join(", "))
}

/// Writes that a nationality is established by the rule that a document names, and in none of its groups.
fn other_nationality(scope: &Scope<'_>, at: &str) -> Result<String, Broken> {
    let attribute = match scope.word(&format!("{at}/rule"))? {
        "ear" => "ear",
        "itar" => "itar",
        other => return Err(scope.unknown(&format!("{at}/rule"), other)),
    };
    Ok(none_of(attribute, &words(scope.document, &format!("{at}/groups"))))
}

fn destinations(scope: &Scope<'_>) -> Result<Option<String>, Broken> {
    match scope.kind("destination_scope")? {
        "none" => Ok(None),
        "all_foreign" => Ok(Some("context has location && context.location in Group::\"united_states\"".to_owned())),
        "groups" => Ok(Some(outside(&words(scope.document, "/destination_scope/groups")))),
        other => Err(scope.unknown("destination_scope.deny", other)),
    }
}

fn organizations(scope: &Scope<'_>) -> Result<Option<String>, Broken> {
    match scope.kind("entity_scope")? {
        "none" => Ok(None),
        "headquarters" => Ok(None),
        "foreign_organization" => Ok(Some("!context.foreignOrganization".to_owned())),
        other => Err(scope.unknown("entity_scope.deny", other)),
    }
}

fn headquarters(scope: &Scope<'_>) -> Option<String> {
    let groups = words(scope.document, "/entity_scope/headquartered_in");
    (!groups.is_empty()).then(|| none_of("headquarters", &groups))
}

fn license_terms(license: &License, formal: &FormalLicense) -> Result<String, Broken> {
    let document = document_of(license);
    let scope = Scope { id: license.id().as_str(), document: &document };
    let covered = covered(&scope)?;
    let is_named = |role: &&FormalRole| {
        if role.own_staff { license.own_staff() } else { !license.grantees().is_empty() }
    };
    let roles = formal.roles.iter().filter(is_named).filter(|role| covered.contains(&role.engagement));
    let mut terms = vec![has_one_of(roles), "context.standing != \"unattested\"".to_owned()];
    let mut groups = words(&document, "/territory/exclude_groups");
    groups.extend(words(&document, "/territory/unsettled_groups"));
    if !groups.is_empty() {
        terms.push(outside(&groups));
    }
    if document.get("nationality_exclude").is_some() {
        let others = other_nationality(&scope, "/nationality_exclude")?;
        terms.push(format!("(context.standing != \"foreign_person\" || ({others}))"));
    }
    let end_uses = words(&document, "/end_uses");
    if !end_uses.is_empty() {
        terms.push(format!("context has endUse && {}.contains(context.endUse)", list(&end_uses, "")));
    }
    if document.pointer("/conditions/token_caps").and_then(Value::as_array).is_some_and(|caps| !caps.is_empty()) {
        terms.push(format!("!context.spent.contains({})", formal.uid));
    }
    Ok(permit(&terms))
}

/// Returns whom of a grantee's people a license covers; where counsel has not ruled, those directly employed.
fn covered(scope: &Scope<'_>) -> Result<BTreeSet<Engagement>, Broken> {
    let ruled = scope.document.pointer("/beneficiaries/employee_scope").unwrap_or(&Value::Null);
    let all = [Engagement::Employee, Engagement::RegularEmployee, Engagement::Contractor, Engagement::Intern];
    let first = match ruled.as_str() {
        None if ruled.is_null() => 1,
        Some("direct") => 1,
        Some("regular_120_64") => 2,
        Some("employees_contractors_interns") => all.len(),
        _ => return Err(scope.unknown("beneficiaries.employee_scope", &ruled.to_string())),
    };
    Ok(all.into_iter().take(first).collect())
}

/// A document that is being read.
struct Scope<'d> {
    id: &'d str,
    document: &'d Value,
}

impl<'d> Scope<'d> {
    /// Returns what sort of scope it is.
    fn kind(&self, scope: &str) -> Result<&'d str, Broken> {
        self.word(&format!("/{scope}/deny"))
    }

    fn word(&self, pointer: &str) -> Result<&'d str, Broken> {
        let found = self.document.pointer(pointer).and_then(Value::as_str);
        found.ok_or_else(|| Broken(format!("`{}` says nothing at `{pointer}`", self.id)))
    }

    fn unknown(&self, at: &str, found: &str) -> Broken {
        Broken(format!("`{}` has the {at} `{found}`, which this prover cannot read: add it to its bounds", self.id))
    }
}

fn words(document: &Value, pointer: &str) -> BTreeSet<String> {
    let list = document.pointer(pointer).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn outside(groups: &BTreeSet<String>) -> String {
    format!("context has location && !(context.location in {})", list(groups, "Group::"))
}

fn none_of(attribute: &str, groups: &BTreeSet<String>) -> String {
    format!("context has {attribute} && !context.{attribute}.containsAny({})", list(groups, "Group::"))
}

fn list(words: &BTreeSet<String>, of: &str) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("{of}{word:?}")).collect();
    format!("[{}]", words.join(", "))
}

fn has_one_of<'r>(roles: impl Iterator<Item = &'r FormalRole>) -> String {
    let roles: Vec<&str> = roles.map(|role| role.uid.as_str()).collect();
    if roles.is_empty() {
        return "false".to_owned();
    }
    format!("context.roles.containsAny([{}])", roles.join(", "))
}

fn permit(terms: &[String]) -> String {
    let terms = if terms.is_empty() { "true".to_owned() } else { terms.join(" && ") };
    format!("permit (principal, action == Action::\"release\", resource) when {{ {terms} }};")
}
