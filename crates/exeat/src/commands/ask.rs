//! Why was this call refused? What was in force when?

use anyhow::bail;
use clap::Args;
use serde_json::json;
use terms::Moment;

use super::admin::{AsCall, Call, escaped};

/// A recorded call.
#[derive(Clone, Debug, Args)]
pub(crate) struct RecordedCall {
    /// The id of the call, the index of one of its entries, or its receipt as `x-exeat-receipt` gave it.
    call: String,
    /// The index of an entry of the call, for calls longer ago than the last million entries.
    #[arg(long)]
    entry: Option<u64>,
}

/// Who asks for what.
#[derive(Clone, Debug, Args)]
pub(crate) struct Question {
    #[command(flatten)]
    who: Who,
    /// The organization whose tenant is used; a key has its own.
    #[arg(long, conflicts_with = "key")]
    organization: Option<String>,
    /// The model version or alias asked for.
    #[arg(long)]
    model: String,
    #[command(flatten)]
    when: When,
}

/// Exactly one of the two.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Who {
    /// The person who would ask.
    #[arg(long)]
    person: Option<String>,
    /// The key that would be used.
    #[arg(long)]
    key: Option<String>,
}

/// As of when, and as known at when.
#[derive(Clone, Debug, Args)]
pub(crate) struct When {
    /// Of which moment the answer is wanted (RFC 3339); now unless given.
    #[arg(long, value_parser = Moment::parse)]
    as_of: Option<Moment>,
    /// By which moment something must be on record to count (RFC 3339); now unless given.
    #[arg(long, value_parser = Moment::parse)]
    known_at: Option<Moment>,
}

impl AsCall for RecordedCall {
    fn call(&self) -> anyhow::Result<Call> {
        // A receipt is the index of the entry and a part of its hash.
        let named = self.call.split_once('-').map_or(self.call.as_str(), |(index, _)| index);
        let is_index = named.len() < 20 && named.parse::<u64>().is_ok();
        if !is_index && named.len() != 32 {
            bail!("`{}` is no call: give the id of a call (32 hexadecimal digits) or the index of an entry", self.call);
        }
        let query = self.entry.map_or_else(String::new, |entry| format!("?entry={entry}"));
        Ok(Call::get(format!("/admin/v1/calls/{}/explanation{query}", escaped(named))))
    }
}

impl AsCall for Question {
    fn call(&self) -> anyhow::Result<Call> {
        let question = json!({
            "person": self.who.person, "key": self.who.key, "organization": self.organization, "model": self.model,
            "as_of": self.when.as_of, "known_at": self.when.known_at,
        });
        Ok(Call::post("/admin/v1/ask", question))
    }
}

impl AsCall for When {
    fn call(&self) -> anyhow::Result<Call> {
        Ok(Call::get(format!("/admin/v1/instruments{}", self.query())))
    }
}

impl When {
    fn query(&self) -> String {
        let given = [("as_of", self.as_of), ("known_at", self.known_at)];
        let given = given.into_iter().filter_map(|(name, moment)| Some((name, moment?)));
        let pairs: Vec<String> =
            given.map(|(name, moment)| format!("{name}={}", escaped(&moment.to_string()))).collect();
        if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(call: &str) -> anyhow::Result<String> {
        let explain = RecordedCall { call: call.to_owned(), entry: None };
        explain.call().map(|call| format!("{call:?}"))
    }

    #[test]
    fn a_call_is_named_by_its_id_by_an_entry_or_by_its_receipt() {
        let id = "4f1c2d3e4f5061728394a5b6c7d8e9f0";
        for (named, part) in [(id, id), ("17", "/17/"), ("17-00f1e2d3c4b5a697", "/17/")] {
            assert!(path(named).unwrap().contains(part), "{named}");
        }
        for bad in ["", "ada", "-17", "17/../people"] {
            assert!(path(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_time_without_seconds_is_understood() {
        let when = When { as_of: Moment::parse("2026-06-20T00:00Z").ok(), known_at: None };
        assert_eq!(when.query(), "?as_of=2026-06-20T00%3A00%3A00Z");
    }
}
