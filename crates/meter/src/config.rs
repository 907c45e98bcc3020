//! What an operator says about a meter, as typed.

use std::{net::SocketAddr, path::PathBuf};

use serde::Deserialize;
use terms::ModelVersionId;

/// The configuration of a meter.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The name of the meter's log, and the `aud` of the tickets it takes: a URL without a scheme.
    pub origin: String,
    /// Where the log and its key are kept.
    pub data_dir: PathBuf,
    /// Where gateways call.
    pub listen: SocketAddr,
    /// The server's side of TLS; plaintext without.
    #[serde(default)]
    pub tls: Option<TlsSettings>,
    /// Allows plaintext on another than a loopback address, for a mesh that encrypts by itself.
    #[serde(default)]
    pub allow_plaintext: bool,
    /// The model server.
    pub upstream: UpstreamSettings,
    /// The gateways whose tickets are taken.
    pub issuers: Vec<IssuerSettings>,
    /// Versions that the model server knows by another name.
    #[serde(default)]
    pub models: Vec<ModelSettings>,
    /// Who may ask what was counted; nobody without.
    #[serde(default)]
    pub reconciliation: Option<ReconciliationSettings>,
    /// What a request may take.
    #[serde(default)]
    pub limits: Limits,
    /// How long calls under way may go on once the meter is asked to stop, in seconds.
    #[serde(default = "thirty")]
    pub drain_seconds: u64,
}

fn thirty() -> u64 {
    30
}

/// The server's side of TLS.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// The certificate and those that lead to its authority, in PEM form.
    pub cert_chain: PathBuf,
    /// The private key, in PEM form.
    pub key: PathBuf,
}

/// The model server behind the meter.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpstreamSettings {
    /// Its URL; paths are appended to what path it has.
    pub url: String,
    /// The authorities to trust, in PEM form, in place of the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// For a connection, in seconds; 5 unless set.
    #[serde(default = "five")]
    pub connect_seconds: u64,
    /// From the request to the head of the response, in seconds; 600 unless set.
    #[serde(default = "ten_minutes")]
    pub first_byte_seconds: u64,
    /// Between two pieces of a response, in seconds; 120 unless set.
    #[serde(default = "two_minutes")]
    pub idle_seconds: u64,
}

fn five() -> u64 {
    5
}

fn ten_minutes() -> u64 {
    600
}

fn two_minutes() -> u64 {
    120
}

/// A gateway whose tickets are taken.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerSettings {
    /// The origin of its log: the `iss` of its tickets.
    pub origin: String,
    /// The file of its public ticket key, as a JWK.
    pub ticket_key_file: PathBuf,
    /// The verifier key of its log, under which its half of a reconciliation is signed; none are logged without.
    #[serde(default)]
    pub log_vkey: Option<String>,
}

/// A version that the model server knows by another name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSettings {
    /// The version, as tickets name it.
    pub id: ModelVersionId,
    /// The name in the bodies of requests.
    pub known_as: String,
}

/// Who may ask what was counted.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReconciliationSettings {
    /// The file of the secret that the gateway shows as a bearer token: 32 to 256 characters.
    pub secret_file: PathBuf,
}

/// What a request may take.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Bytes of the body of a request.
    pub body_bytes: usize,
    /// Seconds from the head of a request to the end of its body.
    pub body_seconds: u64,
    /// Bytes of the head of a request.
    pub header_bytes: usize,
    /// Bytes of a response that is not a stream: it is held until it is counted.
    pub response_bytes: usize,
    /// Calls under way at a time.
    pub in_flight: usize,
    /// Connections at a time.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 32 << 20,
            body_seconds: 60,
            header_bytes: 64 << 10,
            response_bytes: 64 << 20,
            in_flight: 4_096,
            connections: 4_096,
        }
    }
}
