//! `exeat follower`: a copy of another machine's log, until a signal ends it.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use clap::Args;
use ledger::quorum::Follower;
use rustls::ServerConfig;
use tokio::runtime::Builder;

use super::Exit;
use crate::{
    config::LogConfig,
    copies::{self, Papers},
    logging, secrets,
    serve::Signals,
};

/// Leaders that may speak at once; one is listened to, the others are old connections or refused.
const LEADERS_MAX: usize = 16;

/// How long nothing is accepted after a connection could not be.
const PAUSE: Duration = Duration::from_millis(100);

/// What a follower is told.
#[derive(Clone, Debug, Args)]
pub(crate) struct FollowerOptions {
    /// The folder of the copy.
    #[arg(long, env = "EXEAT_LEDGER")]
    ledger: PathBuf,
    /// The log's name, as in its checkpoints.
    #[arg(long)]
    origin: String,
    /// Where to listen.
    #[arg(long)]
    listen: SocketAddr,
    /// This machine's certificate chain, in PEM.
    #[arg(long)]
    cert_chain: PathBuf,
    /// The key of that, in PEM.
    #[arg(long)]
    key: PathBuf,
    /// The authorities that certify leaders, in PEM; nobody else is trusted.
    #[arg(long)]
    ca_file: PathBuf,
}

/// Follows until a signal ends it.
///
/// # Errors
///
/// Why it cannot start.
pub(crate) fn run(options: &FollowerOptions) -> anyhow::Result<Exit> {
    logging::start(&LogConfig::default());
    let runtime = Builder::new_current_thread().enable_all().build().context("cannot wait for signals")?;
    let mut signals = Signals::new(&runtime)?;
    let serving = Serving::open(options)?;
    let listener = TcpListener::bind(options.listen).with_context(|| format!("cannot listen on {}", options.listen))?;
    tracing::info!(address = %listener.local_addr()?, origin = options.origin, "follows");
    std::thread::Builder::new().name("follower".to_owned()).spawn(move || serving.run(&listener))?;
    // Whatever is under way is as good as a crash, which a copy stands at every moment.
    runtime.block_on(signals.end());
    Ok(Exit::Done)
}

/// What every connection needs.
#[derive(Clone)]
struct Serving {
    follower: Arc<Follower>,
    tls: Arc<ServerConfig>,
    leaders: Arc<AtomicUsize>,
}

impl Serving {
    fn open(options: &FollowerOptions) -> anyhow::Result<Self> {
        let FollowerOptions { cert_chain, key, ca_file, .. } = options;
        let tls = Arc::new(Papers { cert_chain, key, ca_file }.server()?);
        secrets::private_dir(&options.ledger)?;
        let follower = Arc::new(Follower::open(&options.ledger, &options.origin)?);
        Ok(Self { follower, tls, leaders: Arc::default() })
    }

    fn run(&self, listener: &TcpListener) {
        for stream in listener.incoming() {
            match stream {
                Ok(stream) => self.offer(stream),
                Err(error) => {
                    tracing::warn!(%error, "a connection was lost before it began");
                    // Where this process has no more files to open, the next answer would be the same.
                    std::thread::sleep(PAUSE);
                }
            }
        }
    }

    /// Serves a connection on a thread of its own, unless there are too many.
    fn offer(&self, stream: TcpStream) {
        if self.leaders.fetch_add(1, Ordering::SeqCst) >= LEADERS_MAX {
            self.leaders.fetch_sub(1, Ordering::SeqCst);
            return;
        }
        let serving = self.clone();
        let spawned = std::thread::Builder::new().name("follower-leader".to_owned()).spawn(move || {
            serving.serve(stream);
            serving.leaders.fetch_sub(1, Ordering::SeqCst);
        });
        if let Err(error) = spawned {
            self.leaders.fetch_sub(1, Ordering::SeqCst);
            tracing::warn!(%error, "cannot serve a connection");
        }
    }

    fn serve(&self, stream: TcpStream) {
        let peer = stream.peer_addr().ok();
        let served = copies::accept(stream, &self.tls).and_then(|mut channel| self.follower.serve(&mut channel));
        if let Err(error) = served {
            tracing::warn!(%error, ?peer, "a leader is followed no longer");
        }
    }
}
