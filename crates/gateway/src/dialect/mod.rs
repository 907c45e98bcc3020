//! What clients speak: bytes and paths in, one shape of call out; and each dialect's own replies, errors and frames.
//!
//! Nothing here decides who may do what, and nothing here waits: every function is synchronous and pure.

mod anthropic;
mod meter;
mod openai;
mod peek;
mod problem;
mod sse;

use http::{HeaderMap, Method, Uri, header};
use terms::{Dialect, Moment};

pub(crate) use meter::{Meter, Metered};
pub(crate) use peek::{Peek, peek, with_model};
pub use problem::Problem;
pub(crate) use problem::{error_event, failure_event, request_id_header};
pub(crate) use sse::{Frame, Shape, Splitter, validate_sse};

/// What a request asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Operation {
    /// `POST /v1/chat/completions`
    ChatCompletions,
    /// `POST /v1/completions`
    Completions,
    /// `POST /v1/responses`
    Responses,
    /// `GET /v1/responses/{id}`
    ResponseGet {
        /// The response asked for.
        id: String,
    },
    /// `DELETE /v1/responses/{id}`
    ResponseDelete {
        /// The response to delete.
        id: String,
    },
    /// `POST /v1/responses/{id}/cancel`
    ResponseCancel {
        /// The response to cancel.
        id: String,
    },
    /// `GET /v1/responses/{id}/input_items`
    ResponseInputItems {
        /// The response whose input is asked for.
        id: String,
    },
    /// `POST /v1/responses/input_tokens`
    ResponseInputTokens,
    /// `POST /v1/responses/compact`
    ResponsesCompact,
    /// `POST /v1/embeddings`
    Embeddings,
    /// `GET /v1/models`
    ListModels,
    /// `GET /v1/models/{id}`
    GetModel {
        /// The model asked for; fits no more than the grammar of a path segment.
        id: String,
    },
    /// `POST /v1/messages`
    Messages,
    /// `POST /v1/messages/count_tokens`
    CountTokens,
    /// `GET /receipts/{id}`
    Receipt {
        /// The call whose receipt is asked for.
        id: String,
    },
    /// `GET /healthz`
    Health,
    /// `GET /readyz`
    Ready,
}

impl Operation {
    /// Returns true if the body must be a JSON object that names a model.
    pub(crate) fn names_model(&self) -> bool {
        matches!(
            self,
            Self::ChatCompletions
                | Self::Completions
                | Self::Responses
                | Self::ResponseInputTokens
                | Self::ResponsesCompact
                | Self::Embeddings
                | Self::Messages
                | Self::CountTokens
        )
    }
}

/// Where a request goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Route {
    /// The dialect it is written in, and so the one to answer in.
    pub dialect: Dialect,
    /// What it asks for.
    pub operation: Operation,
}

/// What is behind a path.
enum Place {
    /// An operation, with the methods that reach it.
    Offered(Operation, &'static str),
    /// Part of the vendor's API that this gateway does not carry.
    NotOffered(&'static str),
    /// Nothing.
    Nowhere,
}

/// Finds what a request asks for, from its path, method and headers alone.
///
/// Paths match byte for byte: no percent-decoding, no dot segments, no trailing slash. A path that
/// an upstream might normalize into another one therefore leads nowhere here.
///
/// # Errors
///
/// [`Problem::NotOffered`], [`Problem::NotFound`], [`Problem::MethodNotAllowed`],
/// [`Problem::UnsupportedMedia`], or [`Problem::BadRequest`] for headers that two readers could
/// read differently. Answer with [`dialect_of`] the same request.
pub(crate) fn route(method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<Route, Problem> {
    let dialect = dialect_of(uri, headers);
    let operation = match place(dialect, method, uri.path()) {
        Place::Offered(operation, allow) if allows(allow, method) => operation,
        Place::Offered(_, allow) => return Err(Problem::MethodNotAllowed { allow }),
        Place::NotOffered(what) => return Err(Problem::NotOffered { what }),
        Place::Nowhere => return Err(Problem::NotFound),
    };
    refuse_ambiguous(headers)?;
    if method == Method::POST {
        refuse_media(&operation, headers)?;
    }
    Ok(Route { dialect, operation })
}

/// Returns the dialect to answer a request in, whether or not it leads anywhere.
///
/// The path tells; where both vendors have the path, an `anthropic-version` or `x-api-key` header does.
pub(crate) fn dialect_of(uri: &Uri, headers: &HeaderMap) -> Dialect {
    let first = family(uri.path());
    if anthropic::owns(first) {
        return Dialect::Anthropic;
    }
    if openai::owns(first) {
        return Dialect::Openai;
    }
    if headers.contains_key("anthropic-version") || headers.contains_key("x-api-key") {
        Dialect::Anthropic
    } else {
        Dialect::Openai
    }
}

/// One model, as a caller may see it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ModelCard {
    /// The model version or the alias.
    pub id: String,
    /// When it was released to callers.
    pub created: Moment,
}

/// Writes the body of `GET /v1/models`, in the order given.
pub(crate) fn models_list(dialect: Dialect, cards: &[ModelCard]) -> bytes::Bytes {
    match dialect {
        Dialect::Openai => openai::models_list(cards),
        Dialect::Anthropic => anthropic::models_list(cards),
    }
}

/// Writes the body of `GET /v1/models/{id}`.
pub(crate) fn model_card(dialect: Dialect, card: &ModelCard) -> bytes::Bytes {
    match dialect {
        Dialect::Openai => openai::model_card(card),
        Dialect::Anthropic => anthropic::model_card(card),
    }
}

/// Returns the first path segment after `/v1/`, or an empty one.
fn family(path: &str) -> &str {
    let rest = path.strip_prefix("/v1/").unwrap_or_default();
    rest.split('/').next().unwrap_or_default()
}

fn place(dialect: Dialect, method: &Method, path: &str) -> Place {
    let ours = own_place(path);
    if !matches!(ours, Place::Nowhere) {
        return ours;
    }
    match dialect {
        Dialect::Openai => openai::place(method, path),
        Dialect::Anthropic => anthropic::place(path),
    }
}

/// Finds the paths that belong to neither vendor.
fn own_place(path: &str) -> Place {
    match path {
        "/healthz" => Place::Offered(Operation::Health, "GET, HEAD"),
        "/readyz" => Place::Offered(Operation::Ready, "GET, HEAD"),
        _ => match path.strip_prefix("/receipts/").and_then(segment) {
            Some(id) => Place::Offered(Operation::Receipt { id }, "GET"),
            None => Place::Nowhere,
        },
    }
}

/// Finds the models paths, the same in both dialects.
fn models_place(path: &str) -> Place {
    match path.strip_prefix("/v1/models") {
        Some("") => Place::Offered(Operation::ListModels, "GET"),
        Some(rest) => match rest.strip_prefix('/').and_then(segment) {
            Some(id) => Place::Offered(Operation::GetModel { id }, "GET"),
            None => Place::Nowhere,
        },
        None => Place::Nowhere,
    }
}

/// Accepts one path segment that every reader takes for the same identifier: 1 to 128 of
/// `a-z A-Z 0-9 . _ : -`, beginning with a letter or digit.
fn segment(text: &str) -> Option<String> {
    let first = text.bytes().next()?;
    let fits = first.is_ascii_alphanumeric()
        && text.len() <= 128
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._:-".contains(&b));
    fits.then(|| text.to_owned())
}

fn allows(allow: &str, method: &Method) -> bool {
    allow.split(", ").any(|name| name == method.as_str())
}

/// Headers of which a second value would let two readers see two different requests.
const SINGLE: [&str; 4] = ["anthropic-version", "content-length", "content-type", "host"];

/// Headers that make some servers act on another method or path than the request line's.
const REWRITING: [&str; 5] = [
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
];

/// Refuses headers that this gateway and an upstream could read differently.
///
/// # Source
/// RFC 9112 section 6.3 (a message with both lengths ought to be treated as an error); RFC 9110 section 5.3.
fn refuse_ambiguous(headers: &HeaderMap) -> Result<(), Problem> {
    for name in SINGLE {
        refuse_repeated(headers, name)?;
    }
    for name in REWRITING {
        if headers.contains_key(name) {
            return Err(Problem::bad_request(format!("the header `{name}` is not accepted; send the request to its own method and path")));
        }
    }
    if headers.contains_key(header::CONTENT_LENGTH)
        && headers.contains_key(header::TRANSFER_ENCODING)
    {
        return Err(Problem::bad_request(
            "`content-length` and `transfer-encoding` exclude each other; send one",
        ));
    }
    Ok(())
}

fn refuse_repeated(headers: &HeaderMap, name: &str) -> Result<(), Problem> {
    if headers.get_all(name).iter().nth(1).is_some() {
        return Err(Problem::bad_request(format!(
            "the header `{name}` was sent more than once; send it once"
        )));
    }
    Ok(())
}

/// Refuses a body that cannot be looked into as it is.
fn refuse_media(operation: &Operation, headers: &HeaderMap) -> Result<(), Problem> {
    let encoded = headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"));
    let json = match headers.get(header::CONTENT_TYPE) {
        Some(value) => is_json(value.as_bytes()),
        None => !operation.names_model(),
    };
    if encoded {
        return Err(Problem::UnsupportedMedia {
            what: "a `content-encoding` is not accepted; send the body as it is",
        });
    }
    if !json {
        return Err(Problem::UnsupportedMedia {
            what: "the body must be JSON; send `content-type: application/json`",
        });
    }
    Ok(())
}

fn is_json(value: &[u8]) -> bool {
    let essence = value.split(|b| *b == b';').next().unwrap_or_default();
    essence
        .trim_ascii()
        .eq_ignore_ascii_case(b"application/json")
}
