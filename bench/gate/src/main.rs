//! Repeats one hot operation, for `cargo xtask bench gate` to count its instructions.
//!
//! Run under callgrind once with a number of repetitions and once with twice as many: what the second run has more,
//! divided by the number, is one repetition. Start and end drop out, but for what differs from run to run: a gateway's
//! start gathers randomness from a processor's jitter, a million instructions more or fewer. So an operation is
//! repeated until they weigh less than a hundredth of it.

mod append;
mod decide;
mod ends;
mod key;
mod relay;
mod world;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use anyhow::{Context, bail};

// As in the product.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// One operation, and how often it is repeated in the shorter run.
struct Operation {
    name: &'static str,
    repetitions: u32,
    run: fn(u32) -> anyhow::Result<()>,
}

const OPERATIONS: &[Operation] = &[
    Operation { name: "decide-us-person", repetitions: 2_000, run: decide::us_person },
    Operation { name: "decide-licensed", repetitions: 2_000, run: decide::licensed },
    Operation { name: "verify-key", repetitions: 10_000, run: key::verify },
    Operation { name: "relay-frame", repetitions: 10_000, run: relay::frames },
    Operation { name: "serve-call", repetitions: 300, run: relay::calls },
    Operation { name: "append-one", repetitions: 500, run: append::one_by_one },
    Operation { name: "append-batch", repetitions: 3_200, run: append::in_batches },
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to be done if this cannot be said.
            let _ = writeln!(io::stderr(), "exeat-gate: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> anyhow::Result<()> {
    match words {
        ["list"] => list(),
        // The other ends of the operations that need a client and a model server: see `relay`.
        ["ends", what, count] => ends::play(what, count.parse()?),
        [name, count] => {
            let found = OPERATIONS.iter().find(|operation| operation.name == *name);
            let operation = found.with_context(|| format!("there is no operation `{name}`"))?;
            (operation.run)(count.parse().context("the number of repetitions")?)
        }
        _ => bail!("usage: exeat-gate list | exeat-gate OPERATION REPETITIONS"),
    }
}

fn list() -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    for operation in OPERATIONS {
        writeln!(out, "{} {}", operation.name, operation.repetitions)?;
    }
    Ok(())
}
