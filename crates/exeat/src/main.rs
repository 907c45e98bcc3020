//! Exeat: the permission that every generated token needs before it leaves. The one binary.

mod agent;
mod cli;
mod client;
mod commands;
mod config;
mod copies;
mod demo;
mod doctor;
mod logging;
mod output;
mod plan;
mod produce;
mod reload;
mod secrets;
mod serve;
mod timestamp;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};
use commands::Exit;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let format = cli.format();
    match run(cli.command, format) {
        Ok(exit) => exit.into(),
        Err(error) => {
            output::note(&format!("exeat: {error:#}"));
            Exit::of(&error).into()
        }
    }
}

fn run(command: Command, format: output::Format) -> anyhow::Result<Exit> {
    match command {
        Command::Serve { config, rekey } => serve::run(&config, rekey),
        Command::Agent(options) => agent::run(&options, format),
        Command::Follower(options) => commands::follower::run(&options),
        Command::Meter(options) => commands::meter::run(&options),
        Command::Demo(options) => demo::run(&options, format),
        Command::Init { dir } => commands::setup::init(&dir, format),
        Command::Config(command) => commands::setup::config(&command, format),
        Command::Doctor { config } => doctor::run(&config, format),
        Command::Person { connection, command } => connection.tell(&command, format),
        Command::Organization { connection, command } => connection.tell(&command, format),
        Command::Affiliation { connection, command } => connection.tell(&command, format),
        Command::Attestation { connection, command } => connection.tell(&command, format),
        Command::Workload { connection, command } => connection.tell(&command, format),
        Command::Key { connection, command } => connection.tell(&command, format),
        Command::AdminToken { connection, command } => connection.tell(&command, format),
        Command::Approver { connection, command } => command.run(&connection, format),
        Command::Source { connection, command } => connection.tell(&command, format),
        Command::Directive { connection, command } => command.of("directives").run(&connection, format),
        Command::Plan { connection, command } => command.run(&connection, format),
        Command::License { connection, command } => command.of("licenses").run(&connection, format),
        Command::Production { connection, command } => command.run(&connection, format),
        Command::Snapshot { connection, command } => connection.tell(&command, format),
        Command::Explain { connection, call } => connection.tell_as(&call, format, commands::explained::call),
        Command::Ask { connection, question } => connection.tell_as(&question, format, commands::explained::asked),
        Command::Instruments { connection, when } => {
            connection.tell_as(&when, format, commands::explained::instruments)
        }
        Command::Reload { connection } => connection.tell(&commands::admin::Plain::Reload, format),
        Command::Whoami { connection } => connection.tell(&commands::admin::Plain::Whoami, format),
        Command::Openapi { connection } => connection.tell(&commands::admin::Plain::Openapi, output::Format::Json),
        Command::Ledger(command) => commands::ledger::run(&command, format),
        Command::HeadLog(command) => commands::headlog::run(&command),
        Command::Witness(command) => commands::witness::run(&command, format),
        Command::Mirror(command) => commands::witness::run_mirror(&command),
        Command::Schema { kind } => commands::schema::run(kind),
        Command::Completions { shell } => commands::setup::completions(shell),
    }
}
