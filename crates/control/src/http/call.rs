//! One request: authenticated before its body is read, carried out on a blocking thread, done once however often sent.

use std::{collections::BTreeMap, time::Duration};

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{FromRequest, FromRequestParts, Query, RawPathParams, Request},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use super::problem::Problem;
use crate::{
    Actor, Admin, Control, Fault, FieldFault,
    access::Refused,
    control::lock,
    store::{Answered, IdempotencyKey, Page},
};

/// The longest body, in bytes. The largest document is an approval list: 10,000 grantees of 100 bytes.
const BODY_BYTES_MAX: usize = 1 << 20;
/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(30);
/// Items of one page when no limit is given, and at most.
const PAGE: (u32, u32) = (100, 500);
/// The longest `Idempotency-Key`, in bytes.
const KEY_BYTES_MAX: usize = 128;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// An authenticated request.
pub(super) struct Call {
    control: Control,
    actor: Actor,
    sent: Sent,
    idempotency: Option<IdempotencyKey>,
}

/// What the caller sent.
pub(super) struct Sent {
    method: String,
    uri: Uri,
    params: BTreeMap<String, String>,
    body: Bytes,
}

/// What the caller is told when the request was done.
pub(super) struct Answer {
    status: StatusCode,
    body: String,
    /// What a repetition is told, where that differs: the same without the secret.
    kept: Option<String>,
}

impl Answer {
    pub(super) fn ok(body: &impl Serialize) -> Result<Self, Fault> {
        Self::new(StatusCode::OK, body)
    }

    pub(super) fn accepted(body: &impl Serialize) -> Result<Self, Fault> {
        Self::new(StatusCode::ACCEPTED, body)
    }

    pub(super) fn created(body: &impl Serialize) -> Result<Self, Fault> {
        Self::new(StatusCode::CREATED, body)
    }

    /// Answers with a secret in `body` and none in `kept`.
    pub(super) fn secret(body: &impl Serialize, kept: &impl Serialize) -> Result<Self, Fault> {
        let mut answer = Self::created(body)?;
        answer.kept = Some(to_json(kept)?);
        Ok(answer)
    }

    fn new(status: StatusCode, body: &impl Serialize) -> Result<Self, Fault> {
        Ok(Self { status, body: to_json(body)?, kept: None })
    }
}

fn to_json(body: &impl Serialize) -> Result<String, Fault> {
    serde_json::to_string(body).map_err(Fault::Unwritable)
}

impl Sent {
    /// Reads the body as JSON; unknown fields are refused by name.
    pub(super) fn body<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        let mut json = serde_json::Deserializer::from_slice(&self.body);
        let parsed =
            serde_path_to_error::deserialize(&mut json).map_err(|error| Fault::Malformed(field_fault(&error)))?;
        json.end().map_err(|error| Fault::Malformed(FieldFault::new("", error.to_string())))?;
        Ok(parsed)
    }

    /// Like [`Sent::body`], for requests whose every field may be absent: so may the body.
    pub(super) fn body_or_default<T: DeserializeOwned + Default>(&self) -> Result<T, Fault> {
        match self.body.is_empty() {
            true => Ok(T::default()),
            false => self.body(),
        }
    }

    /// Returns the body's bytes, for documents that `policy` parses.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// Parses the part of the path that stands for `name`.
    pub(super) fn param<T>(&self, name: &str) -> Result<T, Fault>
    where
        T: std::str::FromStr<Err: std::fmt::Display>,
    {
        let text = self.params.get(name).map(String::as_str).unwrap_or_default();
        text.parse().map_err(|error: T::Err| Fault::Malformed(FieldFault::new(name, error.to_string())))
    }

    pub(super) fn query<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        let Query(query) = Query::try_from_uri(&self.uri).map_err(|error| {
            let detail = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            Fault::Malformed(FieldFault::new(quoted(&detail).unwrap_or("query"), &*detail))
        })?;
        Ok(query)
    }

    fn digest(&self) -> [u8; 32] {
        let target = self.uri.path_and_query().map_or("", |target| target.as_str());
        let mut hash = Sha256::new();
        for part in [self.method.as_bytes(), target.as_bytes(), &self.body] {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }
}

/// Which page of a list.
#[derive(serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// The `next` of the page before; absent for the first page.
    after: Option<String>,
    /// At most this many items, 1 to 500; 100 if absent.
    limit: Option<u32>,
}

impl ListQuery {
    pub(super) fn page(self) -> Result<Page, Fault> {
        page(self.after, self.limit)
    }
}

/// Which page of a list, of one person or of everybody.
#[derive(serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PersonQuery {
    /// Only of this person.
    person: Option<String>,
    /// The `next` of the page before; absent for the first page.
    after: Option<String>,
    /// At most this many items, 1 to 500; 100 if absent.
    limit: Option<u32>,
}

impl PersonQuery {
    pub(super) fn page(self) -> Result<(Option<String>, Page), Fault> {
        Ok((self.person, page(self.after, self.limit)?))
    }
}

fn page(after: Option<String>, limit: Option<u32>) -> Result<Page, Fault> {
    let (usual, most) = PAGE;
    let limit = limit.unwrap_or(usual);
    if !(1..=most).contains(&limit) {
        let detail = format!("must be 1 to {most}");
        return Err(Fault::Malformed(FieldFault::new("limit", detail)));
    }
    let after = after.unwrap_or_default();
    Ok(Page { after, limit })
}

impl FromRequest<Control> for Call {
    type Rejection = Problem;

    async fn from_request(request: Request, control: &Control) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let actor = authenticate(control, &parts).await?;
        let sent = receive(&mut parts, body).await?;
        let idempotency = idempotency(&parts.headers, &actor, &sent)?;
        Ok(Self { control: control.clone(), actor, sent, idempotency })
    }
}

impl Call {
    /// Returns the control plane, for work that outlives the request.
    pub(super) fn control(&self) -> Control {
        self.control.clone()
    }

    /// Does what the request asks, on a thread that may block, and answers.
    pub(super) async fn run(
        self,
        act: impl FnOnce(&Admin<'_>, &Sent) -> Result<Answer, Fault> + Send + 'static,
    ) -> Response {
        let done = tokio::task::spawn_blocking(move || self.run_blocking(act)).await;
        done.unwrap_or_else(|_| Problem::internal().into_response())
    }

    fn run_blocking(self, act: impl FnOnce(&Admin<'_>, &Sent) -> Result<Answer, Fault>) -> Response {
        let Some(key) = &self.idempotency else {
            return self.act(act).map_or_else(Problem::into_response, respond);
        };
        let inner = &self.control.0;
        let _one_at_a_time = lock(&inner.repeated);
        let now = inner.clock.now();
        let answered = inner.peek().store.answered(key, now);
        match answered {
            Err(error) => Problem::from(Fault::Store(error)).into_response(),
            Ok(Some(answered)) => repeat(&answered, key),
            Ok(None) => self.act_and_keep(key, act),
        }
    }

    fn act_and_keep(
        &self,
        key: &IdempotencyKey,
        act: impl FnOnce(&Admin<'_>, &Sent) -> Result<Answer, Fault>,
    ) -> Response {
        let answer = match self.act(act) {
            Ok(answer) => answer,
            Err(problem) => return problem.into_response(),
        };
        let inner = &self.control.0;
        let body = answer.kept.as_ref().unwrap_or(&answer.body);
        let status = answer.status.as_u16();
        let kept = inner.peek().store.keep_answer(key, status, body, inner.clock.now());
        if let Err(error) = kept {
            tracing::warn!(%error, "the answer to an idempotent request was not kept");
        }
        respond(answer)
    }

    fn act(&self, act: impl FnOnce(&Admin<'_>, &Sent) -> Result<Answer, Fault>) -> Result<Answer, Problem> {
        let admin = self.control.admin(&self.actor);
        act(&admin, &self.sent).map_err(|fault| {
            if matches!(fault, Fault::Forbidden { .. }) {
                let refused =
                    Refused { actor: Some(&self.actor), method: &self.sent.method, path: self.sent.uri.path() };
                self.control.0.note_refusal(&refused, &fault);
            }
            Problem::from(fault)
        })
    }
}

async fn authenticate(control: &Control, parts: &Parts) -> Result<Actor, Problem> {
    let header = parts.headers.get(header::AUTHORIZATION);
    let fault = match control.0.authenticate(header.map(HeaderValue::as_bytes)) {
        Ok(actor) => return Ok(actor),
        Err(fault) => fault,
    };
    let (control, method) = (control.clone(), parts.method.to_string());
    let path = parts.uri.path().to_owned();
    let noted = tokio::task::spawn_blocking(move || {
        let refused = Refused { actor: None, method: &method, path: &path };
        control.0.note_refusal(&refused, &fault);
        Problem::from(fault)
    });
    Err(noted.await.unwrap_or_else(|_| Problem::internal()))
}

async fn receive(parts: &mut Parts, body: Body) -> Result<Sent, Problem> {
    let params = RawPathParams::from_request_parts(parts, &()).await.map_err(|_| Problem::not_found())?;
    let params = params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let body = tokio::time::timeout(BODY_TIME, read_body(body)).await.map_err(|_| Problem::body_unreadable())??;
    if !body.is_empty() && !is_json(&parts.headers) {
        return Err(Problem::unsupported_media());
    }
    Ok(Sent { method: parts.method.to_string(), uri: parts.uri.clone(), params, body })
}

async fn read_body(body: Body) -> Result<Bytes, Problem> {
    to_bytes(body, BODY_BYTES_MAX).await.map_err(|_| Problem::too_large(BODY_BYTES_MAX))
}

fn is_json(headers: &HeaderMap) -> bool {
    let media = headers.get(header::CONTENT_TYPE);
    let media = media.and_then(|media| media.to_str().ok());
    let essence = media.and_then(|media| media.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

fn idempotency(headers: &HeaderMap, actor: &Actor, sent: &Sent) -> Result<Option<IdempotencyKey>, Problem> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY).filter(|_| sent.method == "POST") else {
        return Ok(None);
    };
    let key = value.to_str().unwrap_or_default();
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        let detail = "must be 1 to 128 visible ASCII characters";
        let fault = FieldFault::new("Idempotency-Key", detail);
        return Err(Fault::Malformed(fault).into());
    }
    Ok(Some(IdempotencyKey { actor: actor.name().to_owned(), key: key.to_owned(), request: sent.digest() }))
}

fn repeat(answered: &Answered, key: &IdempotencyKey) -> Response {
    if answered.request != key.request {
        return Problem::key_reused().into_response();
    }
    let status = StatusCode::from_u16(answered.status).unwrap_or(StatusCode::OK);
    let mut response = json(status, answered.body.clone());
    let replayed = HeaderValue::from_static("true");
    response.headers_mut().insert(IDEMPOTENCY_REPLAYED, replayed);
    response
}

fn respond(answer: Answer) -> Response {
    json(answer.status, answer.body)
}

fn json(status: StatusCode, body: String) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (status, headers, body).into_response()
}

/// Names the field by its path; of an unknown or missing field, the path that it would have.
fn field_fault(error: &serde_path_to_error::Error<serde_json::Error>) -> FieldFault {
    let detail = error.inner().to_string();
    let path = error.path().to_string();
    let path = if path == "." { "" } else { path.as_str() };
    let names = ["unknown field", "missing field", "duplicate field"];
    let is_named = names.iter().any(|start| detail.starts_with(start));
    let named = quoted(&detail).filter(|name| is_named && !path.ends_with(name));
    let field = match (path, named) {
        (path, None) => path.to_owned(),
        ("", Some(name)) => name.to_owned(),
        (path, Some(name)) => format!("{path}.{name}"),
    };
    FieldFault { field, detail }
}

/// Returns what stands between the first two backticks.
fn quoted(text: &str) -> Option<&str> {
    text.split('`').nth(1)
}
