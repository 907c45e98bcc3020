//! The schemas that describe the service itself (RFC 7643 sections 5 to 7).

use super::{
    Schema,
    attribute::{Attribute, DataType},
};

/// The schema of a schema.
pub(super) const SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:Schema";
/// The schema of a resource type.
pub(super) const RESOURCE_TYPE: &str = "urn:ietf:params:scim:schemas:core:2.0:ResourceType";
/// The schema of what the service offers.
pub(super) const CONFIG: &str = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig";

pub(super) static SCHEMAS: [Schema; 3] = [
    Schema {
        id: CONFIG,
        name: "ServiceProviderConfig",
        description: "What this service offers.",
        attributes: CONFIG_ATTRIBUTES,
    },
    Schema {
        id: RESOURCE_TYPE,
        name: "ResourceType",
        description: "A kind of resource.",
        attributes: RESOURCE_TYPE_ATTRIBUTES,
    },
    Schema { id: SCHEMA, name: "Schema", description: "A schema.", attributes: SCHEMA_ATTRIBUTES },
];

const fn shown(name: &'static str, description: &'static str) -> Attribute {
    Attribute::string(name, description).exact().read_only()
}

const fn flag(name: &'static str, description: &'static str) -> Attribute {
    Attribute::boolean(name, description).read_only()
}

const fn number(name: &'static str, description: &'static str) -> Attribute {
    Attribute::new(name, DataType::Integer, description).read_only().required()
}

const fn parts(name: &'static str, sub: &'static [Attribute], description: &'static str) -> Attribute {
    Attribute::complex(name, sub, description).read_only()
}

const SUPPORTED: Attribute = flag("supported", "True if it is offered.").required();
const FEATURE: &[Attribute] = &[SUPPORTED];
const BULK: &[Attribute] = &[
    SUPPORTED,
    number("maxOperations", "How many operations a request may hold."),
    number("maxPayloadSize", "How many bytes a request may hold."),
];
const FILTER: &[Attribute] = &[SUPPORTED, number("maxResults", "How many resources an answer holds at most.")];
const AUTHENTICATION: &[Attribute] = &[
    shown("type", "The kind of authentication.").required(),
    shown("name", "What it is called.").required(),
    shown("description", "How it is done.").required(),
    Attribute::reference("specUri", &["external"], "Where it is specified.").read_only(),
    Attribute::reference("documentationUri", &["external"], "Where it is documented.").read_only(),
    flag("primary", "True for the preferred one."),
];

const CONFIG_ATTRIBUTES: &[Attribute] = &[
    Attribute::reference("documentationUri", &["external"], "Where the service is documented.").read_only(),
    parts("patch", FEATURE, "Whether PATCH is offered.").required(),
    parts("bulk", BULK, "Whether bulk requests are offered.").required(),
    parts("filter", FILTER, "Whether filters are offered.").required(),
    parts("changePassword", FEATURE, "Whether a password can be changed.").required(),
    parts("sort", FEATURE, "Whether results can be sorted.").required(),
    parts("etag", FEATURE, "Whether versions are checked.").required(),
    parts("authenticationSchemes", AUTHENTICATION, "How a client authenticates.").many().required(),
];

const EXTENSIONS: &[Attribute] = &[
    Attribute::reference("schema", &["uri"], "The URN of the extension.").read_only().required(),
    flag("required", "True if every resource has it.").required(),
];

const RESOURCE_TYPE_ATTRIBUTES: &[Attribute] = &[
    shown("name", "What the kind is called.").required(),
    shown("description", "What it is."),
    Attribute::reference("endpoint", &["uri"], "Where its resources are, below the base URL.").read_only().required(),
    Attribute::reference("schema", &["uri"], "The URN of its schema.").read_only().required(),
    parts("schemaExtensions", EXTENSIONS, "Its extensions.").many(),
];

/// What is said of an attribute, but for the parts of a complex one.
const CHARACTERISTICS: [Attribute; 11] = [
    shown("name", "Its name.").required(),
    shown("type", "The type of its values.").required(),
    flag("multiValued", "True if it has several values.").required(),
    shown("description", "What it is."),
    flag("required", "True if it must be there."),
    shown("canonicalValues", "Its usual values.").many(),
    flag("caseExact", "True if case makes a difference."),
    shown("mutability", "Who may set it, and when."),
    shown("returned", "When it is part of an answer."),
    shown("uniqueness", "Among what its value is unique."),
    shown("referenceTypes", "To what it may refer.").many(),
];

const SUB_ATTRIBUTES: &[Attribute] = &CHARACTERISTICS;
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler: an index out of bounds does not compile")]
const WITH_PARTS: &[Attribute] = &{
    let mut all = [parts("subAttributes", SUB_ATTRIBUTES, "The parts of a complex attribute.").many(); 12];
    let mut at = 0;
    while at < CHARACTERISTICS.len() {
        all[at] = CHARACTERISTICS[at];
        at += 1;
    }
    all
};

const SCHEMA_ATTRIBUTES: &[Attribute] = &[
    shown("id", "The URN of the schema.").required(),
    shown("name", "What it is called.").required(),
    shown("description", "What it describes."),
    parts("attributes", WITH_PARTS, "Its attributes.").many().required(),
];
