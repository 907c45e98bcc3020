//! Legal holds, and the erasure of what nothing keeps any more; asked of a running server.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    Exit,
    admin::{Call, Connection, Page, escaped},
};
use crate::output::{self, Format};

/// Legal holds.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum HoldCommand {
    /// Places a hold: from now on nothing that it keeps can be erased.
    #[command(
        after_help = "Examples:\n  exeat ledger hold place --person ada --authority 'BIS, by telephone, 2026-06-12'\n  exeat ledger hold place --everything --authority 'subpoena 26-117'"
    )]
    Place {
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        scope: Scope,
        /// Which agency or court asked, formally or not, and how.
        #[arg(long)]
        authority: String,
    },
    /// Releases a hold on the agency's written authorization (15 CFR 762.6(b)).
    #[command(
        after_help = "Example:\n  exeat ledger hold release hold-1f2e --authorization 'BIS, letter of 2032-01-02'"
    )]
    Release {
        #[command(flatten)]
        connection: Connection,
        /// The hold.
        id: String,
        /// The written authorization: which document, of when.
        #[arg(long)]
        authorization: String,
    },
    /// Lists holds, those that were released too.
    #[command(after_help = "Examples:\n  exeat ledger hold list\n  exeat ledger hold list --json")]
    List {
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        page: Page,
    },
}

/// Whose records a hold keeps.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Scope {
    /// One person's.
    #[arg(long, value_name = "ID")]
    person: Option<String>,
    /// Those of everybody who is or was affiliated to the organization.
    #[arg(long, value_name = "ID")]
    organization: Option<String>,
    /// Everybody's.
    #[arg(long)]
    everything: bool,
}

impl Scope {
    fn to_json(&self) -> Value {
        match (&self.person, &self.organization) {
            (Some(id), _) => json!({ "person": id }),
            (_, Some(id)) => json!({ "organization": id }),
            _ => json!("everything"),
        }
    }
}

/// What is to be erased.
#[derive(Clone, Debug, Args)]
pub(crate) struct EraseArgs {
    #[command(flatten)]
    connection: Connection,
    /// Whose, as the log names callers: `person:ada`, `workload:nightly`, `key:ID`.
    #[arg(long)]
    subject: String,
    /// Of which quarter, such as `2026Q1`.
    #[arg(long, value_parser = quarter)]
    epoch: u32,
    /// Why, and on whose demand.
    #[arg(long)]
    reason: String,
}

/// Reads a quarter as the epoch of keys that it is: year x 4 + quarter (0 to 3).
fn quarter(text: &str) -> Result<u32, String> {
    let parts = text.split_once('Q').and_then(|(year, quarter)| Some((year.parse().ok()?, quarter.parse().ok()?)));
    match parts {
        Some((year @ 1970..=9998, quarter @ 1..=4)) => Ok(year * 4 + quarter - 1),
        _ => Err("write a year and a quarter, such as `2026Q1`".to_owned()),
    }
}

impl HoldCommand {
    /// Does what the command says and prints the answer.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached or refuses.
    pub(crate) fn run(&self, format: Format) -> anyhow::Result<Exit> {
        const PATH: &str = "/admin/v1/holds";
        let (connection, call) = match self {
            Self::Place { connection, scope, authority } => {
                (connection, Call::post(PATH, json!({ "scope": scope.to_json(), "authority": authority })))
            }
            Self::Release { connection, id, authorization } => {
                let path = format!("{PATH}/{}/release", escaped(id));
                (connection, Call::post(path, json!({ "authorization": authorization })))
            }
            Self::List { connection, page } => (connection, page.of(PATH, &[])),
        };
        output::answer(format, &connection.ask(&call)?)?;
        Ok(Exit::Done)
    }
}

impl EraseArgs {
    /// Asks the server to destroy the key, and prints the answer.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached, or a rule or a hold keeps the records.
    pub(crate) fn run(&self, format: Format) -> anyhow::Result<Exit> {
        let asked = json!({ "subject": self.subject, "epoch": self.epoch, "reason": self.reason });
        output::answer(format, &self.connection.ask(&Call::post("/admin/v1/erasures", asked))?)?;
        Ok(Exit::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_is_an_epoch_of_keys() {
        assert_eq!((quarter("2026Q1"), quarter("2026Q4")), (Ok(8_104), Ok(8_107)));
        for bad in ["2026", "2026Q0", "2026Q5", "Q1", "2026q1", "1Q1"] {
            assert!(quarter(bad).is_err(), "{bad}");
        }
    }
}
