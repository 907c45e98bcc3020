//! What differs between two versions of an instrument.

use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};

/// Which two versions.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  exeat directive diff DIR-2026-06-12\n  exeat license diff LTR-2026-06-26 --from 1 --to 3"
)]
pub(crate) struct DiffArgs {
    /// The instrument's id.
    pub(super) id: String,
    /// The earlier version; the last one applied before `--to` unless given.
    #[arg(long, value_name = "VERSION")]
    from: Option<u64>,
    /// The later version; the latest unless given.
    #[arg(long, value_name = "VERSION")]
    to: Option<u64>,
}

impl DiffArgs {
    /// Returns the changes between two of all `versions` of an instrument, as the server shows them.
    ///
    /// # Errors
    ///
    /// If there is no such version, or none before.
    pub(super) fn changes(&self, versions: &Value) -> anyhow::Result<Value> {
        let latest = || all(versions).filter_map(number).max();
        let to = self.to.or_else(latest).context("the server shows no version")?;
        let new = document(versions, to)?;
        let old = match self.from {
            Some(from) => document(versions, from)?,
            None => applied(versions, to).context("no version was applied before it: name one with --from")?,
        };
        Ok(between(old, new))
    }
}

/// Returns the changes from `old` to `new` as a list.
pub(super) fn between(old: &Value, new: &Value) -> Value {
    json!(control::diff(old, new))
}

/// Returns the document of one version.
///
/// # Errors
///
/// If there is no such version.
pub(super) fn document(versions: &Value, version: u64) -> anyhow::Result<&Value> {
    let found = all(versions).find(|one| number(one) == Some(version)).and_then(|one| one.get("document"));
    found.with_context(|| format!("there is no version {version}"))
}

/// Returns the document that was applied last before version `before`.
pub(super) fn applied(versions: &Value, before: u64) -> Option<&Value> {
    let applied = all(versions).filter(|one| one.get("applied").and_then(Value::as_bool) == Some(true));
    let earlier = applied.filter(|one| number(one).is_some_and(|version| version < before));
    earlier.max_by_key(|one| number(one)).and_then(|one| one.get("document"))
}

fn all(versions: &Value) -> impl Iterator<Item = &Value> {
    versions.get("versions").and_then(Value::as_array).into_iter().flatten()
}

fn number(version: &Value) -> Option<u64> {
    version.get("version").and_then(Value::as_u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions() -> Value {
        let document = |families: &[&str]| json!({ "type": "directive/v1", "models": { "families": families } });
        json!({ "versions": [
            { "version": 3, "applied": false, "document": document(&["a", "b"]) },
            { "version": 2, "applied": false, "document": document(&["c"]) },
            { "version": 1, "applied": true, "document": document(&["a"]) },
        ]})
    }

    fn changes(from: Option<u64>, to: Option<u64>) -> anyhow::Result<Value> {
        DiffArgs { id: "DIR-1".to_owned(), from, to }.changes(&versions())
    }

    #[test]
    fn the_latest_version_is_held_against_the_last_applied_unless_others_are_named() {
        let usual = changes(None, None).unwrap();
        assert_eq!((usual.as_array().unwrap().len(), &usual[0]["new"]), (1, &json!("b")));
        assert_eq!(changes(Some(2), Some(3)).unwrap().as_array().unwrap().len(), 3);
        for (from, to) in [(None, Some(1)), (Some(9), None), (None, Some(9))] {
            assert!(changes(from, to).is_err());
        }
    }
}
