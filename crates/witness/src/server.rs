//! The HTTP interface of a witness.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use terms::Clock;
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

use crate::{Refusal, Witness, request::ADD_CHECKPOINT_BYTES_MAX};

/// Checkpoints that are worked on at a time; the others are told to come back.
const CHECKPOINTS_MAX: usize = 64;
/// Uploads that are worked on at a time; each holds a thread for as long as its client takes.
const UPLOADS_MAX: usize = 16;
/// After so many seconds, whoever was told to come back may.
const RETRY_AFTER: &str = "1";
/// What whoever finds no place is told.
pub(crate) const NO_PLACE: &str = "too many requests are under way: try again\n";
/// How long a client may take to send a checkpoint.
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// What the handlers share.
pub(crate) struct Shared<T> {
    pub(crate) inner: Arc<T>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) checkpoints: Arc<Semaphore>,
    pub(crate) uploads: Arc<Semaphore>,
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            clock: Arc::clone(&self.clock),
            checkpoints: Arc::clone(&self.checkpoints),
            uploads: Arc::clone(&self.uploads),
        }
    }
}

impl<T> Shared<T> {
    pub(crate) fn new(inner: Arc<T>, clock: Arc<dyn Clock>) -> Self {
        let places = |count| Arc::new(Semaphore::new(count));
        Self { inner, clock, checkpoints: places(CHECKPOINTS_MAX), uploads: places(UPLOADS_MAX) }
    }
}

/// Returns the routes of a witness: `POST /add-checkpoint` and `GET /<hash of the origin>/checkpoint`.
///
/// A body is read within 10 s and up to 265 kB; 64 checkpoints are worked on at a time. Connections are the caller's to limit.
pub fn router(witness: Arc<Witness>, clock: Arc<dyn Clock>) -> Router {
    Router::new()
        .route("/add-checkpoint", post(add_checkpoint))
        .route("/{origin}/checkpoint", get(checkpoint))
        .with_state(Shared::new(witness, clock))
}

async fn add_checkpoint(State(shared): State<Shared<Witness>>, body: Body) -> Response {
    let work = |witness: &Witness, body: &[u8], clock: &dyn Clock| witness.add_checkpoint(body, clock.now());
    answer_checkpoint(shared, body, work).await
}

async fn checkpoint(State(shared): State<Shared<Witness>>, Path(origin): Path<String>) -> Response {
    let found = spawn_blocking(move || shared.inner.checkpoint(&origin)).await;
    match found {
        Ok(Some(note)) => text(note.to_string()),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Reads the body of an `add-checkpoint` and answers it as the protocol says.
pub(crate) async fn answer_checkpoint<T: Send + Sync + 'static>(
    shared: Shared<T>,
    body: Body,
    work: impl FnOnce(&T, &[u8], &dyn Clock) -> Result<String, Refusal> + Send + 'static,
) -> Response {
    let Ok(_place) = shared.checkpoints.clone().try_acquire_owned() else {
        return come_back(NO_PLACE);
    };
    let body: Bytes = match timeout(BODY_WITHIN, to_bytes(body, ADD_CHECKPOINT_BYTES_MAX)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return (StatusCode::BAD_REQUEST, "the body cannot be read, or is too long\n").into_response(),
        Err(_) => return StatusCode::REQUEST_TIMEOUT.into_response(),
    };
    let worked = spawn_blocking(move || work(&shared.inner, &body, shared.clock.as_ref())).await;
    match worked {
        Ok(Ok(lines)) => text(lines),
        Ok(Err(refusal)) => refused(&refusal),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The one place where a refusal becomes an answer.
pub(crate) fn refused(refusal: &Refusal) -> Response {
    if let Refusal::Io(error) = refusal {
        tracing::error!(%error, "a checkpoint could not be made durable");
    }
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Refusal::Conflict(size) = refusal {
        return (status, [(header::CONTENT_TYPE, "text/x.tlog.size")], format!("{size}\n")).into_response();
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        return come_back(format!("{refusal}\n"));
    }
    (status, format!("{refusal}\n")).into_response()
}

/// Tells a client to try again in a moment.
pub(crate) fn come_back(why: impl IntoResponse) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, RETRY_AFTER)], why).into_response()
}

pub(crate) fn text(body: String) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], body).into_response()
}
