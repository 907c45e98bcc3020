//! Country groups, as dated data with a citation, never as constants in code.

use std::collections::BTreeSet;

use terms::Country;

const BUNDLED: &str = include_str!("../data/country-groups.json");

/// A country group of Supplement No. 1 to 15 CFR part 740 that a rule may name.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize)]
pub enum CountryGroup {
    /// United States arms-embargoed countries.
    #[serde(rename = "D:5")]
    D5,
    /// Terrorist-supporting countries.
    #[serde(rename = "E:1")]
    E1,
    /// Unilateral embargo.
    #[serde(rename = "E:2")]
    E2,
}

impl CountryGroup {
    /// Returns the group as the supplement spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::D5 => "D:5",
            Self::E1 => "E:1",
            Self::E2 => "E:2",
        }
    }
}

/// Which countries belong to which group, as of a date.
///
/// Whole countries only: a region such as Crimea (15 CFR 746.6) has no code of its own and is not expressed here.
///
/// # Source
/// Supplement No. 1 to 15 CFR part 740; 31 CFR parts 510, 515 and 560.
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct CountryGroups {
    /// The version of this format; 1.
    pub version: u32,
    /// The date of the text it was taken from, such as `2026-02-03`.
    pub as_of: String,
    /// Where that text stands.
    pub cite: String,
    /// United States arms-embargoed countries.
    #[serde(rename = "D:5")]
    pub d5: BTreeSet<Country>,
    /// Terrorist-supporting countries.
    #[serde(rename = "E:1")]
    pub e1: BTreeSet<Country>,
    /// Unilateral embargo.
    #[serde(rename = "E:2")]
    pub e2: BTreeSet<Country>,
    /// Countries to which OFAC prohibits the export of services altogether.
    pub comprehensively_sanctioned: BTreeSet<Country>,
    /// The United States with its territories and possessions.
    pub united_states: BTreeSet<Country>,
}

impl CountryGroups {
    /// Returns the table that this release carries.
    #[must_use]
    pub fn bundled() -> Self {
        match serde_json::from_str(BUNDLED) {
            Ok(groups) => groups,
            Err(_) => unreachable!("a test of this crate parses the bundled table"),
        }
    }

    /// Returns the members of one group.
    #[must_use]
    pub fn members(&self, group: CountryGroup) -> &BTreeSet<Country> {
        match group {
            CountryGroup::D5 => &self.d5,
            CountryGroup::E1 => &self.e1,
            CountryGroup::E2 => &self.e2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundled_table_parses_and_the_embargoed_are_arms_embargoed_too() {
        let groups = CountryGroups::bundled();
        assert!(groups.e2.is_subset(&groups.e1));
        assert!(groups.e1.is_subset(&groups.d5));
        assert!(groups.comprehensively_sanctioned.is_subset(&groups.e1));
        assert!(groups.united_states.is_disjoint(&groups.d5));
        assert!(groups.united_states.contains(&Country::US));
    }
}
