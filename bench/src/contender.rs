//! What is measured: the upstream itself, the peers, a plain relay, and Exeat with everything on.

use std::{net::SocketAddr, path::Path};

use anyhow::ensure;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, header::AUTHORIZATION};
use serde_json::json;
use tempfile::TempDir;
use testkit::server::{Server, Setup};

use crate::{
    args::{Dialect, Run},
    load::Shot,
    own::Own,
    peer::{self, Kind, Peer},
    relay,
    report::Report,
};

/// The model that everything but a peer of its own naming is asked for.
const MODEL: &str = "mythos-5";
/// Segments of the ledger as an operator would have them.
const SEGMENT_MIB: u64 = 64;
/// Checkpoints as often as unless set.
const CHECKPOINT_MS: u64 = 1_000;
/// Calls and connections that a server takes at a time.
const IN_FLIGHT: usize = 20_000;
/// Where files are in memory.
const IN_MEMORY: &str = "/dev/shm";

/// The upstream, called without anything before it.
pub(crate) const DIRECT: &str = "direct";
/// The plain relay.
pub(crate) const RELAY: &str = "relay";
/// Exeat with everything on.
pub(crate) const EXEAT: &str = "exeat";
/// The same with its data in memory, so that the disk costs nothing.
pub(crate) const EXEAT_SHM: &str = "exeat-shm";
/// Exeat that calls the upstream only once the opening entry is on disk.
pub(crate) const EXEAT_STRICT: &str = "exeat-strict";

/// One way to the upstream.
#[derive(Debug)]
pub(crate) struct Contender {
    /// Its name in tables.
    pub(crate) name: &'static str,
    /// Its version.
    pub(crate) version: String,
    /// A request whose answer is not streamed.
    pub(crate) unary: Shot,
    /// One whose answer is; `None` if it cannot.
    pub(crate) stream: Option<Shot>,
    /// Most streams to hold: a peer that needs seconds for a hundred is not asked for thousands.
    pub(crate) holds: usize,
    /// Most requests a second of an open loop that is to stay far from its limits.
    pub(crate) rate: u32,
    running: Running,
}

/// Kept so that it runs.
#[derive(Debug)]
enum Running {
    Upstream,
    Relay(Own),
    Peer(Peer),
    Exeat(Server, #[expect(dead_code, reason = "removes the folder")] Option<TempDir>),
}

impl Contender {
    /// Returns the root of its process tree; `None` for the upstream, which is nobody's.
    pub(crate) fn pid(&self) -> Option<u32> {
        match &self.running {
            Running::Upstream => None,
            Running::Relay(own) => Some(own.pid()),
            Running::Peer(peer) => Some(peer.pid()),
            Running::Exeat(server, _) => Some(server.pid()),
        }
    }
}

/// Starts every contender of a run and adds it to the report. A peer that cannot be started is noted as not run.
///
/// # Errors
///
/// One of ours did not start.
pub(crate) fn start_all(
    run: &Run,
    folder: &Path,
    upstream: SocketAddr,
    report: &mut Report,
) -> anyhow::Result<Vec<Contender>> {
    let dialect = run.dialect;
    let mut all = vec![transparent(DIRECT, "", dialect, upstream, Running::Upstream)];
    for kind in run.peers.iter().copied() {
        match start_peer(run, kind, folder, upstream) {
            Ok(peer) => all.push(of_peer(peer, dialect)),
            Err(error) => report.note(format!("{kind}: not run: {error:#}")),
        }
    }
    all.push(of_relay(relay::start(upstream)?, dialect));
    all.push(of_server(EXEAT, dialect, serve(run, &folder.join(EXEAT), upstream)?, None)?);
    match TempDir::with_prefix_in("exeat-bench-", IN_MEMORY) {
        Ok(memory) => {
            let server = serve(run, memory.path(), upstream)?;
            all.push(of_server(EXEAT_SHM, dialect, server, Some(memory))?);
        }
        Err(error) => report.note(format!("{EXEAT_SHM}: not run: {IN_MEMORY}: {error}")),
    }
    all.iter().for_each(|contender| report.contender(contender.name, &contender.version));
    Ok(all)
}

/// Starts Exeat in its strict mode.
///
/// # Errors
///
/// It did not start.
pub(crate) fn start_strict(run: &Run, folder: &Path, upstream: SocketAddr) -> anyhow::Result<Contender> {
    let strict = vec![("EXEAT__SERVER__STRICT".to_owned(), "true".to_owned())];
    let setup = Setup { environment: strict, ..setup(run, &folder.join(EXEAT_STRICT), upstream)? };
    let server = setup.start()?;
    server.lab()?;
    of_server(EXEAT_STRICT, run.dialect, server, None)
}

/// Starts Exeat with one worker and limits that let through what is measured, and registers the lab.
///
/// # Errors
///
/// It did not start.
pub(crate) fn serve(run: &Run, folder: &Path, upstream: SocketAddr) -> anyhow::Result<Server> {
    let server = setup(run, folder, upstream)?.start()?;
    server.lab()?;
    Ok(server)
}

/// Sets a server up as [`serve`] does.
///
/// # Errors
///
/// No port is free.
pub(crate) fn setup(run: &Run, folder: &Path, upstream: SocketAddr) -> anyhow::Result<Setup> {
    let setup = Setup::new(&run.exeat, folder, upstream)?;
    Ok(Setup { segment_mib: SEGMENT_MIB, checkpoint_ms: CHECKPOINT_MS, in_flight: IN_FLIGHT, ..setup })
}

/// Makes the chat completion of a holder of a key.
///
/// # Errors
///
/// The key cannot stand in a header.
pub(crate) fn shot(address: SocketAddr, key: &str, stream: bool) -> anyhow::Result<Shot> {
    let ask = Ask { dialect: Dialect::Openai, model: MODEL, headers: vec![bearer(key)?] };
    Ok(ask.shot(address, Dialect::Openai.path(), stream))
}

/// What is asked of a gateway.
struct Ask {
    dialect: Dialect,
    model: &'static str,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Ask {
    fn shot(&self, address: SocketAddr, path: &'static str, stream: bool) -> Shot {
        let mut body = json!({
            "model": self.model,
            "messages": [{"role": "user", "content": "Good afternoon, how are you?"}],
        });
        if let Some(fields) = body.as_object_mut() {
            if stream {
                fields.insert("stream".to_owned(), true.into());
            }
            if self.dialect == Dialect::Anthropic {
                fields.insert("max_tokens".to_owned(), 1_024.into());
            }
        }
        let mut headers = self.headers.clone();
        if self.dialect == Dialect::Anthropic {
            headers.push((HeaderName::from_static("anthropic-version"), HeaderValue::from_static("2023-06-01")));
        }
        Shot { address, path, headers, body: Bytes::from(body.to_string()), stream }
    }
}

fn bearer(key: &str) -> anyhow::Result<(HeaderName, HeaderValue)> {
    Ok((AUTHORIZATION, HeaderValue::try_from(format!("Bearer {key}"))?))
}

/// A contender that passes requests through and holds as many streams as files may be open.
fn transparent(
    name: &'static str,
    version: &str,
    dialect: Dialect,
    address: SocketAddr,
    running: Running,
) -> Contender {
    let ask = Ask { dialect, model: MODEL, headers: Vec::new() };
    Contender {
        name,
        version: version.to_owned(),
        unary: ask.shot(address, dialect.path(), false),
        stream: Some(ask.shot(address, dialect.path(), true)),
        holds: usize::MAX,
        rate: u32::MAX,
        running,
    }
}

fn of_relay(own: Own, dialect: Dialect) -> Contender {
    transparent(RELAY, env!("CARGO_PKG_VERSION"), dialect, own.address(), Running::Relay(own))
}

fn passes_through(kind: Kind) -> bool {
    matches!(kind, Kind::Nginx | Kind::Haproxy | Kind::Envoy)
}

fn start_peer(run: &Run, kind: Kind, folder: &Path, upstream: SocketAddr) -> anyhow::Result<Peer> {
    ensure!(passes_through(kind) || run.dialect == Dialect::Openai, "it is set up for the OpenAI dialect only");
    peer::start(kind, &run.tools, folder, upstream)
}

fn of_peer(peer: Peer, dialect: Dialect) -> Contender {
    let path = if passes_through(peer.kind) { dialect.path() } else { peer.path };
    let ask = Ask { dialect, model: peer.model, headers: peer.headers.clone() };
    let (holds, rate) = match peer.kind {
        Kind::Litellm => (200, 5),
        Kind::Portkey => (500, 50),
        Kind::TensorZero => (2_000, u32::MAX),
        Kind::Nginx | Kind::Haproxy | Kind::Envoy => (usize::MAX, u32::MAX),
    };
    Contender {
        name: peer.kind.name(),
        version: peer.version.clone(),
        unary: ask.shot(peer.address, path, false),
        stream: peer.streams.then(|| ask.shot(peer.address, path, true)),
        holds,
        rate,
        running: Running::Peer(peer),
    }
}

fn of_server(
    name: &'static str,
    dialect: Dialect,
    server: Server,
    folder: Option<TempDir>,
) -> anyhow::Result<Contender> {
    let ask = Ask { dialect, model: MODEL, headers: vec![bearer(&server.person("ada", true)?)?] };
    let shot = |stream| ask.shot(server.address, dialect.path(), stream);
    let (unary, stream, version) = (shot(false), Some(shot(true)), env!("CARGO_PKG_VERSION"));
    let address = server.address;
    Ok(Contender { unary, stream, ..transparent(name, version, dialect, address, Running::Exeat(server, folder)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_written_in_its_dialect_and_asks_for_a_stream_only_if_it_is_to() {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        for (dialect, tokens, headers) in [(Dialect::Openai, false, 0), (Dialect::Anthropic, true, 1)] {
            let ask = Ask { dialect, model: MODEL, headers: Vec::new() };
            for stream in [false, true] {
                let shot = ask.shot(address, dialect.path(), stream);
                let body: serde_json::Value = serde_json::from_slice(&shot.body).unwrap();
                assert_eq!((body.get("stream").is_some(), shot.stream), (stream, stream), "{body}");
                assert_eq!((body.get("max_tokens").is_some(), shot.headers.len()), (tokens, headers), "{body}");
            }
        }
    }

    #[test]
    fn a_key_that_is_no_header_is_an_error() {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        assert!(shot(address, "ex_live_\n", false).is_err());
        assert!(shot(address, "ex_live_a", false).is_ok());
    }
}
