//! Whom to believe about what: issuer by issuer and kind by kind, up to which assurance.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use policy::FreshnessTable;
use terms::{Assurance, IssuerId, Means, Moment, OrganizationId};

use super::statement::{ClaimKind, Said, Statement};

/// Entries of a trust list.
const MAX_ENTRIES: usize = 1_024;
/// The longest that a statement may be good for.
const MAX_DAYS: u32 = 730;
/// How far ahead of our clock a source's may run.
const SKEW: Duration = Duration::from_secs(300);

const DAY: Duration = Duration::from_secs(86_400);

/// What one issuer is believed about, as configuration writes it.
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustEntry {
    /// Who.
    pub issuer: IssuerId,
    /// The kinds of claims it may make; no kind twice for one issuer.
    pub claims: Vec<ClaimKind>,
    /// The highest assurance that its word carries, whatever it says itself.
    pub assurance: Assurance,
    /// The means that count; any if empty.
    #[serde(default)]
    pub means: BTreeSet<Means>,
    /// The values of `trust_framework` that it may use in `verified_claims`; none if empty.
    #[serde(default)]
    pub frameworks: BTreeSet<String>,
    /// For how many days a statement is fresh, 1 to 730; never for more than its kind is by the table of freshness.
    pub good_for_days: Option<u32>,
}

/// A trust list cannot be used; correct the configuration.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadTrust {
    /// One issuer has two rules for one kind.
    #[error("issuer `{issuer}` is listed twice for `{kind}`: list it once")]
    Twice {
        /// The issuer.
        issuer: IssuerId,
        /// The kind.
        kind: &'static str,
    },
    /// An entry names no kind of claim.
    #[error("issuer `{0}` is trusted for no claim: name some or leave it out")]
    Nothing(IssuerId),
    /// A number of days is out of range.
    #[error("`good_for_days` of issuer `{0}` must be 1 to 730")]
    Days(IssuerId),
    /// There are too many entries.
    #[error("a trust list has at most 1024 entries")]
    TooLong,
}

/// Whom to believe about what, and for how long.
#[derive(Clone, Debug)]
pub struct TrustList {
    rules: BTreeMap<(IssuerId, ClaimKind), TrustEntry>,
    freshness: FreshnessTable,
}

/// A statement is not believed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Mistrust {
    #[error("issuer `{issuer}` is not trusted for `{kind}`")]
    Kind { issuer: IssuerId, kind: &'static str },
    #[error("issuer `{issuer}` is not trusted under the framework `{framework}`")]
    Framework { issuer: IssuerId, framework: String },
    #[error("issuer `{issuer}` is not trusted for `{kind}` by these means")]
    Means { issuer: IssuerId, kind: &'static str },
    #[error("`{organization}` is another organization than the channel's")]
    Elsewhere { organization: OrganizationId },
    #[error("it is dated later than now")]
    Future,
    #[error("it is already over")]
    Over,
}

/// What a statement is worth.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Worth {
    /// The issuer's, capped.
    pub(crate) assurance: Assurance,
    /// From when on it should be made anew.
    pub(crate) fresh_until: Moment,
    /// When it stops being good.
    pub(crate) expires_at: Moment,
}

impl TrustList {
    /// Makes a trust list with the table of freshness that this release carries.
    ///
    /// # Errors
    ///
    /// [`BadTrust`] for the first entry that is ambiguous, empty or out of range.
    pub fn new(entries: Vec<TrustEntry>) -> Result<Self, BadTrust> {
        if entries.len() > MAX_ENTRIES {
            return Err(BadTrust::TooLong);
        }
        let mut list = BTreeMap::new();
        for entry in entries {
            check(&entry)?;
            for kind in &entry.claims {
                if list.insert((entry.issuer.clone(), *kind), entry.clone()).is_some() {
                    return Err(BadTrust::Twice { issuer: entry.issuer, kind: kind.as_str() });
                }
            }
        }
        Ok(Self { rules: list, freshness: FreshnessTable::bundled() })
    }

    /// Puts an operator's table of freshness in place of the bundled one.
    #[must_use]
    pub fn with_freshness(self, freshness: FreshnessTable) -> Self {
        Self { freshness, ..self }
    }

    /// Returns for how long statements count and channels may be silent.
    pub(crate) fn freshness(&self) -> &FreshnessTable {
        &self.freshness
    }

    /// Says what a statement by `issuer` is worth now.
    ///
    /// A statement without means that prove it carries no assurance, whoever makes it and whatever the list says.
    pub(crate) fn judge(&self, issuer: &IssuerId, statement: &Statement, now: Moment) -> Result<Worth, Mistrust> {
        let kind = statement.said.kind();
        let entry = self.rules.get(&(issuer.clone(), kind));
        let entry = entry.ok_or_else(|| Mistrust::Kind { issuer: issuer.clone(), kind: kind.as_str() })?;
        check_framework(entry, statement)?;
        check_means(entry, statement)?;
        if statement.issued_at > now.plus(SKEW) {
            return Err(Mistrust::Future);
        }
        let worth = self.worth(entry, statement);
        if worth.expires_at <= now { Err(Mistrust::Over) } else { Ok(worth) }
    }

    fn worth(&self, entry: &TrustEntry, statement: &Statement) -> Worth {
        let proved = if statement.means.is_some() { statement.assurance } else { Assurance::None };
        let lease = match &statement.said {
            Said::Claim(claim) => self.freshness.claim(claim, statement.means),
            Said::Employment { .. } => self.freshness.employment(statement.means),
        };
        let fresh = entry.good_for_days.map_or(lease.fresh, |days| lease.fresh.min(DAY * days));
        let ends = statement.expires_at.unwrap_or(Moment::MAX);
        Worth {
            assurance: proved.min(entry.assurance),
            fresh_until: statement.issued_at.plus(fresh).min(ends),
            expires_at: statement.issued_at.plus(fresh + lease.grace).min(ends),
        }
    }
}

fn check(entry: &TrustEntry) -> Result<(), BadTrust> {
    if entry.claims.is_empty() {
        return Err(BadTrust::Nothing(entry.issuer.clone()));
    }
    match entry.good_for_days {
        Some(days) if !(1..=MAX_DAYS).contains(&days) => Err(BadTrust::Days(entry.issuer.clone())),
        _ => Ok(()),
    }
}

fn check_framework(entry: &TrustEntry, statement: &Statement) -> Result<(), Mistrust> {
    match &statement.framework {
        Some(framework) if !entry.frameworks.contains(framework) => {
            Err(Mistrust::Framework { issuer: entry.issuer.clone(), framework: framework.clone() })
        }
        _ => Ok(()),
    }
}

fn check_means(entry: &TrustEntry, statement: &Statement) -> Result<(), Mistrust> {
    let counts = entry.means.is_empty() || statement.means.is_none_or(|means| entry.means.contains(&means));
    let kind = statement.said.kind().as_str();
    if counts { Ok(()) } else { Err(Mistrust::Means { issuer: entry.issuer.clone(), kind }) }
}

#[cfg(test)]
mod tests {
    use terms::{Claim, Country, UsPersonLimb};

    use super::*;

    fn moment(text: &str) -> Moment {
        Moment::parse(&format!("{text}T00:00:00Z")).unwrap()
    }

    fn entry(claims: &[ClaimKind]) -> TrustEntry {
        TrustEntry {
            issuer: IssuerId::parse("vendor").unwrap(),
            claims: claims.to_vec(),
            assurance: Assurance::Ial2,
            means: BTreeSet::new(),
            frameworks: BTreeSet::from(["us_nist_800_63_4".to_owned()]),
            good_for_days: None,
        }
    }

    fn statement(claim: Claim) -> Statement {
        Statement {
            said: Said::Claim(claim),
            assurance: Assurance::Ial3,
            means: Some(Means::Document),
            framework: Some("us_nist_800_63_4".to_owned()),
            evidence: "vendor/1".to_owned(),
            issued_at: moment("2026-01-01"),
            expires_at: None,
        }
    }

    fn us() -> Claim {
        Claim::Citizenship { country: Country::US, from: None, until: None }
    }

    fn judge(entry: TrustEntry, statement: &Statement) -> Result<Worth, Mistrust> {
        let issuer = IssuerId::parse("vendor").unwrap();
        TrustList::new(vec![entry]).unwrap().judge(&issuer, statement, moment("2026-01-02"))
    }

    #[test]
    fn an_issuer_speaks_only_for_what_it_is_trusted_for_and_no_better_than_that() {
        let worth = judge(entry(&[ClaimKind::Citizenship]), &statement(us())).unwrap();
        assert_eq!(worth.assurance, Assurance::Ial2);
        let refused = judge(entry(&[ClaimKind::Citizenship]), &statement(Claim::ForeignPerson)).unwrap_err();
        assert_eq!(refused.to_string(), "issuer `vendor` is not trusted for `standing`");
        let other = IssuerId::parse("other").unwrap();
        for entries in [vec![entry(&[ClaimKind::Citizenship])], Vec::new()] {
            let list = TrustList::new(entries).unwrap();
            assert!(matches!(list.judge(&other, &statement(us()), moment("2026-01-02")), Err(Mistrust::Kind { .. })));
        }
    }

    #[test]
    fn a_framework_that_is_not_listed_is_refused_and_a_statement_of_no_framework_is_not_asked() {
        let mut said = statement(us());
        said.framework = Some("eidas".to_owned());
        assert!(matches!(judge(entry(&[ClaimKind::Citizenship]), &said), Err(Mistrust::Framework { .. })));
        said.framework = None;
        assert!(judge(entry(&[ClaimKind::Citizenship]), &said).is_ok());
    }

    #[test]
    fn means_that_do_not_count_are_refused_and_none_at_all_carry_no_assurance() {
        let mut documents = entry(&[ClaimKind::Citizenship]);
        documents.means = BTreeSet::from([Means::Document]);
        let mut said = statement(us());
        assert!(judge(documents.clone(), &said).is_ok());
        said.means = Some(Means::Vouch);
        assert!(matches!(judge(documents.clone(), &said), Err(Mistrust::Means { .. })));
        said.means = None;
        assert_eq!(judge(documents, &said).unwrap().assurance, Assurance::None);
    }

    #[test]
    fn a_statement_lasts_by_its_kind_and_never_longer_than_its_evidence() {
        let trusted = || entry(&[ClaimKind::Citizenship, ClaimKind::Standing]);
        let worth = judge(trusted(), &statement(us())).unwrap();
        assert_eq!((worth.fresh_until, worth.expires_at), (moment("2027-01-01"), moment("2027-01-08")));
        let refugee = statement(Claim::UsPerson { limb: UsPersonLimb::Refugee });
        let worth = judge(trusted(), &refugee).unwrap();
        assert_eq!((worth.fresh_until, worth.expires_at), (moment("2026-04-01"), moment("2026-04-01")));
        let ends = Statement { expires_at: Some(moment("2026-02-01")), ..refugee };
        assert_eq!(judge(trusted(), &ends).unwrap().expires_at, moment("2026-02-01"));
        let mut short = trusted();
        short.good_for_days = Some(2);
        assert_eq!(judge(short, &statement(us())).unwrap().fresh_until, moment("2026-01-03"));
    }

    #[test]
    fn a_list_may_make_a_statement_last_for_less_than_the_table_and_never_for_more() {
        let mut long = entry(&[ClaimKind::Location]);
        long.good_for_days = Some(730);
        let located = Claim::Location { country: Country::US, method: terms::LocationMethod::Managed };
        assert_eq!(judge(long, &statement(located)).unwrap().expires_at, moment("2026-01-31"));
    }

    #[test]
    fn an_operators_table_takes_the_place_of_the_bundled_one() {
        let bundled = include_str!("../../../policy/data/freshness.json");
        let table = FreshnessTable::parse(bundled.replace("365", "100").as_bytes()).unwrap();
        let list = TrustList::new(vec![entry(&[ClaimKind::Citizenship])]).unwrap().with_freshness(table);
        let worth = list.judge(&IssuerId::parse("vendor").unwrap(), &statement(us()), moment("2026-01-02")).unwrap();
        assert_eq!((worth.fresh_until, worth.expires_at), (moment("2026-04-11"), moment("2026-04-18")));
    }

    #[test]
    fn what_is_over_or_of_tomorrow_is_refused() {
        let over = Statement { expires_at: Some(moment("2026-01-02")), ..statement(us()) };
        assert_eq!(judge(entry(&[ClaimKind::Citizenship]), &over), Err(Mistrust::Over));
        let ahead = Statement { issued_at: moment("2026-01-03"), ..statement(us()) };
        assert_eq!(judge(entry(&[ClaimKind::Citizenship]), &ahead), Err(Mistrust::Future));
    }

    #[test]
    fn a_list_that_is_ambiguous_or_empty_is_refused() {
        let twice = vec![entry(&[ClaimKind::Citizenship]), entry(&[ClaimKind::Citizenship])];
        assert!(matches!(TrustList::new(twice), Err(BadTrust::Twice { .. })));
        assert!(matches!(TrustList::new(vec![entry(&[])]), Err(BadTrust::Nothing(_))));
        for days in [0, 731] {
            let mut wrong = entry(&[ClaimKind::Location]);
            wrong.good_for_days = Some(days);
            assert!(matches!(TrustList::new(vec![wrong]), Err(BadTrust::Days(_))));
        }
    }
}
