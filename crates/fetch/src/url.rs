//! The URL of a request, strictly.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use http::uri::PathAndQuery;

/// Bytes of a URL; what is longer is refused by many servers as well.
const MAX_BYTES: usize = 2_048;
/// Bytes of a name in the DNS (RFC 1035 2.3.4), without the root's dot.
const MAX_NAME_BYTES: usize = 253;
/// Bytes of one label of such a name.
const MAX_LABEL_BYTES: usize = 63;

/// The text is not a URL that can be asked.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{text}` {why}: write `https://host/path`")]
pub struct BadUrl {
    /// What was given, at most 200 characters of it.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

/// An absolute `https` or `http` URL: a host, perhaps a port, a path, perhaps a query; no user, no password, no
/// fragment. The scheme and the host are in lower case. Whether it may be asked is for the client's rule to say.
#[derive(Clone, Eq, Ord, PartialEq, PartialOrd)]
pub struct Url {
    text: String,
    tls: bool,
    host: Host,
    port: u16,
    /// Where the path begins in `text`.
    path_at: usize,
}

/// A host as a URL has it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Host {
    /// A name of the DNS.
    Name(String),
    /// An address, in brackets if IPv6.
    Address(IpAddr),
}

impl Url {
    /// Parses a URL. A missing path becomes `/`.
    ///
    /// # Errors
    ///
    /// [`BadUrl`] says what is wrong; whoever wrote the URL must correct it.
    ///
    /// # Source
    /// RFC 3986 3; RFC 9110 4.2.4 (user information is refused).
    pub fn parse(text: &str) -> Result<Self, BadUrl> {
        parse(text).map_err(|why| BadUrl { text: text.chars().take(200).collect(), why })
    }

    /// Returns the URL as text, as it was parsed but for the path that may have been missing.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns true for `https`.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// Returns the host and, where the URL has one, the port: what the `host` header says.
    #[must_use]
    pub fn authority(&self) -> &str {
        let scheme = if self.tls { "https://" } else { "http://" };
        self.text.get(scheme.len()..self.path_at).unwrap_or_default()
    }

    /// Returns the path and the query; begins with a slash.
    #[must_use]
    pub fn path_and_query(&self) -> &str {
        self.text.get(self.path_at..).unwrap_or("/")
    }

    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Url {
    type Err = BadUrl;
    fn from_str(text: &str) -> Result<Self, BadUrl> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Url {
    type Error = BadUrl;
    fn try_from(text: String) -> Result<Self, BadUrl> {
        Self::parse(&text)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(address) => address.fmt(f),
        }
    }
}

fn parse(text: &str) -> Result<Url, &'static str> {
    if text.len() > MAX_BYTES {
        return Err("is longer than 2048 bytes");
    }
    if !text.bytes().all(is_url_byte) {
        return Err("holds a character that a URL cannot hold");
    }
    let (tls, rest) = split_scheme(text)?;
    if rest.contains('#') {
        return Err("has a fragment");
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).ok_or("is not a URL")?;
    let (host, port) = split_authority(authority)?;
    let host = parse_host(host)?;
    let port = port.unwrap_or(if tls { 443 } else { 80 });
    let slash = if path.starts_with('/') { "" } else { "/" };
    PathAndQuery::from_str(&format!("{slash}{path}")).map_err(|_| "has a path that cannot be sent")?;
    let start = text.strip_suffix(path).unwrap_or(text);
    Ok(Url { text: format!("{start}{slash}{path}"), tls, host, port, path_at: start.len() })
}

/// Printable ASCII without what RFC 3986 leaves out of every part of a URL.
fn is_url_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !br#""<>\^`{|}"#.contains(&byte)
}

fn split_scheme(text: &str) -> Result<(bool, &str), &'static str> {
    match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => Ok((true, rest)),
        (_, Some(rest)) => Ok((false, rest)),
        _ => Err("has neither the scheme `https` nor `http`, in lower case"),
    }
}

fn split_authority(authority: &str) -> Result<(&str, Option<u16>), &'static str> {
    if authority.contains('@') {
        return Err("holds a user or a password");
    }
    let after_address = authority.find(']').map_or(0, |at| at + 1);
    let colon = authority.get(after_address..).and_then(|rest| rest.find(':'));
    match colon.and_then(|at| authority.split_at_checked(after_address + at)) {
        None => Ok((authority, None)),
        Some((host, port)) => Ok((host, Some(parse_port(port)?))),
    }
}

fn parse_port(with_colon: &str) -> Result<u16, &'static str> {
    let digits = with_colon.strip_prefix(':').unwrap_or_default();
    let plain = !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
    let port = plain.then(|| digits.parse().ok()).flatten();
    port.ok_or("has a port that is not between 1 and 65535")
}

fn parse_host(text: &str) -> Result<Host, &'static str> {
    if let Some(address) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let address = address.parse::<Ipv6Addr>().map_err(|_| "has brackets around what is no IPv6 address")?;
        return Ok(Host::Address(address.into()));
    }
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Ok(Host::Address(address.into()));
    }
    is_name(text)?;
    Ok(Host::Name(text.to_owned()))
}

/// Accepts a name of the DNS in lower case. What ends in a number is no name: some resolvers would read `127.1` or
/// `0x7f000001` as an address.
pub(crate) fn is_name(text: &str) -> Result<(), &'static str> {
    let label_byte = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    let is_label = |label: &str| (1..=MAX_LABEL_BYTES).contains(&label.len()) && label.bytes().all(label_byte);
    if text.len() > MAX_NAME_BYTES || !text.split('.').all(is_label) {
        return Err("has no host that is an address or a name in lower case");
    }
    let last = text.rsplit('.').next().unwrap_or_default();
    let hexadecimal = last.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if hexadecimal || last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("has a host that ends in a number and is no IPv4 address");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let url = Url::parse("https://idp.example:8443/.well-known/jwks?x=1").unwrap();
        assert_eq!((url.is_tls(), url.authority(), url.port()), (true, "idp.example:8443", 8443));
        assert_eq!(url.path_and_query(), "/.well-known/jwks?x=1");
        assert_eq!(url.host(), &Host::Name("idp.example".into()));
        let url = Url::parse("http://[::1]").unwrap();
        assert_eq!((url.is_tls(), url.authority(), url.port(), url.as_str()), (false, "[::1]", 80, "http://[::1]/"));
        assert_eq!(Url::parse("https://a.example?q=/").unwrap().path_and_query(), "/?q=/");
    }

    #[test]
    fn what_could_lead_elsewhere_than_it_seems_is_no_url() {
        for text in [
            "",
            "/keys",
            "idp.example",
            "file:///etc/passwd",
            "gopher://idp.example",
            "HTTPS://idp.example",
            "https:/idp.example",
            "https://",
            "https:///keys",
            "https://user@idp.example",
            "https://user:word@idp.example",
            "https://idp.example@10.0.0.1",
            "https://idp.example#@10.0.0.1",
            "https://idp.example/#x",
            "https://idp.example\\@10.0.0.1",
            "https://idp.example:0",
            "https://idp.example:",
            "https://idp.example:+1",
            "https://idp.example:0443",
            "https://idp.example:65536",
            "https://idp.example:1:2",
            "https://IDP.example",
            "https://idp.example.",
            "https://.idp.example",
            "https://idp..example",
            "https://idp.éxample",
            "https://idp%2eexample",
            "https://127.1",
            "https://2130706433",
            "https://0x7f000001",
            "https://0177.0.0.1",
            "https://1.2.3.4.5",
            "https://a.0x1",
            "https://[::1",
            "https://[::1]x",
            "https://[fe80::1%25eth0]",
            "https://[1.2.3.4]",
            "https://::1",
            "https://idp.example/a b",
            "https://idp.example/a\r\nhost: x",
            "https://idp.example/a\0",
        ] {
            assert!(Url::parse(text).is_err(), "{text:?}");
        }
        assert!(Url::parse(&format!("https://a.example/{}", "x".repeat(MAX_BYTES))).is_err());
        assert!(Url::parse(&format!("https://{}.example/", "x".repeat(64))).is_err());
    }

    proptest! {
        #[test]
        fn what_parses_is_written_back_and_parses_alike(text in "https?://[a-z0-9.:@\\[\\]-]{0,20}[/?#a-z0-9]{0,12}") {
            if let Ok(url) = Url::parse(&text) {
                prop_assert_eq!(&Url::parse(url.as_str()).unwrap(), &url);
                prop_assert!(url.as_str() == text || url.as_str().replacen('/', "", 3) == text.replacen('/', "", 2));
                let seen: http::Uri = url.as_str().parse().unwrap();
                prop_assert_eq!(seen.authority().unwrap().as_str(), url.authority());
                prop_assert_eq!(seen.path_and_query().unwrap().as_str(), url.path_and_query());
            }
        }
    }
}
