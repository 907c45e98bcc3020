//! The URL of an endpoint.

use std::fmt;

use http::{
    Uri,
    uri::{Authority, Scheme},
};

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

impl EndpointUrl {
    /// Parses `http` or `https`, a host, perhaps a port and a path; nothing else.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let uri: Uri =
            text.parse().map_err(|_| format!("`{text}` is not a URL: write `https://host` or `http://host:port`"))?;
        let tls = scheme_is_tls(&uri)?;
        let authority = plain_authority(&uri)?;
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let base = plain_base(&uri)?;
        Ok(Self { tls, authority, host, port, base })
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
    let authority = uri.authority().filter(|authority| !authority.host().is_empty());
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
        return Err("the URL has a query: leave it out, the query of each call is passed on".into());
    }
    let base = uri.path().trim_end_matches('/');
    if base.split('/').next_back() == Some("v1") {
        return Err("the URL ends in `/v1`: leave it out, the path of each call begins with it".into());
    }
    if base.split('/').any(|part| part == "." || part == "..") {
        return Err("the path has `.` or `..` in it: write where it leads".into());
    }
    Ok(base.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_url_is_taken_apart() {
        let url = EndpointUrl::parse("https://models.example.com/pool/a/").unwrap();
        assert_eq!(
            (url.tls, url.host.as_str(), url.port, url.base.as_str()),
            (true, "models.example.com", 443, "/pool/a")
        );
        let url = EndpointUrl::parse("http://[::1]:9100").unwrap();
        assert_eq!((url.tls, url.host.as_str(), url.port, url.base.as_str()), (false, "::1", 9100, ""));
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
