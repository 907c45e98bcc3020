//! What an operator may set about the data path: as typed in [`Settings`], as meant in [`Checked`].
//!
//! No port is bound and no upstream is called before [`Settings::check`] found nothing to correct.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    path::PathBuf,
    thread,
    time::Duration,
};

use http::{
    Uri,
    uri::{Authority, Scheme},
};
use serde::{Deserialize, Serialize};
use terms::{Dialect, ModelVersionId};

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
    /// Threads that serve calls, 1 to 256; one for each core unless set.
    pub workers: usize,
    /// Bounds on what clients may occupy.
    pub limits: Limits,
    /// Where each model version is served.
    pub upstreams: Vec<UpstreamSettings>,
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
    workers: NonZeroUsize,
    limits: Limits,
    upstreams: Vec<CheckedUpstream>,
    drain: Duration,
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

/// The URL of an endpoint, in parts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct EndpointUrl {
    pub(crate) tls: bool,
    /// The `host` header: with the port only if the URL had one.
    pub(crate) authority: Authority,
    /// A name or an address, an IPv6 address without its brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Empty, or begins with a slash and does not end with one.
    pub(crate) base: String,
}

impl Settings {
    /// Checks everything and returns the settings as meant.
    ///
    /// Reads no file and no environment variable; those are read when the fleet and the listener are built.
    ///
    /// # Errors
    ///
    /// Every [`Fault`] found; nothing may be started, the settings in force stay in force.
    pub fn check(self) -> Result<Checked, Vec<Fault>> {
        let mut faults = Faults::default();
        let workers = NonZeroUsize::new(self.workers).unwrap_or(NonZeroUsize::MIN);
        faults.range("workers", self.workers, 1, 256);
        faults.range("drain_seconds", self.drain_seconds, 0, 3_600);
        check_listen(&self, &mut faults);
        check_limits(&self.limits, &mut faults);
        let upstreams = check_upstreams(self.upstreams, &mut faults);
        faults.none_or(Checked {
            listen: self.listen,
            tls: self.tls,
            workers,
            limits: self.limits,
            upstreams,
            drain: Duration::from_secs(self.drain_seconds),
        })
    }
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

    pub(crate) fn upstreams(&self) -> &[CheckedUpstream] {
        &self.upstreams
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080)],
            tls: None,
            allow_plaintext: false,
            workers: thread::available_parallelism().map_or(1, |cores| cores.get().min(256)),
            limits: Limits::default(),
            upstreams: Vec::new(),
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
        }
    }
}

impl EndpointUrl {
    /// Parses `http` or `https`, a host, perhaps a port and a path; nothing else.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|_| {
            format!("`{text}` is not a URL: write `https://host` or `http://host:port`")
        })?;
        let tls = scheme_is_tls(&uri)?;
        let authority = plain_authority(&uri)?;
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let base = plain_base(&uri)?;
        Ok(Self {
            tls,
            authority,
            host,
            port,
            base,
        })
    }
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.base)
    }
}

fn scheme_is_tls(uri: &Uri) -> Result<bool, String> {
    match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTPS => Ok(true),
        Some(scheme) if *scheme == Scheme::HTTP => Ok(false),
        _ => Err("the scheme is neither `http` nor `https`: write `https://host`".into()),
    }
}

fn plain_authority(uri: &Uri) -> Result<Authority, String> {
    let authority = uri
        .authority()
        .filter(|authority| !authority.host().is_empty());
    let authority = authority.ok_or("the URL has no host: write `https://host`")?;
    if authority.as_str().contains('@') {
        return Err("the URL holds a user or password: use `api_key_env` or `api_key_file`".into());
    }
    let after_host = authority.as_str().strip_prefix(authority.host());
    let bad_port = after_host != Some("") && authority.port_u16().is_none_or(|port| port == 0);
    if bad_port {
        return Err("the port is not between 1 and 65535".into());
    }
    Ok(authority.clone())
}

fn plain_base(uri: &Uri) -> Result<String, String> {
    if uri.query().is_some() {
        return Err(
            "the URL has a query: leave it out, the query of each call is passed on".into(),
        );
    }
    let base = uri.path().trim_end_matches('/');
    if base.split('/').next_back() == Some("v1") {
        return Err(
            "the URL ends in `/v1`: leave it out, the path of each call begins with it".into(),
        );
    }
    if base.split('/').any(|part| part == "." || part == "..") {
        return Err("the path has `.` or `..` in it: write where it leads".into());
    }
    Ok(base.to_owned())
}

#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, at: impl Into<String>, why: impl Into<String>) {
        self.0.push(Fault {
            at: at.into(),
            why: why.into(),
        });
    }

    fn range<N: PartialOrd + fmt::Display>(
        &mut self,
        at: impl Into<String>,
        n: N,
        low: N,
        high: N,
    ) {
        if n < low || n > high {
            self.add(at, format!("{n} is not between {low} and {high}"));
        }
    }

    fn none_or<T>(self, value: T) -> Result<T, Vec<Fault>> {
        if self.0.is_empty() {
            Ok(value)
        } else {
            Err(self.0)
        }
    }
}

fn check_listen(settings: &Settings, faults: &mut Faults) {
    if settings.listen.is_empty() {
        faults.add(
            "listen",
            "is empty: name at least one address, such as `127.0.0.1:8080`",
        );
    }
    let open = settings.tls.is_none() && !settings.allow_plaintext;
    for (n, address) in settings.listen.iter().enumerate() {
        if open && !address.ip().is_loopback() {
            let why = format!(
                "{address} would serve in plaintext: set `tls`, or `allow_plaintext` behind a mesh that encrypts"
            );
            faults.add(format!("listen[{n}]"), why);
        }
        let before = settings.listen.iter().take(n);
        if address.port() != 0 && before.clone().any(|earlier| earlier == address) {
            faults.add(format!("listen[{n}]"), format!("{address} is named twice"));
        }
    }
}

fn check_limits(limits: &Limits, faults: &mut Faults) {
    let at = |name: &str| format!("limits.{name}");
    faults.range(at("body_bytes"), limits.body_bytes, 1_024, 1 << 30);
    faults.range(at("response_bytes"), limits.response_bytes, 1_024, 1 << 30);
    faults.range(at("header_bytes"), limits.header_bytes, 8 << 10, 1 << 20);
    faults.range(at("header_fields"), limits.header_fields, 16, 1_024);
    faults.range(at("header_seconds"), limits.header_seconds, 1, 300);
    faults.range(at("body_seconds"), limits.body_seconds, 1, 3_600);
    faults.range(at("handshake_seconds"), limits.handshake_seconds, 1, 60);
    faults.range(at("idle_seconds"), limits.idle_seconds, 1, 3_600);
    faults.range(at("write_seconds"), limits.write_seconds, 1, 3_600);
    faults.range(at("connections"), limits.connections, 1, 1_000_000);
    faults.range(at("h2_streams"), limits.h2_streams, 1, 10_000);
    faults.range(at("in_flight"), limits.in_flight, 1, 1_000_000);
    let per_caller = limits.in_flight_per_caller;
    faults.range(
        at("in_flight_per_caller"),
        per_caller,
        1,
        limits.in_flight.max(1),
    );
}

fn check_upstreams(upstreams: Vec<UpstreamSettings>, faults: &mut Faults) -> Vec<CheckedUpstream> {
    let mut checked: Vec<CheckedUpstream> = Vec::new();
    for (n, upstream) in upstreams.into_iter().enumerate() {
        let at = format!("upstreams[{n}]");
        if checked
            .iter()
            .any(|earlier| earlier.settings.model == upstream.model)
        {
            faults.add(
                format!("{at}.model"),
                format!(
                    "`{}` is named twice: list its endpoints together",
                    upstream.model
                ),
            );
        }
        check_upstream(&at, &upstream, faults);
        let endpoints = check_endpoints(&at, &upstream.endpoints, faults);
        checked.push(CheckedUpstream {
            settings: upstream,
            endpoints,
        });
    }
    checked
}

fn check_upstream(at: &str, upstream: &UpstreamSettings, faults: &mut Faults) {
    let sub = |name: &str| format!("{at}.{name}");
    faults.range(sub("connect_seconds"), upstream.connect_seconds, 1, 60);
    faults.range(
        sub("first_byte_seconds"),
        upstream.first_byte_seconds,
        1,
        7_200,
    );
    faults.range(sub("idle_seconds"), upstream.idle_seconds, 1, 7_200);
    faults.range(sub("in_flight"), upstream.in_flight, 1, 1_000_000);
    faults.range(sub("retries"), upstream.retries, 0, 8);
    faults.range(sub("eject_after"), upstream.eject_after, 1, 1_000);
    faults.range(sub("health_seconds"), upstream.health_seconds, 1, 3_600);
    for status in &upstream.failover_statuses {
        if ![429, 502, 503, 529].contains(status) {
            faults.add(sub("failover_statuses"), format!("{status} is none of 429, 502, 503, 529: after any other the request may have been processed"));
        }
    }
    let path = upstream.health_path.as_deref();
    if path.is_some_and(|path| !path.starts_with('/') || path.parse::<Uri>().is_err()) {
        faults.add(sub("health_path"), "is not a path: write it as `/health`");
    }
}

fn check_endpoints(
    at: &str,
    endpoints: &[EndpointSettings],
    faults: &mut Faults,
) -> Vec<CheckedEndpoint> {
    if endpoints.is_empty() {
        faults.add(
            format!("{at}.endpoints"),
            "is empty: name at least one server",
        );
    }
    let mut checked = Vec::new();
    for (n, endpoint) in endpoints.iter().enumerate() {
        let at = format!("{at}.endpoints[{n}]");
        check_endpoint(&at, endpoint, faults);
        match EndpointUrl::parse(&endpoint.url) {
            Ok(url) => checked.push(CheckedEndpoint {
                settings: endpoint.clone(),
                url,
            }),
            Err(why) => faults.add(format!("{at}.url"), why),
        }
    }
    checked
}

fn check_endpoint(at: &str, endpoint: &EndpointSettings, faults: &mut Faults) {
    faults.range(format!("{at}.weight"), endpoint.weight, 1, 1_000);
    if endpoint.dialects.is_empty() {
        faults.add(
            format!("{at}.dialects"),
            "is empty: name `openai`, `anthropic` or both",
        );
    }
    if endpoint.api_key_env.is_some() && endpoint.api_key_file.is_some() {
        faults.add(at, "has both `api_key_env` and `api_key_file`: keep one");
    }
    if endpoint
        .upstream_model
        .as_deref()
        .is_some_and(|name| name.is_empty() || name.len() > 256)
    {
        faults.add(
            format!("{at}.upstream_model"),
            "is not 1 to 256 bytes: leave it out if the server knows the model by its id",
        );
    }
}

fn one() -> u32 {
    1
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

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(json: &str) -> Settings {
        serde_json::from_str(json).unwrap()
    }

    fn places(json: &str) -> Vec<String> {
        let faults = settings(json).check().unwrap_err();
        faults.into_iter().map(|fault| fault.at).collect()
    }

    #[test]
    fn nothing_set_is_a_loopback_listener_without_upstreams() {
        let checked = settings("{}").check().unwrap();
        assert_eq!(checked.listen(), ["127.0.0.1:8080".parse().unwrap()]);
        assert_eq!(checked.limits(), &Limits::default());
        assert_eq!(checked.models().count(), 0);
    }

    #[test]
    fn an_unknown_setting_is_refused() {
        assert!(serde_json::from_str::<Settings>(r#"{"listne":[]}"#).is_err());
        assert!(serde_json::from_str::<Settings>(r#"{"limits":{"bodies":1}}"#).is_err());
    }

    #[test]
    fn an_address_that_others_can_reach_needs_tls_or_an_explicit_exception() {
        assert_eq!(
            places(r#"{"listen":["127.0.0.1:1","0.0.0.0:2","[::]:3"]}"#),
            ["listen[1]", "listen[2]"]
        );
        let open = r#"{"listen":["0.0.0.0:2"],"allow_plaintext":true}"#;
        assert!(settings(open).check().is_ok());
        let tls = r#"{"listen":["0.0.0.0:2"],"tls":{"cert_chain":"c","key":"k"}}"#;
        assert!(settings(tls).check().is_ok());
    }

    #[test]
    fn every_fault_is_reported_with_its_place() {
        let json = r#"{
            "listen": [], "workers": 0,
            "limits": {"header_bytes": 100, "in_flight": 2, "in_flight_per_caller": 3},
            "upstreams": [
                {"model": "m", "endpoints": [], "failover_statuses": [500], "health_path": "health"},
                {"model": "m", "endpoints": [
                    {"url": "ftp://a"},
                    {"url": "http://a", "weight": 0, "dialects": [], "api_key_env": "A", "api_key_file": "b"}]}]}"#;
        assert_eq!(
            places(json),
            [
                "workers",
                "listen",
                "limits.header_bytes",
                "limits.in_flight_per_caller",
                "upstreams[0].failover_statuses",
                "upstreams[0].health_path",
                "upstreams[0].endpoints",
                "upstreams[1].model",
                "upstreams[1].endpoints[0].url",
                "upstreams[1].endpoints[1].weight",
                "upstreams[1].endpoints[1].dialects",
                "upstreams[1].endpoints[1]",
            ]
        );
    }

    #[test]
    fn an_endpoint_url_is_taken_apart() {
        let url = EndpointUrl::parse("https://models.example.com/pool/a/").unwrap();
        assert_eq!(
            (url.tls, url.host.as_str(), url.port, url.base.as_str()),
            (true, "models.example.com", 443, "/pool/a")
        );
        let url = EndpointUrl::parse("http://[::1]:9100").unwrap();
        assert_eq!(
            (url.tls, url.host.as_str(), url.port, url.base.as_str()),
            (false, "::1", 9100, "")
        );
        assert_eq!(url.to_string(), "http://[::1]:9100");
    }

    #[test]
    fn an_endpoint_url_of_another_shape_is_refused() {
        for text in [
            "",
            "/v1",
            "models.example.com",
            "file:///etc/passwd",
            "gopher://a",
            "http://",
            "https://u:p@a",
            "http://a:0",
            "http://a:99999",
            "http://a/?x=1",
            "http://a/v1",
            "http://a/v1/",
            "http://a/b/../c",
            "http://a b",
        ] {
            assert!(EndpointUrl::parse(text).is_err(), "{text:?}");
        }
    }
}
