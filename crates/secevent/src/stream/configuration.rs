//! The configuration of a stream.

use serde::{Deserialize, Serialize};

/// Whom a stream or a token is for: one name or several.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Audience {
    /// One.
    One(String),
    /// Several, all of them the same party.
    Many(Vec<String>),
}

impl Audience {
    /// Says whether `name` is among them.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        match self {
            Self::One(one) => one == name,
            Self::Many(many) => many.iter().any(|one| one == name),
        }
    }
}

/// How tokens travel.
///
/// Has no `Debug`: the header is a secret between two parties.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "method")]
pub enum Delivery {
    /// Pushed to the receiver.
    #[serde(rename = "urn:ietf:rfc:8935")]
    Push {
        /// Where to; chosen by the receiver.
        endpoint_url: String,
        /// The value of `Authorization` on every push, if the receiver wants one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        authorization_header: Option<String>,
    },
    /// Fetched by the receiver.
    #[serde(rename = "urn:ietf:rfc:8936")]
    Poll {
        /// Where from; chosen by the transmitter, so absent in the request that creates the stream.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        endpoint_url: Option<String>,
    },
}

/// A stream, as its transmitter describes it.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
pub struct Configuration {
    /// Names the stream.
    pub stream_id: String,
    /// The issuer of its tokens.
    pub iss: String,
    /// Whom its tokens are for.
    pub aud: Audience,
    /// The event types that the transmitter can send.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events_supported: Vec<String>,
    /// The event types that the receiver wants.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events_requested: Vec<String>,
    /// The event types that will come.
    #[serde(default)]
    pub events_delivered: Vec<String>,
    /// How tokens travel.
    pub delivery: Delivery,
    /// The least time between two verification requests, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_verification_interval: Option<u64>,
    /// After how many seconds without a sign of the receiver the stream may be stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inactivity_timeout: Option<u64>,
    /// What the receiver calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// What a receiver asks for: the body of a request that creates (without `stream_id`), updates or replaces a stream.
///
/// The members that only a transmitter may set are not read at all, so they cannot be set.
#[derive(Clone, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Requested {
    /// Which stream; absent when it is to be created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_id: Option<String>,
    /// The event types that the receiver wants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events_requested: Option<Vec<String>>,
    /// How tokens are to travel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
    /// What the receiver calls the stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_configuration_is_read_with_the_members_that_a_transmitter_adds() {
        let text = json!({
            "stream_id": "f67e39a0a4d34d56b3aa1bc4cff0069f",
            "iss": "https://tr.example.com",
            "aud": ["https://receiver.example.com/web", "https://receiver.example.com/mobile"],
            "delivery": {"method": "urn:ietf:rfc:8935", "endpoint_url": "https://receiver.example.com/events"},
            "events_requested": ["urn:example:event-type_2"],
            "events_delivered": ["urn:example:event-type_2"],
            "min_verification_interval": 60,
            "stream_model": "single",
            "created_at": "2026-01-01T00:00:00Z",
        });
        let read: Configuration = serde_json::from_value(text.clone()).unwrap();
        assert!(
            read.aud.contains("https://receiver.example.com/mobile") && !read.aud.contains("https://other.example")
        );
        let written = serde_json::to_value(&read).unwrap();
        assert_eq!(written["delivery"], text["delivery"]);
        assert_eq!(written.get("created_at"), None);
    }

    #[test]
    fn a_method_that_does_not_exist_and_a_push_to_nowhere_are_refused() {
        for delivery in [
            json!({"method": "urn:ietf:rfc:9999", "endpoint_url": "https://receiver.example.com"}),
            json!({"method": "urn:ietf:rfc:8935"}),
            json!({"endpoint_url": "https://receiver.example.com"}),
        ] {
            assert!(serde_json::from_value::<Delivery>(delivery.clone()).is_err(), "{delivery}");
        }
        let poll = serde_json::from_value::<Delivery>(json!({"method": "urn:ietf:rfc:8936"})).ok();
        assert!(poll == Some(Delivery::Poll { endpoint_url: None }));
    }

    #[test]
    fn a_receiver_cannot_set_what_is_the_transmitters() {
        let asked = json!({"stream_id": "s1", "iss": "https://evil.example", "aud": "me", "description": "mine"});
        let read: Requested = serde_json::from_value(asked).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), json!({"stream_id": "s1", "description": "mine"}));
    }
}
