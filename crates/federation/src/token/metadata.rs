//! What is published about us: keys and metadata.

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use jose::Alg;
use serde_json::{Value, json};

use super::{TokenService, grant::GRANTS, refusal::Refusal};

/// For how long our keys and metadata may be kept, in seconds: much shorter than the day for which a key is published
/// before it signs.
const CACHED: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// Returns the metadata of the resource `resource`, whose tokens `authorization_server` issues and asks `scopes` for.
///
/// # Source
///
/// RFC 9728 section 2.
#[must_use]
pub fn protected_resource_metadata(resource: &str, authorization_server: &str, scopes: &[&str]) -> Value {
    json!({
        "resource": resource,
        "authorization_servers": [authorization_server],
        "jwks_uri": format!("{authorization_server}/oauth/jwks.json"),
        "scopes_supported": scopes,
        "bearer_methods_supported": ["header"],
        "tls_client_certificate_bound_access_tokens": true,
        "dpop_signing_alg_values_supported": algorithms(),
    })
}

/// Answers the public keys of our tokens (RFC 7517 section 5).
pub(super) async fn jwks(State(service): State<TokenService>) -> Result<Response, Refusal> {
    let tended = service.clone();
    let keys = service.blocking(move || tended.tended_keys()).await?;
    Ok(cached(keys.to_value()))
}

/// Answers what can be asked of us, and where (RFC 8414 section 2).
pub(super) async fn authorization_server(State(service): State<TokenService>) -> Response {
    let issuer = &service.0.settings.issuer;
    let methods = ["client_secret_basic", "client_secret_post", "private_key_jwt"];
    cached(json!({
        "issuer": issuer,
        "token_endpoint": format!("{issuer}/oauth/token"),
        "jwks_uri": format!("{issuer}/oauth/jwks.json"),
        "introspection_endpoint": format!("{issuer}/oauth/introspect"),
        "revocation_endpoint": format!("{issuer}/oauth/revoke"),
        "grant_types_supported": GRANTS,
        "response_types_supported": [],
        "scopes_supported": super::client::SCOPES,
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"],
        "token_endpoint_auth_signing_alg_values_supported": algorithms(),
        "introspection_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_signing_alg_values_supported": algorithms(),
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms(),
        "dpop_signing_alg_values_supported": algorithms(),
        "tls_client_certificate_bound_access_tokens": true,
    }))
}

/// Answers what our resource asks of tokens (RFC 9728 section 3).
pub(super) async fn protected_resource(State(service): State<TokenService>) -> Response {
    let settings = &service.0.settings;
    cached(protected_resource_metadata(&settings.resource, &settings.issuer, &[]))
}

impl TokenService {
    /// Returns the public keys, after those that are due were made or forgotten. May write files.
    fn tended_keys(&self) -> Result<jose::Jwks, Refusal> {
        if let Err(fault) = self.0.keyring.tend(self.now()) {
            // What is published already stays good; the fault comes up again when a token is to be signed.
            tracing::error!(%fault, "the signing keys cannot be rotated");
        }
        Ok(self.jwks())
    }
}

fn algorithms() -> Vec<&'static str> {
    Alg::ALL.iter().map(|alg| alg.name()).collect()
}

fn cached(body: Value) -> Response {
    let mut response = Json(body).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, CACHED);
    response
}
