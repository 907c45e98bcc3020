//! One worker: turns requests into calls and problems into answers.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::{Arc, atomic::Ordering},
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, header};
use hyper::body::Incoming;
use identity::Directory;
use terms::{CallId, Dialect};
use tokio::task::spawn_local;

use crate::{
    Output, Problem, Shared,
    admit::Slot,
    aside,
    authenticate::holds_proof,
    call, challenge,
    closing::close_again,
    config::Limits,
    decide::Memory,
    dialect::{Operation, Route, dialect_of, is_aside, request_id_header, route},
    listener::{Peer, Serve},
    models,
    recall::watch_time,
    receipt,
    screen::Monitor,
    serve_call,
    upstream::{self, Pool},
};

/// The nonce for the next proof.
///
/// # Source
/// RFC 9449 section 8.2.
const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// Random bytes fetched from the operating system at once: enough for 256 calls.
const RANDOM_BYTES: usize = 4_096;

/// One worker thread's part of the gateway: its connections to upstreams, and what it remembers.
#[derive(Debug)]
pub struct Worker {
    id: usize,
    shared: Arc<Shared>,
    pool: Pool,
    memory: Memory,
    random: RefCell<Vec<u8>>,
}

impl Worker {
    /// Starts worker number `id` on its own thread, inside a `LocalSet`: it watches the time of its calls, and the
    /// first one also the health of the upstreams and the closing entries that wait.
    pub(crate) fn start(id: usize, shared: Arc<Shared>) -> Rc<Self> {
        spawn_local(watch_time(Arc::clone(&shared), id));
        if id == 0 {
            spawn_local(close_again(Arc::clone(&shared)));
            spawn_local(upstream::watch(Arc::clone(&shared.fleet)));
            spawn_local(Arc::clone(&shared.oauth).keep_keys());
        }
        let pool = Pool::new(Arc::clone(&shared.fleet));
        Rc::new(Self { id, shared, pool, memory: Memory::default(), random: RefCell::default() })
    }

    async fn serve(&self, id: CallId, request: Request<Incoming>, peer: Peer) -> Result<Response<Output>, Problem> {
        let (parts, body) = request.into_parts();
        let route = route(&parts.method, &parts.uri, &parts.headers)?;
        if matches!(route.operation, Operation::Health) {
            return Ok(json(&route, id, Bytes::from_static(b"{\"status\":\"ok\"}")));
        }
        if matches!(route.operation, Operation::Ready) {
            return self.ready(&route, id);
        }
        if self.shared.draining.load(Ordering::Relaxed) {
            return Err(Problem::Draining);
        }
        let incoming = call::Incoming { id, route, parts, peer, body };
        let route = incoming.route.clone();
        match &route.operation {
            Operation::ListModels => Ok(json(&route, id, models::list(self, &incoming).await?)),
            Operation::GetModel { id: model } => Ok(json(&route, id, models::one(self, &incoming, model).await?)),
            Operation::Aside => aside::answer(self, incoming).await,
            Operation::Receipt { id: receipt } => Ok(json(&route, id, receipt::show(self, &incoming, receipt).await?)),
            _ => serve_call(self, incoming).await,
        }
    }

    fn ready(&self, route: &Route, id: CallId) -> Result<Response<Output>, Problem> {
        match self.shared.ready() {
            Ok(()) => Ok(json(route, id, Bytes::from_static(b"{\"status\":\"ready\"}"))),
            Err(why) => {
                tracing::warn!(why, "not ready");
                Err(Problem::Overloaded { retry_after: 1 })
            }
        }
    }

    /// Tells the caller of a problem, in its dialect; the one place that counts and logs it.
    fn tell(&self, dialect: Dialect, problem: &Problem, id: CallId) -> Response<Output> {
        self.shared.metrics.problem(problem.code());
        tracing::debug!(target: "exeat::call", call = %id, error.type = problem.code(), "call ended without output");
        let mut response = problem.response(dialect, &id.to_string());
        challenge::write(response.headers_mut(), problem, self.shared.oauth.metadata.as_deref());
        response.map(|body| Output::Whole(Some(body)))
    }

    fn call_id(&self) -> Result<CallId, getrandom::Error> {
        let mut random = self.random.borrow_mut();
        if random.len() < 16 {
            random.resize(RANDOM_BYTES, 0);
            getrandom::fill(random.as_mut_slice())?;
        }
        let rest = random.len() - 16;
        let id = random.get(rest..).and_then(|tail| tail.try_into().ok()).unwrap_or_default();
        random.truncate(rest);
        Ok(CallId(id))
    }

    /// Takes a place among the calls in flight.
    ///
    /// # Errors
    ///
    /// [`Problem::Overloaded`] if there is none; the caller may come back in a second.
    pub(crate) fn slot(&self) -> Result<Slot, Problem> {
        let limit = self.shared.limits.load().in_flight;
        Slot::take(&self.shared.in_flight, limit).ok_or(Problem::Overloaded { retry_after: 1 })
    }

    pub(crate) fn id(&self) -> usize {
        self.id
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    pub(crate) fn directory(&self) -> &Directory {
        &self.shared.directory
    }

    pub(crate) fn monitor(&self) -> &dyn Monitor {
        self.shared.monitor.as_ref()
    }

    /// Returns true if a model server is called only once the opening entry is durable.
    pub(crate) fn is_strict(&self) -> bool {
        self.shared.recording.load().strict
    }

    pub(crate) fn limits(&self) -> Arc<Limits> {
        self.shared.limits.load_full()
    }
}

impl Serve for Worker {
    type Body = Output;

    /// Answers one request. Never fails: whatever is wrong becomes an answer in the caller's dialect.
    async fn answer(&self, request: Request<Incoming>, peer: Peer) -> Response<Output> {
        let dialect = dialect_of(request.uri(), request.headers());
        let Ok(id) = self.call_id() else {
            return self.tell(dialect, &Problem::Internal, CallId([0; 16]));
        };
        let proof = holds_proof(request.headers()) && !is_aside(request.uri().path());
        let mut response = match self.serve(id, request, peer).await {
            Ok(response) => response,
            Err(problem) => self.tell(dialect, &problem, id),
        };
        if let Some(nonce) = proof.then(|| self.shared.oauth.nonce(self.shared.clock.now())).flatten() {
            response.headers_mut().insert(DPOP_NONCE, nonce);
        }
        response
    }
}

/// Makes an answer of the gateway's own.
fn json(route: &Route, id: CallId, body: Bytes) -> Response<Output> {
    let mut response = Response::new(Output::Whole(Some(body)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(id) = HeaderValue::from_str(&id.to_string()) {
        headers.insert(request_id_header(route.dialect), id);
    }
    response
}
