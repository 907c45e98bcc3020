//! Opens one connection to an endpoint.

use std::{
    cell::Cell,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, lookup_host},
    task::JoinHandle,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::{address::forbidden, endpoint::Endpoint, trust::Trust};

/// Bytes of the head of a response; providers send below 4 KiB.
const RESPONSE_HEAD_BYTES: usize = 64 << 10;

/// No connection came about; nothing was sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// The name does not resolve.
    #[error("cannot resolve `{0}`: {1}")]
    Resolve(String, #[source] io::Error),
    /// The name resolves only to addresses that no upstream may have.
    #[error("{0} is {1}, which no upstream may have")]
    Forbidden(IpAddr, &'static str),
    /// Nobody listens, or the network does not lead there.
    #[error("{0}: {1}")]
    Tcp(SocketAddr, #[source] io::Error),
    /// The certificate is not trusted, or the server speaks no TLS.
    #[error("TLS: {0}")]
    Tls(#[source] io::Error),
    /// The connection broke before it could be used.
    #[error("{0}")]
    Http(#[source] hyper::Error),
    /// All of it together took too long.
    #[error("no connection in time")]
    Timeout,
}

/// One connection. Dropped, it is closed at once, whatever is under way on it.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
    received: Rc<Cell<u64>>,
}

impl Connection {
    /// Returns how many bytes came from the upstream so far.
    pub(crate) fn received(&self) -> u64 {
        self.received.get()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Opens a connection to `endpoint` within its time limit. Must run inside a `LocalSet`.
pub(crate) async fn connect(endpoint: &Endpoint) -> Result<Connection, ConnectError> {
    let opened = timeout(endpoint.connect_within(), open(endpoint)).await;
    opened.unwrap_or(Err(ConnectError::Timeout))
}

async fn open(endpoint: &Endpoint) -> Result<Connection, ConnectError> {
    let tcp = dial(&resolve(endpoint).await?).await?;
    match &endpoint.made_of.trust {
        None => handshake(tcp).await,
        Some(trust) => handshake(secure(trust, &endpoint.url().host, tcp).await?).await,
    }
}

/// Resolves the endpoint's name anew, and leaves out what no upstream may have.
async fn resolve(endpoint: &Endpoint) -> Result<Vec<SocketAddr>, ConnectError> {
    let (host, port) = (endpoint.url().host.as_str(), endpoint.url().port);
    let failed = |error| ConnectError::Resolve(host.to_owned(), error);
    let found: Vec<SocketAddr> = lookup_host((host, port)).await.map_err(failed)?.collect();
    let mut refused = None;
    let mut allowed = found;
    allowed.retain(|address| match forbidden(address.ip()) {
        Some(why) => {
            refused = Some(ConnectError::Forbidden(address.ip(), why));
            false
        }
        None => true,
    });
    match refused {
        Some(error) if allowed.is_empty() => Err(error),
        _ => Ok(allowed),
    }
}

/// Connects to the first address that answers.
async fn dial(addresses: &[SocketAddr]) -> Result<TcpStream, ConnectError> {
    let mut last = None;
    for address in addresses {
        match TcpStream::connect(address).await.and_then(without_delay) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(ConnectError::Tcp(*address, error)),
        }
    }
    let nothing = || ConnectError::Resolve(String::new(), io::ErrorKind::NotFound.into());
    Err(last.unwrap_or_else(nothing))
}

fn without_delay(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn secure(
    trust: &Trust,
    host: &str,
    tcp: TcpStream,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, ConnectError> {
    let name = ServerName::try_from(host.to_owned());
    let name = name.map_err(|error| ConnectError::Tls(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
    let connector = TlsConnector::from(trust.config().clone());
    connector.connect(name, tcp).await.map_err(ConnectError::Tls)
}

async fn handshake<IO>(io: IO) -> Result<Connection, ConnectError>
where
    IO: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let received = Rc::new(Cell::new(0));
    let counted = Counted { io, received: Rc::clone(&received) };
    let mut builder = http1::Builder::new();
    builder.max_buf_size(RESPONSE_HEAD_BYTES);
    let (sender, connection) = builder.handshake(TokioIo::new(counted)).await.map_err(ConnectError::Http)?;
    let driver = tokio::task::spawn_local(async move {
        // Whatever breaks the connection reaches the call on it, if there is one.
        let _ = connection.await;
    });
    Ok(Connection { sender, driver, received })
}

/// Counts the bytes that come in.
struct Counted<IO> {
    io: IO,
    received: Rc<Cell<u64>>,
}

impl<IO: AsyncRead + Unpin> AsyncRead for Counted<IO> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        let came = u64::try_from(buf.filled().len() - before).unwrap_or(u64::MAX);
        self.received.set(self.received.get().saturating_add(came));
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Counted<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
