//! What a team without a log would build: a hash chain in a database, kept by a function that locks its head.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use crate::{
    Failure, hex, ours,
    run::{self, Run},
};

/// Where the Debian package has its programs.
const PROGRAMS: &str = "usr/lib/postgresql/15/bin";
/// The user that the server runs as if we are root, as which it refuses to run: `nobody`.
const NOBODY: &str = "65534";

/// The chain: `append` returns when its record is linked, and its transaction is durable when it ends.
const SCHEMA: &str = "\
CREATE TABLE head (one boolean PRIMARY KEY DEFAULT true CHECK (one), at bigint NOT NULL, hash bytea NOT NULL);
INSERT INTO head (at, hash) VALUES (0, sha256(''));
CREATE TABLE chain (at bigint PRIMARY KEY, previous bytea NOT NULL, record bytea NOT NULL, hash bytea NOT NULL);
CREATE TABLE plain (at bigserial PRIMARY KEY, record bytea NOT NULL);
CREATE FUNCTION append(record bytea) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    link head%ROWTYPE;
    next bytea;
BEGIN
    SELECT * INTO link FROM head WHERE one FOR UPDATE;
    next := sha256(link.hash || record);
    INSERT INTO chain VALUES (link.at + 1, link.hash, record, next);
    UPDATE head SET at = link.at + 1, hash = next WHERE one;
    RETURN link.at + 1;
END $$;
";

/// What clients do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Statement {
    /// One client appends to the chain.
    ChainAlone,
    /// 64 clients append to the chain.
    Chain,
    /// 64 clients insert rows, without any chain.
    Insert,
}

impl Statement {
    /// Returns the name of a measurement.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ChainAlone => "PostgreSQL, hash chain, 1 client",
            Self::Chain => "PostgreSQL, hash chain, 64 clients",
            Self::Insert => "PostgreSQL, plain insert, 64 clients",
        }
    }

    fn clients(self) -> usize {
        match self {
            Self::ChainAlone => 1,
            Self::Chain | Self::Insert => 64,
        }
    }

    fn sql(self, record: &str) -> String {
        match self {
            Self::ChainAlone | Self::Chain => format!("SELECT append(decode('{record}', 'hex'));\n"),
            Self::Insert => format!("INSERT INTO plain (record) VALUES (decode('{record}', 'hex'));\n"),
        }
    }
}

/// A running server on a socket in its own folder; every commit is synced. Stopped when dropped.
pub(crate) struct Database {
    root: PathBuf,
    folder: PathBuf,
    server: Child,
}

impl Database {
    /// Makes a database in a new folder and starts a server on it.
    pub(crate) fn start(root: &Path, folder: &Path) -> Result<Self, Failure> {
        let folder = std::path::absolute(folder)?;
        fs::create_dir_all(&folder)?;
        let root = reachable(&fs::canonicalize(root)?, &folder)?;
        let data = folder.join("data");
        let mut initdb = server_command(&root, "initdb")?;
        initdb.args(["--no-locale", "--encoding=UTF8", "--auth=trust", "--username=bench", "-D"]).arg(&data);
        succeed(&mut initdb)?;
        let mut server = server_command(&root, "postgres")?;
        server.arg("-D").arg(&data).arg("-k").arg(&folder);
        for setting in ["listen_addresses=", "fsync=on", "synchronous_commit=on", "max_connections=100"] {
            server.args(["-c", setting]);
        }
        let log = File::create(folder.join("log"))?;
        let server = server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?;
        let database = Self { root, folder, server };
        database.wait_until_ready()?;
        database.query(SCHEMA)?;
        Ok(database)
    }

    /// Returns the server's version.
    pub(crate) fn version(&self) -> Result<String, Failure> {
        Ok(self.query("SHOW server_version")?.trim().to_owned())
    }

    /// Lets the clients repeat a statement, each in a transaction of its own.
    pub(crate) fn run(&self, statement: Statement, time: Duration) -> Result<Run, Failure> {
        let script = self.folder.join("script.sql");
        fs::write(&script, statement.sql(&hex(&ours::record(0)?)))?;
        let log = self.folder.join("latencies");
        let mut pgbench = self.client("pgbench")?;
        pgbench.args(["--no-vacuum", "--protocol=prepared", "--jobs=1", "--log"]);
        pgbench.arg(format!("--client={}", statement.clients())).arg(format!("--time={}", time.as_secs().max(1)));
        pgbench.arg("--file").arg(&script).arg("--log-prefix").arg(&log).arg("postgres");
        let said = succeed(&mut pgbench)?;
        let latencies = self.latencies()?;
        // Without the time in which the clients connect.
        let rate = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse::<f64>().ok());
        let rate = rate.filter(|rate| *rate > 0.0).ok_or("pgbench committed nothing: measure for longer")?;
        let elapsed = Duration::from_secs_f64(latencies.len() as f64 / rate);
        Ok(run::of_latencies(statement.name(), latencies, None, elapsed))
    }

    /// Reads and removes what pgbench logged: one line per transaction, microseconds third.
    fn latencies(&self) -> Result<Vec<Duration>, Failure> {
        let mut latencies = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("latencies.")) {
                continue;
            }
            for line in fs::read_to_string(&path)?.lines() {
                let micros = line.split(' ').nth(2).ok_or("a line of pgbench's log is too short")?;
                latencies.push(Duration::from_micros(micros.parse()?));
            }
            fs::remove_file(path)?;
        }
        Ok(latencies)
    }

    fn wait_until_ready(&self) -> Result<(), Failure> {
        for _ in 0..300 {
            if self.query("SELECT 1").is_ok() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(100));
        }
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        Err(format!("PostgreSQL did not start: {}", log.lines().last().unwrap_or_default()).into())
    }

    fn query(&self, sql: &str) -> Result<String, Failure> {
        let mut psql = self.client("psql")?;
        succeed(psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "-v", "ON_ERROR_STOP=1", "-c", sql, "postgres"]))
    }

    fn client(&self, program: &str) -> Result<Command, Failure> {
        let mut command = with_libraries(Command::new(self.root.join(PROGRAMS).join(program)), &self.root);
        command.arg("--username=bench").arg("--host").arg(&self.folder).current_dir(&self.folder);
        Ok(command)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // SIGQUIT: stop at once; the folder is removed anyway.
        let _ = Command::new("kill").args(["-QUIT", &self.server.id().to_string()]).status();
        let _ = self.server.wait();
    }
}

/// Gives the folder to `nobody` if we are root, with a copy of the programs: theirs may be closed to others.
fn reachable(root: &Path, folder: &Path) -> Result<PathBuf, Failure> {
    if !is_root()? {
        return Ok(root.to_owned());
    }
    let copy = folder.join("installed");
    succeed(Command::new("cp").arg("-r").arg(root).arg(&copy))?;
    succeed(Command::new("chown").args([NOBODY, "--"]).arg(folder))?;
    Ok(copy)
}

/// Returns a command that runs as `nobody` if we are root.
fn server_command(root: &Path, program: &str) -> Result<Command, Failure> {
    let program = root.join(PROGRAMS).join(program);
    let mut command = Command::new(&program);
    if is_root()? {
        command = Command::new("setpriv");
        command.arg(format!("--reuid={NOBODY}")).arg(format!("--regid={NOBODY}")).arg("--clear-groups");
        command.args(["--pdeathsig=QUIT", "--"]).arg(program);
    }
    command.current_dir("/");
    Ok(with_libraries(command, root))
}

fn with_libraries(mut command: Command, root: &Path) -> Command {
    let architecture = format!("{}-linux-gnu", std::env::consts::ARCH);
    command.env("LD_LIBRARY_PATH", root.join("usr/lib").join(architecture));
    command
}

fn is_root() -> Result<bool, Failure> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:")).ok_or("no `Uid` in `/proc/self/status`")?;
    Ok(line.split_whitespace().nth(1) == Some("0"))
}

fn succeed(command: &mut Command) -> Result<String, Failure> {
    let shown = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("cannot run `{shown}`: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("`{shown}` failed: {}", String::from_utf8_lossy(&output.stderr).trim()).into())
}
