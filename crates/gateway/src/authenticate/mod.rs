//! Who calls: the credential of a request, checked against the directory or against its issuer.

mod binding;
mod cache;
mod caller;
mod issuer;
mod keys;
mod server;
mod token;

use std::sync::Arc;

use http::{HeaderMap, HeaderName, header::AUTHORIZATION};
use identity::{Directory, Holder, KeyRecord, KeyText, Pepper};
use terms::Moment;

pub use self::server::{OwnKeys, OwnTokens};
use self::{binding::Asked, token::TokenFault};
pub(crate) use self::{
    binding::holds_proof,
    caller::{Caller, EndUser, Standing},
    server::ResourceServer,
};
use crate::{
    Shared,
    call::Incoming,
    dialect::{Challenge, Problem},
};

static X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// What an issuer says about the person for whom a workload calls.
///
/// # Source
/// draft-ietf-oauth-transaction-tokens, section 8 (the header that carries one).
static TXN_TOKEN: HeaderName = HeaderName::from_static("txn-token");

/// How every API key begins.
const KEY_PREFIX: &[u8] = b"ex_";

/// How a credential was sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Scheme {
    /// As `authorization: Bearer`, or as `x-api-key`.
    Bearer,
    /// As `authorization: DPoP`.
    Dpop,
}

/// The one credential of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Presented<'a> {
    scheme: Scheme,
    text: &'a str,
}

/// Authenticates a request by its one credential: an API key, or an access token of a trusted issuer.
///
/// # Errors
///
/// [`Problem::Unauthenticated`] if there is none, more than one, or one that is not known or whose secret is wrong (told
/// apart to nobody); [`Problem::Challenged`] if it must be presented otherwise; [`Problem::BadRequest`] for a certificate
/// or an assertion that has no business here; [`Problem::Overloaded`] if whoever could verify it cannot be reached.
pub(crate) async fn authenticate(shared: &Shared, incoming: &Incoming) -> Result<Caller, Problem> {
    let (headers, server) = (incoming.headers(), &shared.oauth);
    let presented = presented(headers)?;
    let certificate = client_certificate(server, incoming)?;
    let asked = Asked { method: &incoming.parts.method, uri: &incoming.parts.uri, headers, certificate };
    let caller = match presented.text.as_bytes().starts_with(KEY_PREFIX) || !server.takes_tokens() {
        true => by_key(shared, &presented, &asked)?,
        // Boxed, so that a call with an API key takes no room for what a token needs.
        false => Box::pin(by_token(shared, &presented, &asked)).await?,
    };
    match headers.contains_key(&TXN_TOKEN) {
        true => Box::pin(for_end_user(shared, caller, headers)).await,
        false => Ok(caller),
    }
}

/// Returns the SHA-256 of the certificate whose key the client proved to hold.
///
/// # Errors
///
/// [`Problem::BadRequest`] for a `Client-Cert` header from anybody but a trusted proxy.
pub(crate) fn client_certificate(server: &ResourceServer, incoming: &Incoming) -> Result<Option<[u8; 32]>, Problem> {
    binding::certificate(incoming.headers(), &incoming.peer, &server.trusted_proxies)
}

fn by_key(shared: &Shared, presented: &Presented<'_>, asked: &Asked<'_>) -> Result<Caller, Problem> {
    let key = known_key(presented.text.as_bytes(), &shared.directory, &shared.pepper)?;
    if key.confirmation.is_some() || presented.scheme == Scheme::Dpop {
        let confirmations = key.confirmation.as_slice();
        shared.oauth.confirm(confirmations, presented, asked, shared.clock.now())?;
    }
    Ok(Caller::of_key(key))
}

fn known_key(text: &[u8], directory: &Directory, pepper: &Pepper) -> Result<Arc<KeyRecord>, Problem> {
    let presented = KeyText::parse(text).map_err(|fault| Problem::Unauthenticated { fault: fault.to_string() })?;
    let unknown = || Problem::Unauthenticated { fault: "the API key is not known".to_owned() };
    let Some(key) = directory.key(&presented.id()) else {
        // The same work as for a known key, so that time does not tell which ids exist.
        let _ = pepper.matches(&presented, &[0; 32]);
        return Err(unknown());
    };
    if pepper.matches(&presented, &key.digest) { Ok(key) } else { Err(unknown()) }
}

async fn by_token(shared: &Shared, presented: &Presented<'_>, asked: &Asked<'_>) -> Result<Caller, Problem> {
    let now = shared.clock.now();
    let token = shared.oauth.access_token(presented.text, now).await.map_err(problem)?;
    shared.oauth.confirm(&token.confirmations, presented, asked, now)?;
    Ok(Caller::of_token(token))
}

/// Learns for whom a workload calls.
async fn for_end_user(shared: &Shared, caller: Caller, headers: &HeaderMap) -> Result<Caller, Problem> {
    let mut assertions = headers.get_all(&TXN_TOKEN).iter();
    let (Some(assertion), None) = (assertions.next(), assertions.next()) else {
        return Err(Problem::bad_request("the header `txn-token` came more than once"));
    };
    let Holder::Workload { workload } = caller.holder(&shared.directory) else {
        return Err(Problem::bad_request("the header `txn-token` is for workloads; this credential is no workload's"));
    };
    let text = assertion.to_str().map_err(|_| Problem::bad_request("the header `txn-token` is not a JWT"))?;
    let end_user = shared.oauth.end_user(&workload, text, shared.clock.now()).await.map_err(problem)?;
    Ok(caller.on_behalf_of(Arc::new(end_user)))
}

fn presented(headers: &HeaderMap) -> Result<Presented<'_>, Problem> {
    let refuse = |fault: &str| Err(Problem::Unauthenticated { fault: fault.to_owned() });
    let bearer = headers.get_all(AUTHORIZATION).iter().map(|value| authorization(value.to_str().ok()?));
    let api_key = headers.get_all(&X_API_KEY).iter().map(|value| {
        let text = value.to_str().ok()?;
        Some(Presented { scheme: Scheme::Bearer, text })
    });
    let mut all = bearer.chain(api_key);
    match (all.next(), all.next()) {
        (None, _) => refuse("no API key: send it as `authorization: Bearer` or as `x-api-key`"),
        (Some(None), _) => refuse("the credential is neither `authorization: Bearer` or `DPoP` nor `x-api-key`"),
        (Some(Some(one)), None) => Ok(one),
        (Some(Some(one)), Some(Some(same))) if one == same && all.next().is_none() => Ok(one),
        _ => refuse("more than one credential: send one"),
    }
}

fn authorization(value: &str) -> Option<Presented<'_>> {
    let (scheme, text) = value.split_once(' ')?;
    let scheme = match scheme {
        _ if scheme.eq_ignore_ascii_case("bearer") => Scheme::Bearer,
        _ if scheme.eq_ignore_ascii_case("dpop") => Scheme::Dpop,
        _ => return None,
    };
    Some(Presented { scheme, text: text.trim_ascii() })
}

fn problem(fault: TokenFault) -> Problem {
    let challenge = match &fault {
        TokenFault::Unavailable => return Problem::Overloaded { retry_after: 1 },
        TokenFault::Scope(scope) => Challenge::InsufficientScope { scope: scope.clone() },
        _ => Challenge::InvalidToken,
    };
    Problem::Challenged { fault: fault.to_string(), challenge }
}

impl ResourceServer {
    /// Returns what would let a refused caller in, if that is to authenticate anew.
    ///
    /// # Source
    /// RFC 9470 section 3.
    pub(crate) fn step_up(&self, caller: &Caller, now: Moment) -> Option<Problem> {
        caller.tokens().any(|token| token.known_until <= now).then(|| Problem::Challenged {
            fault: "whoever the token speaks for must authenticate again to use this model".to_owned(),
            challenge: Challenge::StepUp {
                max_age: self.settings.authentication().as_secs(),
                acr_values: self.settings.acr_values.join(" "),
            },
        })
    }
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
            let headers = headers(pairs);
            let found = presented(&headers).unwrap();
            assert_eq!((found.scheme, found.text), (Scheme::Bearer, "k"), "{pairs:?}");
        }
    }

    #[test]
    fn a_bound_credential_comes_with_a_scheme_of_its_own() {
        let found = presented(&headers(&[("authorization", "dpop k")])).map(|found| found.scheme);
        assert_eq!(found.unwrap(), Scheme::Dpop);
    }

    #[test]
    fn no_credential_or_two_different_ones_are_refused() {
        for pairs in [
            &[][..],
            &[("authorization", "Basic a2V5")],
            &[("authorization", "DPoP k"), ("authorization", "Bearer k")],
            &[("authorization", "DPoP k"), ("x-api-key", "k")],
            &[("authorization", "Bearer k"), ("x-api-key", "other")],
            &[("authorization", "Bearer k"), ("authorization", "Bearer other")],
            &[("authorization", "Bearer k"), ("authorization", "Bearer k"), ("x-api-key", "k")],
        ] {
            assert!(presented(&headers(pairs)).is_err(), "{pairs:?}");
        }
    }
}
