//! What an operator sets about credentials other than plain API keys: who issues tokens, and how they are bound.

use std::{net::IpAddr, path::PathBuf, sync::LazyLock, time::Duration};

use serde::{Deserialize, Serialize};

use super::{EndpointUrl, check::Faults};

/// Whether clients are asked for a certificate in the TLS handshake.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientCertificates {
    /// They are not.
    #[default]
    Off,
    /// They are, and may decline. Any certificate is taken whose key the client proves to hold: it ties a token or key
    /// to that key (RFC 8705) and says nothing else about the client.
    Optional,
}

/// What every access token must show.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TokenSettings {
    /// A scope that every token must hold; none unless set.
    pub scope: Option<String>,
    /// How long ago whoever a token speaks for may have authenticated, in seconds, to count as known on a controlled
    /// model; what the freshness table says unless set, which is 43,200 (12 h) in the one that ships. A token without
    /// `auth_time` is not held to it.
    pub authentication_seconds: Option<u64>,
    /// The authentication contexts (`acr`) that count as known on a controlled model; any unless set.
    pub acr_values: Vec<String>,
    /// How far an issuer's clock may be off, in seconds, either way; 5 unless set, at most 60.
    pub clock_skew_seconds: u64,
    /// Whether a DPoP proof must hold a nonce of this gateway (RFC 9449 section 9); true unless set.
    pub dpop_nonce: bool,
    /// How old a DPoP proof may be, in seconds; 60 unless set, at most 300.
    pub dpop_seconds: u64,
}

/// One issuer whose tokens are taken. The channel of the same name in the registry says for which organization it
/// speaks, and whether it is enabled and alive.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerSettings {
    /// The id of its channel in the registry.
    pub channel: String,
    /// Its `iss`, exactly.
    pub issuer: String,
    /// What its tokens name as `aud`; `server.resource` unless set.
    #[serde(default)]
    pub audience: Option<String>,
    /// Where its keys are; for tokens that are JWTs (RFC 9068).
    #[serde(default)]
    pub jwks_uri: Option<String>,
    /// Between two looks at its keys, in seconds; 300 unless set, 30 to 86,400.
    #[serde(default = "five_minutes")]
    pub refresh_seconds: u64,
    /// How long its keys are used when they cannot be fetched anew, in seconds; 86,400 unless set.
    #[serde(default = "a_day")]
    pub max_stale_seconds: u64,
    /// Whom to ask about its tokens that are not JWTs (RFC 7662).
    #[serde(default)]
    pub introspection: Option<IntrospectionSettings>,
}

/// Whom to ask about opaque tokens.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct IntrospectionSettings {
    /// The endpoint.
    pub endpoint: String,
    /// This gateway's client id there.
    pub client_id: String,
    /// The environment variable that holds its client secret.
    #[serde(default)]
    pub client_secret_env: Option<String>,
    /// The file that holds its client secret.
    #[serde(default)]
    pub client_secret_file: Option<PathBuf>,
    /// How the issuer's opaque tokens begin. With several issuers it tells whom to ask, so that no issuer sees a token
    /// of another; any token unless set.
    #[serde(default)]
    pub prefix: String,
    /// How long an answer is remembered, in seconds; 30 unless set, at most 30.
    #[serde(default = "half_a_minute")]
    pub remember_seconds: u64,
}

/// What an operator set about credentials, without a fault.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Credentials {
    /// Where clients reach the gateway: scheme and authority, the default port left out.
    pub(crate) origin: Option<String>,
    /// What tokens for this gateway name as `aud`.
    pub(crate) resource: Option<String>,
    /// Addresses whose word about a client's address and certificate is believed.
    pub(crate) trusted_proxies: Vec<IpAddr>,
    /// What every token must show.
    pub(crate) tokens: TokenSettings,
    /// Whose tokens are taken.
    pub(crate) issuers: Vec<IssuerSettings>,
}

/// The settings as typed, taken apart.
pub(super) struct Typed {
    pub(super) external_origin: Option<String>,
    pub(super) resource: Option<String>,
    pub(super) trusted_proxies: Vec<IpAddr>,
    pub(super) tokens: TokenSettings,
    pub(super) issuers: Vec<IssuerSettings>,
}

impl Typed {
    /// Finds everything to correct.
    pub(super) fn check(self, faults: &mut Faults) -> Credentials {
        let origin = self.external_origin.as_deref().and_then(|text| match origin(text) {
            Ok(origin) => Some(origin),
            Err(why) => {
                faults.add("external_origin", why);
                None
            }
        });
        if self.external_origin.is_none() && !self.issuers.is_empty() {
            let why = "is not set: tokens need the origin under which clients reach the gateway, such as `https://gateway.example.com`";
            faults.add("external_origin", why);
        }
        check_tokens(&self.tokens, faults);
        check_issuers(&self.issuers, faults);
        Credentials {
            resource: self.resource.or_else(|| origin.clone()),
            origin,
            trusted_proxies: self.trusted_proxies.iter().map(IpAddr::to_canonical).collect(),
            tokens: self.tokens,
            issuers: self.issuers,
        }
    }
}

/// Parses an origin and spells it as a browser would: lower case, without the default port.
fn origin(text: &str) -> Result<String, String> {
    let url = EndpointUrl::parse(text)?;
    if !url.base.is_empty() || text.ends_with('/') {
        return Err(format!("`{text}` is not an origin: leave out the path"));
    }
    let (scheme, default) = if url.tls { ("https", 443) } else { ("http", 80) };
    let host = url.authority.host().to_ascii_lowercase();
    Ok(match url.port == default {
        true => format!("{scheme}://{host}"),
        false => format!("{scheme}://{host}:{}", url.port),
    })
}

fn check_tokens(tokens: &TokenSettings, faults: &mut Faults) {
    let at = |name: &str| format!("tokens.{name}");
    faults.range(at("authentication_seconds"), tokens.authentication().as_secs(), 60, 31 * 86_400);
    faults.range(at("clock_skew_seconds"), tokens.clock_skew_seconds, 0, 60);
    faults.range(at("dpop_seconds"), tokens.dpop_seconds, 5, 300);
    let words = tokens.scope.iter().chain(&tokens.acr_values);
    for word in words.filter(|word| !is_token(word)) {
        faults.add("tokens", format!("`{word}` is not one word of visible characters without quotes"));
    }
}

/// Says whether a word fits into a scope and, quoted, into a header.
///
/// # Source
/// RFC 6749 section 3.3 (scope-token).
fn is_token(word: &str) -> bool {
    !word.is_empty() && word.len() <= 256 && word.bytes().all(|b| (0x21..=0x7e).contains(&b) && b != b'"' && b != b'\\')
}

fn check_issuers(issuers: &[IssuerSettings], faults: &mut Faults) {
    for (n, issuer) in issuers.iter().enumerate() {
        let at = format!("issuers[{n}]");
        check_issuer(&at, issuer, faults);
        let before = issuers.get(..n).unwrap_or_default();
        if before.iter().any(|other| other.issuer == issuer.issuer || other.channel == issuer.channel) {
            faults.add(&at, "its `issuer` or `channel` is named twice: list each issuer once");
        }
        let same = before.iter().any(|other| share_tokens(other, issuer));
        if same {
            faults.add(
                format!("{at}.introspection.prefix"),
                "a token could be of two issuers, and one would see the other's: give each a prefix of its own",
            );
        }
    }
}

fn check_issuer(at: &str, issuer: &IssuerSettings, faults: &mut Faults) {
    let sub = |name: &str| format!("{at}.{name}");
    if let Err(error) = terms::IssuerId::parse(&issuer.channel) {
        faults.add(sub("channel"), error.to_string());
    }
    faults.range(sub("refresh_seconds"), issuer.refresh_seconds, 30, 86_400);
    faults.range(sub("max_stale_seconds"), issuer.max_stale_seconds, issuer.refresh_seconds, 7 * 86_400);
    let urls = [("issuer", Some(&issuer.issuer)), ("jwks_uri", issuer.jwks_uri.as_ref())];
    for (name, url) in urls.into_iter().filter_map(|(name, url)| Some((name, url?))) {
        check_url(sub(name), url, faults);
    }
    if issuer.jwks_uri.is_none() && issuer.introspection.is_none() {
        faults.add(at, "has neither `jwks_uri` nor `introspection`: no token of it could be verified");
    }
    if let Some(asked) = &issuer.introspection {
        check_url(sub("introspection.endpoint"), &asked.endpoint, faults);
        faults.range(sub("introspection.remember_seconds"), asked.remember_seconds, 0, 30);
        if asked.client_secret_env.is_some() == asked.client_secret_file.is_some() {
            faults.add(sub("introspection"), "needs one of `client_secret_env` and `client_secret_file`");
        }
    }
}

fn check_url(at: String, url: &str, faults: &mut Faults) {
    match EndpointUrl::parse(url) {
        Err(why) => faults.add(at, why),
        Ok(url) if !url.tls && !is_loopback(&url.host) => {
            faults.add(at, "is not `https`: whoever is on the way could forge tokens");
        }
        Ok(_) => {}
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

fn share_tokens(one: &IssuerSettings, other: &IssuerSettings) -> bool {
    let (Some(one), Some(other)) = (&one.introspection, &other.introspection) else { return false };
    one.prefix.starts_with(&other.prefix) || other.prefix.starts_with(&one.prefix)
}

impl TokenSettings {
    /// Returns how long ago whoever a token speaks for may have authenticated.
    pub(crate) fn authentication(&self) -> Duration {
        self.authentication_seconds.map_or_else(|| *SHIPPED, Duration::from_secs)
    }

    /// Returns how far an issuer's clock may be off.
    pub(crate) fn skew(&self) -> Duration {
        Duration::from_secs(self.clock_skew_seconds)
    }
}

/// How long an authentication counts by the freshness table that ships.
static SHIPPED: LazyLock<Duration> = LazyLock::new(|| policy::FreshnessTable::bundled().authentication());

impl Default for TokenSettings {
    fn default() -> Self {
        Self {
            scope: None,
            authentication_seconds: None,
            acr_values: Vec::new(),
            clock_skew_seconds: 5,
            dpop_nonce: true,
            dpop_seconds: 60,
        }
    }
}

fn five_minutes() -> u64 {
    300
}

fn a_day() -> u64 {
    86_400
}

fn half_a_minute() -> u64 {
    30
}

#[cfg(test)]
mod tests {
    use crate::config::Settings;

    fn places(json: &str) -> Vec<String> {
        let settings: Settings = serde_json::from_str(json).unwrap();
        settings.check().unwrap_err().into_iter().map(|fault| fault.at).collect()
    }

    #[test]
    fn an_origin_is_spelled_without_its_default_port_and_is_the_resource_unless_set() {
        let settings: Settings = serde_json::from_str(r#"{"external_origin":"https://GW.example.com:443"}"#).unwrap();
        let checked = settings.check().unwrap();
        assert_eq!(checked.credentials().origin.as_deref(), Some("https://gw.example.com"));
        assert_eq!(checked.credentials().resource.as_deref(), Some("https://gw.example.com"));
        assert_eq!(places(r#"{"external_origin":"https://gw.example.com/v1"}"#), ["external_origin"]);
    }

    #[test]
    fn every_fault_of_an_issuer_is_reported_with_its_place() {
        let json = r#"{
            "tokens": {"scope": "a b", "dpop_seconds": 1},
            "issuers": [
                {"channel": "a", "issuer": "http://idp.example"},
                {"channel": "b", "issuer": "https://b.example", "introspection":
                    {"endpoint": "https://b.example/i", "client_id": "c", "client_secret_env": "S", "prefix": "x"}},
                {"channel": "b", "issuer": "https://c.example", "introspection":
                    {"endpoint": "https://c.example/i", "client_id": "c", "prefix": "xy"}}]}"#;
        assert_eq!(
            places(json),
            [
                "external_origin",
                "tokens.dpop_seconds",
                "tokens",
                "issuers[0].issuer",
                "issuers[0]",
                "issuers[2].introspection",
                "issuers[2]",
                "issuers[2].introspection.prefix",
            ]
        );
    }
}
