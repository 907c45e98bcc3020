//! What an employer's extension attributes say, as claims with the evidence they rest on.

use std::time::Duration;

use policy::FreshnessTable;
use scim::{EmploymentType, ExportControl, Nationality, UsPersonBasis};
use terms::{Assurance, Claim, Country, Engagement, LocationMethod, Means, Moment, UsPersonLimb};

use crate::attest::{Said, Statement};

/// How far an employer's clock may be ahead.
const SKEW: Duration = Duration::from_secs(300);
/// How long a reference to evidence may be, in characters.
const EVIDENCE_MAX: usize = 256;

/// Returns what the extension says. What is not known is not said.
///
/// The word of a named official with a reference to evidence is a vouch at IAL2; less is an entry in a directory, at IAL1.
/// `issued_at` is when it was attested; `fallback` names the resource for want of a reference.
pub(super) fn statements(
    said: &ExportControl,
    issued_at: Moment,
    fallback: &str,
    freshness: &FreshnessTable,
) -> Vec<Statement> {
    let (means, assurance) = grounds(said);
    let evidence = said.evidence_ref.as_deref().unwrap_or(fallback);
    let statement = |claim: Claim| Statement {
        expires_at: Some(expiry(said, &claim, issued_at, freshness)),
        said: Said::Claim(claim),
        assurance,
        means: Some(means),
        framework: None,
        evidence: evidence.chars().take(EVIDENCE_MAX).collect(),
        issued_at,
    };
    claims(said, issued_at).into_iter().map(statement).collect()
}

/// Refuses a time of attestation that has not come.
pub(super) fn check_times(said: &ExportControl, now: Moment) -> Result<(), scim::Fault> {
    match said.attested_at {
        Some(at) if at > now.plus(SKEW) => {
            Err(scim::Fault::new(scim::ScimType::InvalidValue, format!("`attestedAt`: {at} has not come yet")))
        }
        _ => Ok(()),
    }
}

/// In what capacity the person works; what is not said is what opens least.
pub(super) fn engagement(said: &ExportControl) -> Engagement {
    match said.employment_type {
        Some(EmploymentType::Employee) => Engagement::Employee,
        Some(EmploymentType::Intern) => Engagement::Intern,
        Some(
            EmploymentType::Contractor
            | EmploymentType::Secondee
            | EmploymentType::JointVenture
            | EmploymentType::Agent,
        )
        | None => Engagement::Contractor,
    }
}

/// Returns true if the employment has begun and not ended.
pub(super) fn is_employed(said: &ExportControl, now: Moment) -> bool {
    said.employment_start.is_none_or(|start| start <= now) && said.employment_end.is_none_or(|end| end > now)
}

fn grounds(said: &ExportControl) -> (Means, Assurance) {
    let vouched = said.attested_by.is_some() && said.attested_at.is_some() && said.evidence_ref.is_some();
    if vouched { (Means::Vouch, Assurance::Ial2) } else { (Means::ElectronicRecord, Assurance::Ial1) }
}

fn claims(said: &ExportControl, issued_at: Moment) -> Vec<Claim> {
    let held = |country| Claim::Citizenship { country, from: None, until: None };
    // When it ended is not told: at the latest when it was attested to have ended.
    let once_held = |country| Claim::Citizenship { country, from: None, until: Some(issued_at) };
    let resident = |country| Claim::PermanentResidency { country, from: None, until: None };
    let at_work = |country: Country| Claim::Location { country, method: LocationMethod::Declared };
    let citizenships = said.citizenships.iter().filter_map(|nationality| match nationality {
        Nationality::Of(country) => Some(held(*country)),
        Nationality::Stateless => Some(Claim::Stateless),
        Nationality::Unknown => None,
    });
    let former = said.former_citizenships.iter().copied().map(once_held);
    let residencies = said.permanent_residencies.iter().copied().map(resident);
    let standing = said.us_person_basis.and_then(standing);
    let location = said.work_location.map(at_work);
    standing.into_iter().chain(citizenships).chain(former).chain(residencies).chain(location).collect()
}

fn standing(basis: UsPersonBasis) -> Option<Claim> {
    let limb = match basis {
        UsPersonBasis::Citizen => UsPersonLimb::Citizen,
        UsPersonBasis::National => UsPersonLimb::National,
        UsPersonBasis::LawfulPermanentResident => UsPersonLimb::LawfulPermanentResident,
        UsPersonBasis::Refugee => UsPersonLimb::Refugee,
        UsPersonBasis::Asylee => UsPersonLimb::Asylee,
        UsPersonBasis::None => return Some(Claim::ForeignPerson),
        UsPersonBasis::Unknown => return None,
    };
    Some(Claim::UsPerson { limb })
}

/// A status ends when the employer says so, and no word of an employer is good for longer than a vouch.
fn expiry(said: &ExportControl, claim: &Claim, issued_at: Moment, freshness: &FreshnessTable) -> Moment {
    let lease = freshness.claim(claim, Some(Means::Vouch));
    let word = issued_at.plus(lease.fresh + lease.grace);
    let is_status = matches!(claim, Claim::UsPerson { .. } | Claim::PermanentResidency { .. });
    said.status_expires.filter(|_| is_status).map_or(word, |ends| ends.min(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Moment {
        Moment::parse(text).unwrap()
    }

    fn resident() -> ExportControl {
        ExportControl {
            us_person_basis: Some(UsPersonBasis::LawfulPermanentResident),
            citizenships: vec![Nationality::Of(Country::parse("FR").unwrap()), Nationality::Unknown],
            former_citizenships: vec![Country::parse("CU").unwrap()],
            permanent_residencies: vec![Country::US],
            work_location: Some(Country::US),
            status_expires: Some(at("2026-07-01T00:00:00Z")),
            attested_by: Some("Bo".to_owned()),
            attested_at: Some(at("2026-06-01T00:00:00Z")),
            evidence_ref: Some("case 7".to_owned()),
            ..ExportControl::default()
        }
    }

    fn said(extension: &ExportControl) -> Vec<(Claim, Statement)> {
        let issued_at = extension.attested_at.unwrap_or_else(|| at("2026-06-12T00:00:00Z"));
        let found = statements(extension, issued_at, "scim acme/1", &FreshnessTable::bundled());
        let claim = |statement: Statement| match statement.said.clone() {
            Said::Claim(claim) => (claim, statement),
            other => panic!("{other:?} is no claim"),
        };
        found.into_iter().map(claim).collect()
    }

    #[test]
    fn a_vouch_is_good_for_ninety_days_and_its_grace_and_a_status_no_longer_than_it_lasts() {
        let found = said(&resident());
        let ends: Vec<String> = found.iter().map(|(_, one)| one.expires_at.unwrap().to_string()).collect();
        let (status, word, place) = ("2026-07-01T00:00:00Z", "2026-09-06T00:00:00Z", "2026-07-01T00:00:00Z");
        assert_eq!(ends, [status, word, word, status, place], "what is not known is not said");
        assert_eq!(found[0].0, Claim::UsPerson { limb: UsPersonLimb::LawfulPermanentResident });
        let vouched = |one: &Statement| (one.means, one.assurance) == (Some(Means::Vouch), Assurance::Ial2);
        assert!(found.iter().all(|(_, one)| vouched(one) && one.evidence == "case 7"));
        let country = Country::parse("CU").unwrap();
        let former = Claim::Citizenship { country, from: None, until: Some(at("2026-06-01T00:00:00Z")) };
        assert_eq!(found[2].0, former);
    }

    #[test]
    fn an_entry_that_nobody_vouches_for_is_weaker() {
        let entry = ExportControl { attested_by: None, evidence_ref: None, ..resident() };
        let weaker = |one: &Statement| (one.means, one.assurance) == (Some(Means::ElectronicRecord), Assurance::Ial1);
        assert!(said(&entry).iter().all(|(_, one)| weaker(one) && one.evidence == "scim acme/1"));
    }

    #[test]
    fn none_of_the_limbs_is_a_foreign_person_and_unknown_is_nothing() {
        let basis = |basis| ExportControl { us_person_basis: Some(basis), ..ExportControl::default() };
        assert_eq!(said(&basis(UsPersonBasis::None))[0].0, Claim::ForeignPerson);
        assert!(said(&basis(UsPersonBasis::Unknown)).is_empty());
        assert!(said(&ExportControl::default()).is_empty());
    }

    #[test]
    fn employment_that_has_not_begun_or_has_ended_is_none() {
        let now = at("2026-06-12T00:00:00Z");
        let between = |start: &str, end: &str| ExportControl {
            employment_start: Some(at(start)),
            employment_end: Some(at(end)),
            ..ExportControl::default()
        };
        assert!(is_employed(&between("2026-06-12T00:00:00Z", "2026-06-13T00:00:00Z"), now));
        assert!(!is_employed(&between("2026-06-13T00:00:00Z", "2026-06-14T00:00:00Z"), now));
        assert!(!is_employed(&between("2026-06-01T00:00:00Z", "2026-06-12T00:00:00Z"), now));
        assert!(is_employed(&ExportControl::default(), now));
        assert_eq!(engagement(&ExportControl::default()), Engagement::Contractor);
    }

    #[test]
    fn an_attestation_from_the_future_is_refused() {
        let now = at("2026-06-01T00:00:00Z");
        assert!(check_times(&resident(), now).is_ok());
        assert!(check_times(&resident(), at("2026-05-31T23:54:59Z")).is_err());
        assert!(check_times(&resident(), at("2026-05-31T23:55:00Z")).is_ok());
    }
}
