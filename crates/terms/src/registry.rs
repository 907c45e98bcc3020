//! People, organizations and who acts for whom.

use crate::{
    Account, AffiliationId, Attestation, ChannelId, Country, IssuerId, Moment, OrganizationId, PersonId, WorkloadId,
};

/// The result of screening a party against restricted-party lists.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Screening {
    /// Screened, no match.
    Cleared,
    /// Not screened yet, or a possible match awaits adjudication.
    #[default]
    Review,
    /// On the Entity List (15 CFR 744.11, Supplement No. 4 to part 744).
    EntityListed,
    /// Denied export privileges (15 CFR 764, Supplement No. 1).
    DeniedPerson,
    /// Blocked by OFAC (31 CFR chapter V).
    Blocked,
}

/// Whether ownership brings a party under a list that does not name it.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Coverage {
    /// Computed, not covered.
    #[default]
    None,
    /// A red flag: a significant minority interest, a shared board (Supplement No. 3 to part 732).
    RedFlag,
    /// Not determinable from what is known (Red Flag 29).
    Undetermined,
    /// 50 percent or more by listed parties, under the BIS affiliates rule.
    EntityList,
    /// 50 percent or more by blocked persons (OFAC FAQ 398 to 402).
    Blocked,
}

/// Where an organization stands under 15 CFR 772.1.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OrganizationKind {
    /// Organized under United States law.
    Us,
    /// A United States government agency.
    UsGovernment,
    /// Not incorporated or organized to do business in the United States.
    Foreign,
}

/// A natural person.
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// Names the person.
    pub id: PersonId,
    /// What to call them, for operators only. At most 256 characters.
    pub display_name: String,
    /// Screening of the person.
    pub screening: Screening,
    /// False once access was withdrawn by an operator.
    pub active: bool,
    /// Attestations now held, none superseded; in order of id.
    pub attestations: Vec<Attestation>,
    /// Affiliations now held; in order of id.
    pub affiliations: Vec<Affiliation>,
    /// What sources call them; in order of channel and subject.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<Account>,
}

/// How closely an organization belongs to another; each is closer than the next.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TieKind {
    /// A branch or office: the same legal person.
    Branch,
    /// Owned whole, directly or through others.
    WhollyOwned,
    /// Owned by more than half, directly or through others.
    MajorityOwned,
}

/// That an organization belongs to another, as ownership research found; through how many steps does not matter.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Tie {
    /// To whom it belongs.
    pub to: OrganizationId,
    /// How closely.
    pub kind: TieKind,
}

/// An organization.
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Organization {
    /// Names the organization.
    pub id: OrganizationId,
    /// Its legal name. At most 256 characters.
    pub legal_name: String,
    /// Where it is incorporated.
    pub country: Country,
    /// Where it stands under 15 CFR 772.1.
    pub kind: OrganizationKind,
    /// Screening of the organization itself.
    pub screening: Screening,
    /// What its ownership brings.
    pub coverage: Coverage,
    /// True if it passes the model on to end users it does not identify.
    pub resells: bool,
    /// Where its ultimate parent is headquartered (15 CFR 744.23(a)(3)), or itself if it has none; absent if not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headquarters: Option<Country>,
    /// To whom it belongs, in order; empty if to nobody known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ties: Vec<Tie>,
}

/// In what capacity a person acts for an organization.
///
/// # Source
/// 22 CFR 120.64 (regular employee); 15 CFR 740.17(a)(2) distinguishes employees, individual contractors and interns.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Engagement {
    /// Directly employed.
    Employee,
    /// A long-term contractor who meets 22 CFR 120.64(a)(2).
    RegularEmployee,
    /// Any other contractor.
    Contractor,
    /// Intern.
    Intern,
}

/// That a person acts for an organization, attested and with an end.
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Affiliation {
    /// Names this affiliation.
    pub id: AffiliationId,
    /// Who.
    pub person: PersonId,
    /// For whom.
    pub organization: OrganizationId,
    /// In what capacity.
    pub engagement: Engagement,
    /// Who attests it.
    pub issuer: IssuerId,
    /// Where the issuer keeps the evidence. At most 256 characters.
    pub evidence: String,
    /// When it was last attested.
    pub attested_at: Moment,
    /// When it ends: the end of employment if known, else when it must be attested again.
    pub ends_at: Moment,
    /// Through which channel its end would be told; while that is silent for too long it does not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<ChannelId>,
}

/// A non-human caller. Its owners answer for it.
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// Names the workload.
    pub id: WorkloadId,
    /// What it does. At most 256 characters.
    pub purpose: String,
    /// The organization it runs for.
    pub organization: OrganizationId,
    /// People who answer for it; never empty, in order.
    pub owners: Vec<PersonId>,
    /// Everyone who receives its output, if it is a fixed set; in order. Empty means not established.
    pub recipients: Vec<PersonId>,
    /// False once access was withdrawn by an operator.
    pub active: bool,
}
