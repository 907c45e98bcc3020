//! A subject named by several members, each a simple identifier in a role.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Identifier;
use crate::Fault;

/// The most members that one complex subject may have.
const MOST_MEMBERS: usize = 16;

/// A role that a member of a complex subject names.
///
/// # Source
/// OpenID Shared Signals Framework 1.0, section 3.3.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Member {
    /// A user.
    User,
    /// A device.
    Device,
    /// A session.
    Session,
    /// An application.
    Application,
    /// A tenant.
    Tenant,
    /// An organizational unit.
    OrgUnit,
    /// A group.
    Group,
}

impl Member {
    const ALL: [Self; 7] =
        [Self::User, Self::Device, Self::Session, Self::Application, Self::Tenant, Self::OrgUnit, Self::Group];

    /// Returns the name of the member.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Device => "device",
            Self::Session => "session",
            Self::Application => "application",
            Self::Tenant => "tenant",
            Self::OrgUnit => "org_unit",
            Self::Group => "group",
        }
    }

    fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|member| member.as_str() == name)
    }
}

/// A complex subject: at least one member, each name once.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Complex(BTreeMap<String, Identifier>);

impl Complex {
    pub(super) fn read(object: &Map<String, Value>) -> Result<Self, Fault> {
        let named: Vec<_> = object.iter().filter(|(name, _)| *name != "format").collect();
        if named.is_empty() || named.len() > MOST_MEMBERS {
            return Err(Fault::subject("complex", "needs 1 to 16 members"));
        }
        let members = named.into_iter().map(|(name, value)| {
            let object =
                value.as_object().ok_or_else(|| Fault::subject("complex", "every member must be an object"))?;
            Ok((name.clone(), Identifier::read(object)?))
        });
        members.collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn to_value(&self) -> Value {
        let members = self.0.iter().map(|(name, identifier)| (name.clone(), identifier.to_value()));
        let format = ("format".to_owned(), Value::from("complex"));
        Value::Object(std::iter::once(format).chain(members).collect())
    }

    /// Returns the identifier in a role, if the subject names one.
    #[must_use]
    pub fn get(&self, member: Member) -> Option<&Identifier> {
        self.0.get(member.as_str())
    }

    /// Says whether each member that both subjects define is identical; what one leaves out is a wildcard.
    ///
    /// # Source
    /// OpenID Shared Signals Framework 1.0, section 8.1.3.1.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.0.iter().all(|(name, one)| other.0.get(name).is_none_or(|two| one == two))
    }

    pub(super) fn has_unprocessable(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|identifier| Member::of(name).is_none() || identifier.is_unknown())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn complex(value: &Value) -> Complex {
        Complex::read(value.as_object().unwrap()).unwrap()
    }

    #[test]
    fn a_member_left_out_on_either_side_is_a_wildcard() {
        let tenant = complex(&json!({"tenant": {"format": "opaque", "id": "example-a38h4792"}}));
        let user = complex(&json!({
            "tenant": {"format": "opaque", "id": "example-a38h4792"},
            "user": {"format": "email", "email": "ada@example.com"},
        }));
        let elsewhere = complex(&json!({
            "tenant": {"format": "opaque", "id": "another"},
            "user": {"format": "email", "email": "ada@example.com"},
        }));
        let device = complex(&json!({"device": {"format": "opaque", "id": "laptop"}}));
        assert!(tenant.matches(&user) && user.matches(&tenant));
        assert!(!tenant.matches(&elsewhere) && !elsewhere.matches(&user));
        assert!(device.matches(&user), "no member in common, so nothing contradicts");
    }

    #[test]
    fn too_many_members_are_refused() {
        let members: Map<_, _> = (0..17).map(|n| (format!("m{n}"), json!({"format": "opaque", "id": "x"}))).collect();
        assert!(Complex::read(&members).is_err());
    }
}
