//! `cargo xtask test`: every set-up step, every check, every test.

use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::{
    bench::gate,
    peers,
    repo::Repo,
    run, say, sdk, standalone,
    tally::{Runner, Tally},
    tidy,
};

/// Runs the whole suite, or the part that was asked for, and prints the sum.
///
/// # Errors
///
/// Something that the suite needs is missing and could not be installed; what fails is a count.
pub(crate) fn run(repo: &Repo, arguments: &[String]) -> Result<Tally> {
    let plan = Plan::parse(arguments)?;
    let started = Instant::now();
    say::line(&plan.announcement(repo));
    let mut failed = Vec::new();
    let mut sum = Tally::default();
    for step in STEPS.iter().filter(|step| plan.includes(step)) {
        say::step(step.title);
        let tally = (step.run)(repo, &plan).with_context(|| step.title)?;
        if tally.failed > 0 {
            failed.push(step.title);
        }
        sum += tally;
    }
    summarize(&failed, started);
    say::line(&sum.to_string());
    Ok(sum)
}

fn summarize(failed: &[&str], started: Instant) {
    say::step(&format!("done in {:.0} s", started.elapsed().as_secs_f64()));
    for title in failed {
        say::line(&format!("    FAILED: {title}"));
    }
}

/// What was asked for.
#[derive(Debug, Default, Eq, PartialEq)]
struct Plan {
    extent: Extent,
    /// A part of the names of tests; of the peers alone, their area.
    filter: Option<String>,
}

/// How much of the suite is run.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Extent {
    #[default]
    All,
    Quick,
    SdkOnly,
    PeersOnly,
}

impl Plan {
    fn parse(arguments: &[String]) -> Result<Self> {
        let mut plan = Self::default();
        for argument in arguments {
            match (Extent::from_flag(argument), plan.extent) {
                (Some(extent), Extent::All) => plan.extent = extent,
                (None, _) if plan.filter.is_none() && !argument.starts_with('-') => {
                    plan.filter = Some(argument.clone());
                }
                _ => bail!("`{argument}`: use [--quick | --sdk-only] [FILTER] or --peers-only [AREA]"),
            }
        }
        Ok(plan)
    }

    fn includes(&self, step: &Step) -> bool {
        self.extent.includes(step.part) && (self.filter.is_none() || step.takes_filter)
    }

    /// Runs the suites of the area, or the tests of that name in every suite.
    fn peers(&self, repo: &Repo) -> Result<Tally> {
        match (self.extent, self.filter.as_deref()) {
            (Extent::PeersOnly, area) => peers::run(repo, area, None),
            (_, filter) => peers::run(repo, None, filter),
        }
    }

    fn announcement(&self, repo: &Repo) -> String {
        let mut text = format!("cargo xtask test, building in {}\n", repo.target.display());
        for step in STEPS.iter().filter(|step| self.includes(step)) {
            text += &format!("  - {}\n", step.title);
        }
        if matches!(self.extent, Extent::All | Extent::SdkOnly) {
            text += &format!("The SDKs and the small model (about 150 MB, once) are kept in {}", repo.cache.display());
        }
        text
    }
}

impl Extent {
    fn from_flag(argument: &str) -> Option<Self> {
        match argument {
            "--quick" => Some(Self::Quick),
            "--sdk-only" => Some(Self::SdkOnly),
            "--peers-only" => Some(Self::PeersOnly),
            _ => None,
        }
    }

    fn includes(self, part: Part) -> bool {
        match self {
            Self::All => true,
            Self::Quick => part == Part::Rust,
            Self::SdkOnly => part == Part::Sdk,
            Self::PeersOnly => part == Part::Peers,
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Part {
    Rust,
    Gate,
    Peers,
    Sdk,
}

struct Step {
    title: &'static str,
    part: Part,
    takes_filter: bool,
    run: fn(&Repo, &Plan) -> Result<Tally>,
}

const STEPS: &[Step] = &[
    step("find or install rustfmt and clippy", Part::Rust, |repo, _| components(repo)),
    step("format (rustfmt)", Part::Rust, |repo, _| cargo(repo, &["fmt", "--all", "--check"])),
    step("tidy", Part::Rust, |repo, _| tidy::run(repo)),
    step("lints (clippy)", Part::Rust, |repo, _| {
        cargo(repo, &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])
    }),
    step("links in the documentation (rustdoc)", Part::Rust, |repo, _| {
        cargo(repo, &["doc", "--workspace", "--no-deps", "--quiet"])
    }),
    filtered("unit tests, integration tests, doctests, fuzz corpora", Part::Rust, tests),
    filtered("release build of `exeat`", Part::Sdk, |repo, _| release(repo)),
    step("`exeat-verify` linked for itself, without a loader", Part::Gate, |repo, _| standalone::run(repo)),
    step("instruction counts of the hot operations (valgrind)", Part::Gate, |repo, _| gate::run(repo, &[])),
    filtered("programs of others as peers, in Python and Node", Part::Peers, |repo, plan| plan.peers(repo)),
    filtered("official Python SDKs against the demo model", Part::Sdk, |repo, plan| {
        sdk::python(repo, plan.filter.as_deref())
    }),
    filtered("official Node SDKs against the demo model", Part::Sdk, |repo, plan| {
        sdk::node(repo, plan.filter.as_deref())
    }),
];

const fn step(title: &'static str, part: Part, run: fn(&Repo, &Plan) -> Result<Tally>) -> Step {
    Step { title, part, takes_filter: false, run }
}

const fn filtered(title: &'static str, part: Part, run: fn(&Repo, &Plan) -> Result<Tally>) -> Step {
    Step { title, part, takes_filter: true, run }
}

fn components(repo: &Repo) -> Result<Tally> {
    for (subcommand, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if run::answer(repo.cargo().args([subcommand, "--version"])).is_none() {
            let mut rustup = repo.command("rustup");
            run::must(rustup.args(["component", "add", component]))
                .with_context(|| format!("{component} is missing: install it with your toolchain"))?;
        }
    }
    Ok(Tally::default())
}

fn cargo(repo: &Repo, arguments: &[&str]) -> Result<Tally> {
    run::check(repo.cargo().args(arguments))
}

fn tests(repo: &Repo, plan: &Plan) -> Result<Tally> {
    let mut command = repo.cargo();
    command.args(["test", "--workspace", "--no-fail-fast"]);
    run::counted(Runner::Libtest, command.args(plan.filter.as_deref()))
}

fn release(repo: &Repo) -> Result<Tally> {
    run::must(repo.cargo().args(["build", "--release", "--package", "exeat"]))?;
    Ok(Tally::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles(arguments: &[&str]) -> Vec<&'static str> {
        let arguments: Vec<_> = arguments.iter().map(|text| (*text).to_owned()).collect();
        let plan = Plan::parse(&arguments).unwrap();
        STEPS.iter().filter(|step| plan.includes(step)).map(|step| step.title).collect()
    }

    #[test]
    fn without_arguments_every_step_runs() {
        assert_eq!(titles(&[]).len(), STEPS.len());
    }

    #[test]
    fn quick_leaves_out_the_slow_parts_and_each_slow_part_is_run_alone() {
        let slow = ["SDK", "release", "linked for itself", "instruction counts", "peers"];
        assert!(titles(&["--quick"]).iter().all(|title| slow.iter().all(|word| !title.contains(word))));
        assert_eq!(titles(&["--sdk-only"]).len(), 3);
        assert_eq!(titles(&["--peers-only"]), ["programs of others as peers, in Python and Node"]);
        assert_eq!(titles(&["--peers-only", "jose"]), titles(&["--peers-only"]));
        assert_eq!(titles(&["--quick", "a_name"]), ["unit tests, integration tests, doctests, fuzz corpora"]);
    }

    #[test]
    fn an_argument_that_means_nothing_is_an_error() {
        for arguments in
            [vec!["--fast"], vec!["a", "b"], vec!["--quick", "--sdk-only"], vec!["--peers-only", "--quick"]]
        {
            let arguments: Vec<_> = arguments.into_iter().map(str::to_owned).collect();
            assert!(Plan::parse(&arguments).is_err(), "{arguments:?}");
        }
    }
}
