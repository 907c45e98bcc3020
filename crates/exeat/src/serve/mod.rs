//! `exeat serve`: config, clock, ledger, control plane, gateway, listeners, in this order; and back on a signal.

mod admin;
mod cosigners;
mod identity;
mod lake;
mod listener;
mod siem;
mod tasks;
#[cfg(test)]
mod tests;
mod vault;
mod witness;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ::witness::Cosigner;
use anyhow::{Context, anyhow};
use control::{Control, Publish};
use gateway::{Gateway, Parts, Unmonitored};
use ledger::Ledger;
use meter::{CounterSource, Peer, Reconciler, Reconciliations, keep_counting, keep_reconciling};
use terms::{Clock, KeyId, ModelVersionId, SystemClock};
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{Signal, SignalKind, signal},
};

use crate::{
    commands::Exit,
    config::{self, CountersConfig, Meant, MeterConfig},
    logging, output,
    reload::Reloader,
    secrets,
};
pub(crate) use admin::BREAK_GLASS;
use admin::{AdminServer, Planes};
pub(crate) use cosigners::new_key;
use identity::{Identity, IdentityServer};
use lake::Lake;
use siem::Siem;
use tasks::Tasks;
pub(crate) use witness::{Role, run as run_witness};

/// How often the registry notes how far it has followed the ledger, so that the next start is short.
const NOTE_EVERY: Duration = Duration::from_secs(5);
/// How late an act without approvals may be undone.
const LIMITS_EVERY: Duration = Duration::from_millis(500);

/// Serves what the file at `path` says until a signal ends it; with `rekey`, changes the key of the vault first.
///
/// # Errors
///
/// Why it cannot start, or why the last entries could not be written; nothing is served then.
pub(crate) fn run(path: &Path, rekey: bool) -> anyhow::Result<Exit> {
    let meant = config::load(path)?;
    let level = logging::start(&meant.log);
    let runtime = admin_runtime()?;
    // From here on a signal waits until there is something to end in good order: a start is short.
    let signals = Signals::new(&runtime)?;
    let running = Running::start_on(runtime, meant, Arc::new(SystemClock::default()))?;
    let running = if rekey { running.rekey()? } else { running };
    let reloader = running.offer_reload(path.to_owned(), level);
    running.announce();
    running.serve_until(signals, &reloader)
}

/// A server that serves. [`Running::stop`] ends it in good order.
pub(crate) struct Running {
    pub(crate) runtime: Runtime,
    pub(crate) control: Control,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) ledger: Ledger,
    admin: AdminServer,
    identity: Option<IdentityServer>,
    /// Asks for cosignatures until it is dropped.
    _cosigner: Arc<Cosigner>,
    in_force: Arc<Mutex<Meant>>,
    token: TokenFile,
}

impl Running {
    /// Starts everything; when this returns, calls are served.
    ///
    /// # Errors
    ///
    /// What failed and what to do; what was started is stopped again, and no port stays bound.
    pub(crate) fn start(meant: Meant, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        Self::start_on(admin_runtime()?, meant, clock)
    }

    fn start_on(runtime: Runtime, meant: Meant, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        secrets::private_dir(&meant.data_dir)?;
        let dir = meant.data_dir.join(LEDGER_DIR);
        let (ledger, recovery) = lake::open_ledger(&runtime, &meant, &dir, Arc::clone(&clock))?;
        tracing::info!(
            entries = recovery.entries,
            torn_bytes = recovery.torn_bytes,
            interrupted = recovery.interrupted,
            unclean = recovery.unclean,
            "ledger open"
        );
        let kept = ledger.clone();
        Self::serve(runtime, meant, clock, ledger).inspect_err(|_| {
            if let Err(error) = kept.stop() {
                tracing::error!(%error, "the ledger could not be closed in good order");
            }
        })
    }

    fn serve(runtime: Runtime, meant: Meant, clock: Arc<dyn Clock>, ledger: Ledger) -> anyhow::Result<Self> {
        let data_dir = meant.data_dir.clone();
        let pepper = secrets::pepper(&data_dir)?;
        let settings = control_settings(&meant);
        let control = Control::open(settings, ledger.clone(), Arc::clone(&clock), pepper.clone())?;
        control.attach_retention(meant.retention.clone());
        let token = first_token(&control, &meant.data_dir)?;
        let admin = AdminServer::bind(&runtime, meant.control.listen)?;
        let checked = meant.settings.clone().check().map_err(|faults| anyhow!(lines(&faults)))?;
        let lake = Lake::open(&runtime, &meant, &ledger, &clock)?;
        let client = meant.outbound.client()?;
        let identity = Identity::open(&meant, &checked, &control, &clock, &client)?;
        let cosigner = cosigners::start(&runtime, &meant, &ledger, &clock, &client)?;
        let siem = Siem::open(&meant, &ledger, &client)?;
        let counted = Counted::open(&meant)?;
        let tasks = Tasks::new(&runtime);
        let gateway = Gateway::start(Parts {
            settings: checked,
            directory: control.directory(),
            snapshot: control.snapshot(),
            ledger: ledger.clone(),
            clock: Arc::clone(&clock),
            pepper,
            monitor: Arc::new(Unmonitored),
            client,
            ticket_key: Some(secrets::ticket_key(&data_dir)?),
            own_tokens: identity.as_ref().map(Identity::own_tokens),
            aside: identity.as_ref().map(|identity| identity.token_paths(&runtime)),
        })?;
        let gateway = Arc::new(gateway);
        control.attach(Arc::new(LiveCalls(Arc::clone(&gateway))));
        gateway.snapshot(control.snapshot());
        let identity = identity.map(|identity| identity.serve(&runtime, &control)).transpose()?;
        if let Some((lake, config)) = lake.as_ref().zip(meant.lake.as_ref()) {
            lake.serve(&tasks, config);
        }
        let reconciliations = counted.serve(&tasks, &meant.data_dir, &ledger, &clock);
        let planes = Planes {
            control: control.clone(),
            gateway: Arc::clone(&gateway),
            cosigner: Arc::clone(&cosigner),
            reconciliations,
            lake,
            siem: siem.clone(),
            tasks: tasks.clone(),
        };
        admin.serve(&runtime, planes);
        note_progress(&tasks, &control);
        vault::keep_erased(&tasks, &meant, &ledger);
        keep_limits(&tasks, &control);
        siem.serve(&tasks, &clock);
        let in_force = Arc::new(Mutex::new(meant));
        Ok(Self { runtime, control, gateway, ledger, admin, identity, _cosigner: cosigner, in_force, token })
    }

    /// Changes the key of the vault, or stops.
    fn rekey(self) -> anyhow::Result<Self> {
        match vault::change(&self.ledger) {
            Ok(()) => Ok(self),
            Err(error) => {
                self.stop()?;
                Err(error.into())
            }
        }
    }

    /// Returns where the admin API is served.
    pub(crate) fn admin_address(&self) -> SocketAddr {
        self.admin.address()
    }

    /// Returns the file that holds the root admin token of the first start.
    pub(crate) fn token_file(&self) -> &Path {
        &self.token.file
    }

    fn offer_reload(&self, path: PathBuf, level: logging::Level) -> Arc<Reloader> {
        let reloader =
            Reloader::new(path, Arc::clone(&self.in_force), self.control.clone(), Arc::clone(&self.gateway), level);
        let reloader = Arc::new(reloader);
        self.control.attach_reload(Arc::clone(&reloader) as Arc<dyn control::Reload>);
        reloader
    }

    fn announce(&self) {
        for address in self.gateway.addresses() {
            tracing::info!(%address, "serving calls");
        }
        let file = self.token.file.display();
        if let Some(identity) = &self.identity {
            tracing::info!(address = %identity.address(), "serving those who vouch for people");
        }
        tracing::info!(address = %self.admin_address(), token_file = %file, "serving the admin API");
        if self.token.is_new {
            output::note(&format!("first start: the root admin token is in {file}"));
        }
    }

    fn serve_until(self, mut signals: Signals, reloader: &Arc<Reloader>) -> anyhow::Result<Exit> {
        while self.runtime.block_on(signals.next()) == Asked::Reload {
            let reloader = Arc::clone(reloader);
            let reload = self.runtime.spawn_blocking(move || reloader.by_signal());
            self.runtime.block_on(reload).context("the reload was abandoned")?;
        }
        tracing::info!("draining; a second signal ends at once");
        self.stop_unless(signals)
    }

    /// Stops in good order, unless a second signal comes first.
    fn stop_unless(self, mut signals: Signals) -> anyhow::Result<Exit> {
        let runtime = Arc::new(self.runtime);
        let rest = Stopping {
            control: self.control,
            gateway: self.gateway,
            ledger: self.ledger,
            admin: self.admin,
            identity: self.identity,
            drain: drain_of(&self.in_force),
        };
        let stop = runtime.spawn_blocking(move || rest.stop());
        let ended = runtime.block_on(async {
            tokio::select! {
                stopped = stop => Some(stopped),
                () = signals.end() => None,
            }
        });
        if let Some(runtime) = Arc::into_inner(runtime) {
            runtime.shutdown_background();
        }
        match ended {
            Some(stopped) => stopped.context("the drain was abandoned")?.map(|()| Exit::Done),
            None => Ok(Exit::Killed),
        }
    }

    /// Drains the calls in flight and closes the ledger. Blocks.
    ///
    /// # Errors
    ///
    /// If the last entries could not be written; the next start recovers them.
    pub(crate) fn stop(self) -> anyhow::Result<()> {
        let drain = drain_of(&self.in_force);
        let rest = Stopping {
            control: self.control,
            gateway: self.gateway,
            ledger: self.ledger,
            admin: self.admin,
            identity: self.identity,
            drain,
        };
        let stopped = rest.stop();
        self.runtime.shutdown_background();
        stopped
    }
}

/// The folder of the ledger in the data folder.
pub(crate) const LEDGER_DIR: &str = "ledger";

/// What is stopped, in order: calls, registry, admin API, ledger. Changes reach live calls to the last.
struct Stopping {
    control: Control,
    gateway: Arc<Gateway>,
    ledger: Ledger,
    admin: AdminServer,
    identity: Option<IdentityServer>,
    drain: Duration,
}

impl Stopping {
    fn stop(self) -> anyhow::Result<()> {
        self.gateway.drain(self.drain);
        if let Err(error) = self.control.checkpoint() {
            tracing::warn!(%error, "the next start will read more of the ledger");
        }
        self.identity.iter().for_each(IdentityServer::stop);
        self.admin.stop();
        self.ledger.stop().context("the ledger could not be closed in good order")?;
        tracing::info!("stopped");
        Ok(())
    }
}

fn drain_of(in_force: &Mutex<Meant>) -> Duration {
    let meant = in_force.lock().unwrap_or_else(PoisonError::into_inner);
    Duration::from_secs(meant.settings.drain_seconds)
}

fn control_settings(meant: &Meant) -> control::Settings {
    control::Settings {
        data_dir: meant.data_dir.clone(),
        lab: meant.lab.clone(),
        models: meant.models.clone(),
        aliases: meant.aliases.clone(),
        desk: meant.desk,
        proofs: meant.proofs.policy(),
    }
}

fn lines(faults: &[gateway::Fault]) -> String {
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// Where the root token of the first start is kept.
struct TokenFile {
    file: PathBuf,
    is_new: bool,
}

/// Keeps the root token of the first start in a file that nobody else may read; it is never logged.
fn first_token(control: &Control, data_dir: &Path) -> anyhow::Result<TokenFile> {
    let file = data_dir.join(secrets::TOKEN);
    let minted = control.bootstrap()?;
    if let Some(token) = &minted {
        secrets::write_private(&file, format!("{}\n", token.reveal()).as_bytes())?;
    }
    Ok(TokenFile { file, is_new: minted.is_some() })
}

fn admin_runtime() -> anyhow::Result<Runtime> {
    let built = Builder::new_multi_thread().worker_threads(2).thread_name("admin").enable_all().build();
    built.context("cannot start the threads of the admin listener")
}

fn note_progress(tasks: &Tasks, control: &Control) {
    let control = control.clone();
    tasks.spawn("progress of the registry", async move {
        let mut every = tokio::time::interval(NOTE_EVERY);
        loop {
            every.tick().await;
            let control = control.clone();
            let noted = tokio::task::spawn_blocking(move || control.checkpoint()).await;
            if let Ok(Err(error)) = noted {
                tracing::warn!(%error, "the registry lags behind the ledger");
            }
        }
    });
}

/// Who counts beside the model servers, with what it takes to ask them.
struct Counted {
    sources: Vec<CounterSource>,
    meters: Vec<Peer>,
}

impl Counted {
    /// Reads secrets and authorities, before anything is served.
    fn open(meant: &Meant) -> anyhow::Result<Self> {
        let sources = meant.counters.iter().map(CountersConfig::source).collect::<anyhow::Result<_>>()?;
        let meters = meant.meters.iter().map(MeterConfig::peer).collect::<anyhow::Result<_>>()?;
        Ok(Self { sources, meters })
    }

    /// Reconciles every hour with the meters, and reads counters, for as long as the process runs, if there are any.
    fn serve(self, tasks: &Tasks, data_dir: &Path, ledger: &Ledger, clock: &Arc<dyn Clock>) -> Reconciliations {
        let told = Reconciliations::default();
        for source in self.sources {
            tasks.spawn("counters", keep_counting(source, ledger.reader(), Arc::clone(clock), told.clone()));
        }
        if !self.meters.is_empty() {
            let reconciler = Reconciler::new(ledger.clone(), self.meters);
            let kept = data_dir.join("reconciled.json");
            tasks.spawn("reconciliation", keep_reconciling(reconciler, Arc::clone(clock), kept, told.clone()));
        }
        told
    }
}

/// Undoes acts without approvals at their limits for as long as the process runs.
fn keep_limits(tasks: &Tasks, control: &Control) {
    let control = control.clone();
    tasks.spawn("limits of acts without approvals", async move {
        let mut every = tokio::time::interval(LIMITS_EVERY);
        loop {
            every.tick().await;
            let control = control.clone();
            let kept = tokio::task::spawn_blocking(move || control.keep_limits()).await;
            if let Ok(Err(error)) = kept {
                tracing::error!(%error, "an act without approvals is past its limit and could not be undone");
            }
        }
    });
}

/// Brings changes of the control plane to the live calls of this process.
struct LiveCalls(Arc<Gateway>);

impl Publish for LiveCalls {
    fn directory(&self, change: ::identity::Change) -> control::Effect {
        told(self.0.change(&change))
    }

    fn snapshot(&self, snapshot: Arc<policy::Snapshot>) -> control::Effect {
        told(self.0.snapshot(snapshot))
    }

    fn live(&self) -> BTreeMap<(KeyId, ModelVersionId), u64> {
        self.0.live_by_key()
    }
}

fn told(effect: gateway::Effect) -> control::Effect {
    control::Effect { examined: effect.examined, recalled: effect.recalled }
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Asked {
    /// SIGTERM or SIGINT.
    End,
    /// SIGHUP.
    Reload,
}

/// The signals a server obeys.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Listens to the signals from now on.
    ///
    /// # Errors
    ///
    /// The operating system's error.
    pub(crate) fn new(runtime: &Runtime) -> anyhow::Result<Self> {
        let _in = runtime.enter();
        let listen = |kind| signal(kind).context("cannot listen to signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    /// Waits for the next signal.
    pub(crate) async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::End,
            _ = self.interrupt.recv() => Asked::End,
            _ = self.hang_up.recv() => Asked::Reload,
        }
    }

    /// Waits for a signal that asks to end.
    pub(crate) async fn end(&mut self) {
        while self.next().await != Asked::End {}
    }
}
