//! The address of a client behind a proxy: as the proxy says, and nobody else.

use std::net::{IpAddr, SocketAddr};

use http::{
    HeaderMap, HeaderName,
    header::{FORWARDED, GetAll},
};

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Hops that are looked at, from the nearest on; whoever is farther away is not found.
const HOPS_MAX: usize = 32;

/// Returns the address of the client: where the connection comes from, or, if that is a trusted proxy, the nearest address
/// that it or a trusted proxy before it passed on and that is no trusted proxy's.
///
/// It is the proxy's own where it passed on nothing that can be read, or where `Forwarded` and `X-Forwarded-For` name
/// different clients: a proxy writes one of them and lets the other through as the client made it up.
///
/// # Source
/// RFC 7239 sections 4, 5.2 and 6.
pub(crate) fn client_address(headers: &HeaderMap, peer: IpAddr, trusted: &[IpAddr]) -> IpAddr {
    if !trusted.contains(&peer) {
        return peer;
    }
    let (standard, older) = (headers.get_all(FORWARDED), headers.get_all(&X_FORWARDED_FOR));
    let standard = named(&standard).then(|| nearest(&standard, forwarded_for, trusted));
    let older = named(&older).then(|| nearest(&older, node, trusted));
    let found = match (standard, older) {
        (Some(one), Some(other)) => one.filter(|_| one == other),
        (one, other) => one.or(other).flatten(),
    };
    found.unwrap_or(peer)
}

fn named(values: &GetAll<'_, http::HeaderValue>) -> bool {
    values.iter().next().is_some()
}

/// Returns the nearest hop that is no trusted proxy; `None` if a hop before it cannot be read.
fn nearest(
    values: &GetAll<'_, http::HeaderValue>,
    read: impl Fn(&str) -> Option<IpAddr>,
    trusted: &[IpAddr],
) -> Option<IpAddr> {
    let mut hops = values.iter().rev().flat_map(|value| value.to_str().unwrap_or("?").rsplit(',')).take(HOPS_MAX);
    hops.find_map(|hop| match read(hop.trim()) {
        Some(proxy) if trusted.contains(&proxy) => None,
        found => Some(found),
    })?
}

/// Reads the one `for` of an element of `Forwarded`.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
    let mut named = pairs.filter(|(name, _)| name.eq_ignore_ascii_case("for")).map(|(_, value)| value);
    let (value, None) = (named.next()?, named.next()) else { return None };
    match value.strip_prefix('"') {
        Some(quoted) => node(quoted.strip_suffix('"')?),
        None => node(value),
    }
}

/// Reads an address, with or without a port; an IPv6 address may stand in brackets.
fn node(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().or_else(|_| text.parse().map(|socket: SocketAddr| socket.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: [u8; 4] = [10, 0, 0, 1];
    const OUTER: [u8; 4] = [10, 0, 0, 2];
    const CLIENT: [u8; 4] = [192, 0, 2, 7];

    fn found(peer: [u8; 4], pairs: &[(&'static str, &str)]) -> IpAddr {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        client_address(&headers, peer.into(), &[PROXY.into(), OUTER.into()])
    }

    #[test]
    fn nobody_but_a_trusted_proxy_says_where_a_client_is() {
        let said = [("forwarded", "for=192.0.2.7"), ("x-forwarded-for", "192.0.2.7")];
        assert_eq!(found([203, 0, 113, 9], &said), IpAddr::from([203, 0, 113, 9]));
        assert_eq!(found(PROXY, &said), IpAddr::from(CLIENT));
        assert_eq!(found(PROXY, &[]), IpAddr::from(PROXY));
    }

    #[test]
    fn the_nearest_address_that_is_no_trusted_proxys_is_the_clients_whatever_it_made_up_before() {
        for pairs in [
            &[("x-forwarded-for", "198.51.100.1, 192.0.2.7")][..],
            &[("x-forwarded-for", "198.51.100.1, 192.0.2.7, 10.0.0.2")],
            &[("x-forwarded-for", "198.51.100.1"), ("x-forwarded-for", "192.0.2.7 ,10.0.0.2")],
            &[("x-forwarded-for", "junk, 192.0.2.7:4711")],
            &[("forwarded", "for=198.51.100.1, For=192.0.2.7;proto=https;by=10.0.0.1")],
            &[("forwarded", "for=\"192.0.2.7:4711\", for=10.0.0.2")],
            &[("forwarded", "proto=https; for=\"[::ffff:192.0.2.7]\"")],
        ] {
            assert_eq!(found(PROXY, pairs), IpAddr::from(CLIENT), "{pairs:?}");
        }
        let v6 = IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 7]);
        for value in ["for=\"[2001:db8::7]\"", "for=\"[2001:DB8::7]:4711\""] {
            assert_eq!(found(PROXY, &[("forwarded", value)]), v6, "{value}");
        }
        assert_eq!(found(PROXY, &[("x-forwarded-for", "2001:db8::7")]), v6);
    }

    #[test]
    fn where_the_nearest_hop_is_hidden_or_the_headers_differ_it_is_the_proxys() {
        for pairs in [
            &[("x-forwarded-for", "192.0.2.7, unknown")][..],
            &[("x-forwarded-for", "192.0.2.7,")],
            &[("x-forwarded-for", "10.0.0.2, 10.0.0.1")],
            &[("forwarded", "for=192.0.2.7, for=_hidden")],
            &[("forwarded", "for=192.0.2.7, proto=https")],
            &[("forwarded", "for=192.0.2.7;for=198.51.100.1")],
            &[("forwarded", "for=\"192.0.2.7")],
            &[("forwarded", "for=198.51.100.1"), ("x-forwarded-for", "192.0.2.7")],
            &[("forwarded", "for=_hidden"), ("x-forwarded-for", "192.0.2.7")],
        ] {
            assert_eq!(found(PROXY, pairs), IpAddr::from(PROXY), "{pairs:?}");
        }
    }

    #[test]
    fn hops_without_end_are_not_followed() {
        let chain = format!("192.0.2.7{}", ", 10.0.0.2".repeat(HOPS_MAX));
        assert_eq!(found(PROXY, &[("x-forwarded-for", &chain)]), IpAddr::from(PROXY));
    }
}
