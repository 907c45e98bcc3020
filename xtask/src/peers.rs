//! Programs of others, in pinned versions, against ours: what one makes the other must read.

use std::process::Command;

use anyhow::{Result, bail};

use crate::{
    page,
    repo::Repo,
    run, say,
    sdk::{node_modules, node_tests, python_environment},
    servers,
    tally::{Runner, Tally},
};

/// The suites `tests/<area>/python` and `tests/<area>/node`, and the program of ours that they talk to.
struct Peer {
    /// The folder in `tests`.
    area: &'static str,
    /// The package of our program.
    package: &'static str,
    /// The example of the package that is run; without one, its binary.
    example: Option<&'static str>,
    /// The environment variable that tells the tests where our program is.
    variable: &'static str,
    /// Whether there is a suite in Python: `requirements.txt` pins what it needs.
    python: bool,
    /// Whether there is a suite in Node: `package-lock.json` pins what it needs.
    node: bool,
}

/// All suites, in the order in which they are run. Examples of all packages share a folder: each has a name of its own.
const PEERS: &[Peer] = &[
    Peer { area: "jose", package: "jose", example: Some("jose_peer"), variable: "JOSE_PEER", python: true, node: true },
    Peer {
        area: "cose",
        package: "proof",
        example: Some("cose_peer"),
        variable: "COSE_PEER",
        python: true,
        node: false,
    },
    Peer { area: "vc", package: "vc", example: Some("vc_peer"), variable: "VC_PEER", python: true, node: true },
    Peer {
        area: "wallet",
        package: "federation",
        example: Some("wallet_peer"),
        variable: "WALLET_PEER",
        python: false,
        node: true,
    },
    Peer {
        area: "scim",
        package: "federation",
        example: Some("scim_server"),
        variable: "SCIM_SERVER",
        python: true,
        node: true,
    },
    // Canaille needs another release of the same SCIM client than the tester: they cannot share an environment.
    Peer {
        area: "canaille",
        package: "federation",
        example: Some("scim_server"),
        variable: "SCIM_SERVER",
        python: true,
        node: false,
    },
    Peer {
        area: "ssf",
        package: "federation",
        example: Some("ssf_receiver"),
        variable: "SSF_RECEIVER",
        python: true,
        node: false,
    },
    Peer {
        area: "ssf_transmitter",
        package: "federation",
        example: Some("ssf_transmitter"),
        variable: "SSF_TRANSMITTER",
        python: true,
        node: false,
    },
    Peer { area: "lake", package: "lake", example: Some("lake_peer"), variable: "LAKE_PEER", python: true, node: true },
    Peer { area: "token", package: "exeat", example: None, variable: "EXEAT_BIN", python: false, node: true },
    Peer { area: "evidence", package: "verifier", example: None, variable: "EXEAT_VERIFY", python: true, node: false },
    // The page as it lies here and as it is built; the example answers natively what WebAssembly does in it.
    Peer {
        area: "page",
        package: "page",
        example: Some("page_peer"),
        variable: "PAGE_PEER",
        python: false,
        node: true,
    },
    Peer {
        area: "views",
        package: "views",
        example: Some("views_peer"),
        variable: "VIEWS_PEER",
        python: true,
        node: false,
    },
    Peer {
        area: "webhook",
        package: "federation",
        example: Some("webhook_server"),
        variable: "WEBHOOK_SERVER",
        python: true,
        node: false,
    },
];

/// Runs the tests whose names contain `filter` in every suite, or in those of one area.
///
/// What the suites need is installed first where it is missing or out of date.
///
/// # Errors
///
/// There is no such area, or something that a suite needs could not be built or installed; what fails is a count.
pub(crate) fn run(repo: &Repo, area: Option<&str>, filter: Option<&str>) -> Result<Tally> {
    let mut sum = Tally::default();
    for peer in of_area(area)? {
        let tally = peer.run(repo, filter)?;
        if tally.failed > 0 {
            say::line(&format!("    FAILED: tests/{}", peer.area));
        }
        sum += tally;
    }
    Ok(sum)
}

fn of_area(area: Option<&str>) -> Result<Vec<&'static Peer>> {
    let found: Vec<_> = PEERS.iter().filter(|peer| area.is_none_or(|area| area == peer.area)).collect();
    if found.is_empty() {
        let areas: Vec<_> = PEERS.iter().map(|peer| peer.area).collect();
        bail!("there is no peer suite `{}`: use one of {}", area.unwrap_or_default(), areas.join(", "));
    }
    Ok(found)
}

impl Peer {
    fn run(&self, repo: &Repo, filter: Option<&str>) -> Result<Tally> {
        run::must(repo.cargo().args(self.build()))?;
        let mut sum = Tally::default();
        if self.python {
            sum += self.python(repo, filter)?;
        }
        if self.node {
            sum += self.node(repo, filter)?;
        }
        Ok(sum)
    }

    fn build(&self) -> Vec<&'static str> {
        let target = self.example.map(|example| ["--example", example]);
        ["build", "--package", self.package].into_iter().chain(target.into_iter().flatten()).collect()
    }

    fn python(&self, repo: &Repo, filter: Option<&str>) -> Result<Tally> {
        let tests = format!("tests/{}/python", self.area);
        let environment = format!("{}-python", self.area);
        let python = python_environment(repo, &environment, &format!("{tests}/requirements.txt"))?;
        let mut command = self.with_ours(repo, repo.command(python));
        command.envs(servers::of_area(repo, self.area)?);
        command.env("PYTHONDONTWRITEBYTECODE", "1").args(["-m", "pytest", "-q", "-p", "no:cacheprovider", &tests]);
        if let Some(filter) = filter {
            command.args(["-k", filter]);
        }
        run::counted(Runner::Pytest, &mut command)
    }

    fn node(&self, repo: &Repo, filter: Option<&str>) -> Result<Tally> {
        let tests = format!("tests/{}/node", self.area);
        let modules = node_modules(repo, &format!("{}-node", self.area), &tests)?;
        let mut command = self.with_ours(repo, repo.command("node"));
        let mut sum = Tally::default();
        if self.area == "page" {
            let built = page::build(repo)?;
            sum += Tally::one(built.is_some());
            command.envs(built.map(|page| ("RECEIPT_PAGE", page)));
        }
        command.env("NODE_PATH", modules).args(["--test", "--test-reporter=spec"]);
        if let Some(filter) = filter {
            command.arg(format!("--test-name-pattern={}", filter.replace('_', ".")));
        }
        sum += run::counted(Runner::Node, command.args(node_tests(repo, &tests)?))?;
        Ok(sum)
    }

    /// The name of the package's binary: its own, but for the auditor's.
    fn binary(&self) -> &'static str {
        if self.package == "verifier" { "exeat-verify" } else { self.package }
    }

    /// Tells the tests where our program is.
    fn with_ours(&self, repo: &Repo, mut command: Command) -> Command {
        let path = match self.example {
            Some(example) => repo.binary("debug/examples", example),
            None => repo.binary("debug", self.binary()),
        };
        command.env(self.variable, path);
        command
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use super::*;

    #[test]
    fn every_suite_is_there_as_its_row_says() {
        let repo = Repo::find().unwrap();
        for Peer { area, package, example, python, node, .. } in PEERS {
            assert_eq!(repo.has(&format!("tests/{area}/python/requirements.txt")), *python, "{area}");
            assert_eq!(repo.has(&format!("tests/{area}/node/package-lock.json")), *node, "{area}");
            assert!(*python || *node, "{area}");
            if let Some(example) = example {
                assert!(repo.has(&format!("crates/{package}/examples/{example}.rs")), "{area}");
            }
        }
    }

    #[test]
    fn no_two_examples_that_are_run_have_the_same_name() {
        let examples: BTreeSet<_> = PEERS.iter().filter_map(|peer| Some((peer.example?, peer.package))).collect();
        let names: BTreeSet<_> = examples.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), examples.len());
    }

    #[test]
    fn every_folder_of_tests_for_other_programs_has_a_row() {
        let repo = Repo::find().unwrap();
        for entry in fs::read_dir(repo.root.join("tests")).unwrap() {
            let area = entry.unwrap().file_name().into_string().unwrap();
            let suite = repo.has(&format!("tests/{area}/python")) || repo.has(&format!("tests/{area}/node"));
            // The SDKs are run by `sdk`, with the demo.
            if suite && area != "sdk" {
                assert!(PEERS.iter().any(|peer| peer.area == area), "{area}");
            }
        }
    }

    #[test]
    fn one_area_is_run_alone_and_one_that_is_not_there_is_an_error() {
        assert_eq!(of_area(None).unwrap().len(), PEERS.len());
        let [only] = of_area(Some("vc")).unwrap()[..] else { panic!("one suite") };
        assert_eq!(only.build(), ["build", "--package", "vc", "--example", "vc_peer"]);
        let Err(error) = of_area(Some("nothing")) else { panic!("there is no such area") };
        assert!(error.to_string().contains("jose, cose, vc"), "{error}");
    }

    #[test]
    fn a_suite_without_an_example_talks_to_the_binary() {
        let peer =
            Peer { area: "x", package: "exeat", example: None, variable: "EXEAT_BIN", python: true, node: false };
        assert_eq!(peer.build(), ["build", "--package", "exeat"]);
        let repo = Repo::find().unwrap();
        let command = peer.with_ours(&repo, repo.command("true"));
        let ours = command.get_envs().find(|(name, _)| *name == "EXEAT_BIN").unwrap().1.unwrap();
        assert_eq!(ours, repo.binary("debug", "exeat").as_os_str());
    }
}
