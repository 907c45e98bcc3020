//! Where a PATCH operation is applied: `emails[type eq "work"].value`.

use serde_json::Value;

use crate::{
    Fault, Filter, Named, ResourceType,
    error::quoted,
    filter::string_literal,
    path::{AttributePath, PATH_MAX},
    schema::Place,
};

/// A well-formed path; whether a resource has such a place depends on its type.
///
/// # Source
/// RFC 7644 section 3.5.2, `PATH`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Path {
    attribute: AttributePath,
    filter: Option<Filter>,
}

/// What a path is the path of.
pub(super) enum Target<'a> {
    /// All of an extension.
    Extension(&'static str),
    /// An attribute, a part of it, or those of its values that fulfill the filter.
    Attribute(Place, Option<&'a Filter>),
}

impl Path {
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        let Some((attribute, rest)) = text.split_once('[') else {
            return Ok(Self { attribute: attribute(text)?, filter: None });
        };
        let unclosed = || Fault::path(format!("the bracket in {} is not closed", quoted(text)));
        let end = closing_bracket(rest)?.ok_or_else(unclosed)?;
        let (filter, after) = rest.split_at_checked(end).ok_or_else(unclosed)?;
        let whole = format!("{attribute}{}", after.get(1..).unwrap_or_default());
        let attribute = self::attribute(&whole)?;
        let has_dot = after.get(1..).is_some_and(|sub| sub.is_empty() || sub.starts_with('.'));
        if !has_dot {
            return Err(Fault::path(format!("what follows the bracket in {} is no part", quoted(text))));
        }
        Ok(Self { attribute, filter: Some(Filter::parse(filter)?) })
    }

    /// Adds to `named` what an operation here names, with its value.
    pub(super) fn name_in(&self, kind: ResourceType, value: &Value, named: &mut Named) {
        match (self.target(kind), value) {
            (Ok(Target::Extension(urn)), Value::Object(values)) => named.add_all(kind, urn, values),
            (Ok(Target::Attribute(place, _)), _) => {
                if let Some(urn) = place.extension {
                    named.add(kind, urn, place.attribute.name);
                }
            }
            _ => {}
        }
    }

    /// Finds what the path names in resources of type `kind`.
    pub(super) fn target(&self, kind: ResourceType) -> Result<Target<'_>, Fault> {
        if let Some(place) = self.attribute.place(kind) {
            let filter = self.filter.as_ref();
            let filtered = filter.map_or(Ok(()), |filter| filter.check_within(place.attribute));
            return filtered.map(|()| Target::Attribute(place, filter));
        }
        let whole = self.attribute.extension(kind).filter(|_| self.filter.is_none());
        whole.map(Target::Extension).ok_or_else(|| {
            Fault::path(format!(
                "a {} has no attribute {}: see `/Schemas`",
                kind.name(),
                quoted(&self.attribute.to_string())
            ))
        })
    }
}

fn attribute(text: &str) -> Result<AttributePath, Fault> {
    AttributePath::parse(text).map_err(|bad| Fault::path(bad.to_string()))
}

/// Returns where the bracket closes, passing over what stands in quotes.
fn closing_bracket(text: &str) -> Result<Option<usize>, Fault> {
    let mut rest = text.get(..text.len().min(2 * PATH_MAX)).unwrap_or(text);
    let begin = rest.len();
    while let Some(at) = rest.find(['"', ']']) {
        let (_, from) = rest.split_at(at);
        if from.starts_with(']') {
            return Ok(Some(begin - from.len()));
        }
        rest = string_literal(from)?.1;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ScimType;

    #[test]
    fn a_bracket_in_quotes_does_not_close_one() {
        let path = Path::parse(r#"emails[value eq "a]b\"]" and type pr].display"#).unwrap();
        assert_eq!(path.attribute.sub.as_deref(), Some("display"));
        assert_eq!(path.filter.unwrap().to_string(), r#"value eq "a]b\"]" and type pr"#);
    }

    #[test]
    fn what_is_no_path_is_refused_with_the_keyword_that_says_why() {
        let cases = [
            ("", ScimType::InvalidPath),
            ("emails[", ScimType::InvalidPath),
            ("emails[type eq \"x\"", ScimType::InvalidPath),
            ("emails[type eq \"x\"]value", ScimType::InvalidPath),
            ("emails[type eq \"x\"].a.b", ScimType::InvalidPath),
            ("emails.value[type eq \"x\"].a", ScimType::InvalidPath),
            ("emails[type is \"x\"]", ScimType::InvalidFilter),
            ("emails[]", ScimType::InvalidFilter),
            ("emails[type eq \"x]", ScimType::InvalidFilter),
        ];
        for (text, keyword) in cases {
            assert_eq!(Path::parse(text).unwrap_err().scim_type, keyword, "{text}");
        }
    }

    #[test]
    fn a_path_is_the_path_of_something_that_the_type_has() {
        let target = |text: &str| Path::parse(text).unwrap().target(ResourceType::User).map(drop);
        assert!(target("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value").is_ok());
        assert!(target("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User").is_ok());
        assert_eq!(target("members").unwrap_err().scim_type, ScimType::InvalidPath);
        assert_eq!(target("emails[nope eq 1]").unwrap_err().scim_type, ScimType::InvalidFilter);
    }
}
