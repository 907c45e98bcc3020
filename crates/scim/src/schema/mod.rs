//! Schemas: which attributes there are and how each behaves.

pub(crate) mod attribute;
mod discovery;
mod export_control;
mod group;
mod meta;
mod user;

pub use discovery::{Bounds, resource_types, schemas, service_provider_config};

use attribute::{Attribute, DataType, Returned};
use serde_json::{Value, json};

/// The core schema of a person.
pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// The core schema of a group.
pub const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
/// The enterprise extension of a person.
pub const ENTERPRISE_USER: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
/// Our extension of a person: what export control asks.
pub const EXPORT_CONTROL: &str = "urn:exeat:scim:schemas:extension:exportcontrol:1.0:User";

/// With what the URNs of our own schemas begin; whatever begins so and is not known was misspelled.
pub(crate) const OUR_NAMESPACE: &str = "urn:exeat:";

/// A schema: its URN, what it is called, and its attributes.
#[derive(Debug)]
pub(crate) struct Schema {
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    pub(crate) attributes: &'static [Attribute],
}

static USER_SCHEMA: Schema = Schema { id: USER, name: "User", description: "A person.", attributes: user::ATTRIBUTES };
static GROUP_SCHEMA: Schema =
    Schema { id: GROUP, name: "Group", description: "A group of people.", attributes: group::ATTRIBUTES };
static ENTERPRISE_SCHEMA: Schema = Schema {
    id: ENTERPRISE_USER,
    name: "EnterpriseUser",
    description: "A person's place at the employer.",
    attributes: user::ENTERPRISE,
};
static EXPORT_CONTROL_SCHEMA: Schema = Schema {
    id: EXPORT_CONTROL,
    name: "ExportControlUser",
    description: "What an employer attests about a person for export control.",
    attributes: export_control::ATTRIBUTES,
};

static USER_EXTENSIONS: [&Schema; 2] = [&ENTERPRISE_SCHEMA, &EXPORT_CONTROL_SCHEMA];

const META: &[Attribute] = &[
    Attribute::string("resourceType", "What the resource is.").exact().read_only(),
    Attribute::date_time("created", "When it was created.").read_only(),
    Attribute::date_time("lastModified", "When it was last changed.").read_only(),
    Attribute::reference("location", &["uri"], "Where it is.").read_only(),
    Attribute::string("version", "Its version, as in `ETag`.").exact().read_only(),
];

/// What every resource has.
///
/// # Source
/// RFC 7643 section 3.1.
static COMMON: &[Attribute] = &[
    Attribute::new("schemas", DataType::Reference, "The schemas of the resource.")
        .many()
        .required()
        .returned(Returned::Always),
    Attribute::string("id", "The id given by this service.").exact().unique().read_only().returned(Returned::Always),
    Attribute::string("externalId", "The id given by the provisioning client.").exact(),
    Attribute::complex("meta", META, "What this service records about the resource.").read_only(),
];

/// What a resource is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum ResourceType {
    /// A person, as an employer's directory has them.
    User,
    /// A group of people.
    Group,
}

/// Where an attribute is in a resource.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// The URN of the extension under which it stands; `None` for the resource itself.
    pub(crate) extension: Option<&'static str>,
    pub(crate) attribute: &'static Attribute,
    pub(crate) sub: Option<&'static Attribute>,
}

impl Place {
    /// Returns the attribute that a value at this place belongs to.
    pub(crate) fn leaf(&self) -> &'static Attribute {
        self.sub.unwrap_or(self.attribute)
    }
}

impl ResourceType {
    /// Both, in the order in which they are listed.
    pub const ALL: [Self; 2] = [Self::User, Self::Group];

    /// Returns the name, as in `meta.resourceType`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Group => "Group",
        }
    }

    /// Returns the path of the endpoint, below the base URL.
    #[must_use]
    pub fn endpoint(self) -> &'static str {
        match self {
            Self::User => "/Users",
            Self::Group => "/Groups",
        }
    }

    pub(crate) fn base(self) -> &'static Schema {
        match self {
            Self::User => &USER_SCHEMA,
            Self::Group => &GROUP_SCHEMA,
        }
    }

    pub(crate) fn extensions(self) -> &'static [&'static Schema] {
        match self {
            Self::User => &USER_EXTENSIONS,
            Self::Group => &[],
        }
    }

    /// Returns the extension of that URN, in any case.
    pub(crate) fn extension(self, urn: &str) -> Option<&'static Schema> {
        self.extensions().iter().find(|schema| schema.id.eq_ignore_ascii_case(urn)).copied()
    }

    /// Returns an attribute of the resource itself, not of an extension.
    pub(crate) fn own(self, name: &str) -> Option<&'static Attribute> {
        attribute::find(COMMON, name).or_else(|| attribute::find(self.base().attributes, name))
    }

    /// Finds an attribute by the URN of its schema (none means the resource itself), its name and that of a part of it.
    pub(crate) fn place(self, urn: Option<&str>, name: &str, sub: Option<&str>) -> Option<Place> {
        let (extension, attribute) = match urn {
            None => (None, self.own(name)?),
            Some(urn) if urn.eq_ignore_ascii_case(self.base().id) => (None, self.own(name)?),
            Some(urn) => {
                let schema = self.extension(urn)?;
                (Some(schema.id), attribute::find(schema.attributes, name)?)
            }
        };
        match sub {
            None => Some(Place { extension, attribute, sub: None }),
            Some(sub) => Some(Place { extension, attribute, sub: Some(attribute.part(sub)?) }),
        }
    }
}

impl Schema {
    fn describe(&self, base_url: &str) -> Value {
        let attributes: Vec<Value> = self.attributes.iter().map(Attribute::describe).collect();
        json!({
            "schemas": [meta::SCHEMA],
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "attributes": attributes,
            "meta": { "resourceType": "Schema", "location": format!("{base_url}/Schemas/{}", self.id) },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_is_found_in_any_case_and_under_its_urn_only_in_its_own_schema() {
        let user = ResourceType::User;
        assert_eq!(user.place(None, "USERNAME", None).unwrap().attribute.name, "userName");
        assert_eq!(user.place(Some(&USER.to_uppercase()), "name", Some("givenname")).unwrap().leaf().name, "givenName");
        let place = user.place(Some(ENTERPRISE_USER), "department", None).unwrap();
        assert_eq!(place.extension, Some(ENTERPRISE_USER));
        assert!(user.place(None, "department", None).is_none());
        assert!(user.place(Some(GROUP), "displayName", None).is_none());
        assert!(ResourceType::Group.place(None, "userName", None).is_none());
    }

    #[test]
    fn our_extension_is_flat_and_keeps_nationality_to_who_asks_for_it() {
        for attribute in EXPORT_CONTROL_SCHEMA.attributes {
            assert!(attribute.sub_attributes.is_empty(), "{}", attribute.name);
        }
        for name in ["usPersonBasis", "citizenships", "permanentResidencies", "formerCitizenships"] {
            let attribute = attribute::find(EXPORT_CONTROL_SCHEMA.attributes, name).unwrap();
            assert_eq!(attribute.returned, Returned::Request, "{name}");
        }
    }
}
