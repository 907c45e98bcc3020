//! Delivery by polling.
//!
//! # Source
//! RFC 8936, sections 2.2 to 2.4.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ErrorCode;

/// A request of the recipient: acknowledges, reports and asks for more.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Poll {
    /// The most tokens to return; zero to acknowledge only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_events: Option<u32>,
    /// True to be answered at once even if there is nothing; otherwise the request may wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_immediately: Option<bool>,
    /// The tokens that are safe with the recipient, by `jti`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ack: Vec<String>,
    /// The tokens that were refused, by `jti`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set_errs: BTreeMap<String, SetError>,
}

/// Why one token was refused; also the body of the answer to a push.
///
/// # Source
/// RFC 8935, section 2.3; RFC 8936, section 2.6.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SetError {
    /// The code.
    pub err: ErrorCode,
    /// What is wrong, for people.
    #[serde(default)]
    pub description: String,
}

/// The answer of the transmitter.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Polled {
    /// Tokens by `jti`.
    #[serde(default)]
    pub sets: BTreeMap<String, String>,
    /// True if there are more to be had at once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more_available: bool,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_poll_is_written_as_the_rfc_shows_it() {
        let refused = SetError { err: ErrorCode::InvalidAudience, description: "not this recipient".to_owned() };
        let poll = Poll {
            max_events: Some(10),
            return_immediately: Some(true),
            ack: vec!["3d0c3cf797584bd193bd0fb1bd4e7d30".to_owned()],
            set_errs: BTreeMap::from([("4d3559ec67504aaba65d40b0363faad8".to_owned(), refused)]),
        };
        let text = json!({
            "maxEvents": 10,
            "returnImmediately": true,
            "ack": ["3d0c3cf797584bd193bd0fb1bd4e7d30"],
            "setErrs": {
                "4d3559ec67504aaba65d40b0363faad8": {"err": "invalid_audience", "description": "not this recipient"}
            },
        });
        assert_eq!(serde_json::to_value(&poll).unwrap(), text);
        assert_eq!(serde_json::from_value::<Poll>(text).unwrap(), poll);
        assert_eq!(serde_json::to_value(Poll::default()).unwrap(), json!({}));
    }

    #[test]
    fn an_answer_without_tokens_is_an_empty_one() {
        assert_eq!(serde_json::from_value::<Polled>(json!({})).unwrap(), Polled::default());
        assert_eq!(serde_json::to_value(Polled::default()).unwrap(), json!({"sets": {}}));
        let more: Polled = serde_json::from_value(json!({"sets": {"a": "e30.e30."}, "moreAvailable": true})).unwrap();
        assert!(more.more_available && more.sets.contains_key("a"));
    }
}
