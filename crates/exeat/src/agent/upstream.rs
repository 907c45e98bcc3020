//! The gateway as the agent reaches it: one connection a call at a time, kept for the next.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, anyhow, bail, ensure};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, header};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::TlsConnector;

const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// Connections kept for later calls.
const IDLE_MAX: usize = 16;

type Sender = SendRequest<Full<Bytes>>;

/// The gateway. Cheap to clone.
#[derive(Clone)]
pub(super) struct Gateway(Arc<Inner>);

struct Inner {
    origin: String,
    authority: String,
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    idle: Mutex<Vec<Sender>>,
}

impl Gateway {
    /// Reads the URL of a gateway: an origin, without a path. Plain HTTP is for loopback addresses only, since a token
    /// that is read on the way could be replayed within its proof's time.
    ///
    /// # Errors
    ///
    /// What is wrong with the URL or with the certificates to trust.
    pub(super) fn parse(url: &str, ca_file: Option<&Path>) -> anyhow::Result<Self> {
        let wanted = || format!("`{url}` is not a gateway's URL: write `https://host`");
        let parsed: Uri = url.parse().with_context(wanted)?;
        ensure!(matches!(parsed.path(), "" | "/") && parsed.query().is_none(), wanted());
        let authority = parsed.authority().with_context(wanted)?.as_str().to_owned();
        ensure!(!authority.contains('@'), wanted());
        let host = parsed.host().with_context(wanted)?.trim_matches(['[', ']']).to_owned();
        let (tls, port) = match parsed.scheme_str() {
            Some("https") => (Some((connector(ca_file)?, ServerName::try_from(host.clone())?)), 443),
            Some("http") if is_loopback(&host) => (None, 80),
            _ => bail!("`{url}` must begin with `https://`; plain http is for a loopback address"),
        };
        let origin = format!("{}://{authority}", if tls.is_some() { "https" } else { "http" });
        let port = parsed.port_u16().unwrap_or(port);
        Ok(Self(Arc::new(Inner { origin, authority, host, port, tls, idle: Mutex::default() })))
    }

    /// Returns the URL of a path and query there.
    pub(super) fn url_of(&self, path_and_query: &str) -> String {
        format!("{}{path_and_query}", self.0.origin)
    }

    /// Sends a request and returns the answer as soon as its head is here; the body follows as it comes.
    ///
    /// A connection that was kept and turns out to be closed is replaced, if nothing of the request was taken.
    ///
    /// # Errors
    ///
    /// If the gateway cannot be reached, or the connection breaks before an answer.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> anyhow::Result<Response<Kept>> {
        let request = self.request(method, path, headers, body)?;
        while let Some(mut sender) = self.kept() {
            if sender.ready().await.is_err() {
                continue;
            }
            match sender.try_send_request(request.clone()).await {
                Ok(response) => return Ok(self.keep_after(response, sender)),
                Err(mut failed) => {
                    let unsent = failed.take_message().is_some();
                    if !unsent {
                        return Err(anyhow!(failed.into_error()).context("the gateway broke the connection off"));
                    }
                }
            }
        }
        let mut sender = self.connect().await?;
        let response = sender.send_request(request).await.context("the gateway broke the connection off")?;
        Ok(self.keep_after(response, sender))
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> anyhow::Result<Request<Full<Bytes>>> {
        let mut request = Request::builder().method(method).uri(path).body(Full::new(body))?;
        *request.headers_mut() = headers;
        request.headers_mut().insert(header::HOST, HeaderValue::try_from(&self.0.authority)?);
        Ok(request)
    }

    fn kept(&self) -> Option<Sender> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn keep_after(&self, response: Response<Incoming>, sender: Sender) -> Response<Kept> {
        response.map(|body| Kept { body, sender: Some(sender), gateway: self.clone() })
    }

    fn keep(&self, sender: Sender) {
        let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX && !sender.is_closed() {
            idle.push(sender);
        }
    }

    async fn connect(&self) -> anyhow::Result<Sender> {
        let connected = timeout(CONNECT_WITHIN, self.handshake()).await;
        let origin = &self.0.origin;
        connected
            .with_context(|| format!("{origin} did not answer within 10 s"))?
            .with_context(|| format!("cannot reach {origin}"))
    }

    async fn handshake(&self) -> anyhow::Result<Sender> {
        let addresses: Vec<SocketAddr> = lookup_host((self.0.host.as_str(), self.0.port)).await?.collect();
        let stream = TcpStream::connect(addresses.as_slice()).await?;
        stream.set_nodelay(true)?;
        match &self.0.tls {
            Some((connector, name)) => speak(TokioIo::new(connector.connect(name.clone(), stream).await?)).await,
            None => speak(TokioIo::new(stream)).await,
        }
    }
}

async fn speak<T>(io: T) -> anyhow::Result<Sender>
where
    T: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(io).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to the gateway ended");
        }
    });
    Ok(sender)
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn connector(ca_file: Option<&Path>) -> anyhow::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(file) = ca_file {
        let name = file.display();
        let certificates = CertificateDer::pem_file_iter(file).with_context(|| format!("cannot read `{name}`"))?;
        for certificate in certificates {
            roots.add(certificate.with_context(|| format!("`{name}` is not in PEM form"))?)?;
        }
    }
    ensure!(!roots.is_empty(), "no certificate is trusted: install the system's, or name some with `--ca-file`");
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let config = config.with_safe_default_protocol_versions()?.with_root_certificates(roots).with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The body of an answer; when it came to its end, its connection is kept for the next call.
pub(super) struct Kept {
    body: Incoming,
    sender: Option<Sender>,
    gateway: Gateway,
}

impl http_body::Body for Kept {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, hyper::Error>>> {
        let polled = std::pin::Pin::new(&mut self.body).poll_frame(cx);
        if let std::task::Poll::Ready(None) = polled
            && let Some(sender) = self.sender.take()
        {
            self.gateway.keep(sender);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}
