//! The connections of one thread, and how a call is sent on them.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::{Rc, Weak},
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header, uri::PathAndQuery};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::time::{sleep, timeout};

use super::{
    Fleet, Outbound, Reply, ReplyBody, SendError,
    choose::Tried,
    connect::{Connection, connect},
    endpoint::{Attempt, Endpoint},
    headers,
    health::Failure,
};

/// Connections of one endpoint that one thread keeps without a call; more are closed after use.
const IDLE_MAX: usize = 256;
/// How often connections without a call are looked through while there are any.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// The connections of one thread. Must be used inside a `LocalSet`.
#[derive(Clone, Debug)]
pub(crate) struct Pool(Rc<Inner>);

/// Where a connection goes when its response came to its end.
#[derive(Clone, Debug)]
pub(super) struct Home(Weak<Inner>);

#[derive(Debug)]
struct Inner {
    fleet: Arc<ArcSwap<Fleet>>,
    idle: RefCell<BTreeMap<u64, Vec<Idle>>>,
    sweeping: Cell<bool>,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: Instant,
}

/// A response on the connection it comes on.
type Exchange = (Response<Incoming>, Connection);

/// Why a connection gave no response.
enum Fault {
    /// It was closed before a single byte of a response.
    Closed {
        why: String,
        /// The request was not even begun to be written.
        unsent: bool,
    },
    Other(SendError),
}

impl Pool {
    pub(crate) fn new(fleet: Arc<ArcSwap<Fleet>>) -> Self {
        Self(Rc::new(Inner { fleet, idle: RefCell::default(), sweeping: Cell::new(false) }))
    }

    /// Sends a call to an endpoint of its model and waits for the head of the response.
    ///
    /// Another endpoint is tried only if the request was not sent, or if the first answered with a status for which
    /// the operator allows it. A connection that was kept and turns out closed before a byte of a response is
    /// replaced once. Neither is done where a meter would be shown the ticket of a call that it may have taken. Dropping
    /// the future closes the connection, which tells the upstream to stop.
    ///
    /// # Errors
    ///
    /// [`SendError`]: there is nothing to relay. What may be tried again says so.
    pub(crate) async fn send(&self, call: Outbound<'_>) -> Result<Reply, SendError> {
        let fleet = self.0.fleet.load_full();
        let mut tried = Tried::default();
        let mut last = None;
        loop {
            let attempt = match fleet.choose(call.model, call.dialect, &tried) {
                Ok(attempt) => attempt,
                Err(error) => return last.unwrap_or(Err(error)),
            };
            let endpoint = Arc::clone(attempt.endpoint());
            let result = self.attempt(attempt, &call).await;
            tried.add(&endpoint, !result.as_ref().is_err_and(SendError::is_unsent));
            if tried.len() > endpoint.retries() || !may_go_elsewhere(&endpoint, &result) {
                return result;
            }
            last = Some(result);
        }
    }

    /// Returns how many connections are kept without a call.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.0.idle.borrow().values().map(Vec::len).sum()
    }

    async fn attempt(&self, mut attempt: Attempt, call: &Outbound<'_>) -> Result<Reply, SendError> {
        let endpoint = Arc::clone(attempt.endpoint());
        let exchanged = self.exchange(&endpoint, call).await;
        match &exchanged {
            Ok((response, _)) => attempt.answered(response.status()),
            Err(SendError::Connect { .. }) => attempt.failed(Failure::Connect),
            Err(SendError::NoTicket(_)) => {}
            Err(_) => attempt.failed(Failure::Answer),
        }
        let (response, connection) = exchanged?;
        let (parts, body) = response.into_parts();
        relayable(&endpoint, &parts)?;
        let headers = headers::to_caller(&parts.headers);
        let body = ReplyBody::new(body, connection, attempt, Home(Rc::downgrade(&self.0)));
        Ok(Reply { status: parts.status, headers, body, endpoint })
    }

    /// Gets a response on a connection that was kept, or else on a new one.
    async fn exchange(&self, endpoint: &Endpoint, call: &Outbound<'_>) -> Result<Exchange, SendError> {
        if let Some(kept) = self.0.take(endpoint.id()).await {
            match ask(endpoint, kept, request(endpoint, call)?).await {
                Err(Fault::Closed { why, unsent: false }) if endpoint.meter().is_some() => {
                    return Err(broken(endpoint, why));
                }
                Err(Fault::Closed { .. }) => {}
                Err(Fault::Other(error)) => return Err(error),
                Ok(exchange) => return Ok(exchange),
            }
        }
        let unreachable = |why| SendError::Connect { endpoint: endpoint.url().to_string(), why };
        let connection = connect(endpoint).await.map_err(unreachable)?;
        match ask(endpoint, connection, request(endpoint, call)?).await {
            Err(Fault::Closed { why, .. }) => Err(broken(endpoint, why)),
            Err(Fault::Other(error)) => Err(error),
            Ok(exchange) => Ok(exchange),
        }
    }
}

impl Home {
    /// Takes back a connection on which nothing is under way.
    pub(super) fn keep(&self, endpoint: &Endpoint, connection: Connection) {
        if let Some(inner) = self.0.upgrade() {
            inner.keep(endpoint.id(), connection);
        }
    }
}

impl Inner {
    /// Takes the connection that was used last and still lives.
    async fn take(&self, endpoint: u64) -> Option<Connection> {
        loop {
            let mut idle = self.idle.borrow_mut().get_mut(&endpoint)?.pop()?;
            if idle.connection.sender.ready().await.is_ok() {
                return Some(idle.connection);
            }
        }
    }

    fn keep(self: &Rc<Self>, endpoint: u64, connection: Connection) {
        if connection.sender.is_closed() {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        let kept = idle.entry(endpoint).or_default();
        if kept.len() < IDLE_MAX {
            kept.push(Idle { connection, since: Instant::now() });
        }
        if !self.sweeping.replace(true) {
            tokio::task::spawn_local(sweep(Rc::downgrade(self)));
        }
    }

    /// Closes what is too old, closed by the other side, or of an endpoint that is no more.
    fn close_unused(&self, now: Instant) {
        let fleet = self.fleet.load();
        let mut idle = self.idle.borrow_mut();
        idle.retain(|endpoint, kept| {
            let known = fleet.endpoints().find(|known| known.id() == *endpoint);
            let kept_for = known.map_or(Duration::ZERO, |known| known.kept_for());
            kept.retain(|idle| !idle.connection.sender.is_closed() && now.duration_since(idle.since) < kept_for);
            !kept.is_empty()
        });
        self.sweeping.set(!idle.is_empty());
    }
}

/// Closes unused connections, for as long as there are any.
async fn sweep(pool: Weak<Inner>) {
    loop {
        sleep(SWEEP_EVERY).await;
        let Some(inner) = pool.upgrade() else { return };
        inner.close_unused(Instant::now());
        if !inner.sweeping.get() {
            return;
        }
    }
}

fn may_go_elsewhere(endpoint: &Endpoint, result: &Result<Reply, SendError>) -> bool {
    match result {
        Ok(reply) => endpoint.fails_over(reply.status),
        Err(error) => error.is_unsent(),
    }
}

/// Sends a request and waits for the head of its response.
async fn ask(
    endpoint: &Endpoint,
    mut connection: Connection,
    request: Request<Full<Bytes>>,
) -> Result<Exchange, Fault> {
    let before = connection.received();
    let answer = timeout(endpoint.first_byte_within(), connection.sender.try_send_request(request)).await;
    match answer {
        Err(_) => Err(Fault::Other(SendError::FirstByteTimeout)),
        Ok(Ok(response)) => Ok((response, connection)),
        Ok(Err(error)) if connection.received() == before => {
            // A request that was not begun is given back.
            Err(Fault::Closed { why: reason(error.error()), unsent: error.message().is_some() })
        }
        Ok(Err(error)) => Err(Fault::Other(broken(endpoint, reason(error.error())))),
    }
}

/// Makes the request that an endpoint gets.
fn request(endpoint: &Endpoint, call: &Outbound<'_>) -> Result<Request<Full<Bytes>>, SendError> {
    let mut request = Request::new(Full::new((call.body)(endpoint.known_as())));
    *request.method_mut() = call.method.clone();
    *request.uri_mut() = uri(endpoint, call.path_and_query)?;
    let mut headers = headers::to_upstream(call.headers);
    let host = HeaderValue::from_str(endpoint.url().authority.as_str());
    headers.insert(header::HOST, host.map_err(|error| broken(endpoint, error.to_string()))?);
    endpoint.authorize(call.dialect, &mut headers);
    let ticket = (call.ticket)(endpoint.meter()).map_err(SendError::NoTicket)?;
    headers.extend(ticket.map(|ticket| (headers::TICKET, ticket)));
    *request.headers_mut() = headers;
    Ok(request)
}

fn uri(endpoint: &Endpoint, path_and_query: &str) -> Result<Uri, SendError> {
    let base = &endpoint.url().base;
    let path = match base.is_empty() {
        true => path_and_query.parse::<PathAndQuery>(),
        false => format!("{base}{path_and_query}").parse(),
    };
    path.map(Uri::from).map_err(|error| broken(endpoint, error.to_string()))
}

/// Refuses what cannot be relayed as an answer of the model.
fn relayable(endpoint: &Endpoint, head: &http::response::Parts) -> Result<(), SendError> {
    let status = head.status;
    if status.is_informational() || status.is_redirection() {
        let why = format!("status {} leads elsewhere, which is never followed", status.as_u16());
        return Err(broken(endpoint, why));
    }
    let coded = |coding: &HeaderValue| !coding.as_bytes().eq_ignore_ascii_case(b"identity");
    if head.headers.get_all(header::CONTENT_ENCODING).iter().any(coded) {
        return Err(broken(endpoint, "the response is compressed, though only `identity` was accepted".into()));
    }
    Ok(())
}

fn broken(endpoint: &Endpoint, why: String) -> SendError {
    SendError::Broken { endpoint: endpoint.url().to_string(), why }
}

/// Says what broke, down to the operating system's word.
fn reason(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
