//! The real `exeat serve` as a child process, with a folder of its own and an admin who can do everything.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};

use crate::http::{self, Answer};

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
    /// More TOML, appended to the configuration.
    pub more: String,
}

impl Setup {
    /// Starts the server and waits until it is ready.
    ///
    /// # Errors
    ///
    /// It ended, or was not ready within 20 s; its log is in `server.log` in the folder.
    pub fn start(&self) -> anyhow::Result<Server> {
        fs::create_dir_all(&self.dir)?;
        let (address, admin) = (free_port()?, free_port()?);
        let config = self.dir.join("exeat.toml");
        fs::write(&config, self.config(address, admin))?;
        let log = fs::OpenOptions::new().create(true).append(true).open(self.dir.join("server.log"))?;
        let child = Command::new(&self.exeat)
            .args(["serve", "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start `{}`", self.exeat.display()))?;
        let mut server = Server { child, address, admin, dir: self.dir.clone() };
        server.wait_ready()?;
        Ok(server)
    }

    fn config(&self, address: SocketAddr, admin: SocketAddr) -> String {
        let model = |id: &str, control: &str, clearance: &str| {
            format!(
                "[[models]]\nid = \"{id}\"\nfamily = \"{id}\"\ncontrol = \"{control}\"\nclearance = \"{clearance}\"\n\
                 in_flight = 20000\n\
                 [[models.endpoints]]\nurl = \"http://{}\"\ndialects = [\"openai\", \"anthropic\"]\n\n",
                self.upstream
            )
        };
        format!(
            "data_dir = \"data\"\nlab = \"larkspur-labs\"\n\n\
             [server]\nlisten = [\"{address}\"]\nworkers = {}\n\
             [server.limits]\nin_flight = 20000\nin_flight_per_caller = 20000\nconnections = 20000\n\n\
             [control]\nlisten = \"{admin}\"\n\n{}{}\
             [[aliases]]\nname = \"assistant\"\nversions = [\"mythos-5\", \"ember-2\"]\n\n\
             [ledger]\norigin = \"log.example.com/exeat/test\"\nsegment_mib = 16\ncheckpoint_ms = 200\n\n\
             [log]\nformat = \"json\"\nlevel = \"warn\"\n{}",
            self.workers,
            model("mythos-5", "subject", "attested"),
            model("ember-2", "published", "open"),
            self.more
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

    /// Asks the server to stop (SIGTERM) and waits until it is gone; returns whether it ended well.
    ///
    /// # Errors
    ///
    /// The operating system's error.
    pub fn terminate(mut self) -> anyhow::Result<bool> {
        Command::new("kill").arg(self.pid().to_string()).status()?;
        Ok(self.child.wait()?.success())
    }

    /// Calls the admin API as root; returns the JSON of a successful answer.
    ///
    /// # Errors
    ///
    /// The connection failed or the answer is not successful.
    pub fn admin(&self, method: &str, path: &str, body: &Value) -> anyhow::Result<Value> {
        let token = fs::read_to_string(self.data().join("admin.token")).context("no admin token")?;
        let bearer = format!("Bearer {}", token.trim());
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json"), ("connection", "close")];
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
        let screened = json!({"id": id, "display_name": id, "screening": "cleared"});
        self.admin("POST", "/admin/v1/people", &screened)?;
        let claim = if us { json!({"kind": "us_person", "limb": "citizen"}) } else { json!({"kind": "foreign_person"}) };
        self.attest(id, &claim)?;
        self.attest(id, &json!({"kind": "location", "country": "US", "method": "declared"}))?;
        self.admin("POST", "/admin/v1/affiliations", &json!({
            "person": id, "organization": "larkspur-labs", "engagement": "employee", "issuer": "larkspur-hr",
            "evidence": "roster", "attested_at": past(), "ends_at": future(),
        }))?;
        let key = json!({"holder": {"kind": "person", "person": id}, "organization": "larkspur-labs"});
        let minted = self.admin("POST", "/admin/v1/keys", &key)?;
        find(&minted, "key").context("no key in the answer")
    }

    /// Registers the lab.
    ///
    /// # Errors
    ///
    /// As [`Server::admin`].
    pub fn lab(&self) -> anyhow::Result<()> {
        self.admin("POST", "/admin/v1/organizations", &json!({
            "id": "larkspur-labs", "legal_name": "Larkspur Labs, Inc.", "country": "US", "kind": "us",
            "screening": "cleared", "coverage": "none",
        })).map(drop)
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
        self.admin("POST", "/admin/v1/attestations", &json!({
            "person": person, "claim": claim, "issuer": "verity-idv", "evidence": "case 1", "assurance": "ial2",
            "issued_at": past(), "expires_at": future(),
        })).map(drop)
    }

    fn wait_ready(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + Duration::from_secs(20);
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait()? {
                let log = fs::read_to_string(self.dir.join("server.log")).unwrap_or_default();
                bail!("the server ended with {status}: {}", log.lines().last().unwrap_or_default());
            }
            let ready = http::send(self.admin, "GET", "/readyz", &[("connection", "close")], b"");
            if ready.is_ok_and(|answer| answer.head.status == 200) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(5));
        }
        bail!("the server was not ready within 20 s")
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

fn free_port() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
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

