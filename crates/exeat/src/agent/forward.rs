//! One call: the local secret is checked and taken off, a token and a proof are put on, and everything else stays.

use std::sync::Arc;

use anyhow::Context;
use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::{
    grant::{Grant, Grants},
    headers,
    upstream::{Gateway, Kept},
};

/// The longest request, in bytes: what the gateway takes unless it is told otherwise.
const BODY_BYTES_MAX: usize = 32 << 20;
/// Calls under way at once.
const CALLS_MAX: usize = 256;

static X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
static DPOP: HeaderName = HeaderName::from_static("dpop");

/// The agent, as its listener holds it. Cheap to clone.
#[derive(Clone)]
pub(super) struct Agent(Arc<Inner>);

struct Inner {
    secret: Zeroizing<String>,
    grants: Grants,
    gateway: Gateway,
    calls: Semaphore,
}

/// What the caller is told when there is no answer of the gateway's.
struct Problem {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Agent {
    pub(super) fn new(secret: Zeroizing<String>, grants: Grants, gateway: Gateway) -> Self {
        Self(Arc::new(Inner { secret, grants, gateway, calls: Semaphore::new(CALLS_MAX) }))
    }

    /// Tells whether a request holds the local secret and nothing else in its place.
    fn is_local(&self, headers: &HeaderMap) -> bool {
        let bearer = headers.get_all(header::AUTHORIZATION).iter().map(|value| bearer(value.as_bytes()));
        let keys = headers.get_all(&X_API_KEY).iter().map(|value| Some(value.as_bytes()));
        let mut sent = bearer.chain(keys).peekable();
        let is_secret = |sent: Option<&[u8]>| sent.is_some_and(|sent| sent.ct_eq(self.0.secret.as_bytes()).into());
        sent.peek().is_some() && sent.all(is_secret)
    }

    /// Sends the call, once more if the gateway asks for its nonce or no longer takes the token.
    async fn send(&self, call: &Call) -> anyhow::Result<http::Response<Kept>> {
        let grant = self.0.grants.current(&self.0.gateway).await?;
        let response = self.send_with(call, &grant).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            self.0.grants.learn(response.headers());
            return Ok(response);
        }
        if self.0.grants.learn(response.headers()) {
            return self.send_with(call, &grant).await;
        }
        self.0.grants.forget(&grant).await;
        let renewed = self.0.grants.current(&self.0.gateway).await?;
        if *renewed.text == *grant.text {
            return Ok(response);
        }
        self.send_with(call, &renewed).await
    }

    async fn send_with(&self, call: &Call, grant: &Grant) -> anyhow::Result<http::Response<Kept>> {
        let mut headers = call.headers.clone();
        let token = Zeroizing::new(format!("DPoP {}", grant.text.as_str()));
        let mut token = HeaderValue::try_from(token.as_str()).context("the token is not one line of text")?;
        token.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, token);
        let url = self.0.gateway.url_of(&call.path);
        let proof = self.0.grants.prove(&call.method, &url, Some(grant.text.as_str()))?;
        headers.insert(&DPOP, proof);
        self.0.gateway.send(call.method.clone(), &call.path, headers, call.body.clone()).await
    }
}

/// A request as it goes on.
struct Call {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

/// Passes one request on to the gateway and its answer back, as it comes.
pub(super) async fn forward(State(agent): State<Agent>, request: Request) -> Response {
    match pass(&agent, request).await {
        Ok(response) => response.map(Body::new),
        Err(problem) => problem.into_response(),
    }
}

async fn pass(agent: &Agent, request: Request) -> Result<http::Response<Kept>, Problem> {
    if !agent.is_local(request.headers()) {
        return Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "invalid_api_key",
            "the agent's local secret is not in this request: use the content of its file `secret`, which changes at \
             each start, as the API key",
        ));
    }
    let Ok(_slot) = agent.0.calls.try_acquire() else {
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", "too many calls are under way"));
    };
    let call = read(request).await?;
    let sent = agent.send(&call).await;
    let mut response = sent.map_err(|error| {
        tracing::warn!(error = format!("{error:#}"), "a call was not passed on");
        Problem::new(StatusCode::BAD_GATEWAY, "agent_unavailable", format!("the agent cannot pass this on: {error:#}"))
    })?;
    *response.headers_mut() = headers::to_caller(response.headers());
    Ok(response)
}

async fn read(request: Request) -> Result<Call, Problem> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let body = to_bytes(body, BODY_BYTES_MAX).await.map_err(|_| {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "request_too_large",
            "the request is larger than 32 MiB, or broke off",
        )
    })?;
    Ok(Call { method: parts.method, path, headers: headers::to_gateway(&parts.headers), body })
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }
}

impl IntoResponse for Problem {
    /// Both SDK families read `error.type` and `error.message`.
    fn into_response(self) -> Response {
        let error = serde_json::json!({ "type": self.code, "code": self.code, "message": self.message, "param": null });
        let body = axum::Json(serde_json::json!({ "type": "error", "error": error }));
        (self.status, body).into_response()
    }
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| rest.trim_ascii())
}
