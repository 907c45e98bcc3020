//! Why there is no response.

use std::{io, net::IpAddr};

/// There is no response to use.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// `http` is spoken only with hosts that are allowed; use `https` or allow the host.
    #[error("`{0}` would be asked in plain text: use `https`")]
    PlainText(String),
    /// The host is at an address that must not be reached; nothing was sent.
    #[error("`{host}` is at {address}, {why}, which is not to be reached from here")]
    Forbidden {
        /// The host of the URL.
        host: String,
        /// To which it resolved.
        address: IpAddr,
        /// What kind of address this is.
        why: &'static str,
    },
    /// As many requests are under way as may be, to this host; try later.
    #[error("too many requests to `{0}` are under way: try later")]
    Busy(String),
    /// The name does not resolve; nothing was sent.
    #[error("cannot resolve `{0}`")]
    Resolve(String, #[source] io::Error),
    /// No connection came about in time, or none at all; nothing was sent.
    #[error("cannot connect to `{0}`")]
    Connect(String, #[source] io::Error),
    /// The certificate is not trusted, or the server speaks no TLS; nothing was sent.
    #[error("no trusted connection to `{0}`")]
    Tls(String, #[source] io::Error),
    /// The server took longer than it may; it may have worked on the request.
    #[error("`{0}` did not answer in time")]
    Timeout(String),
    /// The connection broke, or what came is not HTTP.
    #[error("`{0}` broke off")]
    Broken(String, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// The body is longer than accepted.
    #[error("`{host}` sent more than {limit} bytes")]
    TooLarge {
        /// The host of the URL.
        host: String,
        /// Bytes accepted.
        limit: usize,
    },
    /// The server points elsewhere, which is not followed.
    #[error("`{host}` redirects with status {status}, which is not followed")]
    Redirected {
        /// The host of the URL.
        host: String,
        /// The status of the response.
        status: u16,
    },
    /// The body is compressed, although that was not offered.
    #[error("`{0}` sent a compressed body, which was not offered")]
    Compressed(String),
    /// The request cannot be written; the caller must correct it.
    #[error("the request cannot be sent: {0}")]
    Request(&'static str),
}
