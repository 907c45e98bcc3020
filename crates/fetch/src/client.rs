//! The client: judge, connect, send, read, within limits.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use tokio::time::timeout;

use crate::{
    connect::{Connection, connect},
    fault::Fault,
    resolve::{Names, SystemNames, resolve},
    roots::Roots,
    rule::AddressRule,
    slots::Slots,
    url::Url,
};

/// Headers that are the client's own business: they concern the connection, or what may come back.
const OWN: [header::HeaderName; 9] = [
    header::ACCEPT_ENCODING,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// What a client may do, and for how long.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whom to trust as a server.
    pub roots: Roots,
    /// Which addresses may be reached.
    pub allow: AddressRule,
    /// How long a name may take to resolve, and a connection to be made.
    pub connect_within: Duration,
    /// How long all of it may take, to the last byte of the body.
    pub answer_within: Duration,
    /// Bytes of a response's body that are accepted.
    pub max_body: usize,
    /// Requests under way at a time.
    pub max_requests: usize,
    /// Requests under way at a time to one host.
    pub max_requests_to_host: usize,
}

impl Settings {
    /// Trusts `roots`, reaches what `allow` says; 5 s to connect, 15 s in all, 1 MiB, 64 requests, 16 to one host.
    #[must_use]
    pub fn new(roots: Roots, allow: AddressRule) -> Self {
        Self {
            roots,
            allow,
            connect_within: Duration::from_secs(5),
            answer_within: Duration::from_secs(15),
            max_body: 1 << 20,
            max_requests: 64,
            max_requests_to_host: 16,
        }
    }
}

/// A request to another server.
///
/// The headers are sent as they are, but for those that the client sets itself: `host`, `content-length`,
/// `accept-encoding: identity`, and whatever concerns the connection.
#[derive(Clone, Debug)]
pub struct Request {
    /// Any but `CONNECT`.
    pub method: Method,
    /// What is asked.
    pub url: Url,
    /// Sent along.
    pub headers: HeaderMap,
    /// May be empty.
    pub body: Bytes,
}

impl Request {
    /// Makes a `GET` without headers.
    #[must_use]
    pub fn get(url: Url) -> Self {
        Self { method: Method::GET, url, headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// Makes a `POST` of `body`, which is of this media type.
    #[must_use]
    pub fn post(url: Url, media_type: &'static str, body: Bytes) -> Self {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(media_type))]);
        Self { method: Method::POST, url, headers, body }
    }
}

/// A whole response. Neither 1xx nor a redirection; it may be 304.
#[derive(Clone, Debug)]
pub struct Response {
    /// As the server sent it.
    pub status: StatusCode,
    /// As the server sent them.
    pub headers: HeaderMap,
    /// Complete, and not compressed.
    pub body: Bytes,
}

/// Asks other servers. Cheap to clone; clones share the limits of [`Settings`].
#[derive(Clone, Debug)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Settings,
    slots: Slots,
    names: Arc<dyn Names>,
}

impl Client {
    /// Makes a client that resolves names as the operating system does.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self::with_names(settings, Arc::new(SystemNames))
    }

    /// Returns a client of the same settings whose requests are counted by themselves: for requests that the other server
    /// answers late on purpose, so that they leave no other one without a place.
    #[must_use]
    pub fn sibling(&self) -> Self {
        Self::with_names(self.0.settings.clone(), Arc::clone(&self.0.names))
    }

    pub(crate) fn with_names(settings: Settings, names: Arc<dyn Names>) -> Self {
        let slots = Slots::new(settings.max_requests, settings.max_requests_to_host);
        Self(Arc::new(Inner { settings, slots, names }))
    }

    /// Checks that `url` may be asked at all, and that it leads to no address that must not be reached; resolves its name.
    ///
    /// For whoever accepts a URL for later. What its name resolves to may change, so every request is checked again.
    ///
    /// # Errors
    ///
    /// [`Fault::PlainText`], [`Fault::Forbidden`]; [`Fault::Resolve`] and [`Fault::Connect`] if that cannot be told now.
    pub async fn check(&self, url: &Url) -> Result<(), Fault> {
        let Inner { settings, names, .. } = &*self.0;
        if !settings.allow.permits(url) {
            return Err(Fault::PlainText(url.host().to_string()));
        }
        let late = || Fault::Connect(url.host().to_string(), std::io::ErrorKind::TimedOut.into());
        let resolved = timeout(settings.connect_within, resolve(&**names, &settings.allow, url)).await;
        resolved.unwrap_or_else(|_| Err(late())).map(drop)
    }

    /// Sends `request` on a connection of its own and returns the whole response, or a fault within
    /// [`Settings::answer_within`]. Must run inside a tokio runtime. Dropped, it closes the connection.
    ///
    /// # Errors
    ///
    /// [`Fault`]. Only [`Fault::Timeout`], [`Fault::Broken`], [`Fault::TooLarge`], [`Fault::Redirected`] and
    /// [`Fault::Compressed`] may mean that the server worked on the request.
    pub async fn send(&self, request: Request) -> Result<Response, Fault> {
        let Inner { settings, slots, .. } = &*self.0;
        let host = request.url.host().to_string();
        if !settings.allow.permits(&request.url) {
            return Err(Fault::PlainText(host));
        }
        let _slot = slots.take(&host).ok_or_else(|| Fault::Busy(host.clone()))?;
        let answered = timeout(settings.answer_within, self.exchange(request)).await;
        answered.unwrap_or(Err(Fault::Timeout(host)))
    }

    async fn exchange(&self, request: Request) -> Result<Response, Fault> {
        let host = request.url.host().to_string();
        let broken = |error: hyper::Error| Fault::Broken(host.clone(), error.into());
        let mut connection = self.connect(&request.url).await?;
        let answered = connection.sender.send_request(written(request)?).await.map_err(broken)?;
        let (head, body) = answered.into_parts();
        usable(&host, head.status, &head.headers)?;
        let body = self.read(&host, body).await?;
        Ok(Response { status: head.status, headers: head.headers, body })
    }

    async fn connect(&self, url: &Url) -> Result<Connection, Fault> {
        let Inner { settings, names, .. } = &*self.0;
        let connected = timeout(settings.connect_within, async {
            let addresses = resolve(&**names, &settings.allow, url).await?;
            connect(url, settings.roots.config(), &addresses).await
        });
        let late = || Fault::Connect(url.host().to_string(), std::io::ErrorKind::TimedOut.into());
        connected.await.unwrap_or_else(|_| Err(late()))
    }

    async fn read(&self, host: &str, body: Incoming) -> Result<Bytes, Fault> {
        let limit = self.0.settings.max_body;
        match Limited::new(body, limit).collect().await {
            Ok(whole) => Ok(whole.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(Fault::TooLarge { host: host.to_owned(), limit }),
            Err(error) => Err(Fault::Broken(host.to_owned(), error)),
        }
    }
}

/// Writes the request as it goes over the connection.
fn written(request: Request) -> Result<http::Request<Full<Bytes>>, Fault> {
    let Request { method, url, mut headers, body } = request;
    if method == Method::CONNECT {
        return Err(Fault::Request("`CONNECT` asks for a tunnel"));
    }
    for name in OWN {
        headers.remove(name);
    }
    let authority = HeaderValue::from_str(url.authority());
    headers.insert(header::HOST, authority.map_err(|_| Fault::Request("the host cannot be written"))?);
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static("exeat"));
    let built = http::Request::builder().method(method).uri(url.path_and_query()).body(Full::new(body));
    let mut built = built.map_err(|_| Fault::Request("the path cannot be written"))?;
    *built.headers_mut() = headers;
    Ok(built)
}

/// Refuses what points elsewhere, and what would have to be unpacked.
fn usable(host: &str, status: StatusCode, headers: &HeaderMap) -> Result<(), Fault> {
    let elsewhere = status.is_redirection() && status != StatusCode::NOT_MODIFIED;
    if elsewhere || status.is_informational() {
        return Err(Fault::Redirected { host: host.to_owned(), status: status.as_u16() });
    }
    let coded = |coding: &HeaderValue| !coding.as_bytes().eq_ignore_ascii_case(b"identity");
    if headers.get_all(header::CONTENT_ENCODING).iter().any(coded) {
        return Err(Fault::Compressed(host.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
