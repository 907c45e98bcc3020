//! Which of the questions that decisions rest on a changed claim answers, and whether it says something else than what was
//! attested.

use serde_json::{Map, Value};
use terms::{Claim, Country, UsPersonLimb};

/// A question that attestations answer.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Question {
    /// Of which countries somebody is a citizen or permanent resident, or of none.
    Nationality,
    /// Whether somebody is a U.S. person.
    Standing,
    /// Where somebody is.
    Location,
    /// For whom somebody works. Attested by affiliations, not by attestations.
    Employment,
}

/// The claims of tokens that answer a question: those of OpenID Connect Core 1.0 and OpenID Connect for Identity Assurance
/// 1.0, and the attributes of our own SCIM extension, which directories put into tokens too. In lower case.
const CLAIMS: [(&str, Question); 24] = [
    ("nationalities", Question::Nationality),
    ("nationality", Question::Nationality),
    ("citizenships", Question::Nationality),
    ("citizenship", Question::Nationality),
    ("formercitizenships", Question::Nationality),
    ("permanentresidencies", Question::Nationality),
    ("permanent_residencies", Question::Nationality),
    ("mostrecentcitizenshiporresidency", Question::Nationality),
    ("us_person", Question::Standing),
    ("us_person_basis", Question::Standing),
    ("uspersonbasis", Question::Standing),
    ("statusexpires", Question::Standing),
    ("country", Question::Location),
    ("location", Question::Location),
    ("address", Question::Location),
    ("residencecountry", Question::Location),
    ("worklocationcountry", Question::Location),
    ("employmenttype", Question::Employment),
    ("employment_type", Question::Employment),
    ("employmentend", Question::Employment),
    ("employerentityid", Question::Employment),
    ("organization", Question::Employment),
    ("org_id", Question::Employment),
    ("tid", Question::Employment),
];

/// The attributes of which a resource that is told in full says whether they are still what was attested.
const COMPARABLE: [&str; 3] = ["citizenships", "uspersonbasis", "worklocationcountry"];

/// Says whether a resource that is told in full, changed or not, can be held against what was attested by this attribute.
/// Others, such as the end of an employment, say nothing by being there.
pub(crate) fn is_comparable(name: &str) -> bool {
    COMPARABLE.contains(&short(&name.to_lowercase()))
}

/// One claim with its new value, and the question that it answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) question: Question,
    value: &'a Value,
    names_citizens: bool,
}

/// Returns every new value that answers a question, those within `verified_claims` too.
pub(crate) fn answers(claims: &Map<String, Value>) -> Vec<Answer<'_>> {
    let verified = claims.get("verified_claims").into_iter().flat_map(each);
    let verified = verified.filter_map(|one| one.get("claims")?.as_object());
    std::iter::once(claims).chain(verified).flatten().filter_map(|(name, value)| answer(name, value)).collect()
}

/// One value, or each of a list of them: `verified_claims` may be either.
fn each(value: &Value) -> impl Iterator<Item = &Value> {
    let list = value.as_array();
    list.into_iter().flatten().chain(list.is_none().then_some(value))
}

fn answer<'a>(name: &str, value: &'a Value) -> Option<Answer<'a>> {
    let lower = name.to_lowercase();
    let (found, question) = CLAIMS.iter().find(|(known, _)| *known == short(&lower))?;
    Some(Answer {
        question: *question,
        value,
        names_citizens: found.contains("nationalit") || found.starts_with("citizen"),
    })
}

/// A claim of an extension is named with its URN or URL before it.
fn short(name: &str) -> &str {
    name.rsplit([':', '/']).next().unwrap_or(name)
}

impl Answer<'_> {
    /// Says whether every one of `attested`, all that the tenant attested on this question, is what the new value says
    /// too. What cannot be read says something else.
    pub(crate) fn agrees<'a>(&self, mut attested: impl Iterator<Item = &'a Claim>) -> bool {
        match self.question {
            Question::Nationality => self.names_citizens && self.agrees_on_citizenships(attested),
            Question::Standing => attested.all(|claim| self.is_standing(claim)),
            Question::Location => {
                let here = self.countries();
                attested.all(|claim| matches!((claim, here.as_deref()), (Claim::Location { country, .. }, Some([only])) if country == only))
            }
            Question::Employment => false,
        }
    }

    fn agrees_on_citizenships<'a>(&self, attested: impl Iterator<Item = &'a Claim>) -> bool {
        let citizenship = |claim: &Claim| match claim {
            Claim::Citizenship { country, until: None, .. } => Some(*country),
            _ => None,
        };
        let held: Option<Vec<_>> = attested.map(citizenship).collect();
        match (held, self.countries()) {
            (Some(mut held), Some(mut told)) => {
                held.sort();
                told.sort();
                held.dedup();
                told.dedup();
                held == told
            }
            _ => false,
        }
    }

    fn is_standing(&self, claim: &Claim) -> bool {
        let Some(text) = text(self.value) else { return false };
        match claim {
            Claim::ForeignPerson => matches!(text.as_str(), "false" | "none"),
            Claim::UsPerson { limb } => text == "true" || limb_named(&text) == Some(*limb),
            _ => false,
        }
    }

    /// Reads a country, a list of them, or an address with one.
    fn countries(&self) -> Option<Vec<Country>> {
        match self.value {
            Value::Array(list) => list.iter().map(country).collect(),
            Value::Object(address) => address.get("country").and_then(country).map(|country| vec![country]),
            one => country(one).map(|country| vec![country]),
        }
    }
}

fn country(value: &Value) -> Option<Country> {
    Country::parse(&value.as_str()?.to_ascii_uppercase()).ok()
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.to_lowercase()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

fn limb_named(text: &str) -> Option<UsPersonLimb> {
    Some(match text.replace('_', "").as_str() {
        "citizen" => UsPersonLimb::Citizen,
        "national" => UsPersonLimb::National,
        "lawfulpermanentresident" | "lpr" => UsPersonLimb::LawfulPermanentResident,
        "refugee" => UsPersonLimb::Refugee,
        "asylee" => UsPersonLimb::Asylee,
        _ => return None,
    })
}

/// Returns the question that an attestation answers.
pub(crate) fn asked_by(claim: &Claim) -> Question {
    match claim {
        Claim::UsPerson { .. } | Claim::ForeignPerson => Question::Standing,
        Claim::Citizenship { .. } | Claim::PermanentResidency { .. } | Claim::Stateless => Question::Nationality,
        Claim::Location { .. } => Question::Location,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn questions(claims: Value) -> Vec<Question> {
        answers(claims.as_object().unwrap()).iter().map(|answer| answer.question).collect()
    }

    fn agrees(claims: Value, attested: &[Claim]) -> bool {
        answers(claims.as_object().unwrap()).iter().all(|answer| answer.agrees(attested.iter()))
    }

    fn citizen(country: &str) -> Claim {
        Claim::Citizenship { country: Country::parse(country).unwrap(), from: None, until: None }
    }

    #[test]
    fn a_claim_is_known_by_its_name_however_it_is_written_and_wherever_it_stands() {
        assert_eq!(questions(json!({"Nationalities": ["US"]})), [Question::Nationality]);
        assert_eq!(
            questions(json!({"urn:example:exportcontrol:1.0:User:usPersonBasis": "none"})),
            [Question::Standing]
        );
        assert_eq!(questions(json!({"https://claims.example/country": "FR"})), [Question::Location]);
        let verified = json!({"verified_claims": {"verification": {}, "claims": {"nationalities": ["FR"]}}});
        assert_eq!(questions(verified), [Question::Nationality]);
        let several = json!({"verified_claims": [{"claims": {"address": {"country": "FR"}}}, {"claims": {}}]});
        assert_eq!(questions(several), [Question::Location]);
        assert!(questions(json!({"role": "ro-admin", "given_name": "Ada", "email": "ada@example.com"})).is_empty());
    }

    #[test]
    fn the_same_countries_in_another_order_agree_and_any_other_set_does_not() {
        let held = [citizen("US"), citizen("FR")];
        assert!(agrees(json!({"nationalities": ["fr", "US"]}), &held));
        for told in [json!(["US"]), json!(["US", "FR", "CN"]), json!([]), json!("US"), json!(["France"]), json!(null)] {
            assert!(!agrees(json!({"nationalities": told}), &held), "{told}");
        }
        assert!(
            !agrees(json!({"permanentResidencies": ["US", "FR"]}), &held),
            "another relation to the same countries"
        );
    }

    #[test]
    fn a_basis_agrees_with_the_same_limb_only() {
        let citizen = [Claim::UsPerson { limb: UsPersonLimb::Citizen }];
        assert!(agrees(json!({"us_person_basis": "citizen"}), &citizen));
        assert!(agrees(json!({"us_person": true}), &citizen));
        for told in [json!("lawfulPermanentResident"), json!("none"), json!("unknown"), json!(false), json!(7)] {
            assert!(!agrees(json!({"us_person_basis": told}), &citizen), "{told}");
        }
        assert!(agrees(json!({"us_person_basis": "none"}), &[Claim::ForeignPerson]));
    }

    #[test]
    fn a_country_agrees_with_the_location_and_an_address_by_its_country() {
        let here = Claim::Location { country: Country::parse("US").unwrap(), method: terms::LocationMethod::Declared };
        let here = [here];
        assert!(agrees(json!({"country": "US", "address": {"country": "US", "locality": "Dayton"}}), &here));
        assert!(!agrees(json!({"workLocationCountry": "DE"}), &here));
        assert!(!agrees(json!({"address": {"locality": "Dayton"}}), &here));
    }
}
