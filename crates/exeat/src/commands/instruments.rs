//! Directives and licenses.

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    Exit,
    admin::{AsCall, Call, Connection, Page, escaped},
    diff::DiffArgs,
    documents,
    parties::present,
    plan::PlanArgs,
    sign::SignArgs,
};
use crate::output::{self, Format};

/// Directives or licenses: filed by version, approved by two people, then applied.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum InstrumentCommand {
    /// Files a document and puts it in force in one step, where no approval is needed; every live call is decided again
    /// before this returns.
    #[command(
        after_help = "Examples:\n  exeat directive apply examples/june-12.directive.json\n  exeat license apply - < letter.json"
    )]
    Apply {
        /// The document, JSON or `.toml`; `-` reads JSON from standard input.
        file: PathBuf,
    },
    /// Files a document without putting it in force, and says what it would change.
    #[command(after_help = "Examples:\n  exeat directive file order.toml\n  exeat license file letter.json")]
    File {
        /// The document, JSON or `.toml`; `-` reads JSON from standard input.
        file: PathBuf,
    },
    /// Shows what a filed version does, signs it and hands the signature in.
    Sign(SignArgs),
    /// Hands in what `sign --offline` wrote.
    #[command(after_help = "Example:\n  exeat directive approve DIR-2026-06-12 --jws signed.json")]
    Approve {
        /// The instrument's id.
        id: String,
        /// What `sign --offline` wrote: act and signature; `-` reads standard input.
        #[arg(long, value_name = "FILE")]
        jws: PathBuf,
    },
    /// Shows what differs between two versions and what each difference does to access.
    Diff(DiffArgs),
    /// Simulates a change before it is made: who would lose access, who keeps it and on what basis, what would restore
    /// the rest, under each reading of the wording. Changes nothing.
    #[command(
        after_help = "Examples:\n  exeat directive plan examples/june-12.directive.json --html plan.html\n  exeat directive plan order.toml letter.json --replay 2026-06-01T00:00:00Z --as-if-in-force --save plan.json"
    )]
    Plan(Box<PlanArgs>),
    /// Puts the latest filed version in force, once it has its approvals.
    #[command(
        after_help = "Examples:\n  exeat directive enforce DIR-2026-06-12\n  exeat directive enforce DIR-2026-06-12 --break-glass 'the letter came on a Friday night' --minutes 240"
    )]
    Enforce {
        /// The instrument's id.
        id: String,
        /// Must be the latest filed version, if given.
        #[arg(long)]
        version: Option<u64>,
        #[command(flatten)]
        glass: Glass,
    },
    /// Files what an earlier version said as the next version, to be approved and enforced.
    #[command(after_help = "Example:\n  exeat directive rollback DIR-2026-06-12 --to 3")]
    Rollback {
        /// The instrument's id.
        id: String,
        /// A version that was applied.
        #[arg(long, value_name = "VERSION")]
        to: u64,
    },
    /// Lists the latest version of each.
    #[command(after_help = "Examples:\n  exeat directive list\n  exeat license list")]
    List {
        #[command(flatten)]
        page: Page,
    },
    /// Shows every version, latest first.
    #[command(after_help = "Examples:\n  exeat directive show DIR-2026-06-12\n  exeat license show LTR-2026-06-26")]
    Show {
        /// The instrument's id.
        id: String,
    },
    /// Suspends it, as a court or the issuer did: filed, to be approved and enforced.
    #[command(after_help = "Example:\n  exeat directive stay DIR-2026-06-12")]
    Stay {
        /// The instrument's id.
        id: String,
        #[command(flatten)]
        glass: Glass,
    },
    /// Sets it aside, as a court did: filed, to be approved and enforced.
    #[command(after_help = "Example:\n  exeat directive vacate DIR-2026-06-12")]
    Vacate {
        /// The instrument's id.
        id: String,
        #[command(flatten)]
        glass: Glass,
    },
    /// Ends it, as its issuer did: filed, to be approved and enforced.
    #[command(
        after_help = "Examples:\n  exeat directive lift DIR-2026-06-12\n  exeat directive lift DIR-2026-06-12 --break-glass 'the court ordered it at night' --minutes 240"
    )]
    Lift {
        /// The instrument's id.
        id: String,
        #[command(flatten)]
        glass: Glass,
    },
}

/// Acting without the approvals, in an emergency.
#[derive(Clone, Debug, Args)]
pub(crate) struct Glass {
    /// Acts without the approvals, for this reason: an alarm until it is approved.
    #[arg(long, value_name = "REASON", requires = "minutes")]
    break_glass: Option<String>,
    /// After how many minutes it is undone, if it can give access; 1 to 240.
    #[arg(long, requires = "break_glass", value_parser = clap::value_parser!(u64).range(1..=240))]
    minutes: Option<u64>,
    /// Goes live although its invariants are not proved, for this reason, which is recorded.
    #[arg(long, value_name = "REASON")]
    without_proofs: Option<String>,
}

impl Glass {
    /// Makes the call that does `verb` to the instrument at `path`.
    fn call(&self, path: &str, verb: &str, version: Option<u64>) -> Call {
        let query = if self.break_glass.is_some() { "?break_glass=true" } else { "" };
        let body = json!({ "version": version, "reason": self.break_glass, "minutes": self.minutes,
            "without_proofs": self.without_proofs });
        Call::post(format!("{path}/{verb}{query}"), present(body))
    }
}

/// A command about one of the two kinds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About<'a> {
    command: &'a InstrumentCommand,
    kind: &'static str,
}

impl InstrumentCommand {
    /// Says which kind it is about: `directives` or `licenses`.
    pub(crate) fn of(&self, kind: &'static str) -> About<'_> {
        About { command: self, kind }
    }
}

impl About<'_> {
    /// Does what the command says and prints the answer.
    ///
    /// # Errors
    ///
    /// If a file cannot be read, a signature not be made, or the server not be reached or refuses.
    pub(crate) fn run(&self, connection: &Connection, format: Format) -> anyhow::Result<Exit> {
        match self.command {
            InstrumentCommand::Plan(args) => args.run(connection, format),
            _ => self.tell(connection, format),
        }
    }

    fn tell(&self, connection: &Connection, format: Format) -> anyhow::Result<Exit> {
        if let InstrumentCommand::Sign(args) = self.command
            && let Some(signed) = args.offline()?
        {
            output::line(&signed.to_string())?;
            return Ok(Exit::Done);
        }
        let answer = connection.ask(&self.call()?)?;
        match self.command {
            InstrumentCommand::Sign(args) => {
                let signed = args.signed(&answer)?;
                let handed_in = Call::post(format!("{}/approvals", self.path(&args.id)), signed);
                output::answer(format, &connection.ask(&handed_in)?)?;
            }
            InstrumentCommand::Diff(args) => output::answer(format, &args.changes(&answer)?)?,
            _ => output::answer(format, &answer)?,
        }
        Ok(Exit::Done)
    }

    fn path(&self, id: &str) -> String {
        format!("/admin/v1/{}/{}", self.kind, escaped(id))
    }
}

/// The call that a command begins with; for most it is the only one.
impl AsCall for About<'_> {
    fn call(&self) -> anyhow::Result<Call> {
        use InstrumentCommand as Do;
        let all = format!("/admin/v1/{}", self.kind);
        let one = |id: &str| self.path(id);
        Ok(match self.command {
            Do::Apply { file } => Call::post(format!("{all}?apply=true"), documents::read(file)?),
            Do::File { file } => Call::post(all, documents::read(file)?),
            Do::Approve { id, jws } => Call::post(format!("{}/approvals", one(id)), documents::read(jws)?),
            Do::Enforce { id, version, glass } => glass.call(&one(id), "apply", *version),
            Do::Rollback { id, to } => Call::post(format!("{}/rollback", one(id)), json!({ "to": to })),
            Do::Plan(_) => bail!("a plan is more than one call"),
            Do::List { page } => page.of(&all, &[]),
            Do::Show { id } => Call::get(one(id)),
            Do::Sign(args) => Call::get(one(&args.id)),
            Do::Diff(args) => Call::get(one(&args.id)),
            Do::Stay { id, glass } => glass.call(&one(id), "stay", None),
            Do::Vacate { id, glass } => glass.call(&one(id), "vacate", None),
            Do::Lift { id, glass } => glass.call(&one(id), "lift", None),
        })
    }
}
