//! The optional claims that say when, by whom and why.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use terms::Moment;

/// The most languages of one reason, and the longest text in one of them, in bytes.
const MOST_LANGUAGES: usize = 32;
const LONGEST_REASON: usize = 1_024;

/// Who set off an event.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InitiatingEntity {
    /// An administrator.
    Admin,
    /// The user.
    User,
    /// A policy.
    Policy,
    /// A system or platform.
    System,
}

/// When, by whom and why an event happened, as far as told.
///
/// These claims describe; no decision rests on them. One that is malformed is therefore dropped, not a reason to refuse a
/// token whose event takes access away.
///
/// # Source
/// CAEP 1.0, section 2 (optional event claims).
#[derive(Clone, Debug, Default, Eq, PartialEq, serde::Serialize)]
pub struct Context {
    /// When it happened.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "seconds")]
    pub event_timestamp: Option<Moment>,
    /// Who set it off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initiating_entity: Option<InitiatingEntity>,
    /// Why, for administrators, by language tag; empty if not told.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub reason_admin: BTreeMap<String, String>,
    /// Why, for the person, by language tag; empty if not told.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub reason_user: BTreeMap<String, String>,
}

impl Context {
    pub(super) fn read(claims: &Map<String, Value>) -> Self {
        let entity = claims.get("initiating_entity").cloned();
        Self {
            event_timestamp: claims.get("event_timestamp").and_then(moment),
            initiating_entity: entity.and_then(|entity| serde_json::from_value(entity).ok()),
            reason_admin: claims.get("reason_admin").map(reason).unwrap_or_default(),
            reason_user: claims.get("reason_user").map(reason).unwrap_or_default(),
        }
    }

    pub(super) fn claims(&self) -> Map<String, Value> {
        super::written(self)
    }
}

/// Seconds since 1970, whole or with a fraction, as JSON writes them.
fn moment(value: &Value) -> Option<Moment> {
    let seconds = value.as_f64().filter(|seconds| (0.0..=253_402_207_200.0).contains(seconds))?;
    #[expect(clippy::cast_possible_truncation, reason = "within the years that a moment can write")]
    Some(Moment::from_millis((seconds * 1_000.0).round() as i64))
}

fn reason(value: &Value) -> BTreeMap<String, String> {
    let texts = value.as_object().into_iter().flatten();
    let texts = texts.filter_map(|(tag, text)| Some((tag, text.as_str()?)));
    let fitting = texts.filter(|(tag, text)| is_tag(tag) && !text.is_empty() && text.len() <= LONGEST_REASON);
    fitting.take(MOST_LANGUAGES).map(|(tag, text)| (tag.clone(), text.to_owned())).collect()
}

/// Has the shape of a BCP 47 tag: parts of 1 to 8 letters and digits.
fn is_tag(text: &str) -> bool {
    let fits = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    text.len() <= 64 && text.split('-').all(fits)
}

#[expect(clippy::ref_option, reason = "the shape that serde calls")]
fn seconds<S: serde::Serializer>(moment: &Option<Moment>, serializer: S) -> Result<S::Ok, S::Error> {
    let millis = moment.map_or(0, Moment::as_millis);
    if millis % 1_000 == 0 {
        return serializer.serialize_i64(millis / 1_000);
    }
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a moment have 48 bits")]
    serializer.serialize_f64(millis as f64 / 1_000.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_only_describes_is_dropped_when_malformed() {
        let claims = json!({
            "event_timestamp": "yesterday",
            "initiating_entity": "martian",
            "reason_admin": "a plain text",
            "reason_user": {"en": "", "not a tag": "x", "de": 7, "fr": "parce que"},
        });
        let context = Context::read(claims.as_object().unwrap());
        let only = BTreeMap::from([("fr".to_owned(), "parce que".to_owned())]);
        assert_eq!(context, Context { reason_user: only, ..Context::default() });
    }

    proptest! {
        #[test]
        fn a_timestamp_is_read_back_to_the_millisecond(millis in 0_i64..4_000_000_000_000) {
            let context = Context { event_timestamp: Some(Moment::from_millis(millis)), ..Context::default() };
            prop_assert_eq!(Context::read(&context.claims()), context);
        }
    }
}
