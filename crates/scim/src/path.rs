//! The name of an attribute in a filter, a sort order or a projection: `urn:...:User:name.givenName`.

use std::fmt;

use crate::{
    error::quoted,
    schema::{Place, ResourceType},
};

/// The longest path, in bytes.
pub(crate) const PATH_MAX: usize = 512;

/// A well-formed path to an attribute; whether there is such an attribute depends on the resource type.
///
/// # Source
/// RFC 7644 section 3.4.2.2 (`attrPath`) and section 3.10.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct AttributePath {
    pub(crate) urn: Option<String>,
    pub(crate) name: String,
    pub(crate) sub: Option<String>,
}

/// The text is not a path to an attribute.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{} is not an attribute path: write it as `name`, `name.givenName` or `urn:..:User:department`", quoted(.0))]
pub(crate) struct BadPath(pub(crate) String);

impl AttributePath {
    /// Parses a path; `text` has nothing before or after it.
    pub(crate) fn parse(text: &str) -> Result<Self, BadPath> {
        let bad = || BadPath(text.to_owned());
        if text.len() > PATH_MAX {
            return Err(bad());
        }
        let (urn, rest) = match text.rsplit_once(':') {
            Some((urn, rest)) => (Some(urn), rest),
            None => (None, text),
        };
        let (name, sub) = match rest.split_once('.') {
            Some((name, sub)) => (name, Some(sub)),
            None => (rest, None),
        };
        let is_path = urn.is_none_or(is_urn) && is_name(name) && sub.is_none_or(is_name);
        if !is_path {
            return Err(bad());
        }
        Ok(Self { urn: urn.map(str::to_owned), name: name.to_owned(), sub: sub.map(str::to_owned) })
    }

    /// Finds the attribute in resources of type `kind`.
    pub(crate) fn place(&self, kind: ResourceType) -> Option<Place> {
        kind.place(self.urn.as_deref(), &self.name, self.sub.as_deref())
    }

    /// Returns the schema URN that the whole path spells, if it names an extension and no attribute of one.
    pub(crate) fn extension(&self, kind: ResourceType) -> Option<&'static str> {
        let urn = self.urn.as_ref().filter(|_| self.sub.is_none())?;
        kind.extension(&format!("{urn}:{}", self.name)).map(|schema| schema.id)
    }
}

impl fmt::Display for AttributePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(urn) = &self.urn {
            write!(f, "{urn}:")?;
        }
        f.write_str(&self.name)?;
        self.sub.as_ref().map_or(Ok(()), |sub| write!(f, ".{sub}"))
    }
}

/// `ATTRNAME`; `$ref` is the one name with a dollar.
fn is_name(text: &str) -> bool {
    let mut bytes = text.strip_prefix('$').unwrap_or(text).bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

fn is_urn(text: &str) -> bool {
    let begins = text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("urn:"));
    begins && text.len() > 4 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":.-_".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::ENTERPRISE_USER;

    #[test]
    fn a_urn_ends_at_its_last_colon() {
        let path = AttributePath::parse("urn:ietf:params:scim:schemas:core:2.0:User:name.givenName").unwrap();
        assert_eq!(path.urn.as_deref(), Some("urn:ietf:params:scim:schemas:core:2.0:User"));
        assert_eq!((path.name.as_str(), path.sub.as_deref()), ("name", Some("givenName")));
        assert_eq!(path.to_string(), "urn:ietf:params:scim:schemas:core:2.0:User:name.givenName");
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in ["", ".", "a.", ".b", "a.b.c", "1a", "a b", "x:a", "urn::", "urn:a:", "a[b]", &"a".repeat(600)] {
            assert!(AttributePath::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_path_that_is_the_urn_of_an_extension_names_the_whole_extension() {
        let path = AttributePath::parse(ENTERPRISE_USER).unwrap();
        assert_eq!(path.extension(ResourceType::User), Some(ENTERPRISE_USER));
        assert_eq!(path.extension(ResourceType::Group), None);
        assert!(path.place(ResourceType::User).is_none());
    }
}
