//! Whether credentials that were presented answer a query.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{ClaimQuery, ClaimValue, CredentialQuery, CredentialSetQuery, Query};

/// What one verified credential shows.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// Its type.
    pub vct: &'a str,
    /// Its claims, those that were withheld left out.
    pub claims: &'a Map<String, Value>,
    /// Whether its holder proved to hold its key.
    pub bound: bool,
}

/// Why an answer does not answer a query.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Mismatch {
    /// An answer to something that was not asked.
    #[error("`{0}` was not asked for")]
    NotAsked(String),
    /// None, or more than one where one was asked for.
    #[error("`{id}` came {count} times where one presentation is wanted")]
    Count {
        /// Which credential.
        id: String,
        /// How often it came.
        count: usize,
    },
    /// A credential of another type.
    #[error("`{0}` is of a type that was not asked for")]
    Type(String),
    /// A holder who did not prove to hold the key.
    #[error("`{0}` comes without proof that its holder holds its key")]
    Unbound(String),
    /// Claims that are missing or of another value.
    #[error("`{0}` does not show the claims that were asked for")]
    Claims(String),
    /// Too few credentials.
    #[error("no combination of credentials that will do is complete")]
    Sets,
}

impl Query {
    /// Says whether `answer`, by the ids of the query, answers it in full.
    ///
    /// Each presentation must have been verified before; it may show more than was asked.
    ///
    /// # Errors
    ///
    /// [`Mismatch`]: the whole answer must be refused.
    ///
    /// # Source
    /// OpenID for Verifiable Presentations 1.0, sections 6.4 and 8.6.
    pub fn evaluate(&self, answer: &BTreeMap<String, Vec<Shown<'_>>>) -> Result<(), Mismatch> {
        for (id, shown) in answer {
            let asked = self.credentials.iter().find(|credential| credential.id == *id);
            asked.ok_or_else(|| Mismatch::NotAsked(id.clone()))?.evaluate(shown)?;
        }
        let present: BTreeSet<&str> = answer.keys().map(String::as_str).collect();
        let complete = match &self.credential_sets {
            Some(sets) => sets.iter().all(|set| set.is_met_by(&present)),
            None => self.credentials.iter().all(|credential| present.contains(credential.id.as_str())),
        };
        if complete { Ok(()) } else { Err(Mismatch::Sets) }
    }
}

impl CredentialSetQuery {
    fn is_met_by(&self, present: &BTreeSet<&str>) -> bool {
        let complete = |option: &Vec<String>| option.iter().all(|id| present.contains(id.as_str()));
        !self.required || self.options.iter().any(complete)
    }
}

impl CredentialQuery {
    fn evaluate(&self, shown: &[Shown<'_>]) -> Result<(), Mismatch> {
        if shown.is_empty() || (shown.len() > 1 && !self.multiple) {
            return Err(Mismatch::Count { id: self.id.clone(), count: shown.len() });
        }
        shown.iter().try_for_each(|one| self.fits(one))
    }

    fn fits(&self, shown: &Shown<'_>) -> Result<(), Mismatch> {
        if !self.meta.vct_values.iter().any(|vct| vct == shown.vct) {
            return Err(Mismatch::Type(self.id.clone()));
        }
        if self.require_cryptographic_holder_binding && !shown.bound {
            return Err(Mismatch::Unbound(self.id.clone()));
        }
        if self.shows_enough(shown.claims) { Ok(()) } else { Err(Mismatch::Claims(self.id.clone())) }
    }

    fn shows_enough(&self, shown: &Map<String, Value>) -> bool {
        let claims = self.claims.as_deref().unwrap_or_default();
        let Some(sets) = &self.claim_sets else { return claims.iter().all(|claim| claim.is_in(shown)) };
        let named = |id: &String| claims.iter().find(|claim| claim.id.as_ref() == Some(id));
        sets.iter().any(|set| set.iter().all(|id| named(id).is_some_and(|claim| claim.is_in(shown))))
    }
}

impl ClaimQuery {
    fn is_in(&self, shown: &Map<String, Value>) -> bool {
        let selected = self.path.select(shown);
        match &self.values {
            None => !selected.is_empty(),
            Some(values) => selected.iter().any(|one| values.iter().any(|value| value.is(one))),
        }
    }
}

impl ClaimValue {
    fn is(&self, shown: &Value) -> bool {
        match self {
            Self::Bool(value) => shown.as_bool() == Some(*value),
            Self::Integer(value) => shown.as_i64() == Some(*value),
            Self::Text(value) => shown.as_str() == Some(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PID: &str = "urn:eudi:pid:1";

    fn query(credentials: Value, sets: Option<Value>) -> Query {
        let mut query = json!({ "credentials": credentials });
        if let Some(sets) = sets {
            query["credential_sets"] = sets;
        }
        Query::parse(query.to_string().as_bytes()).unwrap()
    }

    fn asked(id: &str, more: Value) -> Value {
        let mut credential = json!({"id": id, "format": "dc+sd-jwt", "meta": {"vct_values": [PID]}});
        credential.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        credential
    }

    /// Evaluates an answer of presentations, each an id with the claims that it shows.
    fn evaluate(query: &Query, answer: &[(&str, Value)]) -> Result<(), Mismatch> {
        let mut shown: BTreeMap<String, Vec<Shown<'_>>> = BTreeMap::new();
        for (id, claims) in answer {
            let claims = claims.as_object().unwrap();
            shown.entry((*id).to_owned()).or_default().push(Shown { vct: PID, claims, bound: true });
        }
        query.evaluate(&shown)
    }

    #[test]
    fn every_claim_must_be_shown_and_have_one_of_the_values_asked_for() {
        let query = query(
            json!([asked(
                "pid",
                json!({"claims": [
                    {"path": ["nationalities", null], "values": ["US", "KR"]},
                    {"path": ["age"], "values": [18]},
                    {"path": ["adult"], "values": [true]},
                ]})
            )]),
            None,
        );
        let claims = |nationality: &str, age: Value, adult: Value| json!({"nationalities": ["FR", nationality], "age": age, "adult": adult});
        assert_eq!(evaluate(&query, &[("pid", claims("KR", json!(18), json!(true)))]), Ok(()));
        for shown in [
            claims("DE", json!(18), json!(true)),
            claims("US", json!("18"), json!(true)),
            claims("US", json!(18), json!("true")),
            json!({"nationalities": ["US"], "age": 18}),
            json!({"nationalities": "US", "age": 18, "adult": true}),
        ] {
            let mismatch = Err(Mismatch::Claims("pid".to_owned()));
            assert_eq!(evaluate(&query, &[("pid", shown.clone())]), mismatch, "{shown}");
        }
    }

    #[test]
    fn one_whole_claim_set_is_enough() {
        let query = query(
            json!([asked(
                "pid",
                json!({
                    "claims": [{"id": "a", "path": ["a"]}, {"id": "b", "path": ["b"]}, {"id": "c", "path": ["c"]}],
                    "claim_sets": [["a", "b"], ["c"]],
                })
            )]),
            None,
        );
        for (shown, enough) in
            [(json!({"a": 1, "b": 1}), true), (json!({"c": 1}), true), (json!({"a": 1}), false), (json!({}), false)]
        {
            assert_eq!(evaluate(&query, &[("pid", shown.clone())]).is_ok(), enough, "{shown}");
        }
    }

    #[test]
    fn without_sets_every_credential_is_needed_and_with_them_one_option_of_each() {
        let all = json!([asked("a", json!({})), asked("b", json!({})), asked("c", json!({}))]);
        let empty = || json!({});
        let every = query(all.clone(), None);
        assert_eq!(evaluate(&every, &[("a", empty()), ("b", empty())]), Err(Mismatch::Sets));
        assert_eq!(evaluate(&every, &[("a", empty()), ("b", empty()), ("c", empty())]), Ok(()));
        let sets = json!([{"options": [["a", "b"], ["c"]]}, {"options": [["b"]], "required": false}]);
        let some = query(all, Some(sets));
        assert_eq!(evaluate(&some, &[("c", empty())]), Ok(()));
        assert_eq!(evaluate(&some, &[("a", empty()), ("b", empty())]), Ok(()));
        assert_eq!(evaluate(&some, &[("b", empty())]), Err(Mismatch::Sets));
        assert_eq!(evaluate(&some, &[]), Err(Mismatch::Sets));
    }

    #[test]
    fn what_was_not_asked_for_comes_too_often_or_is_of_another_type_is_refused() {
        let one = query(json!([asked("a", json!({}))]), None);
        let empty = || json!({});
        assert_eq!(evaluate(&one, &[("b", empty())]), Err(Mismatch::NotAsked("b".to_owned())));
        let twice = Err(Mismatch::Count { id: "a".to_owned(), count: 2 });
        assert_eq!(evaluate(&one, &[("a", empty()), ("a", empty())]), twice);
        let many = query(json!([asked("a", json!({"multiple": true}))]), None);
        assert_eq!(evaluate(&many, &[("a", empty()), ("a", empty())]), Ok(()));
        let none = BTreeMap::from([("a".to_owned(), Vec::new())]);
        assert_eq!(many.evaluate(&none), Err(Mismatch::Count { id: "a".to_owned(), count: 0 }));
        let claims = Map::new();
        let other = Shown { vct: "urn:eudi:pid:10", claims: &claims, bound: true };
        let answer = BTreeMap::from([("a".to_owned(), vec![other])]);
        assert_eq!(one.evaluate(&answer), Err(Mismatch::Type("a".to_owned())));
    }

    #[test]
    fn a_holder_must_prove_the_key_unless_the_query_does_not_ask() {
        let claims = Map::new();
        let answer = BTreeMap::from([("a".to_owned(), vec![Shown { vct: PID, claims: &claims, bound: false }])]);
        let asking = query(json!([asked("a", json!({}))]), None);
        assert_eq!(asking.evaluate(&answer), Err(Mismatch::Unbound("a".to_owned())));
        let not = json!({"require_cryptographic_holder_binding": false});
        assert_eq!(query(json!([asked("a", not)]), None).evaluate(&answer), Ok(()));
    }
}
