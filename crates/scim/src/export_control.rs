//! What an employer attests about a person, out of the text of our extension.

use serde_json::{Map, Value};
use terms::{Country, Moment};

use crate::{Resource, schema::EXPORT_CONTROL};

/// The limb of 15 CFR 772.1 that an employer names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UsPersonBasis {
    /// Citizen of the United States.
    Citizen,
    /// National, not citizen, of the United States.
    National,
    /// Lawfully admitted for permanent residence.
    LawfulPermanentResident,
    /// Admitted as a refugee.
    Refugee,
    /// Granted asylum.
    Asylee,
    /// None of the limbs: a foreign person.
    None,
    /// The employer does not know.
    Unknown,
}

/// A nationality, in the values that European person identification data use.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Nationality {
    /// Citizen of a country.
    Of(Country),
    /// Of no country (`QS`).
    Stateless,
    /// Not known (`QU`).
    Unknown,
}

/// In what capacity a person works for the employer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EmploymentType {
    /// Directly employed.
    Employee,
    /// A contractor.
    Contractor,
    /// Lent by another employer.
    Secondee,
    /// Employed by a joint venture.
    JointVenture,
    /// Intern.
    Intern,
    /// Acting as an agent.
    Agent,
}

/// The values of our extension; all absent if the resource does not have it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ExportControl {
    /// The limb, if one is named.
    pub us_person_basis: Option<UsPersonBasis>,
    /// Citizenships now held.
    pub citizenships: Vec<Nationality>,
    /// Permanent residencies now held.
    pub permanent_residencies: Vec<Country>,
    /// Citizenships once held.
    pub former_citizenships: Vec<Country>,
    /// Where the person works.
    pub work_location: Option<Country>,
    /// When the status behind the limb ends.
    pub status_expires: Option<Moment>,
    /// Who attests it.
    pub attested_by: Option<String>,
    /// When it was attested.
    pub attested_at: Option<Moment>,
    /// Where the evidence is.
    pub evidence_ref: Option<String>,
    /// In what capacity the person works.
    pub employment_type: Option<EmploymentType>,
    /// When the employment begins.
    pub employment_start: Option<Moment>,
    /// When it ends.
    pub employment_end: Option<Moment>,
}

impl ExportControl {
    /// Reads the extension of a resource.
    #[must_use]
    pub fn of(resource: &Resource) -> Self {
        resource.extension(EXPORT_CONTROL).map(Self::read).unwrap_or_default()
    }

    fn read(values: &Map<String, Value>) -> Self {
        let text = |name: &str| values.get(name).and_then(Value::as_str);
        let moment = |name: &str| Moment::parse(text(name)?).ok();
        Self {
            us_person_basis: text("usPersonBasis").and_then(basis),
            citizenships: each(values, "citizenships", nationality),
            permanent_residencies: each(values, "permanentResidencies", country),
            former_citizenships: each(values, "formerCitizenships", |text| match nationality(text)? {
                Nationality::Of(country) => Some(country),
                Nationality::Stateless | Nationality::Unknown => None,
            }),
            work_location: text("workLocationCountry").and_then(country),
            status_expires: moment("statusExpires"),
            attested_by: text("attestedBy").map(str::to_owned),
            attested_at: moment("attestedAt"),
            evidence_ref: text("evidenceRef").map(str::to_owned),
            employment_type: text("employmentType").and_then(employment),
            employment_start: moment("employmentStart"),
            employment_end: moment("employmentEnd"),
        }
    }
}

fn each<T>(values: &Map<String, Value>, name: &str, read: impl Fn(&str) -> Option<T>) -> Vec<T> {
    let texts = values.get(name).and_then(Value::as_array).into_iter().flatten();
    texts.filter_map(|text| read(text.as_str()?)).collect()
}

fn country(text: &str) -> Option<Country> {
    Country::parse(text).ok()
}

fn nationality(text: &str) -> Option<Nationality> {
    match text {
        "QS" => Some(Nationality::Stateless),
        "QU" => Some(Nationality::Unknown),
        _ => country(text).map(Nationality::Of),
    }
}

fn basis(text: &str) -> Option<UsPersonBasis> {
    Some(match text {
        "citizen" => UsPersonBasis::Citizen,
        "national" => UsPersonBasis::National,
        "lawfulPermanentResident" => UsPersonBasis::LawfulPermanentResident,
        "refugee" => UsPersonBasis::Refugee,
        "asylee" => UsPersonBasis::Asylee,
        "none" => UsPersonBasis::None,
        "unknown" => UsPersonBasis::Unknown,
        _ => return None,
    })
}

fn employment(text: &str) -> Option<EmploymentType> {
    Some(match text {
        "employee" => EmploymentType::Employee,
        "contractor" => EmploymentType::Contractor,
        "secondee" => EmploymentType::Secondee,
        "jointVenture" => EmploymentType::JointVenture,
        "intern" => EmploymentType::Intern,
        "agent" => EmploymentType::Agent,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{ResourceType, USER, schemas};

    fn read(extension: Value) -> ExportControl {
        let body = json!({ "schemas": [USER], "userName": "ada", EXPORT_CONTROL: extension });
        ExportControl::of(&Resource::parse(ResourceType::User, &body).unwrap())
    }

    #[test]
    fn every_value_that_the_schema_announces_is_understood() {
        let all = schemas("");
        let ours = all.iter().find(|schema| schema["id"] == EXPORT_CONTROL).unwrap();
        for attribute in ours["attributes"].as_array().unwrap() {
            let name = attribute["name"].as_str().unwrap();
            for value in attribute["canonicalValues"].as_array().into_iter().flatten() {
                let text = value.as_str().unwrap();
                let understood = match name {
                    "usPersonBasis" => basis(text).is_some(),
                    "employmentType" => employment(text).is_some(),
                    _ => nationality(text).is_some(),
                };
                assert!(understood, "{name} {text}");
            }
        }
    }

    #[test]
    fn a_person_may_have_several_nationalities_or_none_or_unknown_ones() {
        let ada =
            read(json!({ "citizenships": ["FR", "QU"], "permanentResidencies": ["US"], "usPersonBasis": "none" }));
        let france = Country::parse("FR").unwrap();
        assert_eq!(ada.citizenships, [Nationality::Of(france), Nationality::Unknown]);
        assert_eq!(ada.permanent_residencies, [Country::US]);
        assert_eq!(ada.us_person_basis, Some(UsPersonBasis::None));
        assert_eq!(read(json!({ "citizenships": ["QS"] })).citizenships, [Nationality::Stateless]);
        assert_eq!(read(json!(null)), ExportControl::default());
    }
}
