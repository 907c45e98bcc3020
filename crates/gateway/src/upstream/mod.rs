//! Upstreams: which there are, how they fare, and connections to them.
//!
//! A [`Fleet`] is shared by all threads and swapped whole; it chooses. A [`Pool`] belongs to one thread; it
//! connects, sends and hands out the response as it comes.

mod address;
mod body;
mod choose;
mod connect;
mod endpoint;
mod fleet;
mod headers;
mod health;
mod pool;
mod trust;
mod watch;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use jose::SigningFault;
use terms::{Dialect, ModelVersionId};

pub use self::headers::named_by_connection;
pub(crate) use self::{
    body::ReplyBody,
    endpoint::Endpoint,
    fleet::{EndpointStatus, Fleet},
    health::HealthState,
    pool::Pool,
    watch::watch,
};

/// What a meter is shown with one attempt; nothing, if there is no meter.
pub(crate) type Ticket = Result<Option<HeaderValue>, SigningFault>;

/// One call to send to an upstream of `model`.
pub(crate) struct Outbound<'a> {
    /// The version that was permitted; no other is ever called in its stead.
    pub(crate) model: &'a ModelVersionId,
    pub(crate) dialect: Dialect,
    pub(crate) method: &'a Method,
    /// Begins with a slash; appended to the endpoint's own path.
    pub(crate) path_and_query: &'a str,
    /// The caller's headers, as they came: what is the gateway's business alone is left out here.
    pub(crate) headers: &'a HeaderMap,
    /// Makes, for one attempt, what the meter in front of the endpoint asks for, given the origin of its log; is told also
    /// where there is none.
    pub(crate) ticket: &'a dyn Fn(Option<&str>) -> Ticket,
    /// Makes the body for an endpoint, given the name by which it knows the model, where that is another.
    pub(crate) body: &'a dyn Fn(Option<&str>) -> Bytes,
}

/// The head of a response, and its body as it comes.
#[derive(Debug)]
pub(crate) struct Reply {
    /// Neither 1xx nor 3xx.
    pub(crate) status: StatusCode,
    /// Without those that concern one connection (RFC 9110 7.6.1).
    pub(crate) headers: HeaderMap,
    pub(crate) body: ReplyBody,
    pub(crate) endpoint: Arc<Endpoint>,
}

/// There is no response to relay.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// No endpoint of the model is configured that speaks the dialect; trying again does not help.
    #[error("`{model}` is not served in the {} dialect", dialect.as_str())]
    NoEndpoint { model: ModelVersionId, dialect: Dialect },
    /// Every endpoint carries as many calls as it may.
    #[error("every upstream of the model is at its limit")]
    Saturated {
        /// Seconds after which to try again.
        retry_after: u64,
    },
    /// Every endpoint that could be tried was found dead lately.
    #[error("no upstream of the model can be reached at present")]
    Unavailable {
        /// Seconds until one is tried again.
        retry_after: u64,
    },
    /// No connection; the request was not sent.
    #[error("cannot connect to upstream `{endpoint}`: {why}")]
    Connect {
        endpoint: String,
        #[source]
        why: connect::ConnectError,
    },
    /// The upstream took the request and sent no head of a response in time; it may have worked on it.
    #[error("the upstream did not begin to answer in time")]
    FirstByteTimeout,
    /// The connection broke, or what came is not an answer that can be relayed.
    #[error("upstream `{endpoint}` gave no usable answer: {why}")]
    Broken { endpoint: String, why: String },
    /// There is no ticket for the meter in front of the upstream; the request was not sent.
    #[error("no ticket for the meter in front of the upstream: {0}")]
    NoTicket(#[source] SigningFault),
}

impl SendError {
    /// Returns true if the request certainly was not processed.
    fn is_unsent(&self) -> bool {
        matches!(self, Self::Connect { .. })
    }
}
