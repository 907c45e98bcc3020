//! Proofing vendors that call back: a delivery is checked, then the vendor is asked, and only its answer counts.
//!
//! A delivery goes through five steps, each of which can refuse it by name: the channel is known and open; the body is
//! small; the signature is of one of the channel's secrets and of now; the event is of the vendor's shape; the vendor's
//! API says how the object stands. What follows is committed once for each event, and only then is the delivery
//! acknowledged: a vendor that hears nothing sends it again.
//!
//! Out of order, twice, or replayed, a delivery does nothing that the present state of the object does not bear out. And
//! because one can be lost, the vendor is asked again about everything that counts, four times as often as the channel must
//! be heard. Only its answers about all of that count as hearing from it: a delivery says nothing of other evidence.

mod ask;
mod enroll;
mod recheck;
mod settle;
mod signature;
mod vendor;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use control::{Fault, Federation};
use fetch::{Client, Url};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::json;
use terms::{ChannelId, IssuerId};

use self::{
    ask::{AskFault, ask},
    settle::{Delivered, settle},
    signature::SignatureFault,
    vendor::{MAX_DELIVERY, ShapeFault},
};
pub use self::{signature::Secret, vendor::VendorKind};
use crate::attest::{TrustList, Vault};

/// Secrets of one channel: the present one, and the last while it is replaced.
const MAX_SECRETS: usize = 2;

/// One account at a proofing vendor.
#[derive(Debug)]
pub struct Vendor {
    /// The channel of its deliveries: `/webhooks/{channel}`.
    pub channel: ChannelId,
    /// Whose shapes it speaks.
    pub kind: VendorKind,
    /// As whom the trust list knows it.
    pub issuer: IssuerId,
    /// With which it signs, one or two; two while one is replaced.
    pub secrets: Vec<Secret>,
    /// How far from now a signed time may be; 1 s to 15 min. For vendors that sign one.
    pub tolerance: Duration,
    /// Where its API begins, such as `https://api.example.com`.
    pub api: Url,
    /// The key of its API.
    pub api_key: Secret,
}

/// A vendor's settings cannot be used; correct the configuration.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadVendor {
    /// Two vendors have one channel.
    #[error("channel `{0}` belongs to two vendors: give each its own")]
    Twice(ChannelId),
    /// A channel has no secret, or more than two.
    #[error("channel `{0}` needs one secret, or two while one is replaced")]
    Secrets(ChannelId),
    /// The tolerance is out of range.
    #[error("the tolerance of channel `{0}` must be 1 s to 15 min")]
    Tolerance(ChannelId),
    /// The channel is a source of another kind, or of an organization.
    #[error("channel `{0}` is taken by another source: choose another name")]
    Taken(ChannelId),
    /// A channel cannot be put on record.
    #[error("the channels of vendors cannot be put on record: {0}")]
    Registry(String),
}

/// The endpoint of all vendors. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Webhooks(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    federation: Federation,
    client: Client,
    trust: Arc<TrustList>,
    vault: Arc<Vault>,
    vendors: BTreeMap<ChannelId, Vendor>,
}

impl Webhooks {
    /// Makes the endpoint of these vendors.
    ///
    /// # Errors
    ///
    /// [`BadVendor`] for the first whose settings cannot be used.
    pub fn new(
        federation: Federation,
        client: Client,
        trust: Arc<TrustList>,
        vault: Arc<Vault>,
        vendors: Vec<Vendor>,
    ) -> Result<Self, BadVendor> {
        let mut by_channel = BTreeMap::new();
        for vendor in vendors {
            check(&vendor)?;
            let channel = vendor.channel.clone();
            if by_channel.insert(channel.clone(), vendor).is_some() {
                return Err(BadVendor::Twice(channel));
            }
        }
        enroll::register(&federation, by_channel.keys())?;
        Ok(Self(Arc::new(Inner { federation, client, trust, vault, vendors: by_channel })))
    }

    /// Does what no delivery brings about: asks each vendor, at once and then again and again, how what counts stands. Ends
    /// when it is dropped.
    pub async fn run(self) {
        recheck::run(self).await;
    }

    /// Returns the routes: `POST /webhooks/{channel}`.
    pub fn router(&self) -> Router {
        Router::new().route("/webhooks/{channel}", post(deliver)).with_state(self.clone())
    }
}

fn check(vendor: &Vendor) -> Result<(), BadVendor> {
    if !(1..=MAX_SECRETS).contains(&vendor.secrets.len()) {
        return Err(BadVendor::Secrets(vendor.channel.clone()));
    }
    let tolerable = Duration::from_secs(1)..=Duration::from_mins(15);
    let tolerated = tolerable.contains(&vendor.tolerance);
    if tolerated { Ok(()) } else { Err(BadVendor::Tolerance(vendor.channel.clone())) }
}

/// Why a delivery is not acknowledged.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("there is no such channel")]
    Channel,
    #[error("the body is longer than 262144 bytes")]
    TooLarge,
    #[error("the body did not come whole")]
    Broken,
    #[error(transparent)]
    Signature(SignatureFault),
    #[error(transparent)]
    Shape(ShapeFault),
    #[error("{0}")]
    Ask(AskFault),
    #[error("nothing was changed: {0}")]
    Registry(Fault),
    #[error("nothing was changed: the work was broken off")]
    Broke,
}

async fn deliver(
    State(hooks): State<Webhooks>,
    Path(channel): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let taken = take(&hooks, &channel, &headers, body).await;
    if let Err(refused) = &taken {
        tracing::warn!(%refused, code = refused.code(), "a delivery was refused");
    }
    taken.map(|repeated| Json(json!({ "received": true, "repeated": repeated })).into_response())
}

/// Takes a delivery through the five steps; true if it was taken in before.
async fn take(hooks: &Webhooks, channel: &str, headers: &HeaderMap, body: Body) -> Result<bool, Refused> {
    let Inner { client, vendors, federation, .. } = &*hooks.0;
    let channel = ChannelId::parse(channel).map_err(|_| Refused::Channel)?;
    let vendor = vendors.get(&channel).ok_or(Refused::Channel)?;
    let body = whole(body).await?;
    let clock = (federation.now(), vendor.tolerance);
    signature::check(vendor.kind.scheme(), headers, &body, &vendor.secrets, clock).map_err(Refused::Signature)?;
    let event = vendor.kind.event(&body).map_err(Refused::Shape)?;
    let Some(look) = event.look else { return Ok(false) };
    let finding = ask(client, vendor, &look).await.map_err(Refused::Ask)?;
    let delivered = Delivered { channel, issuer: vendor.issuer.clone(), event: event.id, look, finding };
    let hooks = hooks.clone();
    on_disk(move || {
        let Inner { federation, trust, vault, .. } = &*hooks.0;
        settle(federation, trust, vault, &delivered)
    })
    .await
}

async fn whole(body: Body) -> Result<bytes::Bytes, Refused> {
    match Limited::new(body, MAX_DELIVERY).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Refused::TooLarge),
        Err(_) => Err(Refused::Broken),
    }
}

async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> Result<T, Fault> + Send + 'static) -> Result<T, Refused> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Refused::Broke)?.map_err(Refused::Registry)
}

impl Refused {
    /// Returns the stable name of the refusal.
    fn code(&self) -> &'static str {
        match self {
            Self::Channel => "channel_unknown",
            Self::TooLarge => "body_too_large",
            Self::Broken => "body_incomplete",
            Self::Signature(SignatureFault::Missing) => "signature_missing",
            Self::Signature(SignatureFault::Malformed) => "signature_malformed",
            Self::Signature(SignatureFault::Stale) => "signature_stale",
            Self::Signature(SignatureFault::Wrong) => "signature_wrong",
            Self::Shape(_) => "event_malformed",
            Self::Ask(_) => "vendor_unavailable",
            Self::Registry(_) | Self::Broke => "not_recorded",
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Channel => StatusCode::NOT_FOUND,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Broken | Self::Shape(_) => StatusCode::BAD_REQUEST,
            Self::Signature(_) => StatusCode::UNAUTHORIZED,
            Self::Ask(_) | Self::Registry(_) | Self::Broke => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl IntoResponse for Refused {
    /// Says which step refused and no more: details go to the log.
    fn into_response(self) -> Response {
        (self.status(), Json(json!({ "error": self.code() }))).into_response()
    }
}

#[cfg(test)]
mod tests;
