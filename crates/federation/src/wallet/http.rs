//! What wallets and people reach.

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use vc::openid4vp::form;

use super::{
    Wallet,
    clearance::{ClearanceRequest, Issued},
    fault::{NO_STORE, WalletFault},
    lists::MEDIA_TYPE,
    page,
    presentation::{Begun, Outcome},
};
use crate::same_origin::guarded;

/// Bytes of the longest request: an answer with some portraits.
const MAX_BODY: usize = 512 * 1024;
/// Characters of the longest nonce of a wallet that is repeated.
const MAX_WALLET_NONCE: usize = 512;

/// Returns the routes. What wallets post may come from pages of theirs, so only what people and programs reach is guarded.
pub(super) fn router(wallet: Wallet) -> Router {
    let own = Router::new()
        .route("/wallet/link/{secret}", get(page::door).post(page::enter))
        .route("/wallet/present", get(page::own_door).post(page::own_enter))
        .route("/wallet/present/{id}", get(page::progress))
        .route("/wallet/presentations", post(begin))
        .route("/wallet/presentations/{id}", get(outcome))
        .route("/wallet/clearances", post(clearance))
        .with_state(wallet.clone());
    let origin = wallet.0.settings.origin.clone();
    Router::new()
        .route("/wallet/requests/{id}", get(request).post(request_with_nonce))
        .route("/wallet/responses/{id}", post(answer))
        .route("/status-lists/{number}", get(status_list))
        .route("/.well-known/jwt-vc-issuer", get(issuer))
        .with_state(wallet)
        .merge(guarded(own, &origin))
        .layer(DefaultBodyLimit::max(MAX_BODY))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Begin {
    link: String,
}

async fn begin(State(wallet): State<Wallet>, Json(begin): Json<Begin>) -> Result<Created<Begun>, WalletFault> {
    let person = wallet.redeemed(begin.link).await?;
    Ok(Created(wallet.begin(person).await?))
}

async fn outcome(State(wallet): State<Wallet>, Path(id): Path<String>) -> Result<Response, WalletFault> {
    Ok(([NO_STORE], Json::<Outcome>(wallet.outcome(&id)?)).into_response())
}

async fn request(State(wallet): State<Wallet>, Path(id): Path<String>) -> Result<Response, WalletFault> {
    signed(&wallet, &id, None)
}

async fn request_with_nonce(
    State(wallet): State<Wallet>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, WalletFault> {
    let mut fields = form::parse(&body, MAX_BODY).map_err(vc::openid4vp::ResponseFault::from)?;
    let nonce = fields.remove("wallet_nonce").filter(|nonce| nonce.len() <= MAX_WALLET_NONCE);
    signed(&wallet, &id, nonce.as_deref())
}

fn signed(wallet: &Wallet, id: &str, wallet_nonce: Option<&str>) -> Result<Response, WalletFault> {
    let token = wallet.signed_request(id, wallet_nonce)?;
    Ok(([NO_STORE, media("application/oauth-authz-req+jwt")], token).into_response())
}

/// Once an answer arrived it is dealt with to its end, also if the wallet goes away meanwhile.
async fn answer(State(wallet): State<Wallet>, Path(id): Path<String>, body: Bytes) -> Result<Response, WalletFault> {
    let next = wallet.page_of(&id);
    let dealt = tokio::spawn(async move { wallet.answer(&id, &body).await });
    dealt.await.unwrap_or(Err(WalletFault::Closed))?;
    Ok(([NO_STORE], Json(serde_json::json!({ "redirect_uri": next }))).into_response())
}

async fn clearance(
    State(wallet): State<Wallet>,
    headers: HeaderMap,
    Json(asked): Json<ClearanceRequest>,
) -> Result<Created<Issued>, WalletFault> {
    let mut proofs = headers.get_all("dpop").iter();
    let (Some(proof), None) = (proofs.next().and_then(|proof| proof.to_str().ok()), proofs.next()) else {
        return Err(WalletFault::Proof);
    };
    Ok(Created(wallet.issue_clearance(asked, proof).await?))
}

/// Serves our list to anybody, also to scripts of other origins; compressed once more to those who take it so.
async fn status_list(
    State(wallet): State<Wallet>,
    Path(number): Path<String>,
    headers: HeaderMap,
) -> Result<Response, WalletFault> {
    if !takes(&headers, &header::ACCEPT, &[MEDIA_TYPE, "application/*", "*/*"]).unwrap_or(true) {
        return Ok(StatusCode::NOT_ACCEPTABLE.into_response());
    }
    let signed = wallet.status_list(&number).await?;
    let open = [
        media(MEDIA_TYPE),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::VARY, HeaderValue::from_static("accept, accept-encoding")),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
    ];
    if takes(&headers, &header::ACCEPT_ENCODING, &["gzip"]).unwrap_or(false) {
        let coding = [(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"))];
        return Ok((open, coding, signed.gzip).into_response());
    }
    Ok((open, signed.token).into_response())
}

/// Says whether a header of weighted choices takes one of `offered`; nothing if there is no such header.
///
/// # Source
/// RFC 9110, sections 12.4.2, 12.5.1 and 12.5.3.
fn takes(headers: &HeaderMap, name: &HeaderName, offered: &[&str]) -> Option<bool> {
    let values: Vec<&str> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    let choice = |choice: &str| {
        let mut parts = choice.split(';').map(str::trim);
        let named = parts.next().unwrap_or_default();
        let wanted = offered.iter().any(|one| named.eq_ignore_ascii_case(one));
        wanted && !parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    };
    (!values.is_empty()).then(|| values.iter().flat_map(|value| value.split(',')).any(choice))
}

async fn issuer(State(wallet): State<Wallet>) -> Json<serde_json::Value> {
    Json(wallet.issuer_metadata())
}

fn media(media_type: &'static str) -> (HeaderName, HeaderValue) {
    (header::CONTENT_TYPE, HeaderValue::from_static(media_type))
}

/// An answer 201 that nobody keeps.
struct Created<T>(T);

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        (StatusCode::CREATED, [NO_STORE], Json(self.0)).into_response()
    }
}
