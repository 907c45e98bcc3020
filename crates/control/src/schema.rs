//! How the nouns of `terms` look in the OpenAPI document. Enumerations are listed by writing the values themselves, so
//! that the document spells them as the API does.

use serde::Serialize;
use terms::{
    Assurance, Claim, Country, Coverage, Engagement, LocationMethod, OrganizationKind, Screening, TieKind, UsPersonLimb,
};
use utoipa::openapi::{
    Ref, RefOr, Schema,
    schema::{
        AdditionalProperties, Array, KnownFormat, Object, ObjectBuilder, OneOfBuilder, SchemaFormat, SchemaType, Type,
    },
};

pub(crate) fn screening() -> Object {
    values(&[
        Screening::Cleared,
        Screening::Review,
        Screening::EntityListed,
        Screening::DeniedPerson,
        Screening::Blocked,
    ])
}

pub(crate) fn coverage() -> Object {
    values(&[Coverage::None, Coverage::RedFlag, Coverage::Undetermined, Coverage::EntityList, Coverage::Blocked])
}

pub(crate) fn organization_kind() -> Object {
    values(&[OrganizationKind::Us, OrganizationKind::UsGovernment, OrganizationKind::Foreign])
}

pub(crate) fn engagement() -> Object {
    values(&[Engagement::Employee, Engagement::RegularEmployee, Engagement::Contractor, Engagement::Intern])
}

pub(crate) fn assurance() -> Object {
    values(&[Assurance::None, Assurance::Ial1, Assurance::Ial2, Assurance::Ial3])
}

pub(crate) fn claim() -> Schema {
    let dated = |claim| with_dates(tagged(&claim));
    let one_of = OneOfBuilder::new()
        .item(tagged(&Claim::UsPerson { limb: UsPersonLimb::Citizen }).property("limb", us_person_limb()))
        .item(tagged(&Claim::ForeignPerson))
        .item(dated(Claim::Citizenship { country: Country::US, from: None, until: None }))
        .item(dated(Claim::PermanentResidency { country: Country::US, from: None, until: None }))
        .item(tagged(&Claim::Stateless))
        .item(
            tagged(&Claim::Location { country: Country::US, method: LocationMethod::Declared })
                .property("country", country())
                .property("method", location_method()),
        );
    Schema::OneOf(one_of.build())
}

pub(crate) fn holder() -> Schema {
    let variant = |kind: &str| ObjectBuilder::new().property("kind", values(&[kind])).required("kind");
    let of = |kind: &str| variant(kind).property(kind, text()).required(kind);
    let one_of = OneOfBuilder::new().item(of("person")).item(of("workload")).item(variant("shared"));
    Schema::OneOf(one_of.build())
}

/// Describes what a key is bound to (RFC 7800).
pub(crate) fn confirmation() -> Schema {
    let of = |name: &str| {
        let hash = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[A-Za-z0-9_-]{43}$"));
        ObjectBuilder::new().property(name, hash).required(name)
    };
    Schema::OneOf(OneOfBuilder::new().item(of("x5t#S256")).item(of("jkt")).build())
}

pub(crate) fn ties() -> Array {
    let kind = values(&[TieKind::Branch, TieKind::WhollyOwned, TieKind::MajorityOwned]);
    let object = ObjectBuilder::new().property("to", text()).required("to").property("kind", kind).required("kind");
    Array::new(Schema::Object(object.build()))
}

fn us_person_limb() -> Object {
    values(&[
        UsPersonLimb::Citizen,
        UsPersonLimb::National,
        UsPersonLimb::LawfulPermanentResident,
        UsPersonLimb::TemporaryResident,
        UsPersonLimb::Refugee,
        UsPersonLimb::Asylee,
    ])
}

fn location_method() -> Object {
    values(&[LocationMethod::Declared, LocationMethod::Managed, LocationMethod::Network])
}

/// Makes an object whose `kind` is that of `claim`, and which has every field that `claim` has.
fn tagged(claim: &Claim) -> ObjectBuilder {
    let value = serde_json::to_value(claim).unwrap_or_default();
    let kind = value.get("kind").cloned().unwrap_or_default();
    let fields = value.as_object().into_iter().flat_map(|map| map.keys());
    let required = fields.filter(|name| !["from", "until"].contains(&name.as_str()));
    let object = ObjectBuilder::new()
        .property("kind", values(&[kind]))
        .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)));
    required.fold(object, |object, name| object.required(name))
}

fn with_dates(object: ObjectBuilder) -> Schema {
    let object = object.property("country", country()).property("from", moment()).property("until", moment());
    Schema::Object(object.build())
}

fn country() -> Object {
    let object = ObjectBuilder::new().schema_type(Type::String);
    object.pattern(Some("^[A-Z]{2}$")).build()
}

fn moment() -> Object {
    let format = SchemaFormat::KnownFormat(KnownFormat::DateTime);
    ObjectBuilder::new().schema_type(Type::String).format(Some(format)).build()
}

fn text() -> Object {
    Object::with_type(Type::String)
}

fn values<T: Serialize>(all: &[T]) -> Object {
    let values = all.iter().map(|value| serde_json::json!(value));
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(values)).build()
}

/// Describes JSON as found in an example: the same names, every one of them present but those that end in `?`; `null`
/// stands for text or `null`.
pub(crate) fn like(example: &serde_json::Value) -> Schema {
    use serde_json::Value;
    match example {
        Value::Object(map) => {
            let object = map.iter().fold(ObjectBuilder::new(), |object, (name, value)| match name.strip_suffix('?') {
                Some(optional) => object.property(optional, like(value)),
                None => object.property(name, like(value)).required(name),
            });
            Schema::Object(object.build())
        }
        Value::Array(items) => {
            let item = items.first().map_or_else(|| Schema::Object(Object::new()), like);
            Schema::Array(Array::new(item))
        }
        Value::String(_) => Schema::Object(text()),
        Value::Number(_) => Schema::Object(Object::with_type(Type::Integer)),
        Value::Bool(_) => Schema::Object(Object::with_type(Type::Boolean)),
        // Everything that may be absent is text: an id, a moment, a key, a cursor.
        Value::Null => Schema::Object(Object::with_type(SchemaType::from_iter([Type::String, Type::Null]))),
    }
}

/// Describes any JSON at all.
pub(crate) fn anything() -> Schema {
    Schema::Object(Object::with_type(SchemaType::AnyValue))
}

/// Adds a member that is always there to the description of an object.
pub(crate) fn with(mut object: Schema, name: &str, member: Schema) -> Schema {
    if let Schema::Object(object) = &mut object {
        object.properties.insert(name.to_owned(), member.into());
        object.required.push(name.to_owned());
    }
    object
}

/// Describes an object that may be absent.
pub(crate) fn or_null(mut object: Schema) -> Schema {
    if let Schema::Object(object) = &mut object {
        object.schema_type = SchemaType::from_iter([Type::Object, Type::Null]);
    }
    object
}

/// Names a schema of the document.
pub(crate) fn reference(name: &str) -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_claim_is_described_with_the_fields_it_has() {
        let schema = serde_json::to_value(claim()).unwrap();
        let forms = schema["oneOf"].as_array().unwrap();
        let kinds: Vec<_> = forms.iter().map(|form| form["properties"]["kind"]["enum"][0].as_str().unwrap()).collect();
        assert_eq!(
            kinds,
            ["us_person", "foreign_person", "citizenship", "permanent_residency", "stateless", "location"]
        );
        for form in forms {
            let properties = form["properties"].as_object().unwrap();
            for name in form["required"].as_array().unwrap() {
                assert!(properties.contains_key(name.as_str().unwrap()), "{form}");
            }
        }
    }
}
