//! The policies of one instrument, written as Cedar text; and what a policy's annotations say of its refusals.

use std::fmt::Write;

use cedar_policy::{Effect, Policy};
use serde::de::{DeserializeOwned, IntoDeserializer, value::Error};
use terms::{ProvisionId, UsPersonLimb};

use super::vocabulary::{ENGAGEMENTS, Side, limb_name, role_name, versioned};
use crate::{
    Code, CompileFault, CountryGroup, Directive, License, Remedy,
    instrument::{Destination, EmployeeScope, NationalityRule, PersonDefinition, PersonScope},
    why::Finding,
};

pub(super) const LIMBS: [UsPersonLimb; 6] = [
    UsPersonLimb::Citizen,
    UsPersonLimb::National,
    UsPersonLimb::LawfulPermanentResident,
    UsPersonLimb::TemporaryResident,
    UsPersonLimb::Refugee,
    UsPersonLimb::Asylee,
];

/// Returns the finding that a forbid makes, by its annotations; `None` for a permit.
pub(super) fn finding(policy: &Policy, id: &ProvisionId) -> Result<Option<Finding>, CompileFault> {
    if policy.effect() == Effect::Permit {
        return Ok(None);
    }
    let fault = |what: &str| CompileFault::new(id.as_str(), format!("a forbid whose `@{what}` is not known"));
    let code: Code = policy.annotation("code").and_then(named).ok_or_else(|| fault("code"))?;
    let Some(remedy) = policy.annotation("remedy") else {
        return Ok(Some(Finding::deny(code, Some(id.clone()))));
    };
    let remedy: Remedy = named(remedy).ok_or_else(|| fault("remedy"))?;
    Ok(Some(Finding::hold(code, id.clone(), remedy)))
}

/// Writes the one permit of a directive: whom it does not bar. None if it bars everybody.
pub(super) fn directive(directive: &Directive) -> String {
    if *directive.person_scope() == (PersonScope::Everyone {}) {
        return String::new();
    }
    let entities = directive.entity_scope();
    let headquarters = entities.headquartered_in();
    let conditions = [
        persons(directive.person_scope()),
        destinations(directive.destination()),
        entities.bars_foreign().then(|| "!context.foreignOrganization".to_owned()),
        (!headquarters.is_empty()).then(|| none_in("headquarters", headquarters.iter())),
    ];
    let conditions: Vec<String> = conditions.into_iter().flatten().collect();
    let (id, cite) = (directive.id(), directive.cite());
    format!(
        "@id(\"{}\")\n@basis(\"outside the scope of {id}\")\n@cite({:?})\n@version(\"{}\")\n\
         permit (principal, action == Action::\"release\", resource in Directive::\"{}\")\nwhen {{ {} }};\n",
        clause(directive),
        format!("15 CFR 734.18(a)(2), 772.1; {cite}"),
        directive.version(),
        versioned(id, directive.version()),
        conditions.join(" && "),
    )
}

/// Names the permit of a directive.
fn clause(directive: &Directive) -> String {
    let name = match directive.person_scope() {
        PersonScope::ForeignPerson { .. } => "us-person",
        PersonScope::None {} | PersonScope::NationalsOf { .. } | PersonScope::Everyone {} => "outside-scope",
    };
    format!("{}.{name}", directive.id())
}

fn persons(scope: &PersonScope) -> Option<String> {
    match scope {
        PersonScope::None {} | PersonScope::Everyone {} => None,
        PersonScope::ForeignPerson { definition, .. } => Some(us_person(*definition)),
        PersonScope::NationalsOf { groups, rule, .. } => {
            let others = none_in(attribute(*rule), groups.iter());
            let us_person = us_person(PersonDefinition::Ear772);
            Some(format!("({us_person} || (context.standing == \"foreign_person\" && {others}))"))
        }
    }
}

fn us_person(definition: PersonDefinition) -> String {
    let limbs = LIMBS.into_iter().filter(|limb| is_covered(definition, *limb));
    let names: Vec<String> = limbs.map(|limb| format!("\"{}\"", limb_name(limb))).collect();
    format!("[{}].contains(context.standing)", names.join(", "))
}

/// Names the attribute that holds the groups of a nationality under a rule.
fn attribute(rule: NationalityRule) -> &'static str {
    match rule {
        NationalityRule::Ear => "ear",
        NationalityRule::Itar => "itar",
    }
}

/// Writes that a set of groups is known and has none of `groups`.
fn none_in<'a>(attribute: &str, groups: impl Iterator<Item = &'a CountryGroup>) -> String {
    let groups = joined(groups.map(|group| format!("Group::\"{group}\"")));
    format!("context has {attribute} && !context.{attribute}.containsAny([{groups}])")
}

/// Tells whether a definition counts a limb as not foreign.
pub(crate) fn is_covered(definition: PersonDefinition, limb: UsPersonLimb) -> bool {
    match definition {
        PersonDefinition::Ear772 => true,
        PersonDefinition::CitizensNationalsOnly => limb <= UsPersonLimb::National,
    }
}

fn destinations(destination: &Destination) -> Option<String> {
    match destination {
        Destination::None {} => None,
        Destination::AllForeign { .. } => Some(format!("context has location && {}", inside(&[Side::UnitedStates]))),
        Destination::Groups { groups, .. } => Some(outside(groups.iter())),
    }
}

/// Writes the permits of a license: one for the grantees it names, one for the lab's own staff.
pub(super) fn license(license: &License) -> String {
    let mut text = String::new();
    for (named, own_staff) in [(!license.grantees().is_empty(), false), (license.own_staff(), true)] {
        if named {
            write_permit(&mut text, license, own_staff);
        }
    }
    text
}

fn write_permit(text: &mut String, license: &License, own_staff: bool) {
    let (id, kind) = (license.id(), license.kind().as_words());
    let version = license.version();
    let clause = if own_staff { "own-staff" } else { "grantees" };
    let basis = format!("{kind} of {}, {clause}", license.agency());
    let written = write!(
        text,
        "@id(\"{id}.{clause}\")\n@basis({basis:?})\n@cite(\"{id} version {version}\")\n@version(\"{version}\")\n\
         permit (principal, action == Action::\"release\", resource)\nwhen {{ {} }};\n",
        conditions(license, own_staff).join(" && "),
    );
    debug_assert!(written.is_ok(), "a string takes any text");
}

fn conditions(license: &License, own_staff: bool) -> Vec<String> {
    let under = license.under().iter().map(|id| format!("Directive::\"{id}\""));
    let scope = license.employee_scope().unwrap_or(EmployeeScope::Direct);
    let covered = ENGAGEMENTS.into_iter().filter(|engagement| scope.covers(*engagement));
    let roles = covered.map(|engagement| format!("Role::\"{}\"", role_name(license, own_staff, engagement)));
    let mut conditions = vec![
        format!("resource in [{}]", joined(under)),
        families(license),
        format!("context.roles.containsAny([{}])", joined(roles)),
        "context.standing != \"unattested\"".to_owned(),
    ];
    let doubtful: Vec<&CountryGroup> = license.excluded_groups().union(license.unsettled_groups()).collect();
    if !doubtful.is_empty() {
        conditions.push(outside(doubtful.into_iter()));
    }
    if let Some(exclude) = license.nationality_exclude() {
        let others = none_in(attribute(exclude.rule), exclude.groups.iter());
        conditions.push(format!("(context.standing != \"foreign_person\" || ({others}))"));
    }
    if !license.end_uses().is_empty() {
        let named = joined(license.end_uses().iter().map(|end_use| format!("\"{end_use}\"")));
        conditions.push(format!("context has endUse && [{named}].contains(context.endUse)"));
    }
    if license.token_caps().next().is_some() {
        let name = versioned(license.id(), license.version());
        conditions.push(format!("!context.spent.contains(License::\"{name}\")"));
    }
    conditions
}

fn families(license: &License) -> String {
    let families = |of: &str| joined(license.families().iter().map(|family| format!("{of}::\"{family}\"")));
    let named = format!("resource in [{}]", families("Family"));
    // A set holds entities of one type only.
    if license.reaches_derivatives() {
        return format!("({named} || resource in [{}])", families("Derivative"));
    }
    named
}

fn outside<'a>(groups: impl Iterator<Item = &'a CountryGroup>) -> String {
    let sides: Vec<Side> = groups.map(|group| Side::Group(*group)).collect();
    format!("context has location && !({})", inside(&sides))
}

fn inside(sides: &[Side]) -> String {
    let groups = sides.iter().map(|side| format!("Group::\"{}\"", side.name()));
    format!("context.location in [{}]", joined(groups))
}

fn joined(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

/// Reads a unit variant by the name its documents use.
fn named<T: DeserializeOwned>(name: &str) -> Option<T> {
    let name = IntoDeserializer::<Error>::into_deserializer(name);
    T::deserialize(name).ok()
}
