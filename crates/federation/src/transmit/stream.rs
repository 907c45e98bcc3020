//! What a receiver asked for, and what became of it: one stream for each receiver.

use control::{Document, Fault, FederatedChange, View};
use fetch::Url;
use jose::{Object, base64url};
use secevent::stream::{Audience, Configuration, Delivery, POLL, PUSH, Requested, Status, StreamStatus};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use terms::{ClientId, Moment};

use super::{client::SsfClient, refusal::Refusal, settings::TransmitterSettings};
use crate::token::book;

/// Where streams are kept, by id.
const COLLECTION: &str = "ssf.transmitted";
/// The most streams; there is one a receiver.
const STREAMS_MAX: u32 = 1_000;
/// The most event types in one request, and the longest, in bytes.
const TYPES_MAX: usize = 64;
const TYPE_MAX: usize = 512;
/// The longest description, in bytes.
const DESCRIPTION_MAX: usize = 1_024;
/// The longest `Authorization` of pushes, in bytes.
const HEADER_MAX: usize = 4_096;

/// The event types that are sent here.
///
/// # Source
///
/// CAEP 1.0, section 3; RISC 1.0, section 2.
pub(super) const SUPPORTED: [&str; 7] = [
    "https://schemas.openid.net/secevent/caep/event-type/session-revoked",
    "https://schemas.openid.net/secevent/caep/event-type/token-claims-change",
    "https://schemas.openid.net/secevent/caep/event-type/credential-change",
    "https://schemas.openid.net/secevent/caep/event-type/assurance-level-change",
    "https://schemas.openid.net/secevent/risc/event-type/account-disabled",
    "https://schemas.openid.net/secevent/risc/event-type/account-enabled",
    "https://schemas.openid.net/secevent/risc/event-type/account-purged",
];

/// A stream as it is kept.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stream {
    /// 32 hexadecimal digits.
    pub(super) id: String,
    pub(super) client: ClientId,
    /// The event types that were asked for; absent for every one that there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) events: Option<Vec<String>>,
    pub(super) method: Method,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    pub(super) status: Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    /// True if an operator stopped it, so that its receiver cannot let it run again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) held: bool,
    /// What was recorded before is not told: when it was made, or last ran again after it was disabled.
    pub(super) since: Moment,
}

/// How events are delivered.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Method {
    Push {
        url: String,
        /// Under which name the queue keeps the `Authorization`; absent if there is to be none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        secret: Option<String>,
    },
    Poll,
}

impl Method {
    /// Returns under which name the `Authorization` of pushes is kept.
    pub(super) fn secret(&self) -> Option<&str> {
        match self {
            Self::Push { secret, .. } => secret.as_deref(),
            Self::Poll => None,
        }
    }
}

/// What a receiver asks for, checked.
pub(super) struct Asked {
    pub(super) events: Option<Vec<String>>,
    pub(super) delivery: Option<AskedDelivery>,
    pub(super) description: Option<String>,
}

/// How a receiver wants events to be delivered.
pub(super) enum AskedDelivery {
    Push { url: Url, authorization: Option<String> },
    Poll,
}

impl Stream {
    /// Says whether events of a type are delivered.
    pub(super) fn delivers(&self, uri: &str) -> bool {
        self.events.as_ref().is_none_or(|events| events.iter().any(|event| event == uri)) && SUPPORTED.contains(&uri)
    }

    /// Says whether events are dropped.
    pub(super) fn is_disabled(&self) -> bool {
        self.status == Status::Disabled
    }

    /// Returns the stream as its receiver sees it. The `Authorization` of pushes is not among it.
    pub(super) fn configuration(&self, client: &SsfClient, settings: &TransmitterSettings) -> Configuration {
        let delivered = SUPPORTED.into_iter().filter(|uri| self.delivers(uri));
        Configuration {
            stream_id: self.id.clone(),
            iss: settings.base_url.clone(),
            aud: Audience::One(client.audience.clone()),
            events_supported: SUPPORTED.map(str::to_owned).to_vec(),
            events_requested: self.events.clone().unwrap_or_default(),
            events_delivered: delivered.map(str::to_owned).collect(),
            delivery: match &self.method {
                Method::Push { url, .. } => Delivery::Push { endpoint_url: url.clone(), authorization_header: None },
                Method::Poll => Delivery::Poll { endpoint_url: Some(settings.poll_url(&self.id)) },
            },
            min_verification_interval: Some(settings.min_verification_s),
            inactivity_timeout: settings.inactivity_s,
            description: self.description.clone(),
        }
    }

    /// Returns whether it runs, and why not, as its receiver sees it.
    pub(super) fn told_status(&self) -> StreamStatus {
        StreamStatus { stream_id: self.id.clone(), status: self.status, reason: self.reason.clone() }
    }

    /// Says whether its receiver fetches events.
    pub(super) fn is_polled(&self) -> bool {
        self.method == Method::Poll
    }

    /// Returns under which name the `Authorization` of its pushes is kept.
    pub(super) fn secret(&self) -> Option<&str> {
        self.method.secret()
    }

    /// Returns the change that keeps it.
    pub(super) fn change(&self) -> Result<FederatedChange, Fault> {
        book::keep(COLLECTION, &self.id, vec![self.client.to_string()], self)
    }

    /// Returns the change that forgets it.
    pub(super) fn gone(&self) -> FederatedChange {
        FederatedChange::DocumentGone { collection: COLLECTION.to_owned(), id: self.id.clone() }
    }
}

/// Returns a stream.
pub(super) fn read(view: &View<'_>, id: &str) -> Result<Option<Stream>, Fault> {
    // An id has at most 256 bytes; a longer one names nothing.
    if id.is_empty() || id.len() > 64 { Ok(None) } else { book::kept(view, COLLECTION, id) }
}

/// Returns the stream of a receiver, of which it has at most one.
pub(super) fn of_client(view: &View<'_>, client: &ClientId) -> Result<Option<Stream>, Fault> {
    Ok(book::found(view, COLLECTION, client.as_str())?.into_iter().next())
}

/// Returns every stream, in order of id.
pub(super) fn all(view: &View<'_>) -> Result<Vec<Stream>, Fault> {
    view.documents(COLLECTION, "", STREAMS_MAX)?.iter().map(|document: &Document| book::read(document)).collect()
}

/// Draws the name of a new stream or of a secret, 128 bits in hexadecimal.
pub(super) fn name() -> Result<String, Refusal> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| Refusal::Unavailable(error.to_string()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

impl Asked {
    /// Reads the body of a request that creates, updates or replaces a stream.
    pub(super) fn read(body: &Object) -> Result<Self, Refusal> {
        let requested: Requested = serde_json::from_value(Value::Object(body.clone()))
            .map_err(|error| Refusal::invalid(format!("the body is no stream configuration: {error}")))?;
        if requested.events_requested.as_ref().is_some_and(|types| !are_types(types)) {
            let most = format!("`events_requested` must be at most {TYPES_MAX} URIs of 1 to {TYPE_MAX} bytes");
            return Err(Refusal::Invalid(most));
        }
        if requested.description.as_ref().is_some_and(|text| text.len() > DESCRIPTION_MAX) {
            return Err(Refusal::Invalid(format!("`description` must be at most {DESCRIPTION_MAX} bytes")));
        }
        let delivery = requested.delivery.map(AskedDelivery::read).transpose()?;
        Ok(Self { events: requested.events_requested, delivery, description: requested.description })
    }
}

fn are_types(types: &[String]) -> bool {
    types.len() <= TYPES_MAX && types.iter().all(|uri| (1..=TYPE_MAX).contains(&uri.len()))
}

impl AskedDelivery {
    fn read(delivery: Delivery) -> Result<Self, Refusal> {
        let Delivery::Push { endpoint_url, authorization_header } = delivery else { return Ok(Self::Poll) };
        let url = Url::parse(&endpoint_url)
            .map_err(|error| Refusal::Invalid(format!("`delivery.endpoint_url` cannot be used: {error}")))?;
        let is_header = |text: &String| {
            (1..=HEADER_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
        };
        if authorization_header.as_ref().is_some_and(|header| !is_header(header)) {
            let form = format!("`delivery.authorization_header` must be 1 to {HEADER_MAX} visible ASCII characters");
            return Err(Refusal::Invalid(form));
        }
        Ok(Self::Push { url, authorization: authorization_header })
    }
}

/// Requires that a receiver does not change what is the transmitter's to say: such a member may be there, but as it is.
///
/// # Source
///
/// OpenID Shared Signals Framework 1.0, sections 8.1.1.3 and 8.1.1.4.
pub(super) fn check_supplied(body: &Object, now: &Configuration) -> Result<(), Refusal> {
    const SUPPLIED: [&str; 6] =
        ["iss", "aud", "events_supported", "events_delivered", "min_verification_interval", "inactivity_timeout"];
    let now = serde_json::to_value(now).unwrap_or_default();
    let differs = |name: &str| body.get(name).is_some_and(|said| Some(said) != now.get(name));
    match SUPPLIED.into_iter().find(|name| differs(name)) {
        Some(name) => {
            Err(Refusal::Invalid(format!("`{name}` is for the transmitter to say: leave it out or as it is")))
        }
        None => Ok(()),
    }
}

/// Returns the names of the methods of delivery.
pub(super) fn methods() -> Vec<String> {
    vec![PUSH.to_owned(), POLL.to_owned()]
}

/// Returns the name of a token about something: a keyed digest, the same whenever it is made again.
pub(super) fn named(parts: &[&str], key: impl FnOnce(&str) -> String) -> String {
    let framed: Vec<_> = parts.iter().map(base64url::encode).collect();
    key(&framed.join("."))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asked(body: Value) -> Result<Asked, Refusal> {
        Asked::read(body.as_object().unwrap())
    }

    #[test]
    fn what_is_asked_for_has_limits() {
        assert!(asked(json!({})).is_ok());
        assert!(asked(json!({"delivery": {"method": PUSH, "endpoint_url": "https://a.example/"}})).is_ok());
        for wrong in [
            json!({"events_requested": "all"}),
            json!({"events_requested": vec!["urn:x"; 65]}),
            json!({"events_requested": ["u".repeat(513)]}),
            json!({"events_requested": [""]}),
            json!({"description": "d".repeat(1_025)}),
            json!({"delivery": {"method": "urn:example:pigeon"}}),
            json!({"delivery": {"method": PUSH}}),
            json!({"delivery": {"method": PUSH, "endpoint_url": "https://user@a.example/"}}),
            json!({"delivery": {"method": PUSH, "endpoint_url": "https://a.example/", "authorization_header": ""}}),
            json!({"delivery": {"method": PUSH, "endpoint_url": "https://a.example/", "authorization_header": "a\nb"}}),
        ] {
            assert!(matches!(asked(wrong.clone()), Err(Refusal::Invalid(_))), "{wrong}");
        }
    }

    #[test]
    fn every_supported_type_is_one_that_receivers_know() {
        let known: Vec<_> = secevent::event::types().collect();
        assert!(SUPPORTED.iter().all(|uri| known.iter().any(|known| known == uri)));
    }

    #[test]
    fn names_made_of_different_parts_are_different() {
        let plain = |parts: &[&str]| named(parts, str::to_owned);
        assert_ne!(plain(&["a.b", "c"]), plain(&["a", "b.c"]));
        assert_eq!(plain(&["a", "b"]), plain(&["a", "b"]));
    }
}
