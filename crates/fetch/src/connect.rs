//! One connection, to an address that was judged.

use std::{io, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinHandle,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{fault::Fault, url::Url};

/// Bytes of the head of a response.
const RESPONSE_HEAD_BYTES: usize = 64 << 10;

/// One connection. Dropped, it is closed at once, whatever is under way on it.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Connects to the first of `addresses` that answers, and makes sure that it is the host of `url`.
pub(crate) async fn connect(url: &Url, tls: &Arc<ClientConfig>, addresses: &[SocketAddr]) -> Result<Connection, Fault> {
    let tcp = dial(addresses).await.map_err(|error| Fault::Connect(url.host().to_string(), error))?;
    if url.is_tls() {
        let secured = secure(url, tls, tcp).await.map_err(|error| Fault::Tls(url.host().to_string(), error))?;
        return handshake(url, secured).await;
    }
    handshake(url, tcp).await
}

async fn dial(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return stream.set_nodelay(true).map(|()| stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn secure(url: &Url, tls: &Arc<ClientConfig>, tcp: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(url.host().to_string());
    let name = name.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    TlsConnector::from(Arc::clone(tls)).connect(name, tcp).await
}

async fn handshake<IO>(url: &Url, io: IO) -> Result<Connection, Fault>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http1::Builder::new();
    builder.max_buf_size(RESPONSE_HEAD_BYTES);
    let opened = builder.handshake(TokioIo::new(io)).await;
    let (sender, connection) = opened.map_err(|error| Fault::Broken(url.host().to_string(), error.into()))?;
    let driver = tokio::spawn(async move {
        // Whatever breaks the connection reaches the request on it.
        let _ = connection.await;
    });
    Ok(Connection { sender, driver })
}
