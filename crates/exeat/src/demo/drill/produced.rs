//! The agency's letter: a production requested by one, signed for by two others, and written.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use serde_json::Value;
use terms::Moment;

use super::{
    super::{LAB, MYTHOS},
    Drill, officer, text,
};
use crate::{commands::admin::Call, serve::Running};

/// Who reads the letter: an officer, and no approver.
const REQUESTER: &str = "wren";

/// A folder for the agency, and the key that goes to it by another way.
pub(super) struct Production {
    /// The folder.
    pub(super) dir: PathBuf,
    /// The log's verifier key.
    pub(super) key: String,
    /// A file that holds it.
    pub(super) key_file: String,
}

impl Drill<'_> {
    /// Requests every call of the lab on the controlled model, has it signed for, and writes it.
    pub(super) fn produces(&self, from: Moment, until: Moment) -> anyhow::Result<Production> {
        self.show.heading(6, "An agency asks for every call of one organization on one model")?;
        let id = self.requested(from, until)?;
        let out = self.commands.path("production");
        let produce = ["ledger", "produce", id.as_str(), "--out", out.as_str()];
        for (who, key) in self.story.keep_keys()? {
            let why = self.commands.refused(&produce)?;
            self.show.held(&format!("not before {who} has signed: {why}"))?;
            let key = key.display().to_string();
            let sign = ["production", "sign", &id, "--key", &key, "--approver", who.as_str(), "--yes"];
            self.commands.json(&sign)?;
        }
        let made = self.commands.json(&produce)?;
        let custody = made.get("custody").and_then(Value::as_u64).context("no entry records the production")?;
        self.show
            .held(&format!("written; that it was is entry {custody} of the ledger, with both signatures in it"))?;
        let key = key_of(self.running);
        let key_file = self.commands.file("log.vkey", &key)?;
        Ok(Production { dir: out.into(), key, key_file })
    }

    /// Requests the production as one person and returns its id.
    fn requested(&self, from: Moment, until: Moment) -> anyhow::Result<String> {
        let minted = self.demo.admin.ask(&Call::post("/admin/v1/admin-tokens", officer(REQUESTER)))?;
        let token = text(&minted, "/key")?;
        let (name, from, until) = (format!("organization:{LAB}"), from.to_string(), until.to_string());
        let asked = ["production", "request", &name, "--model", MYTHOS, "--from", &from, "--to", &until];
        let asked = [&asked[..], &["--disclose", "facts,digests", "--reason", "letter of today"]].concat();
        let requested = self.commands.json_as(token, &asked)?;
        let id = text(&requested, "/item/id")?.to_owned();
        ensure!(!id.is_empty(), "the production has no id");
        self.show.held(&format!("{REQUESTER} requested {id}; iris (counsel) and otto (security) must sign for it"))?;
        Ok(id)
    }
}

fn key_of(running: &Running) -> String {
    running.ledger.verifier_key()
}
