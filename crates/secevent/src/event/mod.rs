//! What happened: event types with their claims.

mod caep;
mod context;
mod risc;
mod scim;
mod ssf;

use serde_json::{Map, Value};

pub use caep::{
    AssuranceChange, AssuranceNamespace, Caep, ChangeType, Compliance, ComplianceChange, CredentialChange,
    CredentialType, Direction, RiskChange, RiskLevel, SessionEstablished, SessionPresented, TokenClaimsChange,
};
pub use context::{Context, InitiatingEntity};
pub use risc::{DisabledReason, Risc};
pub use scim::{Change, Scim};
pub use ssf::Ssf;

use crate::Fault;

/// The longest URI of an event type.
const LONGEST_URI: usize = 512;

/// One event: its type and its claims.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A change of a session, a credential or what they rest on.
    Caep(Caep, Context),
    /// A change of an account.
    Risc(Risc, Context),
    /// A change of the stream itself.
    Ssf(Ssf),
    /// A change of a provisioned resource.
    Scim(Scim),
    /// A type that is not known here: recorded, and acted on by nobody.
    Unknown {
        /// Its URI.
        uri: String,
    },
}

impl Event {
    /// Reads the claims of an event of type `uri`; claims that the type does not define are ignored.
    ///
    /// # Errors
    ///
    /// [`Fault::Event`] if a claim that decides what the event means is missing or has a value that its type does not
    /// allow; the transmitter must correct it, and nothing may be acted on.
    pub fn read(uri: &str, claims: &Map<String, Value>) -> Result<Self, Fault> {
        if uri.is_empty() || uri.len() > LONGEST_URI {
            return Err(Fault::event(uri, "a type must be a URI of at most 512 bytes"));
        }
        if let Some(name) = uri.strip_prefix(caep::BASE)
            && let Some(event) = Caep::read(name, uri, claims)?
        {
            return Ok(Self::Caep(event, Context::read(claims)));
        }
        if let Some(name) = uri.strip_prefix(risc::BASE)
            && let Some(event) = Risc::read(name, uri, claims)?
        {
            return Ok(Self::Risc(event, Context::read(claims)));
        }
        if let Some(name) = uri.strip_prefix(ssf::BASE)
            && let Some(event) = Ssf::read(name, uri, claims)?
        {
            return Ok(Self::Ssf(event));
        }
        Ok(Scim::read(uri, claims)?.map_or_else(|| Self::Unknown { uri: uri.to_owned() }, Self::Scim))
    }

    /// Returns the URI of the type.
    #[must_use]
    pub fn uri(&self) -> String {
        match self {
            Self::Caep(event, _) => format!("{}{}", caep::BASE, event.name()),
            Self::Risc(event, _) => format!("{}{}", risc::BASE, event.name()),
            Self::Ssf(event) => format!("{}{}", ssf::BASE, event.name()),
            Self::Scim(event) => format!("{}{}", scim::BASE, event.name()),
            Self::Unknown { uri } => uri.clone(),
        }
    }

    /// Writes the claims as [`Event::read`] reads them.
    #[must_use]
    pub fn claims(&self) -> Map<String, Value> {
        match self {
            Self::Caep(event, context) => joined(event.claims(), context.claims()),
            Self::Risc(event, context) => joined(event.claims(), context.claims()),
            Self::Ssf(event) => event.claims(),
            Self::Scim(event) => event.claims(),
            Self::Unknown { .. } => Map::new(),
        }
    }
}

/// Every event type that is read here, by URI, in order of specification.
pub fn types() -> impl Iterator<Item = String> {
    let caep = caep::NAMES.iter().map(|name| format!("{}{name}", caep::BASE));
    let risc = risc::NAMES.iter().map(|name| format!("{}{name}", risc::BASE));
    let ssf = ssf::NAMES.iter().map(|name| format!("{}{name}", ssf::BASE));
    let scim = scim::NAMES.iter().map(|name| format!("{}{name}", scim::BASE));
    caep.chain(risc).chain(ssf).chain(scim)
}

fn joined(mut one: Map<String, Value>, two: Map<String, Value>) -> Map<String, Value> {
    one.extend(two);
    one
}

/// Reads the claims that are peculiar to a type.
fn typed<T: serde::de::DeserializeOwned>(uri: &str, claims: &Map<String, Value>) -> Result<T, Fault> {
    serde_json::from_value(Value::Object(claims.clone())).map_err(|error| Fault::event(uri, &error.to_string()))
}

/// Writes the claims that are peculiar to a type; what has no text form is left out.
fn written(claims: &impl serde::Serialize) -> Map<String, Value> {
    match serde_json::to_value(claims) {
        Ok(Value::Object(claims)) => claims,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(uri: &str, claims: Value) -> Result<Event, Fault> {
        Event::read(uri, claims.as_object().unwrap())
    }

    /// The least that each type requires.
    fn least(uri: &str) -> Value {
        match uri.rsplit(['/', ':']).next().unwrap() {
            "token-claims-change" => json!({"claims": {"role": "ro-admin"}}),
            "credential-change" => json!({"credential_type": "x509", "change_type": "revoke"}),
            "assurance-level-change" => json!({"namespace": "NIST-IAL", "current_level": "nist-ial1"}),
            "device-compliance-change" => {
                json!({"previous_status": "compliant", "current_status": "not-compliant"})
            }
            "risk-level-change" => json!({"principal": "USER", "current_level": "HIGH"}),
            "credential-compromise" => json!({"credential_type": "password"}),
            "stream-updated" => json!({"status": "paused"}),
            "notice" => json!({"attributes": ["active"]}),
            "full" => json!({"data": {"active": false}}),
            _ => json!({}),
        }
    }

    #[test]
    fn openid_ssf_receiver_stream_supported_events_every_type_is_read_and_written_back() {
        let all: Vec<_> = types().collect();
        assert_eq!(all.len(), 8 + 14 + 2 + 12);
        for uri in all {
            let event = read(&uri, least(&uri)).unwrap();
            assert_eq!(event.uri(), uri);
            assert!(!matches!(event, Event::Unknown { .. }), "{uri}");
            assert_eq!(Event::read(&uri, &event.claims()), Ok(event), "{uri}");
        }
    }

    #[test]
    fn openid_ssf_receiver_stream_caep_interop_context_and_claims_are_kept() {
        let claims = json!({
            "initiating_entity": "policy",
            "reason_admin": {"en": "policy C076E82F"},
            "reason_user": {"en": "two regions at once", "es-410": "dos regiones"},
            "event_timestamp": 1_615_304_991,
        });
        let uri = format!("{}session-revoked", caep::BASE);
        let event = read(&uri, claims.clone()).unwrap();
        let Event::Caep(Caep::SessionRevoked, context) = &event else { panic!("{event:?}") };
        assert_eq!(context.initiating_entity, Some(InitiatingEntity::Policy));
        assert_eq!(context.event_timestamp.unwrap().as_millis(), 1_615_304_991_000);
        assert_eq!(Value::Object(event.claims()), claims);
    }

    #[test]
    fn a_type_that_nobody_here_knows_is_kept_by_name() {
        for uri in ["https://schemas.openid.net/secevent/caep/event-type/later", "urn:example:odd"] {
            assert_eq!(read(uri, json!({"a": 1})), Ok(Event::Unknown { uri: uri.to_owned() }));
        }
        assert!(read("", json!({})).is_err());
        assert!(read(&"u".repeat(513), json!({})).is_err());
    }

    #[test]
    fn a_claim_that_decides_what_an_event_means_must_have_a_value_of_its_type() {
        for (name, claims) in [
            ("token-claims-change", json!({})),
            ("token-claims-change", json!({"claims": {}})),
            ("token-claims-change", json!({"claims": ["role"]})),
            ("credential-change", json!({"change_type": "revoke"})),
            ("credential-change", json!({"credential_type": "x509", "change_type": "lost"})),
            ("assurance-level-change", json!({"current_level": "1"})),
            ("device-compliance-change", json!({"previous_status": "compliant", "current_status": "fine"})),
            ("risk-level-change", json!({"principal": "USER", "current_level": "EXTREME"})),
            ("risk-level-change", json!({"principal": "USER"})),
        ] {
            let fault = read(&format!("{}{name}", caep::BASE), claims.clone()).unwrap_err();
            assert_eq!(fault.code(), crate::ErrorCode::InvalidRequest, "{name} {claims}");
        }
    }
}
