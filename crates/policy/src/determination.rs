//! The answer: a permit or a refusal. A refusal is an outcome, not an error.

use terms::{ModelVersionId, Moment, ProvisionId};

/// The answer to one call.
#[must_use]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Determination {
    /// The call may proceed.
    Permit(Permit),
    /// The call may not proceed.
    Refuse(Refusal),
}

/// Proof that [`crate::decide`] permitted a call. Only this crate can make one.
///
/// ```
/// fn model(permit: policy::Permit) -> terms::ModelVersionId {
///     permit.model().clone()
/// }
/// ```
///
/// Its fields are private, so nobody else can take one apart and change it, let alone write one down:
///
/// ```compile_fail,E0616
/// fn model(permit: policy::Permit) -> terms::ModelVersionId {
///     permit.model.clone()
/// }
/// ```
///
/// ```compile_fail,E0451
/// fn forge(model: terms::ModelVersionId, other: policy::Permit) -> policy::Permit {
///     policy::Permit { model, ..other }
/// }
/// ```
#[must_use = "a permit that is not recorded lets nothing out"]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Permit {
    pub(crate) model: ModelVersionId,
    pub(crate) basis: Vec<ProvisionId>,
    pub(crate) flags: Vec<Flag>,
    pub(crate) obligations: Vec<Obligation>,
    pub(crate) valid_until: Moment,
    pub(crate) snapshot: [u8; 32],
}

impl Permit {
    /// Returns the model version that was permitted.
    #[must_use]
    pub fn model(&self) -> &ModelVersionId {
        &self.model
    }

    /// Returns the legal bases, at least one, in order.
    #[must_use]
    pub fn basis(&self) -> &[ProvisionId] {
        &self.basis
    }

    /// Returns what an operator should look at although the call may proceed; in order.
    #[must_use]
    pub fn flags(&self) -> &[Flag] {
        &self.flags
    }

    /// Returns what the permit demands; whoever cannot do one of these must refuse.
    #[must_use]
    pub fn obligations(&self) -> &[Obligation] {
        &self.obligations
    }

    /// Returns the moment from which the call must be decided again.
    #[must_use]
    pub fn valid_until(&self) -> Moment {
        self.valid_until
    }

    /// Returns the digest of the snapshot that decided.
    #[must_use]
    pub fn snapshot(&self) -> &[u8; 32] {
        &self.snapshot
    }
}

/// What an operator should look at although the call may proceed.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// Ownership shows a red flag that does not by itself prohibit (Supplement No. 3 to part 732).
    OwnershipRedFlag,
    /// The person is in a country of group D:5.
    LocationRedFlag,
}

/// What a permit demands of whoever uses it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Obligation {
    /// Remove token log-probabilities from the output.
    StripLogprobs,
    /// Remove reasoning from the output.
    StripReasoning,
    /// Release at most this many output tokens.
    MaxOutputTokens(u64),
}

/// Why a call was refused; stable, in the caller's and the auditor's words alike. Carries nobody's personal data.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    pub(crate) code: Code,
    pub(crate) model: ModelVersionId,
    pub(crate) denied_by: Vec<ProvisionId>,
    pub(crate) remedies: Vec<Remedy>,
    pub(crate) valid_until: Moment,
    pub(crate) snapshot: [u8; 32],
}

impl Refusal {
    /// Returns the stable reason.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// Returns the model version that was refused.
    #[must_use]
    pub fn model(&self) -> &ModelVersionId {
        &self.model
    }

    /// Returns the provisions that refused, in order; empty if nothing permitted and nothing forbade.
    #[must_use]
    pub fn denied_by(&self) -> &[ProvisionId] {
        &self.denied_by
    }

    /// Returns the evidence that would clear a hold, in order; empty for a denial.
    #[must_use]
    pub fn remedies(&self) -> &[Remedy] {
        &self.remedies
    }

    /// Returns true if named evidence would clear the refusal.
    #[must_use]
    pub fn is_hold(&self) -> bool {
        !self.remedies.is_empty()
    }

    /// Returns a sentence for the caller: why, and what would clear it. Names no person and no fact about one.
    #[must_use]
    pub fn message(&self) -> String {
        let why = format!("`{}` was refused: {}", self.model, self.code.reason());
        if self.remedies.is_empty() {
            return why;
        }
        let remedies: Vec<&str> = self.remedies.iter().map(|remedy| remedy.request()).collect();
        format!("{why}; to clear this, {}", remedies.join(", and "))
    }

    /// Returns the moment up to which time alone does not change the answer.
    #[must_use]
    pub fn valid_until(&self) -> Moment {
        self.valid_until
    }

    /// Returns the digest of the snapshot that decided.
    #[must_use]
    pub fn snapshot(&self) -> &[u8; 32] {
        &self.snapshot
    }
}

/// A stable reason for a refusal.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The credential is revoked or expired.
    CredentialEnded,
    /// The person, workload or organization was deactivated.
    CallerInactive,
    /// No such model version for anybody.
    ModelUnknown,
    /// The model asks for a clearance that the caller has not shown.
    ClearanceRequired,
    /// A controlled model needs a person behind the call.
    PersonRequired,
    /// No current attestation of standing.
    StandingUnattested,
    /// Location is not established.
    LocationUnknown,
    /// A directive bars foreign persons.
    ForeignPersonBarred,
    /// A directive bars the destination.
    DestinationBarred,
    /// A directive bars everybody.
    EveryoneBarred,
    /// A directive or a license leaves out nationals of the person's country.
    NationalityBarred,
    /// No current attestation of nationality.
    NationalityUnattested,
    /// The recipient is a foreign organization.
    ForeignOrganizationBarred,
    /// A directive bars organizations headquartered where the recipient's ultimate parent is.
    HeadquartersBarred,
    /// A named license applies but its conditions are not met.
    LicenseConditionUnmet,
    /// The person or organization is blocked (31 CFR chapter V).
    Blocked,
    /// The person or organization is on a restricted-party list (15 CFR part 744, 764).
    RestrictedParty,
    /// The destination is embargoed (15 CFR part 746).
    Embargoed,
    /// Screening awaits adjudication.
    ScreeningPending,
    /// Ownership cannot be determined (Red Flag 29).
    OwnershipUndetermined,
    /// The organization passes output on to end users it does not identify.
    EndUserUnidentified,
    /// The model version has no current safety certificate.
    ModelUncertified,
    /// Nothing permits the call.
    NoLegalBasis,
    /// The rules could not be evaluated; every doubt refuses.
    EvaluationFailed,
}

impl Code {
    /// Returns the code as the wire and the record spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CredentialEnded => "credential_ended",
            Self::CallerInactive => "caller_inactive",
            Self::ModelUnknown => "model_unknown",
            Self::ClearanceRequired => "clearance_required",
            Self::PersonRequired => "person_required",
            Self::StandingUnattested => "standing_unattested",
            Self::LocationUnknown => "location_unknown",
            Self::ForeignPersonBarred => "foreign_person_barred",
            Self::DestinationBarred => "destination_barred",
            Self::EveryoneBarred => "everyone_barred",
            Self::NationalityBarred => "nationality_barred",
            Self::NationalityUnattested => "nationality_unattested",
            Self::ForeignOrganizationBarred => "foreign_organization_barred",
            Self::HeadquartersBarred => "headquarters_barred",
            Self::LicenseConditionUnmet => "license_condition_unmet",
            Self::Blocked => "blocked",
            Self::RestrictedParty => "restricted_party",
            Self::Embargoed => "embargoed",
            Self::ScreeningPending => "screening_pending",
            Self::OwnershipUndetermined => "ownership_undetermined",
            Self::EndUserUnidentified => "end_user_unidentified",
            Self::ModelUncertified => "model_uncertified",
            Self::NoLegalBasis => "no_legal_basis",
            Self::EvaluationFailed => "evaluation_failed",
        }
    }
}

impl Code {
    /// Returns the reason in words that end the sentence "it was refused: ...".
    fn reason(self) -> &'static str {
        match self {
            Self::CredentialEnded => "the credential is revoked or expired",
            Self::CallerInactive => "access was withdrawn by an administrator",
            Self::ModelUnknown => "no such model version",
            Self::ClearanceRequired => "the model asks for a clearance that was not shown",
            Self::PersonRequired => "a controlled model answers known persons only",
            Self::StandingUnattested => "standing under 15 CFR 772.1 is not established",
            Self::LocationUnknown => "the place of use is not established",
            Self::ForeignPersonBarred => "a directive bars foreign persons and no license covers this call",
            Self::DestinationBarred => "a directive bars the destination and no license covers this call",
            Self::EveryoneBarred => "a directive bars everybody and no license covers this call",
            Self::NationalityBarred => "an instrument leaves out nationals of some countries",
            Self::NationalityUnattested => "nationality is not established",
            Self::ForeignOrganizationBarred => "a directive bars foreign organizations and no license covers this call",
            Self::HeadquartersBarred => {
                "a directive bars organizations by their headquarters and no license covers this call"
            }
            Self::LicenseConditionUnmet => "a license names the organization but not all its conditions are met",
            Self::Blocked => "a party to the call is blocked under 31 CFR chapter V",
            Self::RestrictedParty => "a party to the call is restricted under 15 CFR part 744 or 764",
            Self::Embargoed => "the destination is under embargo",
            Self::ScreeningPending => "screening of a party to the call awaits adjudication",
            Self::OwnershipUndetermined => "the ownership of an organization is not determined",
            Self::EndUserUnidentified => "the organization passes output on to end users it does not identify",
            Self::ModelUncertified => "the model version has no current safety certificate",
            Self::NoLegalBasis => "nothing permits the call",
            Self::EvaluationFailed => "the rules could not be evaluated; tell the operator",
        }
    }
}

impl Remedy {
    /// Returns what to do, in words that follow "to clear this, ...".
    fn request(self) -> &'static str {
        match self {
            Self::AttestStanding => "have your employer or an identity-proofing provider attest your standing",
            Self::AttestNationality => {
                "have an identity-proofing provider attest every citizenship and permanent residency"
            }
            Self::DeclareEndUse => "use a key that was made for one of the license's end uses",
            Self::AttestLocation => "have your employer attest your location",
            Self::AttestEmployment => "have your employer attest your employment",
            Self::CounselRuling => "ask the operator's counsel to rule on how the instrument reads",
            Self::AdjudicateScreening => "ask the operator's compliance desk to adjudicate the screening",
            Self::ResolveOwnership => "have the organization document its ownership",
            Self::IdentifyEndUsers => "have the organization bind each end user to a verified person",
            Self::NameRecipients => {
                "have the workload's organization name an accountable person and everyone who receives the output"
            }
        }
    }
}

/// Evidence that would clear a hold, and who can give it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// A current attestation of standing under 15 CFR 772.1, by an identity-proofing provider or the employer.
    AttestStanding,
    /// Current attestations of every citizenship and permanent residency with their dates, by an identity-proofing
    /// provider or the employer.
    AttestNationality,
    /// A credential made for one of the end uses that the license names, by the organization.
    DeclareEndUse,
    /// A current attestation of location, by the employer.
    AttestLocation,
    /// A current attestation of employment, by the employer.
    AttestEmployment,
    /// A ruling on how an instrument reads, by counsel.
    CounselRuling,
    /// An adjudicated screening, by the compliance desk.
    AdjudicateScreening,
    /// Resolved ownership, by the organization.
    ResolveOwnership,
    /// A verified person for each end user, by the organization.
    IdentifyEndUsers,
    /// An accountable person and a statement of who receives the output, by the workload's organization.
    NameRecipients,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::why::PRECEDENCE;

    const REMEDIES: [Remedy; 10] = [
        Remedy::AttestStanding,
        Remedy::AttestNationality,
        Remedy::DeclareEndUse,
        Remedy::AttestLocation,
        Remedy::AttestEmployment,
        Remedy::CounselRuling,
        Remedy::AdjudicateScreening,
        Remedy::ResolveOwnership,
        Remedy::IdentifyEndUsers,
        Remedy::NameRecipients,
    ];

    #[test]
    fn every_code_has_a_sentence_of_its_own_that_begins_small_and_ends_without_a_period() {
        let sentences: BTreeSet<&str> = PRECEDENCE.iter().map(|code| code.reason()).collect();
        assert_eq!(sentences.len(), PRECEDENCE.len());
        for sentence in sentences {
            assert!(sentence.len() > 15 && !sentence.ends_with('.'), "{sentence}");
            assert!(sentence.starts_with(|c: char| c.is_ascii_lowercase()), "{sentence}");
        }
    }

    #[test]
    fn every_code_is_spelled_as_it_is_serialized() {
        for code in PRECEDENCE {
            assert_eq!(serde_json::json!(code), code.as_str());
        }
    }

    #[test]
    fn every_remedy_says_what_to_do_and_by_whom() {
        let requests: BTreeSet<&str> = REMEDIES.iter().map(|remedy| remedy.request()).collect();
        assert_eq!(requests.len(), REMEDIES.len());
        let who = ["employer", "provider", "counsel", "desk", "organization", "key"];
        for request in requests {
            assert!(who.iter().any(|who| request.contains(who)), "{request}");
        }
    }
}
