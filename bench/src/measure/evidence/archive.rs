//! A large log: a production of one organization, and the lake.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use serde_json::Value;
use testkit::server::{Server, Setup};

use super::{
    super::turn,
    LAKE, LOG, PRODUCTION,
    checks::add_checked,
    log::{CHOSEN, MODEL, Small},
    programs::{Programs, answered, bytes_in, number},
};
use crate::{args::Run, report::Report};

/// Leaves of one file of the lake; what does not fill one is not in it.
const FILE_LEAVES: f64 = 65_536.0;
/// A server reads what it has not seen of a long log before it is ready.
const READY_WITHIN: Duration = Duration::from_secs(1_800);
/// How long the lake may take to be as far as it can.
const FILLED_WITHIN: Duration = Duration::from_secs(3_600);
const MIB: f64 = 1_048_576.0;

/// Makes the log large, starts a server on it, and has a production and the lake made of it.
///
/// # Errors
///
/// A program failed, or what it made does not verify.
pub(super) fn measure(
    run: &Run,
    programs: &Programs<'_>,
    small: Small,
    calls: u64,
    report: &mut Report,
) -> anyhow::Result<()> {
    let from = now()?;
    small.fill(programs, &small.ledger(), calls, &[])?;
    let until = now()?;
    let lake = format!("file://{}", small.setup.dir.join("lake").display());
    fs::create_dir_all(small.setup.dir.join("lake"))?;
    let environment = [("EXEAT__LAKE__URL", lake.clone()), ("EXEAT__LAKE__INTERVAL_SECONDS", "1".to_owned())];
    let environment = environment.map(|(name, value)| (name.to_owned(), value)).to_vec();
    let setup = Setup { approvals: 2, environment, ready_within: READY_WITHIN, ..small.setup };
    let server = setup.start()?;
    let archive = Archive { programs, ledger: setup.dir.join("data/ledger"), dir: setup.dir.clone(), server, lake };
    let covered = archive.fill_lake()?;
    let custody = archive.approved(&from, &until)?;
    for round in 0..run.rounds() {
        turn(PRODUCTION, round, report, |report| archive.produce(&custody, calls, round, report))?;
        if covered > 0.0 {
            turn(LAKE, round, report, |report| archive.verify_lake(round, report))?;
        }
    }
    archive.weigh(covered, calls, report)
}

/// A server on a large log.
struct Archive<'a> {
    programs: &'a Programs<'a>,
    dir: PathBuf,
    ledger: PathBuf,
    server: Server,
    lake: String,
}

impl Archive<'_> {
    /// Waits until the lake has every file that the log fills; returns the leaves in it.
    fn fill_lake(&self) -> anyhow::Result<f64> {
        let until = Instant::now() + FILLED_WITHIN;
        loop {
            let status = self.operate(&["ledger", "lake", "status", "--lake", &self.lake])?;
            if number(&status, "/behind")? < FILE_LEAVES {
                return number(&status, "/in_lake");
            }
            ensure!(Instant::now() < until, "the lake is not full: {status}; {}", self.server.log());
            thread::sleep(Duration::from_millis(500));
        }
    }

    /// Requests the calls of one organization and has two people sign for them; returns the entry that records it.
    fn approved(&self, from: &str, until: &str) -> anyhow::Result<String> {
        let name = format!("organization:{CHOSEN}");
        let asked = ["production", "request", &name, "--model", MODEL, "--from", from, "--to", until];
        let asked = self.operate(&[&asked[..], &["--disclose", "facts,digests", "--reason", "letter"]].concat())?;
        let id = asked.pointer("/item/id").and_then(Value::as_str).context("the production has no id")?;
        for (who, role) in [("iris", "counsel"), ("otto", "security")] {
            let file = self.dir.join(format!("{who}.jwk")).display().to_string();
            let key = self.operate(&["approver", "keygen", "--out", &file])?;
            let public = key.get("public_key").and_then(Value::as_str).context("the key has no public half")?;
            self.operate(&["approver", "add", who, "--role", role, "--public-key", public])?;
            self.operate(&["production", "sign", id, "--key", &file, "--approver", who, "--yes"])?;
        }
        let first = self.dir.join("first").display().to_string();
        let made = self.operate(&["ledger", "produce", id, "--out", &first])?;
        fs::remove_dir_all(first)?;
        Ok(made.get("custody").context("no entry records the production")?.to_string())
    }

    /// Writes the production and verifies it.
    fn produce(&self, custody: &str, calls: u64, round: usize, report: &mut Report) -> anyhow::Result<()> {
        let out = self.dir.join("production");
        let text = out.display().to_string();
        let mut produce = self.command(&["ledger", "produce", "--custody", custody, "--out", &text]);
        let (_, took) = answered(&mut produce)?;
        report.add(PRODUCTION, round, "produce_s", took);
        let mut verify = Programs::on_one_core(self.programs.verify);
        verify.arg("production").arg(&out).arg("--key").arg(self.ledger.join("log/log.vkey")).arg("--json");
        let (_, took) = answered(&mut verify)?;
        report.add(PRODUCTION, round, "verify_s", took);
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        report.add(PRODUCTION, round, "calls_in_log", calls as f64);
        sizes(&out, round, report)?;
        Ok(fs::remove_dir_all(out)?)
    }

    fn verify_lake(&self, round: usize, report: &mut Report) -> anyhow::Result<()> {
        let mut verify = Programs::on_one_core(self.programs.exeat);
        verify.args(["--json", "ledger", "lake", "verify", "--lake", &self.lake, "--ledger"]).arg(&self.ledger);
        let (answer, seconds) = answered(&mut verify)?;
        add_checked(report, LAKE, round, (number(&answer, "/leaves")?, seconds));
        Ok(())
    }

    /// Adds how many bytes a call takes where.
    fn weigh(self, covered: f64, calls: u64, report: &mut Report) -> anyhow::Result<()> {
        ensure!(self.server.terminate()?.success(), "the server did not stop in good order");
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        let calls = calls as f64;
        let is_tile = |path: &Path| !path.components().any(|part| part.as_os_str() == "entries");
        let tiles = self.ledger.join("log/tile");
        let hashes = bytes_in(&tiles, &is_tile)? / calls;
        report.add(LOG, 0, "tile_bytes", hashes);
        report.add(LOG, 0, "bundle_bytes", bytes_in(&tiles, &|path| !is_tile(path))? / calls);
        report.add(LOG, 0, "wal_bytes", bytes_in(&self.ledger.join("wal"), &is_segment)? / calls);
        if covered > 0.0 {
            let parquet = bytes_in(&self.dir.join("lake"), &is_parquet)? / (covered / 2.0);
            report.add(LOG, 0, "parquet_bytes", parquet);
            report.add(LOG, 0, "all_in_bytes", parquet + hashes);
        } else {
            report.note("the log fills no file of the lake: ask for more calls".to_owned());
        }
        Ok(())
    }

    fn operate(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        Ok(answered(&mut self.command(arguments))?.0)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.programs.exeat();
        command.args(arguments).env("EXEAT_LEDGER", &self.ledger);
        command.env("EXEAT_ADMIN_URL", format!("http://{}", self.server.admin));
        command.env("EXEAT_ADMIN_TOKEN_FILE", self.server.data().join("admin.token"));
        command
    }
}

/// Adds how large a production is and what in it is proof.
fn sizes(out: &Path, round: usize, report: &mut Report) -> anyhow::Result<()> {
    let named = |names: &'static [&str]| {
        move |path: &Path| path.file_name().is_some_and(|name| names.iter().any(|known| name == *known))
    };
    let programs = named(&["exeat-verify", "verify.py", "log-format.md"]);
    let shown = fs::read_to_string(out.join("calls.csv"))?.lines().count().saturating_sub(1);
    report.add(PRODUCTION, round, "calls_shown", super::super::count(shown));
    report.add(PRODUCTION, round, "folder_mib", bytes_in(out, &|path| !programs(path))? / MIB);
    report.add(PRODUCTION, round, "entries_mib", bytes_in(out, &named(&["entries"]))? / MIB);
    report.add(PRODUCTION, round, "hashes_kib", bytes_in(out, &named(&["hashes"]))? / 1_024.0);
    report.add(PRODUCTION, round, "heads_kib", bytes_in(out, &named(&["heads.json", "sums.json"]))? / 1_024.0);
    Ok(())
}

fn is_segment(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "seg")
}

fn is_parquet(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "parquet")
}

/// Returns the time, a moment after every entry of now and before the next.
fn now() -> anyhow::Result<String> {
    thread::sleep(Duration::from_millis(5));
    let now = jiff::Timestamp::now().round(jiff::Unit::Millisecond).context("the clock")?;
    thread::sleep(Duration::from_millis(5));
    Ok(now.to_string())
}
