//! Syslog: an event as a message of RFC 5424, counted in octets on its connection, over TCP or TLS.
//!
//! # Source
//!
//! RFC 5424 section 6 (the message), RFC 6587 section 3.4.1 and RFC 5425 section 4.3 (octet counting),
//! RFC 5425 section 4 (TLS).

use std::{io, sync::Arc, time::Duration};

use fetch::Roots;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};

use crate::{
    event::Event,
    words::{kind, moment},
};

/// Facility 13, log audit (RFC 5424 table 1).
const LOG_AUDIT: u32 = 13;
/// The severities used (RFC 5424 table 2).
const WARNING: u32 = 4;
const INFORMATIONAL: u32 = 6;
/// How long a collector may take to accept a connection, and then a batch.
const WITHIN: Duration = Duration::from_secs(10);
/// How long to wait for a collector to close, or to refuse what it was sent.
const LINGER: Duration = Duration::from_secs(1);
/// Bytes of a line that is one message or part of one; collectors are asked to take 8,192 (RFC 5425 section 4.3.1).
pub(crate) const MESSAGE_BYTES_MAX: usize = 65_536;

/// Where a collector listens.
#[derive(Clone, Debug)]
pub(crate) struct Collector {
    /// Its host name, without a port.
    pub(crate) host: String,
    /// Its port.
    pub(crate) port: u16,
    /// Whom to trust as the collector; over plain TCP where absent.
    pub(crate) roots: Option<Roots>,
}

impl Collector {
    /// Sends messages over a new connection and closes it in good order.
    ///
    /// Syslog has no acknowledgment: what this returns without an error, the operating system has taken, and the
    /// collector has not closed the connection on us.
    ///
    /// # Errors
    ///
    /// Of the connection; some messages may have arrived.
    pub(crate) async fn send(&self, messages: &[u8]) -> io::Result<()> {
        let late = |_| io::Error::from(io::ErrorKind::TimedOut);
        let stream = timeout(WITHIN, TcpStream::connect((self.host.as_str(), self.port))).await.map_err(late)??;
        let sent = async {
            match &self.roots {
                None => deliver(stream, messages).await,
                Some(roots) => deliver(self.encrypt(roots, stream).await?, messages).await,
            }
        };
        timeout(WITHIN, sent).await.map_err(late)?
    }

    async fn encrypt(&self, roots: &Roots, stream: TcpStream) -> io::Result<impl AsyncRead + AsyncWrite + Unpin> {
        let mut config = roots.config().as_ref().clone();
        // The protocols of HTTP are not spoken here.
        config.alpn_protocols.clear();
        let name = ServerName::try_from(self.host.clone()).map_err(io::Error::other)?;
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }
}

/// Writes everything, says that it is all, and waits a little for the other side to close: a reset is then an error.
async fn deliver(mut stream: impl AsyncRead + AsyncWrite + Unpin, messages: &[u8]) -> io::Result<()> {
    stream.write_all(messages).await?;
    stream.flush().await?;
    stream.shutdown().await?;
    // A collector may keep its side open: it has not refused anything then.
    timeout(LINGER, closed(stream)).await.unwrap_or(Ok(()))
}

/// Waits until the other side closes. Many close TLS without saying so first (RFC 8446 section 6.1).
async fn closed(mut stream: impl AsyncRead + Unpin) -> io::Result<()> {
    let mut nothing = [0; 64];
    loop {
        match stream.read(&mut nothing).await {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// Returns the message of an event, after its length in octets; `None` where it is too long to send.
pub(crate) fn frame(event: &Event, shown: &Value) -> Option<Vec<u8>> {
    let severity = if is_warning(shown) { WARNING } else { INFORMATIONAL };
    let at = moment(event.at_ms());
    let host = hostname(&event.origin);
    let id = kind(event.entry.kind);
    let data = format!("[exeat@32473 log=\"{}\" index=\"{}\"]", parameter(&event.origin), event.index);
    let head = format!("<{}>1 {at} {host} exeat {} {id} {data} ", LOG_AUDIT * 8 + severity, std::process::id());
    // The byte order mark says that the text is UTF-8.
    let message = format!("{head}\u{feff}{shown}");
    (message.len() <= MESSAGE_BYTES_MAX).then(|| format!("{} {message}", message.len()).into_bytes())
}

/// What OCSF calls more than informational; other formats are informational.
fn is_warning(shown: &Value) -> bool {
    shown.get("severity_id").and_then(Value::as_u64).is_some_and(|severity| severity > 1)
}

/// Printable ASCII, at most 255 of it: the host in the origin.
fn hostname(origin: &str) -> String {
    let host = origin.split('/').next().unwrap_or_default();
    let host: String = host.chars().filter(char::is_ascii_graphic).take(255).collect();
    if host.is_empty() { "-".to_owned() } else { host }
}

/// Escapes what ends a parameter's value (RFC 5424 section 6.3.3).
fn parameter(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace(']', "\\]")
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::net::TcpListener;

    use super::*;
    use crate::event::{
        Format,
        tests::{close, event},
    };

    #[test]
    fn a_message_has_the_fields_of_the_rfc_after_its_length() {
        let framed = frame(&event(&close()), &json!({ "severity_id": 1 })).unwrap();
        let text = String::from_utf8(framed).unwrap();
        let (length, message) = text.split_once(' ').unwrap();
        assert_eq!(length.parse::<usize>().unwrap(), message.len());
        let fields: Vec<_> = message.splitn(7, ' ').collect();
        assert_eq!(&fields[..4], ["<110>1", "2026-06-01T09:00:00.123Z", "log.example.com", "exeat"]);
        assert_eq!(fields[5], "close");
        let rest = "[exeat@32473 log=\"log.example.com/exeat/1\" index=\"42\"] \u{feff}{\"severity_id\":1}";
        assert_eq!(fields[6], rest);
    }

    #[test]
    fn what_is_more_than_informational_is_a_warning() {
        let framed = frame(&event(&close()), &json!({ "severity_id": 3 })).unwrap();
        assert!(String::from_utf8(framed).unwrap().contains(" <108>1 "));
        let shown = event(&close()).render(Format::Jsonl).unwrap();
        assert!(!is_warning(&shown));
    }

    #[test]
    fn what_would_end_a_parameter_is_escaped() {
        assert_eq!(parameter(r#"a"b]c\d"#), r#"a\"b\]c\\d"#);
        assert_eq!(hostname("log.example.com/exeat/1"), "log.example.com");
        assert_eq!(hostname("/"), "-");
    }

    #[test]
    fn a_message_that_is_too_long_is_not_made() {
        assert_eq!(frame(&event(&close()), &json!("x".repeat(MESSAGE_BYTES_MAX))), None);
    }

    #[tokio::test]
    async fn messages_arrive_as_they_were_framed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut heard = Vec::new();
            stream.read_to_end(&mut heard).await.unwrap();
            heard
        });
        let collector = Collector { host: "127.0.0.1".to_owned(), port, roots: None };
        collector.send(b"5 hello").await.unwrap();
        assert_eq!(heard.await.unwrap(), b"5 hello");
    }

    #[tokio::test]
    async fn nobody_who_listens_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let collector = Collector { host: "127.0.0.1".to_owned(), port, roots: None };
        assert!(collector.send(b"5 hello").await.is_err());
    }
}
