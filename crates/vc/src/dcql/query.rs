//! The query itself, parsed strictly.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::claim_path::ClaimPath;

/// Bytes of the longest query.
const MAX_BYTES: usize = 16 * 1024;
/// Entries of the longest list within a query.
const MAX_ENTRIES: usize = 32;

/// What is wrong with a query.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum QueryFault {
    /// The JSON, or a member of it.
    #[error("the query is not as DCQL says: {0}")]
    Json(String),
    /// An empty list, or one that is too long.
    #[error("`{0}` has no entry or more than {MAX_ENTRIES}")]
    Entries(&'static str),
    /// An id that breaks the grammar.
    #[error("`{0}` is not an id: use 1 to 64 of letters, digits, `_` and `-`")]
    Id(String),
    /// The same id twice.
    #[error("the id `{0}` stands twice")]
    IdTwice(String),
    /// An id that names nothing.
    #[error("`{0}` names no entry of this query")]
    UnknownId(String),
    /// Claim sets without an id on each claim.
    #[error("`claim_sets` of `{0}` needs `claims`, each with an `id`")]
    ClaimSets(String),
}

/// A query: credentials, and which combinations of them will do.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// Each credential that may answer.
    pub credentials: Vec<CredentialQuery>,
    /// Which of them are needed; all of them where this is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_sets: Option<Vec<CredentialSetQuery>>,
}

/// One credential that is asked for.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialQuery {
    /// Names it within the query and in the answer.
    pub id: String,
    /// Its format.
    pub format: Format,
    /// Whether more than one presentation may answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub multiple: bool,
    /// Which types will do.
    pub meta: Meta,
    /// Whether its holder must prove to hold its key; true where absent.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub require_cryptographic_holder_binding: bool,
    /// The claims that must be shown; where absent, only what cannot be withheld.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims: Option<Vec<ClaimQuery>>,
    /// Combinations of claims of which one will do, the preferred first; all claims where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim_sets: Option<Vec<Vec<String>>>,
}

fn yes() -> bool {
    true
}

/// The format of a credential.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub enum Format {
    /// SD-JWT VC.
    #[serde(rename = "dc+sd-jwt")]
    SdJwtVc,
}

/// Which types of credential will do.
///
/// # Source
/// OpenID for Verifiable Presentations 1.0, appendix B.3.5.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Meta {
    /// Values of `vct`, of which the credential has one.
    pub vct_values: Vec<String>,
}

/// One claim that is asked for.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimQuery {
    /// Names it for `claim_sets`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Where it is.
    pub path: ClaimPath,
    /// What it may be; anything where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<ClaimValue>>,
}

/// A value that a claim is compared with: type and value must be the same.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum ClaimValue {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Text.
    Text(String),
}

/// Combinations of credentials of which one will do.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialSetQuery {
    /// The combinations, by the ids of their credentials.
    pub options: Vec<Vec<String>>,
    /// Whether one of them must be there; true where absent.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub required: bool,
}

impl Query {
    /// Parses a query of at most 16 KiB, in which every id is found.
    ///
    /// # Errors
    ///
    /// [`QueryFault`] if a member is unknown, missing or of another type, a list empty, or an id twice or of nothing.
    pub fn parse(bytes: &[u8]) -> Result<Self, QueryFault> {
        let members =
            jose::json::parse_object(bytes, MAX_BYTES).map_err(|fault| QueryFault::Json(fault.to_string()))?;
        let query: Self =
            serde_json::from_value(members.into()).map_err(|fault| QueryFault::Json(fault.to_string()))?;
        query.check()?;
        Ok(query)
    }

    fn check(&self) -> Result<(), QueryFault> {
        filled("credentials", &self.credentials)?;
        let ids = distinct(self.credentials.iter().map(|credential| credential.id.as_str()))?;
        self.credentials.iter().try_for_each(CredentialQuery::check)?;
        let Some(sets) = &self.credential_sets else { return Ok(()) };
        filled("credential_sets", sets)?;
        sets.iter().try_for_each(|set| known_ids("options", &set.options, &ids))
    }
}

impl CredentialQuery {
    fn check(&self) -> Result<(), QueryFault> {
        filled("vct_values", &self.meta.vct_values)?;
        let claims = self.claims.as_deref();
        claims.map_or(Ok(()), |claims| filled("claims", claims))?;
        let claims = claims.unwrap_or_default();
        claims.iter().filter_map(|claim| claim.values.as_deref()).try_for_each(|values| filled("values", values))?;
        let ids = distinct(claims.iter().filter_map(|claim| claim.id.as_deref()))?;
        let Some(sets) = &self.claim_sets else { return Ok(()) };
        if claims.is_empty() || ids.len() != claims.len() {
            return Err(QueryFault::ClaimSets(self.id.clone()));
        }
        known_ids("claim_sets", sets, &ids)
    }
}

fn filled<T>(name: &'static str, list: &[T]) -> Result<(), QueryFault> {
    if (1..=MAX_ENTRIES).contains(&list.len()) { Ok(()) } else { Err(QueryFault::Entries(name)) }
}

fn distinct<'a>(ids: impl Iterator<Item = &'a str>) -> Result<BTreeSet<&'a str>, QueryFault> {
    let mut found = BTreeSet::new();
    for id in ids {
        let fits = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        if !fits || !(1..=64).contains(&id.len()) {
            return Err(QueryFault::Id(id.chars().take(80).collect()));
        }
        if !found.insert(id) {
            return Err(QueryFault::IdTwice(id.to_owned()));
        }
    }
    Ok(found)
}

fn known_ids(name: &'static str, sets: &[Vec<String>], ids: &BTreeSet<&str>) -> Result<(), QueryFault> {
    filled(name, sets)?;
    sets.iter().try_for_each(|set| filled(name, set))?;
    match sets.iter().flatten().find(|id| !ids.contains(id.as_str())) {
        Some(id) => Err(QueryFault::UnknownId(id.chars().take(80).collect())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parse(query: &Value) -> Result<Query, QueryFault> {
        Query::parse(query.to_string().as_bytes())
    }

    fn pid() -> Value {
        json!({"credentials": [{
            "id": "pid", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:eudi:pid:1"]},
            "claims": [{"id": "n", "path": ["nationalities"]}, {"id": "b", "path": ["birthdate"], "values": ["1815-12-10"]}],
            "claim_sets": [["n", "b"], ["n"]],
        }], "credential_sets": [{"options": [["pid"]]}]})
    }

    /// The query with the member at `pointer` replaced by `value`, or added.
    fn with(pointer: &str, member: &str, value: Value) -> Value {
        let mut query = pid();
        query.pointer_mut(pointer).unwrap().as_object_mut().unwrap().insert(member.to_owned(), value);
        query
    }

    #[test]
    fn a_query_is_written_as_it_was_read_without_what_goes_without_saying() {
        let query = parse(&pid()).unwrap();
        assert_eq!(serde_json::to_value(&query).unwrap(), pid());
        let said = with("/credentials/0", "require_cryptographic_holder_binding", json!(true));
        assert_eq!(parse(&said).unwrap(), query);
    }

    #[test]
    fn a_member_that_is_not_known_missing_or_stands_twice_is_refused() {
        for query in [
            with("", "more", json!(1)),
            with("/credentials/0", "trusted_authorities", json!([])),
            with("/credentials/0/meta", "doctype_value", json!("a")),
            with("/credentials/0/claims/0", "namespace", json!("a")),
            with("/credentials/0", "format", json!("mso_mdoc")),
            with("/credentials/0", "format", json!("vc+sd-jwt")),
            with("/credentials/0/claims/0", "path", json!([])),
            with("/credentials/0/claims/0", "values", json!([1.5])),
            json!({}),
            json!({"credentials": [{"id": "pid", "format": "dc+sd-jwt"}]}),
        ] {
            assert!(matches!(parse(&query), Err(QueryFault::Json(_))), "{query}");
        }
        let twice = pid().to_string().replacen("\"id\":\"pid\"", "\"id\":\"pid\",\"id\":\"pid\"", 1);
        assert!(matches!(Query::parse(twice.as_bytes()), Err(QueryFault::Json(_))));
    }

    #[test]
    fn an_empty_list_and_one_without_end_are_refused() {
        let many = json!(vec![json!({"path": ["a"]}); 33]);
        for query in [
            with("", "credentials", json!([])),
            with("", "credential_sets", json!([])),
            with("/credential_sets/0", "options", json!([])),
            with("/credential_sets/0", "options", json!([[]])),
            with("/credentials/0/meta", "vct_values", json!([])),
            with("/credentials/0", "claims", json!([])),
            with("/credentials/0", "claims", many),
            with("/credentials/0", "claim_sets", json!([])),
            with("/credentials/0/claims/0", "values", json!([])),
        ] {
            assert!(matches!(parse(&query), Err(QueryFault::Entries(_))), "{query}");
        }
        assert!(matches!(Query::parse(&vec![b' '; MAX_BYTES + 1]), Err(QueryFault::Json(_))));
    }

    #[test]
    fn every_id_keeps_the_grammar_stands_once_and_names_something() {
        for id in ["", "a b", "a.b", "ä", &"a".repeat(65)] {
            assert!(matches!(parse(&with("/credentials/0", "id", json!(id))), Err(QueryFault::Id(_))), "{id}");
        }
        let twice = with("/credentials/0/claims/1", "id", json!("n"));
        assert_eq!(parse(&twice), Err(QueryFault::IdTwice("n".to_owned())));
        let unknown = with("/credential_sets/0", "options", json!([["mdl"]]));
        assert_eq!(parse(&unknown), Err(QueryFault::UnknownId("mdl".to_owned())));
        let unknown = with("/credentials/0", "claim_sets", json!([["x"]]));
        assert_eq!(parse(&unknown), Err(QueryFault::UnknownId("x".to_owned())));
    }

    #[test]
    fn claim_sets_need_an_id_on_every_claim() {
        let query = with("/credentials/0", "claims", json!([{"path": ["a"]}]));
        assert_eq!(parse(&query), Err(QueryFault::ClaimSets("pid".to_owned())));
    }
}
