//! What wallets and the issuers of credentials send.

use serde_json::{Map, Value, json};
use vc::{
    dcql::Query,
    openid4vp::{Answer, Posted, form},
    sd_jwt::{HashAlg, SdJwt, resolve},
    status_list::{Bits, MAX_ENTRIES, MAX_LIST_BYTES, StatusList},
};

/// An SD-JWT that parses is written as it was read, and what its disclosures show has no trace of digests.
pub(crate) fn sd_jwt(bytes: &[u8]) {
    let Some(parsed) = read_sd_jwt(bytes) else { return };
    assert_eq!(parsed.to_string().as_bytes(), bytes);
    let digests: Vec<String> = parsed.disclosures().iter().map(|one| HashAlg::Sha256.digest(one.text())).collect();
    let elements: Vec<Value> = digests.iter().map(|digest| json!({ "...": digest })).collect();
    for payload in [json!({ "_sd": digests }), json!({ "list": elements }), json!({})] {
        let payload: Map<String, Value> = payload.as_object().cloned().unwrap_or_default();
        if let Ok(shown) = resolve(payload, parsed.disclosures(), &["vct"]) {
            assert!(!holds_digests(&Value::Object(shown.claims)));
        }
    }
}

/// Reads an SD-JWT.
pub(crate) fn read_sd_jwt(bytes: &[u8]) -> Option<SdJwt> {
    SdJwt::parse(std::str::from_utf8(bytes).ok()?).ok()
}

fn holds_digests(value: &Value) -> bool {
    match value {
        Value::Object(members) => {
            members.iter().any(|(name, value)| name == "_sd" || name == "..." || holds_digests(value))
        }
        Value::Array(elements) => elements.iter().any(holds_digests),
        _ => false,
    }
}

/// A status list that inflates is within its bounds, and deflates to one that inflates to the same.
pub(crate) fn status_list(bytes: &[u8]) {
    let Some(list) = read_status_list(bytes) else { return };
    assert!(list.entries() <= MAX_ENTRIES && list.entries() * usize::from(u8::from(list.bits())) / 8 <= MAX_LIST_BYTES);
    assert_eq!(StatusList::inflate(list.bits(), &list.deflate()).as_ref(), Ok(&list));
    assert!(list.get(list.entries()).is_err());
}

/// Reads a digit for the bits of an entry and, behind it, a list as its token has it.
pub(crate) fn read_status_list(bytes: &[u8]) -> Option<StatusList> {
    let (bits, lst) = std::str::from_utf8(bytes).ok()?.split_at_checked(1)?;
    StatusList::inflate(Bits::try_from(bits.parse::<u8>().ok()?).ok()?, lst).ok()
}

/// A query that parses is written as one that parses to the same, and no answer at all answers it only if it may.
pub(crate) fn dcql(bytes: &[u8]) {
    if let Ok(query) = Query::parse(bytes) {
        let again = serde_json::to_vec(&query).unwrap_or_default();
        assert_eq!(Query::parse(&again).as_ref(), Ok(&query));
        let optional = query.credential_sets.as_ref().is_some_and(|sets| sets.iter().all(|set| !set.required));
        assert_eq!(query.evaluate(&std::collections::BTreeMap::new()).is_ok(), optional);
    }
}

/// An answer that parses is written as a form that parses to the same.
pub(crate) fn vp_response(bytes: &[u8]) {
    let Ok(posted) = Posted::parse(bytes) else { return };
    assert_eq!(Posted::parse(written(&posted).as_bytes()), Ok(posted));
}

fn written(posted: &Posted) -> String {
    let (name, value, state) = match posted {
        Posted::Encrypted(token) => ("response", token.clone(), None),
        Posted::Open(Answer::Presented { vp_token, state }) => {
            ("vp_token", json!(vp_token).to_string(), state.as_deref())
        }
        Posted::Open(Answer::Refused { error, state }) => ("error", error.clone(), state.as_deref()),
    };
    let fields: Vec<(&str, &str)> =
        [Some((name, value.as_str())), state.map(|state| ("state", state))].into_iter().flatten().collect();
    form::encode(&fields)
}
