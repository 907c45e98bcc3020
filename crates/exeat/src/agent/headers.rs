//! Which header fields pass through the agent.

use gateway::named_by_connection;
use http::HeaderMap;

/// Returns the fields of a caller's request that go on to the gateway. What holds the local secret or what the agent sets
/// itself does not.
pub(super) fn to_gateway(from: &HeaderMap) -> HeaderMap {
    passing(from, |name| {
        matches!(name, "api-key" | "authorization" | "content-length" | "dpop" | "expect" | "host" | "x-api-key")
    })
}

/// Returns the fields of the gateway's answer that go on to the caller. The nonce is between the agent and the gateway.
pub(super) fn to_caller(from: &HeaderMap) -> HeaderMap {
    passing(from, |name| name == "dpop-nonce")
}

fn passing(from: &HeaderMap, stays_here: impl Fn(&str) -> bool) -> HeaderMap {
    let mut to = from.clone();
    for name in from.keys().filter(|name| is_of_the_connection(name.as_str()) || stays_here(name.as_str())) {
        to.remove(name);
    }
    for name in named_by_connection(from) {
        to.remove(name);
    }
    to
}

/// Returns true for a field of one connection, not of the message.
///
/// # Source
/// RFC 9110 section 7.6.1, and section 11.7 for what speaks to a proxy.
fn is_of_the_connection(name: &str) -> bool {
    matches!(name, "connection" | "keep-alive" | "te" | "trailer" | "transfer-encoding" | "upgrade")
        || name.starts_with("proxy-")
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    const OF_THE_CONNECTION: [(&str, &str); 10] = [
        ("connection", "keep-alive, X-Private ,"),
        ("connection", "x-other"),
        ("keep-alive", "timeout=5"),
        ("proxy-authorization", "Basic a"),
        ("proxy-connection", "keep-alive"),
        ("te", "trailers"),
        ("trailer", "x-sum"),
        ("upgrade", "websocket"),
        ("x-private", "1"),
        ("x-other", "2"),
    ];

    #[test]
    fn neither_the_local_secret_nor_fields_of_the_connection_go_on_to_the_gateway() {
        let stays = [
            ("authorization", "Bearer secret"),
            ("x-api-key", "secret"),
            ("api-key", "secret"),
            ("dpop", "proof"),
            ("host", "127.0.0.1:8085"),
            ("content-length", "3"),
            ("expect", "100-continue"),
        ];
        let goes = [
            ("anthropic-version", "2023-06-01"),
            ("content-type", "application/json"),
            ("accept", "a"),
            ("accept", "b"),
        ];
        let all = [&stays[..], &OF_THE_CONNECTION, &goes].concat();
        assert_eq!(to_gateway(&map(&all)), map(&goes));
    }

    #[test]
    fn neither_the_nonce_nor_fields_of_the_connection_go_back_to_the_caller() {
        let goes = [("content-type", "text/event-stream"), ("x-exeat-receipt", "1"), ("retry-after", "2")];
        let stays = [("dpop-nonce", "n"), ("transfer-encoding", "chunked"), ("proxy-authenticate", "Basic")];
        let all = [&stays[..], &OF_THE_CONNECTION, &goes].concat();
        assert_eq!(to_caller(&map(&all)), map(&goes));
    }
}
