//! The documents of stream management and of delivery by polling; written by one side, read by the other.
//!
//! Members that are not defined here are ignored, as transmitters add their own.
//!
//! # Source
//! OpenID Shared Signals Framework 1.0, sections 6 to 8; RFC 8936, section 2.

mod configuration;
mod metadata;
mod poll;

use std::fmt;

pub use configuration::{Audience, Configuration, Delivery, Requested};
pub use metadata::{AuthorizationScheme, DefaultSubjects, Metadata, well_known};
pub use poll::{Poll, Polled, SetError};
use serde::{Deserialize, Serialize};

use crate::Subject;

/// The media type of a pushed token.
///
/// # Source
/// RFC 8417, section 7.2.
pub const MEDIA_TYPE: &str = "application/secevent+jwt";

/// Names push delivery.
pub const PUSH: &str = "urn:ietf:rfc:8935";

/// Names poll delivery.
pub const POLL: &str = "urn:ietf:rfc:8936";

/// Whether a stream runs.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Events are sent.
    Enabled,
    /// Events are held.
    Paused,
    /// Events are dropped.
    Disabled,
}

impl Status {
    /// Returns the status as it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Paused => "paused",
            Self::Disabled => "disabled",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The status of one stream: the answer of the status endpoint, and the request that changes it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct StreamStatus {
    /// Which stream.
    pub stream_id: String,
    /// Its status.
    pub status: Status,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A request to add a subject to a stream, or to remove one.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct StreamSubject {
    /// Which stream.
    pub stream_id: String,
    /// Whom.
    pub subject: Subject,
    /// Whether the receiver verified the subject; only when adding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<bool>,
}

/// A request that the stream prove itself.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct VerificationRequest {
    /// Which stream.
    pub stream_id: String,
    /// What the verification event must echo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_document_is_read_back_as_written_and_what_it_adds_is_ignored() {
        let status = json!({"stream_id": "s1", "status": "paused", "reason": "maintenance", "since": 7});
        let read: StreamStatus = serde_json::from_value(status).unwrap();
        assert_eq!(read.status, Status::Paused);
        assert_eq!(
            serde_json::to_value(&read).unwrap(),
            json!({"stream_id": "s1", "status": "paused", "reason": "maintenance"})
        );

        let subject = json!({"stream_id": "s1", "subject": {"format": "email", "email": "Ada@example.com"}});
        let read: StreamSubject = serde_json::from_value(subject).unwrap();
        let written = serde_json::to_value(&read).unwrap();
        assert_eq!(written["subject"]["email"], "ada@example.com");
        assert_eq!(written.get("verified"), None::<&Value>);

        let request = VerificationRequest { stream_id: "s1".to_owned(), state: None };
        assert_eq!(serde_json::to_value(&request).unwrap(), json!({"stream_id": "s1"}));
    }

    #[test]
    fn a_subject_that_does_not_conform_is_refused_in_a_document_too() {
        let subject = json!({"stream_id": "s1", "subject": {"format": "email", "email": "nobody"}});
        assert!(serde_json::from_value::<StreamSubject>(subject).is_err());
    }
}
