//! Events about a stream itself: Shared Signals Framework 1.0, sections 8.1.4 and 8.1.5.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{typed, written};
use crate::{Fault, stream::Status};

pub(super) const BASE: &str = "https://schemas.openid.net/secevent/ssf/event-type/";

pub(super) const NAMES: [&str; 2] = ["verification", "stream-updated"];

/// The longest state of a verification.
const LONGEST_STATE: usize = 1_024;

/// An event type of SSF; its subject is the stream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Ssf {
    /// The stream works.
    Verification {
        /// What the receiver asked to be echoed; absent if nobody asked.
        state: Option<String>,
    },
    /// The transmitter changed the status of the stream.
    StreamUpdated {
        /// The status from now on.
        status: Status,
        /// Why, where told.
        reason: Option<String>,
    },
}

#[derive(Deserialize, Serialize)]
struct Verification {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<String>,
}

#[derive(Deserialize, Serialize)]
struct StreamUpdated {
    status: Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Ssf {
    pub(super) fn read(name: &str, uri: &str, claims: &Map<String, Value>) -> Result<Option<Self>, Fault> {
        match name {
            "verification" => {
                let Verification { state } = typed(uri, claims)?;
                if state.as_ref().is_some_and(|state| state.len() > LONGEST_STATE) {
                    return Err(Fault::event(uri, "`state` must be at most 1024 bytes"));
                }
                Ok(Some(Self::Verification { state }))
            }
            "stream-updated" => {
                let StreamUpdated { status, reason } = typed(uri, claims)?;
                Ok(Some(Self::StreamUpdated { status, reason }))
            }
            _ => Ok(None),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Verification { .. } => "verification",
            Self::StreamUpdated { .. } => "stream-updated",
        }
    }

    pub(super) fn claims(&self) -> Map<String, Value> {
        match self {
            Self::Verification { state } => written(&Verification { state: state.clone() }),
            Self::StreamUpdated { status, reason } => {
                written(&StreamUpdated { status: *status, reason: reason.clone() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_unsolicited_verification_has_no_state_and_writes_none() {
        let event = Ssf::read("verification", "v", json!({}).as_object().unwrap()).unwrap().unwrap();
        assert_eq!(event, Ssf::Verification { state: None });
        assert_eq!(event.claims(), Map::new());
    }

    #[test]
    fn a_status_that_does_not_exist_and_a_state_without_end_are_refused() {
        let read = |name: &str, claims: Value| Ssf::read(name, name, claims.as_object().unwrap());
        assert!(read("stream-updated", json!({"status": "asleep"})).is_err());
        assert!(read("stream-updated", json!({})).is_err());
        assert!(read("verification", json!({"state": "s".repeat(1_025)})).is_err());
    }
}
