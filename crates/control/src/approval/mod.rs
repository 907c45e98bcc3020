//! Signed approvals: what is signed and by whom, and whether there are enough.

mod act;
mod jws;
mod quorum;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use terms::{Moment, PersonId};

pub use act::{ActKind, ActVerb, ApprovalAct, document_sha256};
pub use jws::{ApproverKey, PublicKey};
pub(crate) use jws::{Jws, JwsFault};
pub use proof::jcs::BadNumber;
pub(crate) use quorum::Quorum;

/// In which capacity a person approves.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApproverRole {
    /// Export compliance.
    Compliance,
    /// Counsel.
    Counsel,
    /// Security.
    Security,
    /// An executive who answers for the whole.
    Executive,
}

impl ApproverRole {
    /// Every role. There are as many as approvals can ever be asked for, since each approval needs a role of its own.
    pub const ALL: [Self; 4] = [Self::Compliance, Self::Counsel, Self::Security, Self::Executive];

    /// Returns the role as the API spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Compliance => "compliance",
            Self::Counsel => "counsel",
            Self::Security => "security",
            Self::Executive => "executive",
        }
    }
}

impl fmt::Display for ApproverRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ApproverRole {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| format!("`{text}` is no role: write `compliance`, `counsel`, `security` or `executive`"))
    }
}

/// How many people must approve before an instrument is applied, stayed, vacated or lifted.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeskPolicy {
    /// 0 to 4, each with a role of their own and none of them the proposer; 2 unless set. 0 lets one officer act alone.
    pub approvals: u8,
}

impl DeskPolicy {
    /// One officer acts alone, and every start says so.
    pub const SINGLE_PERSON: Self = Self { approvals: 0 };

    /// Returns true if one officer acts alone.
    #[must_use]
    pub fn is_single_person(self) -> bool {
        self.approvals == 0
    }
}

impl Default for DeskPolicy {
    fn default() -> Self {
        Self { approvals: 2 }
    }
}

/// Who may approve: a natural person, in one capacity, with one key.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Approver {
    /// The person, who need not be one of those who call.
    pub id: PersonId,
    /// In which capacity.
    pub role: ApproverRole,
    /// What verifies their signatures.
    pub public_key: PublicKey,
    /// When the key was registered.
    pub created_at: Moment,
    /// When the key was revoked, if it was.
    pub revoked_at: Option<Moment>,
}

/// One signature under one act, as it was accepted.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// What was signed.
    pub act: ApprovalAct,
    /// Who signed.
    pub approver: PersonId,
    /// In which capacity.
    pub role: ApproverRole,
    /// What verified the signature.
    pub public_key: PublicKey,
    /// The signature: JWS in compact form, detached (RFC 7515 appendix F); the payload is the act in the canonical
    /// spelling of RFC 8785.
    pub jws: String,
    /// When it was accepted.
    pub at: Moment,
}
