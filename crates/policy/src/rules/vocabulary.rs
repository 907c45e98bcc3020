//! The entities and contexts that the schema declares, interned so that nothing is parsed per call.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{ActionConstraint, Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression};
use terms::{Control, Country, Engagement, InstrumentId, ModelVersion, Standing, UsPersonLimb};

use super::{Release, Serve};
use crate::{CompileFault, CountryGroup, CountryGroups, Directive, License, caller::Headquarters};

/// Every capacity in which a person can act for an organization.
pub(super) const ENGAGEMENTS: [Engagement; 4] =
    [Engagement::Employee, Engagement::RegularEmployee, Engagement::Contractor, Engagement::Intern];

/// A set of countries that a rule names.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Side {
    /// A country group of Supplement No. 1 to 15 CFR part 740.
    Group(CountryGroup),
    /// The countries that OFAC sanctions comprehensively.
    Sanctioned,
    /// The United States with its territories and possessions.
    UnitedStates,
}

impl Side {
    /// Returns every set that a table of country groups knows.
    pub(crate) fn all(groups: &CountryGroups) -> impl Iterator<Item = Self> {
        let named = groups.groups.keys().map(|group| Self::Group(*group));
        named.chain([Self::Sanctioned, Self::UnitedStates])
    }

    /// Those that an embargo names.
    pub(crate) const EMBARGOED: [Self; 3] =
        [Self::Group(CountryGroup::E1), Self::Group(CountryGroup::E2), Self::Sanctioned];

    pub(crate) fn name(self) -> String {
        match self {
            Self::Group(group) => group.as_str().to_owned(),
            Self::Sanctioned => "sanctioned".to_owned(),
            Self::UnitedStates => "united_states".to_owned(),
        }
    }

    pub(crate) fn has(self, groups: &CountryGroups, country: Country) -> bool {
        match self {
            Self::Group(group) => groups.members(group).contains(&country),
            Self::Sanctioned => groups.comprehensively_sanctioned.contains(&country),
            Self::UnitedStates => groups.united_states.contains(&country),
        }
    }
}

/// Entity types and interned entities.
#[derive(Debug)]
pub(super) struct Vocabulary {
    pub(super) caller: EntityUid,
    pub(super) serve: EntityUid,
    pub(super) release: EntityUid,
    sides: BTreeMap<Side, EntityUid>,
    table: CountryGroups,
    types: Types,
}

#[derive(Debug)]
struct Types {
    family: EntityTypeName,
    derivative: EntityTypeName,
    directive: EntityTypeName,
    license: EntityTypeName,
    role: EntityTypeName,
    model: EntityTypeName,
    gate: EntityTypeName,
    country: EntityTypeName,
}

impl Vocabulary {
    pub(super) fn new(groups: &CountryGroups) -> Result<Self, CompileFault> {
        let (group, action) = (type_name("Group")?, type_name("Action")?);
        Ok(Self {
            caller: uid(&type_name("Caller")?, "caller"),
            serve: uid(&action, "serve"),
            release: uid(&action, "release"),
            sides: Side::all(groups).map(|side| (side, uid(&group, &side.name()))).collect(),
            table: groups.clone(),
            types: Types {
                family: type_name("Family")?,
                derivative: type_name("Derivative")?,
                directive: type_name("Directive")?,
                license: type_name("License")?,
                role: type_name("Role")?,
                model: type_name("Model")?,
                gate: type_name("Gate")?,
                country: type_name("Country")?,
            },
        })
    }

    pub(super) fn action(&self, name: &str) -> ActionConstraint {
        let action = if name == "serve" { &self.serve } else { &self.release };
        ActionConstraint::Eq(action.clone())
    }

    /// Returns every country of some group, with its groups as parents.
    pub(super) fn countries(&self) -> Vec<Entity> {
        let groups = &self.table;
        let listed = groups.groups.values().chain([&groups.comprehensively_sanctioned, &groups.united_states]);
        let countries: BTreeSet<Country> = listed.flatten().copied().collect();
        let entity = |country: Country| {
            let sides = Side::all(groups).filter(|side| side.has(groups, country));
            let parents = sides.filter_map(|side| self.sides.get(&side).cloned());
            Entity::new_no_attrs(self.country(country), parents.collect())
        };
        countries.into_iter().map(entity).collect()
    }

    pub(super) fn is_country(&self, uid: &EntityUid) -> bool {
        *uid.type_name() == self.types.country
    }

    pub(super) fn license(&self, license: &License) -> EntityUid {
        uid(&self.types.license, &versioned(license.id(), license.version()))
    }

    /// Returns every role that a person can have under a license.
    pub(super) fn roles(&self, license: &License) -> BTreeMap<(bool, Engagement), EntityUid> {
        let role = |own_staff, engagement| uid(&self.types.role, &role_name(license, own_staff, engagement));
        let ways = [false, true].into_iter();
        let keys = ways.flat_map(|own_staff| ENGAGEMENTS.map(|engagement| (own_staff, engagement)));
        keys.map(|(own_staff, engagement)| ((own_staff, engagement), role(own_staff, engagement))).collect()
    }

    pub(super) fn model_entity(&self, model: &ModelVersion) -> Result<Entity, CompileFault> {
        let attributes =
            [("published", model.control == Control::Published), ("certificateRequired", model.certificate_required)];
        let attributes = attributes.map(|(name, value)| (name.to_owned(), RestrictedExpression::new_bool(value)));
        let family = uid(&self.types.family, model.family.as_str());
        Entity::new(uid(&self.types.model, model.id.as_str()), attributes.into(), [family].into())
            .map_err(|e| CompileFault::new(model.id.as_str(), e.to_string()))
    }

    /// Returns one version of a directive, which belongs to all its versions.
    pub(super) fn directive_entity(&self, directive: &Directive) -> Entity {
        let of = uid(&self.types.directive, directive.id().as_str());
        Entity::new_no_attrs(self.directive(directive), [of].into())
    }

    fn directive(&self, directive: &Directive) -> EntityUid {
        uid(&self.types.directive, &versioned(directive.id(), directive.version()))
    }

    pub(super) fn gate_entity(&self, model: &ModelVersion, directive: &Directive) -> Entity {
        let name = format!("{}/{}", versioned(directive.id(), directive.version()), model.id);
        let family = uid(&self.types.family, model.family.as_str());
        let derivative = model.derived_from.iter().map(|from| uid(&self.types.derivative, from.as_str()));
        let parents = derivative.chain([family, self.directive(directive)]).collect();
        Entity::new_no_attrs(uid(&self.types.gate, &name), parents)
    }

    pub(super) fn serve_context(&self, question: &Serve) -> Vec<(String, RestrictedExpression)> {
        let parties = question.parties.iter().map(|word| text(word));
        let near = question.near.iter().filter_map(|side| self.sides.get(side));
        vec![
            pair("parties", RestrictedExpression::new_set(parties)),
            pair("near", entities(near.cloned())),
            pair("controlled", RestrictedExpression::new_bool(question.controlled)),
        ]
    }

    pub(super) fn release_context(
        &self,
        question: &Release,
        roles: Vec<EntityUid>,
        spent: Vec<EntityUid>,
    ) -> Vec<(String, RestrictedExpression)> {
        let mut pairs = vec![
            pair("standing", text(standing(question.standing))),
            pair("foreignOrganization", RestrictedExpression::new_bool(question.foreign_organization)),
            pair("resells", RestrictedExpression::new_bool(question.resells)),
            pair("roles", entities(roles)),
            pair("spent", entities(spent)),
        ];
        let location = question.location.map(|country| RestrictedExpression::new_entity_uid(self.country(country)));
        let optional = [
            ("location", location),
            ("headquarters", self.headquarters(question.headquarters)),
            ("ear", question.ear.groups(&self.table).map(|groups| self.groups(&groups))),
            ("itar", question.itar.groups(&self.table).map(|groups| self.groups(&groups))),
            ("endUse", question.end_use.as_ref().map(|end_use| text(end_use.as_str()))),
        ];
        pairs.extend(optional.into_iter().filter_map(|(name, value)| Some(pair(name, value?))));
        pairs
    }

    fn headquarters(&self, headquarters: Headquarters) -> Option<RestrictedExpression> {
        match headquarters {
            Headquarters::Nobody => Some(self.groups(&BTreeSet::new())),
            Headquarters::In(country) => Some(self.groups(&self.table.of(country).collect())),
            Headquarters::Unknown => None,
        }
    }

    fn groups(&self, groups: &BTreeSet<CountryGroup>) -> RestrictedExpression {
        entities(groups.iter().filter_map(|group| self.sides.get(&Side::Group(*group)).cloned()))
    }

    fn country(&self, country: Country) -> EntityUid {
        uid(&self.types.country, country.as_str())
    }
}

/// Names the role of a person under a license, as the license's policies do.
pub(super) fn role_name(license: &License, own_staff: bool, engagement: Engagement) -> String {
    let by = if own_staff { "own-staff" } else { "grantee" };
    let capacity = match engagement {
        Engagement::Employee => "employee",
        Engagement::RegularEmployee => "regular-employee",
        Engagement::Contractor => "contractor",
        Engagement::Intern => "intern",
    };
    format!("{}/{by}/{capacity}", versioned(license.id(), license.version()))
}

/// Names one version of an instrument, as its policies do.
pub(super) fn versioned(id: &InstrumentId, version: u32) -> String {
    format!("{id}@{version}")
}

/// Spells a standing as the rules do.
pub(super) fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::UsPerson(limb) => limb_name(limb),
        Standing::ForeignPerson => "foreign_person",
        Standing::Unattested => "unattested",
    }
}

pub(super) fn limb_name(limb: UsPersonLimb) -> &'static str {
    match limb {
        UsPersonLimb::Citizen => "citizen",
        UsPersonLimb::National => "national",
        UsPersonLimb::LawfulPermanentResident => "lawful_permanent_resident",
        UsPersonLimb::TemporaryResident => "temporary_resident",
        UsPersonLimb::Refugee => "refugee",
        UsPersonLimb::Asylee => "asylee",
    }
}

fn pair(name: &str, value: RestrictedExpression) -> (String, RestrictedExpression) {
    (name.to_owned(), value)
}

fn text(value: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(value.to_owned())
}

fn entities(uids: impl IntoIterator<Item = EntityUid>) -> RestrictedExpression {
    RestrictedExpression::new_set(uids.into_iter().map(RestrictedExpression::new_entity_uid))
}

fn uid(of: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(of.clone(), EntityId::new(id))
}

fn type_name(name: &str) -> Result<EntityTypeName, CompileFault> {
    name.parse().map_err(|e| CompileFault::new("rules", format!("{e}")))
}
