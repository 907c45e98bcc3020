//! The command line.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::ensure;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::peer::Kind;

/// Measures Exeat from outside, beside other gateways, all in one run.
#[derive(Debug, Parser)]
#[command(
    name = "exeat-bench",
    after_help = "Every measurement writes OUT/<name>.json, .md and .svg. Its contenders take turns within each round, \
                  and a target is only said to hold if the machine had nothing else to do.\n\n\
                  `cargo xtask bench` builds everything, installs the peers and calls this."
)]
pub(crate) struct Cli {
    /// What to measure.
    #[command(subcommand)]
    pub(crate) what: What,
}

/// The measurements, and the servers that they start.
#[derive(Debug, Subcommand)]
pub(crate) enum What {
    /// CPU per request, throughput per core and added latency of requests that are not streamed.
    Gateway {
        /// What every measurement takes.
        #[command(flatten)]
        run: Run,
        /// Requests a second of the open loop to an upstream that takes 20 ms to its first byte.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=5_000))]
        rate: u32,
    },
    /// Added time to first byte, CPU per event and memory per open stream.
    Streams {
        /// What every measurement takes.
        #[command(flatten)]
        run: Run,
        /// Streams that are held open at once for the memory; fewer if the limit of open files or a peer asks for it.
        #[arg(long, default_value_t = 9_000)]
        held: usize,
    },
    /// From an order to the last byte of every stream it cuts, and what the other streams notice.
    Recall {
        /// What every measurement takes.
        #[command(flatten)]
        run: Run,
        /// Streams; every other one is cut.
        #[arg(long, default_value_t = 1_000)]
        streams: usize,
        /// What cuts them: an order, or a signal that one person, whose streams they all are, is not employed any more.
        #[arg(long, value_enum, default_value_t = Cause::Order)]
        by: Cause,
    },
    /// What streams notice of configuration reloads and of a shutdown.
    Reload {
        /// What every measurement takes.
        #[command(flatten)]
        run: Run,
        /// Streams in flight when the shutdown begins.
        #[arg(long, default_value_t = 200)]
        streams: usize,
    },
    /// Putting a directive in force over a large directory, under load.
    Directive {
        /// What every measurement takes.
        #[command(flatten)]
        run: Run,
        /// People in the directory.
        #[arg(long, default_value_t = 1_000_000)]
        people: u32,
        /// Live streams that every change decides again.
        #[arg(long, default_value_t = 1_000)]
        streams: usize,
        /// Calls a second beside them.
        #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=5_000))]
        rate: u32,
    },
    /// Compares this driver's own figures with those of `oha`.
    Crosscheck {
        /// What every measurement takes.
        #[command(flatten)]
        run: Run,
    },
    /// The record: what it adds to the first byte, verification, replay, productions, bytes, proofs, recovery.
    Evidence {
        /// What every measurement takes.
        #[command(flatten)]
        run: Run,
        /// What the record is measured with and how much of it there is.
        #[command(flatten)]
        amount: Amount,
    },
    /// Serves as the upstream of a measurement until standard input ends.
    #[command(hide = true)]
    Stub,
    /// Serves as the plain relay of a measurement until standard input ends.
    #[command(hide = true)]
    Relay {
        /// What it relays to.
        #[arg(long)]
        upstream: SocketAddr,
    },
}

/// What every measurement takes.
#[derive(Args, Clone, Debug)]
pub(crate) struct Run {
    /// The `exeat` binary, built as it is shipped.
    #[arg(long, env = "EXEAT_BIN")]
    pub(crate) exeat: PathBuf,
    /// The folder that `cargo xtask bench` installed the peers into.
    #[arg(long, default_value = "peers")]
    pub(crate) tools: PathBuf,
    /// Peers to measure beside Exeat, separated by commas. nginx is the base of all ratios.
    #[arg(long, default_value = "nginx", value_delimiter = ',')]
    pub(crate) peers: Vec<Kind>,
    /// How the requests of `gateway` and `streams` are written.
    #[arg(long, value_enum, default_value_t = Dialect::Openai)]
    pub(crate) dialect: Dialect,
    /// Rounds; in each all contenders take a turn.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    rounds: u16,
    /// Seconds of each load in a round.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Where to write the results.
    #[arg(long, default_value = "target/bench", overrides_with = "out")]
    pub(crate) out: PathBuf,
    /// Judge targets even if the machine was busy, and mark the verdicts.
    #[arg(long)]
    pub(crate) busy_ok: bool,
}

/// What the measurement of the record takes beside.
#[derive(Args, Clone, Debug)]
pub(crate) struct Amount {
    /// The `exeat-verify` binary, built as it is shipped.
    #[arg(long)]
    pub(crate) verify: PathBuf,
    /// The example `calls_log` of `crates/verifier`, which makes large logs.
    #[arg(long)]
    pub(crate) calls_log: PathBuf,
    /// Calls in the log that a production is taken from, and that goes into the lake; 10000000 take about 10 GB of disk.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..=10_000_000))]
    pub(crate) calls: u64,
    /// Entries in the log that is verified whole, and decisions that are made again.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..=10_000_000))]
    pub(crate) records: u64,
}

/// How a model server is spoken to.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Dialect {
    /// Chat completions.
    Openai,
    /// Messages; for gateways that pass them through.
    Anthropic,
}

impl Dialect {
    /// Returns its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::Anthropic => "anthropic",
        }
    }

    /// Returns the path of a request.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Openai => "/v1/chat/completions",
            Self::Anthropic => "/v1/messages",
        }
    }
}

impl Run {
    /// Returns the number of rounds.
    pub(crate) fn rounds(&self) -> usize {
        self.rounds.into()
    }

    /// Returns the length of one load.
    ///
    /// # Errors
    ///
    /// It is not between a tenth of a second and an hour.
    pub(crate) fn length(&self) -> anyhow::Result<Duration> {
        ensure!((0.1..=3_600.0).contains(&self.seconds), "`--seconds` must be between 0.1 and 3600");
        Ok(Duration::from_secs_f64(self.seconds))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_peers_are_separated_by_commas() {
        Cli::command().debug_assert();
        let cli = Cli::parse_from(["exeat-bench", "gateway", "--exeat", "e", "--peers", "nginx,envoy"]);
        let What::Gateway { run, .. } = cli.what else { panic!("another measurement") };
        assert_eq!(run.peers, [Kind::Nginx, Kind::Envoy]);
        assert!(Cli::try_parse_from(["exeat-bench", "gateway", "--exeat", "e", "--peers", "squid"]).is_err());
        assert!(Run { seconds: 0.0, ..run }.length().is_err());
        let cli = Cli::parse_from(["exeat-bench", "evidence", "--exeat", "e", "--verify", "v", "--calls-log", "c"]);
        let What::Evidence { amount, .. } = cli.what else { panic!("another measurement") };
        assert_eq!((amount.calls, amount.records), (1_000_000, 1_000_000));
    }
}

/// What cuts streams.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Cause {
    /// An order about a model.
    Order,
    /// An employer's directory, about one person.
    Signal,
}
