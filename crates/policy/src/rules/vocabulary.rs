//! The entities and contexts that the schema declares, interned so that nothing is parsed per call.

use std::collections::BTreeMap;

use cedar_policy::{ActionConstraint, Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression};
use terms::{Control, Country, Engagement, InstrumentId, ModelVersion, Standing, UsPersonLimb};

use super::{Release, Serve};
use crate::{CompileFault, CountryGroup, CountryGroups, Directive};

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
    pub(crate) const ALL: [Self; 5] = [
        Self::Group(CountryGroup::D5),
        Self::Group(CountryGroup::E1),
        Self::Group(CountryGroup::E2),
        Self::Sanctioned,
        Self::UnitedStates,
    ];

    /// Those that an embargo names.
    pub(crate) const EMBARGOED: [Self; 3] =
        [Self::Group(CountryGroup::E1), Self::Group(CountryGroup::E2), Self::Sanctioned];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Group(group) => group.as_str(),
            Self::Sanctioned => "sanctioned",
            Self::UnitedStates => "united_states",
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
    types: Types,
}

#[derive(Debug)]
struct Types {
    family: EntityTypeName,
    directive: EntityTypeName,
    license: EntityTypeName,
    role: EntityTypeName,
    model: EntityTypeName,
    gate: EntityTypeName,
    country: EntityTypeName,
}

impl Vocabulary {
    pub(super) fn new() -> Result<Self, CompileFault> {
        let (group, action) = (type_name("Group")?, type_name("Action")?);
        Ok(Self {
            caller: uid(&type_name("Caller")?, "caller"),
            serve: uid(&action, "serve"),
            release: uid(&action, "release"),
            sides: Side::ALL.map(|side| (side, uid(&group, side.as_str()))).into(),
            types: Types {
                family: type_name("Family")?,
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
    pub(super) fn countries(&self, groups: &CountryGroups) -> Vec<Entity> {
        let listed = [&groups.d5, &groups.e1, &groups.e2, &groups.comprehensively_sanctioned, &groups.united_states];
        let mut countries: Vec<Country> = listed.into_iter().flatten().copied().collect();
        countries.sort();
        countries.dedup();
        let entity = |country: Country| {
            let sides = Side::ALL.into_iter().filter(|side| side.has(groups, country));
            let parents = sides.filter_map(|side| self.sides.get(&side).cloned());
            Entity::new_no_attrs(self.country(country), parents.collect())
        };
        countries.into_iter().map(entity).collect()
    }

    pub(super) fn license(&self, id: &InstrumentId) -> EntityUid {
        uid(&self.types.license, id.as_str())
    }

    /// Returns every role that a person can have under a license.
    pub(super) fn roles(&self, license: &InstrumentId) -> BTreeMap<(bool, Engagement), EntityUid> {
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

    pub(super) fn gate_entity(&self, model: &ModelVersion, directive: &Directive) -> Entity {
        let name = format!("{}/{}", directive.id(), model.id);
        let family = uid(&self.types.family, model.family.as_str());
        let directive = uid(&self.types.directive, directive.id().as_str());
        Entity::new_no_attrs(uid(&self.types.gate, &name), [family, directive].into())
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
        pairs.extend(
            question
                .location
                .map(|country| pair("location", RestrictedExpression::new_entity_uid(self.country(country)))),
        );
        pairs
    }

    fn country(&self, country: Country) -> EntityUid {
        uid(&self.types.country, country.as_str())
    }
}

/// Names the role of a person under a license, as the license's policies do.
pub(super) fn role_name(license: &InstrumentId, own_staff: bool, engagement: Engagement) -> String {
    let by = if own_staff { "own-staff" } else { "grantee" };
    let capacity = match engagement {
        Engagement::Employee => "employee",
        Engagement::RegularEmployee => "regular-employee",
        Engagement::Contractor => "contractor",
        Engagement::Intern => "intern",
    };
    format!("{license}/{by}/{capacity}")
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
