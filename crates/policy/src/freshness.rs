//! How old evidence may be and how long a source may be silent, as dated data with a strict parser, never as constants in
//! code.

use std::time::Duration;

use serde::Deserialize;
use terms::{ChannelKind, Claim, Means, UsPersonLimb};

use crate::{
    InstrumentFault,
    instrument::{self, Faults, Positions, check_day},
};

/// The version of the table that this release reads.
const VERSION: u32 = 1;
const BUNDLED: &str = include_str!("../data/freshness.json");

const DAY: Duration = Duration::from_hours(24);

/// For how long something can be relied on, and for how much longer it still counts while it should be made anew.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lease {
    /// From its beginning it is fresh for so long; of a channel, zero if it need not be heard.
    pub fresh: Duration,
    /// Then it is in grace for so long; then it establishes nothing.
    pub grace: Duration,
}

/// The leases of attestations by what they state and by what means, of channels by how they speak, and of sessions and
/// keys.
///
/// Every kind must be there: a table that is silent about one is refused.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct FreshnessTable {
    version: u32,
    as_of: String,
    claims: Claims,
    channels: Channels,
    authentication: Authentication,
}

impl FreshnessTable {
    /// Parses one JSON table of version 1.
    ///
    /// # Errors
    ///
    /// [`InstrumentFault`] names every place that is missing, unknown, there twice or out of range.
    pub fn parse(json: &[u8]) -> Result<Self, InstrumentFault> {
        let positions = Positions::of(json);
        let table: Self = instrument::read(json, &positions)?;
        let mut faults = Faults::default();
        let why = format!("this release reads version {VERSION}, the table has {}", table.version);
        faults.unless(table.version == VERSION, "version", why);
        check_day("as_of", &table.as_of, &mut faults);
        table.claims.check(&mut faults);
        table.channels.check(&mut faults);
        table.authentication.check(&mut faults);
        faults.into_result().map_err(|fault| fault.located(&positions))?;
        Ok(table)
    }

    /// Returns the table that this release carries.
    #[must_use]
    pub fn bundled() -> Self {
        match Self::parse(BUNDLED.as_bytes()) {
            Ok(table) => table,
            Err(_) => unreachable!("a test of this crate parses the bundled table"),
        }
    }

    /// Returns the lease of an attestation, from when it was verified; the evidence may end it sooner.
    ///
    /// What says of a person that they are no U.S. person lasts as a citizenship does, and so does the standing of citizens
    /// and nationals, who do not lose it by time.
    #[must_use]
    pub fn claim(&self, claim: &Claim, means: Option<Means>) -> Lease {
        use UsPersonLimb::{Citizen, National};
        let kind = match claim {
            Claim::UsPerson { limb: Citizen | National } | Claim::ForeignPerson => &self.claims.citizenship,
            Claim::Citizenship { .. } | Claim::Stateless => &self.claims.citizenship,
            Claim::UsPerson { .. } => &self.claims.protected_status,
            Claim::PermanentResidency { .. } => &self.claims.permanent_residency,
            Claim::Location { .. } => &self.claims.location,
        };
        kind.lease(means)
    }

    /// Returns the lease of the word that somebody works for an organization, from when it was given.
    #[must_use]
    pub fn employment(&self, means: Option<Means>) -> Lease {
        self.claims.employment.lease(means)
    }

    /// Returns the lease of a channel, from when it was last heard, unless an operator settles another for it.
    #[must_use]
    pub fn channel(&self, kind: ChannelKind) -> Lease {
        let Channels { oidc, ssf, scim, status_list, webhook, wallet, manual } = &self.channels;
        let silence = match kind {
            ChannelKind::Oidc => oidc,
            ChannelKind::Ssf => ssf,
            ChannelKind::Scim => scim,
            ChannelKind::StatusList => status_list,
            ChannelKind::Webhook => webhook,
            ChannelKind::Wallet => wallet,
            ChannelKind::Manual => manual,
        };
        Lease {
            fresh: Duration::from_secs(silence.interval_s.into()),
            grace: Duration::from_secs(silence.grace_s.into()),
        }
    }

    /// Returns how long ago a person may have signed in.
    ///
    /// # Source
    /// RFC 9470 section 4 (`max_age`).
    #[must_use]
    pub fn authentication(&self) -> Duration {
        Duration::from_secs(self.authentication.max_age_s.into())
    }

    /// Returns how long a key may live; at most 90 days.
    #[must_use]
    pub fn key(&self) -> Duration {
        DAY * self.authentication.key_max_age_days
    }
}

/// What each kind of statement is worth with time.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
struct Claims {
    citizenship: Kind,
    protected_status: Kind,
    permanent_residency: Kind,
    location: Kind,
    employment: Kind,
}

impl Claims {
    fn check(&self, faults: &mut Faults) {
        let Self { citizenship, protected_status, permanent_residency, location, employment } = self;
        citizenship.check("claims.citizenship", faults);
        protected_status.check("claims.protected_status", faults);
        permanent_residency.check("claims.permanent_residency", faults);
        location.check("claims.location", faults);
        employment.check("claims.employment", faults);
    }
}

/// One kind of statement: by any means, and by those that are worth more or less.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
struct Kind {
    max_age_days: u32,
    grace_days: u32,
    #[serde(default)]
    by_means: ByMeans,
}

#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
struct ByMeans {
    document: Option<Age>,
    electronic_record: Option<Age>,
    vouch: Option<Age>,
    electronic_signature: Option<Age>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
struct Age {
    max_age_days: u32,
    grace_days: u32,
}

impl Kind {
    fn lease(&self, means: Option<Means>) -> Lease {
        let own = match means {
            Some(Means::Document) => self.by_means.document,
            Some(Means::ElectronicRecord) => self.by_means.electronic_record,
            Some(Means::Vouch) => self.by_means.vouch,
            Some(Means::ElectronicSignature) => self.by_means.electronic_signature,
            None => None,
        };
        let Age { max_age_days, grace_days } = own.unwrap_or_else(|| self.by_any());
        Lease { fresh: DAY * max_age_days, grace: DAY * grace_days }
    }

    fn by_any(&self) -> Age {
        Age { max_age_days: self.max_age_days, grace_days: self.grace_days }
    }

    fn check(&self, at: &str, faults: &mut Faults) {
        let ByMeans { document, electronic_record, vouch, electronic_signature } = self.by_means;
        let named = [
            ("", Some(self.by_any())),
            (".by_means.document", document),
            (".by_means.electronic_record", electronic_record),
            (".by_means.vouch", vouch),
            (".by_means.electronic_signature", electronic_signature),
        ];
        for (name, age) in named.into_iter().filter_map(|(name, age)| Some((name, age?))) {
            let ages = (1..=730).contains(&age.max_age_days);
            faults.unless(ages, format!("{at}{name}.max_age_days"), "must be 1 to 730");
            faults.unless(age.grace_days <= 90, format!("{at}{name}.grace_days"), "must be 0 to 90");
        }
    }
}

/// How long each kind of channel may be silent.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
struct Channels {
    oidc: Silence,
    ssf: Silence,
    scim: Silence,
    status_list: Silence,
    webhook: Silence,
    wallet: Silence,
    manual: Silence,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
struct Silence {
    interval_s: u32,
    grace_s: u32,
}

impl Channels {
    fn check(&self, faults: &mut Faults) {
        const WEEK_S: u32 = 7 * 86_400;
        let Self { oidc, ssf, scim, status_list, webhook, wallet, manual } = self;
        let named = [
            ("oidc", oidc),
            ("ssf", ssf),
            ("scim", scim),
            ("status_list", status_list),
            ("webhook", webhook),
            ("wallet", wallet),
            ("manual", manual),
        ];
        for (name, Silence { interval_s, grace_s }) in named {
            let often = *interval_s == 0 || (10..=WEEK_S).contains(interval_s);
            faults.unless(often, format!("channels.{name}.interval_s"), "must be 0, or 10 to 604800");
            faults.unless(*grace_s <= WEEK_S, format!("channels.{name}.grace_s"), "must be 0 to 604800");
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
struct Authentication {
    max_age_s: u32,
    key_max_age_days: u32,
}

impl Authentication {
    fn check(self, faults: &mut Faults) {
        let signed_in = (60..=31 * 86_400).contains(&self.max_age_s);
        faults.unless(signed_in, "authentication.max_age_s", "must be 60 to 2678400");
        let keys = (1..=90).contains(&self.key_max_age_days);
        faults.unless(keys, "authentication.key_max_age_days", "must be 1 to 90");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use terms::{Country, LocationMethod};

    fn days(days: u32, grace: u32) -> Lease {
        Lease { fresh: DAY * days, grace: DAY * grace }
    }

    fn seconds(interval: u64, grace: u64) -> Lease {
        Lease { fresh: Duration::from_secs(interval), grace: Duration::from_secs(grace) }
    }

    #[test]
    fn the_bundled_table_says_for_how_long_each_kind_of_evidence_counts() {
        let table = FreshnessTable::bundled();
        let us = |limb| Claim::UsPerson { limb };
        let korea = Claim::Citizenship { country: Country::parse("KR").unwrap(), from: None, until: None };
        for (claim, means, expected) in [
            (korea.clone(), Some(Means::Document), days(365, 7)),
            (korea.clone(), Some(Means::ElectronicRecord), days(365, 7)),
            (korea, Some(Means::Vouch), days(90, 7)),
            (Claim::Stateless, None, days(365, 7)),
            (Claim::ForeignPerson, Some(Means::Vouch), days(90, 7)),
            (us(UsPersonLimb::National), Some(Means::Document), days(365, 7)),
            (us(UsPersonLimb::LawfulPermanentResident), Some(Means::Document), days(90, 0)),
            (us(UsPersonLimb::Asylee), Some(Means::Vouch), days(90, 0)),
            (Claim::PermanentResidency { country: Country::US, from: None, until: None }, None, days(90, 0)),
            (Claim::Location { country: Country::US, method: LocationMethod::Managed }, None, days(30, 0)),
        ] {
            assert_eq!(table.claim(&claim, means), expected, "{claim:?} by {means:?}");
        }
        assert_eq!(table.employment(Some(Means::ElectronicRecord)), days(90, 0));
    }

    #[test]
    fn the_bundled_table_says_how_long_each_kind_of_channel_may_be_silent() {
        let table = FreshnessTable::bundled();
        for (kind, expected) in [
            (ChannelKind::Ssf, seconds(60, 840)),
            (ChannelKind::Scim, seconds(2_400, 2_400)),
            (ChannelKind::StatusList, seconds(300, 300)),
            (ChannelKind::Webhook, seconds(86_400, 86_400)),
            (ChannelKind::Oidc, seconds(0, 0)),
            (ChannelKind::Wallet, seconds(0, 0)),
            (ChannelKind::Manual, seconds(0, 0)),
        ] {
            assert_eq!(table.channel(kind), expected, "{kind:?}");
        }
        assert_eq!((table.authentication(), table.key()), (Duration::from_hours(12), DAY * 90));
    }

    #[test]
    fn a_table_that_leaves_a_kind_out_or_names_an_unknown_one_is_refused_by_place() {
        for (from, to, at) in [
            ("\"vouch\":", "\"hearsay\":", "hearsay"),
            ("\"location\":", "\"whereabouts\":", "whereabouts"),
            ("\"manual\":", "\"ssf\":", "channels.ssf"),
            ("\"version\": 1,", "\"version\": 2,", "version"),
            ("2026-11-21", "2026-02-30", "as_of"),
            ("\"max_age_days\": 365", "\"max_age_days\": 731", "claims.citizenship.max_age_days"),
            ("\"max_age_days\": 30", "\"max_age_days\": 0", "claims.location.max_age_days"),
            ("{ \"max_age_days\": 90, \"grace_days\": 7 }", "{ \"max_age_days\": 90, \"grace_days\": 91 }", "vouch"),
            ("\"grace_s\": 840", "\"grace_s\": 604801", "channels.ssf.grace_s"),
            ("\"interval_s\": 60,", "\"interval_s\": 9,", "channels.ssf.interval_s"),
            ("\"interval_s\": 300,", "\"interval_s\": -1,", "interval_s"),
            ("43200", "59", "authentication.max_age_s"),
            ("\"key_max_age_days\": 90", "\"key_max_age_days\": 91", "authentication.key_max_age_days"),
        ] {
            let text = BUNDLED.replacen(from, to, 1);
            assert_ne!(text, BUNDLED, "{from}");
            let fault = FreshnessTable::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(fault.contains(at), "{at}: {fault}");
        }
        assert!(FreshnessTable::parse(b"{}").is_err());
        assert!(FreshnessTable::parse(b"").is_err());
    }

    #[test]
    fn every_place_that_is_out_of_range_is_named_at_once() {
        let text = BUNDLED.replace("\"max_age_days\": 90", "\"max_age_days\": 0").replace("43200", "0");
        let fault = FreshnessTable::parse(text.as_bytes()).unwrap_err();
        assert_eq!(fault.each().count(), 5, "{fault}");
        assert!(fault.each().all(|one| one.line.is_some()), "{fault}");
    }
}
