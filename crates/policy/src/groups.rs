//! Country groups, as dated data with a citation, never as constants in code.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use terms::Country;

use crate::{
    InstrumentFault,
    instrument::{self, Faults, Positions, check_day},
};

/// The version of the table that this release reads.
const VERSION: u32 = 1;
const BUNDLED: &str = include_str!("../data/country-groups.json");

/// A country group of Supplement No. 1 to 15 CFR part 740, such as `D:5`; which countries are in it is data.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct CountryGroup([u8; 3]);

/// The text does not name a country group.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{0}` is not a country group: write a letter, or a letter, a colon and a digit, such as `B` or `D:5`")]
pub struct BadCountryGroup(pub String);

impl CountryGroup {
    /// United States arms-embargoed countries.
    pub const D5: Self = Self(*b"D:5");
    /// Terrorist-supporting countries.
    pub const E1: Self = Self(*b"E:1");
    /// Unilateral embargo.
    pub const E2: Self = Self(*b"E:2");

    /// Parses a capital letter, alone or followed by a colon and a digit.
    ///
    /// # Errors
    ///
    /// [`BadCountryGroup`] on anything else.
    pub fn parse(text: &str) -> Result<Self, BadCountryGroup> {
        match text.as_bytes() {
            [letter] if letter.is_ascii_uppercase() => Ok(Self([*letter, 0, 0])),
            [letter, b':', digit] if letter.is_ascii_uppercase() && digit.is_ascii_digit() => {
                Ok(Self([*letter, b':', *digit]))
            }
            _ => Err(BadCountryGroup(text.chars().take(16).collect())),
        }
    }

    /// Returns the group as the supplement spells it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let end = if self.0.ends_with(&[0]) { 1 } else { 3 };
        self.0.get(..end).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

impl TryFrom<String> for CountryGroup {
    type Error = BadCountryGroup;
    fn try_from(text: String) -> Result<Self, BadCountryGroup> {
        Self::parse(&text)
    }
}

impl From<CountryGroup> for String {
    fn from(group: CountryGroup) -> Self {
        group.as_str().to_owned()
    }
}

impl fmt::Display for CountryGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for CountryGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which countries belong to which group, as of a date.
///
/// Whole countries only: a region such as Crimea (15 CFR 746.6) has no code of its own and is not expressed here.
///
/// # Source
/// Supplement No. 1 to 15 CFR part 740; 31 CFR parts 510, 515 and 560.
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
pub struct CountryGroups {
    /// The version of this format; 1.
    pub version: u32,
    /// The date of the text it was taken from, such as `2026-02-03`.
    pub as_of: String,
    /// Where that text stands.
    pub cite: String,
    /// The groups; a name that is neither a group nor another field is refused.
    #[serde(flatten)]
    pub groups: BTreeMap<CountryGroup, BTreeSet<Country>>,
    /// Countries to which OFAC prohibits the export of services altogether.
    pub comprehensively_sanctioned: BTreeSet<Country>,
    /// The United States with its territories and possessions.
    pub united_states: BTreeSet<Country>,
}

impl CountryGroups {
    /// Parses one JSON table of version 1.
    ///
    /// # Errors
    ///
    /// [`InstrumentFault`] names the place and the reason, also where a group is there twice.
    pub fn parse(json: &[u8]) -> Result<Self, InstrumentFault> {
        let positions = Positions::of(json);
        let table: Self = instrument::read(json, &positions)?;
        let mut faults = Faults::default();
        let why = format!("this release reads version {VERSION}, the table has {}", table.version);
        faults.unless(table.version == VERSION, "version", why);
        check_day("as_of", &table.as_of, &mut faults);
        faults.into_result().map_err(|fault| fault.located(&positions))?;
        Ok(table)
    }

    /// Returns the table that this release carries.
    #[must_use]
    pub fn bundled() -> Self {
        match Self::parse(BUNDLED.as_bytes()) {
            Ok(groups) => groups,
            Err(_) => unreachable!("a test of this crate parses the bundled table"),
        }
    }

    /// Returns the members of one group; none if the table does not have it, which [`crate::Snapshot::compile`]
    /// refuses for a group that an instrument names.
    #[must_use]
    pub fn members(&self, group: CountryGroup) -> &BTreeSet<Country> {
        const NONE: &BTreeSet<Country> = &BTreeSet::new();
        self.groups.get(&group).unwrap_or(NONE)
    }

    /// Returns the groups that a country is in.
    pub fn of(&self, country: Country) -> impl Iterator<Item = CountryGroup> {
        self.groups.iter().filter(move |(_, members)| members.contains(&country)).map(|(group, _)| *group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundled_table_parses_and_the_embargoed_are_arms_embargoed_too() {
        let groups = CountryGroups::bundled();
        let of = |group| groups.members(group);
        assert!(of(CountryGroup::E2).is_subset(of(CountryGroup::D5)));
        assert!(of(CountryGroup::E1).is_subset(of(CountryGroup::D5)));
        let embargoed: BTreeSet<Country> = of(CountryGroup::E1).union(of(CountryGroup::E2)).copied().collect();
        assert!(groups.comprehensively_sanctioned.is_subset(&embargoed));
        assert!(groups.united_states.is_disjoint(of(CountryGroup::D5)));
        assert!(groups.united_states.contains(&Country::US));
    }

    #[test]
    fn a_name_that_is_no_group_is_refused_and_named() {
        let text = BUNDLED.replacen("\"E:2\"", "\"E:22\"", 1);
        let error = serde_json::from_str::<CountryGroups>(&text).unwrap_err();
        assert!(error.to_string().contains("E:22"), "{error}");
        for text in ["", "d:5", "D5", "D:", "D:55"] {
            assert!(CountryGroup::parse(text).is_err(), "{text}");
        }
        assert_eq!(CountryGroup::parse("B").unwrap().as_str(), "B");
    }
}
