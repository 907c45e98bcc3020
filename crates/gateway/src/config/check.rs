//! Finds everything to correct in the settings.

use std::{fmt, num::NonZeroUsize, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use http::Uri;

use super::{
    Checked, CheckedEndpoint, CheckedUpstream, ClientCertificates, ContentSettings, EndpointSettings, EndpointUrl,
    Fault, Limits, Recording, Settings, UpstreamSettings, credentials::Typed,
};

use crate::content::{self, Content};

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
        faults.range("lease_events", self.lease_events, 1, 1 << 30);
        check_listen(&self, &mut faults);
        check_limits(&self.limits, &mut faults);
        let typed = Typed {
            external_origin: self.external_origin,
            resource: self.resource,
            trusted_proxies: self.trusted_proxies,
            tokens: self.tokens,
            issuers: self.issuers,
        };
        let credentials = typed.check(&mut faults);
        let content = self.content.and_then(|content| check_content(&content, &mut faults));
        let upstreams = check_upstreams(self.upstreams, &mut faults);
        faults.none_or(Checked {
            listen: self.listen,
            tls: self.tls,
            client_certificates: self.client_certificates,
            credentials,
            workers,
            limits: self.limits,
            upstreams,
            recording: Recording {
                strict: self.strict,
                lease_events: self.lease_events,
                content: content.map(Arc::new),
            },
            drain: Duration::from_secs(self.drain_seconds),
        })
    }
}

/// What was found so far.
#[derive(Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    pub(super) fn add(&mut self, at: impl Into<String>, why: impl Into<String>) {
        self.0.push(Fault { at: at.into(), why: why.into() });
    }

    pub(super) fn range<N: PartialOrd + fmt::Display>(&mut self, at: impl Into<String>, n: N, low: N, high: N) {
        if n < low || n > high {
            self.add(at, format!("{n} is not between {low} and {high}"));
        }
    }

    fn none_or<T>(self, value: T) -> Result<T, Vec<Fault>> {
        if self.0.is_empty() { Ok(value) } else { Err(self.0) }
    }
}

fn check_listen(settings: &Settings, faults: &mut Faults) {
    if settings.listen.is_empty() {
        faults.add("listen", "is empty: name at least one address, such as `127.0.0.1:8080`");
    }
    if settings.tls.is_none() && settings.client_certificates == ClientCertificates::Optional {
        faults.add("client_certificates", "needs `tls`: behind a proxy that ends TLS, name it in `trusted_proxies`");
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
    faults.range(at("in_flight_per_caller"), per_caller, 1, limits.in_flight.max(1));
}

fn check_content(settings: &ContentSettings, faults: &mut Faults) -> Option<Content> {
    faults.range("content.max_bytes", settings.max_bytes, 1 << 10, 4 << 20);
    let key = STANDARD.decode(&settings.escrow_key).ok().and_then(|key| <[u8; 32]>::try_from(key).ok());
    let content =
        key.filter(content::is_usable).map(|escrow_key| Content { escrow_key, max_bytes: settings.max_bytes });
    if content.is_none() {
        faults.add("content.escrow_key", "is not an X25519 public key: 32 bytes in base64, with padding");
    }
    content
}

fn check_upstreams(upstreams: Vec<UpstreamSettings>, faults: &mut Faults) -> Vec<CheckedUpstream> {
    let mut checked: Vec<CheckedUpstream> = Vec::new();
    for (n, upstream) in upstreams.into_iter().enumerate() {
        let at = format!("upstreams[{n}]");
        if checked.iter().any(|earlier| earlier.settings.model == upstream.model) {
            faults.add(
                format!("{at}.model"),
                format!("`{}` is named twice: list its endpoints together", upstream.model),
            );
        }
        check_upstream(&at, &upstream, faults);
        let endpoints = check_endpoints(&at, &upstream.endpoints, faults);
        checked.push(CheckedUpstream { settings: upstream, endpoints });
    }
    checked
}

fn check_upstream(at: &str, upstream: &UpstreamSettings, faults: &mut Faults) {
    let sub = |name: &str| format!("{at}.{name}");
    faults.range(sub("connect_seconds"), upstream.connect_seconds, 1, 60);
    faults.range(sub("first_byte_seconds"), upstream.first_byte_seconds, 1, 7_200);
    faults.range(sub("idle_seconds"), upstream.idle_seconds, 1, 7_200);
    faults.range(sub("in_flight"), upstream.in_flight, 1, 1_000_000);
    faults.range(sub("retries"), upstream.retries, 0, 8);
    faults.range(sub("eject_after"), upstream.eject_after, 1, 1_000);
    faults.range(sub("health_seconds"), upstream.health_seconds, 1, 3_600);
    for status in &upstream.failover_statuses {
        if ![429, 502, 503, 529].contains(status) {
            faults.add(
                sub("failover_statuses"),
                format!("{status} is none of 429, 502, 503, 529: after any other the request may have been processed"),
            );
        }
    }
    check_meter(sub("meter"), upstream.meter.as_deref(), faults);
    let path = upstream.health_path.as_deref();
    if path.is_some_and(|path| !path.starts_with('/') || path.parse::<Uri>().is_err()) {
        faults.add(sub("health_path"), "is not a path: write it as `/health`");
    }
}

fn check_meter(at: String, meter: Option<&str>, faults: &mut Faults) {
    if meter.is_some_and(|origin| !is_origin(origin)) {
        faults.add(at, "is not the origin of a log: write it as `meter.example.com/exeat/1`");
    }
}

/// Returns true for what can name a log: a URL without a scheme, of at most 256 bytes.
fn is_origin(text: &str) -> bool {
    let odd = |byte: u8| !byte.is_ascii_graphic() || byte == b'+';
    (1..=256).contains(&text.len()) && !text.bytes().any(odd) && !text.contains("://")
}

fn check_endpoints(at: &str, endpoints: &[EndpointSettings], faults: &mut Faults) -> Vec<CheckedEndpoint> {
    if endpoints.is_empty() {
        faults.add(format!("{at}.endpoints"), "is empty: name at least one server");
    }
    let mut checked = Vec::new();
    for (n, endpoint) in endpoints.iter().enumerate() {
        let at = format!("{at}.endpoints[{n}]");
        check_endpoint(&at, endpoint, faults);
        match EndpointUrl::parse(&endpoint.url) {
            Ok(url) => checked.push(CheckedEndpoint { settings: endpoint.clone(), url }),
            Err(why) => faults.add(format!("{at}.url"), why),
        }
    }
    checked
}

fn check_endpoint(at: &str, endpoint: &EndpointSettings, faults: &mut Faults) {
    faults.range(format!("{at}.weight"), endpoint.weight, 1, 1_000);
    check_meter(format!("{at}.meter"), endpoint.meter.as_deref(), faults);
    if endpoint.dialects.is_empty() {
        faults.add(format!("{at}.dialects"), "is empty: name `openai`, `anthropic` or both");
    }
    if endpoint.api_key_env.is_some() && endpoint.api_key_file.is_some() {
        faults.add(at, "has both `api_key_env` and `api_key_file`: keep one");
    }
    if endpoint.upstream_model.as_deref().is_some_and(|name| name.is_empty() || name.len() > 256) {
        faults.add(
            format!("{at}.upstream_model"),
            "is not 1 to 256 bytes: leave it out if the server knows the model by its id",
        );
    }
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
        assert_eq!(places(r#"{"listen":["127.0.0.1:1","0.0.0.0:2","[::]:3"]}"#), ["listen[1]", "listen[2]"]);
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
                    {"url": "http://a", "weight": 0, "meter": "https://a", "dialects": [], "api_key_env": "A", "api_key_file": "b"}]}]}"#;
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
                "upstreams[1].endpoints[1].meter",
                "upstreams[1].endpoints[1].dialects",
                "upstreams[1].endpoints[1]",
            ]
        );
    }
}
