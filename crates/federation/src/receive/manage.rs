//! The stream at its transmitter: found, made, read, changed, and asked to prove that it works.
//!
//! # Source
//! OpenID Shared Signals Framework 1.0, sections 7 and 8.

use axum::{
    body::Bytes,
    http::{HeaderValue, Method, StatusCode, header},
};
use fetch::{Client, Request, Response, Url};
use secevent::stream::{
    Configuration, Delivery, Metadata, Requested, Status, StreamStatus, StreamSubject, VerificationRequest, well_known,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use terms::ChannelId;
use zeroize::Zeroizing;

use super::{Receiver, access::form_encoded};

/// The longest document that a transmitter may answer with, in bytes.
const LONGEST: usize = 1 << 20;

/// Where metadata is, the newest name first.
const WELL_KNOWN: [&str; 2] = ["ssf-configuration", "risc-configuration"];

/// A transmitter did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ManageFault {
    /// There is no answer.
    #[error("the transmitter cannot be asked: {0}")]
    Fetch(#[from] fetch::Fault),
    /// The answer is not the one that the specification has for success.
    #[error("the transmitter answered {what} with status {status}")]
    Status {
        /// What was asked.
        what: &'static str,
        /// How it answered.
        status: u16,
    },
    /// The document that it answered with is not one that is read here.
    #[error("the transmitter's document cannot be read: {0}")]
    Document(String),
    /// The document speaks for another issuer; nothing of it is used.
    #[error("the transmitter speaks for another issuer than `{0}`")]
    OtherIssuer(String),
    /// The stream is for another audience than this server.
    #[error("the stream is for another audience than this server")]
    OtherAudience,
    /// The transmitter does not offer this, or the settings do not allow it.
    #[error("{0}")]
    NotOffered(&'static str),
    /// What this needs here cannot be had.
    #[error("{0}")]
    Here(String),
}

impl ManageFault {
    /// Says whether there is no such stream any more.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self, Self::Status { status: 404, .. })
    }
}

/// Finds the metadata of an issuer, and makes sure that it is this issuer's.
///
/// # Errors
///
/// [`ManageFault::OtherIssuer`] if it names another issuer in the slightest; otherwise as the transmitter answers.
pub(crate) async fn discover(client: &Client, issuer: &str) -> Result<Metadata, ManageFault> {
    let mut last = ManageFault::NotOffered("the issuer is no URL");
    for name in WELL_KNOWN {
        let Some(url) = well_known(issuer, name).and_then(|url| Url::parse(&url).ok()) else { return Err(last) };
        let response = client.send(Request::get(url)).await?;
        match document::<Metadata>("its metadata", &response, &[StatusCode::OK]) {
            Ok(metadata) if metadata.issuer == issuer => return Ok(metadata),
            Ok(_) => return Err(ManageFault::OtherIssuer(issuer.to_owned())),
            Err(fault) if fault.is_gone() => last = fault,
            Err(fault) => return Err(fault),
        }
    }
    Err(last)
}

/// Every stream that a transmitter has for this server.
#[derive(serde::Deserialize)]
struct Streams {
    streams: Vec<Configuration>,
}

/// The management of streams at one transmitter.
pub(crate) struct Manager {
    pub(crate) receiver: Receiver,
    pub(crate) channel: ChannelId,
    pub(crate) metadata: Metadata,
    pub(crate) authorization: Zeroizing<String>,
}

impl Manager {
    /// Makes a stream for an audience, or takes up the one that is there if the transmitter allows no second one.
    ///
    /// # Errors
    ///
    /// [`ManageFault::OtherIssuer`], [`ManageFault::OtherAudience`]: the stream is deleted again, and nothing of it may be
    /// used; otherwise as the transmitter answers.
    pub(crate) async fn create(&self, requested: &Requested, audience: &str) -> Result<Configuration, ManageFault> {
        let url = named(self.metadata.configuration_endpoint.as_ref(), None)?;
        let response = self.send(Method::POST, url, body(requested)?).await?;
        if response.status == StatusCode::CONFLICT {
            return self.existing(requested, audience).await;
        }
        let created = [StatusCode::CREATED, StatusCode::OK];
        let made: Configuration = document("the creation of a stream", &response, &created)?;
        let stream_id = made.stream_id.clone();
        let fault = match self.of_issuer(made) {
            Ok(made) if made.aud.contains(audience) => return Ok(made),
            Ok(_) => ManageFault::OtherAudience,
            Err(fault) => fault,
        };
        self.delete(&stream_id).await?;
        Err(fault)
    }

    /// Finds the stream for an audience that delivers as requested.
    async fn existing(&self, requested: &Requested, audience: &str) -> Result<Configuration, ManageFault> {
        let url = named(self.metadata.configuration_endpoint.as_ref(), None)?;
        let mut response = self.send(Method::GET, url, Bytes::new()).await?;
        if !response.body.trim_ascii_start().starts_with(b"[") {
            let only = document("a read", &response, &[StatusCode::OK])?;
            return self.of_issuer(only);
        }
        response.body = [b"{\"streams\":".as_slice(), &response.body, b"}"].concat().into();
        let Streams { streams } = document("a read", &response, &[StatusCode::OK])?;
        let wanted = requested.delivery.as_ref().map(endpoint_url);
        let mut own = streams.into_iter().filter(|stream| stream.aud.contains(audience));
        let found =
            own.find(|stream| wanted.is_none_or(|wanted| wanted.is_none() || wanted == endpoint_url(&stream.delivery)));
        self.of_issuer(found.ok_or(ManageFault::OtherAudience)?)
    }

    /// Reads the configuration of a stream.
    ///
    /// # Errors
    ///
    /// As [`Manager::create`]; so for every method here.
    pub(crate) async fn read(&self, stream_id: &str) -> Result<Configuration, ManageFault> {
        let nothing = None::<&Requested>;
        self.configured("a read", (Method::GET, Some(stream_id)), nothing, &[StatusCode::OK]).await
    }

    /// Changes the members of the configuration that are given.
    pub(crate) async fn update(&self, requested: &Requested) -> Result<Configuration, ManageFault> {
        let done = [StatusCode::OK, StatusCode::ACCEPTED];
        self.configured("an update", (Method::PATCH, None), Some(requested), &done).await
    }

    /// Replaces the configuration; members that are not given are taken back.
    pub(crate) async fn replace(&self, requested: &Requested) -> Result<Configuration, ManageFault> {
        let done = [StatusCode::OK, StatusCode::ACCEPTED];
        self.configured("a replacement", (Method::PUT, None), Some(requested), &done).await
    }

    /// Deletes a stream; one that is gone already is deleted.
    pub(crate) async fn delete(&self, stream_id: &str) -> Result<(), ManageFault> {
        let url = named(self.metadata.configuration_endpoint.as_ref(), Some(stream_id))?;
        let response = self.send(Method::DELETE, url, Bytes::new()).await?;
        expect("a deletion", &response, &[StatusCode::NO_CONTENT, StatusCode::NOT_FOUND])
    }

    /// Reads the status of a stream.
    pub(crate) async fn status(&self, stream_id: &str) -> Result<StreamStatus, ManageFault> {
        let url = named(self.metadata.status_endpoint.as_ref(), Some(stream_id))?;
        let response = self.send(Method::GET, url, Bytes::new()).await?;
        document("its status", &response, &[StatusCode::OK])
    }

    /// Changes the status of a stream.
    pub(crate) async fn set_status(&self, stream_id: &str, status: Status) -> Result<StreamStatus, ManageFault> {
        let url = named(self.metadata.status_endpoint.as_ref(), None)?;
        let wanted = StreamStatus { stream_id: stream_id.to_owned(), status, reason: None };
        let response = self.send(Method::POST, url, body(&wanted)?).await?;
        document("a change of status", &response, &[StatusCode::OK, StatusCode::ACCEPTED])
    }

    /// Adds a subject to a stream.
    pub(crate) async fn add_subject(&self, subject: &StreamSubject) -> Result<(), ManageFault> {
        let url = named(self.metadata.add_subject_endpoint.as_ref(), None)?;
        let response = self.send(Method::POST, url, body(subject)?).await?;
        expect("the addition of a subject", &response, &[StatusCode::OK, StatusCode::NO_CONTENT])
    }

    /// Removes a subject from a stream.
    pub(crate) async fn remove_subject(&self, subject: &StreamSubject) -> Result<(), ManageFault> {
        let url = named(self.metadata.remove_subject_endpoint.as_ref(), None)?;
        let response = self.send(Method::POST, url, body(subject)?).await?;
        expect("the removal of a subject", &response, &[StatusCode::OK, StatusCode::NO_CONTENT])
    }

    /// Asks that the stream prove itself. The event comes later, and perhaps behind others.
    pub(crate) async fn verify(&self, request: &VerificationRequest) -> Result<(), ManageFault> {
        let url = named(self.metadata.verification_endpoint.as_ref(), None)?;
        let response = self.send(Method::POST, url, body(request)?).await?;
        // 204 it must be; transmitters are known that answer 200 or 202.
        let done = [StatusCode::NO_CONTENT, StatusCode::OK, StatusCode::ACCEPTED];
        expect("a verification", &response, &done)
    }

    async fn configured(
        &self,
        what: &'static str,
        (method, stream_id): (Method, Option<&str>),
        requested: Option<&Requested>,
        good: &[StatusCode],
    ) -> Result<Configuration, ManageFault> {
        let url = named(self.metadata.configuration_endpoint.as_ref(), stream_id)?;
        let body = requested.map_or_else(|| Ok(Bytes::new()), body)?;
        let response = self.send(method, url, body).await?;
        self.of_issuer(document(what, &response, good)?)
    }

    fn of_issuer(&self, configuration: Configuration) -> Result<Configuration, ManageFault> {
        if configuration.iss != self.metadata.issuer {
            return Err(ManageFault::OtherIssuer(self.metadata.issuer.clone()));
        }
        Ok(configuration)
    }

    async fn send(&self, method: Method, url: Url, body: Bytes) -> Result<Response, ManageFault> {
        let mut request = Request::post(url, "application/json", body);
        request.method = method;
        request.headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        request.headers.insert(header::AUTHORIZATION, sensitive(&self.authorization)?);
        let response = self.receiver.client().send(request).await?;
        if response.status == StatusCode::UNAUTHORIZED {
            self.receiver.access().forget(&self.channel);
        }
        Ok(response)
    }
}

/// Makes a header of a secret, so that it is not shown where headers are.
pub(crate) fn sensitive(secret: &str) -> Result<HeaderValue, ManageFault> {
    let value = HeaderValue::from_str(secret);
    let mut value = value.map_err(|_| ManageFault::Here("the secret cannot be a header".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

fn endpoint_url(delivery: &Delivery) -> Option<&str> {
    match delivery {
        Delivery::Push { endpoint_url, .. } => Some(endpoint_url),
        Delivery::Poll { endpoint_url } => endpoint_url.as_deref(),
    }
}

/// Returns where a stream's tokens are to be fetched, if they are.
pub(crate) fn poll_endpoint(configuration: &Configuration) -> Option<&str> {
    match &configuration.delivery {
        Delivery::Poll { endpoint_url } => endpoint_url.as_deref(),
        Delivery::Push { .. } => None,
    }
}

fn named(endpoint: Option<&String>, stream_id: Option<&str>) -> Result<Url, ManageFault> {
    let endpoint = endpoint.ok_or(ManageFault::NotOffered("the transmitter has no endpoint for this"))?;
    let text = match stream_id {
        None => endpoint.clone(),
        Some(id) => {
            let mark = if endpoint.contains('?') { '&' } else { '?' };
            format!("{endpoint}{mark}stream_id={}", form_encoded(id))
        }
    };
    Url::parse(&text).map_err(|error| ManageFault::Document(error.to_string()))
}

fn body(document: &impl Serialize) -> Result<Bytes, ManageFault> {
    serde_json::to_vec(document).map(Bytes::from).map_err(|error| ManageFault::Here(error.to_string()))
}

fn expect(what: &'static str, response: &Response, good: &[StatusCode]) -> Result<(), ManageFault> {
    let status = response.status;
    if good.contains(&status) { Ok(()) } else { Err(ManageFault::Status { what, status: status.as_u16() }) }
}

/// Reads a document strictly, but for members that are not defined.
pub(crate) fn document<T: DeserializeOwned>(
    what: &'static str,
    response: &Response,
    good: &[StatusCode],
) -> Result<T, ManageFault> {
    expect(what, response, good)?;
    let object = jose::json::parse_object(&response.body, LONGEST);
    let object = object.map_err(|fault| ManageFault::Document(fault.to_string()))?;
    serde_json::from_value(Value::Object(object)).map_err(|error| ManageFault::Document(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_stream_is_escaped_in_a_query() {
        let endpoint = "https://tr.example.com/ssf/stream".to_owned();
        let url = named(Some(&endpoint), Some("a b&c=d/é")).unwrap();
        assert_eq!(url.as_str(), "https://tr.example.com/ssf/stream?stream_id=a%20b%26c%3Dd%2F%C3%A9");
        let with_query = "https://tr.example.com/ssf?kind=stream".to_owned();
        assert!(named(Some(&with_query), Some("s1")).unwrap().as_str().ends_with("?kind=stream&stream_id=s1"));
        assert!(named(None, None).is_err());
    }
}
