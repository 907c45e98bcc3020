//! The data path: authenticate, decide, screen, record, forward, relay, settle. One file per stage.
//!
//! [`serve_call`] is the path, on one screen. The order is held by types: [`forward`] takes a submitted permit
//! and nothing weaker, [`relay`] takes a recorded one, and only `policy::decide` makes a permit.
//!
//! ```
//! async fn in_order(worker: &gateway::Worker, live: &gateway::Live, call: &gateway::Call, pending: &ledger::Pending<policy::Permit>) {
//!     let _ = gateway::forward(worker, pending, call, live).await;
//! }
//! ```
//!
//! A permit that was not submitted to the ledger cannot be forwarded:
//!
//! ```compile_fail
//! async fn unrecorded(worker: &gateway::Worker, live: &gateway::Live, call: &gateway::Call, permit: &policy::Permit) {
//!     let _ = gateway::forward(worker, permit, call, live).await;
//! }
//! ```
//!
//! ```
//! async fn durable(pending: ledger::Pending<policy::Permit>, reply: gateway::Reply, live: gateway::Live) {
//!     if let Ok(recorded) = pending.durable().await {
//!         let _ = gateway::relay(recorded, reply, live).await;
//!     }
//! }
//! ```
//!
//! A submitted permit that is not durable yet lets nothing out:
//!
//! ```compile_fail
//! async fn early(pending: ledger::Pending<policy::Permit>, reply: gateway::Reply, live: gateway::Live) {
//!     let _ = gateway::relay(pending, reply, live).await;
//! }
//! ```

mod admit;
mod aside;
mod authenticate;
mod bulk;
mod call;
mod challenge;
mod closing;
mod config;
mod content;
mod decide;
mod delivered;
mod dialect;
mod forward;
mod forwarded;
#[doc(hidden)]
pub mod fuzzing;
mod gateway;
mod grounds;
mod lease;
mod listener;
mod metrics;
mod models;
mod party;
mod reading;
mod recall;
mod receipt;
mod record;
mod responses;
mod screen;
mod service;
mod settle;
mod stream;
mod tally;
mod ticket;
mod upstream;

use ::http::Response;
use policy::Determination;

use crate::call::Incoming;

pub(crate) use crate::gateway::Shared;
pub use crate::{
    aside::{Answering, Aside, Client},
    authenticate::{OwnKeys, OwnTokens},
    call::Call,
    config::{
        Checked, ClientCertificates, ContentSettings, EndpointSettings, Fault, IntrospectionSettings, IssuerSettings,
        Limits, Settings, TlsSettings, TokenSettings, UpstreamSettings,
    },
    dialect::{Challenge, Problem},
    forward::{Reply, Submitted, forward},
    gateway::{Gateway, Parts, ReloadError, StartError},
    listener::is_http2,
    reading::{Asked, Count, Unreadable, Used},
    recall::Effect,
    screen::{Monitor, Unmonitored, Verdict},
    service::Worker,
    stream::{Live, Output, relay},
    upstream::named_by_connection,
};

/// Serves one call: from a credential to the first byte of an answer.
///
/// # Errors
///
/// A [`Problem`] in the caller's dialect; no output has left.
async fn serve_call(worker: &Worker, incoming: Incoming) -> Result<Response<Output>, Problem> {
    let slot = worker.slot()?;
    let caller = authenticate::authenticate(worker.shared(), &incoming).await?;
    let call = incoming.read(&worker.limits()).await?;
    // The body may have taken a minute.
    let caller = caller.renewed(worker.directory());
    let requested = responses::requested(worker, &caller, &call)?;
    let decided = admit::decide(worker, &caller, &requested)?;
    let permit = match &decided.resolution.determination {
        Determination::Permit(permit) => permit.clone(),
        Determination::Refuse(refusal) => {
            return admit::refuse(worker, &call, &caller, &decided, refusal, &requested).await;
        }
    };
    let lease = admit::enter(worker, &call, &caller, &decided, &permit)?;
    screen::screen(worker.monitor(), call.id, &permit, &call.body)?;
    let (pending, settlement) = record::submit(worker.shared(), &call, permit, &decided, &requested).await?;
    let live = Live::new(worker, &call, &caller, decided, lease, settlement, slot);
    if worker.is_strict() {
        let (recorded, live) = live.recorded(pending).await?;
        let reply = forward(worker, &recorded, &call, &live).await;
        return relay(recorded, reply, live).await;
    }
    let reply = forward(worker, &pending, &call, &live).await;
    let (recorded, live) = live.recorded(pending).await?;
    relay(recorded, reply, live).await
}
