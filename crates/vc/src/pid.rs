//! Person identification data of the European digital identity wallets: what they say of nationality.
//!
//! # Source
//! European Digital Identity Architecture and Reference Framework, PID rulebook 1.7.

use serde_json::Value;
use terms::{BadCountry, Claim, Country};

use crate::sd_jwt_vc::SdJwtVc;

/// The base type; a domestic one adds a country before the version.
pub const PID_VCT: &str = "urn:eudi:pid:1";
/// Nationalities that one person may have.
const MAX_NATIONALITIES: usize = 16;

/// Why the nationalities of a PID establish nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PidFault {
    /// Another type of credential.
    #[error("the credential is not person identification data: its `vct` is not `{PID_VCT}` or a domestic one")]
    Type,
    /// No nationalities, or not a list of texts.
    #[error("`nationalities` is not a list of 1 to {MAX_NATIONALITIES} country codes")]
    Shape,
    /// Some are withheld: those shown would mislead.
    #[error("the wallet withholds one of the `nationalities`: present all of them")]
    Withheld,
    /// Not a country.
    #[error("{0}")]
    Country(#[from] BadCountry),
    /// Not known: of what else is named nobody knows whether it is all.
    #[error("`nationalities` names `QU`, unknown: nothing is established")]
    Unknown,
    /// Stateless and yet a citizen.
    #[error("`nationalities` names `QS`, stateless, beside a country")]
    Contradiction,
}

/// Says whether `vct` is that of person identification data, of any country.
#[must_use]
pub fn is_pid(vct: &str) -> bool {
    let domestic = |rest: &str| match rest.split_once(':') {
        Some((country, version)) => {
            country.len() == 2 && country.bytes().all(|b| b.is_ascii_lowercase()) && version == "1"
        }
        None => false,
    };
    vct == PID_VCT || vct.strip_prefix("urn:eudi:pid:").is_some_and(domestic)
}

/// Returns what a PID establishes of nationality: one citizenship each, or that the person is stateless.
///
/// # Errors
///
/// [`PidFault`]: nothing is established; so it is also where `QU`, unknown, is among them.
pub fn nationalities(pid: &SdJwtVc) -> Result<Vec<Claim>, PidFault> {
    if !is_pid(&pid.vct) {
        return Err(PidFault::Type);
    }
    if pid.incomplete.contains("nationalities") {
        return Err(PidFault::Withheld);
    }
    let codes = pid.claims.get("nationalities").and_then(Value::as_array).ok_or(PidFault::Shape)?;
    if !(1..=MAX_NATIONALITIES).contains(&codes.len()) {
        return Err(PidFault::Shape);
    }
    let claims: Vec<Claim> = codes.iter().map(nationality).collect::<Result<_, _>>()?;
    let contradictory = claims.contains(&Claim::Stateless) && claims.len() > 1;
    if contradictory { Err(PidFault::Contradiction) } else { Ok(claims) }
}

fn nationality(code: &Value) -> Result<Claim, PidFault> {
    match code.as_str().ok_or(PidFault::Shape)? {
        "QU" => Err(PidFault::Unknown),
        "QS" => Ok(Claim::Stateless),
        code => Ok(Claim::Citizenship { country: Country::parse(code)?, from: None, until: None }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::World;

    /// What is established by a PID of the type `vct`, of whose nationalities all of those at `shown` are shown.
    fn established(vct: &str, nationalities: Value, shown: impl Fn(&Value) -> bool) -> Result<Vec<Claim>, PidFault> {
        let world = World::new();
        let mut claims = world.pid();
        claims.insert("vct".to_owned(), vct.into());
        let paths = if nationalities.as_array().is_some_and(|list| !list.is_empty()) {
            vec![json!(["nationalities", null])]
        } else {
            Vec::new()
        };
        claims.insert("nationalities".to_owned(), nationalities);
        let presented = world.issue(claims, &paths).showing(|one| shown(one.value()));
        nationalities_of(&presented, &world)
    }

    fn nationalities_of(presented: &crate::sd_jwt::SdJwt, world: &World) -> Result<Vec<Claim>, PidFault> {
        nationalities(&SdJwtVc::verify(presented, &world.trust(), world.now).unwrap())
    }

    fn citizen(code: &str) -> Claim {
        Claim::Citizenship { country: Country::parse(code).unwrap(), from: None, until: None }
    }

    #[test]
    fn each_nationality_is_a_citizenship() {
        let both = established(PID_VCT, json!(["US", "KR"]), |_| true);
        assert_eq!(both, Ok(vec![citizen("US"), citizen("KR")]));
        assert_eq!(established("urn:eudi:pid:de:1", json!(["DE"]), |_| true), Ok(vec![citizen("DE")]));
    }

    #[test]
    fn unknown_establishes_nothing_whatever_stands_beside_it_and_stateless_is_stateless() {
        for codes in [json!(["QU"]), json!(["QU", "FR"]), json!(["FR", "QU"]), json!(["QS", "QU"])] {
            assert_eq!(established(PID_VCT, codes.clone(), |_| true), Err(PidFault::Unknown), "{codes}");
        }
        assert_eq!(established(PID_VCT, json!(["QS"]), |_| true), Ok(vec![Claim::Stateless]));
        assert_eq!(established(PID_VCT, json!(["QS", "FR"]), |_| true), Err(PidFault::Contradiction));
    }

    #[test]
    fn showing_one_nationality_and_withholding_another_establishes_nothing() {
        assert_eq!(established(PID_VCT, json!(["US", "KR"]), |value| value == "US"), Err(PidFault::Withheld));
    }

    #[test]
    fn what_is_no_list_of_countries_or_no_pid_establishes_nothing() {
        for nationalities in [json!([]), json!("US"), json!([1]), json!(vec!["US"; 17]), json!(null)] {
            assert_eq!(established(PID_VCT, nationalities, |_| true), Err(PidFault::Shape));
        }
        for code in ["us", "USA", "XX", ""] {
            assert!(matches!(established(PID_VCT, json!([code]), |_| true), Err(PidFault::Country(_))));
        }
        for vct in ["urn:eudi:pid:2", "urn:eudi:pid:DE:1", "urn:eudi:pid:deu:1", "urn:eudi:pid:de:2", "urn:eudi:mdl:1"]
        {
            assert_eq!(established(vct, json!(["US"]), |_| true), Err(PidFault::Type), "{vct}");
        }
    }
}
