//! The directive desk: who may approve, who approved what, and whether that was enough when it took force.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
};

use proof::{
    approval::{Act, document_sha256},
    entry::Entry,
    json::Unique,
    production::Approver,
    tree::Hash,
    walk::STEP_MS,
};
use serde::Deserialize;
use serde_json::Value;

use self::force::{Change, InForce, is_reissued, named};
use crate::json;

mod force;
mod time;

/// What the desk did so far.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    /// How many approvals are asked for.
    needs: u64,
    /// Role and key of each approver who is not revoked, by their name.
    approvers: BTreeMap<String, (String, String)>,
    approvals: BTreeMap<Version, Vec<Given>>,
    /// Acts without their approvals that did not end yet, and what comes back at their limit, if anything does.
    glass: BTreeMap<Version, Option<Value>>,
    /// What is in force: nothing before the first snapshot.
    in_force: InForce,
    /// True if what is in force is not known: its snapshot is withheld.
    is_unknown: bool,
    /// True once an entry of the desk was withheld: what it did is not known from there on.
    is_withheld: bool,
}

/// One version of a directive or license: kind, id, number.
pub(crate) type Version = (String, String, u64);

/// An approval of a version.
#[derive(Debug)]
struct Given {
    by: Approver,
    act: Act,
    /// From when on the signature no longer counts.
    until_ms: u64,
}

#[derive(Deserialize)]
struct Policy {
    approvals: u64,
}

#[derive(Deserialize)]
struct Registered {
    id: String,
    role: String,
    public_key: String,
    revoked_at: Option<String>,
}

#[derive(Deserialize)]
struct Glass {
    kind: String,
    id: String,
    version: u64,
    restore: Option<Unique>,
    ended: Option<Unique>,
}

/// The directives and licenses in a snapshot document.
#[derive(Deserialize)]
pub(crate) struct Documents {
    directives: Vec<Value>,
    licenses: Vec<Value>,
}

impl Desk {
    /// Notes that an entry of the desk is withheld.
    pub(crate) fn withhold(&mut self) {
        self.is_withheld = true;
    }

    /// Takes how many approvals are asked for from now on.
    pub(crate) fn policy(&mut self, said: &Value) -> Result<(), String> {
        let policy: Policy = json::of_object(said).map_err(|e| format!("it is no policy of the desk: {e}"))?;
        self.needs = policy.approvals;
        Ok(())
    }

    /// Takes an approver who was registered or revoked.
    pub(crate) fn registers(&mut self, body: &Value) -> Result<(), String> {
        let Registered { id, role, public_key, revoked_at } =
            json::of_object(body).map_err(|e| format!("its private part is no approver: {e}"))?;
        match revoked_at {
            None => drop(self.approvers.insert(id, (role, public_key))),
            Some(_) => drop(self.approvers.remove(&id)),
        }
        Ok(())
    }

    /// Takes an act without its approvals, or its end.
    pub(crate) fn breaks_glass(&mut self, body: &Value) -> Result<(), String> {
        let glass: Glass =
            json::of_object(body).map_err(|e| format!("its private part is no break of the glass: {e}"))?;
        if glass.restore.as_ref().is_some_and(|Unique(document)| !document.is_object()) {
            return Err("its private part says that something comes back which is no document".to_owned());
        }
        let version = (glass.kind, glass.id, glass.version);
        match glass.ended {
            None => drop(self.glass.insert(version, glass.restore.map(|Unique(document)| document))),
            Some(_) => drop(self.glass.remove(&version)),
        }
        Ok(())
    }

    /// Requires that somebody is registered as an approver, in this role and with this key.
    pub(crate) fn knows(&self, by: &Approver) -> Result<(), String> {
        let known = self.approvers.get(&by.name).is_some_and(|(role, key)| *role == by.role && *key == by.key);
        if known || self.is_withheld {
            return Ok(());
        }
        Err(format!("`{}` is no approver of the log, in this role and with this key", by.name))
    }

    /// Takes an approval that was signed as it must be.
    pub(crate) fn approves(&mut self, by: Approver, act: Act) -> Result<(), String> {
        let known = self.knows(&by);
        let until_ms = time::millis(&act.valid_until).ok_or("it approves until a time that is none")?;
        let version = (act.kind.clone(), act.id.clone(), act.version);
        self.approvals.entry(version).or_default().push(Given { by, act, until_ms });
        known
    }

    /// Takes a snapshot that took force, with what is in it if that is at hand: what it changes was approved.
    pub(crate) fn takes_force(&mut self, entry: &Entry, documents: Option<&Documents>) -> Result<(), String> {
        let was_unknown = mem::replace(&mut self.is_unknown, documents.is_none());
        let before = mem::replace(&mut self.in_force, documents.map(Documents::in_force).unwrap_or_default());
        if was_unknown || self.is_unknown {
            return Ok(());
        }
        let change = Change { before: &before, after: &self.in_force, at_ms: entry.at_ms };
        match entry.code.as_deref().and_then(act_of) {
            None => change.is_none(),
            Some(_) if self.needs == 0 || self.is_withheld => Ok(()),
            Some(act) => self.judge(act, &change),
        }
    }

    /// Requires of all that an act changes that it was approved, or goes with what was.
    fn judge(&self, (kind, verb): (&str, &str), change: &Change<'_>) -> Result<(), String> {
        change.keeps_what_governs()?;
        let unfounded = |new: &(&Version, &Value)| new.0.0 != kind || !self.may_take_force(verb, *new, change);
        match change.new_ones().find(unfounded) {
            None => Ok(()),
            Some((version, _)) => {
                let named = named(version);
                Err(format!("it puts {named} in force, which {} people had to approve, and they did not", self.needs))
            }
        }
    }

    fn may_take_force(&self, verb: &str, new: (&Version, &Value), change: &Change<'_>) -> bool {
        if self.is_by_glass(verb, new, change) {
            return true;
        }
        let approved = |by: &(&Version, &Value)| verb != RESTORE && self.is_approved(verb, *by, change.at_ms);
        approved(&new) || change.new_ones().filter(approved).any(|by| change.is_superseded(new, by))
    }

    /// Returns true if the glass is broken for it, it comes back at the limit of that, or it goes on waiting behind it.
    fn is_by_glass(&self, verb: &str, new: (&Version, &Value), change: &Change<'_>) -> bool {
        let (version, document) = new;
        let mut open = self.glass.iter().filter(|(of, _)| (&of.0, &of.1) == (&version.0, &version.1));
        let covers = |(of, restore): (&Version, &Option<Value>)| match restore {
            _ if verb != RESTORE => of.2 == version.2 || change.goes_on_waiting(version, document),
            Some(held) => {
                is_reissued(document, held, &["version", "status_since"]) || change.goes_on_waiting(version, document)
            }
            None => false,
        };
        open.any(covers)
    }

    /// Returns true if enough people approved to do this with the document.
    fn is_approved(&self, verb: &str, (version, document): (&Version, &Value), at_ms: u64) -> bool {
        let Ok(hash) = document_sha256(document) else {
            return false;
        };
        let given = self.approvals.get(version);
        let counts = |given: &&Given| given.counts(verb, &hash, at_ms) && self.knows(&given.by).is_ok();
        let counted: Vec<_> = given.into_iter().flatten().filter(counts).map(|given| &given.by).collect();
        let names: BTreeSet<_> = counted.iter().map(|by| &by.name).collect();
        let roles: BTreeSet<_> = counted.iter().map(|by| &by.role).collect();
        names.len().min(roles.len()) as u64 >= self.needs
    }
}

/// The verb of the entry that puts back what an act without its approvals had replaced.
const RESTORE: &str = "restore";

/// Returns which version a document is.
fn version(kind: &str, document: &Value) -> Version {
    let id = document.get("id").and_then(Value::as_str).unwrap_or_default();
    let number = document.get("version").and_then(Value::as_u64).unwrap_or(0);
    (kind.to_owned(), id.to_owned(), number)
}

/// Returns the kind and the verb of the code of an act that changes what is in force.
fn act_of(code: &str) -> Option<(&str, &str)> {
    let verbs = ["apply", "stay", "vacate", "lift", RESTORE];
    code.split_once('.').filter(|(kind, verb)| matches!(*kind, "directive" | "license") && verbs.contains(verb))
}

impl Given {
    /// Returns true if it is to do this with the document of this hash, and was good for it a step before.
    fn counts(&self, verb: &str, hash: &Hash, at_ms: u64) -> bool {
        self.act.act == verb && self.act.has_hash(hash) && at_ms < self.until_ms.saturating_add(STEP_MS)
    }
}

impl Documents {
    /// Reads what is in a snapshot document; `None` if it is none, which is not found here.
    pub(crate) fn read(document: &[u8]) -> Option<Self> {
        serde_json::from_slice(document).ok()
    }

    /// Returns each version that is in force, with the hash of its document if that has one.
    pub(crate) fn versions(&self) -> impl Iterator<Item = (Version, Option<Hash>)> {
        self.all().map(|(version, document)| (version, document_sha256(document).ok()))
    }

    fn in_force(&self) -> InForce {
        self.all().map(|(version, document)| (version, document.clone())).collect()
    }

    fn all(&self) -> impl Iterator<Item = (Version, &Value)> {
        let directives = self.directives.iter().map(|document| (version("directive", document), document));
        directives.chain(self.licenses.iter().map(|document| (version("license", document), document)))
    }
}

#[cfg(test)]
mod tests {
    use proof::entry::Kind;
    use serde_json::json;

    use super::*;

    const APPLIED_MS: u64 = 1_782_475_200_000;

    /// A version that says what no other says, and has spoken for half a day.
    fn document(version: u64) -> Value {
        says(version, version)
    }

    fn says(version: u64, what: u64) -> Value {
        json!({
            "type": "directive/v1", "id": "d-1", "version": version, "status": "in_force",
            "status_since": "2026-06-26T00:00:00Z", "says": what,
        })
    }

    /// An act on the second version, good until a day after it took force.
    fn act(verb: &str) -> Act {
        let sha256: String = document_sha256(&document(2)).unwrap().iter().map(|b| format!("{b:02x}")).collect();
        let act = json!({
            "type": "approval/v1", "act": verb, "kind": "directive", "id": "d-1", "version": 2,
            "document_sha256": sha256, "valid_until": "2026-06-27T12:00:00Z",
        });
        Act::deserialize(act).unwrap()
    }

    fn registered(name: &str, revoked_at: Option<&str>) -> Value {
        let (role, key) = (role(name), key(name));
        json!({ "id": name, "role": role, "public_key": key, "created_at": "2026-01-01T00:00:00Z", "revoked_at": revoked_at })
    }

    fn role(name: &str) -> &'static str {
        if name == "otto" { "security" } else { "counsel" }
    }

    fn key(name: &str) -> String {
        format!("key of {name}")
    }

    fn by(name: &str) -> Approver {
        Approver { name: name.to_owned(), role: role(name).to_owned(), key: key(name) }
    }

    /// A desk of three approvers in two roles that asks for two, with the first version in force since one was enough.
    fn desk() -> Desk {
        let mut desk = Desk::default();
        take(&mut desk, "directive.apply", 1, APPLIED_MS).unwrap();
        desk.policy(&json!({ "actor": "process:config", "approvals": 2 })).unwrap();
        for name in ["iris", "otto", "vera"] {
            desk.registers(&registered(name, None)).unwrap();
        }
        desk
    }

    /// Puts a version in force at a time.
    fn take(desk: &mut Desk, code: &str, version: u64, at_ms: u64) -> Result<(), String> {
        take_all(desk, code, &[document(version)], at_ms)
    }

    /// Puts these directives in force at a time.
    fn take_all(desk: &mut Desk, code: &str, directives: &[Value], at_ms: u64) -> Result<(), String> {
        let entry = Entry { code: Some(code.to_owned()), at_ms, ..Entry::new(Kind::Snapshot) };
        let snapshot = json!({ "directives": directives, "licenses": [] }).to_string();
        desk.takes_force(&entry, Documents::read(snapshot.as_bytes()).as_ref())
    }

    fn approved(verb: &str) -> Desk {
        let mut desk = desk();
        for name in ["iris", "otto"] {
            desk.approves(by(name), act(verb)).unwrap();
        }
        desk
    }

    #[test]
    fn what_two_people_in_two_roles_approved_may_take_force() {
        assert_eq!(take(&mut approved("apply"), "directive.apply", 2, APPLIED_MS), Ok(()));
        assert_eq!(take(&mut approved("stay"), "directive.stay", 2, APPLIED_MS), Ok(()));
    }

    #[test]
    fn what_too_few_approved_otherwise_or_too_late_may_not() {
        let refused = |mut desk: Desk, code: &str, version, at_ms| {
            let why = take(&mut desk, code, version, at_ms).unwrap_err();
            assert!(why.contains("2 people had to approve"), "{why}");
        };
        refused(desk(), "directive.apply", 2, APPLIED_MS);
        refused(approved("stay"), "directive.apply", 2, APPLIED_MS);
        refused(approved("apply"), "directive.apply", 3, APPLIED_MS);
        refused(approved("apply"), "license.apply", 2, APPLIED_MS);
        refused(approved("apply"), "directive.apply", 2, APPLIED_MS + 86_400_000 + STEP_MS);
        let mut same_role = desk();
        for name in ["iris", "vera", "iris"] {
            same_role.approves(by(name), act("apply")).unwrap();
        }
        refused(same_role, "directive.apply", 2, APPLIED_MS);
        let mut revoked = approved("apply");
        revoked.registers(&registered("otto", Some("2026-06-26T00:00:00Z"))).unwrap();
        refused(revoked, "directive.apply", 2, APPLIED_MS);
    }

    #[test]
    fn an_approval_of_somebody_who_is_not_registered_is_a_fault() {
        let stranger = desk().approves(by("eve"), act("apply"));
        assert!(stranger.unwrap_err().contains("`eve` is no approver"));
        let other_key = Approver { key: key("eve"), ..by("iris") };
        assert!(desk().approves(other_key, act("apply")).is_err());
    }

    #[test]
    fn a_broken_glass_lets_one_version_take_force_and_be_put_back_until_it_ends() {
        let glass = |restore, ended| json!({ "kind": "directive", "id": "d-1", "version": 2, "restore": restore, "ended": ended });
        let open = |restore| {
            let mut desk = desk();
            desk.breaks_glass(&glass(restore, Value::Null)).unwrap();
            desk
        };
        let at = APPLIED_MS;
        assert!(take(&mut desk(), "directive.restore", 2, at).is_err());
        let mut broken = open(document(1));
        assert!(
            take_all(&mut open(document(1)), "directive.restore", &[says(3, 2)], at).is_err(),
            "not what comes back"
        );
        assert_eq!(take(&mut broken, "directive.apply", 2, at), Ok(()));
        assert_eq!(take_all(&mut broken, "directive.restore", &[says(3, 1)], at), Ok(()));
        assert!(take(&mut broken, "directive.apply", 4, at).is_err(), "it was broken for the second version");
        broken.breaks_glass(&glass(document(1), json!({ "at": "2026-06-26T12:00:00Z", "why": "limit" }))).unwrap();
        assert!(take_all(&mut broken, "directive.restore", &[says(5, 1)], at).is_err());
        let mut narrows = open(Value::Null);
        assert_eq!(take(&mut narrows, "directive.apply", 2, at), Ok(()));
        assert!(take_all(&mut narrows, "directive.restore", &[says(3, 1)], at).is_err(), "nothing comes back of it");
    }

    #[test]
    fn where_no_approval_is_asked_for_or_the_desk_is_withheld_no_act_is_judged() {
        let mut single = desk();
        single.policy(&json!({ "actor": "process:config", "approvals": 0 })).unwrap();
        assert_eq!(take(&mut single, "directive.apply", 2, APPLIED_MS), Ok(()));
        let mut withheld = desk();
        withheld.withhold();
        assert_eq!(take(&mut withheld, "directive.apply", 2, APPLIED_MS), Ok(()));
        assert!(take(&mut withheld, "config.load", 3, APPLIED_MS).is_err(), "which is no act");
        assert!(desk().policy(&json!({})).is_err() && desk().registers(&json!({})).is_err());
    }

    #[test]
    fn after_a_snapshot_that_is_withheld_one_is_taken_as_it_is() {
        let mut desk = desk();
        let entry = Entry { code: Some("config.load".to_owned()), ..Entry::new(Kind::Snapshot) };
        desk.takes_force(&entry, None).unwrap();
        assert_eq!(take(&mut desk, "config.load", 7, APPLIED_MS), Ok(()));
        assert!(take(&mut desk, "config.load", 8, APPLIED_MS).unwrap_err().contains("is no act that does"));
    }
}
