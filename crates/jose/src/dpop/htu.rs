//! The address in a proof, in the one spelling in which two are compared.

use std::fmt::Write;

/// The longest address that is read, in bytes.
const HTU_BYTES_MAX: usize = 2048;

/// The text is not an address that a proof can name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("is not an absolute `http` or `https` address without user information")]
pub struct BadHtu;

/// The address of a request without query and fragment, normalized: scheme and host in lower case, no default port, no
/// dot segments, escapes in capital letters and none where none is needed.
///
/// # Source
///
/// RFC 9449 section 4.3 item 9; RFC 3986 sections 6.2.2 and 6.2.3.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Htu(String);

impl Htu {
    /// Reads an address; query and fragment are cut off.
    ///
    /// # Errors
    ///
    /// [`BadHtu`].
    pub fn parse(text: &str) -> Result<Self, BadHtu> {
        let (scheme, rest) = text.split_once("://").ok_or(BadHtu)?;
        let scheme = scheme.to_ascii_lowercase();
        let default_port = match scheme.as_str() {
            "https" => 443,
            "http" => 80,
            _ => return Err(BadHtu),
        };
        let end = rest.find(['?', '#']).unwrap_or(rest.len());
        let rest = rest.get(..end).filter(|_| text.len() <= HTU_BYTES_MAX).ok_or(BadHtu)?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let authority = authority_of(authority, default_port)?;
        Ok(Self(format!("{scheme}://{authority}{}", path_of(path)?)))
    }

    /// Returns the address in its normal spelling.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn authority_of(text: &str, default_port: u16) -> Result<String, BadHtu> {
    let (host, port) = match text.rfind(':').filter(|at| !text.get(*at..).is_some_and(|tail| tail.contains(']'))) {
        Some(at) => (text.get(..at).unwrap_or_default(), text.get(at..).unwrap_or_default().trim_start_matches(':')),
        None => (text, ""),
    };
    if host.is_empty() || !is_host(host) || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(BadHtu);
    }
    let host = host.to_ascii_lowercase();
    let port = if port.is_empty() { default_port } else { port.parse().map_err(|_| BadHtu)? };
    Ok(if port == default_port { host } else { format!("{host}:{port}") })
}

/// Tells whether this is a name, an IPv4 address, or an IPv6 address in brackets.
fn is_host(host: &str) -> bool {
    match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok()),
        None => host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')),
    }
}

fn path_of(path: &str) -> Result<String, BadHtu> {
    let mut segments: Vec<String> = Vec::new();
    let mut ends_in_slash = true;
    for segment in path.split('/').skip(1) {
        let segment = unescaped(segment)?;
        ends_in_slash = matches!(segment.as_str(), "." | "..");
        match segment.as_str() {
            "." => {}
            ".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    let slash = if ends_in_slash { "/" } else { "" };
    let joined = segments.iter().map(|segment| format!("/{segment}")).collect::<String>();
    Ok(joined + slash)
}

/// Spells a segment with an escape only where one is needed.
fn unescaped(segment: &str) -> Result<String, BadHtu> {
    let mut out = String::new();
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            out.push(Some(byte).filter(|byte| is_path_byte(*byte)).map(char::from).ok_or(BadHtu)?);
            continue;
        }
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16)).ok_or(BadHtu);
        let code = digit(rest.next())? * 16 + digit(rest.next())?;
        match u8::try_from(code) {
            Ok(byte) if is_unreserved(byte) => out.push(char::from(byte)),
            _ => write!(out, "%{code:02X}").map_err(|_| BadHtu)?,
        }
    }
    Ok(out)
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// `pchar` without escapes (RFC 3986 section 3.3).
fn is_path_byte(byte: u8) -> bool {
    is_unreserved(byte) || b"!$&'()*+,;=:@".contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spellings_of_one_address_are_equal() {
        for (text, normal) in [
            ("https://api.example.com", "https://api.example.com/"),
            ("HTTPS://API.Example.COM:443/v1/x?q=1#f", "https://api.example.com/v1/x"),
            ("https://api.example.com:/v1", "https://api.example.com/v1"),
            ("https://api.example.com?x=/y", "https://api.example.com/"),
            ("http://api.example.com:80/a/./b/../c", "http://api.example.com/a/c"),
            ("http://api.example.com:443/", "http://api.example.com:443/"),
            ("https://api.example.com/%7euser/%c3%a9/%2f", "https://api.example.com/~user/%C3%A9/%2F"),
            ("https://api.example.com/a/%2e%2e/b", "https://api.example.com/b"),
            ("https://api.example.com/../..", "https://api.example.com/"),
            ("https://api.example.com/a//b/", "https://api.example.com/a//b/"),
            ("https://[2001:DB8::1]:8443/x", "https://[2001:db8::1]:8443/x"),
        ] {
            assert_eq!(Htu::parse(text).unwrap().as_str(), normal, "{text}");
        }
    }

    #[test]
    fn different_addresses_stay_different() {
        let normal = |text: &str| Htu::parse(text).unwrap();
        for (one, other) in [
            ("https://api.example.com/v1", "https://api.example.com/v1/"),
            ("https://api.example.com/v1", "https://api.example.com/V1"),
            ("https://api.example.com/v1", "http://api.example.com/v1"),
            ("https://api.example.com/v1", "https://api.example.com:8443/v1"),
            ("https://api.example.com/a%2Fb", "https://api.example.com/a/b"),
            ("https://api.example.com/", "https://api.example.com./"),
        ] {
            assert_ne!(normal(one), normal(other), "{one} {other}");
        }
    }

    #[test]
    fn what_is_no_web_address_is_refused() {
        let long = format!("https://api.example.com/{}", "a".repeat(HTU_BYTES_MAX));
        for bad in [
            "",
            "/v1",
            "api.example.com/v1",
            "ftp://api.example.com/",
            "https:///v1",
            "https://user@api.example.com/",
            "https://api.example.com:65536/",
            "https://api.example.com:+1/",
            "https://api example.com/",
            "https://api.example.com/a b",
            "https://api.example.com/%4",
            "https://api.example.com/%zz",
            "https://api.example.com\\@other.example/",
            "https://bücher.example/",
            "https://[::1/",
            "https://a:b:80/",
            &long,
        ] {
            assert_eq!(Htu::parse(bad), Err(BadHtu), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn the_normal_spelling_is_its_own(text in "https?://[a-zA-Z.:0-9\\[\\]]{0,12}(/[a-z%0-9A-F.~é ]{0,6}){0,4}[?#]?") {
            if let Ok(htu) = Htu::parse(&text) {
                prop_assert_eq!(Htu::parse(htu.as_str()), Ok(htu));
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,80}") {
            let _ = Htu::parse(&text);
        }
    }
}
