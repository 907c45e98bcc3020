//! Legal holds: what keeps records although their retention is over.
//!
//! # Source
//!
//! 15 CFR 762.6(b): no record that an agency has asked for may be destroyed without the agency's written authorization.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use terms::{InstrumentId, Moment, OrganizationId, PersonId, Retention};
use utoipa::ToSchema;

use crate::production::Chained;

/// Whose records a hold keeps.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HoldScope {
    /// Everybody's.
    Everything,
    /// Those of everybody whose calls may stand in the organization's chain: who is or was affiliated to it, or has or
    /// had a key or an account of it; and those of every workload, of every key that nobody holds, and of everybody of whom
    /// something was erased before, since what made their calls stand there may be among that.
    #[schema(value_type = String)]
    Organization(OrganizationId),
    /// One person's; and those of every workload, since its output may have gone to them.
    #[schema(value_type = String)]
    Person(PersonId),
}

/// One hold. It is in force until it has [`Hold::released`].
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// Its id.
    pub id: InstrumentId,
    /// Whose records it keeps.
    pub scope: HoldScope,
    /// Which agency or court asked, formally or not, and how; 1 to 256 characters.
    pub authority: String,
    /// Who placed it, as the record names actors.
    pub placed_by: String,
    /// When.
    pub placed_at: Moment,
    /// How it ended, once it has.
    pub released: Option<Release>,
}

/// The end of a hold.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Who released it, as the record names actors.
    pub by: String,
    /// When.
    pub at: Moment,
    /// The agency's written authorization: which document, of when; 1 to 256 characters.
    pub authorization: String,
}

/// The private parts of somebody's entries in one epoch, once nobody can read them any more.
#[derive(Clone, Debug, Serialize)]
pub struct Erased {
    /// Whose, as the gateway names callers to the ledger.
    pub subject: String,
    /// Which epoch: year x 4 + quarter (0 to 3).
    pub epoch: u32,
    /// False if there was nothing that could be read.
    pub destroyed: bool,
}

/// Whose records are to be erased.
#[derive(Debug)]
pub(crate) struct Bearer {
    pub(crate) subject: Chained,
    /// The organizations that the registry knows them to have acted for; `None` if it cannot know all of them.
    pub(crate) organizations: Option<BTreeSet<OrganizationId>>,
}

impl Hold {
    /// Returns true if it keeps the records of `bearer`, or may.
    pub(crate) fn keeps(&self, bearer: &Bearer) -> bool {
        if self.released.is_some() {
            return false;
        }
        match &self.scope {
            HoldScope::Everything => true,
            HoldScope::Person(id) => match &bearer.subject {
                Chained::Person(own) => own == id,
                Chained::Workload(_) => true,
                _ => false,
            },
            HoldScope::Organization(id) => bearer.organizations.as_ref().is_none_or(|known| known.contains(id)),
        }
    }
}

/// Returns the first moment after an epoch (year x 4 + quarter).
pub(crate) fn epoch_end(epoch: u32) -> Option<Moment> {
    let next = epoch.checked_add(1)?;
    let (year, month) = (next / 4, next % 4 * 3 + 1);
    Moment::parse(&format!("{year:04}-{month:02}-01T00:00:00Z")).ok()
}

/// Says which rule keeps the records of an epoch at `now`, if one does.
pub(crate) fn kept_by(retention: &Retention, epoch: u32, now: Moment) -> Option<String> {
    let Some(end) = epoch_end(epoch) else {
        return Some("the epoch is none: write year x 4 + quarter (0 to 3)".to_owned());
    };
    let (rule, until) = retention.longest(end)?;
    (until > now).then(|| format!("retention keeps these records until {until} ({rule})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_ends_with_its_quarter() {
        assert_eq!(epoch_end(2_026 * 4).unwrap().to_string(), "2026-04-01T00:00:00Z");
        assert_eq!(epoch_end(2_026 * 4 + 3).unwrap().to_string(), "2027-01-01T00:00:00Z");
        assert_eq!(epoch_end(u32::MAX), None);
    }

    #[test]
    fn retention_says_by_which_rule_and_until_when() {
        let now = Moment::parse("2030-01-01T00:00:00Z").unwrap();
        let why = kept_by(&Retention::default(), 2_026 * 4, now).unwrap();
        assert!(why.contains("15 CFR 762.6") && why.contains("2031"), "{why}");
        assert_eq!(kept_by(&Retention::default(), 2_020 * 4, now), None);
    }
}
