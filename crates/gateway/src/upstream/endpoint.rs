//! One endpoint: what it is, how it fares, what it carries.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use terms::{Dialect, ModelVersionId};

use super::{
    health::{Admission, Failure, Health},
    trust::Trust,
};
use crate::config::{CheckedEndpoint, EndpointUrl, UpstreamSettings};

/// How long a connection is kept without a call. A common model server closes after 5 s by itself, which is noticed.
const IDLE_FOR: Duration = Duration::from_secs(30);
/// The same of a connection to a meter, which closes it after 10 s: a call that crosses with that cannot be sent again.
const METERED_IDLE_FOR: Duration = Duration::from_secs(5);

/// Numbers endpoints for as long as the process lives.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// One endpoint. Shared by all threads, and kept by a new fleet if nothing about it changed.
pub(crate) struct Endpoint {
    id: u64,
    pub(super) made_of: Definition,
    pub(super) health: Health,
    in_flight: AtomicUsize,
    served: AtomicU64,
    /// Its place in the order of turns, see [`super::choose`].
    pub(super) turn: AtomicU64,
}

/// Everything that makes an endpoint the one it is.
#[derive(Clone, Eq, PartialEq)]
pub(super) struct Definition {
    pub(super) upstream: UpstreamSettings,
    pub(super) endpoint: CheckedEndpoint,
    pub(super) key: Option<ApiKey>,
    pub(super) trust: Option<Trust>,
}

/// The key of the gateway itself at an upstream, in the form of each dialect. Never shown.
#[derive(Clone, Eq, PartialEq)]
pub(super) struct ApiKey {
    bearer: HeaderValue,
    plain: HeaderValue,
}

/// A call that an endpoint carries. Dropped, its place is free again.
#[derive(Debug)]
pub(crate) struct Attempt {
    endpoint: Arc<Endpoint>,
    probe: bool,
}

impl Endpoint {
    pub(super) fn new(made_of: Definition) -> Self {
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            health: Health::new(made_of.upstream.eject_after),
            made_of,
            in_flight: AtomicUsize::new(0),
            served: AtomicU64::new(0),
            turn: AtomicU64::new(0),
        }
    }

    /// Returns a number that no other endpoint of this process has.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn model(&self) -> &ModelVersionId {
        &self.made_of.upstream.model
    }

    pub(crate) fn url(&self) -> &EndpointUrl {
        &self.made_of.endpoint.url
    }

    pub(crate) fn dialects(&self) -> &[Dialect] {
        &self.made_of.endpoint.settings.dialects
    }

    /// Returns true if calls in `dialect` can be sent to it as they are.
    pub(crate) fn speaks(&self, dialect: Dialect) -> bool {
        self.dialects().contains(&dialect)
    }

    /// Returns the name by which the server knows the model, if it is not the version's id.
    pub(crate) fn known_as(&self) -> Option<&str> {
        self.made_of.endpoint.settings.upstream_model.as_deref()
    }

    /// Returns the origin of the log of the meter in front of it, which takes the ticket of a call once.
    pub(crate) fn meter(&self) -> Option<&str> {
        self.made_of.endpoint.settings.meter.as_deref().or(self.made_of.upstream.meter.as_deref())
    }

    /// Returns how long a connection to it is kept without a call.
    pub(super) fn kept_for(&self) -> Duration {
        if self.meter().is_some() { METERED_IDLE_FOR } else { IDLE_FOR }
    }

    pub(crate) fn connect_within(&self) -> Duration {
        Duration::from_secs(self.made_of.upstream.connect_seconds)
    }

    pub(crate) fn first_byte_within(&self) -> Duration {
        Duration::from_secs(self.made_of.upstream.first_byte_seconds)
    }

    pub(crate) fn idle_within(&self) -> Duration {
        Duration::from_secs(self.made_of.upstream.idle_seconds)
    }

    /// Returns how many further endpoints may be tried after this one.
    pub(crate) fn retries(&self) -> usize {
        usize::try_from(self.made_of.upstream.retries).unwrap_or(usize::MAX)
    }

    /// Returns true if the operator allows another endpoint to be tried after this status.
    pub(crate) fn fails_over(&self, status: StatusCode) -> bool {
        self.made_of.upstream.failover_statuses.contains(&status.as_u16())
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Returns how many calls were sent to it so far.
    pub(crate) fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }

    pub(crate) fn weight(&self) -> u64 {
        u64::from(self.made_of.endpoint.settings.weight.max(1))
    }

    /// Adds the gateway's own credential in the form of `dialect`.
    pub(crate) fn authorize(&self, dialect: Dialect, headers: &mut HeaderMap) {
        let Some(key) = &self.made_of.key else { return };
        match dialect {
            Dialect::Openai => headers.insert(header::AUTHORIZATION, key.bearer.clone()),
            Dialect::Anthropic => headers.insert(HeaderName::from_static("x-api-key"), key.plain.clone()),
        };
    }

    /// Takes a place among the calls this endpoint carries, if there is one.
    pub(super) fn enter(self: &Arc<Self>, admission: Admission) -> Option<Attempt> {
        let taken = self.in_flight.fetch_add(1, Ordering::Relaxed);
        // Dropped on failure, it gives the place back, and lets another call probe.
        let attempt = Attempt { endpoint: Arc::clone(self), probe: admission == Admission::Probe };
        if taken >= self.made_of.upstream.in_flight {
            return None;
        }
        self.served.fetch_add(1, Ordering::Relaxed);
        Some(attempt)
    }

    /// Returns true if a call could be added now.
    pub(super) fn has_room(&self) -> bool {
        self.in_flight() < self.made_of.upstream.in_flight
    }
}

impl Attempt {
    pub(crate) fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// Notes what the status of a response says about the endpoint.
    ///
    /// 429 and 529 say that it lives and is busy; 501 that it does not offer something.
    pub(crate) fn answered(&mut self, status: StatusCode) {
        match status.as_u16() {
            500 | 502 | 503 | 504 => self.failed(Failure::Answer),
            _ => {
                self.probe = false;
                self.endpoint.health.succeeded();
            }
        }
    }

    /// Notes that the endpoint failed.
    pub(crate) fn failed(&mut self, failure: Failure) {
        self.probe = false;
        self.endpoint.health.failed(failure, Instant::now());
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.endpoint.in_flight.fetch_sub(1, Ordering::Relaxed);
        if self.probe {
            self.endpoint.health.abandoned();
        }
    }
}

impl ApiKey {
    /// Makes the headers of a key, or nothing if it has characters that no header can carry.
    pub(super) fn parse(key: &str) -> Option<Self> {
        let key = key.trim();
        let sensitive = |text: &str| {
            let mut value = HeaderValue::from_str(text).ok()?;
            value.set_sensitive(true);
            Some(value)
        };
        let usable = !key.is_empty() && !key.contains(char::is_whitespace);
        usable.then_some(())?;
        Some(Self { bearer: sensitive(&format!("Bearer {key}"))?, plain: sensitive(key)? })
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("id", &self.id)
            .field("model", self.model())
            .field("url", &format_args!("{}", self.url()))
            .finish_non_exhaustive()
    }
}
