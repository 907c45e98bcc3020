//! What directives and licenses have in common.

use std::fmt;

use serde::{Deserialize, Serialize};
use terms::{InstrumentId, Moment};

use super::Faults;

/// Leaves room for the name of a clause in a provision id of 64 characters.
const ID_CHARS: usize = 44;
const LIST_MAX: usize = 64;

/// Who issued an instrument.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Issuer {
    pub(crate) agency: String,
    pub(crate) official: String,
}

/// One provision of law that an instrument rests on.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Authority {
    pub(crate) cite: String,
}

/// Who may see an instrument, as its letter says.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Confidentiality {
    Public,
    Restricted,
    Confidential,
}

/// A duty to report. The product shows it; somebody has to do it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Duty {
    pub(crate) what: String,
    pub(crate) to: String,
    pub(crate) within_hours: u32,
}

/// How somebody answered a question that the wording leaves open.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Interpretation {
    pub(crate) question: String,
    pub(crate) answer: String,
    pub(crate) by: String,
    pub(crate) on: Moment,
}

/// The original that was transcribed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Source {
    pub(crate) sha256: Sha256Hex,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pages: Option<u32>,
}

/// 64 lower-case hexadecimal digits.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Sha256Hex(String);

impl TryFrom<String> for Sha256Hex {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() == 64 && text.bytes().all(digit) {
            return Ok(Self(text));
        }
        Err("write the SHA-256 of the original as 64 lower-case hexadecimal digits")
    }
}

impl From<Sha256Hex> for String {
    fn from(hex: Sha256Hex) -> Self {
        hex.0
    }
}

impl fmt::Display for Sha256Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Checks what stands at the head of every instrument.
pub(super) fn check_head(
    id: &InstrumentId,
    version: u32,
    supersedes: Option<&InstrumentId>,
    issuer: &Issuer,
    faults: &mut Faults,
) {
    faults.unless(id.as_str().len() <= ID_CHARS, "id", "longer than 44 characters: shorten it");
    faults.unless(version >= 1, "version", "0: the first version is 1");
    let other = supersedes.is_none_or(|other| other != id);
    faults.unless(other, "supersedes", "itself: a later version of an instrument needs no `supersedes`");
    check_words("issuer.agency", &issuer.agency, faults);
    check_words("issuer.official", &issuer.official, faults);
}

/// Checks what is said beside the rules: duties to report, and answers to open questions.
pub(super) fn check_remarks(duties: &[Duty], answers: &[Interpretation], faults: &mut Faults) {
    for (at, count) in [("reporting", duties.len()), ("interpretation", answers.len())] {
        faults.unless(count <= LIST_MAX, at, "more than 64 entries");
    }
    for (index, duty) in duties.iter().enumerate().take(LIST_MAX) {
        let at = |field: &str| format!("reporting[{index}].{field}");
        check_words(&at("what"), &duty.what, faults);
        check_words(&at("to"), &duty.to, faults);
        faults.unless(duty.within_hours >= 1, at("within_hours"), "0: write at least 1");
    }
    for (index, answer) in answers.iter().enumerate().take(LIST_MAX) {
        let at = |field: &str| format!("interpretation[{index}].{field}");
        check_words(&at("question"), &answer.question, faults);
        check_words(&at("answer"), &answer.answer, faults);
        check_words(&at("by"), &answer.by, faults);
    }
}

pub(super) fn check_words(at: &str, text: &str, faults: &mut Faults) {
    let plain = (1..=256).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    faults.unless(plain, at, "write 1 to 256 characters on one line");
}

/// Checks a day of the calendar, such as `2026-11-21`.
pub(crate) fn check_day(at: &str, day: &str, faults: &mut Faults) {
    let real = day.len() == 10 && Moment::parse(&format!("{day}T00:00:00Z")).is_ok();
    faults.unless(real, at, "no day of the calendar: write one such as `2026-11-21`");
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
pub(super) fn is_false(value: &bool) -> bool {
    !*value
}
