//! The meter before the controlled model, as a process of its own, and its hours held against the gateway's.

use std::{
    cell::RefCell,
    env, fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, atomic::AtomicU64},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use gateway::UpstreamSettings;
use jose::ticket::Ticket;
use meter::{Reconciled, Reconciler, Settled};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use terms::{Clock, Moment, SystemClock};

use super::{
    super::{
        Demo, MYTHOS,
        chat::{self, Ask, Heard},
        fixed, process,
        world::Caller,
    },
    Drill,
};
use crate::{
    client::{Request, Server},
    commands::meter::start_at,
    config::meters,
    secrets,
    serve::{LEDGER_DIR, Running},
};

/// The name of the meter's log, and the audience of its tickets.
const ORIGIN: &str = "exeat.demo/meter";
/// What the demo's configuration calls the log of the gateway.
const GATEWAY: &str = "exeat.demo/log";
/// Starting takes a tenth of a second on a free core.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// An hour and the 12 minutes after its end in which tickets of it can still be taken, and some more.
const UNTIL_SETTLED: Duration = Duration::from_secs(75 * 60);
/// Both sides close a call that was cut when its upstream has been told, 50 ms later.
const CLOSED_WITHIN: Duration = Duration::from_secs(30);

/// Where a meter will be, chosen before there is one: the gateway is told it first.
#[derive(Debug)]
pub(crate) struct Front {
    address: SocketAddr,
    known_as: Option<String>,
}

impl Front {
    /// Chooses a free port, for a model server that knows the controlled model as `known_as`.
    ///
    /// # Errors
    ///
    /// If no port is free.
    pub(crate) fn choose(known_as: Option<&str>) -> anyhow::Result<Self> {
        let address = fixed(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        Ok(Self { address, known_as: known_as.map(str::to_owned) })
    }

    /// Sends calls on the controlled model to the meter in place of the model server.
    pub(crate) fn stand_before(&self, upstreams: &mut [UpstreamSettings]) {
        for upstream in upstreams.iter_mut().filter(|upstream| upstream.model.as_str() == MYTHOS) {
            upstream.meter = Some(ORIGIN.to_owned());
            upstream.endpoints.iter_mut().for_each(|endpoint| endpoint.url = self.url());
        }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Starts a meter before the model server at `upstream`, with a folder, a key and a log of its own.
    ///
    /// # Errors
    ///
    /// If it does not get ready.
    pub(super) fn start(&self, demo: &Demo, running: &Running, upstream: &str) -> anyhow::Result<Metered> {
        let dir = demo.run_dir.clone();
        let secret = fresh_secret()?;
        secrets::write_private(&dir.join(SECRET_FILE), secret.as_bytes())?;
        let tickets = secrets::ticket_key_in(&dir.join(secrets::TICKET_KEY))?.public().to_value();
        secrets::write_private(&dir.join(TICKETS_FILE), tickets.to_string().as_bytes())?;
        let config = self.config(running, upstream);
        let file = dir.join(CONFIG_FILE);
        secrets::write_private(&file, config.as_bytes())?;
        let log = dir.join("meter.log");
        let said = fs::File::create(&log).with_context(|| format!("cannot write `{}`", log.display()))?;
        let mut command = Command::new(env::current_exe().context("cannot tell where this program is")?);
        command.arg("meter").arg("--config").arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(said);
        let child = command.spawn().context("cannot start the meter")?;
        let mut metered =
            Metered { child: RefCell::new(child), dir, url: self.url(), server: Server::at(&self.url())? };
        metered.wait_until_ready(&log)?;
        Ok(metered)
    }

    /// Returns the meter's configuration; what stands in quotes is quoted as JSON, which TOML reads too.
    fn config(&self, running: &Running, upstream: &str) -> String {
        let known = self
            .known_as
            .as_ref()
            .map(|name| format!("[[meter.models]]\nid = \"{MYTHOS}\"\nknown_as = {}\n", Value::from(name.as_str())));
        format!(
            "[meter]\norigin = \"{ORIGIN}\"\ndata_dir = \"{DATA_DIR}\"\nlisten = \"{}\"\ndrain_seconds = 5\n\
             [meter.upstream]\nurl = {}\n\
             [[meter.issuers]]\norigin = \"{GATEWAY}\"\nticket_key_file = \"{TICKETS_FILE}\"\nlog_vkey = \"{}\"\n{}\
             [meter.reconciliation]\nsecret_file = \"{SECRET_FILE}\"\n\
             [ledger]\nsegment_mib = 8\ncheckpoint_ms = 250\n[log]\nlevel = \"warn\"\n",
            self.address,
            Value::from(upstream),
            running.ledger.verifier_key(),
            known.unwrap_or_default(),
        )
    }
}

const CONFIG_FILE: &str = "meter.toml";
const DATA_DIR: &str = "meter";
const TICKETS_FILE: &str = "tickets.jwk";
const SECRET_FILE: &str = "reconciliation.secret";

/// A meter that runs. Killed when dropped.
pub(super) struct Metered {
    child: RefCell<Child>,
    dir: PathBuf,
    url: String,
    server: Server,
}

impl Metered {
    fn wait_until_ready(&mut self, log: &Path) -> anyhow::Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        let ready = |server: &Server| server.send(&Request::get("/readyz"), Duration::from_secs(2));
        while !ready(&self.server).is_ok_and(|answer| answer.status == 200) {
            let ended = !matches!(self.child.get_mut().try_wait(), Ok(None));
            let said = || process::last_lines(&fs::read_to_string(log).unwrap_or_default(), 3);
            ensure!(!ended && Instant::now() < deadline, "the meter did not get ready: {}", said());
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Calls straight at the meter, with no ticket.
    ///
    /// # Errors
    ///
    /// If it cannot be reached.
    pub(super) fn around(&self, ask: &Ask<'_>) -> anyhow::Result<Heard> {
        let nobody = Caller { name: "somebody", key: "none".to_owned() };
        chat::ask(&self.server, &nobody, ask, &AtomicU64::new(0))
    }

    fn vkey_file(&self) -> PathBuf {
        self.dir.join(DATA_DIR).join(LEDGER_DIR).join("log/log.vkey")
    }

    /// Ends it in good order.
    ///
    /// # Errors
    ///
    /// If it does not end with 0.
    fn stop(&self) -> anyhow::Result<()> {
        let mut child = self.child.borrow_mut();
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("the meter has no process id")?;
        kill_process(pid, Signal::TERM).context("cannot tell the meter to end")?;
        let status = child.wait().context("cannot wait for the meter")?;
        ensure!(status.success(), "the meter ended with {status}");
        Ok(())
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        // After `stop` it is gone already.
        let _ = self.child.get_mut().kill();
        let _ = self.child.get_mut().wait();
    }
}

impl Drill<'_> {
    /// Holds the two records against each other and has both sides sign the sums of every hour since `from`.
    pub(super) fn reconciles(&self, from: Moment) -> anyhow::Result<()> {
        self.show.heading(5, "What the gateway recorded and what the meter counted")?;
        let rows = self.compared()?;
        for row in rows.as_array().into_iter().flatten() {
            let number = |at: &str| row.pointer(at).and_then(Value::as_u64).unwrap_or_default();
            let side = |of: &str| {
                let counted = |what: &str| number(&format!("/{of}/{what}"));
                format!("{of} {} calls, {} in, {} out", counted("calls"), counted("input"), counted("output"))
            };
            self.show.held(&format!("{}; {}; {} ended early", side("gateway"), side("meter"), number("/early")))?;
        }
        self.show.say(
            "A meter signs the sums of an hour 12 minutes after its end. The drill does not wait for that: it starts the meter \
             again with a clock that is an hour and a quarter ahead.",
        )?;
        let Reconciled { agree, differ, .. } = self.signed(from)?;
        ensure!(agree > 0 && differ == 0, "{differ} statements differ, {agree} agree");
        self.show
            .held(&format!("statements in which both agree, signed by both and recorded in both logs: {agree}"))?;
        Ok(())
    }

    /// Has `exeat ledger reconcile` ask the meter until it, too, has closed every call.
    fn compared(&self) -> anyhow::Result<Value> {
        let (secret, vkey) = (self.commands.path(SECRET_FILE), self.metered.vkey_file().display().to_string());
        let asked = ["ledger", "reconcile", "--model", MYTHOS, "--meter-url", &self.metered.url];
        let asked = [&asked[..], &["--secret-file", &secret, "--vkey", &vkey]].concat();
        let deadline = Instant::now() + CLOSED_WITHIN;
        loop {
            let rows = self.commands.json(&asked)?;
            let open = |row: &Value| row.pointer("/open").and_then(Value::as_u64) != Some(0);
            let rows_of = rows.as_array().context("the comparison is no list")?;
            if !rows_of.is_empty() && !rows_of.iter().any(open) {
                return Ok(rows);
            }
            ensure!(Instant::now() < deadline, "calls are still open: {rows}");
            thread::sleep(Duration::from_millis(200));
        }
    }

    /// Has both sides sign every hour since `from`, the meter by a clock by which they are over.
    fn signed(&self, from: Moment) -> anyhow::Result<Reconciled> {
        self.metered.stop()?;
        let runtime = &self.running.runtime;
        let meter = start_at(runtime, &self.metered.dir.join(CONFIG_FILE), Arc::new(Ahead::default()))?;
        let signed = self.sign(from);
        runtime.block_on(meter.stop()).context("the meter's log could not be closed in good order")?;
        signed
    }

    fn sign(&self, from: Moment) -> anyhow::Result<Reconciled> {
        let vkey = fs::read_to_string(self.metered.vkey_file()).context("cannot read the meter's key")?;
        let secret = self.metered.dir.join(SECRET_FILE);
        let peer = meters::peer(&self.metered.url, vkey.trim(), &secret, None)?;
        let reconciler = Reconciler::new(self.running.ledger.clone(), vec![peer]);
        let mut signed = Reconciled::default();
        for hour in Ticket::hour_of(from)..=Ticket::hour_of(SystemClock::default().now()) {
            let mut hours = self.running.runtime.block_on(reconciler.hour(hour, &mut Settled::new()));
            if let Some(error) = hours.failed.pop() {
                return Err(error.into());
            }
            signed.agree += hours.agree;
            signed.differ += hours.differ;
            signed.open += hours.open;
        }
        ensure!(signed.open == 0, "{} calls are still open", signed.open);
        Ok(signed)
    }
}

/// A clock by which the hour of now is settled.
#[derive(Debug, Default)]
struct Ahead(SystemClock);

impl Clock for Ahead {
    fn now(&self) -> Moment {
        self.0.now().plus(UNTIL_SETTLED)
    }
}

/// Returns a secret of 64 characters that nobody knew before.
fn fresh_secret() -> anyhow::Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).context("the operating system has no randomness to give")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
