//! What a snapshot changes among the directives and licenses in force, and what of that goes with an act by itself.

use std::collections::BTreeMap;

use policy::{Directive, License};
use proof::walk::STEP_MS;
use serde_json::Value;
use terms::Moment;

use super::Version;

/// The directives and licenses of a snapshot.
pub(super) type InForce = BTreeMap<Version, Value>;

/// What a snapshot changes among them.
pub(super) struct Change<'a> {
    /// Those of the snapshot before.
    pub(super) before: &'a InForce,
    /// Those of this one.
    pub(super) after: &'a InForce,
    /// When it took force.
    pub(super) at_ms: u64,
}

impl<'a> Change<'a> {
    /// Returns the documents that were not there before as they are now.
    pub(super) fn new_ones(&self) -> impl Iterator<Item = (&'a Version, &'a Value)> {
        beyond(self.after, self.before)
    }

    /// Requires that nothing is new and nothing is gone.
    pub(super) fn is_none(&self) -> Result<(), String> {
        match self.new_ones().chain(beyond(self.before, self.after)).next() {
            None => Ok(()),
            Some((version, _)) => Err(format!("it changes {}, and is no act that does", named(version))),
        }
    }

    /// Requires of each document that is gone that a higher version of it is there and speaks.
    pub(super) fn keeps_what_governs(&self) -> Result<(), String> {
        let outlived = |gone: &Version| {
            let higher = |(version, document): (&Version, &Value)| {
                is_of(version, gone) && version.2 > gone.2 && speaks(document, self.at_ms.saturating_add(STEP_MS))
            };
            self.after.iter().any(higher)
        };
        match beyond(self.before, self.after).find(|(gone, _)| !outlived(gone)) {
            None => Ok(()),
            Some((gone, _)) => Err(format!("it takes {} away, and no later version governs", named(gone))),
        }
    }

    /// Returns true if the document is one that waited for its day, was taken away, and waits on under another number.
    pub(super) fn goes_on_waiting(&self, version: &Version, document: &Value) -> bool {
        beyond(self.before, self.after)
            .any(|(old, held)| is_of(old, version) && self.waited(old) && is_reissued(document, held, &["version"]))
    }

    /// Returns true if the document ends one of before, whose place `by` takes, from when that speaks and binds.
    pub(super) fn is_superseded(&self, (version, document): (&Version, &Value), by: (&Version, &Value)) -> bool {
        let said = |name| document.get(name).and_then(Value::as_str);
        let until = said("status_since").and_then(|since| Moment::parse(since).ok());
        let ended = ["version", "status", "status_since"];
        by.0.0 == version.0
            && by.1.get("supersedes").and_then(Value::as_str) == Some(version.1.as_str())
            && by.1.get("status").and_then(Value::as_str) == Some("in_force")
            && said("status") == Some("superseded")
            && until.is_some()
            && until == begins(by)
            && self.before.iter().any(|(old, held)| is_of(old, version) && is_reissued(document, held, &ended))
    }

    /// Returns true if no higher version of what was there before spoke for longer than a step.
    fn waited(&self, old: &Version) -> bool {
        let Some(before_ms) = self.at_ms.checked_sub(STEP_MS) else { return true };
        !self.before.iter().any(|(other, held)| is_of(other, old) && other.2 > old.2 && speaks(held, before_ms))
    }
}

/// Returns true if both documents say the same but for these members.
pub(super) fn is_reissued(document: &Value, held: &Value, but: &[&str]) -> bool {
    let without = |of: &Value| {
        let members = of.as_object()?.iter().filter(|(name, _)| !but.contains(&name.as_str()));
        Some(members.map(|(name, value)| (name.clone(), value.clone())).collect::<BTreeMap<_, _>>())
    };
    without(document).is_some_and(|said| Some(said) == without(held))
}

/// Names a version in words.
pub(super) fn named((kind, id, number): &Version) -> String {
    format!("version {number} of the {kind} `{id}`")
}

/// Returns the documents of `these` that the others do not have.
fn beyond<'a>(these: &'a InForce, others: &'a InForce) -> impl Iterator<Item = (&'a Version, &'a Value)> {
    these.iter().filter(|(version, document)| others.get(version) != Some(document))
}

/// Returns true if both are versions of one document.
fn is_of(one: &Version, other: &Version) -> bool {
    (&one.0, &one.1) == (&other.0, &other.1)
}

/// Returns true if the document speaks at a time.
fn speaks(document: &Value, at_ms: u64) -> bool {
    let since = document.get("status_since").and_then(Value::as_str).and_then(|since| Moment::parse(since).ok());
    let at = Moment::from_millis(i64::try_from(at_ms).unwrap_or(i64::MAX));
    since.is_some_and(|since| since <= at)
}

/// Returns from when a directive bars or a license authorizes.
fn begins((version, document): (&Version, &Value)) -> Option<Moment> {
    if version.0 == "directive" {
        let directive: Directive = serde_json::from_value(document.clone()).ok()?;
        return Some(directive.status_since().max(directive.binds_at()));
    }
    let license: License = serde_json::from_value(document.clone()).ok()?;
    Some(license.status_since().max(license.valid_from()))
}
