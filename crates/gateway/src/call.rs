//! One call as it came in: route, caller's wishes, body.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Uri};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use terms::CallId;

use crate::{
    config::Limits,
    dialect::{Peek, Problem, Route, peek},
};

/// One call as it came in, read whole and parsed as far as the decision needs.
#[derive(Debug)]
pub struct Call {
    pub(crate) id: CallId,
    pub(crate) route: Route,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) peek: Option<Peek>,
}

impl Call {
    /// Reads the body within the limits and parses what the decision needs of it.
    ///
    /// # Errors
    ///
    /// A [`Problem`] that names what is wrong with the request; nothing was forwarded.
    pub(crate) async fn read(
        id: CallId,
        route: Route,
        parts: http::request::Parts,
        body: Incoming,
        limits: &Limits,
    ) -> Result<Self, Problem> {
        let body = match parts.method {
            Method::POST => read_body(body, limits).await?,
            _ => Bytes::new(),
        };
        let peek = match route.operation.names_model() {
            true => Some(peek(&route, &body)?),
            false => None,
        };
        Ok(Self { id, route, method: parts.method, uri: parts.uri, headers: parts.headers, body, peek })
    }
}

async fn read_body(body: Incoming, limits: &Limits) -> Result<Bytes, Problem> {
    let limit = limits.body_bytes;
    let within = Duration::from_secs(limits.body_seconds);
    let read = tokio::time::timeout(within, collect(Limited::new(body, limit))).await;
    match read {
        Err(_) => Err(Problem::Timeout408),
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(Problem::TooLarge { limit }),
        Ok(Err(_)) => Err(Problem::bad_request("the request body ended early or is not well framed")),
    }
}

/// Collects a body; one that came in one piece is not copied.
async fn collect(mut body: Limited<Incoming>) -> Result<Bytes, Box<dyn std::error::Error + Send + Sync>> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if first.is_empty() && rest.is_empty() {
            first = data;
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&first);
            }
            rest.extend_from_slice(&data);
        }
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}
