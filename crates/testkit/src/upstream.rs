//! A model server that says the same every time, misbehaves on demand and remembers who called.
//!
//! It writes every byte of HTTP itself, since most of what it is for is not HTTP as it should be. How it behaves is a
//! [`Script`]: set for all calls by [`FakeUpstream::behave`], else for one call by its header `x-fake`, else by the name
//! of the model it asks for.

mod answer;
mod script;
mod wire;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener as StdListener},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinSet,
};

pub use self::script::{Fault, Script};
use self::wire::{Connection, Request};

/// A model server on a thread of its own, at a free port of the loopback address. Dropped, it ends at once.
#[derive(Debug)]
pub struct FakeUpstream {
    address: SocketAddr,
    state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// One request that came in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Received {
    /// The number of the connection it came on, from 0.
    pub connection: usize,
    /// Such as `POST`.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// In the order they came; names in lower case.
    pub headers: Vec<(String, String)>,
    /// As it came.
    pub body: Vec<u8>,
    /// What became of the answer.
    pub fate: Fate,
}

/// What became of an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fate {
    /// It is being given.
    Answering,
    /// It was given as scripted, to its end.
    Given,
    /// The client went away before its end.
    Aborted {
        /// Pieces of the answer that were written before.
        pieces: usize,
        /// From the end of the request to the moment the client went away.
        after: Duration,
    },
}

#[derive(Debug, Default)]
struct State {
    script: Mutex<Option<Script>>,
    received: Mutex<Vec<Received>>,
    changed: Condvar,
    connections: AtomicUsize,
}

impl FakeUpstream {
    /// Starts a server at a free port.
    ///
    /// # Errors
    ///
    /// The operating system's, if there is no port or no thread.
    pub fn start() -> io::Result<Self> {
        Self::start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    /// Starts a server at a given address, for example where another one was.
    ///
    /// # Errors
    ///
    /// The operating system's, if the address is taken or there is no thread.
    pub fn start_at(address: SocketAddr) -> io::Result<Self> {
        let socket = StdListener::bind(address)?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        let state = Arc::new(State::default());
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let for_thread = Arc::clone(&state);
        let serve = move || runtime.block_on(serve(socket, for_thread, stopped));
        let thread = thread::Builder::new().name("fake-upstream".into()).spawn(serve)?;
        Ok(Self { address, state, stop: Some(stop), thread: Some(thread) })
    }

    /// Returns where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns its URL, without a path.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Behaves by `script` from the next request on, whatever that asks for; by the requests again if `None`.
    pub fn behave(&self, script: impl Into<Option<Script>>) {
        *lock(&self.state.script) = script.into();
    }

    /// Returns every request so far, in the order they came in.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        lock(&self.state.received).clone()
    }

    /// Returns how many connections were accepted so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Waits until what was received satisfies `enough`, at most `within`; returns whether it does.
    pub fn wait_until(&self, within: Duration, enough: impl Fn(&[Received]) -> bool) -> bool {
        let until = Instant::now() + within;
        let mut received = lock(&self.state.received);
        while !enough(&received) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let woken = self.state.changed.wait_timeout(received, left);
            received = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Waits until the last request that came in has been aborted by its client; returns whether it was in time.
    pub fn wait_aborted(&self, within: Duration) -> bool {
        self.wait_until(within, |received| {
            received.last().is_some_and(|last| matches!(last.fate, Fate::Aborted { .. }))
        })
    }
}

impl Drop for FakeUpstream {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Received {
    /// Returns the first header of a name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find_map(|(known, value)| (known == name).then_some(value.as_str()))
    }

    /// Returns the body as JSON, `null` if it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

impl State {
    fn script_for(&self, request: &Request) -> Script {
        let set = lock(&self.script).clone();
        let by_header = || request.header("x-fake").map(Script::parse);
        let by_model = || request.model().map(|model| Script::of_model(&model, request.max_tokens()));
        set.or_else(by_header).or_else(by_model).unwrap_or_default()
    }

    fn note(&self, connection: usize, request: &Request) -> usize {
        let mut received = lock(&self.received);
        received.push(Received {
            connection,
            method: request.method.clone(),
            path: request.path.clone(),
            headers: request.headers.clone(),
            body: request.body.clone(),
            fate: Fate::Answering,
        });
        self.changed.notify_all();
        received.len() - 1
    }

    fn settle(&self, number: usize, fate: Fate) {
        if let Some(received) = lock(&self.received).get_mut(number) {
            received.fate = fate;
        }
        self.changed.notify_all();
    }
}

async fn serve(socket: StdListener, state: Arc<State>, mut stopped: oneshot::Receiver<()>) {
    let Ok(listener) = TcpListener::from_std(socket) else {
        return;
    };
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => return,
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                let number = state.connections.fetch_add(1, Ordering::SeqCst);
                connections.spawn(converse(stream, number, Arc::clone(&state)));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Answers requests on one connection until either side closes it.
async fn converse(stream: TcpStream, number: usize, state: Arc<State>) {
    let _ = stream.set_nodelay(true);
    let mut connection = Connection::new(stream);
    while let Some(request) = connection.request().await {
        let script = state.script_for(&request);
        let noted = state.note(number, &request);
        let begun = Instant::now();
        let answered = answer::answer(&mut connection, &request, &script).await;
        match answered {
            Ok(keep) => {
                state.settle(noted, Fate::Given);
                if !keep {
                    return;
                }
            }
            Err(gone) => {
                return state.settle(noted, Fate::Aborted { pieces: gone.pieces, after: begun.elapsed() });
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpStream,
    };

    use super::*;

    /// Sends one request on a connection of its own and returns all that comes until it is closed.
    fn ask(fake: &FakeUpstream, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(fake.address()).unwrap();
        let length = body.len();
        let head =
            format!("POST {path} HTTP/1.1\r\nhost: fake\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    #[test]
    fn every_operation_is_answered_the_same_each_time() {
        let fake = FakeUpstream::start().unwrap();
        for (path, body, want) in [
            ("/v1/chat/completions", r#"{"model":"m"}"#, "chat.completion"),
            ("/v1/chat/completions", r#"{"model":"m","stream":true}"#, "data: [DONE]"),
            ("/v1/completions", r#"{"model":"m"}"#, "text_completion"),
            ("/v1/responses", r#"{"model":"m"}"#, "output_text"),
            ("/v1/responses", r#"{"model":"m","stream":true}"#, "response.completed"),
            ("/v1/embeddings", r#"{"model":"m"}"#, "embedding"),
            ("/v1/messages", r#"{"model":"m"}"#, "end_turn"),
            ("/v1/messages", r#"{"model":"m","stream":true}"#, "message_stop"),
            ("/v1/messages/count_tokens", r#"{"model":"m"}"#, "input_tokens"),
        ] {
            let first = ask(&fake, path, body);
            assert!(first.starts_with("HTTP/1.1 200") && first.contains(want), "{path}: {first}");
            assert_eq!(ask(&fake, path, body), first);
        }
        assert!(ask(&fake, "/v1/nothing", "{}").starts_with("HTTP/1.1 404"));
    }

    #[test]
    fn requests_and_what_became_of_them_are_remembered() {
        let fake = FakeUpstream::start().unwrap();
        ask(&fake, "/v1/messages", r#"{"model":"m"}"#);
        let received = fake.received();
        assert_eq!(received[0].json()["model"], "m");
        assert_eq!((received[0].header("host"), received[0].fate), (Some("fake"), Fate::Given));
        let mut stream = TcpStream::connect(fake.address()).unwrap();
        stream.write_all(b"POST /v1/messages HTTP/1.1\r\ncontent-length: 39\r\n\r\n{\"model\":\"slow-1000-20\",\"stream\":true} ").unwrap();
        let mut first = [0; 10];
        stream.read_exact(&mut first).unwrap();
        drop(stream);
        assert!(fake.wait_aborted(Duration::from_secs(5)));
        assert_eq!(fake.connections(), 2);
    }
}
