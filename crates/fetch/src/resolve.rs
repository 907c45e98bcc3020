//! From a host to the addresses that may be reached.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
};

use tokio::net::lookup_host;

use crate::{
    fault::Fault,
    rule::AddressRule,
    url::{Host, Url},
};

/// Addresses of one name that are tried; more are left out.
const MAX_ADDRESSES: usize = 16;

/// The addresses of a name, some time from now.
pub(crate) type Looked<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Finds the addresses of names. A trait so that a test can be a name server that changes its mind.
pub(crate) trait Names: Send + Sync + fmt::Debug {
    /// Returns the addresses of `name` as of now, none if it has none; nothing is remembered.
    fn look_up<'a>(&'a self, name: &'a str) -> Looked<'a>;
}

/// The operating system's resolver.
#[derive(Debug)]
pub(crate) struct SystemNames;

impl Names for SystemNames {
    fn look_up<'a>(&'a self, name: &'a str) -> Looked<'a> {
        Box::pin(async move { Ok(lookup_host((name, 0)).await?.map(|found| found.ip()).collect()) })
    }
}

/// Returns where `url` may be reached, judged by `rule`; never empty.
///
/// Whoever connects must connect to these and resolve nothing anew.
pub(crate) async fn resolve(names: &dyn Names, rule: &AddressRule, url: &Url) -> Result<Vec<SocketAddr>, Fault> {
    let found = match url.host() {
        Host::Address(address) => vec![*address],
        Host::Name(name) => names.look_up(name).await.map_err(|error| Fault::Resolve(name.clone(), error))?,
    };
    let mut refused = Fault::Resolve(url.host().to_string(), io::ErrorKind::NotFound.into());
    let mut allowed = Vec::new();
    for address in found.into_iter().take(MAX_ADDRESSES) {
        match rule.forbids(url.host(), address) {
            None => allowed.push(SocketAddr::new(address, url.port())),
            Some(why) => refused = Fault::Forbidden { host: url.host().to_string(), address, why },
        }
    }
    if allowed.is_empty() { Err(refused) } else { Ok(allowed) }
}
