//! Does a resource, or one value of an attribute, fulfill a filter?

use std::cmp::Ordering;

use serde_json::{Map, Value};
use terms::Moment;

use super::{Expression, Filter, Literal, Operator};
use crate::{
    Fault, Resource, ResourceType,
    path::AttributePath,
    schema::{
        Place,
        attribute::{Attribute, DataType, Returned},
    },
    value::canonical_one,
};

impl Filter {
    /// Checks that every attribute of the filter exists in `kind` and can be compared as the filter compares it.
    ///
    /// # Errors
    ///
    /// [`Fault`] (`invalidFilter`) that names the attribute.
    pub fn check(&self, kind: ResourceType) -> Result<(), Fault> {
        check(&self.0, Scope::Resource(kind))
    }

    /// Returns true if `resource` fulfills the filter. An attribute that its type does not have is one without a value.
    #[must_use]
    pub fn matches(&self, resource: &Resource) -> bool {
        let subject = Subject::Resource(resource.resource_type(), resource.body());
        holds(&self.0, subject)
    }

    /// Checks the filter in the brackets after `attribute`.
    pub(crate) fn check_within(&self, attribute: &'static Attribute) -> Result<(), Fault> {
        check(&self.0, Scope::Values(attribute))
    }

    /// Returns true if one value of `attribute` fulfills the filter in the brackets after it.
    pub(crate) fn matches_value(&self, attribute: &'static Attribute, value: &Value) -> bool {
        holds(&self.0, Subject::Value(attribute, value))
    }
}

impl Filter {
    /// Returns the value of `attribute` that the filter describes by equalities alone, such as `type eq "work"`.
    pub(crate) fn described(&self, attribute: &'static Attribute) -> Option<Value> {
        let parts = match &self.0 {
            Expression::And(parts) => parts.as_slice(),
            single => std::slice::from_ref(single),
        };
        let mut value = Map::new();
        for part in parts {
            let Expression::Compare(path, Operator::Equal, literal) = part else { return None };
            let sub = attribute.sub(&path.name)?;
            value.insert(sub.name.to_owned(), literal.to_value());
        }
        canonical_one(attribute, &Value::Object(value)).ok().flatten()
    }
}

impl Literal {
    fn to_value(&self) -> Value {
        match self {
            Self::Text(text) => text.as_str().into(),
            Self::Boolean(value) => (*value).into(),
            Self::Number(number) => Value::Number(number.clone()),
            Self::Null => Value::Null,
        }
    }
}

/// What the names of a filter are names of.
#[derive(Clone, Copy)]
enum Scope {
    Resource(ResourceType),
    Values(&'static Attribute),
}

impl Scope {
    fn place(self, path: &AttributePath) -> Option<Place> {
        match self {
            Self::Resource(kind) => path.place(kind),
            Self::Values(attribute) => {
                let is_plain = path.urn.is_none() && path.sub.is_none();
                let sub = is_plain.then(|| attribute.part(&path.name))??;
                Some(Place { extension: None, attribute, sub: Some(sub) })
            }
        }
    }
}

fn check(expression: &Expression, scope: Scope) -> Result<(), Fault> {
    match expression {
        Expression::Present(path) => known(path, scope).map(drop),
        Expression::Compare(path, operator, value) => {
            let leaf = comparable(path, known(path, scope)?.leaf())?;
            check_comparison(path, leaf, *operator, value)
        }
        Expression::Within(path, inner) => {
            let attribute = known(path, scope)?.attribute;
            check(inner, Scope::Values(attribute))
        }
        Expression::Not(inner) => check(inner, scope),
        Expression::And(parts) | Expression::Or(parts) => parts.iter().try_for_each(|part| check(part, scope)),
    }
}

fn known(path: &AttributePath, scope: Scope) -> Result<Place, Fault> {
    let place = scope.place(path);
    let place = place.ok_or_else(|| Fault::filter(format!("there is no attribute `{path}` to filter by")))?;
    if place.attribute.returned == Returned::Never {
        return Err(Fault::filter(format!("`{path}` is not kept, so nothing can be filtered by it")));
    }
    Ok(place)
}

/// Returns the attribute that is compared: of a complex one, its `value`.
fn comparable(path: &AttributePath, leaf: &'static Attribute) -> Result<&'static Attribute, Fault> {
    if leaf.data_type != DataType::Complex {
        return Ok(leaf);
    }
    leaf.sub("value").ok_or_else(|| Fault::filter(format!("`{path}` has parts: compare one of them")))
}

fn check_comparison(path: &AttributePath, leaf: &Attribute, operator: Operator, value: &Literal) -> Result<(), Fault> {
    let equality = matches!(operator, Operator::Equal | Operator::NotEqual);
    let fits = match (leaf.data_type, value) {
        (_, Literal::Null) => equality,
        (DataType::Boolean, Literal::Boolean(_)) | (DataType::Binary, Literal::Text(_)) => equality,
        (DataType::DateTime, Literal::Text(text)) => is_text_operator(operator) || Moment::parse(text).is_ok(),
        (DataType::String | DataType::Reference, Literal::Text(_)) => true,
        _ => false,
    };
    if fits {
        return Ok(());
    }
    Err(Fault::filter(format!("`{path} {} {value}` cannot be asked: `{path}` holds no such values", operator.as_str())))
}

fn is_text_operator(operator: Operator) -> bool {
    matches!(operator, Operator::Contains | Operator::StartsWith | Operator::EndsWith)
}

/// What is looked at.
#[derive(Clone, Copy)]
enum Subject<'a> {
    Resource(ResourceType, &'a Map<String, Value>),
    Value(&'static Attribute, &'a Value),
}

impl<'a> Subject<'a> {
    fn place(self, path: &AttributePath) -> Option<Place> {
        match self {
            Self::Resource(kind, _) => Scope::Resource(kind).place(path),
            Self::Value(attribute, _) => Scope::Values(attribute).place(path),
        }
    }

    /// Returns the values of the attribute, one by one.
    fn values(self, place: &Place) -> Vec<&'a Value> {
        let whole = match self {
            Self::Resource(_, body) => place.value_in(body).map_or_else(Vec::new, each),
            Self::Value(_, value) => vec![value],
        };
        match place.sub {
            None => whole,
            Some(sub) => whole.into_iter().filter_map(|value| part_of(value, sub)).flat_map(each).collect(),
        }
    }
}

impl Place {
    /// Returns the value of the attribute in a resource, all of it.
    pub(crate) fn value_in<'a>(&self, body: &'a Map<String, Value>) -> Option<&'a Value> {
        let holder = match self.extension {
            None => body,
            Some(urn) => body.get(urn)?.as_object()?,
        };
        holder.get(self.attribute.name)
    }
}

fn each(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(values) => values.iter().collect(),
        Value::Null => Vec::new(),
        single => vec![single],
    }
}

/// Returns a part of a complex value; a value without parts is its own `value`.
pub(crate) fn part_of<'a>(value: &'a Value, sub: &Attribute) -> Option<&'a Value> {
    match value {
        Value::Object(parts) => parts.get(sub.name),
        plain => Some(plain),
    }
}

fn holds(expression: &Expression, subject: Subject<'_>) -> bool {
    match expression {
        Expression::Present(path) => subject.place(path).is_some_and(|place| !subject.values(&place).is_empty()),
        Expression::Compare(path, operator, literal) => compares(path, *operator, literal, subject),
        Expression::Within(path, inner) => {
            let Some(place) = subject.place(path) else { return false };
            let within = |value: &&Value| holds(inner, Subject::Value(place.attribute, value));
            subject.values(&place).iter().any(within)
        }
        Expression::Not(inner) => !holds(inner, subject),
        Expression::And(parts) => parts.iter().all(|part| holds(part, subject)),
        Expression::Or(parts) => parts.iter().any(|part| holds(part, subject)),
    }
}

/// One value that compares so suffices; an attribute without a value equals null and nothing else.
fn compares(path: &AttributePath, operator: Operator, literal: &Literal, subject: Subject<'_>) -> bool {
    let Some(place) = subject.place(path) else { return false };
    let Ok(leaf) = comparable(path, place.leaf()) else { return false };
    let values = subject.values(&place);
    if values.is_empty() {
        let is_null = *literal == Literal::Null;
        return (operator == Operator::Equal && is_null) || (operator == Operator::NotEqual && !is_null);
    }
    values
        .into_iter()
        .filter_map(|value| part_of(value, leaf))
        .any(|value| one_compares(leaf, operator, literal, value))
}

fn one_compares(leaf: &Attribute, operator: Operator, literal: &Literal, value: &Value) -> bool {
    match (literal, value) {
        (Literal::Text(wanted), Value::String(found)) if leaf.data_type == DataType::DateTime => {
            times_compare(operator, found, wanted)
        }
        (Literal::Text(wanted), Value::String(found)) => texts_compare(leaf, operator, found, wanted),
        (Literal::Boolean(wanted), Value::Bool(found)) => ordered(operator, found.cmp(wanted)),
        _ => operator == Operator::NotEqual,
    }
}

fn times_compare(operator: Operator, found: &str, wanted: &str) -> bool {
    match (Moment::parse(found), Moment::parse(wanted)) {
        (Ok(found), Ok(wanted)) if !is_text_operator(operator) => ordered(operator, found.cmp(&wanted)),
        _ => contains(operator, found, wanted),
    }
}

fn texts_compare(leaf: &Attribute, operator: Operator, found: &str, wanted: &str) -> bool {
    let (found, wanted) = (leaf.folded(found), leaf.folded(wanted));
    if is_text_operator(operator) { contains(operator, &found, &wanted) } else { ordered(operator, found.cmp(&wanted)) }
}

fn contains(operator: Operator, found: &str, wanted: &str) -> bool {
    match operator {
        Operator::Contains => found.contains(wanted),
        Operator::StartsWith => found.starts_with(wanted),
        Operator::EndsWith => found.ends_with(wanted),
        _ => false,
    }
}

fn ordered(operator: Operator, order: Ordering) -> bool {
    match operator {
        Operator::Equal => order.is_eq(),
        Operator::NotEqual => order.is_ne(),
        Operator::Greater => order.is_gt(),
        Operator::GreaterOrEqual => order.is_ge(),
        Operator::Less => order.is_lt(),
        Operator::LessOrEqual => order.is_le(),
        Operator::Contains | Operator::StartsWith | Operator::EndsWith => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::schema::{ENTERPRISE_USER, EXPORT_CONTROL, USER};

    fn ada() -> Resource {
        let body = json!({
            "schemas": [USER, ENTERPRISE_USER, EXPORT_CONTROL],
            "userName": "Ada@example.com",
            "externalId": "X-1",
            "active": true,
            "name": { "familyName": "O'Hara" },
            "emails": [
                { "type": "work", "value": "ada@example.com", "primary": true },
                { "type": "home", "value": "ada@example.org" },
            ],
            ENTERPRISE_USER: { "manager": { "value": "26118915" } },
            EXPORT_CONTROL: { "citizenships": ["FR", "US"], "employmentStart": "2026-01-01T01:00:00+01:00" },
        });
        Resource::parse(ResourceType::User, &body).unwrap()
    }

    fn asked(text: &str) -> bool {
        let filter = Filter::parse(text).unwrap();
        filter.check(ResourceType::User).unwrap_or_else(|fault| panic!("{text}: {fault}"));
        filter.matches(&ada())
    }

    #[test]
    fn a_filter_holds_as_the_characteristics_of_its_attributes_say() {
        let holds = [
            r#"userName eq "ada@EXAMPLE.com""#,
            r#"externalId eq "X-1" and active eq true"#,
            r#"urn:ietf:params:scim:schemas:core:2.0:User:userName sw "ADA""#,
            r#"name.familyName co "O'Hara""#,
            r#"title ne "x""#,
            "not (title pr)",
            "title eq null",
            r#"emails[type eq "work" and value co "@example.com"]"#,
            r#"emails co ".org" and emails.type eq "home""#,
            r#"emails.type ne "work""#,
            "emails.primary eq true",
            r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager eq "26118915""#,
            r#"urn:exeat:scim:schemas:extension:exportcontrol:1.0:User:citizenships eq "FR""#,
            r#"urn:exeat:scim:schemas:extension:exportcontrol:1.0:User:citizenships[value eq "US"]"#,
            r#"urn:exeat:scim:schemas:extension:exportcontrol:1.0:User:employmentStart eq "2026-01-01T00:00:00Z""#,
            r#"urn:exeat:scim:schemas:extension:exportcontrol:1.0:User:employmentStart lt "2026-01-01T00:00:00.001Z""#,
            r#"schemas eq "urn:ietf:params:scim:schemas:core:2.0:User""#,
            r#"userName ge "ada" and userName lt "b" and userName ew ".COM""#,
        ];
        for text in holds {
            assert!(asked(text), "{text}");
            assert!(!asked(&format!("not ({text})")), "{text}");
        }
    }

    #[test]
    fn a_filter_does_not_hold_by_values_of_different_elements_or_in_the_wrong_case() {
        let fails = [
            r#"externalId eq "x-1""#,
            r#"emails[type eq "work" and value co ".org"]"#,
            "emails[primary eq false]",
            "emails eq null",
            "title pr",
            r#"userName gt "b""#,
            r#"urn:exeat:scim:schemas:extension:exportcontrol:1.0:User:citizenships eq "fr""#,
        ];
        for text in fails {
            assert!(!asked(text), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_compared_is_refused_and_not_answered_with_nothing() {
        let cases = [
            r#"nope eq "x""#,
            r#"name eq "x""#,
            r#"active gt true"#,
            r#"active eq "true""#,
            "userName eq 1",
            r#"userName gt null"#,
            r#"password eq "x""#,
            "groups pr",
            r#"emails[nope eq "x"]"#,
            r#"meta.created gt "yesterday""#,
            r#"members[value eq "1"]"#,
        ];
        for text in cases {
            let fault = Filter::parse(text).unwrap().check(ResourceType::User).unwrap_err();
            assert_eq!(fault.scim_type, crate::ScimType::InvalidFilter, "{text}");
        }
    }

    #[test]
    fn what_a_type_does_not_have_is_without_a_value_when_several_types_are_asked() {
        let filter = Filter::parse(r#"members pr or displayName eq "x""#).unwrap();
        assert!(!filter.matches(&ada()));
    }
}
