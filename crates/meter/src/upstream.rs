//! The model server: connections to it, kept for later calls, and what it answers as it comes.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use gateway::named_by_connection;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, header, uri::PathAndQuery};
use http_body::{Body, Frame};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{Instant, Sleep, sleep_until, timeout},
};
use tokio_rustls::TlsConnector;

use crate::config::UpstreamSettings;

/// Connections that are kept without a call.
const IDLE_MAX: usize = 256;
/// How long a connection is kept without a call.
const IDLE_FOR: Duration = Duration::from_secs(30);
/// Bytes of the head of a response.
const RESPONSE_HEAD_BYTES: usize = 64 << 10;

type Sender = SendRequest<Full<Bytes>>;

/// A model server that cannot be called as configured.
#[derive(Debug, thiserror::Error)]
pub enum BadUpstream {
    /// Not a URL.
    #[error("`{0}` is no URL of a model server: write `http://host:port` or `https://host`")]
    Url(String),
    /// The authorities.
    #[error("no certificate authority can be used: {0}")]
    Trust(String),
}

/// The model server gave no answer that can be passed on. Its text names no address.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    /// No connection; the request was not sent.
    #[error("it cannot be reached")]
    Connect(#[source] io::Error),
    /// It took the request and sent no head of a response in time.
    #[error("it did not begin to answer in time")]
    FirstByte,
    /// The connection broke, or what came is no answer.
    #[error("it gave no usable answer")]
    Broken(#[source] hyper::Error),
    /// Its answer leads elsewhere, or is compressed: neither can be counted.
    #[error("its answer cannot be counted: {0}")]
    Unusable(&'static str),
}

/// The model server. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Upstream(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    host: String,
    port: u16,
    authority: HeaderValue,
    base: String,
    tls: Option<Tls>,
    connect_within: Duration,
    first_byte_within: Duration,
    idle_within: Duration,
    idle: Mutex<Vec<(Sender, Instant)>>,
}

struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Upstream {
    /// Reads where the model server is.
    pub(crate) fn new(settings: &UpstreamSettings) -> Result<Self, BadUpstream> {
        let bad = || BadUpstream::Url(settings.url.clone());
        let url: Uri = settings.url.parse().map_err(|_| bad())?;
        let authority = url.authority().map(ToString::to_string).filter(|text| !text.contains('@')).ok_or_else(bad)?;
        let host = url.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let (tls, port) = match url.scheme_str() {
            Some("http") => (None, 80),
            Some("https") => {
                let name = ServerName::try_from(host.clone()).map_err(|_| bad())?;
                (Some(Tls { connector: connector(settings)?, name }), 443)
            }
            _ => return Err(bad()),
        };
        Ok(Self(Arc::new(Inner {
            port: url.port_u16().unwrap_or(port),
            authority: HeaderValue::try_from(authority).map_err(|_| bad())?,
            base: url.path().trim_end_matches('/').to_owned(),
            host,
            tls,
            connect_within: Duration::from_secs(settings.connect_seconds),
            first_byte_within: Duration::from_secs(settings.first_byte_seconds),
            idle_within: Duration::from_secs(settings.idle_seconds),
            idle: Mutex::default(),
        })))
    }

    /// Sends a request and returns the answer as soon as its head is here; the body follows as it comes.
    ///
    /// A connection that was kept and turns out to be closed is replaced if nothing of the request was taken. Dropping
    /// the future or the body closes the connection, which tells the model server to stop.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &PathAndQuery,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Reply>, Failed> {
        let request = self.request(method, path, headers, body)?;
        let answered = timeout(self.0.first_byte_within, self.exchange(request)).await;
        let (response, sender) = answered.unwrap_or(Err(Failed::FirstByte))?;
        usable(&response)?;
        Ok(response.map(|body| Reply::new(body, sender, self.clone())))
    }

    /// Opens a connection and closes it again: says whether the model server is there.
    pub(crate) async fn is_there(&self) -> bool {
        timeout(self.0.connect_within, self.dial()).await.is_ok_and(|dialed| dialed.is_ok())
    }

    fn request(
        &self,
        method: Method,
        path: &PathAndQuery,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, Failed> {
        let uri = format!("{}{path}", self.0.base).parse::<PathAndQuery>();
        let uri = uri.map_err(|_| Failed::Unusable("its URL and the path do not fit together"))?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = Uri::from(uri);
        *request.headers_mut() = headers;
        request.headers_mut().insert(header::HOST, self.0.authority.clone());
        Ok(request)
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<(Response<Incoming>, Sender), Failed> {
        while let Some(mut sender) = self.kept() {
            if sender.ready().await.is_err() {
                continue;
            }
            match sender.try_send_request(request.clone()).await {
                Ok(response) => return Ok((response, sender)),
                Err(mut failed) => {
                    if failed.take_message().is_none() {
                        return Err(Failed::Broken(failed.into_error()));
                    }
                }
            }
        }
        let connected = timeout(self.0.connect_within, self.connect()).await;
        let mut sender = connected.unwrap_or_else(|_| Err(Failed::Connect(io::ErrorKind::TimedOut.into())))?;
        let response = sender.send_request(request).await.map_err(Failed::Broken)?;
        Ok((response, sender))
    }

    async fn connect(&self) -> Result<Sender, Failed> {
        let stream = self.dial().await.map_err(Failed::Connect)?;
        match &self.0.tls {
            None => speak(stream).await,
            Some(Tls { connector, name }) => {
                speak(connector.connect(name.clone(), stream).await.map_err(Failed::Connect)?).await
            }
        }
    }

    async fn dial(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect((self.0.host.as_str(), self.0.port)).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn kept(&self) -> Option<Sender> {
        let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let (sender, since) = idle.pop()?;
        if since.elapsed() < IDLE_FOR {
            return Some(sender);
        }
        // The others lie there longer still.
        idle.clear();
        None
    }

    fn keep(&self, sender: Sender) {
        let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX && !sender.is_closed() {
            idle.push((sender, Instant::now()));
        }
    }
}

async fn speak<IO>(io: IO) -> Result<Sender, Failed>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http1::Builder::new();
    builder.max_buf_size(RESPONSE_HEAD_BYTES);
    let (sender, connection) = builder.handshake(TokioIo::new(io)).await.map_err(Failed::Broken)?;
    tokio::spawn(async move {
        // Whatever breaks the connection reaches the call on it, if there is one.
        let _ = connection.await;
    });
    Ok(sender)
}

/// Refuses what cannot be counted as an answer of the model.
fn usable(response: &Response<Incoming>) -> Result<(), Failed> {
    if response.status().is_informational() || response.status().is_redirection() {
        return Err(Failed::Unusable("a redirection is never followed"));
    }
    let coded = |coding: &HeaderValue| !coding.as_bytes().eq_ignore_ascii_case(b"identity");
    if response.headers().get_all(header::CONTENT_ENCODING).iter().any(coded) {
        return Err(Failed::Unusable("it is compressed, though only `identity` was accepted"));
    }
    Ok(())
}

fn connector(settings: &UpstreamSettings) -> Result<TlsConnector, BadUpstream> {
    let bad = |why: String| BadUpstream::Trust(why);
    let certificates = match &settings.ca_file {
        None => rustls_native_certs::load_native_certs().certs,
        Some(file) => CertificateDer::pem_file_iter(file)
            .and_then(Iterator::collect)
            .map_err(|error| bad(format!("`{}`: {error}", file.display())))?,
    };
    let mut roots = RootCertStore::empty();
    if roots.add_parsable_certificates(certificates).0 == 0 {
        return Err(bad("install the system's, or set `ca_file`".to_owned()));
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| bad(error.to_string()))?;
    Ok(TlsConnector::from(Arc::new(builder.with_root_certificates(roots).with_no_client_auth())))
}

/// The body of an answer. Read to its end, its connection is kept for another call; dropped before, it is closed.
#[derive(Debug)]
pub(crate) struct Reply {
    body: Incoming,
    sender: Option<Sender>,
    home: Upstream,
    /// When the model server has been silent for too long, if nothing comes.
    silence: Option<Pin<Box<Sleep>>>,
}

/// The body broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BrokeOff {
    /// Nothing came for too long.
    #[error("the model server fell silent")]
    Silent,
    /// The connection broke, or the framing is wrong.
    #[error("the model server broke off")]
    Broken(#[source] hyper::Error),
}

impl Reply {
    fn new(body: Incoming, sender: Sender, home: Upstream) -> Self {
        Self { body, sender: Some(sender), home, silence: None }
    }

    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let within = self.home.0.idle_within;
        let timer = self.silence.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + within)));
        timer.as_mut().poll(cx)
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = BrokeOff;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokeOff>>> {
        let this = self.get_mut();
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(Some(frame)) => {
                this.silence = None;
                Poll::Ready(Some(frame.map_err(BrokeOff::Broken)))
            }
            Poll::Ready(None) => {
                if let Some(sender) = this.sender.take() {
                    this.home.keep(sender);
                }
                Poll::Ready(None)
            }
            Poll::Pending => {
                ready!(this.poll_silence(cx));
                Poll::Ready(Some(Err(BrokeOff::Silent)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

/// Headers of one connection, not of the message (RFC 9110 section 7.6.1), with those that older senders use.
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Returns the headers of a message that go on: all but those of its connection, its length, and `without`.
///
/// A compressed response could not be counted, so none is asked for.
pub(crate) fn passed_on(from: &HeaderMap, without: &[&str]) -> HeaderMap {
    let named: Vec<HeaderName> = named_by_connection(from).collect();
    let mut to = HeaderMap::with_capacity(from.len());
    for (name, value) in from {
        let text = name.as_str();
        let stays = HOP_BY_HOP.contains(&text) || without.contains(&text) || named.contains(name);
        if !stays && text != "content-length" {
            to.append(name.clone(), value.clone());
        }
    }
    to
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_of_one_connection_stays_and_the_rest_goes_on() {
        let pairs = [
            ("connection", "close, x-private"),
            ("x-private", "1"),
            ("te", "trailers"),
            ("content-length", "3"),
            ("exeat-ticket", "t"),
            ("authorization", "Bearer upstream-key"),
            ("anthropic-beta", "a"),
            ("anthropic-beta", "b"),
        ];
        let pair = |(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        let from: HeaderMap = pairs.into_iter().map(pair).collect();
        let to = passed_on(&from, &["exeat-ticket"]);
        let names: Vec<&str> = to.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["authorization", "anthropic-beta", "anthropic-beta"]);
    }

    #[test]
    fn a_url_that_leads_nowhere_is_refused_by_name() {
        for url in ["", "/v1", "127.0.0.1:8000", "ftp://models.example", "http://user@models.example", "https://"] {
            let settings = serde_json::from_value(serde_json::json!({ "url": url })).unwrap();
            assert!(matches!(Upstream::new(&settings), Err(BadUpstream::Url(named)) if named == url), "{url}");
        }
    }
}
