//! What full enforcement costs, measured beside other gateways in the same run.

mod args;
mod contender;
mod load;
mod measure;
mod own;
mod peer;
mod picture;
mod process;
mod relay;
mod report;
mod sample;
mod stub;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, What};
use measure::directive::Scale;
use stub::Pace;

/// As in the product.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match run(Cli::parse().what) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::say(&format!("exeat-bench: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(what: What) -> anyhow::Result<()> {
    match what {
        What::Gateway { run, rate } => measure::gateway::measure(&run, rate),
        What::Streams { run, held } => measure::streams::measure(&run, held),
        What::Recall { run, streams, by } => measure::recall::measure(&run, streams, by),
        What::Reload { run, streams } => measure::reload::measure(&run, streams),
        What::Directive { run, people, streams, rate } => {
            measure::directive::measure(&run, Scale { people, streams, rate })
        }
        What::Crosscheck { run } => measure::crosscheck::measure(&run),
        What::Evidence { run, amount } => measure::evidence::measure(&run, &amount),
        What::Stub => own::serve(|listener| stub::serve(listener, Pace::AT_ONCE)),
        What::Relay { upstream } => own::serve(move |listener| relay::serve(listener, upstream)),
    }
}
