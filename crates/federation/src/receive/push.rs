//! Tokens that are pushed.
//!
//! # Source
//! RFC 8935.

use axum::{
    Json,
    body::{Body, to_bytes},
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use secevent::{
    ErrorCode,
    stream::{MEDIA_TYPE, SetError},
};
use terms::ChannelId;

use super::{
    Receiver,
    accept::Refusal,
    settings::{self, Known, Receive},
};

/// The longest body, in bytes; as long as a token may be.
pub(super) const LONGEST_BODY: usize = 64 * 1024;

/// Takes in the one token of the body: 202 without a body once it is durable and in effect, as if it were new even if it
/// came before; 400 with a code if it is refused; 503 if it is to be sent again.
pub(super) async fn push(
    State(receiver): State<Receiver>,
    Path(channel): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let known = match receiver.addressed(&channel).await {
        Ok(known) => known,
        Err(status) => return status.into_response(),
    };
    match take_in(&receiver, &known, &headers, body).await {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(Answer::Told(error)) => told(&known.channel.id, error),
        Err(Answer::Status(status)) => status.into_response(),
    }
}

/// How a push is refused.
enum Answer {
    Told(SetError),
    Status(StatusCode),
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        match refusal.told() {
            Some(error) => Self::Told(error),
            None => {
                tracing::warn!(why = %refusal, "a pushed token could not be taken in");
                Self::Status(StatusCode::SERVICE_UNAVAILABLE)
            }
        }
    }
}

async fn take_in(receiver: &Receiver, known: &Known, headers: &HeaderMap, body: Body) -> Result<(), Answer> {
    let told = |err, description: &str| Answer::Told(SetError { err, description: description.to_owned() });
    authorized(receiver, known, headers)?;
    if !is_set(headers) {
        return Err(told(ErrorCode::InvalidRequest, "the content type must be `application/secevent+jwt`"));
    }
    let body = to_bytes(body, LONGEST_BODY).await.map_err(|_| Answer::Status(StatusCode::PAYLOAD_TOO_LARGE))?;
    let token = std::str::from_utf8(&body).map_err(|_| told(ErrorCode::InvalidRequest, "the body is not a token"))?;
    Ok(receiver.accept(known, token).await?)
}

/// Checks the header that the stream was given, if it was given one.
fn authorized(receiver: &Receiver, known: &Known, headers: &HeaderMap) -> Result<(), Answer> {
    let Receive::Push { authorization: Some(name) } = &known.settings.delivery else { return Ok(()) };
    let secret = receiver.secrets().read(name).map_err(|fault| Refusal::Unavailable(fault.to_string()))?;
    let given = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    if given.is_some_and(|given| settings::is_secret(given, secret.as_bytes())) {
        return Ok(());
    }
    let description = "the `Authorization` of this stream is missing or wrong".to_owned();
    Err(Answer::Told(SetError { err: ErrorCode::AuthenticationFailed, description }))
}

fn is_set(headers: &HeaderMap) -> bool {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = given.and_then(|given| given.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(MEDIA_TYPE))
}

fn told(channel: &ChannelId, error: SetError) -> Response {
    tracing::warn!(%channel, err = %error.err, why = error.description, "a pushed token was refused");
    let language = [(header::CONTENT_LANGUAGE, HeaderValue::from_static("en"))];
    (StatusCode::BAD_REQUEST, language, Json(error)).into_response()
}
