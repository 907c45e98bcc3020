//! The endpoints at which receivers call.
//!
//! # Source
//!
//! OpenID Shared Signals Framework 1.0, sections 7 and 8.1.

use axum::{
    Json, Router,
    body::{Body, to_bytes},
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use jose::{Object, json::parse_object};
use secevent::stream::{AuthorizationScheme, Metadata, well_known};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Transmitter, client::Scope, manage::Manner, poll, refusal::Refusal, stream};

/// The longest body, in bytes.
const BODY_MAX: usize = 64 << 10;

const METADATA: &str = "/.well-known/ssf-configuration";
const JWKS: &str = "/ssf/jwks.json";
const STREAM: &str = "/ssf/stream";
const STATUS: &str = "/ssf/status";
const ADD: &str = "/ssf/subjects/add";
const REMOVE: &str = "/ssf/subjects/remove";
const VERIFICATION: &str = "/ssf/verification";

pub(super) fn router(transmitter: Transmitter) -> Router {
    Router::new()
        .route(&metadata_path(&transmitter.settings().base_url), get(metadata))
        .route(JWKS, get(jwks))
        .route(STREAM, get(read).post(create).patch(update).put(replace).delete(delete))
        .route(STATUS, get(status).post(set_status))
        .route(ADD, post(add_subject))
        .route(REMOVE, post(remove_subject))
        .route(VERIFICATION, post(verification))
        .route("/ssf/poll/{stream}", post(poll::poll))
        .with_state(transmitter)
}

/// The path of an issuer stands behind the well-known name; whoever forwards requests here cuts it off the others.
fn metadata_path(issuer: &str) -> String {
    let url = well_known(issuer, "ssf-configuration").unwrap_or_default();
    let path = url.find(METADATA).and_then(|at| url.get(at..));
    path.unwrap_or(METADATA).to_owned()
}

#[derive(serde::Deserialize)]
struct Named {
    stream_id: Option<String>,
}

type Asked = Result<Query<Named>, QueryRejection>;
type Answer = Result<Response, Refusal>;

async fn metadata(State(transmitter): State<Transmitter>) -> Response {
    let at = |path: &str| Some(format!("{}{path}", transmitter.settings().base_url));
    let scheme = |urn: &str| AuthorizationScheme { spec_urn: urn.to_owned() };
    let tokens = transmitter.0.parts.tokens.is_some().then(|| scheme("urn:ietf:rfc:6749"));
    let document = Metadata {
        spec_version: Some("1_0".to_owned()),
        issuer: transmitter.settings().base_url.clone(),
        jwks_uri: at(JWKS),
        delivery_methods_supported: stream::methods(),
        configuration_endpoint: at(STREAM),
        status_endpoint: at(STATUS),
        add_subject_endpoint: at(ADD),
        remove_subject_endpoint: at(REMOVE),
        verification_endpoint: at(VERIFICATION),
        critical_subject_members: Vec::new(),
        authorization_schemes: tokens.into_iter().chain([scheme("urn:ietf:rfc:6750")]).collect(),
        default_subjects: None,
    };
    Json(document).into_response()
}

async fn jwks(State(transmitter): State<Transmitter>) -> Response {
    // A key is published a day before it signs, so a set may be kept for an hour.
    let kept = [(header::CACHE_CONTROL, HeaderValue::from_static("max-age=3600"))];
    (kept, Json(transmitter.0.keyring.public().to_value())).into_response()
}

async fn create(State(transmitter): State<Transmitter>, headers: HeaderMap, body: Body) -> Answer {
    let client = transmitter.caller(&headers, Scope::Manage).await?;
    let made = transmitter.create(client, object(body).await?).await?;
    Ok(uncached((StatusCode::CREATED, Json(made)).into_response()))
}

async fn read(State(transmitter): State<Transmitter>, headers: HeaderMap, query: Asked) -> Answer {
    let client = transmitter.caller(&headers, Scope::Read).await?;
    match id(query)? {
        Some(id) => Ok(answer(transmitter.read(client, id).await?)),
        None => Ok(answer(transmitter.list(client).await?)),
    }
}

async fn update(state: State<Transmitter>, headers: HeaderMap, body: Body) -> Answer {
    change(state.0, &headers, body, Manner::Update).await
}

async fn replace(state: State<Transmitter>, headers: HeaderMap, body: Body) -> Answer {
    change(state.0, &headers, body, Manner::Replace).await
}

async fn change(transmitter: Transmitter, headers: &HeaderMap, body: Body, manner: Manner) -> Answer {
    let client = transmitter.caller(headers, Scope::Manage).await?;
    Ok(answer(transmitter.change(client, object(body).await?, manner).await?))
}

async fn delete(State(transmitter): State<Transmitter>, headers: HeaderMap, query: Asked) -> Answer {
    let client = transmitter.caller(&headers, Scope::Manage).await?;
    transmitter.delete(client, needed(query)?).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn status(State(transmitter): State<Transmitter>, headers: HeaderMap, query: Asked) -> Answer {
    let client = transmitter.caller(&headers, Scope::Read).await?;
    Ok(answer(transmitter.status(client, needed(query)?).await?))
}

async fn set_status(State(transmitter): State<Transmitter>, headers: HeaderMap, body: Body) -> Answer {
    let client = transmitter.caller(&headers, Scope::Manage).await?;
    Ok(answer(transmitter.request_status(client, parsed(body).await?).await?))
}

async fn add_subject(State(transmitter): State<Transmitter>, headers: HeaderMap, body: Body) -> Answer {
    let client = transmitter.caller(&headers, Scope::Manage).await?;
    transmitter.add_subject(client, parsed(body).await?).await?;
    Ok(StatusCode::OK.into_response())
}

async fn remove_subject(State(transmitter): State<Transmitter>, headers: HeaderMap, body: Body) -> Answer {
    let client = transmitter.caller(&headers, Scope::Manage).await?;
    transmitter.remove_subject(client, parsed(body).await?).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn verification(State(transmitter): State<Transmitter>, headers: HeaderMap, body: Body) -> Answer {
    let client = transmitter.caller(&headers, Scope::Manage).await?;
    transmitter.request_verification(client, parsed(body).await?).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn id(query: Asked) -> Result<Option<String>, Refusal> {
    let named = query.map_err(|error| Refusal::invalid(error.body_text()))?;
    Ok(named.0.stream_id)
}

fn needed(query: Asked) -> Result<String, Refusal> {
    id(query)?.ok_or_else(|| Refusal::invalid("`stream_id` must name the stream"))
}

/// Reads a body: one JSON object in which no member stands twice.
async fn object(body: Body) -> Result<Object, Refusal> {
    let bytes = to_bytes(body, BODY_MAX).await;
    let bytes = bytes.map_err(|_| Refusal::Invalid(format!("the body must have at most {BODY_MAX} bytes")))?;
    parse_object(&bytes, BODY_MAX).map_err(|fault| Refusal::Invalid(format!("the body cannot be read: {fault}")))
}

/// Reads a body of one kind.
pub(super) async fn parsed<T: DeserializeOwned>(body: Body) -> Result<T, Refusal> {
    let object = Value::Object(object(body).await?);
    serde_json::from_value(object).map_err(|error| Refusal::Invalid(format!("the body cannot be read: {error}")))
}

fn answer(document: impl serde::Serialize) -> Response {
    uncached(Json(document).into_response())
}

/// Says that a response is for nobody else.
pub(super) fn uncached(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_are_where_the_issuer_says() {
        assert_eq!(metadata_path("https://tr.example"), "/.well-known/ssf-configuration");
        assert_eq!(metadata_path("https://tr.example/a/b"), "/.well-known/ssf-configuration/a/b");
    }
}
