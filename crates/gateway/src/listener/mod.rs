//! Accepts connections: one single-threaded runtime per worker, each with a socket of its own on every port.
//!
//! The kernel spreads connections over the workers' sockets (`SO_REUSEPORT`) by a hash, which is uneven when there
//! are few. A worker that accepts while another carries clearly less hands the connection over, see [`balance`].

mod balance;
mod bind;
mod connection;
mod guarded;
mod peer;
mod tls;

#[cfg(test)]
mod tests;

use std::{
    convert::Infallible,
    io,
    net::{SocketAddr, TcpListener as StdListener, TcpStream as StdStream},
    path::PathBuf,
    rc::Rc,
    sync::{Arc, mpsc as std_mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
    sync::{mpsc, watch},
    task::{LocalSet, spawn_local},
    time::sleep,
};

pub use self::connection::is_http2;
pub(crate) use self::peer::Peer;
use self::{
    balance::{Balance, Place},
    connection::Connections,
    tls::Certificate,
};
use crate::config::{Checked, TlsSettings};

/// How long accepting pauses when the process is out of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers requests on one worker's thread.
pub(crate) trait Serve: 'static {
    /// The body of an answer.
    type Body: Body<Data = Bytes, Error = Infallible> + Unpin + 'static;

    /// Answers one request that came from `peer`. Dropped if the client goes away.
    fn answer(&self, request: Request<Incoming>, peer: Peer) -> impl Future<Output = Response<Self::Body>>;
}

/// The listener cannot start; no port is left bound.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// Which.
        address: SocketAddr,
        /// The operating system's answer.
        source: io::Error,
    },
    /// A certificate or key cannot be used.
    #[error("cannot use `{}`: {why}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        why: String,
    },
    /// A worker cannot be started.
    #[error("cannot start a worker: {0}")]
    Worker(#[source] io::Error),
}

/// The running workers. Dropped, they stop at once.
#[derive(Debug)]
pub(crate) struct Listeners {
    addresses: Vec<SocketAddr>,
    certificate: Option<(TlsSettings, Arc<Certificate>)>,
    phase: watch::Sender<Phase>,
    ended: std_mpsc::Receiver<()>,
    threads: Vec<JoinHandle<()>>,
}

/// What the workers do.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Phase {
    /// Accept and serve.
    Serving,
    /// Accept nothing, finish what is under way.
    Draining,
    /// End at once.
    Stopped,
}

/// One worker before its thread starts.
struct Worker {
    id: usize,
    runtime: Runtime,
    sockets: Vec<StdListener>,
    inbox: mpsc::UnboundedReceiver<(StdStream, Place)>,
    balance: Arc<Balance>,
    connections: Connections,
    phase: watch::Receiver<Phase>,
    /// Dropped when the worker has ended.
    ended: std_mpsc::Sender<()>,
}

/// Binds every port, then starts the workers; `make` makes each worker's service, on its own thread, inside a
/// `LocalSet`.
///
/// # Errors
///
/// [`StartError`]: nothing serves and no port is left bound.
pub(crate) fn spawn<S: Serve>(
    settings: &Checked,
    make: impl Fn(usize) -> Rc<S> + Clone + Send + 'static,
) -> Result<Listeners, StartError> {
    let count = settings.workers().get();
    let certificate = match settings.tls() {
        Some(tls) => Some((tls.clone(), Arc::new(Certificate::load(tls)?))),
        None => None,
    };
    let (addresses, sockets) = bind::bind(settings.listen(), count)?;
    let (phase, watched) = watch::channel(Phase::Serving);
    let (ending, ended) = std_mpsc::channel();
    let (balance, inboxes) = Balance::new(count, settings.limits().connections);
    let tls = certificate.as_ref().map(|(_, certificate)| certificate.config(settings.client_certificates()));
    let connections = Connections::new(settings.limits(), tls.transpose()?, watched.clone());
    let mut workers = Vec::with_capacity(count);
    for (id, (sockets, inbox)) in sockets.into_iter().zip(inboxes).enumerate() {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(StartError::Worker)?;
        let (balance, connections) = (Arc::clone(&balance), connections.clone());
        let (phase, ended) = (watched.clone(), ending.clone());
        workers.push(Worker { id, runtime, sockets, inbox, balance, connections, phase, ended });
    }
    // From here on a failure drops `listeners`, which stops the threads already started.
    let mut listeners = Listeners { addresses, certificate, phase, ended, threads: Vec::with_capacity(count) };
    for worker in workers {
        listeners.threads.push(worker.start(make.clone())?);
    }
    Ok(listeners)
}

impl Listeners {
    /// Returns the addresses listened on, in the order of the settings, with the ports that were free for port 0.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Reads the certificate and key anew; handshakes from now on use them.
    ///
    /// # Errors
    ///
    /// [`StartError::Certificate`]: the certificate in use stays in use.
    pub(crate) fn renew_certificate(&self) -> Result<(), StartError> {
        match &self.certificate {
            Some((settings, certificate)) => certificate.renew(settings),
            None => Ok(()),
        }
    }

    /// Stops accepting, lets calls in flight finish for at most `bound`, then ends the rest. Blocks.
    ///
    /// Returns true if every call finished by itself.
    pub(crate) fn drain(self, bound: Duration) -> bool {
        self.phase.send_replace(Phase::Draining);
        let until = Instant::now() + bound;
        // Nothing is ever sent: the channel closes when the last worker has ended.
        let waited = self.ended.recv_timeout(until.saturating_duration_since(Instant::now()));
        waited == Err(std_mpsc::RecvTimeoutError::Disconnected)
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        self.phase.send_replace(Phase::Stopped);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a worker panicked");
            }
        }
    }
}

impl Worker {
    fn start<S: Serve>(self, make: impl Fn(usize) -> Rc<S> + Send + 'static) -> Result<JoinHandle<()>, StartError> {
        let named = thread::Builder::new().name(format!("gateway-{}", self.id));
        named.spawn(move || self.run(make)).map_err(StartError::Worker)
    }

    fn run<S: Serve>(self, make: impl Fn(usize) -> Rc<S>) {
        let Self { id, runtime, sockets, inbox, balance, connections, phase, ended } = self;
        let local = LocalSet::new();
        local.block_on(&runtime, async move {
            let here = Here { id, service: make(id), balance, connections, phase };
            here.work(sockets, inbox).await;
        });
        // Ends whatever is still under way, and only then reports the end.
        drop(local);
        drop(runtime);
        drop(ended);
    }
}

/// One worker on its thread.
struct Here<S> {
    id: usize,
    service: Rc<S>,
    balance: Arc<Balance>,
    connections: Connections,
    phase: watch::Receiver<Phase>,
}

impl<S: Serve> Here<S> {
    /// Serves until every connection has ended after draining began, or until stopped.
    async fn work(self, sockets: Vec<StdListener>, inbox: mpsc::UnboundedReceiver<(StdStream, Place)>) {
        let mut phase = self.phase.clone();
        // Every task that may still serve holds a copy of `open`; nothing is ever sent.
        let (open, mut all_ended) = mpsc::channel::<()>(1);
        let here = Rc::new(self);
        for socket in sockets {
            spawn_local(Rc::clone(&here).accept(socket, open.clone()));
        }
        spawn_local(Rc::clone(&here).take_over(inbox, open));
        tokio::select! {
            _ = all_ended.recv() => {}
            () = reached(&mut phase, Phase::Stopped) => {}
        }
    }

    async fn accept(self: Rc<Self>, socket: StdListener, open: mpsc::Sender<()>) {
        let mut phase = self.phase.clone();
        let listener = match TcpListener::from_std(socket) {
            Ok(listener) => listener,
            Err(error) => return tracing::error!(%error, "cannot accept on a bound port"),
        };
        loop {
            let accepted = tokio::select! {
                biased;
                () = reached(&mut phase, Phase::Draining) => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => self.place(stream, &open),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// Serves a new connection here, or hands it to a worker that carries less, or closes it if there are too many.
    fn place(self: &Rc<Self>, stream: TcpStream, open: &mpsc::Sender<()>) {
        let Some(to) = self.balance.choose(self.id) else {
            return tracing::debug!("closed a connection beyond the limit");
        };
        if to.worker() == self.id {
            self.serve(stream, to, open.clone());
        } else if let Ok(stream) = stream.into_std() {
            self.balance.hand_over(stream, to);
        }
    }

    async fn take_over(self: Rc<Self>, mut inbox: mpsc::UnboundedReceiver<(StdStream, Place)>, open: mpsc::Sender<()>) {
        let mut phase = self.phase.clone();
        loop {
            let handed = tokio::select! {
                biased;
                () = reached(&mut phase, Phase::Draining) => return,
                handed = inbox.recv() => handed,
            };
            let Some((stream, place)) = handed else {
                return;
            };
            if let Ok(stream) = TcpStream::from_std(stream) {
                self.serve(stream, place, open.clone());
            }
        }
    }

    fn serve(&self, stream: TcpStream, place: Place, open: mpsc::Sender<()>) {
        let (connections, service) = (self.connections.clone(), Rc::clone(&self.service));
        spawn_local(async move {
            connections.serve(stream, service).await;
            drop((place, open));
        });
    }
}

/// Waits until the workers are in `phase` or a later one.
async fn reached(now: &mut watch::Receiver<Phase>, phase: Phase) {
    // What this returns locks the channel: it must not live on in a caller that goes on to wait.
    let _ = now.wait_for(|now| *now >= phase).await;
}

/// Returns true if an error of `accept` concerns the connection that was to be accepted, not the socket.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
