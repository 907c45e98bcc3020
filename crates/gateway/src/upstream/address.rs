//! Addresses that no upstream may have, whatever its name resolves to.
//!
//! An operator writes the URLs, so loopback and private addresses are allowed. But a name may come to resolve to
//! an address that hands out a machine's own credentials, and that is refused at every connection.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The instance metadata service of one cloud, outside of the link-local range.
///
/// # Source
/// Amazon EC2 user guide, "Access instance metadata": `fd00:ec2::254`.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// The instance metadata service of another, in the shared address space of RFC 6598.
///
/// # Source
/// Alibaba Cloud ECS user guide, "Instance metadata": `100.100.100.200`.
const METADATA_V4: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);

/// Returns why no connection to `address` may be made, if so.
pub(crate) fn forbidden(address: IpAddr) -> Option<&'static str> {
    match address.to_canonical() {
        IpAddr::V4(v4) => forbidden_v4(v4),
        IpAddr::V6(v6) => embedded(v6).and_then(forbidden_v4).or_else(|| forbidden_v6(v6)),
    }
}

fn forbidden_v4(address: Ipv4Addr) -> Option<&'static str> {
    match address {
        METADATA_V4 => Some("an instance metadata address"),
        // 0.0.0.0/8 is "this network" (RFC 6890); Linux takes 0.0.0.0 for loopback.
        _ if address.octets()[0] == 0 => Some("an unspecified address"),
        _ if address.is_link_local() => Some("a link-local address, as metadata services have"),
        _ if address.is_multicast() => Some("a multicast address"),
        // 240.0.0.0/4 is reserved (RFC 1112) and holds the broadcast address.
        _ if address.octets()[0] >= 240 => Some("a broadcast or reserved address"),
        _ => None,
    }
}

fn forbidden_v6(address: Ipv6Addr) -> Option<&'static str> {
    match address {
        METADATA_V6 => Some("an instance metadata address"),
        _ if address.is_unspecified() => Some("an unspecified address"),
        _ if address.is_unicast_link_local() => Some("a link-local address, as metadata services have"),
        _ if address.is_multicast() => Some("a multicast address"),
        _ => None,
    }
}

/// Returns the IPv4 address that a translator would make of an IPv6 address: NAT64 `64:ff9b::/96` (RFC 6052),
/// 6to4 `2002::/16` (RFC 3056), and the deprecated IPv4-compatible `::/96` (RFC 4291 2.5.5.1).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(v4(high, low)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => Some(v4(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_and_undirected_addresses_are_refused_in_every_spelling() {
        for text in [
            "169.254.169.254",
            "169.254.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "::169.254.169.254",
            "fe80::1",
            "febf::1",
            "fd00:ec2::254",
            "100.100.100.200",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
            "240.0.0.1",
            "::ffff:0.0.0.0",
        ] {
            assert!(forbidden(text.parse().unwrap()).is_some(), "{text}");
        }
    }

    #[test]
    fn loopback_private_and_public_addresses_are_allowed() {
        for text in [
            "127.0.0.1",
            "::1",
            "10.1.2.3",
            "192.168.0.1",
            "172.16.0.1",
            "fd00::1",
            "192.0.2.1",
            "2001:db8::1",
            "100.64.0.1",
        ] {
            assert_eq!(forbidden(text.parse().unwrap()), None, "{text}");
        }
    }
}
