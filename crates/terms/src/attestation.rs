//! What is attested about a person, and where they stand.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    AttestationId, ChannelId, Country, IssuerId, Moment, PersonId,
    tagged::{self, Tagged},
};

/// How well the evidence behind an attestation was proofed.
///
/// # Source
/// NIST SP 800-63A-4, identity assurance levels.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Assurance {
    /// Self-asserted or weaker than IAL1.
    None,
    /// Identity assurance level 1.
    Ial1,
    /// Identity assurance level 2.
    Ial2,
    /// Identity assurance level 3.
    Ial3,
}

/// The limb by which a natural person is not a foreign person.
///
/// # Source
/// 15 CFR 772.1 "foreign person"; 50 USC 4801(5); 8 USC 1324b(a)(3).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UsPersonLimb {
    /// Citizen of the United States.
    Citizen,
    /// National, not citizen, of the United States.
    National,
    /// Lawfully admitted for permanent residence.
    LawfulPermanentResident,
    /// Admitted for temporary residence under 8 USC 1160(a) or 1255a(a)(1).
    TemporaryResident,
    /// Admitted as a refugee under 8 USC 1157.
    Refugee,
    /// Granted asylum under 8 USC 1158.
    Asylee,
}

/// Where a person stands under 15 CFR 772.1. Unknown is its own answer, never a guess.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Not a foreign person, by this limb.
    UsPerson(UsPersonLimb),
    /// Attested as within none of the limbs.
    ForeignPerson,
    /// No attestation is current, or current ones contradict each other.
    Unattested,
}

/// By what kind of evidence a statement was verified.
///
/// # Source
/// OpenID Identity Assurance Schema Definition 1.0 section 5.4.4 (`evidence`, `type`).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Means {
    /// A document that was inspected or read out, such as a passport.
    Document,
    /// A record in a register, such as an employer's or an authority's.
    ElectronicRecord,
    /// The word of somebody accountable, such as an empowered official.
    Vouch,
    /// A signature made by the person.
    ElectronicSignature,
}

/// How a location was established.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LocationMethod {
    /// Stated by the person or their employer.
    Declared,
    /// Derived from a managed device or an employer's site.
    Managed,
    /// Derived from the network address.
    Network,
}

/// One attested statement about a person.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize)]
#[serde(remote = "Self", tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Claim {
    /// The person is a U.S. person by `limb`.
    UsPerson {
        /// The limb, with its own evidence.
        limb: UsPersonLimb,
    },
    /// The person is within none of the limbs of 15 CFR 772.1.
    ForeignPerson,
    /// The person holds or held this citizenship.
    Citizenship {
        /// Of which country.
        country: Country,
        /// Since when, where known.
        from: Option<Moment>,
        /// Until when, where it ended.
        until: Option<Moment>,
    },
    /// The person holds or held permanent residency.
    PermanentResidency {
        /// In which country.
        country: Country,
        /// Since when, where known.
        from: Option<Moment>,
        /// Until when, where it ended.
        until: Option<Moment>,
    },
    /// The person is a citizen of no country.
    Stateless,
    /// The person is now in this country.
    Location {
        /// Which country.
        country: Country,
        /// How this was established.
        method: LocationMethod,
    },
}

/// The same by the name of the variant.
#[derive(serde::Deserialize)]
#[serde(remote = "Claim", rename_all = "snake_case", deny_unknown_fields)]
enum ByName {
    UsPerson { limb: UsPersonLimb },
    ForeignPerson,
    Citizenship { country: Country, from: Option<Moment>, until: Option<Moment> },
    PermanentResidency { country: Country, from: Option<Moment>, until: Option<Moment> },
    Stateless,
    Location { country: Country, method: LocationMethod },
}

impl<'de> Tagged<'de> for Claim {
    const TAG: &'static str = "kind";
    const EXPECTED: &'static str = "internally tagged enum Claim";

    fn by_name<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ByName::deserialize(deserializer)
    }

    fn in_any_order<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::deserialize(deserializer)
    }
}

impl<'de> Deserialize<'de> for Claim {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        tagged::deserialize(deserializer)
    }
}

impl Serialize for Claim {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

/// A statement about one person by one issuer. Never edited, only superseded.
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Attestation {
    /// Names this attestation.
    pub id: AttestationId,
    /// Whom it is about.
    pub person: PersonId,
    /// What it states.
    pub claim: Claim,
    /// Who states it.
    pub issuer: IssuerId,
    /// Where the issuer keeps the evidence; never the evidence itself. At most 256 characters.
    pub evidence: String,
    /// How well it was proofed.
    pub assurance: Assurance,
    /// When it was issued.
    pub issued_at: Moment,
    /// When it stops being good, whatever else happens.
    pub expires_at: Moment,
    /// The attestation it replaces, if any.
    pub supersedes: Option<AttestationId>,
    /// By what it was verified, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub means: Option<Means>,
    /// From when on it should be made anew, if that is before it expires: until then it is fresh, then in grace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fresh_until: Option<Moment>,
    /// Through which channel it would be taken back; while that is silent for too long it establishes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<ChannelId>,
}
