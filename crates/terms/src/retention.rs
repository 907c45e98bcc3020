//! How long a record is kept at least, and which rule says so.

use std::{collections::BTreeSet, fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::Moment;

/// A rule that keeps records.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RetentionRule {
    /// Records of exports and reexports: 5 years.
    ///
    /// # Source
    ///
    /// 15 CFR 762.6(a).
    ExportControl,
    /// Records of transactions that sanctions touch, as all are where people are screened: 10 years.
    ///
    /// # Source
    ///
    /// 31 CFR 501.601.
    Sanctions,
    /// What a contract asks for.
    Contract,
}

/// How long records are kept at least, from their own time on.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// The rules that apply.
    pub rules: BTreeSet<RetentionRule>,
    /// The years that the contract asks for; used with [`RetentionRule::Contract`] only.
    pub contract_years: u16,
}

impl Default for Retention {
    fn default() -> Self {
        Self { rules: BTreeSet::from([RetentionRule::ExportControl]), contract_years: 0 }
    }
}

/// A day more than a year can have, so that no record goes early.
const YEAR: Duration = Duration::from_secs(366 * 86_400);

impl RetentionRule {
    fn years(self, contract: u16) -> u32 {
        match self {
            Self::ExportControl => 5,
            Self::Sanctions => 10,
            Self::Contract => u32::from(contract),
        }
    }
}

impl Retention {
    /// Returns what is wrong with it, as key and reason: without a rule nothing would be kept, and a contract that asks for
    /// no years keeps nothing.
    #[must_use]
    pub fn fault(&self) -> Option<(&'static str, &'static str)> {
        if self.rules.is_empty() {
            return Some(("rules", "is empty, so nothing would be kept: name at least one rule"));
        }
        let contract = self.rules.contains(&RetentionRule::Contract);
        (contract && !(1..=100).contains(&self.contract_years))
            .then_some(("contract_years", "is not between 1 and 100, and the contract is among the rules"))
    }

    /// Returns the rule that keeps a record of `at` longest, and until when; `None` if no rule applies.
    #[must_use]
    pub fn longest(&self, at: Moment) -> Option<(RetentionRule, Moment)> {
        let years = |rule: &RetentionRule| rule.years(self.contract_years);
        let rule = self.rules.iter().copied().max_by_key(years)?;
        Some((rule, at.plus(YEAR.saturating_mul(years(&rule)))))
    }
}

impl fmt::Display for RetentionRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ExportControl => "15 CFR 762.6(a), 5 years",
            Self::Sanctions => "31 CFR 501.601, 10 years",
            Self::Contract => "the contract",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(rules: &[RetentionRule], contract_years: u16) -> Option<(RetentionRule, String)> {
        let retention = Retention { rules: rules.iter().copied().collect(), contract_years };
        let longest = retention.longest(Moment::parse("2026-06-12T00:00:00Z").unwrap());
        longest.map(|(rule, until)| (rule, until.to_string()))
    }

    #[test]
    fn a_retention_that_keeps_nothing_is_a_fault() {
        let of = |rules: &[RetentionRule], contract_years| {
            let rules = rules.iter().copied().collect();
            Retention { rules, contract_years }.fault().map(|(key, _)| key)
        };
        assert_eq!(of(&[], 0), Some("rules"));
        assert_eq!(of(&[RetentionRule::Contract], 0), Some("contract_years"));
        assert_eq!(of(&[RetentionRule::Contract], 101), Some("contract_years"));
        assert_eq!(of(&[RetentionRule::Contract], 7), None);
        assert_eq!(Retention::default().fault(), None);
    }

    #[test]
    fn the_longest_rule_holds() {
        use RetentionRule::{Contract, ExportControl, Sanctions};
        assert_eq!(kept(&[ExportControl], 0), Some((ExportControl, "2031-06-16T00:00:00Z".to_owned())));
        assert_eq!(kept(&[ExportControl, Sanctions], 0), Some((Sanctions, "2036-06-19T00:00:00Z".to_owned())));
        assert_eq!(kept(&[Sanctions, Contract], 12).unwrap().0, Contract);
        assert_eq!(kept(&[], 12), None);
    }
}
