//! `cargo xtask bench`: builds what is measured as it is shipped, installs what it is measured beside, and runs.

mod compare;
pub(crate) mod gate;
mod install;

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result, ensure};

use crate::{repo::Repo, run, say, tally::Tally};

/// Cargo's profile for what is shipped, and the folder it builds into.
const PROFILE: &str = "dist";

/// One measurement: its name, the file it needs, and how it is run.
struct Bench {
    name: &'static str,
    about: &'static str,
    source: &'static str,
    program: Program,
}

#[derive(Clone, Copy)]
enum Program {
    /// An example beside the crate it measures: package and example.
    Example(&'static str, &'static str),
    /// The same, beside a database and a log of others.
    Ledger,
    /// That, and then a part of `bench/` with the verifier and an example that makes large logs.
    Evidence,
    /// A part of `bench/`, which measures the binary from outside, with tools that it needs.
    Driver(&'static [&'static str]),
    /// The same, beside the peers that `--peers` names, or all of them.
    Beside,
    /// Counts instructions instead of time.
    Gate,
}

const BENCHES: &[Bench] = &[
    Bench {
        name: "gate",
        about: "instructions of the hot operations against bench/gate.json (--record writes it anew)",
        source: "bench/gate/Cargo.toml",
        program: Program::Gate,
    },
    Bench {
        name: "decide",
        about: "time of one decision under 2, 10 and 40 instruments",
        source: "crates/policy/examples/decide_bench.rs",
        program: Program::Example("policy", "decide_bench"),
    },
    Bench {
        name: "ledger",
        about: "appends per second beside the disk, one sync per record, PostgreSQL, and witness-log",
        source: "crates/ledger/examples/append_bench/main.rs",
        program: Program::Ledger,
    },
    Bench {
        name: "evidence",
        about: "the record: the ledger's figures, first byte, verification, productions, bytes, recovery",
        source: "crates/verifier/examples/calls_log/main.rs",
        program: Program::Evidence,
    },
    Bench {
        name: "gateway",
        about: "CPU per request and added latency beside other gateways in the same run",
        source: "bench/src/main.rs",
        program: Program::Beside,
    },
    Bench {
        name: "streams",
        about: "added time to the first byte, CPU per frame, memory per open stream",
        source: "bench/src/main.rs",
        program: Program::Beside,
    },
    Bench {
        name: "recall",
        about: "time from a directive to the last byte of every stream that it cuts",
        source: "bench/src/main.rs",
        program: Program::Driver(&[]),
    },
    Bench {
        name: "reload",
        about: "what streams notice of configuration reloads and of a shutdown",
        source: "bench/src/main.rs",
        program: Program::Driver(&[]),
    },
    Bench {
        name: "directive",
        about: "a directive over a directory of a million people, under load",
        source: "bench/src/main.rs",
        program: Program::Driver(&[]),
    },
    Bench {
        name: "crosscheck",
        about: "the figures of this driver beside those of another load generator",
        source: "bench/src/main.rs",
        program: Program::Driver(&["nginx", "oha"]),
    },
];

const USAGE: &str = "\
usage: cargo xtask bench                          list what can be measured
       cargo xtask bench NAME [-- OPTION ...]     measure; `-- --help` shows the options of a measurement
       cargo xtask bench all [-- OPTION ...]      measure everything; options are for those that drive the binary
       cargo xtask bench install [PEER ...]       only install what is measured beside
       cargo xtask bench gate [--record]          compare or record instruction counts
";

/// Runs one measurement with the remaining arguments; lists them if none is named.
pub(crate) fn run(repo: &Repo, arguments: &[String]) -> Result<Tally> {
    let Some((name, rest)) = arguments.split_first() else {
        say::line(&listing(repo));
        return Ok(Tally::default());
    };
    let options: Vec<&str> = rest.iter().map(String::as_str).skip_while(|word| *word == "--").collect();
    match name.as_str() {
        "help" | "--help" | "-h" => say::line(&listing(repo)),
        "install" => return installed(repo, &options),
        "all" => return Ok(known(repo).map(|bench| one_of_all(repo, bench, &options)).sum()),
        name => return measure(repo, find(repo, name)?, &options),
    }
    Ok(Tally::default())
}

fn listing(repo: &Repo) -> String {
    let lines = known(repo).map(|bench| format!("  {:<10} {}", bench.name, bench.about));
    let names: Vec<_> = install::TOOLS.iter().map(|tool| tool.name).collect();
    let lines: Vec<_> = lines.collect();
    format!("{USAGE}\n{}\n\nPeers and tools: {}", lines.join("\n"), names.join(", "))
}

fn find<'a>(repo: &'a Repo, name: &str) -> Result<&'a Bench> {
    let names = || known(repo).map(|bench| bench.name).collect::<Vec<_>>().join(", ");
    let found = known(repo).find(|bench| bench.name == name);
    found.with_context(|| format!("there is no measurement `{name}`: use one of {}, all", names()))
}

/// Returns the measurements whose programs are in the tree.
fn known(repo: &Repo) -> impl Iterator<Item = &'static Bench> {
    BENCHES.iter().filter(|bench| repo.has(bench.source))
}

fn installed(repo: &Repo, names: &[&str]) -> Result<Tally> {
    let all: Vec<_> = install::TOOLS.iter().map(|tool| tool.name).collect();
    let wanted = if names.is_empty() { &all } else { names };
    let failed = install::install(repo, wanted)?.len() as u64;
    Ok(Tally { passed: wanted.len() as u64 - failed, failed })
}

fn measure(repo: &Repo, bench: &Bench, options: &[&str]) -> Result<Tally> {
    say::step(&format!("bench {}: {}", bench.name, bench.about));
    match bench.program {
        Program::Gate => return gate::run(repo, options),
        Program::Example(package, example) => run::must(example_command(repo, package, example).args(options))?,
        Program::Ledger => ledger(repo, options)?,
        Program::Evidence => evidence(repo, options)?,
        Program::Driver(tools) => {
            if !asks_for_help(options) {
                install::install(repo, tools)?;
            }
            run::must(driver(repo, bench.name)?.args(options))?;
        }
        Program::Beside => beside(repo, bench.name, options)?,
    }
    Ok(Tally::one(true))
}

/// Measures without letting a failure keep the others from being measured.
fn one_of_all(repo: &Repo, bench: &Bench, options: &[&str]) -> Tally {
    let options =
        if matches!(bench.program, Program::Driver(_) | Program::Beside | Program::Evidence) { options } else { &[] };
    measure(repo, bench, options).unwrap_or_else(|error| {
        say::fault(&format!("bench {}: {error:#}", bench.name));
        Tally::one(false)
    })
}

fn example_command(repo: &Repo, package: &str, example: &str) -> Command {
    let mut command = repo.cargo();
    command.args(["run", "--profile", PROFILE, "--package", package, "--example", example, "--"]);
    command
}

fn ledger(repo: &Repo, options: &[&str]) -> Result<()> {
    let mut command = example_command(repo, "ledger", "append_bench");
    if !asks_for_help(options) {
        command.arg("--out").arg(out(repo)?);
        if install::install(repo, &["postgres"])?.is_empty() {
            command.arg("--postgres").arg(install::folder(repo).join("postgres"));
        }
        if install::install(repo, &["witness-log"])?.is_empty() {
            command.arg("--witness-log").arg(install::folder(repo).join("witness-log"));
        }
    }
    run::must(command.args(options))
}

/// Measures the ledger beside others and then all that is done with its record.
fn evidence(repo: &Repo, options: &[&str]) -> Result<()> {
    let example = ["build", "--profile", PROFILE, "--package", "verifier", "--example", "calls_log", "--bins"];
    run::must(repo.cargo().args(example))?;
    let mut command = driver(repo, "evidence")?;
    command.arg("--verify").arg(repo.binary(PROFILE, "exeat-verify"));
    command.arg("--calls-log").arg(repo.binary(PROFILE, "examples/calls_log"));
    if !asks_for_help(options) {
        ledger(repo, &[])?;
    }
    run::must(command.args(options))
}

/// Installs the peers and runs the driver, which reports those that could not be installed as not run.
fn beside(repo: &Repo, name: &str, options: &[&str]) -> Result<()> {
    let (peers, rest) = split_peers(options)?;
    if !asks_for_help(options) {
        install::install(repo, &peers)?;
    }
    run::must(driver(repo, name)?.args(["--peers", &peers.join(",")]).args(rest))
}

/// Takes `--peers a,b` out of the options; without it, all peers are meant.
fn split_peers<'a>(options: &[&'a str]) -> Result<(Vec<&'a str>, Vec<&'a str>)> {
    let mut peers = install::PEERS.to_vec();
    let mut rest = Vec::new();
    let mut words = options.iter().copied();
    while let Some(word) = words.next() {
        let list = match word {
            "--peers" => Some(words.next().context("`--peers` needs a list, as in `--peers nginx,envoy`")?),
            word => word.strip_prefix("--peers="),
        };
        match list {
            Some(list) => peers = list.split(',').filter(|name| !name.is_empty()).collect(),
            None => rest.push(word),
        }
    }
    let unknown = peers.iter().find(|name| !install::PEERS.contains(name));
    ensure!(
        unknown.is_none(),
        "there is no peer `{}`: use some of {}",
        unknown.unwrap_or(&""),
        install::PEERS.join(",")
    );
    Ok((peers, rest))
}

fn asks_for_help(options: &[&str]) -> bool {
    options.iter().any(|word| ["--help", "-h"].contains(word))
}

/// Builds the product and the driver; returns the driver's command for one measurement.
fn driver(repo: &Repo, name: &str) -> Result<Command> {
    run::must(repo.cargo().args(["build", "--profile", PROFILE, "--package", "exeat", "--package", "exeat-bench"]))?;
    let mut command = repo.command(repo.binary(PROFILE, "exeat-bench"));
    command.arg(name).arg("--exeat").arg(repo.binary(PROFILE, "exeat"));
    command.arg("--tools").arg(install::folder(repo)).arg("--out").arg(out(repo)?);
    Ok(command)
}

/// Returns the folder for results, and makes it.
fn out(repo: &Repo) -> Result<PathBuf> {
    let folder = repo.target.join("bench");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_measurements_whose_programs_exist_can_be_named() {
        let root = tempfile::tempdir().unwrap();
        let repo =
            Repo { root: root.path().to_owned(), target: root.path().join("target"), cache: root.path().join("cache") };
        assert_eq!(known(&repo).count(), 0);
        assert!(run(&repo, &["gateway".to_owned()]).is_err());
        let source = root.path().join("bench/src/main.rs");
        fs::create_dir_all(source.parent().unwrap()).unwrap();
        fs::write(source, "").unwrap();
        let names: Vec<_> = known(&repo).map(|bench| bench.name).collect();
        assert_eq!(names, ["gateway", "streams", "recall", "reload", "directive", "crosscheck"]);
    }

    #[test]
    fn the_peers_are_taken_out_of_the_options_and_are_all_of_them_if_none_is_named() {
        assert_eq!(split_peers(&["--rounds", "3"]).unwrap(), (install::PEERS.to_vec(), vec!["--rounds", "3"]));
        for options in [["--peers", "nginx,envoy", "--busy-ok"].as_slice(), &["--busy-ok", "--peers=nginx,envoy"]] {
            assert_eq!(split_peers(options).unwrap(), (vec!["nginx", "envoy"], vec!["--busy-ok"]));
        }
        assert!(split_peers(&["--peers"]).is_err());
        assert!(split_peers(&["--peers", "squid"]).is_err());
    }
}
