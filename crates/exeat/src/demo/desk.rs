//! The two people of the demo who approve what is put in force. Invented; their keys live as long as the process.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, anyhow, ensure};
use control::{ApprovalAct, ApproverKey, ApproverRole, DeskPolicy};
use serde_json::{Value, json};
use terms::{Clock, PersonId, SystemClock};

use crate::{
    commands::admin::{Admin, Call},
    config::ProofsConfig,
    output, secrets,
};

/// How long a signature of the demo is good.
const GOOD_FOR: Duration = Duration::from_mins(10);

/// Who approves in the script, and in which role.
const APPROVERS: [(&str, ApproverRole); 2] = [("iris", ApproverRole::Counsel), ("otto", ApproverRole::Security)];

/// Returns the policy of a run: the script plays the whole story, a person who tries things out acts alone.
pub(super) fn policy(script: bool) -> DeskPolicy {
    if script { DeskPolicy::default() } else { DeskPolicy::SINGLE_PERSON }
}

/// Returns what must be proved: everything, where there is a solver to do it.
pub(super) fn proofs() -> ProofsConfig {
    let proofs = ProofsConfig::default();
    match prover::solver(&proofs.settings()) {
        Ok(_) => proofs,
        Err(fault) => {
            output::note(&format!("the demo goes on without proofs: {fault}"));
            ProofsConfig { required: false, ..proofs }
        }
    }
}

/// Those who approve.
pub(super) struct Desk<'a> {
    admin: &'a Admin,
    approvers: Vec<(PersonId, ApproverKey)>,
}

impl<'a> Desk<'a> {
    /// Registers both with new keys.
    ///
    /// # Errors
    ///
    /// What the admin API refused.
    pub(super) fn open(admin: &'a Admin) -> anyhow::Result<Self> {
        let mut approvers = Vec::new();
        for (id, role) in APPROVERS {
            let key = ApproverKey::generate().context("the operating system has no randomness to give")?;
            let approver = json!({ "id": id, "role": role, "public_key": key.public() });
            admin.ask(&Call::post("/admin/v1/approvers", approver))?;
            approvers.push((PersonId::parse(id)?, key));
        }
        Ok(Self { admin, approvers })
    }

    /// Writes their keys into `dir`, each for nobody else to read; returns who holds which.
    ///
    /// # Errors
    ///
    /// If a file cannot be written.
    pub(super) fn keep_keys(&self, dir: &Path) -> anyhow::Result<Vec<(PersonId, PathBuf)>> {
        let keep = |(who, key): &(PersonId, ApproverKey)| {
            let file = dir.join(format!("{who}.jwk"));
            secrets::write_private(&file, key.to_jwk()?.as_bytes())?;
            Ok((who.clone(), file))
        };
        self.approvers.iter().map(keep).collect()
    }

    /// Files a document of `kind` and has both sign it; returns the path under which it can be applied.
    ///
    /// # Errors
    ///
    /// What the admin API refused, or that it let the document be applied with less than two signatures.
    pub(super) fn approved(&self, kind: &str, document: Value) -> anyhow::Result<String> {
        let filed = self.admin.ask(&Call::post(format!("/admin/v1/{kind}"), document))?;
        let document = filed.pointer("/item/document").context("the admin API does not show what it filed")?;
        let id = document.get("id").and_then(Value::as_str).context("a filed document has no id")?;
        let path = format!("/admin/v1/{kind}/{id}");
        for (who, key) in &self.approvers {
            let (status, _) = self.admin.try_ask(&Call::post(format!("{path}/apply"), json!({})))?;
            ensure!(status == 409, "it could be applied before {who} had signed: status {status}");
            let act = ApprovalAct::on(document, SystemClock::default().now().plus(GOOD_FOR));
            let act = act.map_err(|why| anyhow!(why))?;
            let jws = key.sign(&act, who)?;
            self.admin.ask(&Call::post(format!("{path}/approvals"), json!({ "act": act, "jws": jws })))?;
        }
        Ok(path)
    }
}
