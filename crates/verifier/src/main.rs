//! `exeat-verify`: the auditor's program. Exit status 0 if all holds, 1 if not, 2 if it could not be checked.

use std::{
    ffi::OsString,
    fmt::Display,
    io::{self, IsTerminal, Write},
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

mod args;

use args::{Command, Record, Usage};
use base64::{Engine, engine::general_purpose::STANDARD};
use proof::{
    equivocation::Equivocation,
    note::VerifierKey,
    policy_file::Policy,
    shard::{Covered, ShardProof},
};
use verifier::{
    BadApprover, BadDifference, Compared, Meters, Options, ProductionOptions, Progress, compare, verify_bundle,
    verify_leaves, verify_production, verify_receipt,
};

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let done = args::parse(args).map_err(Stop::from).and_then(|command| run(&command));
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(Stop(why)) => {
            // Nobody is left to tell if standard error is gone.
            let _ = writeln!(io::stderr(), "exeat-verify: {why}");
            ExitCode::from(2)
        }
    }
}

/// The check could not be made.
struct Stop(String);

impl From<Usage> for Stop {
    fn from(usage: Usage) -> Self {
        Self(usage.to_string())
    }
}

fn run(command: &Command) -> Result<bool, Stop> {
    match command {
        Command::Help => print(args::HELP).map(|()| true),
        Command::Bundle { dir, key, record } => {
            let key = key.as_deref().map(read_key).transpose()?;
            let options = Options { key, meters: meters(record)?, allow_withheld: record.allow_withheld };
            bundle(Path::new(dir), &options, record.json)
        }
        Command::Production { dir, key, policy, approvers, record } => {
            let policy = policy.as_deref().map(|path| read_policy(Path::new(path))).transpose()?;
            let approvers = approvers.iter().map(|text| text.parse()).collect::<Result<_, BadApprover>>();
            let options = ProductionOptions {
                key: read_key(key)?,
                policy,
                approvers: approvers.map_err(|bad| Stop(bad.to_string()))?,
                meters: meters(record)?,
                allow_withheld: record.allow_withheld,
            };
            production(Path::new(dir), &options, record.json)
        }
        Command::Leaves { dir, key, json } => leaves(Path::new(dir), &read_key(key)?, *json),
        Command::Receipt { file, leaf, key, json } => {
            receipt(Path::new(file), leaf.as_deref().map(Path::new), key.as_deref(), *json)
        }
        Command::Consistent { one, other, key, out } => {
            consistent(Path::new(one), Path::new(other), &read_key(key)?, out.as_deref().map(Path::new))
        }
        Command::Equivocation { file, key } => equivocation(Path::new(file), &read_key(key)?),
        Command::Shard { file, key, shard } => check_shard(Path::new(file), &read_key(key)?, &read_key(shard)?),
    }
}

fn bundle(dir: &Path, options: &Options, json: bool) -> Result<bool, Stop> {
    let mut meter = Meter::new();
    let report = verify_bundle(dir, options, &mut meter).map_err(|e| Stop(e.to_string()))?;
    meter.end();
    answer(&report, report.holds(), json)
}

fn production(dir: &Path, options: &ProductionOptions, json: bool) -> Result<bool, Stop> {
    let mut meter = Meter::new();
    let report = verify_production(dir, options, &mut meter).map_err(|e| Stop(e.to_string()))?;
    meter.end();
    answer(&report, report.holds(), json)
}

fn leaves(dir: &Path, key: &VerifierKey, json: bool) -> Result<bool, Stop> {
    let mut meter = Meter::new();
    let report = verify_leaves(dir, key, &mut meter).map_err(|e| Stop(e.to_string()))?;
    meter.end();
    answer(&report, report.holds(), json)
}

fn meters(record: &Record) -> Result<Meters, Stop> {
    let keys = record.meters.iter().map(|key| read_key(key)).collect::<Result<_, _>>()?;
    let differences =
        record.allow_differences.iter().map(|one| one.parse().map_err(|bad: BadDifference| Stop(bad.to_string())));
    Ok(Meters { keys, differences: differences.collect::<Result<_, _>>()? })
}

/// Prints a report, and returns whether it holds.
fn answer<R: serde::Serialize + Display>(report: &R, holds: bool, json: bool) -> Result<bool, Stop> {
    if json {
        let mut value = serde_json::to_value(report).map_err(|e| Stop(e.to_string()))?;
        if let Some(object) = value.as_object_mut() {
            object.insert("holds".to_owned(), holds.into());
        }
        print(&format!("{value:#}\n"))?;
    } else {
        print(&report.to_string())?;
    }
    Ok(holds)
}

fn read_policy(path: &Path) -> Result<Policy, Stop> {
    Policy::parse(&read(path)?).map_err(|bad| Stop(format!("`{}` is no policy: {bad}", path.display())))
}

fn consistent(one: &Path, other: &Path, key: &VerifierKey, out: Option<&Path>) -> Result<bool, Stop> {
    match compare(one, other, key).map_err(|e| Stop(e.to_string()))? {
        Compared::Consistent(smaller, larger) => {
            print(&format!("consistent: the first {smaller} of {larger} entries are the same\n"))?;
            Ok(true)
        }
        Compared::Equivocation(proof) => {
            print("DOES NOT HOLD: the log signed two histories\n")?;
            if let Some(out) = out {
                let written = std::fs::write(out, proof.to_string());
                written.map_err(|e| Stop(format!("cannot write `{}`: {e}", out.display())))?;
                print(&format!("the proof is in `{}`: show it to others who rely on this log\n", out.display()))?;
            }
            Ok(false)
        }
    }
}

/// True if the proof holds: then the log does not.
fn equivocation(file: &Path, key: &VerifierKey) -> Result<bool, Stop> {
    let text = String::from_utf8(read(file)?).map_err(|_| Stop(format!("`{}` is not text", file.display())))?;
    let keys = std::slice::from_ref(key);
    match Equivocation::parse(&text).and_then(|proof| proof.verify(key.name(), keys)) {
        Ok((smaller, larger)) => {
            let (origin, one, other) = (key.name(), smaller.size, larger.size);
            print(&format!("proved: the log `{origin}` signed two histories, of {one} and of {other} entries\n"))?;
            Ok(true)
        }
        Err(bad) => print(&format!("proves nothing: {bad}\n")).map(|()| false),
    }
}

fn check_shard(file: &Path, head: &VerifierKey, shard: &VerifierKey) -> Result<bool, Stop> {
    let text = String::from_utf8(read(file)?).map_err(|_| Stop(format!("`{}` is not text", file.display())))?;
    match ShardProof::parse(&text).and_then(|proof| proof.verify(head, shard)) {
        Ok(Covered { index, event, checkpoint, head }) => {
            let (origin, size, code, all) = (shard.name(), checkpoint.size, event.code(), head.size);
            print(&format!(
                "holds: entry {index} of {all} of the head log is `{code}` of `{origin}` with {size} entries\n"
            ))?;
            Ok(true)
        }
        Err(bad) => print(&format!("DOES NOT HOLD: {bad}\n")).map(|()| false),
    }
}

/// A receipt as the gateway hands it out.
#[derive(serde::Deserialize)]
struct Handed {
    leaf: String,
    proof: String,
    origin_key: Option<String>,
}

fn receipt(file: &Path, leaf: Option<&Path>, key: Option<&str>, json: bool) -> Result<bool, Stop> {
    let text = String::from_utf8(read(file)?).map_err(|_| Stop(format!("`{}` is not text", file.display())))?;
    let handed: Option<Handed> = serde_json::from_str(&text).ok();
    let leaf = match (leaf, &handed) {
        (Some(path), _) => read(path)?,
        (None, Some(handed)) => {
            STANDARD.decode(&handed.leaf).map_err(|_| Stop("the receipt's `leaf` is not base64".to_owned()))?
        }
        (None, None) => {
            return Err(Stop("a receipt as text needs its entry: pass it with --leaf".to_owned()));
        }
    };
    let own = handed.as_ref().and_then(|handed| handed.origin_key.as_deref());
    let verifier = match (key, own) {
        (Some(key), _) => read_key(key)?,
        (None, Some(own)) => parse_key(own)?,
        (None, None) => {
            return Err(Stop("no key to check with: pass the log's key with --key".to_owned()));
        }
    };
    let proof = handed.as_ref().map_or(text.as_str(), |handed| &handed.proof);
    let verified = verify_receipt(&leaf, proof, &verifier);
    let answer = Answer {
        holds: verified.is_ok(),
        key: verifier.to_string(),
        key_pinned: key.is_some(),
        index: verified.as_ref().ok().map(|(index, _)| *index),
        size: verified.as_ref().ok().map(|(_, checkpoint)| checkpoint.size),
        why: verified.err().map(|bad| bad.to_string()),
    };
    answer.print(json)?;
    Ok(answer.holds)
}

/// What the check of a receipt found.
#[derive(serde::Serialize)]
struct Answer {
    holds: bool,
    key: String,
    key_pinned: bool,
    index: Option<u64>,
    size: Option<u64>,
    why: Option<String>,
}

impl Answer {
    fn print(&self, json: bool) -> Result<(), Stop> {
        if json {
            let text = serde_json::to_string_pretty(self).map_err(|e| Stop(e.to_string()))?;
            return print(&format!("{text}\n"));
        }
        if let Some(why) = &self.why {
            print(&format!("DOES NOT HOLD: {why}\n"))?;
        }
        if let (Some(index), Some(size)) = (self.index, self.size) {
            print(&format!("holds: it is entry {index} of the {size} that the log signed\n"))?;
        }
        if self.key_pinned {
            return print(&format!("checked with the pinned key {}\n", self.key));
        }
        print(&format!("WARNING: THE KEY WAS NOT PINNED, it came with the receipt: {}\n", self.key))
    }
}

/// Takes a key as text, or the name of a file that holds it.
fn read_key(text: &str) -> Result<VerifierKey, Stop> {
    if let Ok(key) = text.parse() {
        return Ok(key);
    }
    let path = Path::new(text);
    if !path.exists() {
        return parse_key(text);
    }
    let key = String::from_utf8(read(path)?).map_err(|_| Stop(format!("`{text}` is not a key")))?;
    parse_key(key.trim())
}

fn parse_key(text: &str) -> Result<VerifierKey, Stop> {
    text.parse().map_err(|bad: proof::note::BadKey| Stop(format!("the key is no key: {bad}")))
}

fn read(path: &Path) -> Result<Vec<u8>, Stop> {
    std::fs::read(path).map_err(|e| Stop(format!("cannot read `{}`: {e}", path.display())))
}

fn print(text: &str) -> Result<(), Stop> {
    io::stdout().write_all(text.as_bytes()).map_err(|e| Stop(format!("cannot write the answer: {e}")))
}

/// Tells a person at a terminal how far the check has come, once a second.
struct Meter {
    next: Option<Instant>,
    shown: bool,
}

impl Meter {
    const EVERY: Duration = Duration::from_secs(1);

    fn new() -> Self {
        let next = io::stderr().is_terminal().then(|| Instant::now() + Self::EVERY);
        Self { next, shown: false }
    }

    fn end(&self) {
        if self.shown {
            let _ = writeln!(io::stderr());
        }
    }
}

impl Progress for Meter {
    fn entries(&mut self, done: u64, total: u64) {
        // Looking at the clock for every entry would cost as much as hashing it.
        let Some(next) = self.next.filter(|_| done.is_multiple_of(1_024)) else {
            return;
        };
        let now = Instant::now();
        if now >= next {
            self.next = Some(now + Self::EVERY);
            self.shown = true;
            let _ = write!(io::stderr(), "\rchecked {done} of {total} entries");
        }
    }
}
