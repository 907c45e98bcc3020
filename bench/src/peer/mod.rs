//! The gateways and proxies that Exeat is measured beside, each on one worker, on loopback, without telemetry.
//!
//! `cargo xtask bench` installs them; this module finds, configures, starts and stops them.

mod gateways;
mod process;
mod proof;
mod proxies;
mod tools;

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    str::FromStr,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use http::{HeaderName, HeaderValue};

use process::Tree;

/// What can stand between a client and the upstream in place of Exeat.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Kind {
    /// The floor: passes through.
    Nginx,
    /// Passes through.
    Haproxy,
    /// Passes through, with the filters of a service mesh.
    Envoy,
    /// A gateway in Rust: parses and writes anew.
    TensorZero,
    /// A gateway in Python: one key, no database.
    Litellm,
    /// A gateway in JavaScript.
    Portkey,
}

impl Kind {
    /// Every kind, cheapest first.
    pub(crate) const ALL: [Self; 6] =
        [Self::Nginx, Self::Haproxy, Self::Envoy, Self::TensorZero, Self::Litellm, Self::Portkey];

    /// Returns the name on the command line and of the folder that it is installed in.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Envoy => "envoy",
            Self::TensorZero => "tensorzero",
            Self::Litellm => "litellm",
            Self::Portkey => "portkey",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Kind {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let known = || Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|kind| kind.name() == text);
        found.with_context(|| format!("there is no peer `{text}`: use some of {}", known()))
    }
}

/// A running peer. The whole process tree is killed when this is dropped, and asked to stop when the driver dies.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Which.
    pub(crate) kind: Kind,
    /// As its package names it.
    pub(crate) version: String,
    /// Where it listens, on loopback.
    pub(crate) address: SocketAddr,
    /// The path of a chat completion in the `OpenAI` dialect.
    pub(crate) path: &'static str,
    /// What a request has to carry besides its content type.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// What a request has to name as its model.
    pub(crate) model: &'static str,
    /// False if it cannot relay a stream.
    pub(crate) streams: bool,
    tree: Tree,
}

impl Peer {
    /// Returns the process id of the root of its process tree, which is also its process group.
    pub(crate) fn pid(&self) -> u32 {
        self.tree.pid()
    }

    /// Waits; takes the address from the file that the peer writes it to, if it chooses its own.
    fn wait_until_it_listens(&mut self, says_where: Option<&Path>) -> anyhow::Result<()> {
        let until = Instant::now() + Duration::from_secs(120);
        while Instant::now() < until {
            let address = says_where.map_or(Some(self.address), read_address);
            if let Some(address) = address.filter(|address| TcpStream::connect(address).is_ok()) {
                self.address = address;
                // Another process may have taken the port between our look and its start.
                return ensure_alive(&mut self.tree);
            }
            ensure_alive(&mut self.tree)?;
            thread::sleep(Duration::from_millis(10));
        }
        bail!("it does not listen after two minutes")
    }
}

/// Starts a peer that relays to `upstream`; returns when it has relayed an answer, and a stream if it can.
///
/// `tools` is the folder that `cargo xtask bench` installs into; `folder` is for configuration and logs. The upstream
/// gets one or two requests before this returns.
///
/// # Errors
///
/// It is not installed (says how to install it); or it ended, did not listen within two minutes, or does not relay
/// (says where its log is).
pub(crate) fn start(kind: Kind, tools: &Path, folder: &Path, upstream: SocketAddr) -> anyhow::Result<Peer> {
    let address = free_port()?;
    // nginx takes a relative path for one below its own prefix.
    let (tools, folder) = (std::path::absolute(tools)?, std::path::absolute(folder.join(kind.name()))?);
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    let place = Place { tools: &tools, folder: &folder, address, upstream };
    let recipe = match kind {
        Kind::Nginx => proxies::nginx(&place),
        Kind::Haproxy => proxies::haproxy(&place),
        Kind::Envoy => proxies::envoy(&place),
        Kind::TensorZero => gateways::tensorzero(&place),
        Kind::Litellm => gateways::litellm(&place),
        Kind::Portkey => gateways::portkey(&place),
    }?;
    let log = folder.join("log");
    let tree = Tree::spawn(recipe.command, &log)?;
    let Recipe { version, path, headers, model, streams, says_where, .. } = recipe;
    let mut peer = Peer { kind, version, address, path, headers, model, streams, tree };
    let proven = peer.wait_until_it_listens(says_where.as_deref()).and_then(|()| proof::relays(&peer));
    proven.with_context(|| format!("{kind} {} cannot be measured; its log is `{}`", peer.version, log.display()))?;
    Ok(peer)
}

/// Where a peer is found, where it may write (both absolute), where it listens and where it relays to.
struct Place<'a> {
    tools: &'a Path,
    folder: &'a Path,
    address: SocketAddr,
    upstream: SocketAddr,
}

impl Place<'_> {
    /// Writes a file into the peer's folder; returns its path.
    fn write(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.folder.join(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
        Ok(path)
    }
}

/// How one peer is started and called.
struct Recipe {
    command: Command,
    version: String,
    path: &'static str,
    headers: Vec<(HeaderName, HeaderValue)>,
    model: &'static str,
    streams: bool,
    /// The file that a peer which chooses its own port writes its address to.
    says_where: Option<PathBuf>,
}

impl Recipe {
    /// A peer that passes everything through.
    fn transparent(command: Command, version: String) -> Self {
        Self {
            command,
            version,
            path: "/v1/chat/completions",
            headers: Vec::new(),
            model: "mythos-5",
            streams: true,
            says_where: None,
        }
    }
}

fn ensure_alive(tree: &mut Tree) -> anyhow::Result<()> {
    let ended = tree.ended()?;
    ensure!(ended.is_none(), "it ended with {}", ended.map(|status| status.to_string()).unwrap_or_default());
    Ok(())
}

/// Reads `http://ADDRESS/PATH` on loopback; `None` as long as it is not there.
fn read_address(file: &Path) -> Option<SocketAddr> {
    let url = std::fs::read_to_string(file).ok()?;
    let (address, _path) = url.strip_prefix("http://")?.split_once('/')?;
    address.parse().ok().filter(|address: &SocketAddr| address.ip().is_loopback())
}

fn free_port() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

#[cfg(test)]
mod tests;
