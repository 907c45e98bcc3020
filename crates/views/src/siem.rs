//! Streams of events to those who watch: from a durable cursor, in order, each at least once.

mod batch;
mod cursor;
mod stream;

pub use batch::Limits;
pub(crate) use cursor::parse as read_cursor;
pub use stream::{Progress, Stream, follow};

use std::io;

use bytes::Bytes;
use fetch::{Client, Roots, Url};

use crate::{
    event::{Event, Format},
    syslog::{Collector, frame},
    webhook::{Receiver, Secret},
};

/// Where events go.
#[derive(Clone)]
pub struct Sink(Kind);

#[derive(Clone)]
enum Kind {
    Webhook(Receiver),
    Syslog(Collector),
}

/// A sink cannot be what it was said to be.
#[derive(Debug, thiserror::Error)]
pub enum BadSink {
    /// The secret of a webhook.
    #[error("the secret must be `whsec_` and at least 24 bytes in base64")]
    Secret,
    /// The address of a collector.
    #[error("`{0}` is no collector: write `tcp://HOST:PORT` or `tls://HOST:PORT`")]
    Collector(String),
    /// A collector over TLS, and nobody to trust.
    #[error("a collector over TLS needs certificate authorities to trust")]
    Roots,
}

impl Sink {
    /// Makes a sink of a webhook; `secret` is `whsec_` and base64, as Standard Webhooks writes it.
    ///
    /// # Errors
    ///
    /// [`BadSink::Secret`].
    pub fn webhook(client: Client, url: Url, secret: &str) -> Result<Self, BadSink> {
        Ok(Self(Kind::Webhook(Receiver { client, url, secret: Secret::parse(secret)? })))
    }

    /// Makes a sink of a syslog collector at `tcp://HOST:PORT` or `tls://HOST:PORT`.
    ///
    /// # Errors
    ///
    /// [`BadSink::Collector`]; [`BadSink::Roots`] for TLS without anybody to trust.
    pub fn syslog(address: &str, roots: Option<Roots>) -> Result<Self, BadSink> {
        let bad = || BadSink::Collector(address.to_owned());
        let (scheme, place) = address.split_once("://").ok_or_else(bad)?;
        let (host, port) = place.rsplit_once(':').ok_or_else(bad)?;
        let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(bad)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let roots = match scheme {
            "tcp" => None,
            "tls" => Some(roots.ok_or(BadSink::Roots)?),
            _ => return Err(bad()),
        };
        if host.is_empty() { Err(bad()) } else { Ok(Self(Kind::Syslog(Collector { host, port, roots }))) }
    }

    /// Returns the bytes by which the sink is told of an event; `None` where the format has no word for it, or it is
    /// longer than a message may be.
    fn spelled(&self, event: &Event, format: Format) -> Option<Vec<u8>> {
        let shown = event.render(format)?;
        match &self.0 {
            Kind::Webhook(_) => Some(format!("{shown}\n").into_bytes()),
            Kind::Syslog(_) => frame(event, &shown),
        }
    }

    /// Sends a batch; `at` is now, in seconds since 1970.
    async fn send(&self, id: &str, at: i64, batch: Bytes) -> Result<(), String> {
        match &self.0 {
            Kind::Webhook(receiver) => receiver.send(id, at, batch).await,
            Kind::Syslog(collector) => {
                let told = |error: io::Error| format!("`{}:{}`: {error}", collector.host, collector.port);
                collector.send(&batch).await.map_err(told)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_has_a_scheme_a_host_and_a_port() {
        for good in ["tcp://siem.example:514", "tcp://[::1]:6514"] {
            assert!(Sink::syslog(good, None).is_ok(), "{good}");
        }
        for bad in ["siem.example:514", "udp://siem.example:514", "tcp://siem.example", "tcp://:514", "tcp://a:0"] {
            assert!(matches!(Sink::syslog(bad, None), Err(BadSink::Collector(_))), "{bad}");
        }
        assert!(matches!(Sink::syslog("tls://siem.example:6514", None), Err(BadSink::Roots)));
    }
}
