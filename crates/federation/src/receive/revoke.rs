//! Global token revocation: an identity provider asks that everything that was begun for one of its users be over.
//!
//! # Source
//! draft-parecki-oauth-global-token-revocation-06; the request is authorized with a JWT that the provider signs.

use std::time::Duration;

use axum::{
    body::{Body, to_bytes},
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use control::Source;
use jose::{Jwks, Skew, json, usage::GLOBAL_TOKEN_REVOCATION};
use secevent::Subject;
use sha2::{Digest, Sha256};
use terms::ChannelId;

use super::{Receiver, accept::Refusal, change::Word, effect::Effect, settings::Known};

/// The route, below the base URL; the channel follows.
pub(super) const PATH: &str = "/global-token-revocation/";

/// The longest request, in bytes.
const LONGEST_BODY: usize = 16 * 1024;

/// The longest time for which a request may be good: it is made for one request.
const LONGEST_LIFE: Duration = Duration::from_hours(1);

/// Ends every session of one subject in the tenant of the channel: 204 once that is durable and in effect; 400 for a body
/// that is not a request, 401 for a token that is not the provider's, 404 for a channel that does not exist.
///
/// A subject that nobody here is known by is recorded and answered like any other: who is known here is nobody's business.
pub(super) async fn revoke(
    State(receiver): State<Receiver>,
    Path(channel): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let known = match receiver.addressed(&channel).await {
        Ok(known) => known,
        Err(status) => return status.into_response(),
    };
    match answer(&receiver, &known, &headers, body).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(StatusCode::UNAUTHORIZED) => {
            (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")]).into_response()
        }
        Err(status) => status.into_response(),
    }
}

async fn answer(receiver: &Receiver, known: &Known, headers: &HeaderMap, body: Body) -> Result<(), StatusCode> {
    if known.is_off() {
        return Err(StatusCode::FORBIDDEN);
    }
    let jti = authorized(receiver, known, headers).await?;
    let body = to_bytes(body, LONGEST_BODY).await.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
    let object = json::parse_object(&body, LONGEST_BODY).map_err(|_| StatusCode::BAD_REQUEST)?;
    let subject = object.get("sub_id").ok_or(StatusCode::BAD_REQUEST)?;
    let subject = Subject::read(subject).map_err(|_| StatusCode::BAD_REQUEST)?;
    let (this, channel) = (receiver.clone(), known.channel.id.clone());
    let taken = receiver.blocking(move || this.end_sessions(&channel, &jti, &subject)).await.and_then(|taken| taken);
    taken.map_err(|refusal| {
        tracing::warn!(why = %refusal, "a revocation could not be taken in");
        StatusCode::SERVICE_UNAVAILABLE
    })
}

/// Returns the id of the token that authorizes the request.
async fn authorized(receiver: &Receiver, known: &Known, headers: &HeaderMap) -> Result<String, StatusCode> {
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(bearer);
    let token = token.ok_or(StatusCode::UNAUTHORIZED)?;
    let verify = |keys: &Jwks| jose::verify(token, &GLOBAL_TOKEN_REVOCATION, keys);
    let verified = receiver.with_keys(known, verify, |fault| *fault == jose::Fault::UnknownKey).await;
    let verified = verified.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?.map_err(|_| StatusCode::UNAUTHORIZED)?;
    let endpoint = format!("{}{PATH}{}", receiver.base_url(), known.channel.id);
    let addressed = verified.is_for(&endpoint).unwrap_or(false);
    let issued = verified.text("iss") == Some(known.settings.issuer.as_str());
    let times = verified.times().map_err(|_| StatusCode::UNAUTHORIZED)?;
    let timely = times.check(receiver.federation().now(), Skew::USUAL).is_ok();
    let brief = times.iat.zip(times.exp).is_some_and(|(iat, exp)| exp.since(iat) <= LONGEST_LIFE);
    let jti = verified.text("jti").filter(|jti| (1..=256).contains(&jti.len()));
    let jti = jti.filter(|_| addressed && issued && timely && brief);
    jti.map(ToOwned::to_owned).ok_or(StatusCode::UNAUTHORIZED)
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim())
}

impl Receiver {
    /// Blocks on the disk.
    fn end_sessions(&self, channel: &ChannelId, jti: &str, subject: &Subject) -> Result<(), Refusal> {
        let source = Source::signal(channel.clone(), "signal.global_token_revocation", jti);
        let until = self.federation().now();
        let word = Word { effects: &[Effect::EndSessions], until, message: jti };
        // Its own space of names: the `jti` of a security event may be the same. The subject is not what the token signs,
        // so one token may come with two of them, and each counts.
        let digest = jose::base64url::encode(Sha256::digest(subject.to_value().to_string()));
        let message = format!("gtr {jti} {digest}");
        self.take_in_word(&source, (channel, &message), subject, &word)
    }
}
