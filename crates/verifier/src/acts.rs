//! Acts that people signed: each approval in the log is an approver's, over what was filed, and enough of them were
//! there when it took force.

use std::collections::BTreeMap;

use proof::{
    approval::{Act, Approval, document_sha256},
    entry::{Entry, Kind},
    json::Unique,
    production::{Approver, Custody},
    tree::Hash,
};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    desk::{Desk, Documents},
    json,
};

/// The code of an entry that records a production.
const CUSTODY: &str = "custody.export";
/// The code of an entry that says how many approvals are asked for.
const POLICY: &str = "desk.policy";
const NOT_FILED: &str = "what it files has no id, or no version";

/// What was filed for approval so far, the hash of each document, if it has one, by kind, id and version; and what the desk did.
#[derive(Debug, Default)]
pub(crate) struct Acts {
    filed: BTreeMap<(String, String, u64), Option<Hash>>,
    desk: Desk,
    approvals: u64,
}

/// Who changed what, as the entries of kinds 7 and 8 have it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    #[serde(rename = "version")]
    _version: u64,
    #[serde(rename = "actor")]
    _actor: String,
    change: Unique,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    record: String,
    body: Unique,
}

impl Acts {
    /// Returns how many approvals were signed as they must be.
    pub(crate) fn approvals(&self) -> u64 {
        self.approvals
    }

    /// Takes the next entry with field 1 of its private part, if that is at hand.
    pub(crate) fn take(&mut self, entry: &Entry, main: Option<&[u8]>) -> Result<(), String> {
        if entry.kind == Kind::Snapshot {
            return self.takes_force(entry, main);
        }
        let files = entry.kind == Kind::Registry && entry.code.as_deref().is_some_and(|code| code.ends_with(".file"));
        if entry.kind != Kind::Admin && !files {
            return Ok(());
        }
        match (entry.code.as_deref(), main) {
            (Some(CUSTODY), Some(main)) => self.produces(entry, main),
            (Some(code), _) if !is_of_the_desk(code) => Ok(()),
            (None, _) => Ok(()),
            (Some(_), None) => {
                if entry.private.is_some() {
                    self.desk.withhold();
                }
                Ok(())
            }
            (Some(code), Some(main)) => self.says(code, main),
        }
    }

    /// What takes force by a break of the glass was not filed before, and may be approved afterwards.
    fn takes_force(&mut self, entry: &Entry, main: Option<&[u8]>) -> Result<(), String> {
        let documents = main.and_then(Documents::read);
        for (version, hash) in documents.iter().flat_map(Documents::versions) {
            self.filed.entry(version).or_insert(hash);
        }
        self.desk.takes_force(entry, documents.as_ref())
    }

    fn produces(&mut self, entry: &Entry, main: &[u8]) -> Result<(), String> {
        let custody = Custody::check(entry, main).map_err(|bad| bad.to_string())?;
        self.approvals += custody.approvers.len() as u64;
        custody.approvers.iter().try_for_each(|by| self.desk.knows(by))
    }

    /// Takes what an entry of the desk says: its policy, a change, or who acted, of which nothing follows.
    fn says(&mut self, code: &str, main: &[u8]) -> Result<(), String> {
        let said = json::object(main).map_err(|e| format!("its private part is not what the desk says: {e}"))?;
        if code == POLICY {
            return self.desk.policy(&said);
        }
        if said.get("change").is_none() {
            return Ok(());
        }
        let Change { record, body: Unique(body) } =
            changed(&said).map_err(|e| format!("its private part is no change: {e}"))?;
        self.changes(&record, &body)
    }

    /// Remembers what is filed, and checks an approval. Other changes are not of the desk.
    fn changes(&mut self, record: &str, body: &Value) -> Result<(), String> {
        match record {
            "directive" | "license" => {
                let version = body.get("version").and_then(Value::as_u64).ok_or(NOT_FILED)?;
                self.file(record, body, version, body)
            }
            "production" => self.file(record, body, 1, body.get("selection").unwrap_or(&Value::Null)),
            "approval" => self.approves(body),
            "approver" => self.desk.registers(body),
            "break_glass" => self.desk.breaks_glass(body),
            _ => Ok(()),
        }
    }

    fn file(&mut self, kind: &str, body: &Value, version: u64, document: &Value) -> Result<(), String> {
        let id = body.get("id").and_then(Value::as_str).ok_or(NOT_FILED)?.to_owned();
        let version = (kind.to_owned(), id, version);
        // What has no canonical spelling nobody can approve; it may be filed all the same.
        self.filed.insert(version, document_sha256(document).ok());
        Ok(())
    }

    fn approves(&mut self, body: &Value) -> Result<(), String> {
        let approval: Approval = json::of_object(body).map_err(|e| format!("its private part is no approval: {e}"))?;
        let act = approval.verify().map_err(|bad| bad.to_string())?;
        let filed = self.filed.get(&(act.kind.clone(), act.id.clone(), act.version)).copied().flatten();
        if !filed.is_some_and(|hash| act.has_hash(&hash)) {
            return Err(unfiled(&approval, &act));
        }
        self.approvals += 1;
        self.desk.approves(Approver::of(&approval), act)
    }
}

/// Returns true if the bytes are who changed what.
pub(crate) fn is_change(main: &[u8]) -> bool {
    json::object(main).is_ok_and(|said| changed(&said).is_ok())
}

fn changed(said: &Value) -> serde_json::Result<Change> {
    json::of_object::<Envelope>(said).and_then(|envelope| json::of_object(&envelope.change.0))
}

/// Returns true if an entry with this code tells what the desk did.
fn is_of_the_desk(code: &str) -> bool {
    ["directive.", "license.", "approver.", "production.", "desk."].iter().any(|of| code.starts_with(of))
}

fn unfiled(approval: &Approval, act: &Act) -> String {
    let Act { kind, id, version, .. } = act;
    format!(
        "`{}` approved a {kind} `{id}`, version {version}, that was not filed as it was signed",
        approval.approver()
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(kind: Kind, code: &str) -> Entry {
        Entry { code: Some(code.to_owned()), ..Entry::new(kind) }
    }

    fn change(record: &str, body: Value) -> Vec<u8> {
        json!({ "version": 2, "actor": "key:1", "change": { "record": record, "body": body } }).to_string().into_bytes()
    }

    fn approval(public_key: &str) -> Value {
        let act = json!({
            "type": "approval/v1", "act": "apply", "kind": "directive", "id": "d-1", "version": 1,
            "document_sha256": "00".repeat(32), "valid_until": "2026-06-27T00:00:00Z",
        });
        json!({ "act": act, "approver": "olga", "role": "counsel", "public_key": public_key, "jws": "e30..AAAA" })
    }

    #[test]
    fn an_approval_that_nobody_signed_is_a_fault() {
        let taken =
            Acts::default().take(&entry(Kind::Admin, "directive.approve"), Some(&change("approval", approval("AA"))));
        assert!(taken.unwrap_err().contains("the signature of `olga`"));
        let other =
            Acts::default().take(&entry(Kind::Admin, "directive.approve"), Some(&change("approval", json!({}))));
        assert!(other.unwrap_err().contains("is no approval"));
    }

    #[test]
    fn what_the_desk_says_is_spelled_as_the_page_has_it() {
        let take = |code: &str, main: &str| Acts::default().take(&entry(Kind::Admin, code), Some(main.as_bytes()));
        let approver = r#"{"version":4,"actor":"a","change":{"record":"approver","body":
            {"id":"iris","role":"counsel","public_key":"AA","revoked_at":null}}}"#;
        assert_eq!(take("approver.add", approver), Ok(()));
        for (old, new) in [
            ("\"version\":4,", ""),
            (":4", ":-4"),
            ("\"actor\"", "\"version\":4,\"actor\""),
            ("\"actor\"", "\"note\":1,\"actor\""),
            ("\"record\"", "\"note\":1,\"record\""),
            ("\"role\"", "\"role\":\"x\",\"role\""),
            ("\"role\"", "\"note\":0.5,\"role\""),
            ("null", "1"),
            ("\"AA\"", "[]"),
        ] {
            let bad = approver.replacen(old, new, 1);
            assert!(take("approver.add", &bad).is_err(), "{bad}");
            assert_eq!(take("token.issue", &bad), Ok(()), "which is not of the desk");
        }
        assert_eq!(take("directive.apply", r#"{"actor":"a","epoch":1}"#), Ok(()));
        assert!(take("directive.apply", "no json").is_err());
    }

    #[test]
    fn a_document_that_nobody_can_sign_may_be_filed_and_takes_the_place_of_one_that_was() {
        let mut acts = Acts::default();
        let version = || ("license".to_owned(), "L".to_owned(), 1);
        for (tokens, is_known) in [(1_u64, true), (1 << 53, false), ((1 << 53) - 1, true)] {
            let filed = serde_json::json!({ "version": 4, "actor": "a", "change": { "record": "license",
                "body": { "id": "L", "version": 1, "tokens": tokens } } });
            assert_eq!(acts.take(&entry(Kind::Registry, "license.file"), Some(filed.to_string().as_bytes())), Ok(()));
            assert_eq!(acts.filed[&version()].is_some(), is_known, "{tokens}");
        }
    }

    #[test]
    fn what_is_filed_is_remembered_by_kind_id_and_version() {
        let mut acts = Acts::default();
        let document = json!({ "id": "d-1", "version": 2, "type": "directive/v1" });
        acts.take(&entry(Kind::Registry, "directive.file"), Some(&change("directive", document.clone()))).unwrap();
        let key = ("directive".to_owned(), "d-1".to_owned(), 2);
        assert_eq!(acts.filed[&key], document_sha256(&document).ok());
        acts.take(&entry(Kind::Registry, "person.put"), Some(&change("directive", json!({ "id": "d-9" })))).unwrap();
        assert_eq!((acts.filed.len(), acts.approvals()), (1, 0));
    }

    #[test]
    fn an_entry_of_the_desk_is_withheld_only_if_it_commits_to_something() {
        let bare = entry(Kind::Admin, "approver.add");
        let sealed = Entry { private: Some([7; 32]), ..bare.clone() };
        let other = Entry { code: Some("token.issue".to_owned()), ..sealed.clone() };
        let custody = |acts: &mut Acts| {
            acts.desk.knows(&Approver { name: "eve".into(), role: "counsel".into(), key: "k".into() })
        };
        let mut acts = Acts::default();
        for withheld in [&bare, &other] {
            acts.take(withheld, None).unwrap();
            assert!(custody(&mut acts).is_err(), "{withheld:?}");
        }
        acts.take(&sealed, None).unwrap();
        assert_eq!(custody(&mut acts), Ok(()));
    }

    #[test]
    fn what_took_force_unfiled_may_be_approved_afterwards_and_what_was_filed_stays() {
        let mut acts = Acts::default();
        let document = |version: u64, text: &str| json!({ "id": "d-1", "version": version, "text": text });
        acts.take(&entry(Kind::Registry, "directive.file"), Some(&change("directive", document(1, "filed")))).unwrap();
        let snapshot = json!({ "directives": [document(1, "other"), document(2, "by glass")], "licenses": [] });
        acts.take(&entry(Kind::Snapshot, "directive.stay"), Some(snapshot.to_string().as_bytes())).unwrap();
        let hash = |version| acts.filed.get(&("directive".to_owned(), "d-1".to_owned(), version)).copied().flatten();
        assert_eq!(hash(1), document_sha256(&document(1, "filed")).ok());
        assert_eq!(hash(2), document_sha256(&document(2, "by glass")).ok());
    }

    #[test]
    fn entries_that_are_not_of_the_desk_are_left_alone() {
        let mut acts = Acts::default();
        assert_eq!(acts.take(&entry(Kind::Admin, "token.issue"), Some(b"no json")), Ok(()));
        assert_eq!(acts.take(&entry(Kind::Admin, "directive.approve"), None), Ok(()));
        assert!(acts.take(&entry(Kind::Admin, CUSTODY), Some(b"{}")).is_err());
    }
}
