//! Which headers pass between a caller and an upstream.

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Headers of one connection, not of the message.
///
/// # Source
/// RFC 9110 7.6.1, with those that older senders use.
fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Headers of a request that stay here: credentials, who and where the caller is, and what is set anew.
fn stays_here(name: &str) -> bool {
    matches!(
        name,
        "accept-encoding"
            | "api-key"
            | "authorization"
            | "client-cert"
            | "client-cert-chain"
            | "client-ip"
            | "content-length"
            | "cookie"
            | "dpop"
            | "exeat-ticket"
            | "expect"
            | "forwarded"
            | "host"
            | "true-client-ip"
            | "txn-token"
            | "via"
            | "x-api-key"
            | "x-forwarded-for"
            | "x-forwarded-host"
            | "x-forwarded-proto"
            | "x-goog-api-key"
            | "x-real-ip"
    )
}

/// The header of a ticket.
pub(super) const TICKET: HeaderName = HeaderName::from_static(jose::ticket::HEADER);

/// Prefix of headers that are between callers and this gateway.
const OURS: &str = "x-exeat-";

/// Returns the headers of a caller's request that go on to an upstream.
///
/// The caller's credential never does. A compressed response could be neither screened nor metered, so only the
/// identity coding is asked for.
pub(crate) fn to_upstream(from: &HeaderMap) -> HeaderMap {
    let mut to = filtered(from, |name| stays_here(name) || name.starts_with(OURS));
    to.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    to
}

/// Returns the headers of an upstream's response that go on to the caller.
///
/// An upstream has no business with a caller's browser, and none with this gateway's own headers; what is of its own
/// connection and machine is set anew.
pub(crate) fn to_caller(from: &HeaderMap) -> HeaderMap {
    filtered(from, |name| {
        matches!(name, "alt-svc" | "content-length" | "date" | "server" | "set-cookie") || name.starts_with(OURS)
    })
}

fn filtered(from: &HeaderMap, leave_out: impl Fn(&str) -> bool) -> HeaderMap {
    let mut to = HeaderMap::with_capacity(from.len() + 3);
    for (name, value) in from {
        let text = name.as_str();
        if !is_hop_by_hop(text) && !leave_out(text) {
            to.append(name.clone(), value.clone());
        }
    }
    for name in named_by_connection(from) {
        to.remove(name);
    }
    to
}

/// Returns the headers that `connection` declares to be of this connection only; what is no name is passed over.
///
/// # Source
///
/// RFC 9110 section 7.6.1.
pub fn named_by_connection(headers: &HeaderMap) -> impl Iterator<Item = HeaderName> {
    let lists = headers.get_all(header::CONNECTION).into_iter();
    let names = lists.flat_map(|list| list.as_bytes().split(|byte| *byte == b','));
    names.filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn credentials_addresses_and_connection_headers_stay_here_and_the_rest_goes_on() {
        let from = map(&[
            ("authorization", "Bearer a"),
            ("x-api-key", "b"),
            ("cookie", "c"),
            ("proxy-authorization", "d"),
            ("dpop", "e"),
            ("x-forwarded-for", "192.0.2.1"),
            ("host", "gateway"),
            ("content-length", "3"),
            ("transfer-encoding", "chunked"),
            ("te", "trailers"),
            ("connection", "keep-alive, X-Private ,"),
            ("x-private", "1"),
            ("x-exeat-receipt", "1"),
            ("accept-encoding", "gzip"),
            ("anthropic-beta", "new-thing"),
            ("content-type", "application/json"),
        ]);
        let to = to_upstream(&from);
        assert_eq!(
            to,
            map(&[
                ("anthropic-beta", "new-thing"),
                ("content-type", "application/json"),
                ("accept-encoding", "identity")
            ])
        );
    }

    #[test]
    fn a_header_that_occurs_twice_goes_on_twice() {
        let from = map(&[("anthropic-beta", "a"), ("anthropic-beta", "b")]);
        let to = to_upstream(&from);
        assert_eq!(to.get_all("anthropic-beta").iter().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn a_response_brings_no_cookie_no_connection_header_and_no_forged_receipt() {
        let from = map(&[
            ("set-cookie", "a=1"),
            ("connection", "close"),
            ("keep-alive", "timeout=5"),
            ("x-exeat-receipt", "forged"),
            ("x-request-id", "r"),
            ("retry-after", "3"),
        ]);
        assert_eq!(to_caller(&from), map(&[("x-request-id", "r"), ("retry-after", "3")]));
    }
}
