//! The real `exeat serve` as a child process, with a folder of its own and an admin who can do everything.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};

use crate::http::{self, Answer};

/// Ports are taken from here on: below those that the system gives to outgoing connections, so that no connection of
/// a test takes a port between two starts of a server.
const FIRST_PORT: u16 = 10_000;
/// How many ports there are to take.
const PORTS: u16 = 20_000;

/// The organization of [`Server::lab`].
const LAB: &str = "larkspur-labs";

/// A running server. Killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Where clients call.
    pub address: SocketAddr,
    /// Where the admin API is.
    pub admin: SocketAddr,
    dir: PathBuf,
}

/// How a server is set up.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The binary.
    pub exeat: PathBuf,
    /// An empty folder, or one that an earlier server left.
    pub dir: PathBuf,
    /// The upstream that serves every model.
    pub upstream: SocketAddr,
    /// Worker threads.
    pub workers: usize,
    /// One segment of the ledger, in MiB.
    pub segment_mib: u64,
    /// How often a checkpoint is signed, in milliseconds.
    pub checkpoint_ms: u64,
    /// Most calls in flight; as many connections.
    pub in_flight: usize,
    /// How many people must approve an instrument; 0 lets whoever holds the admin token act alone.
    pub approvals: u8,
    /// The solver that must prove the invariants before anything goes live; `None` to go without.
    pub solver: Option<String>,
    /// Where clients call; of this process alone.
    pub address: SocketAddr,
    /// Where the admin API is; of this process alone.
    pub admin: SocketAddr,
    /// Where identity providers and employers call, of this process alone; `None` to go without.
    pub identity: Option<SocketAddr>,
    /// The origin of the log of the meter that the upstream is; `None` if it is none.
    pub meter: Option<String>,
    /// Variables of its environment, such as settings by the name `EXEAT__SERVER__STRICT`.
    pub environment: Vec<(String, String)>,
    /// How long it may take to get ready.
    pub ready_within: Duration,
}

impl Setup {
    /// Sets up a server with one worker at two free ports.
    ///
    /// # Errors
    ///
    /// No port is free.
    pub fn new(exeat: impl Into<PathBuf>, dir: impl Into<PathBuf>, upstream: SocketAddr) -> anyhow::Result<Self> {
        Ok(Self {
            exeat: exeat.into(),
            dir: dir.into(),
            upstream,
            workers: 1,
            segment_mib: 4,
            checkpoint_ms: 200,
            in_flight: 2_000,
            approvals: 0,
            solver: None,
            address: free_port()?,
            admin: free_port()?,
            identity: None,
            meter: None,
            environment: Vec::new(),
            ready_within: Duration::from_secs(30),
        })
    }

    /// Has the server listen to identity providers and employers too, at a free port.
    ///
    /// # Errors
    ///
    /// No port is free.
    pub fn with_identity(self) -> anyhow::Result<Self> {
        Ok(Self { identity: Some(free_port()?), ..self })
    }

    /// Starts the server and waits until it is ready.
    ///
    /// # Errors
    ///
    /// It ended, or was not ready in time; its log is in `server.log` in the folder.
    pub fn start(&self) -> anyhow::Result<Server> {
        let mut server = self.spawn()?;
        server.wait_ready(self.ready_within)?;
        Ok(server)
    }

    /// Starts the server, which may not be ready yet.
    ///
    /// # Errors
    ///
    /// The folder cannot be written or the binary not started.
    pub fn spawn(&self) -> anyhow::Result<Server> {
        fs::create_dir_all(&self.dir)?;
        self.write(&self.config())?;
        let log = fs::OpenOptions::new().create(true).append(true).open(self.dir.join("server.log"))?;
        let mut command = self.command("serve");
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("cannot start `{}`", self.exeat.display()))?;
        Ok(Server { child, address: self.address, admin: self.admin, dir: self.dir.clone() })
    }

    /// Returns the command `name` with the configuration of this server.
    #[must_use]
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.exeat);
        command.args([name, "--config"]).arg(self.file());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Returns the configuration file.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.dir.join("exeat.toml")
    }

    /// Writes another configuration over the file.
    ///
    /// # Errors
    ///
    /// The operating system's error.
    pub fn write(&self, config: &str) -> anyhow::Result<()> {
        fs::write(self.file(), config).with_context(|| format!("cannot write `{}`", self.file().display()))
    }

    /// Returns the configuration that [`Setup::start`] writes: a model subject to control, a published one, and an
    /// alias of both.
    #[must_use]
    pub fn config(&self) -> String {
        let models = self.model("mythos-5", "subject", "attested") + &self.model("ember-2", "published", "open");
        let Self { address, admin, workers, segment_mib, checkpoint_ms, in_flight, approvals, .. } = self;
        let identity = self.identity.map(|at| {
            format!(
                "\n[outbound]\nallow = [\"127.0.0.1\"]\n\n[federation]\norigin = \"http://{at}\"\nlisten = \"{at}\"\n"
            )
        });
        let identity = identity.unwrap_or_default();
        let origin = self.identity.map(|_| format!("external_origin = \"http://{address}\"\n")).unwrap_or_default();
        let (required, solver) = (self.solver.is_some(), self.solver.as_deref().unwrap_or("cvc5"));
        format!(
            "data_dir = \"data\"\nlab = \"larkspur-labs\"\n\n\
             [server]\nlisten = [\"{address}\"]\nworkers = {workers}\n{origin}\
             [server.limits]\nin_flight = {in_flight}\nin_flight_per_caller = {in_flight}\nconnections = {in_flight}\n\n\
             [control]\nlisten = \"{admin}\"\n\n[desk]\napprovals = {approvals}\n\n\
             [proofs]\nrequired = {required}\nsolver = \"{solver}\"\n\n{models}\
             [[aliases]]\nname = \"assistant\"\nversions = [\"mythos-5\", \"ember-2\"]\n\n\
             [ledger]\norigin = \"log.example.com/exeat/test\"\nsegment_mib = {segment_mib}\ncheckpoint_ms = {checkpoint_ms}\n\n\
             [log]\nformat = \"json\"\nlevel = \"warn\"\n{identity}"
        )
    }

    fn model(&self, id: &str, control: &str, clearance: &str) -> String {
        let Self { upstream, in_flight, .. } = self;
        let meter = self.meter.as_ref().map(|origin| format!("meter = \"{origin}\"\n")).unwrap_or_default();
        format!(
            "[[models]]\nid = \"{id}\"\nfamily = \"{id}\"\ncontrol = \"{control}\"\nclearance = \"{clearance}\"\n\
             in_flight = {in_flight}\n{meter}\
             [[models.endpoints]]\nurl = \"http://{upstream}\"\ndialects = [\"openai\", \"anthropic\"]\n\n"
        )
    }
}

impl Server {
    /// Returns the process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns the folder of the ledger.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Kills the server at once (SIGKILL) and waits until it is gone.
    ///
    /// # Errors
    ///
    /// The operating system's error.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks the server to stop (SIGTERM) and waits until it is gone; returns how it ended.
    ///
    /// # Errors
    ///
    /// The operating system's error.
    pub fn terminate(self) -> anyhow::Result<ExitStatus> {
        self.signal("TERM")?;
        self.wait()
    }

    /// Waits until the server is gone by itself; returns how it ended.
    ///
    /// # Errors
    ///
    /// The operating system's error.
    pub fn wait(mut self) -> anyhow::Result<ExitStatus> {
        Ok(self.child.wait()?)
    }

    /// Sends a signal, by its name without `SIG`.
    ///
    /// # Errors
    ///
    /// There is no such signal or no `kill`.
    pub fn signal(&self, name: &str) -> anyhow::Result<()> {
        let sent = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status()?;
        ensure!(sent.success(), "the signal {name} was not sent");
        Ok(())
    }

    /// Returns what this and earlier servers on the folder logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("server.log")).unwrap_or_default()
    }

    /// Calls the admin API as root; returns the JSON of a successful answer.
    ///
    /// # Errors
    ///
    /// The connection failed or the answer is not successful.
    pub fn admin(&self, method: &str, path: &str, body: &Value) -> anyhow::Result<Value> {
        let token = fs::read_to_string(self.data().join("admin.token")).context("no admin token")?;
        let bearer = format!("Bearer {}", token.trim());
        let headers =
            [("authorization", bearer.as_str()), ("content-type", "application/json"), ("connection", "close")];
        let bytes = if body.is_null() { Vec::new() } else { serde_json::to_vec(body)? };
        let answer = http::send(self.admin, method, path, &headers, &bytes)?;
        let status = answer.head.status;
        let text = answer.text()?;
        ensure!((200..300).contains(&status), "{method} {path}: {status} {text}");
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Registers the lab and a person who works there, attested as a U.S. citizen or as a foreign person, and mints
    /// a key; returns the key.
    ///
    /// # Errors
    ///
    /// As [`Server::admin`].
    pub fn person(&self, id: &str, us: bool) -> anyhow::Result<String> {
        self.person_of(id, us, LAB)
    }

    /// Does as [`Server::person`] for a person who works at another organization, which is registered.
    ///
    /// # Errors
    ///
    /// As [`Server::admin`].
    pub fn person_of(&self, id: &str, us: bool, organization: &str) -> anyhow::Result<String> {
        let screened = json!({"id": id, "display_name": id, "screening": "cleared"});
        self.admin("POST", "/admin/v1/people", &screened)?;
        self.employed(id, us, organization)
    }

    /// Says that screening found nothing about a person.
    ///
    /// # Errors
    ///
    /// As [`Server::admin`].
    pub fn clear(&self, person: &str) -> anyhow::Result<()> {
        self.admin("PATCH", &format!("/admin/v1/people/{person}"), &json!({"screening": "cleared"})).map(drop)
    }

    /// Attests a person who is registered as [`Server::person`] does, and mints a key; returns the key.
    ///
    /// # Errors
    ///
    /// As [`Server::admin`].
    pub fn attested(&self, id: &str, us: bool) -> anyhow::Result<String> {
        self.employed(id, us, LAB)
    }

    fn employed(&self, id: &str, us: bool, organization: &str) -> anyhow::Result<String> {
        let claim =
            if us { json!({"kind": "us_person", "limb": "citizen"}) } else { json!({"kind": "foreign_person"}) };
        self.attest(id, &claim)?;
        self.attest(id, &json!({"kind": "location", "country": "US", "method": "declared"}))?;
        self.admin(
            "POST",
            "/admin/v1/affiliations",
            &json!({
                "person": id, "organization": organization, "engagement": "employee", "issuer": "larkspur-hr",
                "evidence": "roster", "attested_at": past(), "ends_at": future(),
            }),
        )?;
        let key = json!({"holder": {"kind": "person", "person": id}, "organization": organization});
        let minted = self.admin("POST", "/admin/v1/keys", &key)?;
        find(&minted, "key").context("no key in the answer")
    }

    /// Registers the lab.
    ///
    /// # Errors
    ///
    /// As [`Server::admin`].
    pub fn lab(&self) -> anyhow::Result<()> {
        self.organization(LAB, "Larkspur Labs, Inc.")
    }

    /// Registers another organization of the United States.
    ///
    /// # Errors
    ///
    /// As [`Server::admin`].
    pub fn organization(&self, id: &str, legal_name: &str) -> anyhow::Result<()> {
        self.admin(
            "POST",
            "/admin/v1/organizations",
            &json!({
                "id": id, "legal_name": legal_name, "country": "US", "kind": "us",
                "screening": "cleared", "coverage": "none",
            }),
        )
        .map(drop)
    }

    /// Sends a call with a key.
    ///
    /// # Errors
    ///
    /// The connection failed.
    pub fn call(&self, key: &str, path: &str, body: &Value) -> anyhow::Result<Answer> {
        let bearer = format!("Bearer {key}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        Ok(http::send(self.address, "POST", path, &headers, &serde_json::to_vec(body)?)?)
    }

    fn attest(&self, person: &str, claim: &Value) -> anyhow::Result<()> {
        self.admin(
            "POST",
            "/admin/v1/attestations",
            &json!({
                "person": person, "claim": claim, "issuer": "verity-idv", "evidence": "case 1", "assurance": "ial2",
                "issued_at": past(), "expires_at": future(),
            }),
        )
        .map(drop)
    }

    fn wait_ready(&mut self, within: Duration) -> anyhow::Result<()> {
        let until = Instant::now() + within;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status}: {}", self.log().lines().last().unwrap_or_default());
            }
            let ready = http::send(self.admin, "GET", "/readyz", &[("connection", "close")], b"");
            if ready.is_ok_and(|answer| answer.head.status == 200) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(5));
        }
        bail!("the server was not ready within {} s", within.as_secs())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Finds the string under `name` anywhere in an answer.
fn find(value: &Value, name: &str) -> Option<String> {
    match value {
        Value::Object(fields) => match fields.get(name) {
            Some(Value::String(text)) => Some(text.clone()),
            _ => fields.values().find_map(|value| find(value, name)),
        },
        Value::Array(values) => values.iter().find_map(|value| find(value, name)),
        _ => None,
    }
}

/// Returns a port of this process alone: each process begins elsewhere and takes them in turn.
///
/// # Errors
///
/// No port is free.
pub fn free_port() -> anyhow::Result<SocketAddr> {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    for _ in 0..PORTS {
        let turn = std::process::id().wrapping_mul(97).wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed));
        let port = FIRST_PORT + u16::try_from(turn % u32::from(PORTS)).unwrap_or(0);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    bail!("no port between {FIRST_PORT} and {} is free", FIRST_PORT + PORTS)
}

/// A time an hour ago.
fn past() -> String {
    clock(-3_600)
}

/// A time in 30 days.
fn future() -> String {
    clock(30 * 86_400)
}

fn clock(seconds: i64) -> String {
    let now = terms::Clock::now(&terms::SystemClock::default());
    terms::Moment::from_millis(now.as_millis() + seconds * 1_000).to_string()
}
