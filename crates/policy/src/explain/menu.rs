//! The changes that are tried in search of the nearest one.
//!
//! Of a refusal, in order of size: declare an end use; use another tenant; renew stale evidence or a stale affiliation;
//! renew the credential; name the recipients of a workload; use a key of one's own; attest standing (each limb, or
//! foreign), nationality, location in the United States, employment with a grantee; adjudicate screening; resolve
//! ownership; identify end users; give back access; have counsel rule on what an instrument leaves open; a license for
//! the organization; a stay of a directive. Of a permit: time; the withdrawal of an attestation, the end of an
//! affiliation, the revocation of the key; a license revoked, a directive widened, a new directive.
//!
//! An attestation in the menu means that it would be made, which helps only if what it states is true.

use std::collections::BTreeSet;

use serde::Serialize;
use terms::{
    AffiliationId, AttestationId, EndUse, InstrumentId, KeyId, ModelFamily, Moment, OrganizationId, PersonId,
    WorkloadId,
};

/// One change.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Step {
    /// A key made for an end use.
    DeclareEndUse {
        /// Which.
        end_use: EndUse,
    },
    /// A key of another tenant, or of none.
    UseTenant {
        /// Which.
        organization: Option<OrganizationId>,
    },
    /// The same statement once more, by the same issuer.
    RenewEvidence {
        /// Whose.
        person: PersonId,
        /// Which.
        attestation: AttestationId,
    },
    /// The same affiliation attested once more.
    RenewAffiliation {
        /// Whose.
        person: PersonId,
        /// Which.
        affiliation: AffiliationId,
    },
    /// A new key in place of one that ended.
    RenewCredential {
        /// The key.
        credential: KeyId,
    },
    /// The recipients of a workload: those who answer for it.
    NameRecipients {
        /// Which.
        workload: WorkloadId,
    },
    /// A key of a person of their own who is a U.S. person, in place of a shared one.
    UsePersonalKey {
        /// The key.
        credential: KeyId,
    },
    /// A statement of where a person stands: any of these would do.
    AttestStanding {
        /// Whose.
        person: PersonId,
        /// Any of them.
        standings: BTreeSet<&'static str>,
    },
    /// A statement that a person is a national of a country that no instrument names.
    AttestNationality {
        /// Whose.
        person: PersonId,
    },
    /// A statement that a person is in the United States.
    AttestLocation {
        /// Whose.
        person: PersonId,
    },
    /// A statement that a grantee employs a person.
    AttestEmployment {
        /// Whose.
        person: PersonId,
        /// Which.
        organization: OrganizationId,
    },
    /// A screening that awaits adjudication, cleared.
    AdjudicateScreening {
        /// The id of a person or an organization.
        party: String,
    },
    /// Ownership that is not determined, resolved without any finding.
    ResolveOwnership {
        /// Which.
        organization: OrganizationId,
    },
    /// End users of an organization, each bound to a verified person.
    IdentifyEndUsers {
        /// Which.
        organization: OrganizationId,
    },
    /// Access that an administrator withdrew, given back.
    Reactivate {
        /// The id of a person or a workload.
        who: String,
    },
    /// A ruling that a license reaches employees, contractors and interns.
    RuleOnEmployees {
        /// Which.
        license: InstrumentId,
    },
    /// A ruling that a license is good where it is silent.
    RuleOnTerritory {
        /// Which.
        license: InstrumentId,
    },
    /// A ruling that a directive bars nobody for the destination alone.
    RuleOnDestination {
        /// Which.
        directive: InstrumentId,
    },
    /// A license for an organization and its people, under every directive in effect.
    License {
        /// Which.
        organization: OrganizationId,
    },
    /// A stay of a directive.
    Stay {
        /// Which.
        directive: InstrumentId,
    },
    /// Nothing but time.
    Time {
        /// When.
        at: Moment,
    },
    /// An attestation withdrawn.
    WithdrawAttestation {
        /// Whose.
        person: PersonId,
        /// Which.
        attestation: AttestationId,
    },
    /// An affiliation ended.
    EndAffiliation {
        /// Whose.
        person: PersonId,
        /// Which.
        affiliation: AffiliationId,
    },
    /// The key revoked.
    RevokeKey {
        /// The key.
        credential: KeyId,
    },
    /// A license revoked.
    RevokeLicense {
        /// Which.
        license: InstrumentId,
    },
    /// A directive widened to citizens and nationals only.
    NarrowDefinition {
        /// Which.
        directive: InstrumentId,
    },
    /// A directive widened to every foreign destination.
    BarDestinations {
        /// Which.
        directive: InstrumentId,
    },
    /// A directive widened to everybody.
    BarEverybody {
        /// Which.
        directive: InstrumentId,
    },
    /// A new directive that bars foreign persons from a family.
    NewDirective {
        /// Which.
        family: ModelFamily,
    },
}

impl Step {
    /// Returns how large the change is; what one desk does in a minute is small, what a court does is large.
    #[must_use]
    pub fn size(&self) -> u32 {
        match self {
            Self::Time { .. } => 0,
            Self::DeclareEndUse { .. }
            | Self::UseTenant { .. }
            | Self::RenewEvidence { .. }
            | Self::RenewAffiliation { .. }
            | Self::RenewCredential { .. }
            | Self::RevokeKey { .. } => 1,
            Self::NameRecipients { .. } | Self::UsePersonalKey { .. } | Self::WithdrawAttestation { .. } => 2,
            Self::AttestStanding { .. } | Self::AttestNationality { .. } | Self::AttestLocation { .. } => 3,
            Self::AttestEmployment { .. } | Self::EndAffiliation { .. } => 4,
            Self::AdjudicateScreening { .. } | Self::ResolveOwnership { .. } | Self::IdentifyEndUsers { .. } => 6,
            Self::Reactivate { .. } => 8,
            Self::RuleOnEmployees { .. } | Self::RuleOnTerritory { .. } | Self::RuleOnDestination { .. } => 10,
            Self::License { .. } | Self::RevokeLicense { .. } => 20,
            Self::NarrowDefinition { .. }
            | Self::BarDestinations { .. }
            | Self::BarEverybody { .. }
            | Self::NewDirective { .. } => 30,
            Self::Stay { .. } => 40,
        }
    }

    /// Returns who can make the change.
    #[must_use]
    pub fn who(&self) -> &'static str {
        match self {
            Self::Time { .. } => "nobody needs to do anything",
            Self::DeclareEndUse { .. } => "the organization, by a key made for the end use",
            Self::UseTenant { .. } | Self::RenewCredential { .. } => "the organization, by another key",
            Self::RenewEvidence { .. } => "the issuer of the attestation",
            Self::RenewAffiliation { .. } | Self::AttestEmployment { .. } | Self::EndAffiliation { .. } => {
                "the employer"
            }
            Self::NameRecipients { .. } => "the workload's organization",
            Self::UsePersonalKey { .. } | Self::RevokeKey { .. } => "a registrar",
            Self::AttestStanding { .. } | Self::AttestNationality { .. } => {
                "an identity-proofing provider or the employer"
            }
            Self::AttestLocation { .. } => "the employer, by a managed device or a site",
            Self::AdjudicateScreening { .. } => "the compliance desk",
            Self::ResolveOwnership { .. } | Self::IdentifyEndUsers { .. } => "the organization",
            Self::Reactivate { .. } | Self::WithdrawAttestation { .. } => "a registrar",
            Self::RuleOnEmployees { .. } | Self::RuleOnTerritory { .. } | Self::RuleOnDestination { .. } => {
                "the operator's counsel"
            }
            Self::License { .. } | Self::RevokeLicense { .. } => "the agency",
            Self::NarrowDefinition { .. }
            | Self::BarDestinations { .. }
            | Self::BarEverybody { .. }
            | Self::NewDirective { .. } => "the agency",
            Self::Stay { .. } => "a court, or the issuer of the directive",
        }
    }

    /// Returns what would be done, in words; of people and organizations it has ids only.
    #[must_use]
    pub fn what(&self) -> String {
        match self {
            Self::DeclareEndUse { end_use } => format!("use a key made for the end use `{end_use}`"),
            Self::UseTenant { organization: Some(id) } => format!("call under the tenant of `{id}`"),
            Self::UseTenant { organization: None } => "call under no tenant".to_owned(),
            Self::RenewEvidence { attestation, .. } => format!("renew the attestation `{attestation}`"),
            Self::RenewAffiliation { affiliation, .. } => format!("attest the affiliation `{affiliation}` again"),
            Self::RenewCredential { credential } => format!("mint a key in place of `{credential}`"),
            Self::NameRecipients { workload } => format!("name who receives the output of `{workload}`"),
            Self::UsePersonalKey { .. } => "use a key bound to one U.S. person".to_owned(),
            Self::AttestStanding { person, standings } => {
                let standings: Vec<&str> = standings.iter().copied().collect();
                format!("attest the standing of `{person}`, if true as {}", standings.join(" or "))
            }
            Self::AttestNationality { person } => {
                format!("attest a nationality of `{person}`, if it is of a country that no instrument names")
            }
            Self::AttestLocation { person } => format!("attest, if true, that `{person}` is in the United States"),
            Self::AttestEmployment { person, organization } => {
                format!("attest, if true, that `{organization}` employs `{person}`")
            }
            Self::AdjudicateScreening { party } => format!("adjudicate the screening of `{party}` as no match"),
            Self::ResolveOwnership { organization } => {
                format!("document the ownership of `{organization}`, if it is clear")
            }
            Self::IdentifyEndUsers { organization } => format!("bind each end user of `{organization}` to a person"),
            Self::Reactivate { who } => format!("give `{who}` access again"),
            Self::RuleOnEmployees { license } => format!("rule that `{license}` reaches contractors and interns"),
            Self::RuleOnTerritory { license } => format!("rule that `{license}` is good where it is silent"),
            Self::RuleOnDestination { directive } => {
                format!("rule that `{directive}` bars nobody for the destination alone")
            }
            Self::License { organization } => format!("a license for `{organization}` and its people"),
            Self::Stay { directive } => format!("a stay of `{directive}`"),
            Self::Time { at } => format!("time alone, at {at}"),
            Self::WithdrawAttestation { attestation, .. } => format!("withdraw the attestation `{attestation}`"),
            Self::EndAffiliation { affiliation, .. } => format!("end the affiliation `{affiliation}`"),
            Self::RevokeKey { credential } => format!("revoke the key `{credential}`"),
            Self::RevokeLicense { license } => format!("revoke `{license}`"),
            Self::NarrowDefinition { directive } => format!("widen `{directive}` to all but citizens and nationals"),
            Self::BarDestinations { directive } => format!("widen `{directive}` to every foreign destination"),
            Self::BarEverybody { directive } => format!("widen `{directive}` to everybody"),
            Self::NewDirective { family } => format!("a new directive that bars foreign persons from `{family}`"),
        }
    }
}
