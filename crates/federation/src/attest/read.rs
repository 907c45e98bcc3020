//! From `verified_claims` to statements: what the evidence bears out, and what it does not.
//!
//! A level of identity assurance says that the person is who they claim to be, and nothing about their nationality (NIST
//! SP 800-63A-4). So a claim carries the assurance of its verification only if evidence of a kind that proves this very
//! claim is named; else it is kept with none, where it can count against the person and never for them.

use terms::{Assurance, Claim, Country, LocationMethod, Means, Moment, UsPersonLimb};

use super::{
    ida::{Authority, Claims, Day, Evidence, Tie, Verification, VerifiedClaims},
    nation::Nation,
    statement::{Said, Statement},
};

/// Our own framework, for an employer's word about its people: levels as NIST's.
const EMPLOYER_FRAMEWORK: &str = "exeat_employer";

/// Documents that only nationals of the issuing country get.
const NATIONALS_ONLY: [&str; 4] =
    ["passport", "citizenship_certificate", "naturalization_certificate", "nationality_certificate"];
/// Registers that hold nationality.
const NATIONALITY_REGISTERS: [&str; 3] = ["population_register", "citizenship_register", "immigration_register"];
/// Registers that hold residence permits and protected statuses.
const IMMIGRATION_REGISTER: &str = "immigration_register";
/// Documents of permanent residents.
const RESIDENCE_DOCUMENTS: [&str; 2] = ["residence_permit", "permanent_resident_card"];
/// Where an identity card is issued to nationals only.
///
/// # Source
/// Regulation (EU) 2019/1157 article 2(a) with the EEA; Swiss Identity Documents Act (SR 143.1) article 1.
const NATIONAL_CARDS: &str =
    "AT BE BG CH CY CZ DE EE ES FI FR GR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SE SI SK";

/// What proves a statement: by what means, and until when.
type Proof = (Means, Option<Moment>);

/// Returns what `verified` says: one statement for each claim and each piece of evidence that bears it out, or one
/// without assurance for a claim that none does.
///
/// `reference` says where the source keeps the evidence; `heard_at` stands in for a time of verification that is not
/// told.
pub(crate) fn statements(verified: &VerifiedClaims, reference: &str, heard_at: Moment) -> Vec<Statement> {
    let VerifiedClaims { verification, claims } = verified;
    let mut found = Vec::new();
    for (said, until) in said(claims) {
        let unproved = Statement {
            said,
            assurance: Assurance::None,
            means: None,
            framework: Some(verification.trust_framework.as_str().to_owned()),
            evidence: reference.chars().take(256).collect(),
            issued_at: verification.time.map_or(heard_at, |Day(time)| time),
            expires_at: until,
        };
        let proofs = proofs(verification, &unproved.said, heard_at);
        let proved = proofs.iter().map(|(means, ends)| Statement {
            assurance: assurance(verification),
            means: Some(*means),
            expires_at: earlier(*ends, until),
            ..unproved.clone()
        });
        let before = found.len();
        found.extend(proved);
        if found.len() == before && counts_unproved(&unproved.said) {
            found.push(unproved);
        }
    }
    found
}

/// Returns everything that the claims say, each with the end of the status where that is told.
fn said(claims: &Claims) -> Vec<(Said, Option<Moment>)> {
    let mut found: Vec<(Said, Option<Moment>)> = Vec::new();
    let mut say = |claim: Claim, until| found.push((Said::Claim(claim), until));
    let dated: Vec<Nation> = claims.citizenships.iter().map(|tie| tie.country.0).collect();
    for code in claims.nationalities.iter().filter(|code| !dated.contains(&code.0)) {
        citizenship(code.0, None, None).into_iter().for_each(|claim| say(claim, None));
    }
    for Tie { country, from, until } in claims.citizenships.iter() {
        citizenship(country.0, *from, *until).into_iter().for_each(|claim| say(claim, None));
    }
    for Tie { country, from, until } in claims.permanent_residencies.iter() {
        let claim = |country| Claim::PermanentResidency { country, from: moment(*from), until: moment(*until) };
        country.0.country().map(claim).into_iter().for_each(|claim| say(claim, None));
    }
    standing(claims).into_iter().for_each(|(claim, until)| say(claim, until));
    location(claims).into_iter().for_each(|claim| say(claim, None));
    if let Some(work) = &claims.employment {
        let (organization, engagement) = (work.organization.clone(), work.engagement);
        found.push((Said::Employment { organization, engagement, ends_at: moment(work.ends_at) }, None));
    }
    found
}

fn citizenship(nation: Nation, from: Option<Day>, until: Option<Day>) -> Option<Claim> {
    match nation {
        Nation::Of(country) => Some(Claim::Citizenship { country, from: moment(from), until: moment(until) }),
        Nation::Stateless => Some(Claim::Stateless),
        Nation::Unknown => None,
    }
}

/// Returns the standing that is told, or that follows: a person of United States nationality is at least its national.
///
/// # Source
/// 8 USC 1101(a)(22): every citizen is a national, and some nationals are not citizens.
fn standing(claims: &Claims) -> Option<(Claim, Option<Moment>)> {
    if let Some(told) = &claims.us_person {
        let claim = told.basis.limb().map_or(Claim::ForeignPerson, |limb| Claim::UsPerson { limb });
        return Some((claim, moment(told.expires_at)));
    }
    let current = claims.citizenships.iter().filter(|tie| tie.until.is_none()).map(|tie| tie.country.0);
    let mut nations = claims.nationalities.iter().map(|code| code.0).chain(current);
    let ended = claims.citizenships.iter().any(|tie| tie.country.0 == Nation::Of(Country::US) && tie.until.is_some());
    let national = !ended && nations.any(|nation| nation == Nation::Of(Country::US));
    national.then_some((Claim::UsPerson { limb: UsPersonLimb::National }, None))
}

/// Returns where the person is; where they live stands in for it, as declared.
fn location(claims: &Claims) -> Option<Claim> {
    if let Some(place) = &claims.location {
        return place.country.0.country().map(|country| Claim::Location { country, method: place.method });
    }
    let home = claims.address.as_ref()?.country_code?.0.country()?;
    Some(Claim::Location { country: home, method: LocationMethod::Declared })
}

/// Returns true for what counts against a person even if no evidence bears it out. A place that nothing bears out is where
/// somebody once lived, and employment is only ever a gain.
fn counts_unproved(said: &Said) -> bool {
    !matches!(said, Said::Claim(Claim::Location { .. } | Claim::UsPerson { .. }) | Said::Employment { .. })
}

fn proofs(verification: &Verification, said: &Said, now: Moment) -> Vec<Proof> {
    let proofs = verification.evidence.iter().filter_map(|evidence| proof(evidence, said));
    proofs.filter(|(_, ends)| ends.is_none_or(|ends| ends > now)).collect()
}

/// Returns how a piece of evidence proves a statement, if it does.
fn proof(evidence: &Evidence, said: &Said) -> Option<Proof> {
    match evidence {
        Evidence::Document { document_details: Some(document) } => {
            let proves = document_proves(document.kind.as_str(), country(document.issuer.as_ref()), said);
            proves.then_some((Means::Document, moment(document.date_of_expiry)))
        }
        Evidence::ElectronicRecord { record: Some(record) } => {
            let proves = record_proves(record.kind.as_str(), country(record.source.as_ref()), said);
            proves.then_some((Means::ElectronicRecord, moment(record.date_of_expiry)))
        }
        Evidence::Vouch { attestation } => {
            let ends = attestation.as_ref().and_then(|vouch| vouch.date_of_expiry);
            Some((Means::Vouch, moment(ends)))
        }
        _ => None,
    }
}

/// Returns true if a document of this kind, issued by this country, proves the statement. A driver's license and a visa
/// prove none.
fn document_proves(kind: &str, issuer: Option<Country>, said: &Said) -> bool {
    let Some(issuer) = issuer else { return false };
    let card = kind == "idcard" && NATIONAL_CARDS.split(' ').any(|code| code == issuer.as_str());
    let of_nationals = card || NATIONALS_ONLY.contains(&kind);
    match said {
        Said::Claim(Claim::Citizenship { country, .. }) => of_nationals && *country == issuer,
        Said::Claim(Claim::PermanentResidency { country, .. }) => {
            RESIDENCE_DOCUMENTS.contains(&kind) && *country == issuer
        }
        Said::Claim(Claim::UsPerson { limb }) if issuer == Country::US => match limb {
            UsPersonLimb::Citizen => NATIONALS_ONLY.contains(&kind) && kind != "nationality_certificate",
            UsPersonLimb::National => of_nationals,
            UsPersonLimb::LawfulPermanentResident => RESIDENCE_DOCUMENTS.contains(&kind),
            UsPersonLimb::TemporaryResident | UsPersonLimb::Refugee | UsPersonLimb::Asylee => false,
        },
        _ => false,
    }
}

/// Returns true if a record of this kind proves the statement; a register speaks for its own country.
fn record_proves(kind: &str, source: Option<Country>, said: &Said) -> bool {
    match said {
        Said::Claim(Claim::Citizenship { country, .. }) => {
            NATIONALITY_REGISTERS.contains(&kind) && source == Some(*country)
        }
        Said::Claim(Claim::PermanentResidency { country, .. }) => {
            kind == IMMIGRATION_REGISTER && source == Some(*country)
        }
        Said::Claim(Claim::UsPerson { limb }) => {
            let national = matches!(limb, UsPersonLimb::Citizen | UsPersonLimb::National);
            let kept = kind == IMMIGRATION_REGISTER || (national && NATIONALITY_REGISTERS.contains(&kind));
            kept && source == Some(Country::US)
        }
        Said::Claim(Claim::Stateless | Claim::ForeignPerson) => kind == IMMIGRATION_REGISTER,
        Said::Claim(Claim::Location { .. }) => kind == "employment_register" || kind == "population_register",
        Said::Employment { .. } => kind == "employment_register",
    }
}

/// Maps a framework and its level; what is not known assures of nothing.
///
/// # Source
/// NIST SP 800-63A-4 section 2; Implementing Regulation (EU) 2015/1502. The levels of eIDAS are mapped down: `high` asks for
/// no biometric comparison in person, so it is not IAL3.
fn assurance(verification: &Verification) -> Assurance {
    let level = verification.assurance_level.as_ref().map_or("", |level| level.as_str());
    let nist = ["us_nist_800_63_3", "us_nist_800_63_4", EMPLOYER_FRAMEWORK];
    match verification.trust_framework.as_str() {
        framework if nist.contains(&framework) => match level {
            "ial1" => Assurance::Ial1,
            "ial2" => Assurance::Ial2,
            "ial3" => Assurance::Ial3,
            _ => Assurance::None,
        },
        "eidas" => match level {
            "low" => Assurance::Ial1,
            "substantial" | "high" => Assurance::Ial2,
            _ => Assurance::None,
        },
        _ => Assurance::None,
    }
}

fn country(authority: Option<&Authority>) -> Option<Country> {
    authority?.country_code?.0.country()
}

fn moment(day: Option<Day>) -> Option<Moment> {
    day.map(|Day(moment)| moment)
}

fn earlier(one: Option<Moment>, other: Option<Moment>) -> Option<Moment> {
    one.into_iter().chain(other).min()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use terms::Engagement;

    use super::{super::ida, *};

    const NOW: &str = "2026-11-20T12:00:00Z";

    fn now() -> Moment {
        Moment::parse(NOW).unwrap()
    }

    fn read(claims: Value, evidence: Value) -> Vec<Statement> {
        let verification = json!({
            "trust_framework": "us_nist_800_63_4", "assurance_level": "ial2", "time": "2026-11-01T08:00:00Z",
            "evidence": evidence,
        });
        let all = ida::parse(&json!({ "verification": verification, "claims": claims })).unwrap();
        statements(&all[0], "vendor/session-1", now())
    }

    fn document(kind: &str, country: &str, expiry: &str) -> Value {
        let details = json!({ "type": kind, "date_of_expiry": expiry, "issuer": { "country_code": country } });
        json!([{ "type": "document", "document_details": details }])
    }

    fn record(kind: &str, country: &str) -> Value {
        json!([{ "type": "electronic_record", "record": { "type": kind, "source": { "country_code": country } } }])
    }

    fn vouch() -> Value {
        json!([{ "type": "vouch", "attestation": { "type": "written_attestation", "date_of_expiry": "2027-01-01" } }])
    }

    fn of(code: &str) -> Claim {
        Claim::Citizenship { country: Country::parse(code).unwrap(), from: None, until: None }
    }

    /// What the statements come to: each claim with its assurance.
    fn found(statements: &[Statement]) -> Vec<(Said, Assurance)> {
        statements.iter().map(|statement| (statement.said.clone(), statement.assurance)).collect()
    }

    #[test]
    fn a_passport_proves_the_nationality_of_its_issuer_and_no_other() {
        let read = read(json!({ "nationalities": ["US", "KR"] }), document("passport", "USA", "2030-01-01"));
        let national = Claim::UsPerson { limb: UsPersonLimb::National };
        assert_eq!(
            found(&read),
            [
                (Said::Claim(of("US")), Assurance::Ial2),
                (Said::Claim(of("KR")), Assurance::None),
                (Said::Claim(national), Assurance::Ial2),
            ]
        );
        assert_eq!(read[0].expires_at, Some(Moment::parse("2030-01-01T00:00:00Z").unwrap()));
        assert_eq!((read[0].means, read[1].means), (Some(Means::Document), None));
        assert_eq!(read[0].issued_at, Moment::parse("2026-11-01T08:00:00Z").unwrap());
    }

    #[test]
    fn a_drivers_license_at_the_same_level_proves_no_nationality() {
        for kind in ["driving_permit", "visa", "idcard", "residence_permit", "work_permit"] {
            let read = read(json!({ "nationalities": ["US"] }), document(kind, "US", "2030-01-01"));
            assert_eq!(found(&read), [(Said::Claim(of("US")), Assurance::None)], "{kind}");
        }
        assert_eq!(found(&read(json!({ "nationalities": ["US"] }), json!([])))[0].1, Assurance::None);
    }

    #[test]
    fn an_identity_card_proves_a_nationality_only_where_nationals_alone_get_one() {
        let with = |code: &str| read(json!({ "nationalities": [code] }), document("idcard", code, "2030-01-01"));
        assert_eq!(with("DE")[0].assurance, Assurance::Ial2);
        assert_eq!(with("SG")[0].assurance, Assurance::None);
    }

    #[test]
    fn an_expired_document_or_one_of_no_country_proves_nothing() {
        let claims = || json!({ "nationalities": ["KR"] });
        assert_eq!(read(claims(), document("passport", "KR", "2026-11-20"))[0].assurance, Assurance::None);
        assert_eq!(read(claims(), document("passport", "KR", "2026-11-21"))[0].assurance, Assurance::Ial2);
        let unsigned = json!([{ "type": "document", "document_details": { "type": "passport" } }]);
        assert_eq!(read(claims(), unsigned)[0].assurance, Assurance::None);
    }

    #[test]
    fn protected_status_comes_with_its_expiry_from_a_record_or_a_vouch_and_from_no_document() {
        let claims = || json!({ "us_person": { "basis": "refugee", "expires_at": "2026-12-24" } });
        let refugee = Said::Claim(Claim::UsPerson { limb: UsPersonLimb::Refugee });
        let by_record = read(claims(), record("immigration_register", "US"));
        assert_eq!(found(&by_record), [(refugee, Assurance::Ial2)]);
        assert_eq!(by_record[0].expires_at, Some(Moment::parse("2026-12-24T00:00:00Z").unwrap()));
        assert_eq!(read(claims(), vouch())[0].means, Some(Means::Vouch));
        assert!(read(claims(), document("residence_permit", "US", "2030-01-01")).is_empty());
        assert!(read(claims(), record("immigration_register", "CA")).is_empty());
    }

    #[test]
    fn a_permanent_resident_card_proves_the_limb_and_the_residency_and_a_foreign_one_does_not() {
        let claims = || {
            json!({
                "us_person": { "basis": "lawful_permanent_resident" },
                "permanent_residencies": [{ "country": "US", "from": "2021-05-01" }],
            })
        };
        let read_with = |country| read(claims(), document("permanent_resident_card", country, "2030-01-01"));
        assert!(read_with("US").iter().all(|statement| statement.assurance == Assurance::Ial2));
        assert_eq!(read_with("US").len(), 2);
        let foreign = read_with("CA");
        assert_eq!(foreign.len(), 1, "the residency is kept, without assurance");
        assert_eq!(foreign[0].assurance, Assurance::None);
    }

    #[test]
    fn a_citizenship_that_ended_makes_nobody_a_national() {
        let claims = json!({ "citizenships": [{ "country": "US", "from": "1980-01-01", "until": "2015-01-01" }] });
        let read = read(claims, document("passport", "US", "2030-01-01"));
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].said.kind().as_str(), "citizenship");
    }

    #[test]
    fn that_somebody_is_foreign_is_kept_without_any_evidence() {
        let read = read(json!({ "us_person": { "basis": "none" } }), json!([]));
        assert_eq!(found(&read), [(Said::Claim(Claim::ForeignPerson), Assurance::None)]);
    }

    #[test]
    fn an_unknown_nationality_is_none_and_a_stateless_person_is_stateless() {
        assert!(read(json!({ "nationalities": ["QU"] }), vouch()).is_empty());
        assert_eq!(
            found(&read(json!({ "nationalities": ["QS"] }), vouch())),
            [(Said::Claim(Claim::Stateless), Assurance::Ial2)]
        );
    }

    #[test]
    fn an_employers_word_covers_employment_and_location_and_a_printed_address_covers_neither() {
        let claims = || {
            json!({
                "address": { "country_code": "FR" },
                "employment": { "organization": "acme", "engagement": "employee", "ends_at": "2027-06-30" },
            })
        };
        let read_vouched = read(claims(), vouch());
        let organization = terms::OrganizationId::parse("acme").unwrap();
        let ends_at = Some(Moment::parse("2027-06-30T00:00:00Z").unwrap());
        assert_eq!(read_vouched[1].said, Said::Employment { organization, engagement: Engagement::Employee, ends_at });
        let france = Country::parse("FR").unwrap();
        assert_eq!(
            read_vouched[0].said,
            Said::Claim(Claim::Location { country: france, method: LocationMethod::Declared })
        );
        assert!(read(claims(), document("passport", "FR", "2030-01-01")).is_empty());
    }

    #[test]
    fn levels_of_unknown_frameworks_assure_of_nothing() {
        for (framework, level, expected) in [
            ("us_nist_800_63_4", "ial3", Assurance::Ial3),
            ("us_nist_800_63_4", "IAL3", Assurance::None),
            ("eidas", "high", Assurance::Ial2),
            ("eidas", "ial3", Assurance::None),
            ("exeat_employer", "ial1", Assurance::Ial1),
            ("made_up", "ial3", Assurance::None),
        ] {
            let verification = json!({ "trust_framework": framework, "assurance_level": level, "evidence": vouch() });
            let claims = json!({ "nationalities": ["FR"] });
            let all = ida::parse(&json!({ "verification": verification, "claims": claims })).unwrap();
            assert_eq!(statements(&all[0], "x", now())[0].assurance, expected, "{framework} {level}");
        }
    }
}
