//! Checks of single fields, gathered so that one answer names every fault.

use std::time::Duration;

use terms::Moment;

use crate::{Fault, FieldFault};

/// The longest that evidence is good for: two years, one of them a leap year.
pub(super) const EVIDENCE_LIFE_MAX: Duration = Duration::from_hours(731 * 24);
/// How far another's clock may be ahead of ours.
const SKEW: Duration = Duration::from_mins(5);
/// The longest text an operator may write into one field, in characters.
const TEXT_CHARS: usize = 256;

/// Every fault found so far.
#[derive(Debug, Default)]
pub(super) struct Checks(Vec<FieldFault>);

impl Checks {
    pub(super) fn require(&mut self, holds: bool, field: &str, detail: &str) {
        if !holds {
            self.0.push(FieldFault::new(field, detail));
        }
    }

    /// Requires 1 to 256 characters, none of them a control character.
    pub(super) fn text(&mut self, text: &str, field: &str) {
        let fits = (1..=TEXT_CHARS).contains(&text.trim().chars().count())
            && text.chars().count() <= TEXT_CHARS
            && !text.chars().any(char::is_control);
        let detail = "must be 1 to 256 characters, no control characters";
        self.require(fits, field, detail);
    }

    /// Requires that evidence was given not in the future, still holds, and holds for at most two years.
    pub(super) fn span(
        &mut self,
        now: Moment,
        (from, from_field): (Moment, &str),
        (until, until_field): (Moment, &str),
    ) {
        let past = from <= now.plus(SKEW);
        self.require(past, from_field, "must not be in the future");
        self.require(until > now, until_field, "must be in the future");
        let short = until <= from.plus(EVIDENCE_LIFE_MAX);
        let detail = format!("must be at most two years (731 days) after `{from_field}`");
        self.require(short, until_field, &detail);
        self.require(until > from, until_field, &format!("must be after `{from_field}`"));
    }

    pub(super) fn finish(self) -> Result<(), Fault> {
        if self.0.is_empty() {
            return Ok(());
        }
        Err(Fault::Invalid(self.0))
    }
}
