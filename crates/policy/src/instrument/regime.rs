//! `regime/v1`: since when and until when the rules that hold without any instrument are in force.
//!
//! A rule of law has dates of its own: it takes effect, is suspended, comes back. A regime says so for provisions of the
//! base rules, by their ids; a provision it does not name is always in force.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use terms::{InstrumentId, Moment, ProvisionId};

use super::{
    Faults, InstrumentFault, explicit, parse_as,
    parts::{Issuer, check_day, check_head, check_words},
};

const TYPE: &str = "regime/v1";
const BUNDLED: &str = include_str!("../../data/us-base.regime.json");

/// A regime: checked, immutable; a change is a new version.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "Document", into = "Document")]
pub struct Regime(Document);

impl Regime {
    /// Parses one JSON document of type `regime/v1`.
    ///
    /// # Errors
    ///
    /// [`InstrumentFault`] names the place and the reason; nothing was changed.
    pub fn parse(json: &[u8]) -> Result<Self, InstrumentFault> {
        parse_as::<Document, Self>(json, TYPE)
    }

    /// Returns the regime that this release carries: when provisions of 15 CFR part 744 were in force.
    #[must_use]
    pub fn bundled() -> Self {
        match Self::parse(BUNDLED.as_bytes()) {
            Ok(regime) => regime,
            Err(_) => unreachable!("a test of this crate parses the bundled regime"),
        }
    }

    /// Returns its id.
    #[must_use]
    pub fn id(&self) -> &InstrumentId {
        &self.0.id
    }

    /// Returns its version; the first is 1.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.0.version
    }

    /// Returns the provisions it gives dates to.
    pub fn provisions(&self) -> impl Iterator<Item = &ProvisionId> {
        self.0.provisions.iter().map(|provision| &provision.id)
    }

    /// Returns every moment at which a provision takes force or loses it, in order.
    #[must_use]
    pub fn boundaries(&self) -> BTreeSet<Moment> {
        let intervals = self.0.provisions.iter().flat_map(|provision| &provision.in_force);
        intervals.flat_map(|interval| [Some(interval.from), interval.to]).flatten().collect()
    }

    /// Tells whether a provision was in force at a moment, as far as this regime knows.
    #[must_use]
    pub fn is_in_force(&self, id: &ProvisionId, at: Moment) -> bool {
        let named = self.0.provisions.iter().find(|provision| provision.id == *id);
        named.is_none_or(|provision| provision.in_force.iter().any(|interval| interval.contains(at)))
    }
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct Provision {
    id: ProvisionId,
    /// The texts that gave it force and took it away.
    cite: String,
    in_force: Vec<Interval>,
}

/// From a moment up to, and without, another.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct Interval {
    from: Moment,
    #[serde(deserialize_with = "explicit")]
    to: Option<Moment>,
}

impl Interval {
    fn contains(&self, at: Moment) -> bool {
        self.from <= at && self.to.is_none_or(|to| at < to)
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
enum Type {
    #[serde(rename = "regime/v1")]
    V1,
}

/// The document as written; a [`Regime`] is one that passed [`check`].
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct Document {
    r#type: Type,
    id: InstrumentId,
    version: u32,
    issuer: Issuer,
    /// The date of the texts it was taken from, such as `2026-11-21`.
    as_of: String,
    provisions: Vec<Provision>,
}

impl TryFrom<Document> for Regime {
    type Error = InstrumentFault;
    fn try_from(document: Document) -> Result<Self, InstrumentFault> {
        check(&document)?;
        Ok(Self(document))
    }
}

impl From<Regime> for Document {
    fn from(regime: Regime) -> Self {
        regime.0
    }
}

fn check(doc: &Document) -> Result<(), InstrumentFault> {
    let mut faults = Faults::default();
    check_head(&doc.id, doc.version, None, &doc.issuer, &mut faults);
    check_day("as_of", &doc.as_of, &mut faults);
    let ids: BTreeSet<&ProvisionId> = doc.provisions.iter().map(|provision| &provision.id).collect();
    faults.unless(ids.len() == doc.provisions.len(), "provisions", "one is named twice: keep one");
    for (index, provision) in doc.provisions.iter().enumerate() {
        check_provision(&format!("provisions[{index}]"), provision, &mut faults);
    }
    faults.into_result()
}

fn check_provision(at: &str, provision: &Provision, faults: &mut Faults) {
    check_words(&format!("{at}.cite"), &provision.cite, faults);
    let at = format!("{at}.in_force");
    let forward = provision.in_force.iter().all(|interval| interval.to.is_none_or(|to| interval.from < to));
    faults.unless(forward, &at, "an interval ends before it begins");
    let mut pairs = provision.in_force.iter().zip(provision.in_force.iter().skip(1));
    let apart = pairs.all(|(one, next)| one.to.is_some_and(|to| to <= next.from));
    faults.unless(apart, &at, "intervals overlap or are out of order");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_affiliates_rule_was_in_force_suspended_and_is_in_force_again() {
        let regime = Regime::bundled();
        let rule = ProvisionId::parse("base.entity-ownership").unwrap();
        let answers = ["2025-09-28", "2025-09-29", "2025-11-10", "2026-06-12", "2026-11-09", "2026-11-10"]
            .map(|day| regime.is_in_force(&rule, Moment::parse(&format!("{day}T12:00:00Z")).unwrap()));
        assert_eq!(answers, [false, true, false, false, false, true]);
        assert_eq!(regime.boundaries().len(), 3);
    }

    #[test]
    fn a_provision_without_dates_is_always_in_force() {
        let blocked = ProvisionId::parse("base.blocked-party").unwrap();
        assert!(Regime::bundled().is_in_force(&blocked, Moment::from_millis(0)));
    }

    #[test]
    fn intervals_that_overlap_or_run_backwards_are_refused() {
        let text = |intervals: &str| BUNDLED.replace("\"in_force\": [", &format!("\"in_force\": [{intervals},"));
        for bad in [
            r#"{"from": "2025-01-02T00:00:00Z", "to": "2025-01-01T00:00:00Z"}"#,
            r#"{"from": "2025-01-02T00:00:00Z", "to": null}"#,
        ] {
            assert!(Regime::parse(text(bad).as_bytes()).is_err(), "{bad}");
        }
    }
}
