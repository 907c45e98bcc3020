//! What a plan is asked for.

use serde::Deserialize;
use serde_json::Value;
use terms::Moment;
use utoipa::ToSchema;

use crate::{Fault, Instrument, InstrumentKind};

/// Documents that one plan may put in force together.
const DOCUMENTS_MAX: usize = 16;
/// The longest window over which traffic is measured, in hours.
const WINDOW_HOURS_MAX: u32 = 24 * 31;

/// A change to be planned.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanRequest {
    /// Directives and licenses as they would be filed, 1 to 16 of them.
    #[schema(value_type = Vec<Object>)]
    pub documents: Vec<Value>,
    /// The moment to plan for; now if absent.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub at: Option<Moment>,
    /// Hours before now over which traffic is measured, 1 to 744; 24 if absent.
    pub window_hours: Option<u32>,
    /// Which past calls to decide again as if the change had been in force; none if absent.
    pub replay: Option<ReplayWindow>,
    /// Whether to prove the invariants too; true if absent.
    pub proofs: Option<bool>,
}

/// Past calls, from a moment up to, and without, another.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayWindow {
    /// The first moment.
    #[schema(value_type = String, format = DateTime)]
    pub from: Moment,
    /// The moment after the last; now if absent.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Moment>,
    /// True to suppose the change in force from `from` on, whatever its own dates; false if absent.
    #[serde(default)]
    pub as_if_in_force: bool,
}

impl PlanRequest {
    /// Parses the documents; each names its kind by its type.
    pub(crate) fn instruments(&self) -> Result<Vec<Instrument>, Fault> {
        let count = self.documents.len();
        if !(1..=DOCUMENTS_MAX).contains(&count) {
            return Err(Fault::invalid("documents", format!("holds {count}: send 1 to {DOCUMENTS_MAX}")));
        }
        self.documents.iter().enumerate().map(|(at, document)| instrument(at, document)).collect()
    }

    /// Returns the window over which traffic is measured, in milliseconds.
    pub(crate) fn window_ms(&self) -> Result<u64, Fault> {
        let hours = self.window_hours.unwrap_or(24);
        if !(1..=WINDOW_HOURS_MAX).contains(&hours) {
            return Err(Fault::invalid("window_hours", format!("must be 1 to {WINDOW_HOURS_MAX}")));
        }
        Ok(u64::from(hours) * 3_600_000)
    }

    /// Checks the window of past calls.
    pub(crate) fn check_replay(&self) -> Result<(), Fault> {
        let backwards = |window: &ReplayWindow| window.until.is_some_and(|until| until <= window.from);
        if self.replay.as_ref().is_some_and(backwards) {
            return Err(Fault::invalid("replay.until", "is not after `replay.from`"));
        }
        Ok(())
    }
}

fn instrument(at: usize, document: &Value) -> Result<Instrument, Fault> {
    let named = document.get("type").and_then(Value::as_str).unwrap_or_default();
    let kind = match named.split('/').next() {
        Some("directive") => InstrumentKind::Directive,
        Some("license") => InstrumentKind::License,
        _ => {
            let why = format!("`{named}` is no type of document that can be planned: `directive/v1` or `license/v1`");
            return Err(Fault::invalid(&format!("documents.{at}.type"), why));
        }
    };
    let json = serde_json::to_vec(document).map_err(Fault::Unwritable)?;
    Instrument::parse(kind, &json).map_err(|fault| Fault::invalid(&format!("documents.{at}.{}", fault.at), fault.why))
}
