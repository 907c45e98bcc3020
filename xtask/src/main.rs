//! Repository chores: `cargo xtask` lists them.

mod bench;
mod cases;
mod deny;
mod fuzz;
mod page;
mod peers;
mod repo;
mod run;
mod say;
mod sdk;
mod servers;
mod standalone;
mod suite;
mod tally;
mod tidy;

use std::process::ExitCode;

use anyhow::Result;

use repo::Repo;
use tally::Tally;

/// One chore: its name, its arguments, what it does, and when it exists.
struct Chore {
    name: &'static str,
    arguments: &'static str,
    about: &'static str,
    exists: fn(&Repo) -> bool,
    run: fn(&Repo, &[String]) -> Result<Tally>,
}

const CHORES: &[Chore] = &[
    Chore {
        name: "test",
        arguments: "[--quick | --sdk-only | --peers-only] [FILTER]",
        about: "set everything up and run every check and test",
        exists: |_| true,
        run: suite::run,
    },
    Chore {
        name: "tidy",
        arguments: "",
        about: "check the repository for what the compiler and clippy do not see",
        exists: |_| true,
        run: |repo, _| tidy::run(repo),
    },
    Chore {
        name: "cases",
        arguments: "[--json]",
        about: "decide every case of `cases/` and print a table",
        exists: cases::exists,
        run: cases::run,
    },
    Chore {
        name: "page",
        arguments: "",
        about: "build the page that checks receipts, with `proof` in it as WebAssembly",
        exists: |_| true,
        run: |repo, _| page::run(repo),
    },
    Chore {
        name: "bench",
        arguments: "NAME [ARGUMENT ...]",
        about: "measure; without a name, list what can be measured",
        exists: |_| true,
        run: bench::run,
    },
    Chore {
        name: "fuzz",
        arguments: "[replay | TARGET [SECONDS]]",
        about: "list the fuzz targets, replay their corpora, or run one",
        exists: fuzz::exists,
        run: fuzz::run,
    },
    Chore {
        name: "deny",
        arguments: "[--install]",
        about: "check licenses, advisories and duplicates of dependencies (cargo-deny)",
        exists: |_| true,
        run: deny::run,
    },
];

fn main() -> ExitCode {
    match chore(std::env::args().skip(1).collect()) {
        Ok(tally) if tally.failed == 0 => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            say::fault(&format!("error: {error:#}"));
            ExitCode::from(2)
        }
    }
}

fn chore(mut arguments: Vec<String>) -> Result<Tally> {
    let repo = Repo::find()?;
    let name = if arguments.is_empty() { "help".to_owned() } else { arguments.remove(0) };
    let mut existing = CHORES.iter().filter(|chore| (chore.exists)(&repo));
    if let Some(chore) = existing.find(|chore| chore.name == name) {
        return (chore.run)(&repo, &arguments);
    }
    say::line(&usage(&repo));
    let asked = ["help", "--help", "-h"].contains(&name.as_str());
    anyhow::ensure!(asked, "there is no chore `{name}`");
    Ok(Tally::default())
}

fn usage(repo: &Repo) -> String {
    let mut text = "usage: cargo xtask CHORE\n".to_owned();
    for chore in CHORES.iter().filter(|chore| (chore.exists)(repo)) {
        let call = format!("{} {}", chore.name, chore.arguments);
        text += &format!("\n  {call:<52} {}", chore.about);
    }
    text
}
