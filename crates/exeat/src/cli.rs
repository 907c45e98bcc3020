//! The command line: what can be said and how it is explained.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::{
    agent::AgentOptions,
    commands::{
        admin::{Connection, SnapshotCommand},
        approvers::ApproverCommand,
        ask::{Question, RecordedCall, When},
        evidence::{AffiliationCommand, AttestationCommand},
        follower::FollowerOptions,
        headlog::HeadLogCommand,
        instruments::InstrumentCommand,
        keys::{AdminTokenCommand, KeyCommand},
        ledger::LedgerCommand,
        meter::MeterOptions,
        parties::{OrganizationCommand, PersonCommand, WorkloadCommand},
        plan::PlanCommand,
        productions::ProductionCommand,
        setup::ConfigCommand,
        sources::SourceCommand,
        witness::{MirrorCommand, WitnessCommand},
    },
    demo::DemoOptions,
    output::Format,
};

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  refused, or something did not hold
  2  wrong usage or configuration
  3  the server could not be reached

Examples:
  exeat demo                       a gateway before a small real model, with two people and their keys
  exeat demo --script              the whole story by itself, in about a minute
  exeat demo --drill               a directive day, from the first call to the agency's verification
  exeat init && exeat serve        a server of your own
  exeat doctor                     what is wrong here, and how to mend it";

const METER_EXAMPLES: &str = "\
Examples:
  exeat meter --config /etc/exeat/meter.toml

A configuration:
  [meter]
  origin = \"meter.example.com/exeat/1\"       # the name of its log, and the audience of its tickets
  data_dir = \"meter-data\"
  listen = \"127.0.0.1:8090\"
  [meter.upstream]
  url = \"http://127.0.0.1:8000\"              # the model server, which nobody else may reach
  [[meter.issuers]]
  origin = \"log.example.com/exeat/1\"         # the gateway's log
  ticket_key_file = \"gateway-tickets.jwk\"    # its public ticket key
  log_vkey = \"log.example.com/exeat/1+...\"   # its verifier key, for reconciliation
  [meter.reconciliation]
  secret_file = \"reconciliation.secret\"      # also a bearer token for /metrics

GET /healthz says that it runs, GET /readyz that it would serve. docs/metering.md has the rest.";

/// Proves, in real time, that every token a model generated went to a person who was allowed to receive it.
#[derive(Debug, Parser)]
#[command(name = "exeat", version, after_help = EXIT_CODES, max_term_width = 110)]
pub(crate) struct Cli {
    /// Prints JSON for programs instead of text for people.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// Returns how the command answers.
    pub(crate) fn format(&self) -> Format {
        if self.json { Format::Json } else { Format::Text }
    }
}

/// What can be asked.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs the gateway and its control plane until SIGTERM or Ctrl-C; SIGHUP reads the configuration again.
    #[command(
        after_help = "Examples:\n  exeat serve\n  exeat serve --config /etc/exeat/exeat.toml\n  EXEAT__LOG__LEVEL=debug exeat serve"
    )]
    Serve {
        /// The configuration file.
        #[arg(long, env = "EXEAT_CONFIG", default_value = "exeat.toml")]
        config: PathBuf,
        /// Keeps the keys of private parts under another key of the vault from now on. By itself it does so within an hour
        /// of an erasure, unless the log has followers: keep a copy of the new `ledger/vault/N.kek` then.
        #[arg(long)]
        rekey: bool,
    },
    /// Runs a meter in front of a model server: no ticket of a gateway, no token. It keeps a record of its own.
    #[command(after_help = METER_EXAMPLES)]
    Meter(MeterOptions),
    /// Keeps a copy of another machine's log, byte for byte: a server with `[ledger.quorum]` tells nobody of an entry
    /// before more than half of the machines have it.
    #[command(
        after_help = "Examples:\n  exeat follower --ledger /var/lib/exeat/copy --origin log.example.com/exeat/1 --listen 0.0.0.0:7443 --cert-chain log-2.pem --key log-2.key --ca-file logs-ca.pem"
    )]
    Follower(FollowerOptions),
    /// Sets up a small real model, two people and a gateway before it, and shows where everything is.
    #[command(
        after_help = "Examples:\n  exeat demo\n  exeat demo --script\n  exeat demo --drill\n  exeat demo --upstream http://127.0.0.1:11434 --upstream-model llama3\n  exeat demo --headless --ready-file /tmp/ready.json"
    )]
    Demo(DemoOptions),
    /// Lends SDKs on this machine a key of its own: their calls go on with tokens that nobody else can use.
    #[command(
        after_help = "Examples:\n  exeat agent --gateway https://gateway.example --identity-token-file ~/.config/idp/token\n  exeat agent --gateway https://gateway.example --identity-token-file /var/run/secrets/tokens/exeat --federation-rule ci-builds\n  exeat agent --gateway https://gateway.example --api-key-file key.txt"
    )]
    Agent(AgentOptions),
    /// Writes a commented exeat.toml and makes the data folder; never overwrites.
    #[command(after_help = "Examples:\n  exeat init\n  exeat init /etc/exeat")]
    Init {
        /// Where.
        #[arg(default_value = ".")]
        dir: PathBuf,
    },
    /// Checks a configuration, or prints the commented example.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Explains what is wrong here and how to mend it; changes nothing.
    #[command(after_help = "Examples:\n  exeat doctor\n  exeat doctor --config /etc/exeat/exeat.toml --json")]
    Doctor {
        /// The configuration file.
        #[arg(long, env = "EXEAT_CONFIG", default_value = "exeat.toml")]
        config: PathBuf,
    },
    /// People: add, show, list, deactivate.
    Person {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: PersonCommand,
    },
    /// Organizations: add, show, list, set.
    Organization {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: OrganizationCommand,
    },
    /// Who acts for whom: add, list, end.
    Affiliation {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: AffiliationCommand,
    },
    /// Signed statements about people: add, list, withdraw. Never edited, only superseded.
    Attestation {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: AttestationCommand,
    },
    /// Callers that are no people, with owners who answer for them: add, show, list, deactivate.
    Workload {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: WorkloadCommand,
    },
    /// API keys: mint, show, list, revoke.
    Key {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// Tokens for this API: mint, list, revoke.
    AdminToken {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: AdminTokenCommand,
    },
    /// Who approves directives, licenses and productions: keygen, add, list, revoke.
    Approver {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: ApproverCommand,
    },
    /// Sources of word about people: list, set, channels, reviews, close.
    Source {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: SourceCommand,
    },
    /// Orders: file, sign, approve, diff, enforce, list, show, stay, vacate, lift.
    Directive {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: InstrumentCommand,
    },
    /// Plans that `directive plan --save` wrote: show, check.
    Plan {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: PlanCommand,
    },
    /// Authorizations: file, sign, approve, diff, enforce, list, show, stay, vacate, lift.
    License {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: InstrumentCommand,
    },
    /// Parts of the record that somebody asks for: request, sign, approve, list, show.
    Production {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: ProductionCommand,
    },
    /// What is in force now.
    Snapshot {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: SnapshotCommand,
    },
    /// Explains a recorded call: why it was answered as it was, and what would be decided now.
    #[command(
        after_help = "Examples:\n  exeat explain 4f1c2d3e4f5061728394a5b6c7d8e9f0\n  exeat explain 17\n  exeat explain 17-00f1e2d3c4b5a697 --json"
    )]
    Explain {
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        call: RecordedCall,
    },
    /// Says what would be decided about somebody, as of one time and as known at another; changes nothing.
    #[command(
        after_help = "Examples:\n  exeat ask --person ada --model mythos-5.0\n  exeat ask --person ada --model mythos-5.0 --as-of 2026-06-20T00:00Z --known-at 2026-06-21T00:00Z"
    )]
    Ask {
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        question: Question,
    },
    /// Lists every version of every directive and license as of one time: which governed, and why.
    #[command(
        after_help = "Examples:\n  exeat instruments\n  exeat instruments --as-of 2026-06-20T00:00Z --known-at 2026-06-21T00:00Z"
    )]
    Instruments {
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        when: When,
    },
    /// Makes a running server read its configuration again: whole, or not at all.
    #[command(after_help = "Example:\n  exeat reload")]
    Reload {
        #[command(flatten)]
        connection: Connection,
    },
    /// Says whose admin token this is and what it may do.
    #[command(after_help = "Example:\n  exeat whoami")]
    Whoami {
        #[command(flatten)]
        connection: Connection,
    },
    /// Prints the OpenAPI document of the admin API.
    #[command(after_help = "Example:\n  exeat openapi > exeat-admin.json")]
    Openapi {
        #[command(flatten)]
        connection: Connection,
    },
    /// The record: verify, export, lake, query, produce, timestamp, show, receipt. Reads the files; the server may run.
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// A log of the logs that make up a record: serve, prove.
    #[command(subcommand, name = "headlog")]
    HeadLog(HeadLogCommand),
    /// A witness of logs: serve, key.
    #[command(subcommand)]
    Witness(WitnessCommand),
    /// A mirror of logs: serve.
    #[command(subcommand)]
    Mirror(MirrorCommand),
    /// Prints the JSON Schema of a kind of document: directive, license, regime or country-groups.
    #[command(after_help = "Example:\n  exeat schema directive > directive.v1.json")]
    Schema {
        /// Which kind.
        kind: policy::DocumentKind,
    },
    /// Prints a completion script.
    #[command(
        after_help = "Examples:\n  exeat completions bash > /etc/bash_completion.d/exeat\n  exeat completions zsh > ~/.zfunc/_exeat"
    )]
    Completions {
        /// For which shell.
        shell: clap_complete::Shell,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_public_key_may_begin_with_a_hyphen() {
        let key = "-uROreWX5fjwPkN4mQMwwEfgCIZLsMKJLdqVVTN1GPQ";
        let words = ["exeat", "approver", "add", "iris", "--role", "counsel", "--public-key", key];
        assert!(Cli::try_parse_from(words).is_ok());
    }

    /// Calls `look` with every command and the words that it is called by.
    fn each(command: &clap::Command, words: &str, look: &mut dyn FnMut(&clap::Command, &str)) {
        look(command, words);
        for inner in command.get_subcommands() {
            each(inner, &format!("{words} {}", inner.get_name()), look);
        }
    }

    #[test]
    fn every_command_explains_itself() {
        each(&Cli::command(), "exeat", &mut |command, words| {
            assert!(command.get_about().is_some(), "`{words}` says nothing");
        });
    }

    #[test]
    fn every_command_that_does_something_shows_an_example_of_itself() {
        let mut without = Vec::new();
        each(&Cli::command(), "exeat", &mut |command, words| {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            // Directives and licenses have the same commands: an example of one does for both.
            let of_a_directive = words.replace("exeat license", "exeat directive");
            let shown = [words, &of_a_directive].iter().any(|words| help.contains(&format!("\n  {words}")));
            if !command.has_subcommands() && !shown {
                without.push(words.to_owned());
            }
        });
        assert!(without.is_empty(), "no example of `{}`", without.join("`, `"));
    }
}
