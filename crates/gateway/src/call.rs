//! One call as it came in: route, caller's wishes, body.

use std::{cell::OnceCell, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Uri};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming as Body;
use terms::CallId;

use crate::{
    config::Limits,
    dialect::{Peek, Problem, Route, peek, refers_to_stored, with_model},
    listener::Peer,
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
    /// The body under another name of the model, and that name: the first that was asked for.
    renamed: OnceCell<(String, Bytes)>,
}

/// A request whose head is here and whose body has not been read.
#[derive(Debug)]
pub(crate) struct Incoming {
    /// Names the call.
    pub(crate) id: CallId,
    /// What it asks for.
    pub(crate) route: Route,
    /// The head.
    pub(crate) parts: http::request::Parts,
    /// Where it came from.
    pub(crate) peer: Peer,
    /// The body.
    pub(crate) body: Body,
}

impl Call {
    /// Returns the body as it goes to a server that knows the model as `model`: as it came in, but for that name.
    /// It is copied once for each name, if the servers of the model know it by no more than one.
    pub(crate) fn body_for(&self, model: &str) -> Bytes {
        let Some(peek) = self.peek.as_ref().filter(|peek| peek.model != model) else { return self.body.clone() };
        let (name, renamed) = self.renamed.get_or_init(|| (model.to_owned(), with_model(&self.body, peek, model)));
        if name == model { renamed.clone() } else { with_model(&self.body, peek, model) }
    }
}

impl Incoming {
    /// Returns the headers.
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// Reads the body within the limits and parses what the decision needs of it.
    ///
    /// # Errors
    ///
    /// A [`Problem`] that names what is wrong with the request; nothing was forwarded.
    pub(crate) async fn read(self, limits: &Limits) -> Result<Call, Problem> {
        let Self { id, route, parts, body, .. } = self;
        let body = match parts.method {
            Method::POST => read_body(body, limits.body_bytes, Duration::from_secs(limits.body_seconds)).await?,
            _ => Bytes::new(),
        };
        let peek = match route.operation.names_model() {
            true => Some(peek(&route, &body)?),
            false => None,
        };
        if peek.as_ref().is_some_and(|peek| peek.stored_input) || refers_to_stored(&body) {
            return Err(Problem::NotOffered {
                what: "input that is stored upstream (files, items, prompts, conversations)",
            });
        }
        if peek.as_ref().is_some_and(|peek| peek.background) {
            return Err(Problem::NotOffered { what: "background responses, which go on where no recall reaches them" });
        }
        let renamed = OnceCell::new();
        Ok(Call { id, route, method: parts.method, uri: parts.uri, headers: parts.headers, body, peek, renamed })
    }
}

/// Reads a body of at most `limit` bytes.
///
/// # Errors
///
/// [`Problem::TooLarge`], [`Problem::Timeout408`], or [`Problem::BadRequest`] if it ends early.
pub(crate) async fn read_body(body: Body, limit: usize, within: Duration) -> Result<Bytes, Problem> {
    let read = tokio::time::timeout(within, collect(Limited::new(body, limit))).await;
    match read {
        Err(_) => Err(Problem::Timeout408),
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(Problem::TooLarge { limit }),
        Ok(Err(_)) => Err(Problem::bad_request("the request body ended early or is not well framed")),
    }
}

/// Collects a body; one that came in one piece is not copied.
async fn collect(mut body: Limited<Body>) -> Result<Bytes, Box<dyn std::error::Error + Send + Sync>> {
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

#[cfg(test)]
mod tests {
    use terms::Dialect;

    use super::*;
    use crate::dialect::Operation;

    #[test]
    fn a_body_is_copied_once_for_another_name_of_its_model_and_not_at_all_for_its_own() {
        let route = Route { dialect: Dialect::Openai, operation: Operation::ChatCompletions };
        let body = Bytes::from_static(br#"{"model":"assistant","x":1}"#);
        let peek = Some(peek(&route, &body).unwrap());
        let (method, uri, headers) = (Method::POST, Uri::from_static("/"), HeaderMap::new());
        let call = Call { id: CallId([1; 16]), route, method, uri, headers, body, peek, renamed: OnceCell::new() };
        assert_eq!(call.body_for("assistant").as_ptr(), call.body.as_ptr());
        let named = call.body_for("nova-1");
        assert_eq!(named.as_ref(), br#"{"model":"nova-1","x":1}"#);
        assert_eq!(call.body_for("nova-1").as_ptr(), named.as_ptr());
        assert_eq!(call.body_for("their-name").as_ref(), br#"{"model":"their-name","x":1}"#);
        assert_eq!(call.body_for("nova-1").as_ptr(), named.as_ptr());
    }
}
