//! Which addresses belong to the public internet.
//!
//! # Source
//! IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890); RFC 4291 2.4.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far an address may be reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reach {
    /// On the public internet.
    Public,
    /// Inside of some network: only if the operator allowed it.
    Inside(&'static str),
    /// Never, whatever is allowed: where machines hand out their own credentials, or nobody in particular listens.
    Never(&'static str),
}

/// The metadata service of one cloud, among the unique local addresses.
///
/// # Source
/// Amazon EC2 user guide, "Access instance metadata": `fd00:ec2::254`.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// The metadata service of another, in the shared address space of RFC 6598.
///
/// # Source
/// Alibaba Cloud ECS user guide, "Instance metadata": `100.100.100.200`.
const METADATA_V4: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);

/// Returns how far `address` may be reached. An IPv6 address that a translator would make an IPv4 address of counts
/// as that.
pub(crate) fn reach(address: IpAddr) -> Reach {
    match address.to_canonical() {
        IpAddr::V4(v4) => reach_v4(v4),
        IpAddr::V6(v6) => embedded(v6).map_or_else(|| reach_v6(v6), reach_v4),
    }
}

fn reach_v4(address: Ipv4Addr) -> Reach {
    match address.octets() {
        _ if address == METADATA_V4 => Reach::Never("an instance metadata address"),
        [0, ..] => Reach::Never("an unspecified address"),
        [169, 254, ..] => Reach::Never("a link-local address, as metadata services have"),
        [224..=239, ..] => Reach::Never("a multicast address"),
        [240..=255, ..] => Reach::Never("a broadcast or reserved address"),
        [127, ..] => Reach::Inside("a loopback address"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Reach::Inside("a private address"),
        [100, 64..=127, ..] => Reach::Inside("a carrier-grade NAT address"),
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Reach::Inside("a documentation address"),
        [198, 18..=19, ..] => Reach::Inside("a benchmarking address"),
        [192, 0, 0, _] | [192, 88, 99, _] => Reach::Inside("an address set aside for protocols"),
        _ => Reach::Public,
    }
}

fn reach_v6(address: Ipv6Addr) -> Reach {
    match address.segments() {
        _ if address == METADATA_V6 => Reach::Never("an instance metadata address"),
        [0, 0, 0, 0, 0, 0, 0, 0] => Reach::Never("an unspecified address"),
        [0xfe80..=0xfebf, ..] => Reach::Never("a link-local address, as metadata services have"),
        [0xff00..=0xffff, ..] => Reach::Never("a multicast address"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Reach::Inside("a loopback address"),
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => Reach::Inside("a private address"),
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Reach::Inside("a documentation address"),
        [0x2001, 0..=0x1ff, ..] => Reach::Inside("an address set aside for protocols"),
        // 2000::/3 is all that is assigned as global unicast.
        [0x2000..=0x3fff, ..] => Reach::Public,
        _ => Reach::Inside("an address outside of the global unicast range"),
    }
}

/// Returns the IPv4 address that a translator would make of an IPv6 address: NAT64 `64:ff9b::/96` (RFC 6052), 6to4
/// `2002::/16` (RFC 3056), the deprecated IPv4-compatible `::/96` (RFC 4291 2.5.5.1), ISATAP (RFC 5214 6.1).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
        [0x2002, high, low, ..] => v4(high, low),
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => v4(high, low),
        [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => v4(high, low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Reach {
        reach(text.parse().unwrap())
    }

    #[test]
    fn public_addresses_are_public_in_every_spelling() {
        for text in [
            "1.1.1.1",
            "93.184.216.34",
            "172.15.255.255",
            "172.32.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
            "2002:101:101::1",
        ] {
            assert_eq!(of(text), Reach::Public, "{text}");
        }
    }

    #[test]
    fn addresses_inside_of_networks_are_told_apart_in_every_spelling() {
        for text in [
            "127.0.0.1",
            "127.255.255.254",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "192.0.2.1",
            "198.51.100.7",
            "203.0.113.9",
            "198.18.0.1",
            "192.0.0.8",
            "192.88.99.1",
            "::1",
            "fd00::1",
            "fc00::1",
            "fec0::1",
            "2001:db8::1",
            "3fff::1",
            "2001::1",
            "2001:10::1",
            "64:ff9b:1::1",
            "100::1",
            "5f00::1",
            "4000::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "2002:c0a8:101::1",
            "2606:4700::5efe:7f00:1",
            "2606:4700::200:5efe:a00:1",
        ] {
            assert!(matches!(of(text), Reach::Inside(_)), "{text}: {:?}", of(text));
        }
    }

    #[test]
    fn metadata_and_undirected_addresses_are_never_reached() {
        for text in [
            "169.254.169.254",
            "169.254.0.1",
            "100.100.100.200",
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "fe80::1",
            "febf::1",
            "ff02::1",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "::ffff:0.0.0.0",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "::169.254.169.254",
        ] {
            assert!(matches!(of(text), Reach::Never(_)), "{text}: {:?}", of(text));
        }
    }
}
