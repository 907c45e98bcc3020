//! Of which countries a person counts as a national: a function of the rule that asks, never one stored word.

use std::collections::BTreeSet;

use terms::{Claim, Country, Moment, Person};

use crate::{
    CountryGroup, CountryGroups,
    evidence::{self, Bar, Horizon},
    instrument::NationalityRule,
};

/// What the evidence says about a person's nationality under one rule.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Nationality {
    /// Of these countries; at least one.
    Of(BTreeSet<Country>),
    /// Of none, as attested.
    Stateless,
    /// Not established: nothing is attested well enough, or what is attested leaves it open.
    Unknown,
}

impl Nationality {
    /// Returns every group that one of the countries is in; `None` if the nationality is not established.
    pub(crate) fn groups(&self, table: &CountryGroups) -> Option<BTreeSet<CountryGroup>> {
        match self {
            Self::Of(countries) => Some(countries.iter().flat_map(|country| table.of(*country)).collect()),
            Self::Stateless | Self::Unknown => None,
        }
    }
}

/// Establishes a person's nationality under one rule at one moment.
///
/// Evidence that does not meet `bar` or has expired establishes nothing, and still counts against: it leaves a most recent country
/// unknown that it contradicts, and adds to the countries ever held.
///
/// # Source
/// 15 CFR 734.13(b), 734.14(b); 22 CFR 120.50, 120.51(b).
pub(crate) fn nationality(person: &Person, rule: NationalityRule, bar: Bar, horizon: &mut Horizon<'_>) -> Nationality {
    let bonds = bonds(person, bar, horizon);
    if bonds.stateless_met {
        let contradicted = bonds.held.iter().any(|bond| !bond.ended);
        return if contradicted { Nationality::Unknown } else { Nationality::Stateless };
    }
    if bonds.stateless || !bonds.held.iter().any(|bond| bond.met) {
        return Nationality::Unknown;
    }
    match rule {
        NationalityRule::Ear => most_recent(&bonds.held),
        NationalityRule::Itar => ever_held(&bonds.held),
    }
}

/// One country that a person is or was tied to.
struct Bond {
    country: Country,
    from: Option<Moment>,
    ended: bool,
    /// True for citizenship, false for permanent residency.
    citizenship: bool,
    met: bool,
}

#[derive(Default)]
struct Bonds {
    held: Vec<Bond>,
    stateless: bool,
    stateless_met: bool,
}

fn bonds(person: &Person, bar: Bar, horizon: &mut Horizon<'_>) -> Bonds {
    let mut bonds = Bonds::default();
    let is_bond = |claim: &Claim| {
        matches!(claim, Claim::Citizenship { .. } | Claim::PermanentResidency { .. } | Claim::Stateless)
    };
    for (word, current) in evidence::unsuperseded(person, is_bond, horizon) {
        let met = bar.met_by(word, horizon) && current;
        let (country, from, until, citizenship) = match word.claim {
            Claim::Citizenship { country, from, until } => (country, from, until, true),
            Claim::PermanentResidency { country, from, until } => (country, from, until, false),
            _ => {
                bonds.stateless = true;
                bonds.stateless_met |= met;
                continue;
            }
        };
        let begun = from.is_none_or(|from| horizon.reached(from));
        let ended = until.is_some_and(|until| horizon.reached(until));
        if begun {
            bonds.held.push(Bond { country, from, ended, citizenship, met });
        }
    }
    bonds
}

/// Returns the country whose bond began last among those that have not ended; open if a beginning is not known and
/// countries differ, or if only weak evidence names the last one.
fn most_recent(held: &[Bond]) -> Nationality {
    let current: Vec<&Bond> = held.iter().filter(|bond| !bond.ended).collect();
    let countries: BTreeSet<Country> = current.iter().map(|bond| bond.country).collect();
    let last = current.iter().map(|bond| bond.from).max().flatten();
    let dated = current.iter().all(|bond| bond.from.is_some());
    let latest: BTreeSet<Country> = match last {
        Some(last) if dated => current.iter().filter(|bond| bond.from == Some(last)).map(|bond| bond.country).collect(),
        _ => countries,
    };
    let met = |country: &Country| current.iter().any(|bond| bond.country == *country && bond.met);
    if latest.len() == 1 && latest.iter().all(met) { Nationality::Of(latest) } else { Nationality::Unknown }
}

/// Returns every country of which citizenship is or was held, or permanent residency is held.
fn ever_held(held: &[Bond]) -> Nationality {
    let counts = held.iter().filter(|bond| bond.citizenship || !bond.ended);
    let countries: BTreeSet<Country> = counts.map(|bond| bond.country).collect();
    if countries.is_empty() { Nationality::Unknown } else { Nationality::Of(countries) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Now;
    use proptest::{collection::vec, prelude::*, sample::select};
    use terms::{Assurance, Attestation, AttestationId, IssuerId, PersonId, Screening};

    const NOW: i64 = 1_782_745_200_000;

    fn moment(text: &str) -> Moment {
        Moment::parse(&format!("{text}T00:00:00Z")).unwrap()
    }

    fn country(code: &str) -> Country {
        Country::parse(code).unwrap()
    }

    fn citizen(code: &str, from: Option<&str>, until: Option<&str>) -> Claim {
        Claim::Citizenship { country: country(code), from: from.map(moment), until: until.map(moment) }
    }

    fn resident(code: &str, from: &str) -> Claim {
        Claim::PermanentResidency { country: country(code), from: Some(moment(from)), until: None }
    }

    fn person(claims: Vec<(Claim, Assurance)>) -> Person {
        let said = |(at, (claim, assurance))| Attestation {
            id: AttestationId::parse(&format!("a{at}")).unwrap(),
            person: PersonId::parse("ada").unwrap(),
            claim,
            issuer: IssuerId::parse("civic").unwrap(),
            evidence: "file".to_owned(),
            assurance,
            issued_at: Moment::from_millis(NOW - 1_000),
            expires_at: Moment::from_millis(NOW + 1_000_000),
            supersedes: None,
            channel: None,
            fresh_until: None,
            means: None,
        };
        Person {
            id: PersonId::parse("ada").unwrap(),
            display_name: "Ada".to_owned(),
            screening: Screening::Cleared,
            active: true,
            attestations: claims.into_iter().enumerate().map(said).collect(),
            affiliations: Vec::new(),
            accounts: Vec::new(),
        }
    }

    fn ask(person: &Person, rule: NationalityRule) -> Nationality {
        nationality(person, rule, Bar::IAL2, &mut Horizon::of(Now { at: Moment::from_millis(NOW), channels: &[] }))
    }

    fn of(codes: &[&str]) -> Nationality {
        Nationality::Of(codes.iter().map(|code| country(code)).collect())
    }

    fn proofed(claims: Vec<Claim>) -> Person {
        person(claims.into_iter().map(|claim| (claim, Assurance::Ial2)).collect())
    }

    #[test]
    fn the_export_regulations_ask_for_the_most_recent_country_and_the_arms_regulations_for_all() {
        let dual = proofed(vec![citizen("CN", Some("1990-01-01"), None), citizen("CA", Some("2019-05-01"), None)]);
        assert_eq!(ask(&dual, NationalityRule::Ear), of(&["CA"]));
        assert_eq!(ask(&dual, NationalityRule::Itar), of(&["CA", "CN"]));
    }

    #[test]
    fn later_permanent_residency_counts_as_the_most_recent_country() {
        let moved = proofed(vec![citizen("IN", Some("1991-01-01"), None), resident("GB", "2021-01-01")]);
        assert_eq!(ask(&moved, NationalityRule::Ear), of(&["GB"]));
    }

    #[test]
    fn a_citizenship_given_up_still_counts_under_the_arms_regulations_only() {
        let former = proofed(vec![
            citizen("RU", Some("1980-01-01"), Some("2015-01-01")),
            citizen("FR", Some("2014-01-01"), None),
        ]);
        assert_eq!(ask(&former, NationalityRule::Ear), of(&["FR"]));
        assert_eq!(ask(&former, NationalityRule::Itar), of(&["FR", "RU"]));
    }

    #[test]
    fn two_countries_without_dates_leave_the_most_recent_one_open() {
        let undated = proofed(vec![citizen("CN", None, None), citizen("CA", Some("2019-05-01"), None)]);
        assert_eq!(ask(&undated, NationalityRule::Ear), Nationality::Unknown);
    }

    #[test]
    fn weak_evidence_of_a_later_country_leaves_the_most_recent_one_open() {
        let claims = vec![
            (citizen("CA", Some("2010-01-01"), None), Assurance::Ial2),
            (citizen("CN", Some("2020-01-01"), None), Assurance::None),
        ];
        assert_eq!(ask(&person(claims.clone()), NationalityRule::Ear), Nationality::Unknown);
        assert_eq!(ask(&person(claims), NationalityRule::Itar), of(&["CA", "CN"]));
    }

    #[test]
    fn stateless_is_an_answer_of_its_own_unless_a_country_contradicts_it() {
        assert_eq!(ask(&proofed(vec![Claim::Stateless]), NationalityRule::Ear), Nationality::Stateless);
        let both = proofed(vec![Claim::Stateless, citizen("CA", Some("2010-01-01"), None)]);
        assert_eq!(ask(&both, NationalityRule::Ear), Nationality::Unknown);
        assert_eq!(ask(&proofed(Vec::new()), NationalityRule::Itar), Nationality::Unknown);
    }

    #[test]
    fn a_country_does_not_go_away_because_its_attestation_expired() {
        let mut dual = proofed(vec![citizen("CN", Some("1990-01-01"), None), citizen("CA", Some("2019-05-01"), None)]);
        dual.attestations[0].expires_at = Moment::from_millis(NOW - 1);
        assert_eq!(ask(&dual, NationalityRule::Itar), of(&["CA", "CN"]));
        dual.attestations.swap(0, 1);
        dual.attestations[0].expires_at = Moment::from_millis(NOW - 1);
        dual.attestations[1].expires_at = Moment::from_millis(NOW + 1);
        assert_eq!(ask(&dual, NationalityRule::Ear), Nationality::Unknown);
    }

    fn claims() -> impl Strategy<Value = Vec<(Claim, Assurance)>> {
        let day = select(vec!["1985-01-01", "2001-01-01", "2015-01-01", "2030-01-01"]);
        let bond = (select(vec!["CN", "CA", "RU", "US"]), prop::option::of(day.clone()), prop::option::of(day));
        let claim = (bond, any::<bool>()).prop_map(|((code, from, until), citizenship)| match citizenship {
            true => citizen(code, from, until),
            false => {
                Claim::PermanentResidency { country: country(code), from: from.map(moment), until: until.map(moment) }
            }
        });
        vec((claim, select(vec![Assurance::None, Assurance::Ial2])), 0..5)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_most_recent_country_is_one_and_is_among_those_ever_held(claims in claims()) {
            let person = person(claims);
            if let Nationality::Of(recent) = ask(&person, NationalityRule::Ear) {
                prop_assert_eq!(recent.len(), 1);
                let Nationality::Of(all) = ask(&person, NationalityRule::Itar) else {
                    return Err(TestCaseError::fail("a recent country and none ever held"));
                };
                prop_assert!(recent.is_subset(&all));
            }
        }

        #[test]
        fn the_order_of_the_evidence_never_matters(claims in claims()) {
            let mut turned = claims.clone();
            turned.reverse();
            for rule in [NationalityRule::Ear, NationalityRule::Itar] {
                prop_assert_eq!(ask(&person(claims.clone()), rule), ask(&person(turned.clone()), rule));
            }
        }

        #[test]
        fn more_evidence_never_takes_a_country_off_those_ever_held(claims in claims(), more in claims()) {
            let before = ask(&person(claims.clone()), NationalityRule::Itar);
            let after = ask(&person(claims.into_iter().chain(more).collect()), NationalityRule::Itar);
            if let (Nationality::Of(before), Nationality::Of(after)) = (before, after) {
                prop_assert!(before.is_subset(&after));
            }
        }
    }
}
