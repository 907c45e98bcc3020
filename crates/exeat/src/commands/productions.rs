//! Productions: requested, signed for by two people; `exeat ledger produce` then writes them.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::{Args, Subcommand, ValueEnum};
use control::{ApprovalAct, Production};
use serde_json::{Value, json};
use terms::{InstrumentId, Moment};

use super::{
    Exit,
    admin::{Call, Connection, Page, escaped},
    documents,
    sign::Signer,
};
use crate::output::{self, Format};

/// Where the admin API keeps productions.
pub(super) const PATH: &str = "/admin/v1/productions";

/// Parts of the record that somebody asks for.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ProductionCommand {
    /// Requests that a part of the record be produced; two people then sign for it.
    #[command(
        after_help = "Examples:\n  exeat production request organization:acme --model mythos-5.0 --from 2026-06-01T00:00:00Z --to 2026-07-01T00:00:00Z --reason 'letter of July 8'\n  exeat production request person:ada --from 2026-06-01T00:00:00Z --to 2026-06-02T00:00:00Z --disclose facts,digests --reason 'subpoena 12'"
    )]
    Request(RequestArgs),
    /// Shows what would be produced, signs for it and hands the signature in.
    Sign(SignArgs),
    /// Hands in what `sign --offline` wrote.
    #[command(
        after_help = "Example:\n  exeat production approve production-4f1c2d3e4f5061728394a5b6 --jws signed.json"
    )]
    Approve {
        /// The production.
        id: InstrumentId,
        /// What `sign --offline` wrote: act and signature; `-` reads standard input.
        #[arg(long, value_name = "FILE")]
        jws: PathBuf,
    },
    /// Lists productions, those that wait for approvals too.
    #[command(after_help = "Example:\n  exeat production list")]
    List {
        #[command(flatten)]
        page: Page,
    },
    /// Shows a production with what was signed for it.
    #[command(
        after_help = "Examples:\n  exeat production show production-4f1c2d3e4f5061728394a5b6\n  exeat production show production-4f1c2d3e4f5061728394a5b6 --json > asked.json"
    )]
    Show {
        /// The production.
        id: InstrumentId,
    },
}

/// What is asked for.
#[derive(Clone, Debug, Args)]
pub(crate) struct RequestArgs {
    /// Whose calls: `organization:ID`, `person:ID`, `workload:ID`, `key:ID` or `model:ID`.
    name: String,
    /// Only calls on this model version.
    #[arg(long)]
    model: Option<String>,
    /// Calls that were opened or refused from here on (RFC 3339).
    #[arg(long, value_parser = Moment::parse)]
    from: Moment,
    /// Until here, which is no longer in it (RFC 3339).
    #[arg(long, value_parser = Moment::parse)]
    to: Moment,
    /// Which private fields are shown.
    #[arg(long, value_delimiter = ',', default_value = "facts")]
    disclose: Vec<Fields>,
    /// For whom and on what authority.
    #[arg(long)]
    reason: String,
}

/// Private fields of an entry.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Fields {
    /// What each decision saw.
    Facts,
    /// Digests of requests and responses.
    Digests,
    /// Requests and responses, sealed.
    Content,
}

/// Whose signature, and with which key.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  exeat production sign production-4f1c2d3e4f5061728394a5b6 --key iris.jwk --approver iris\n  exeat production show production-4f1c2d3e4f5061728394a5b6 --json > asked.json\n  exeat production sign production-4f1c2d3e4f5061728394a5b6 --key iris.jwk --approver iris --offline asked.json > signed.json"
)]
pub(crate) struct SignArgs {
    /// The production.
    id: InstrumentId,
    #[command(flatten)]
    signer: Signer,
    /// Signs for the production that `show --json` wrote into this file and prints act and signature, without a server.
    #[arg(long, value_name = "FILE")]
    offline: Option<PathBuf>,
}

impl ProductionCommand {
    /// Does what the command says and prints the answer.
    ///
    /// # Errors
    ///
    /// If a file cannot be read, a signature not be made, or the server not be reached or refuses.
    pub(crate) fn run(&self, connection: &Connection, format: Format) -> anyhow::Result<Exit> {
        let one = |id: &InstrumentId| format!("{PATH}/{}", escaped(id.as_str()));
        let call = match self {
            Self::Request(args) => Call::post(PATH, args.body()),
            Self::Sign(args) => return args.run(connection, &one(&args.id), format),
            Self::Approve { id, jws } => Call::post(format!("{}/approvals", one(id)), documents::read(jws)?),
            Self::List { page } => page.of(PATH, &[]),
            Self::Show { id } => Call::get(one(id)),
        };
        output::answer(format, &connection.ask(&call)?)?;
        Ok(Exit::Done)
    }
}

impl RequestArgs {
    fn body(&self) -> Value {
        let disclose: Vec<&str> = self.disclose.iter().map(|fields| fields.as_str()).collect();
        json!({
            "name": self.name, "model": self.model, "from": self.from, "to": self.to,
            "disclose": disclose, "reason": self.reason,
        })
    }
}

impl Fields {
    fn as_str(self) -> &'static str {
        match self {
            Self::Facts => "facts",
            Self::Digests => "digests",
            Self::Content => "content",
        }
    }
}

impl SignArgs {
    fn run(&self, connection: &Connection, path: &str, format: Format) -> anyhow::Result<Exit> {
        if let Some(file) = &self.offline {
            output::line(&self.sign(&documents::read(file)?)?.to_string())?;
            return Ok(Exit::Done);
        }
        let signed = self.sign(&connection.ask(&Call::get(path))?)?;
        let handed_in = Call::post(format!("{path}/approvals"), signed);
        output::answer(format, &connection.ask(&handed_in)?)?;
        Ok(Exit::Done)
    }

    /// Signs for a production as the server shows it; returns act and signature.
    fn sign(&self, shown: &Value) -> anyhow::Result<Value> {
        let production = requested(shown)?;
        ensure!(production.id == self.id, "what is shown is `{}`, not `{}`", production.id, self.id);
        let act = ApprovalAct::to_produce(&production.id, &production.selection, self.signer.until())?;
        self.signer.sign(&act, &summary(&act, &production))
    }
}

/// Says what is signed: the production, who requested it and why, and what is in it.
fn summary(act: &ApprovalAct, production: &Production) -> String {
    format!(
        "produce `{}`, good until {}\nSHA-256 {}\nrequested by {}: {}\n\n{}",
        production.id,
        act.valid_until,
        act.document_sha256,
        production.requester,
        production.reason,
        output::text(&serde_json::to_value(&production.selection).unwrap_or_default())
    )
}

/// Reads what was requested out of all that the server shows of a production.
fn requested(shown: &Value) -> anyhow::Result<Production> {
    let mut fields = shown.as_object().context("a production is an object")?.clone();
    fields.remove("approvals");
    fields.remove("custody");
    serde_json::from_value(Value::Object(fields)).context("what is shown is no production")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_what_is_shown() {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("iris.jwk");
        let made = control::ApproverKey::generate().unwrap();
        crate::secrets::write_private(&key, made.to_jwk().unwrap().as_bytes()).unwrap();
        let sign = SignArgs {
            id: "production-1".parse().unwrap(),
            signer: Signer { key, approver: "iris".parse().unwrap(), hours: 1, yes: true },
            offline: None,
        };
        let mut shown = json!({
            "id": "production-1", "requester": "token:0123", "reason": "letter", "requested_at": "2026-07-08T00:00:00Z",
            "selection": {
                "class": "organization", "name": "organization:acme", "model": null, "from": "2026-06-01T00:00:00.000Z",
                "to": "2026-07-01T00:00:00.000Z", "disclose": ["facts"],
            },
            "approvals": [], "custody": null,
        });
        let signed = sign.sign(&shown).unwrap();
        let sha256 = control::document_sha256(&shown["selection"]).unwrap();
        assert_eq!((&signed["act"]["act"], &signed["act"]["document_sha256"]), (&json!("produce"), &json!(sha256)));
        shown["id"] = json!("production-2");
        assert!(sign.sign(&shown).is_err());
    }
}
