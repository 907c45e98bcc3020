//! Paths that are no calls to a model but that SDKs ask of the same server: tokens, and who issues them.

use std::{
    fmt,
    net::IpAddr,
    pin::Pin,
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response};

use crate::{
    Output, Problem, Worker,
    admit::Slot,
    authenticate::{ResourceServer, client_certificate},
    call::{Incoming, read_body},
    dialect::request_id_header,
    forwarded::client_address,
};

/// The longest body of such a request, in bytes. The largest is a form with two tokens of 16 KiB each.
const BODY_BYTES_MAX: usize = 64 << 10;
/// For the body, and then for the answer.
const WITHIN: Duration = Duration::from_secs(10);
/// How many are answered at once: they may not take the room of calls.
const AT_ONCE_MAX: usize = 64;
/// How many bodies are read at once, which may come slowly; 4,096 of 64 KiB are 256 MiB.
const READ_AT_ONCE_MAX: usize = 4_096;

/// An answer to come.
pub type Answering = Pin<Box<dyn Future<Output = Response<Bytes>> + Send>>;

/// Who asks, as far as the connection tells.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Client {
    /// The address that the connection comes from; if that is a trusted proxy's, the one that it passed on.
    pub address: IpAddr,
    /// The SHA-256 of the certificate whose key the client proved to hold, if any.
    pub certificate: Option<[u8; 32]>,
}

/// Answers what is no call to a model. The work itself must be done elsewhere: the future is polled on the thread of a
/// worker, among calls.
pub trait Aside: Send + Sync + fmt::Debug {
    /// Answers a request whose body was read. Dropped if the client goes away or after 10 s.
    fn answer(&self, request: Request<Bytes>, client: Client) -> Answering;
}

/// Hands a request on and returns the answer.
///
/// # Errors
///
/// [`Problem::NotFound`] if nobody answers such paths here; [`Problem::Overloaded`] if too many are being answered or the
/// answer takes too long; a [`Problem`] of the body.
pub(crate) async fn answer(worker: &Worker, incoming: Incoming) -> Result<Response<Output>, Problem> {
    let shared = worker.shared();
    let aside = shared.aside.as_ref().ok_or(Problem::NotFound)?;
    let client = client(&shared.oauth, &incoming)?;
    let (id, dialect) = (incoming.id, incoming.route.dialect);
    let reading = place(&shared.aside_bodies, READ_AT_ONCE_MAX)?;
    let body = read_body(incoming.body, BODY_BYTES_MAX, WITHIN).await?;
    drop(reading);
    // Only now: whoever sends slowly keeps nobody else from an answer.
    let _answering = place(&shared.asides, AT_ONCE_MAX)?;
    let answering = aside.answer(Request::from_parts(incoming.parts, body), client);
    let answered = tokio::time::timeout(WITHIN, answering).await;
    let mut response = answered.map_err(|_| Problem::Overloaded { retry_after: 1 })?;
    if let Ok(id) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert(request_id_header(dialect), id);
    }
    Ok(response.map(|body| Output::Whole(Some(body))))
}

/// Takes one of `limit` places.
fn place(taken: &Arc<AtomicUsize>, limit: usize) -> Result<Slot, Problem> {
    Slot::take(taken, limit).ok_or(Problem::Overloaded { retry_after: 1 })
}

fn client(server: &ResourceServer, incoming: &Incoming) -> Result<Client, Problem> {
    let certificate = client_certificate(server, incoming)?;
    let address = client_address(incoming.headers(), incoming.peer.address(), &server.trusted_proxies);
    Ok(Client { address, certificate })
}
