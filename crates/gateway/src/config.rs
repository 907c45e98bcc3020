//! What an operator may set about the data path: as typed in [`Settings`], as meant in [`Checked`].
//!
//! No port is bound and no upstream is called before [`Settings::check`] found nothing to correct.

mod check;
mod credentials;
mod url;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    path::PathBuf,
    sync::Arc,
    thread,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use terms::{Dialect, ModelVersionId};

pub use self::credentials::{ClientCertificates, IntrospectionSettings, IssuerSettings, TokenSettings};
pub(crate) use self::{credentials::Credentials, url::EndpointUrl};
use crate::content::Content;

/// Everything about the data path, as typed by an operator.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where to listen; `127.0.0.1:8080` unless set. Port 0 takes any free port.
    pub listen: Vec<SocketAddr>,
    /// The certificate to serve; without one only loopback addresses are allowed.
    pub tls: Option<TlsSettings>,
    /// Allows other than loopback addresses without TLS, for a mesh that encrypts by itself. False unless set.
    pub allow_plaintext: bool,
    /// Whether clients are asked for a certificate in the handshake, to which a token or key may be bound.
    pub client_certificates: ClientCertificates,
    /// Addresses of proxies that end TLS and pass a client's certificate on as `Client-Cert` (RFC 9440); none unless
    /// set. From any other address a request with that header is refused. They must also pass on the client's address,
    /// appended to `Forwarded` (RFC 7239) or `X-Forwarded-For`, which are believed of nobody else: those who ask for
    /// tokens too often are told apart by it.
    pub trusted_proxies: Vec<IpAddr>,
    /// Where clients reach the gateway, such as `https://gateway.example.com`; what DPoP proofs are compared with,
    /// never the `host` header.
    pub external_origin: Option<String>,
    /// What access tokens for this gateway name as `aud`; `external_origin` unless set.
    pub resource: Option<String>,
    /// What every access token must show.
    pub tokens: TokenSettings,
    /// Whose access tokens are taken.
    pub issuers: Vec<IssuerSettings>,
    /// Threads that serve calls, 1 to 256; one for each core unless set.
    pub workers: usize,
    /// Bounds on what clients may occupy.
    pub limits: Limits,
    /// Where each model version is served.
    pub upstreams: Vec<UpstreamSettings>,
    /// Whether a model server is called only once the opening entry of the call is durable; false unless set.
    ///
    /// Otherwise the model works while the disk does, and its answer is thrown away if the entry does not become durable.
    /// Costs each call the time of one commit before its first byte.
    pub strict: bool,
    /// Stream events with output that an entry allows a call to deliver before the next must be durable; 4,096 unless
    /// set.
    ///
    /// A call that a crash left open delivered no more than the last of its entries allows. At 100 events a second another
    /// is written every 40 s, 20 s before it is needed.
    pub lease_events: u64,
    /// Whether request and response bodies are kept with the record, and for whom; not kept unless set.
    pub content: Option<ContentSettings>,
    /// How long calls in flight may finish after a shutdown signal, in seconds; 30 unless set, at most 3,600.
    ///
    /// 30 is what Kubernetes grants a pod between SIGTERM and SIGKILL.
    pub drain_seconds: u64,
}

/// The server's certificate, in PEM files that may be replaced while it runs.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// The chain, the server's own certificate first.
    pub cert_chain: PathBuf,
    /// The private key of the first certificate: PKCS #8, PKCS #1 or SEC 1.
    pub key: PathBuf,
}

/// Bodies that are kept, sealed to a key whose private half the gateway does not have.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ContentSettings {
    /// The X25519 public key of whoever may open them: 32 bytes in base64, with padding.
    pub escrow_key: String,
    /// The longest body that is kept, in bytes, 1 KiB to 4 MiB; 1 MiB unless set. Of a longer one the record says so.
    ///
    /// A call that is live holds this much of its response in memory.
    #[serde(default = "mebibyte")]
    pub max_bytes: usize,
}

/// Bounds on what clients may occupy. Every one is for this process.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Bytes of one request body; 32 MiB unless set.
    ///
    /// A context of one million tokens at 4 bytes each, in JSON, is below 8 MiB; the rest is room for images
    /// (Anthropic accepts 32 MB for one request). The worst case in memory is this times `in_flight`.
    pub body_bytes: usize,
    /// Bytes of one request head; 64 KiB unless set, at least 8 KiB.
    ///
    /// SDKs send below 2 KiB; a DPoP proof and a JWT with an `x5c` chain add up to 16 KiB.
    /// One connection buffers at most this much before a call begins: 10,000 connections, 640 MiB.
    pub header_bytes: usize,
    /// Header fields of one request; 128 unless set. SDKs send about 25.
    pub header_fields: usize,
    /// From the first byte of a request head to its end, in seconds; 10 unless set.
    ///
    /// 64 KiB in 10 s is 52 kbit/s: slower is not a client but a slowloris.
    pub header_seconds: u64,
    /// From the end of a head to the end of its body, in seconds; 60 unless set. 32 MiB in 60 s is 4.5 Mbit/s.
    pub body_seconds: u64,
    /// For the TLS handshake, in seconds; 5 unless set: three round trips of 300 ms and one lost packet, twice.
    pub handshake_seconds: u64,
    /// How long a connection without a call may stay open, in seconds; 75 unless set.
    ///
    /// Longer than the 60 s after which common load balancers drop idle connections, so that they close first
    /// and never send a call into a connection that is being closed.
    pub idle_seconds: u64,
    /// How long a client may accept no byte of its response, in seconds; 30 unless set.
    pub write_seconds: u64,
    /// Open client connections; 10,000 unless set. Beyond it new ones are closed at once.
    ///
    /// Each may need a second descriptor towards an upstream: 20,000 of them, a common hard limit.
    pub connections: usize,
    /// Calls at once on one HTTP/2 connection; 128 unless set (RFC 9113 6.5.2 advises no fewer than 100).
    pub h2_streams: u32,
    /// Calls in flight; 4,096 unless set. Beyond it calls are refused with `retry-after`.
    ///
    /// At about 64 KiB for an open stream this is 256 MiB.
    pub in_flight: usize,
    /// Calls in flight of one caller; 64 unless set, no more than `in_flight`. One caller cannot take it all.
    pub in_flight_per_caller: usize,
    /// Bytes of one response that is not streamed; 64 MiB unless set.
    ///
    /// 2,048 embeddings of 3,072 numbers, 9 characters each, are 57 MB.
    pub response_bytes: usize,
}

/// Where one model version is served.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct UpstreamSettings {
    /// The version, exactly.
    pub model: ModelVersionId,
    /// Its servers, at least one.
    pub endpoints: Vec<EndpointSettings>,
    /// For one connection including TLS, in seconds; 5 unless set.
    #[serde(default = "five")]
    pub connect_seconds: u64,
    /// From sending a request to the head of the response, in seconds; 600 unless set.
    ///
    /// A response that is not streamed begins when it is complete; the common SDKs wait 600 s.
    #[serde(default = "ten_minutes")]
    pub first_byte_seconds: u64,
    /// Between two pieces of a response, in seconds; 300 unless set. Models that reason can be silent for minutes.
    #[serde(default = "five_minutes")]
    pub idle_seconds: u64,
    /// Calls that one endpoint carries at once for this process; 1,024 unless set.
    #[serde(default = "thousand")]
    pub in_flight: usize,
    /// Further endpoints to try when a request cannot have been processed; 1 unless set, at most 8.
    #[serde(default = "one")]
    pub retries: u32,
    /// Statuses of a response for which another endpoint is tried, out of 429, 502, 503, 529; 503 unless set.
    ///
    /// The upstream may have worked on the request before it answered so; the call may be charged twice.
    #[serde(default = "unavailable")]
    pub failover_statuses: Vec<u16>,
    /// Failures in a row after which an endpoint is left out for a while; 5 unless set.
    #[serde(default = "five_times")]
    pub eject_after: u32,
    /// A path to `GET` on every endpoint every `health_seconds`, such as `/health`; none unless set.
    #[serde(default)]
    pub health_path: Option<String>,
    /// Between two checks of `health_path`, in seconds; 5 unless set.
    #[serde(default = "five")]
    pub health_seconds: u64,
    /// PEM file of the certificate authorities to trust instead of the operating system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// The origin of the log of the meter in front of those of its servers that name none of their own. They answer nothing
    /// without a ticket; none is sent unless set.
    #[serde(default)]
    pub meter: Option<String>,
}

/// One server of a model version.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointSettings {
    /// Such as `https://models.example.com`; the path of each call, which begins `/v1`, is appended to it.
    ///
    /// Loopback and private addresses are allowed, since an operator wrote them here and no caller can.
    pub url: String,
    /// What it speaks; the OpenAI dialect unless set.
    #[serde(default = "openai")]
    pub dialects: Vec<Dialect>,
    /// The name by which the server knows the model, if not by the model version's id.
    #[serde(default)]
    pub upstream_model: Option<String>,
    /// The environment variable that holds the server's API key.
    #[serde(default)]
    pub api_key_env: Option<String>,
    /// The file that holds the server's API key.
    #[serde(default)]
    pub api_key_file: Option<PathBuf>,
    /// Its share of calls relative to the others, 1 to 1,000; 1 unless set.
    #[serde(default = "one")]
    pub weight: u32,
    /// The origin of the log of the meter in front of this server; the model's unless set. A meter takes the ticket of a
    /// call once: where it passed a call on that failed, no other server behind it is tried.
    #[serde(default)]
    pub meter: Option<String>,
}

/// One thing to correct in the settings.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{at}: {why}")]
pub struct Fault {
    /// The place, such as `upstreams[0].endpoints[1].url`.
    pub at: String,
    /// What is wrong and what to do.
    pub why: String,
}

/// Settings without a fault. Only [`Settings::check`] makes them.
#[derive(Clone, Debug)]
pub struct Checked {
    listen: Vec<SocketAddr>,
    tls: Option<TlsSettings>,
    client_certificates: ClientCertificates,
    credentials: Credentials,
    workers: NonZeroUsize,
    limits: Limits,
    upstreams: Vec<CheckedUpstream>,
    recording: Recording,
    drain: Duration,
}

/// How calls are recorded.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Recording {
    /// No model server is called before the opening entry is durable.
    pub(crate) strict: bool,
    /// Events with output that one entry allows, at least one.
    pub(crate) lease_events: u64,
    /// How bodies are kept, if they are.
    pub(crate) content: Option<Arc<Content>>,
}

/// Where one model version is served, every URL parsed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct CheckedUpstream {
    pub(crate) settings: UpstreamSettings,
    /// As many as `settings.endpoints`, in the same order.
    pub(crate) endpoints: Vec<CheckedEndpoint>,
}

/// One server, its URL parsed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct CheckedEndpoint {
    pub(crate) settings: EndpointSettings,
    pub(crate) url: EndpointUrl,
}

impl Checked {
    /// Returns the addresses to listen on, at least one.
    #[must_use]
    pub fn listen(&self) -> &[SocketAddr] {
        &self.listen
    }

    /// Returns where the certificate lies, if TLS is served.
    #[must_use]
    pub fn tls(&self) -> Option<&TlsSettings> {
        self.tls.as_ref()
    }

    /// Returns whether clients are asked for a certificate.
    #[must_use]
    pub fn client_certificates(&self) -> ClientCertificates {
        self.client_certificates
    }

    /// Returns where clients reach the gateway, if the operator said so.
    #[must_use]
    pub fn external_origin(&self) -> Option<&str> {
        self.credentials.origin.as_deref()
    }

    /// Returns what access tokens for this gateway name as `aud`, if the operator said so.
    #[must_use]
    pub fn resource(&self) -> Option<&str> {
        self.credentials.resource.as_deref()
    }

    pub(crate) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Returns how many threads serve.
    #[must_use]
    pub fn workers(&self) -> NonZeroUsize {
        self.workers
    }

    /// Returns the bounds on what clients may occupy.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Returns how long calls in flight may finish after a shutdown signal.
    #[must_use]
    pub fn drain(&self) -> Duration {
        self.drain
    }

    /// Returns the model versions that have an upstream, in the order of the settings.
    pub fn models(&self) -> impl Iterator<Item = &ModelVersionId> {
        self.upstreams.iter().map(|up| &up.settings.model)
    }

    pub(crate) fn recording(&self) -> &Recording {
        &self.recording
    }

    /// Returns the model versions of which a server is behind a meter.
    pub(crate) fn metered(&self) -> impl Iterator<Item = &ModelVersionId> {
        self.upstreams.iter().filter(|up| up.is_metered()).map(|up| &up.settings.model)
    }

    pub(crate) fn upstreams(&self) -> &[CheckedUpstream] {
        &self.upstreams
    }
}

impl CheckedUpstream {
    fn is_metered(&self) -> bool {
        self.settings.meter.is_some() || self.endpoints.iter().any(|endpoint| endpoint.settings.meter.is_some())
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080)],
            tls: None,
            allow_plaintext: false,
            client_certificates: ClientCertificates::Off,
            trusted_proxies: Vec::new(),
            external_origin: None,
            resource: None,
            tokens: TokenSettings::default(),
            issuers: Vec::new(),
            workers: thread::available_parallelism().map_or(1, |cores| cores.get().min(256)),
            limits: Limits::default(),
            upstreams: Vec::new(),
            strict: false,
            lease_events: 4_096,
            content: None,
            drain_seconds: 30,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 32 << 20,
            header_bytes: 64 << 10,
            header_fields: 128,
            header_seconds: 10,
            body_seconds: 60,
            handshake_seconds: 5,
            idle_seconds: 75,
            write_seconds: 30,
            connections: 10_000,
            h2_streams: 128,
            in_flight: 4_096,
            in_flight_per_caller: 64,
            response_bytes: 64 << 20,
        }
    }
}

impl UpstreamSettings {
    /// Returns `model` served at `endpoints`, everything else as if not set.
    #[must_use]
    pub fn new(model: ModelVersionId, endpoints: Vec<EndpointSettings>) -> Self {
        Self {
            model,
            endpoints,
            connect_seconds: five(),
            first_byte_seconds: ten_minutes(),
            idle_seconds: five_minutes(),
            in_flight: thousand(),
            retries: one(),
            failover_statuses: unavailable(),
            eject_after: five_times(),
            health_path: None,
            health_seconds: five(),
            ca_file: None,
            meter: None,
        }
    }
}

impl EndpointSettings {
    /// Returns the server at `url`, everything else as if not set.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            dialects: openai(),
            upstream_model: None,
            api_key_env: None,
            api_key_file: None,
            weight: one(),
            meter: None,
        }
    }
}

fn one() -> u32 {
    1
}

fn mebibyte() -> usize {
    1 << 20
}

fn five() -> u64 {
    5
}

fn five_times() -> u32 {
    5
}

fn five_minutes() -> u64 {
    300
}

fn ten_minutes() -> u64 {
    600
}

fn thousand() -> usize {
    1_024
}

fn unavailable() -> Vec<u16> {
    vec![503]
}

fn openai() -> Vec<Dialect> {
    vec![Dialect::Openai]
}
