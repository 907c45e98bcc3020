//! Filters that a store answers by looking up, without reading every resource.

use super::{Expression, Filter, Literal, Operator};
use crate::{Resource, ResourceType, path::AttributePath};

/// An attribute by whose value resources are looked up.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum LookupKey {
    /// The id of this service.
    Id,
    /// The id of the provisioning client.
    ExternalId,
    /// The user name, in any case.
    UserName,
    /// The display name of a group, in any case.
    DisplayName,
}

/// A value by which resources are looked up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Lookup {
    /// Of which attribute.
    pub key: LookupKey,
    /// The value; folded to lower case if its case makes no difference.
    pub value: String,
}

impl LookupKey {
    const ALL: [Self; 4] = [Self::Id, Self::ExternalId, Self::UserName, Self::DisplayName];

    /// Returns the name of the attribute.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::ExternalId => "externalId",
            Self::UserName => "userName",
            Self::DisplayName => "displayName",
        }
    }

    /// Returns true if resources of type `kind` are looked up by it: people share display names, groups seldom do.
    fn serves(self, kind: ResourceType) -> bool {
        match self {
            Self::Id | Self::ExternalId => true,
            Self::UserName => kind == ResourceType::User,
            Self::DisplayName => kind == ResourceType::Group,
        }
    }

    /// Returns what to look up to find the resources of type `kind` that have this value; nothing if they are not looked
    /// up by it.
    #[must_use]
    pub fn of(self, kind: ResourceType, value: &str) -> Option<Lookup> {
        let attribute = kind.own(self.as_str()).filter(|_| self.serves(kind))?;
        Some(Lookup { key: self, value: attribute.folded(value) })
    }
}

impl Filter {
    /// Returns a value that every resource of type `kind` has which fulfills the filter, if equality with one is demanded.
    ///
    /// What is found by it must still be held against the filter.
    #[must_use]
    pub fn lookup(&self, kind: ResourceType) -> Option<Lookup> {
        match &self.0 {
            Expression::And(parts) => parts.iter().find_map(|part| demanded(part, kind)),
            single => demanded(single, kind),
        }
    }
}

impl Resource {
    /// Returns every value by which the resource is looked up.
    #[must_use]
    pub fn lookups(&self) -> Vec<Lookup> {
        let of_key = |key: LookupKey| key.of(self.resource_type(), self.text(key.as_str())?);
        LookupKey::ALL.into_iter().filter_map(of_key).collect()
    }
}

fn demanded(expression: &Expression, kind: ResourceType) -> Option<Lookup> {
    let Expression::Compare(path, Operator::Equal, Literal::Text(value)) = expression else { return None };
    let key = LookupKey::ALL.into_iter().find(|key| is_own(path, key.as_str(), kind))?;
    key.of(kind, value)
}

fn is_own(path: &AttributePath, name: &str, kind: ResourceType) -> bool {
    let place = path.place(kind);
    place.is_some_and(|place| place.extension.is_none() && place.sub.is_none() && place.attribute.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(text: &str, kind: ResourceType) -> Option<(LookupKey, String)> {
        Filter::parse(text).unwrap().lookup(kind).map(|found| (found.key, found.value))
    }

    #[test]
    fn equality_that_is_demanded_is_looked_up_and_equality_that_is_one_of_two_ways_is_not() {
        let user = ResourceType::User;
        assert_eq!(lookup(r#"userName eq "ADA""#, user), Some((LookupKey::UserName, "ada".to_owned())));
        assert_eq!(
            lookup(r#"active eq true and externalId eq "A""#, user),
            Some((LookupKey::ExternalId, "A".to_owned()))
        );
        assert_eq!(lookup(r#"userName eq "a" or externalId eq "A""#, user), None);
        assert_eq!(lookup(r#"not (userName eq "a")"#, user), None);
        assert_eq!(lookup(r#"userName sw "a""#, user), None);
        assert_eq!(lookup(r#"displayName eq "a""#, user), None);
        assert_eq!(
            lookup(r#"displayName eq "A""#, ResourceType::Group),
            Some((LookupKey::DisplayName, "a".to_owned()))
        );
    }
}
