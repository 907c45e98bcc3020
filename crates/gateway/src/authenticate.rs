//! Who calls: the credential of a request, checked against the directory.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, header::AUTHORIZATION};
use identity::{Directory, KeyRecord, KeyText, Pepper};

use crate::dialect::Problem;

static X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// An authenticated credential. What stands behind it is looked up when it is decided on, each time anew.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The key as the directory holds it; it may be expired or revoked, which the decision refuses and records.
    pub(crate) key: Arc<KeyRecord>,
}

/// Authenticates a request by the one API key in `authorization: Bearer` or `x-api-key`.
///
/// # Errors
///
/// [`Problem::Unauthenticated`] if there is none, more than one, or one that the directory does not know or
/// whose secret is wrong (told apart to nobody).
pub(crate) fn authenticate(headers: &HeaderMap, directory: &Directory, pepper: &Pepper) -> Result<Caller, Problem> {
    let presented =
        KeyText::parse(presented(headers)?).map_err(|fault| Problem::Unauthenticated { fault: fault.to_string() })?;
    let unknown = || Problem::Unauthenticated { fault: "the API key is not known".to_owned() };
    let Some(key) = directory.key(&presented.id()) else {
        // The same work as for a known key, so that time does not tell which ids exist.
        let _ = pepper.matches(&presented, &[0; 32]);
        return Err(unknown());
    };
    if pepper.matches(&presented, &key.digest) { Ok(Caller { key }) } else { Err(unknown()) }
}

fn presented(headers: &HeaderMap) -> Result<&[u8], Problem> {
    let refuse = |fault: &str| Err(Problem::Unauthenticated { fault: fault.to_owned() });
    let bearer = headers.get_all(AUTHORIZATION).iter().map(|value| bearer(value.as_bytes()));
    let api_key = headers.get_all(&X_API_KEY).iter().map(|value| Some(value.as_bytes()));
    let mut all = bearer.chain(api_key);
    match (all.next(), all.next()) {
        (None, _) => refuse("no API key: send it as `authorization: Bearer` or as `x-api-key`"),
        (Some(None), _) => refuse("the `authorization` header is not `Bearer` with an API key"),
        (Some(Some(key)), None) => Ok(key),
        (Some(Some(key)), Some(Some(same))) if key == same && all.next().is_none() => Ok(key),
        _ => refuse("more than one credential: send one"),
    }
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| rest.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn one_credential_in_either_header_or_the_same_in_both_is_taken() {
        for pairs in [
            &[("authorization", "Bearer k")][..],
            &[("authorization", "bearer  k ")],
            &[("x-api-key", "k")],
            &[("authorization", "Bearer k"), ("x-api-key", "k")],
        ] {
            assert_eq!(presented(&headers(pairs)).unwrap(), b"k", "{pairs:?}");
        }
    }

    #[test]
    fn no_credential_or_two_different_ones_are_refused() {
        for pairs in [
            &[][..],
            &[("authorization", "Basic a2V5")],
            &[("authorization", "Bearer k"), ("x-api-key", "other")],
            &[("authorization", "Bearer k"), ("authorization", "Bearer other")],
            &[("authorization", "Bearer k"), ("authorization", "Bearer k"), ("x-api-key", "k")],
        ] {
            assert!(presented(&headers(pairs)).is_err(), "{pairs:?}");
        }
    }
}
