//! Signing an act: shown first, signed with a key that never leaves this machine.

use std::{
    io::{self, IsTerminal},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, anyhow, bail, ensure};
use clap::Args;
use control::{ActVerb, ApprovalAct};
use serde_json::{Value, json};
use terms::{Clock, Moment, PersonId, SystemClock};

use super::{approvers, diff, documents};
use crate::output;

/// What to sign and with which key.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  exeat directive sign DIR-2026-06-12 --version 1 --act apply --key iris.jwk --approver iris\n  exeat directive sign DIR-2026-06-12 --version 1 --act apply --key iris.jwk --approver iris --offline order.json > signed.json"
)]
pub(crate) struct SignArgs {
    /// The instrument's id.
    pub(super) id: String,
    /// The version.
    #[arg(long)]
    version: u64,
    /// What is to be done with it.
    #[arg(long)]
    act: ActVerb,
    #[command(flatten)]
    signer: Signer,
    /// Signs this document and prints act and signature, without a server: for a machine that has no network.
    #[arg(long, value_name = "FILE")]
    offline: Option<PathBuf>,
}

/// Who signs, with which key.
#[derive(Clone, Debug, Args)]
pub(super) struct Signer {
    /// The file that `exeat approver keygen` wrote.
    #[arg(long, value_name = "FILE")]
    pub(super) key: PathBuf,
    /// As whom: the id under which the public key is registered.
    #[arg(long, value_name = "NAME")]
    pub(super) approver: PersonId,
    /// For how many hours the signature is good, 1 to 720.
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..=720))]
    pub(super) hours: u64,
    /// Asks nothing.
    #[arg(long)]
    pub(super) yes: bool,
}

impl Signer {
    /// Returns until when a signature of now is good.
    pub(super) fn until(&self) -> Moment {
        SystemClock::default().now().plus(Duration::from_secs(self.hours * 3_600))
    }

    /// Shows what is signed, asks, and returns act and signature.
    ///
    /// # Errors
    ///
    /// If the key cannot be read, or the answer is not `yes`.
    pub(super) fn sign(&self, act: &ApprovalAct, what: &str) -> anyhow::Result<Value> {
        let key = approvers::key(&self.key)?;
        output::note(&format!("{} signs: {what}", self.approver));
        confirm(self.yes)?;
        Ok(json!({ "act": act, "jws": key.sign(act, &self.approver)? }))
    }
}

impl SignArgs {
    /// Signs the document of `--offline`, if one is given; returns act and signature.
    ///
    /// # Errors
    ///
    /// If document or key cannot be read, or the document is not what the arguments say.
    pub(super) fn offline(&self) -> anyhow::Result<Option<Value>> {
        let document = self.offline.as_deref().map(documents::read).transpose()?;
        document.map(|document| self.sign(&normal(&document)?, None)).transpose()
    }

    /// Signs the version in question among all `versions` of the instrument, as the server shows them.
    ///
    /// # Errors
    ///
    /// If there is no such version, it is not what the arguments say, or the key cannot be read.
    pub(super) fn signed(&self, versions: &Value) -> anyhow::Result<Value> {
        let document = diff::document(versions, self.version)?;
        let governing = diff::applied(versions, self.version);
        self.sign(document, governing)
    }

    fn sign(&self, document: &Value, governing: Option<&Value>) -> anyhow::Result<Value> {
        let act = ApprovalAct::on(document, self.signer.until()).map_err(|why| anyhow!(why))?;
        ensure!(act.id.as_str() == self.id, "the document is `{}`, not `{}`", act.id, self.id);
        ensure!(act.version == self.version, "the document is version {}, not {}", act.version, self.version);
        ensure!(act.act == self.act, "version {} is filed to `{}`, not to `{}`", act.version, act.act, self.act);
        self.signer.sign(&act, &summary(&act, document, governing))
    }
}

/// Says what is signed: the act, the document, and what it changes.
fn summary(act: &ApprovalAct, document: &Value, governing: Option<&Value>) -> String {
    let changes = governing.map(|governing| diff::between(governing, document));
    let changes = match &changes {
        Some(changes) => format!("\nAgainst the version applied before:\n{}", output::text(changes)),
        None => String::new(),
    };
    format!(
        "{} {} `{}` version {}, good until {}\nSHA-256 {}\n\n{}{changes}",
        act.act,
        act.kind.as_str(),
        act.id,
        act.version,
        act.valid_until,
        act.document_sha256,
        output::text(document)
    )
}

/// Asks whoever sits at the terminal.
///
/// # Errors
///
/// If the answer is not `yes`, or cannot be read.
fn confirm(yes: bool) -> anyhow::Result<()> {
    if yes || !io::stdin().is_terminal() {
        return Ok(());
    }
    output::note("Sign this? Write `yes`:");
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).context("cannot read the answer")?;
    if answer.trim() != "yes" {
        bail!("nothing was signed");
    }
    Ok(())
}

/// Spells a document as the registry does, so that a signature made here fits there.
fn normal(document: &Value) -> anyhow::Result<Value> {
    let bytes = document.to_string();
    let kind = document.get("type").and_then(Value::as_str).and_then(control::InstrumentKind::of_type);
    let parsed = match kind {
        Some(control::InstrumentKind::License) => policy::License::parse(bytes.as_bytes()).map(serde_json::to_value),
        _ => policy::Directive::parse(bytes.as_bytes()).map(serde_json::to_value),
    };
    Ok(parsed??)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: &str = include_str!("../../../../examples/june-12.directive.json");

    #[test]
    fn a_document_is_signed_as_the_registry_spells_it() {
        let document: Value = serde_json::from_str(ORDER).unwrap();
        let mut shuffled = document.clone();
        shuffled["models"]["families"] = json!(["mythos-5", "fable-5", "mythos-5"]);
        let spelled = normal(&shuffled).unwrap();
        assert_eq!(spelled["models"]["families"], json!(["fable-5", "mythos-5"]));
        assert_eq!(normal(&spelled).unwrap(), spelled);
        assert!(normal(&json!({ "type": "license/v1" })).is_err());
    }

    #[test]
    fn what_is_signed_is_what_the_arguments_say() {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("iris.jwk");
        let made = control::ApproverKey::generate().unwrap();
        crate::secrets::write_private(&key, made.to_jwk().unwrap().as_bytes()).unwrap();
        let document: Value = serde_json::from_str(ORDER).unwrap();
        let args = |id: &str, version, act| SignArgs {
            id: id.to_owned(),
            version,
            act,
            signer: Signer { key: key.clone(), approver: PersonId::parse("iris").unwrap(), hours: 1, yes: true },
            offline: None,
        };
        let sign = |id, version, act| args(id, version, act).sign(&document, None);
        let signed = sign("DIR-2026-06-12", 1, ActVerb::Apply).unwrap();
        assert_eq!(signed["act"]["version"], 1);
        assert!(sign("DIR-2026-06-13", 1, ActVerb::Apply).is_err());
        assert!(sign("DIR-2026-06-12", 2, ActVerb::Apply).is_err());
        assert!(sign("DIR-2026-06-12", 1, ActVerb::Lift).is_err());
    }
}
