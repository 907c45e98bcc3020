//! `cargo xtask test`: every set-up step, every check, every test.

use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::{
    bench::gate,
    repo::Repo,
    run, say, sdk,
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
    quick: bool,
    sdk_only: bool,
    filter: Option<String>,
}

impl Plan {
    fn parse(arguments: &[String]) -> Result<Self> {
        let mut plan = Self::default();
        for argument in arguments {
            match argument.as_str() {
                "--quick" => plan.quick = true,
                "--sdk-only" => plan.sdk_only = true,
                filter if plan.filter.is_none() && !filter.starts_with('-') => {
                    plan.filter = Some(filter.to_owned());
                }
                other => bail!("`{other}`: use [--quick | --sdk-only] [FILTER]"),
            }
        }
        if plan.quick && plan.sdk_only {
            bail!("--quick leaves out what --sdk-only asks for: use one of them");
        }
        Ok(plan)
    }

    fn includes(&self, step: &Step) -> bool {
        let wanted = match step.part {
            Part::Rust => !self.sdk_only,
            Part::Gate => !self.quick && !self.sdk_only,
            Part::Sdk => !self.quick,
        };
        wanted && (self.filter.is_none() || step.takes_filter)
    }

    fn announcement(&self, repo: &Repo) -> String {
        let mut text = format!("cargo xtask test, building in {}\n", repo.target.display());
        for step in STEPS.iter().filter(|step| self.includes(step)) {
            text += &format!("  - {}\n", step.title);
        }
        if !self.quick {
            text += &format!("The SDKs and the small model (about 150 MB, once) are kept in {}", repo.cache.display());
        }
        text
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Part {
    Rust,
    Gate,
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
    step("instruction counts of the hot operations (valgrind)", Part::Gate, |repo, _| gate::run(repo, &[])),
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
    fn quick_leaves_out_the_model_and_sdk_only_leaves_out_the_rest() {
        let slow = ["SDK", "release", "instruction counts"];
        assert!(titles(&["--quick"]).iter().all(|title| slow.iter().all(|word| !title.contains(word))));
        assert_eq!(titles(&["--sdk-only"]).len(), 3);
        assert_eq!(titles(&["--quick", "a_name"]), ["unit tests, integration tests, doctests, fuzz corpora"]);
    }

    #[test]
    fn an_argument_that_means_nothing_is_an_error() {
        for arguments in [vec!["--fast"], vec!["a", "b"], vec!["--quick", "--sdk-only"]] {
            let arguments: Vec<_> = arguments.into_iter().map(str::to_owned).collect();
            assert!(Plan::parse(&arguments).is_err(), "{arguments:?}");
        }
    }
}
