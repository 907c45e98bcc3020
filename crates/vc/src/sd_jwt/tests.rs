//! Tests of the form of an SD-JWT and of its digests.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::{
    claim_path::{ClaimPath, Step},
    testing::{object, path, salts},
};

fn disclosure(salt: u8) -> String {
    Disclosure::make([salt; 16], Some("a"), 1.into()).text().to_owned()
}

#[test]
fn each_part_is_found_with_and_without_key_binding() {
    let (a, b) = (disclosure(1), disclosure(2));
    for (text, count, binding) in [
        ("h.p.s~".to_owned(), 0, None),
        (format!("h.p.s~{a}~{b}~"), 2, None),
        (format!("h.p.s~{a}~k.b.j"), 1, Some("k.b.j")),
        ("h.p.s~k.b.j".to_owned(), 0, Some("k.b.j")),
    ] {
        let parsed = SdJwt::parse(&text).unwrap();
        assert_eq!((parsed.jwt(), parsed.disclosures().len(), parsed.key_binding()), ("h.p.s", count, binding));
        assert_eq!(parsed.to_string(), text);
    }
}

#[test]
fn a_bare_jwt_an_empty_disclosure_and_what_is_too_much_are_refused() {
    assert_eq!(SdJwt::parse("h.p.s"), Err(SdJwtFault::NoTilde));
    assert!(matches!(SdJwt::parse("h.p.s~~"), Err(SdJwtFault::Disclosure { index: 0, .. })));
    let many = format!("h.p.s~{}", format!("{}~", disclosure(1)).repeat(MAX_DISCLOSURES + 1));
    assert_eq!(SdJwt::parse(&many), Err(SdJwtFault::TooManyDisclosures));
    assert_eq!(SdJwt::parse(&"~".repeat(MAX_BYTES + 1)), Err(SdJwtFault::TooLong));
}

#[test]
fn showing_less_keeps_the_signed_part_and_drops_the_binding() {
    let all = SdJwt::parse(&format!("h.p.s~{}~{}~k.b.j", disclosure(1), disclosure(2))).unwrap();
    let first = all.disclosures()[0].clone();
    let shown = all.showing(|disclosure| *disclosure == first);
    assert_eq!(shown.to_string(), format!("h.p.s~{}~", disclosure(1)));
    assert_ne!(shown.sd_hash(HashAlg::Sha256), all.sd_hash(HashAlg::Sha256));
}

fn concealed(claims: Value, paths: &[Value]) -> Concealed {
    let paths: Vec<ClaimPath> = paths.iter().cloned().map(path).collect();
    conceal(object(claims), &paths, salts()).unwrap()
}

fn person() -> Concealed {
    concealed(
        json!({"iss": "https://pid.example", "name": "Ada", "nationalities": ["US", "KR"], "address": {"city": "Seoul", "zip": "1"}}),
        &[json!(["name"]), json!(["nationalities", null]), json!(["address", "city"]), json!(["address"])],
    )
}

fn digest_of(disclosure: &Disclosure) -> String {
    HashAlg::Sha256.digest(disclosure.text())
}

#[test]
fn everything_shown_gives_back_what_was_issued() {
    let made = person();
    let shown = resolve(made.payload, &made.disclosures, &[]).unwrap();
    let expected = json!({"iss": "https://pid.example", "name": "Ada", "nationalities": ["US", "KR"], "address": {"city": "Seoul", "zip": "1"}});
    assert_eq!(Value::Object(shown.claims), expected);
    assert!(shown.incomplete.is_empty());
}

#[test]
fn nothing_shown_leaves_what_is_open_and_says_what_is_incomplete() {
    let shown = resolve(person().payload, &[], &[]).unwrap();
    assert_eq!(Value::Object(shown.claims), json!({"iss": "https://pid.example", "nationalities": []}));
    assert_eq!(shown.incomplete.into_iter().collect::<Vec<_>>(), ["nationalities"]);
}

#[test]
fn a_disclosure_within_one_that_is_withheld_belongs_to_nothing() {
    let made = person();
    let city: Vec<_> = made.disclosures.iter().filter(|one| one.name() == Some("city")).cloned().collect();
    assert_eq!(resolve(made.payload, &city, &[]), Err(ResolveFault::Unused));
}

#[test]
fn a_withheld_nationality_is_told_although_others_are_shown() {
    let made = person();
    let us: Vec<_> = made.disclosures.iter().filter(|one| one.value() == "US").cloned().collect();
    let shown = resolve(made.payload, &us, &[]).unwrap();
    assert_eq!(shown.claims.get("nationalities"), Some(&json!(["US"])));
    assert!(shown.incomplete.contains("nationalities"));
}

#[test]
fn a_disclosure_that_comes_twice_or_was_never_signed_is_refused() {
    let mut made = person();
    let stranger = Disclosure::make([9; 16], Some("admin"), json!(true));
    let with = [made.disclosures.clone(), vec![stranger]].concat();
    assert_eq!(resolve(made.payload.clone(), &with, &[]), Err(ResolveFault::Unused));
    made.disclosures.push(made.disclosures[0].clone());
    assert_eq!(resolve(made.payload, &made.disclosures, &[]), Err(ResolveFault::DisclosureTwice));
}

#[test]
fn a_digest_that_stands_twice_is_refused_whether_it_is_disclosed_or_not() {
    for payload in [
        json!({"_sd": ["same", "same"]}),
        json!({"_sd": ["same"], "a": {"_sd": ["same"]}}),
        json!({"a": [{"...": "same"}, {"...": "same"}]}),
        json!({"_sd": ["same"], "a": [{"...": "same"}]}),
    ] {
        assert_eq!(resolve(object(payload.clone()), &[], &[]), Err(ResolveFault::DigestTwice), "{payload}");
    }
}

#[test]
fn digests_in_the_wrong_place_or_of_another_type_are_refused() {
    for payload in [
        json!({"_sd": "one"}),
        json!({"_sd": [1]}),
        json!({"_sd": null}),
        json!({"...": "one"}),
        json!({"a": {"...": "one"}}),
        json!({"a": [{"...": "one", "b": 1}]}),
        json!({"a": [{"...": 1}]}),
        json!({"a": {"_sd_alg": "sha-256"}}),
    ] {
        let fault = resolve(object(payload.clone()), &[], &[]);
        assert!(matches!(fault, Err(ResolveFault::Misplaced(_))), "{payload}: {fault:?}");
    }
}

#[test]
fn the_shape_of_a_disclosure_must_fit_where_its_digest_stands() {
    let member = Disclosure::make([1; 16], Some("a"), json!(1));
    let element = Disclosure::make([1; 16], None, json!(1));
    let of_element = object(json!({"_sd": [digest_of(&element)]}));
    assert_eq!(resolve(of_element, &[element], &[]), Err(ResolveFault::Shape));
    let of_member = object(json!({"a": [{"...": digest_of(&member)}]}));
    assert_eq!(resolve(of_member, &[member], &[]), Err(ResolveFault::Shape));
}

#[test]
fn a_disclosure_may_not_overwrite_a_claim_nor_bring_one_that_must_be_open() {
    let vct = Disclosure::make([1; 16], Some("vct"), json!("urn:other"));
    let payload = json!({"_sd": [digest_of(&vct)], "vct": "urn:eudi:pid:1"});
    let collision = resolve(object(payload), std::slice::from_ref(&vct), &[]);
    assert_eq!(collision, Err(ResolveFault::Collision("vct".to_owned())));
    let payload = json!({"_sd": [digest_of(&vct)]});
    assert_eq!(resolve(object(payload), &[vct], &["vct"]), Err(ResolveFault::Reserved("vct".to_owned())));
    let [one, two] = [1, 2].map(|salt| Disclosure::make([salt; 16], Some("a"), json!(salt)));
    let payload = json!({"_sd": [digest_of(&one), digest_of(&two)]});
    assert_eq!(resolve(object(payload), &[one, two], &[]), Err(ResolveFault::Collision("a".to_owned())));
}

#[test]
fn an_algorithm_that_is_not_known_is_refused_and_none_means_sha_256() {
    for alg in [json!("sha-1"), json!("SHA-256"), json!(""), json!(1), json!(null)] {
        assert_eq!(resolve(object(json!({"_sd_alg": alg})), &[], &[]), Err(ResolveFault::HashAlg));
    }
    let one = Disclosure::make([1; 16], Some("a"), json!(1));
    let payload = object(json!({"_sd": [digest_of(&one)]}));
    assert_eq!(resolve(payload, std::slice::from_ref(&one), &[]).unwrap().claims, object(json!({"a": 1})));
    let payload = object(json!({"_sd_alg": "sha-384", "_sd": [HashAlg::Sha384.digest(one.text())]}));
    assert_eq!(resolve(payload, &[one], &[]).unwrap().claims, object(json!({"a": 1})));
}

#[test]
fn disclosures_nested_without_end_and_digests_without_number_are_refused() {
    let mut inner = Disclosure::make([0; 16], Some("a"), json!(1));
    let mut all = vec![inner.clone()];
    for salt in 1..60 {
        inner = Disclosure::make([salt; 16], Some("a"), json!({"_sd": [digest_of(&inner)]}));
        all.push(inner.clone());
    }
    assert_eq!(resolve(object(json!({"_sd": [digest_of(&inner)]})), &all, &[]), Err(ResolveFault::Depth));
    let digests: Vec<String> = (0..5000).map(|n| n.to_string()).collect();
    assert_eq!(resolve(object(json!({"_sd": digests})), &[], &[]), Err(ResolveFault::TooManyDigests));
}

#[test]
fn an_issuer_is_told_of_a_path_to_nothing_and_of_a_reserved_name() {
    let one = conceal(object(json!({"a": 1})), &[path(json!(["b"]))], salts());
    assert_eq!(one, Err(ConcealFault::Nothing(0)));
    for claims in [json!({"_sd": 1}), json!({"a": [{"...": 1}]}), json!({"a": {"_sd_alg": 1}})] {
        assert!(matches!(conceal(object(claims), &[], salts()), Err(ConcealFault::Reserved(_))));
    }
}

#[test]
fn a_path_that_meets_what_another_hid_hides_it_once() {
    let made = concealed(json!({"n": ["US", "KR"]}), &[json!(["n", 0]), json!(["n", null])]);
    assert_eq!(made.disclosures.len(), 2);
    assert_eq!(resolve(made.payload, &made.disclosures, &[]).unwrap().claims, object(json!({"n": ["US", "KR"]})));
}

/// Claims of any shape, three levels deep, under names that are not reserved.
fn claims() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), "[a-z]{0,4}".prop_map(Value::from)];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let members = prop::collection::btree_map("[a-d]", inner.clone(), 0..4);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::from),
            members.prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Every path to a value, deep or not.
fn paths_of(value: &Value, at: &[Step], found: &mut Vec<ClaimPath>) {
    let children: Vec<(Step, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(name, value)| (Step::Name(name.clone()), value)).collect(),
        Value::Array(elements) => elements.iter().enumerate().map(|(at, value)| (Step::Index(at), value)).collect(),
        _ => Vec::new(),
    };
    for (step, child) in children {
        let here = [at, &[step]].concat();
        found.push(ClaimPath::new(here.clone()).unwrap());
        paths_of(child, &here, found);
    }
}

proptest! {
    #[test]
    fn whatever_is_concealed_comes_back_when_all_of_it_is_shown(
        claims in prop::collection::btree_map("[a-d]", claims(), 0..4),
        chosen in prop::collection::vec(any::<bool>(), 64),
    ) {
        let claims: Map<String, Value> = claims.into_iter().collect();
        let mut all = Vec::new();
        paths_of(&Value::Object(claims.clone()), &[], &mut all);
        let some: Vec<ClaimPath> = all.into_iter().zip(chosen).filter(|(_, keep)| *keep).map(|(path, _)| path).collect();
        let made = conceal(claims.clone(), &some, salts()).unwrap();
        prop_assert_eq!(made.disclosures.len(), some.len());
        let text = SdJwt::issued("h.p.s".to_owned(), made.disclosures).to_string();
        let read = SdJwt::parse(&text).unwrap();
        let shown = resolve(made.payload.clone(), read.disclosures(), &[]).unwrap();
        prop_assert_eq!(shown.claims, claims);
        prop_assert!(shown.incomplete.is_empty());
        let nothing = resolve(made.payload, &[], &[]).unwrap();
        prop_assert!(!serde_json::to_string(&nothing.claims).unwrap().contains("_sd"));
    }

    #[test]
    fn no_text_makes_the_parser_panic_and_what_parses_is_written_the_same(text in "[A-Za-z0-9._~-]{0,200}") {
        if let Ok(parsed) = SdJwt::parse(&text) {
            prop_assert_eq!(parsed.to_string(), text);
        }
    }
}
