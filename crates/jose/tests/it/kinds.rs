//! A token of one kind never counts as another.

use jose::{Alg, ClaimFault, Fault, Object, Use, usage, verify};
use serde_json::json;

use crate::world::{KINDS, claims_of, forge, key};

/// The kinds older than explicit typing, which only their claims tell apart.
const PLAIN: [&str; 3] = ["CLIENT_ASSERTION", "ID_TOKEN", "WORKLOAD_ASSERTION"];

fn refusal(token: &str, use_: &Use) -> Option<Fault> {
    verify(token, use_, key(Alg::EdDsa).public()).err()
}

fn counts(token: &str, use_: &Use) -> bool {
    refusal(token, use_).is_none()
}

/// Says why a token that is made as one kind, with `typ` in its header, is refused as another.
fn reason(made_as: &str, typ: &str, other: &str, read_as: &Use) -> Option<Fault> {
    let plain = ["", "jwt", "application/jwt"].contains(&typ.to_lowercase().as_str());
    if !(plain && PLAIN.contains(&made_as) && PLAIN.contains(&other)) {
        return Some(Fault::Typ { found: typ.to_owned(), wanted: read_as.typ[0] });
    }
    let claim = match (made_as, other) {
        ("CLIENT_ASSERTION", _) => ClaimFault::Foreign("sub"),
        (_, "CLIENT_ASSERTION") => ClaimFault::Missing("jti"),
        // Only whose keys are asked tells these two apart, as their docstrings say.
        _ => return None,
    };
    Some(Fault::Claim(claim))
}

/// Every spelling of `typ` in which a token of this kind may come; an empty one is none.
fn spellings(use_: &Use) -> Vec<String> {
    let typed = use_.typ.iter().flat_map(|typ| [(*typ).to_owned(), format!("application/{typ}"), typ.to_uppercase()]);
    typed.chain(use_.untyped.then(String::new)).collect()
}

fn kind(name: &str) -> &'static Use {
    KINDS.into_iter().find(|(known, _)| *known == name).unwrap().1
}

fn token(use_: &Use, typ: &str, claims: &Object) -> String {
    assert!(use_.algs.contains(&Alg::EdDsa));
    let typ = (!typ.is_empty()).then_some(typ);
    let header = typ.map_or_else(|| json!({ "alg": "EdDSA" }), |typ| json!({ "alg": "EdDSA", "typ": typ }));
    forge(key(Alg::EdDsa), &header, &json!(claims))
}

#[test]
fn a_token_of_one_kind_is_refused_as_every_other_and_says_why() {
    let mut pairs = 0;
    for (name, made_as) in KINDS {
        for typ in spellings(made_as) {
            let token = token(made_as, &typ, &claims_of(made_as));
            assert!(counts(&token, made_as), "{name} as `{typ}` must count as itself");
            for (other_name, read_as) in KINDS.into_iter().filter(|(other, _)| *other != name) {
                pairs += 1;
                let why = reason(name, &typ, other_name, read_as);
                assert_eq!(refusal(&token, read_as), why, "{name} as `{typ}`, read as {other_name}");
            }
        }
    }
    assert!(pairs > KINDS.len() * (KINDS.len() - 1));
}

#[test]
fn every_kind_that_there_is_stands_in_the_table() {
    let source = include_str!("../../src/usage.rs");
    let names = source.lines().filter_map(|line| line.strip_prefix("pub const ")?.split_once(": Use ="));
    assert_eq!(names.map(|(name, _)| name).collect::<Vec<_>>(), KINDS.map(|(name, _)| name));
}

#[test]
fn a_client_that_speaks_about_another_and_an_issuer_about_itself_are_not_taken_for_each_other() {
    let both = |name: &str, sub: &str| {
        let mut claims: Object = PLAIN.iter().flat_map(|plain| claims_of(kind(plain))).collect();
        claims.insert("sub".to_owned(), json!(sub));
        refusal(&token(kind(name), "JWT", &claims), kind(name))
    };
    let own = Some(Fault::Claim(ClaimFault::Foreign("sub")));
    assert_eq!(both("CLIENT_ASSERTION", "https://issuer.example"), None);
    assert_eq!(both("CLIENT_ASSERTION", "ada"), own);
    for name in ["ID_TOKEN", "WORKLOAD_ASSERTION"] {
        assert_eq!(both(name, "ada"), None);
        assert_eq!(both(name, "https://issuer.example"), own);
    }
}

#[test]
fn the_claims_of_every_kind_at_once_do_not_turn_one_typed_kind_into_another() {
    let all: Object = KINDS.iter().flat_map(|(_, use_)| claims_of(use_)).collect();
    for (name, made_as) in KINDS.into_iter().filter(|(_, use_)| !use_.untyped) {
        let mut claims = all.clone();
        claims.retain(|claim, _| !made_as.forbids.contains(&claim.as_str()));
        let token = token(made_as, made_as.typ[0], &claims);
        for (other, read_as) in KINDS {
            assert_eq!(counts(&token, read_as), other == name, "{name} read as {other}");
        }
    }
}

#[test]
fn a_token_without_any_claim_that_its_kind_requires_or_with_one_that_is_null_does_not_count() {
    for (name, use_) in KINDS {
        for missing in use_.requires {
            let mut claims = claims_of(use_);
            claims.remove(*missing);
            assert!(!counts(&token(use_, use_.typ[0], &claims), use_), "{name} without {missing}");
            claims.insert((*missing).to_owned(), json!(null));
            let why = Some(Fault::Claim(ClaimFault::Wrong(missing)));
            assert_eq!(refusal(&token(use_, use_.typ[0], &claims), use_), why, "{name}");
        }
    }
}

#[test]
fn an_event_without_its_type_is_no_assertion() {
    let mut claims = claims_of(&usage::ID_TOKEN);
    claims.insert("events".to_owned(), json!({ "https://schemas.example/event": {} }));
    for use_ in [&usage::ID_TOKEN, &usage::WORKLOAD_ASSERTION, &usage::CLIENT_ASSERTION] {
        assert!(matches!(verify(&token(use_, "JWT", &claims), use_, key(Alg::EdDsa).public()), Err(Fault::Claim(_))));
    }
}

#[test]
fn a_type_that_only_looks_right_is_refused() {
    let claims = claims_of(&usage::AT_JWT);
    for typ in ["at+jwt ", "application/application/at+jwt", "text/at+jwt", "at+jwt;x=1", "application/x/at+jwt", "JWT"]
    {
        assert!(!counts(&token(&usage::AT_JWT, typ, &claims), &usage::AT_JWT), "{typ}");
    }
}
