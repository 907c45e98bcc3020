//! Which addresses may be reached besides those of the public internet.

use std::{collections::BTreeSet, net::IpAddr};

use crate::{
    address::{Reach, reach},
    url::{Host, Url, is_name},
};

/// The text allows nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{text}` is no host to allow: write a name in lower case, an address, or a range such as `10.1.0.0/16`")]
pub struct BadRule {
    /// What was given, at most 80 characters of it.
    pub text: String,
}

/// Which addresses may be reached: those of the public internet, and what the operator allowed besides.
///
/// A host that is allowed by name may resolve to any address but those never reached: link-local ones (where machines
/// hand out their own credentials), multicast, broadcast and unspecified ones. A range allows its addresses whatever
/// the name. `http` is spoken only with a host that is itself allowed, by its name or as an address in a range.
#[derive(Clone, Debug, Default)]
pub struct AddressRule {
    names: BTreeSet<String>,
    ranges: Vec<Range>,
}

/// Addresses that agree in their first bits; IPv4 addresses in their mapped form.
#[derive(Clone, Copy, Debug)]
struct Range {
    first: u128,
    mask: u128,
}

impl AddressRule {
    /// Allows the public internet only, over `https` only.
    #[must_use]
    pub fn public() -> Self {
        Self::default()
    }

    /// Allows the public internet and `hosts`: names, addresses, or ranges in CIDR notation.
    ///
    /// # Errors
    ///
    /// [`BadRule`] for the first that is none of these.
    pub fn allowing<'a>(hosts: impl IntoIterator<Item = &'a str>) -> Result<Self, BadRule> {
        let mut rule = Self::public();
        for text in hosts {
            rule.allow(text)?;
        }
        Ok(rule)
    }

    fn allow(&mut self, text: &str) -> Result<(), BadRule> {
        if let Some(range) = Range::parse(text) {
            self.ranges.push(range);
        } else if is_name(text).is_ok() {
            self.names.insert(text.to_owned());
        } else {
            return Err(BadRule { text: text.chars().take(80).collect() });
        }
        Ok(())
    }

    /// Returns true if `url` may be asked at all, wherever it leads: `http` only with a host that is allowed.
    pub(crate) fn permits(&self, url: &Url) -> bool {
        url.is_tls() || self.lists(url.host())
    }

    /// Returns why `host` may not be reached at `address`, if so.
    pub(crate) fn forbids(&self, host: &Host, address: IpAddr) -> Option<&'static str> {
        match reach(address) {
            Reach::Public => None,
            Reach::Never(what) => Some(what),
            Reach::Inside(_) if self.lists(host) || self.covers(address) => None,
            Reach::Inside(what) => Some(what),
        }
    }

    fn lists(&self, host: &Host) -> bool {
        match host {
            Host::Name(name) => self.names.contains(name),
            Host::Address(address) => self.covers(*address),
        }
    }

    fn covers(&self, address: IpAddr) -> bool {
        self.ranges.iter().any(|range| range.covers(address))
    }
}

impl Range {
    /// Parses an address, or a range whose first address has no bit set outside of its prefix.
    fn parse(text: &str) -> Option<Self> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address.parse::<IpAddr>().ok()?, Some(plain_number(length)?)),
            None => (text.parse::<IpAddr>().ok()?, None),
        };
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let length = length.unwrap_or(bits);
        if length > bits {
            return None;
        }
        let mask = u128::MAX.checked_shl(bits - length).unwrap_or(0);
        let mask = if address.is_ipv4() && length == 0 { u128::MAX << 32 } else { mask };
        let first = number(address);
        (first & mask == first).then_some(Self { first, mask })
    }

    fn covers(&self, address: IpAddr) -> bool {
        number(address.to_canonical()) & self.mask == self.first
    }
}

fn plain_number(text: &str) -> Option<u32> {
    let plain = text.len() <= 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_ipv6_mapped()),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(hosts: &[&str]) -> AddressRule {
        AddressRule::allowing(hosts.iter().copied()).unwrap()
    }

    fn forbids(rule: &AddressRule, host: &str, address: &str) -> bool {
        let url = Url::parse(&format!("https://{host}/")).unwrap();
        rule.forbids(url.host(), address.parse().unwrap()).is_some()
    }

    #[test]
    fn without_a_list_only_public_addresses_are_reached_and_only_over_tls() {
        let rule = AddressRule::public();
        assert!(!forbids(&rule, "idp.example", "1.1.1.1"));
        assert!(forbids(&rule, "idp.example", "127.0.0.1"));
        assert!(forbids(&rule, "10.0.0.1", "10.0.0.1"));
        assert!(!rule.permits(&Url::parse("http://idp.example").unwrap()));
        assert!(rule.permits(&Url::parse("https://idp.example").unwrap()));
    }

    #[test]
    fn an_allowed_name_may_be_inside_but_never_where_metadata_is() {
        let rule = rule(&["idp.internal"]);
        assert!(!forbids(&rule, "idp.internal", "10.0.0.1"));
        assert!(forbids(&rule, "idp.internal", "169.254.169.254"));
        assert!(forbids(&rule, "x.idp.internal", "10.0.0.1"));
        assert!(rule.permits(&Url::parse("http://idp.internal:8080").unwrap()));
    }

    #[test]
    fn a_range_allows_its_addresses_under_any_name_but_no_plain_text_to_names() {
        let rule = rule(&["10.1.0.0/16", "fd00:1::/32", "127.0.0.1"]);
        assert!(!forbids(&rule, "idp.example", "10.1.255.255"));
        assert!(!forbids(&rule, "idp.example", "::ffff:10.1.2.3"));
        assert!(forbids(&rule, "idp.example", "10.2.0.0"));
        assert!(!forbids(&rule, "idp.example", "fd00:1:2::3"));
        assert!(forbids(&rule, "idp.example", "fd00:2::3"));
        assert!(forbids(&rule, "idp.example", "127.0.0.2"));
        assert!(rule.permits(&Url::parse("http://127.0.0.1:1").unwrap()));
        assert!(!rule.permits(&Url::parse("http://idp.example").unwrap()));
    }

    #[test]
    fn a_range_over_everything_of_one_family_leaves_the_other_alone() {
        assert!(!forbids(&rule(&["0.0.0.0/0"]), "idp.example", "10.0.0.1"));
        assert!(forbids(&rule(&["0.0.0.0/0"]), "idp.example", "fd00::1"));
        assert!(forbids(&rule(&["0.0.0.0/0"]), "idp.example", "169.254.169.254"));
        assert!(!forbids(&rule(&["::/0"]), "idp.example", "fd00::1"));
    }

    #[test]
    fn what_is_no_host_allows_nothing() {
        for text in ["", "10.1.2.3/16", "10.0.0.0/33", "10.0.0.0/+8", "::1/129", "*.example", "https://a.example", "A"]
        {
            assert!(AddressRule::allowing([text]).is_err(), "{text:?}");
        }
    }
}
