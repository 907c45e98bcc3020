//! What provisions, codes, evidence and readings mean, in the words of the law they come from.

use policy::{
    Code, Flag, Obligation, Remedy, Status,
    plan::{Answer, Evidence},
};
use terms::{ProvisionId, UsPersonLimb};

use super::words;

/// What each provision that holds without any instrument says, and where it stands.
const BASE: &[(&str, &str)] = &[
    ("base.published", "published, not subject to the EAR (15 CFR 734.3(b)(3), 734.7)"),
    ("base.no-license-required", "no directive in effect names the model (15 CFR 732.1(d), 736.2)"),
    ("base.blocked-party", "blocked party (31 CFR chapter V)"),
    ("base.blocked-ownership", "owned by blocked parties (31 CFR chapter V)"),
    ("base.entity-list", "on the Entity List (15 CFR 744.11, 744.16)"),
    ("base.entity-ownership", "owned by listed entities (15 CFR 744.11)"),
    ("base.denied-person", "denied person (15 CFR 764.2(k))"),
    ("base.sanctioned-country", "sanctioned country (31 CFR parts 510, 515 and 560)"),
    ("base.embargo", "embargoed destination (15 CFR part 746)"),
    ("base.screening", "screening not adjudicated (Supplement No. 3 to 15 CFR part 732)"),
    ("base.ownership", "ownership not determined (Red Flag 29)"),
    ("base.certificate", "no current safety certificate"),
    ("base.end-users", "end users not identified (15 CFR 764.2(e))"),
];

/// What the clause of an instrument says, by the last part of its provision's id.
const CLAUSES: &[(&str, &str)] = &[
    ("us-person", "U.S. person, whom the directive does not bar (15 CFR 734.18(a)(2), 772.1)"),
    ("outside-scope", "outside the scope of the directive"),
    ("grantees", "staff of an organization that the license names"),
    ("own-staff", "staff of the lab, by license"),
    ("person-scope", "whom the directive bars"),
    ("entity-scope", "which organizations the directive bars"),
    ("destination-scope", "which destinations the directive bars"),
    ("beneficiaries", "for whom the license is good"),
    ("territory", "where the license is good"),
    ("nationality-exclude", "whose nationals the license leaves out"),
];

/// Says what a provision means.
pub(crate) fn provision(id: &ProvisionId) -> &'static str {
    let known = BASE.iter().find(|(name, _)| *name == id.as_str());
    let clause = id.as_str().rsplit_once('.').map_or(id.as_str(), |(_, clause)| clause);
    let known = known.or_else(|| CLAUSES.iter().find(|(name, _)| *name == clause));
    known.map_or("see the provision itself", |(_, meaning)| *meaning)
}

/// Writes the ids of provisions.
pub(crate) fn ids(provisions: &[ProvisionId]) -> String {
    if provisions.is_empty() {
        return "none".to_owned();
    }
    provisions.iter().map(ProvisionId::as_str).collect::<Vec<_>>().join(", ")
}

/// Says what provisions mean, each once.
pub(crate) fn meanings(provisions: &[ProvisionId]) -> String {
    let mut said: Vec<&str> = provisions.iter().map(provision).collect();
    said.dedup();
    if said.is_empty() { "no provision permits it".to_owned() } else { said.join("; ") }
}

/// Says in a few words why somebody is refused.
pub(crate) fn code(code: Code) -> &'static str {
    match code {
        Code::CredentialEnded => "key revoked or expired",
        Code::CallerInactive => "access withdrawn by an administrator",
        Code::ModelUnknown => "no such model version",
        Code::ClearanceRequired => "clearance not shown",
        Code::PersonRequired => "no known person behind the key",
        Code::StandingUnattested => "standing not attested",
        Code::LocationUnknown => "location not established",
        Code::ForeignPersonBarred => "foreign person",
        Code::DestinationBarred => "barred destination",
        Code::EveryoneBarred => "everybody barred",
        Code::NationalityBarred => "barred nationality",
        Code::NationalityUnattested => "nationality not attested",
        Code::ForeignOrganizationBarred => "foreign organization",
        Code::HeadquartersBarred => "barred headquarters",
        Code::LicenseConditionUnmet => "license condition not met",
        Code::Blocked => "blocked party",
        Code::RestrictedParty => "restricted party",
        Code::Embargoed => "embargoed destination",
        Code::ScreeningPending => "screening awaits adjudication",
        Code::OwnershipUndetermined => "ownership not determined",
        Code::EndUserUnidentified => "end users not identified",
        Code::ModelUncertified => "no safety certificate",
        Code::NoLegalBasis => "no legal basis",
        Code::EvaluationFailed => "rules could not be evaluated",
    }
}

/// Says what is missing.
pub(crate) fn remedy(remedy: Remedy) -> &'static str {
    match remedy {
        Remedy::AttestStanding => "standing attested",
        Remedy::AttestNationality => "nationality attested",
        Remedy::DeclareEndUse => "key for a named end use",
        Remedy::AttestLocation => "location attested",
        Remedy::AttestEmployment => "employment attested",
        Remedy::CounselRuling => "ruling of counsel",
        Remedy::AdjudicateScreening => "screening adjudicated",
        Remedy::ResolveOwnership => "ownership resolved",
        Remedy::IdentifyEndUsers => "end users identified",
        Remedy::NameRecipients => "recipients named",
    }
}

/// Says who can give what is missing.
pub(crate) fn giver(remedy: Remedy) -> &'static str {
    match remedy {
        Remedy::AttestStanding | Remedy::AttestNationality => "identity-proofing provider, employer",
        Remedy::AttestLocation | Remedy::AttestEmployment => "employer",
        Remedy::DeclareEndUse | Remedy::ResolveOwnership | Remedy::IdentifyEndUsers => "the organization",
        Remedy::CounselRuling => "counsel",
        Remedy::AdjudicateScreening => "compliance desk",
        Remedy::NameRecipients => "the workload's organization",
    }
}

/// Writes what is missing, and then who can give it, each once.
pub(crate) fn remedies(all: &[Remedy]) -> (String, String) {
    let what: Vec<String> = all.iter().map(|one| remedy(*one).to_owned()).collect();
    let mut who: Vec<String> = Vec::new();
    for name in all.iter().map(|one| giver(*one).to_owned()) {
        if !who.contains(&name) {
            who.push(name);
        }
    }
    (words::list(&what), words::list(&who))
}

/// Says what was supposed.
pub(crate) fn evidence(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::StandingRenewed => "standing on file attested again",
        Evidence::StandingCitizen => "attested as U.S. citizen",
        Evidence::StandingForeign => "attested as foreign person",
        Evidence::LocationRenewed => "location on file attested again",
        Evidence::LocationUnitedStates => "attested in the United States",
        Evidence::NationalityRenewed => "nationality on file attested again",
        Evidence::NationalityOrdinary => "nationality that no list names",
        Evidence::Employed => "directly employed by the tenant",
        Evidence::ScreeningCleared => "screening cleared",
        Evidence::OwnershipCleared => "ownership found harmless",
        Evidence::RecipientsNamed => "recipients named and active",
        Evidence::EndUseDeclared => "end use declared",
    }
}

/// Says an answer in a few words, provisions by id.
pub(crate) fn answer(answer: &Answer) -> String {
    match answer {
        Answer::Permit { basis, flags, obligations } => {
            let extra = flags.iter().map(|one| flag(*one).to_owned()).chain(obligations.iter().map(obligation));
            let extra: String = extra.map(|words| format!("; {words}")).collect();
            format!("permit: {}{extra}", ids(basis))
        }
        Answer::Hold { code: why, remedies, .. } => {
            format!("hold: {}, needs {}", code(*why), self::remedies(remedies).0)
        }
        Answer::Deny { code: why, denied_by } if denied_by.is_empty() => format!("deny: {}", code(*why)),
        Answer::Deny { code: why, denied_by } => format!("deny: {} ({})", code(*why), ids(denied_by)),
    }
}

/// Says what a U.S. person is under one limb.
pub(crate) fn limb(limb: UsPersonLimb) -> &'static str {
    match limb {
        UsPersonLimb::Citizen => "citizens",
        UsPersonLimb::National => "nationals",
        UsPersonLimb::LawfulPermanentResident => "lawful permanent residents",
        UsPersonLimb::TemporaryResident => "temporary residents under 8 USC 1160(a) or 1255a(a)(1)",
        UsPersonLimb::Refugee => "refugees",
        UsPersonLimb::Asylee => "people granted asylum",
    }
}

/// Says whether an instrument is in force.
pub(crate) fn status(status: Status) -> String {
    words::spaced(status.as_str())
}

/// Says what a reading or a choice of one means; unknown ones by their names.
pub(crate) fn reading(name: &str) -> String {
    let known = match name {
        "person_definition" => "who is foreign",
        "ear_772" => "as 15 CFR 772.1",
        "citizens_nationals_only" => "all but citizens and nationals",
        "destination" | "destination_scope" => "destinations",
        "none" => "none barred",
        "all_foreign" => "all outside the U.S. barred",
        "employee_scope" => "employees",
        "direct" => "direct employees",
        "regular_120_64" => "regular employees (22 CFR 120.64)",
        "employees_contractors_interns" => "contractors and interns too",
        "entity_scope" => "organizations",
        "unknown" => "what is unknown",
        other => return words::spaced(other),
    };
    known.to_owned()
}

fn flag(flag: Flag) -> &'static str {
    match flag {
        Flag::OwnershipRedFlag => "look at ownership",
        Flag::LocationRedFlag => "look at location (Country Group D:5)",
    }
}

fn obligation(obligation: &Obligation) -> String {
    match obligation {
        Obligation::StripLogprobs => "without log-probabilities".to_owned(),
        Obligation::StripReasoning => "without reasoning".to_owned(),
        Obligation::MaxOutputTokens(most) => format!("at most {} output tokens", words::count(*most)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provision_is_known_by_its_id_or_by_its_clause() {
        let meaning = |id| provision(&ProvisionId::parse(id).unwrap());
        assert!(meaning("base.published").contains("734.7"));
        assert!(meaning("DIR-2026-06-12.us-person").contains("772.1"));
        assert_eq!(meaning("other"), "see the provision itself");
    }

    #[test]
    fn who_can_give_what_is_missing_is_said_once() {
        let (what, who) = remedies(&[Remedy::AttestLocation, Remedy::AttestEmployment]);
        assert_eq!((what.as_str(), who.as_str()), ("location attested and employment attested", "employer"));
    }
}
