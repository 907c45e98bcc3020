//! `cargo xtask bench`: builds a measuring program as it is shipped, and runs it.

use std::fs;

use anyhow::{Result, bail};

use crate::{repo::Repo, run, say, tally::Tally};

/// The measurements that live beside the crate they measure: name, package, example.
const EXAMPLES: &[(&str, &str, &str)] = &[
    ("decide", "policy", "decide_bench"),
    ("ledger", "ledger", "append_bench"),
];
/// Each binary in this folder is one more measurement, under its own name.
const PROGRAMS: &str = "bench/src/bin";

/// Runs one measurement with the remaining arguments; lists them if none is named.
pub(crate) fn run(repo: &Repo, arguments: &[String]) -> Result<Tally> {
    let known = known(repo);
    let Some((name, rest)) = arguments.split_first() else {
        for bench in &known {
            say::line(&bench.name);
        }
        return Ok(Tally::default());
    };
    let Some(bench) = known.iter().find(|bench| bench.name == *name) else {
        let names: Vec<_> = known.iter().map(|bench| bench.name.as_str()).collect();
        bail!(
            "there is no measurement `{name}`: use one of {}",
            names.join(", ")
        );
    };
    let mut command = repo.cargo();
    command.args(["run", "--profile", "dist", "--package", &bench.package]);
    run::must(command.args(&bench.target).arg("--").args(rest))?;
    Ok(Tally::default())
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Bench {
    name: String,
    package: String,
    target: [String; 2],
}

/// Returns the measurements whose programs are in the tree, in order of name.
fn known(repo: &Repo) -> Vec<Bench> {
    let examples = EXAMPLES.iter().filter(|(_, package, example)| {
        repo.has(&format!("crates/{package}/examples/{example}.rs"))
    });
    let mut known: Vec<_> = examples
        .map(|(name, package, example)| Bench {
            name: (*name).to_owned(),
            package: (*package).to_owned(),
            target: ["--example".to_owned(), (*example).to_owned()],
        })
        .collect();
    known.extend(programs(repo));
    known.sort();
    known
}

fn programs(repo: &Repo) -> Vec<Bench> {
    let entries = fs::read_dir(repo.root.join(PROGRAMS))
        .into_iter()
        .flatten()
        .flatten();
    let names = entries.filter_map(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.strip_suffix(".rs").map(str::to_owned)
    });
    names
        .map(|name| Bench {
            package: "bench".to_owned(),
            target: ["--bin".to_owned(), name.clone()],
            name,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_programs_that_exist_can_be_named() {
        let root = tempfile::tempdir().unwrap();
        let repo = Repo {
            root: root.path().to_owned(),
            target: root.path().join("target"),
            cache: root.path().join("cache"),
        };
        assert!(known(&repo).is_empty());
        assert!(run(&repo, &["gateway".to_owned()]).is_err());
        for path in [
            "crates/ledger/examples/append_bench.rs",
            "bench/src/bin/gateway.rs",
        ] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let names: Vec<_> = known(&repo).into_iter().map(|bench| bench.name).collect();
        assert_eq!(names, ["gateway", "ledger"]);
    }
}
