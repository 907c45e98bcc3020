//! Directives and licenses.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::Subcommand;
use serde_json::{Value, json};

use super::admin::{AsCall, Call, Page, escaped};

/// Directives or licenses: filed by version, then applied.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum InstrumentCommand {
    /// Files a document and puts it in force in one step; every live call is decided again before this returns.
    #[command(
        after_help = "Examples:\n  exeat directive apply examples/june-12.directive.json\n  exeat license apply - < letter.json"
    )]
    Apply {
        /// The JSON document; `-` reads standard input.
        file: PathBuf,
    },
    /// Files a document without putting it in force.
    File {
        /// The JSON document; `-` reads standard input.
        file: PathBuf,
    },
    /// Puts the latest filed version in force.
    Enforce {
        /// The instrument's id.
        id: String,
        /// Must be the latest filed version, if given.
        #[arg(long)]
        version: Option<u64>,
    },
    /// Lists the latest version of each.
    List {
        #[command(flatten)]
        page: Page,
    },
    /// Shows every version, latest first.
    Show {
        /// The instrument's id.
        id: String,
    },
    /// Suspends it, as a court or the issuer did.
    Stay {
        /// The instrument's id.
        id: String,
    },
    /// Sets it aside, as a court did.
    Vacate {
        /// The instrument's id.
        id: String,
    },
    /// Ends it, as its issuer did.
    Lift {
        /// The instrument's id.
        id: String,
    },
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

impl AsCall for About<'_> {
    fn call(&self) -> anyhow::Result<Call> {
        use InstrumentCommand as Do;
        let path = format!("/admin/v1/{}", self.kind);
        let one = |id: &str| format!("{path}/{}", escaped(id));
        let turn = |id: &str, verb: &str| Call::post(format!("{}/{verb}", one(id)), json!({}));
        Ok(match self.command {
            Do::Apply { file } => Call::post(format!("{path}?apply=true"), document(file)?),
            Do::File { file } => Call::post(path, document(file)?),
            Do::Enforce { id, version } => Call::post(
                format!("{}/apply", one(id)),
                version.map_or_else(|| json!({}), |version| json!({ "version": version })),
            ),
            Do::List { page } => page.of(&path, &[]),
            Do::Show { id } => Call::get(one(id)),
            Do::Stay { id } => turn(id, "stay"),
            Do::Vacate { id } => turn(id, "vacate"),
            Do::Lift { id } => turn(id, "lift"),
        })
    }
}

fn document(file: &Path) -> anyhow::Result<Value> {
    let mut text = String::new();
    if file == Path::new("-") {
        io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
    } else {
        text = fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    }
    serde_json::from_str(&text).with_context(|| format!("`{}` is not a JSON document", file.display()))
}
