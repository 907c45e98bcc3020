//! What the log says of past calls: the traffic each key carried, and each served call for a replay.

use std::collections::BTreeMap;

use ledger::{Ledger, LookupError, Stored};
use policy::plan::ReplayReport;
use proof::entry::{Entry, Kind, Usage};
use terms::{KeyId, ModelVersionId};

use super::{Progress, population::Traffic};

/// What a replay of past calls found.
#[derive(Clone, Debug, serde::Serialize)]
pub struct PlannedReplay {
    /// The counts.
    #[serde(flatten)]
    pub report: ReplayReport,
    /// The entries of the log that were read, and how long reading and deciding took, in milliseconds.
    pub entries: u64,
    /// In milliseconds.
    pub took_ms: u64,
}

/// One call that was served.
pub(super) struct Served<'a> {
    /// When it was permitted, in milliseconds since the Unix epoch.
    pub(super) at_ms: u64,
    /// The name that was asked for, where it was not the version that served.
    pub(super) requested: Option<&'a str>,
    /// The version that served.
    pub(super) model: &'a str,
    /// The facts it was decided on, as recorded.
    pub(super) facts: &'a [u8],
    /// What it used.
    pub(super) tokens: u64,
}

/// A call whose closing entry is not there yet.
struct Begun {
    at_ms: u64,
    model: String,
    requested: Option<String>,
    facts: Vec<u8>,
}

impl Begun {
    fn served(&self, tokens: u64) -> Served<'_> {
        let requested = self.requested.as_deref();
        Served { at_ms: self.at_ms, requested, model: &self.model, facts: &self.facts, tokens }
    }
}

/// Goes through the calls that were permitted since `from_ms`, each when it ended; those still open come last.
///
/// Returns how many entries were read.
pub(super) fn walk(
    ledger: &Ledger,
    from_ms: u64,
    progress: &Progress,
    mut visit: impl FnMut(&Served<'_>),
) -> Result<u64, LookupError> {
    let reader = ledger.reader();
    let end = ledger.health().durable;
    let first = reader.first_since(from_ms, end)?;
    progress.step("reading past calls", end.saturating_sub(first));
    let mut begun = BTreeMap::new();
    for stored in reader.entries(first)? {
        let stored = stored?;
        if stored.index >= end {
            break;
        }
        take(stored, &mut begun, &mut visit)?;
        progress.advance(1);
    }
    begun.values().for_each(|call: &Begun| visit(&call.served(0)));
    Ok(end.saturating_sub(first))
}

fn take(
    stored: Stored,
    begun: &mut BTreeMap<u64, Begun>,
    visit: &mut impl FnMut(&Served<'_>),
) -> Result<(), LookupError> {
    let entry = Entry::decode(&stored.leaf).map_err(|_| LookupError::Damaged(stored.index))?;
    match (entry.kind, entry.opened) {
        (Kind::Open, _) => {
            let model = entry.model.unwrap_or_default();
            let facts = stored.main().unwrap_or_default().to_vec();
            let call = Begun { at_ms: entry.at_ms, model, requested: entry.requested, facts };
            begun.insert(stored.index, call);
        }
        (Kind::Close, Some(opened)) => {
            if let Some(call) = begun.remove(&opened) {
                visit(&call.served(tokens(entry.usage)));
            }
        }
        _ => {}
    }
    Ok(())
}

/// Returns the tokens that the upstream reported, or else the events that carried output.
fn tokens(usage: Option<Usage>) -> u64 {
    let usage = usage.unwrap_or_default();
    let reported = usage.input_tokens.unwrap_or(0).saturating_add(usage.output_tokens.unwrap_or(0));
    reported.max(usage.delivered_events)
}

/// Adds one call to the traffic of its key.
pub(super) fn count(traffic: &mut Traffic, call: &Served<'_>) {
    let Some(key) = key_of(call.facts) else {
        return;
    };
    let (Ok(key), Ok(model)) = (KeyId::parse(key), ModelVersionId::parse(call.model)) else {
        return;
    };
    let carried = traffic.entry((key, model)).or_default();
    carried.calls += 1;
    carried.tokens = carried.tokens.saturating_add(call.tokens);
}

/// Finds the credential's id in recorded facts without parsing them: the fields stand in the order of the type.
fn key_of(facts: &[u8]) -> Option<&str> {
    const BEFORE: &str = "\"credential\":{\"id\":\"";
    let text = std::str::from_utf8(facts).ok()?;
    let (_, rest) = text.split_once(BEFORE)?;
    rest.split_once('"').map(|(id, _)| id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy::{CallerFacts, CredentialFacts, Facts};
    use terms::Moment;

    #[test]
    fn the_key_is_found_in_facts_as_they_are_recorded() {
        let facts = Facts {
            at: Moment::from_millis(0),
            model: ModelVersionId::parse("mythos-5.0").unwrap(),
            credential: CredentialFacts {
                id: KeyId::parse("0123456789abcdef").unwrap(),
                expires_at: Moment::from_millis(1),
                revoked: false,
                organization: None,
                end_use: None,
            },
            caller: CallerFacts::Unbound,
            organizations: Vec::new(),
            consumed: Vec::new(),
            channels: Vec::new(),
        };
        let bytes = serde_json::to_vec(&facts).unwrap();
        assert_eq!(key_of(&bytes), Some("0123456789abcdef"));
        assert_eq!(key_of(b"{}"), None);
    }

    #[test]
    fn a_call_that_reported_nothing_counts_by_its_events() {
        let usage = |input_tokens, output_tokens, delivered_events| Usage {
            input_tokens,
            output_tokens,
            delivered_events,
            delivered_bytes: 0,
        };
        assert_eq!(tokens(None), 0);
        assert_eq!(tokens(Some(usage(None, None, 9))), 9);
        assert_eq!(tokens(Some(usage(Some(100), Some(20), 9))), 120);
    }
}
