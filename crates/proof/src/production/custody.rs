//! The custody entry: who had a part of the log produced, and by whose signatures.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Selection, time::from_rfc_3339};
use crate::{
    approval::{Act, Approval, BadApproval},
    entry::{Entry, Kind},
    json::{Unique, misspelled},
    walk::STEP_MS,
};

/// A production takes the signatures of at least this many people.
const APPROVERS_MIN: usize = 2;

/// The code of a custody entry.
const CODE: &str = "custody.export";

/// What a custody entry says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Custody {
    /// Who had it produced, as the log names actors.
    pub actor: String,
    /// What is shown.
    pub selection: Selection,
    /// Who approved: at least two different people in different roles with different keys, each over this
    /// selection. That the keys are those of these people is not shown by the entry.
    pub approvers: Vec<Approver>,
}

/// Somebody who signed for a production, as the log names them.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Approver {
    /// Who.
    pub name: String,
    /// In which role.
    pub role: String,
    /// Under which Ed25519 key, in base64url.
    pub key: String,
}

impl Approver {
    /// Returns who is said to have signed an approval.
    #[must_use]
    pub fn of(approval: &Approval) -> Self {
        let [name, role, key] = [approval.approver(), approval.role(), approval.public_key()].map(str::to_owned);
        Self { name, role, key }
    }

    fn differs(&self, other: &Self) -> bool {
        self.name != other.name && self.role != other.role && self.key != other.key
    }
}

/// The entry does not record that this was produced.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadCustody {
    /// It is another entry.
    #[error("it is no entry of kind 8 with the code `custody.export`")]
    Entry,
    /// Its private field 1 is something else.
    #[error("its private part is not what a custody entry says: {0}")]
    Malformed(String),
    /// A signature does not count.
    #[error(transparent)]
    Approval(#[from] BadApproval),
    /// Fewer people approved than must, by as many approvals.
    #[error("{0} people approved it, and at least 2 must, in different roles")]
    TooFew(usize),
    /// An approval is of something else.
    #[error("the approval of `{approver}` is not one to produce this selection: {why}")]
    Elsewhere {
        /// Who signed.
        approver: String,
        /// What it is.
        why: &'static str,
    },
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Wire<S> {
    actor: String,
    selection: S,
    approvals: Vec<Approval>,
}

impl Custody {
    /// Reads the entry and its private field 1, and checks every approval.
    ///
    /// # Errors
    ///
    /// [`BadCustody`].
    pub fn check(entry: &Entry, main: &[u8]) -> Result<Self, BadCustody> {
        if entry.kind != Kind::Admin || entry.code.as_deref() != Some(CODE) {
            return Err(BadCustody::Entry);
        }
        let malformed = |e: serde_json::Error| BadCustody::Malformed(e.to_string());
        let Unique(said) = serde_json::from_slice(main).map_err(malformed)?;
        let wire = Wire::<Value>::deserialize(&said).map_err(malformed)?;
        let written = serde_json::to_value(&wire).map_err(malformed)?;
        if written != said || !wire.selection.is_object() || !wire.approvals.iter().all(Approval::is_spelled_out) {
            return Err(malformed(misspelled()));
        }
        let Wire { selection, .. } = Wire::<Selection>::deserialize(&said).map_err(malformed)?;
        let mut productions = BTreeSet::new();
        let mut approvers: Vec<Approver> = Vec::new();
        for approval in &wire.approvals {
            productions.insert(check(approval, &wire.selection, entry.at_ms)?.id);
            let approver = Approver::of(approval);
            if !approvers.iter().all(|other| other.differs(&approver)) {
                return Err(elsewhere(approval, "it is the second of this person, in this role, or under this key"));
            }
            if productions.len() > 1 {
                return Err(elsewhere(approval, "it is of another production than the first"));
            }
            approvers.push(approver);
        }
        if approvers.len() < APPROVERS_MIN {
            return Err(BadCustody::TooFew(approvers.len()));
        }
        Ok(Self { actor: wire.actor, selection, approvers })
    }
}

/// Returns what was signed, if it is to produce this selection.
fn check(approval: &Approval, selection: &Value, at_ms: u64) -> Result<Act, BadCustody> {
    let act = approval.verify()?;
    if approval.is_dated() {
        return Err(elsewhere(approval, "it says when it was accepted, which an approval in a custody entry does not"));
    }
    if act.act != "produce" || act.kind != "production" {
        return Err(elsewhere(approval, "it is of another act"));
    }
    if !act.is_on(selection) {
        return Err(elsewhere(approval, "it is over another selection"));
    }
    if from_rfc_3339(&act.valid_until).is_none_or(|until| until.saturating_add(STEP_MS) <= at_ms) {
        return Err(elsewhere(approval, "it no longer counted when this was produced"));
    }
    Ok(act)
}

fn elsewhere(approval: &Approval, why: &'static str) -> BadCustody {
    BadCustody::Elsewhere { approver: approval.approver().to_owned(), why }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::approval::tests::{act, signed_as};

    /// Approvals of people in different roles under different keys.
    fn signed(act: Value, approver: &str, seed: u8) -> Approval {
        signed_as(if seed == 1 { "counsel" } else { "security" }, act, approver, seed)
    }

    fn selection() -> Value {
        json!({
            "class": "key", "name": "key:1", "model": null, "from": "2026-06-26T00:00:00Z", "to": "2026-06-27T00:00:00Z",
            "disclose": [],
        })
    }

    fn entry() -> Entry {
        Entry { code: Some(CODE.to_owned()), at_ms: 1_782_475_200_000, ..Entry::new(Kind::Admin) }
    }

    fn checked(entry: &Entry, approvals: &[Approval]) -> Result<Custody, BadCustody> {
        let main = json!({ "actor": "key:7", "selection": selection(), "approvals": approvals });
        Custody::check(entry, main.to_string().as_bytes())
    }

    #[test]
    fn a_production_says_who_had_it_made_and_who_approved() {
        let approvals = [("olga", 1), ("ivan", 2)].map(|(name, seed)| signed(act("produce", &selection()), name, seed));
        let custody = checked(&entry(), &approvals).unwrap();
        let said: Vec<_> = custody.approvers.iter().map(|by| (by.name.as_str(), by.role.as_str())).collect();
        assert_eq!((custody.actor.as_str(), said), ("key:7", vec![("olga", "counsel"), ("ivan", "security")]));
        assert_eq!(custody.approvers[0].key, approvals[0].public_key());
        assert_eq!(custody.selection.name, "key:1");
    }

    #[test]
    fn two_people_in_two_roles_must_have_approved_one_production() {
        let selected = || act("produce", &selection());
        assert_eq!(checked(&entry(), &[]), Err(BadCustody::TooFew(0)));
        let one = signed(selected(), "olga", 1);
        assert_eq!(checked(&entry(), std::slice::from_ref(&one)), Err(BadCustody::TooFew(1)));
        let mut elsewhere = selected();
        elsewhere["id"] = json!("p-2");
        for (other, wanted) in [
            (
                signed_as("counsel", selected(), "ivan", 2),
                "it is the second of this person, in this role, or under this key",
            ),
            (signed(elsewhere, "ivan", 2), "it is of another production than the first"),
        ] {
            let refused = checked(&entry(), &[one.clone(), other]);
            assert!(matches!(refused, Err(BadCustody::Elsewhere { why, .. }) if why == wanted), "{wanted}");
        }
    }

    #[test]
    fn an_approval_of_anything_else_does_not_count() {
        let good = signed(act("produce", &selection()), "olga", 1);
        let why = |approvals: &[Approval], at_ms| match checked(&Entry { at_ms, ..entry() }, approvals) {
            Err(BadCustody::Elsewhere { why, .. }) => why,
            other => panic!("{other:?}"),
        };
        let now = entry().at_ms;
        assert_eq!(why(&[signed(act("apply", &selection()), "olga", 1)], now), "it is of another act");
        assert_eq!(why(&[signed(act("produce", &json!({})), "olga", 1)], now), "it is over another selection");
        let second = "it is the second of this person, in this role, or under this key";
        assert_eq!(why(&[good.clone(), signed(act("produce", &selection()), "olga", 2)], now), second);
        let same_key = signed_as("security", act("produce", &selection()), "ivan", 1);
        assert_eq!(why(&[good.clone(), same_key], now), second);
        let until = from_rfc_3339("2026-06-27T00:00:00Z").unwrap() + STEP_MS;
        assert_eq!(why(std::slice::from_ref(&good), until), "it no longer counted when this was produced");
        let both = [good, signed(act("produce", &selection()), "ivan", 2)];
        assert!(checked(&Entry { at_ms: until - 1, ..entry() }, &both).is_ok());
    }

    #[test]
    fn another_entry_or_text_is_refused() {
        assert_eq!(checked(&Entry { code: None, ..entry() }, &[]), Err(BadCustody::Entry));
        assert_eq!(checked(&Entry { kind: Kind::Registry, ..entry() }, &[]), Err(BadCustody::Entry));
        let twice = selection().to_string().replacen('{', r#"{"model":"ember-2","#, 1);
        let twice = format!(r#"{{"actor":"a","selection":{twice},"approvals":[]}}"#);
        let array = json!(["a", selection(), []]).to_string();
        for bad in ["", "{}", r#"{"actor":"a","selection":{},"approvals":[]}"#, &twice, &array] {
            assert!(matches!(Custody::check(&entry(), bad.as_bytes()), Err(BadCustody::Malformed(_))), "{bad}");
        }
    }
}
