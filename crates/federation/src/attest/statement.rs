//! What one source says about one person, before anybody judged whether to believe it.

use terms::{Assurance, Claim, Engagement, Means, Moment, OrganizationId};

/// A kind of statement; sources are trusted kind by kind.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimKind {
    /// Whether the person is a U.S. person, and by which limb.
    Standing,
    /// Of which countries the person is a citizen, or of none.
    Citizenship,
    /// In which countries the person is a permanent resident.
    PermanentResidency,
    /// Where the person is.
    Location,
    /// For which organization the person works.
    Employment,
}

impl ClaimKind {
    /// Returns the kind of a claim.
    pub(crate) fn of(claim: &Claim) -> Self {
        match claim {
            Claim::UsPerson { .. } | Claim::ForeignPerson => Self::Standing,
            Claim::Citizenship { .. } | Claim::Stateless => Self::Citizenship,
            Claim::PermanentResidency { .. } => Self::PermanentResidency,
            Claim::Location { .. } => Self::Location,
        }
    }

    /// Returns the kind as configuration spells it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Standing => "standing",
            Self::Citizenship => "citizenship",
            Self::PermanentResidency => "permanent_residency",
            Self::Location => "location",
            Self::Employment => "employment",
        }
    }
}

/// What is said.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Said {
    /// A claim about the person.
    Claim(Claim),
    /// That the person works for an organization.
    Employment {
        organization: OrganizationId,
        engagement: Engagement,
        /// When the employment ends, where that is known.
        ends_at: Option<Moment>,
    },
}

impl Said {
    /// Returns its kind.
    pub(crate) fn kind(&self) -> ClaimKind {
        match self {
            Self::Claim(claim) => ClaimKind::of(claim),
            Self::Employment { .. } => ClaimKind::Employment,
        }
    }
}

/// One statement and what it rests on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Statement {
    pub(crate) said: Said,
    /// How well it was proofed, by the source's own account.
    pub(crate) assurance: Assurance,
    /// By what it was verified; absent if the source does not say, or if what it names does not prove this.
    pub(crate) means: Option<Means>,
    /// The `trust_framework` under which it was verified, where it came as `verified_claims`.
    pub(crate) framework: Option<String>,
    /// Where the source keeps the evidence, never the evidence itself. At most 256 characters.
    pub(crate) evidence: String,
    /// When it was verified.
    pub(crate) issued_at: Moment,
    /// When the evidence or the status it is about ends, where that is known.
    pub(crate) expires_at: Option<Moment>,
}
