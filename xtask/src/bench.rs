//! `cargo xtask bench`: builds a measuring program as it is shipped, and runs it.

use std::process::Command;

use anyhow::{Result, bail};

use crate::{repo::Repo, run, say, tally::Tally};

/// Cargo's profile for what is shipped.
const PROFILE: [&str; 2] = ["--profile", "dist"];

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
    /// A part of `bench/`, which measures the binary from outside.
    Driver,
}

const BENCHES: &[Bench] = &[
    Bench {
        name: "decide",
        about: "time of one decision under 2, 10 and 40 instruments",
        source: "crates/policy/examples/decide_bench.rs",
        program: Program::Example("policy", "decide_bench"),
    },
    Bench {
        name: "ledger",
        about: "appends per second and commit latency, beside the raw fdatasync floor",
        source: "crates/ledger/examples/append_bench.rs",
        program: Program::Example("ledger", "append_bench"),
    },
    Bench {
        name: "gateway",
        about: "CPU per request and added latency, beside nginx in the same run",
        source: "bench/src/main.rs",
        program: Program::Driver,
    },
    Bench {
        name: "recall",
        about: "time from a directive to the end of every stream that it cuts",
        source: "bench/src/main.rs",
        program: Program::Driver,
    },
];

/// Runs one measurement with the remaining arguments; lists them if none is named.
pub(crate) fn run(repo: &Repo, arguments: &[String]) -> Result<Tally> {
    let Some((name, rest)) = arguments.split_first() else {
        for bench in known(repo) {
            say::line(&format!("{:<8} {}", bench.name, bench.about));
        }
        return Ok(Tally::default());
    };
    let Some(bench) = known(repo).find(|bench| bench.name == *name) else {
        let names: Vec<_> = known(repo).map(|bench| bench.name).collect();
        bail!("there is no measurement `{name}`: use one of {}", names.join(", "));
    };
    run::must(command(repo, bench)?.args(rest))?;
    Ok(Tally::default())
}

/// Returns the measurements whose programs are in the tree.
fn known(repo: &Repo) -> impl Iterator<Item = &'static Bench> {
    BENCHES.iter().filter(|bench| repo.has(bench.source))
}

fn command(repo: &Repo, bench: &Bench) -> Result<Command> {
    let mut command = repo.cargo();
    command.arg("run").args(PROFILE);
    match bench.program {
        Program::Example(package, example) => {
            command.args(["--package", package, "--example", example, "--"]);
        }
        Program::Driver => {
            run::must(repo.cargo().arg("build").args(PROFILE).args(["--package", "exeat"]))?;
            command.env("EXEAT_BIN", repo.binary("dist", "exeat"));
            command.args(["--package", "exeat-bench", "--", bench.name]);
        }
    }
    Ok(command)
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
        assert_eq!(names, ["gateway", "recall"]);
    }
}
