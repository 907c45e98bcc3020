//! Finds what a request asks for, and refuses what could be taken for something else further on.

use http::{HeaderMap, HeaderName, Method, Uri, header};
use terms::Dialect;

use super::{Operation, Problem, Route, anthropic, openai};

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
    if method == Method::POST && !matches!(operation, Operation::Aside) {
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

/// Says whether a path is answered by [`crate::Aside`], which has DPoP nonces of its own.
pub(crate) fn is_aside(path: &str) -> bool {
    matches!(own_place(path), Place::Offered(Operation::Aside, _))
}

/// What is behind a path.
pub(super) enum Place {
    /// An operation, with the methods that reach it.
    Offered(Operation, &'static str),
    /// Part of the vendor's API that this gateway does not carry.
    NotOffered(&'static str),
    /// Nothing.
    Nowhere,
}

/// Returns the first path segment after `/v1/`, or an empty one.
pub(super) fn family(path: &str) -> &str {
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
        "/v1/oauth/token" | "/oauth/token" | "/oauth/introspect" | "/oauth/revoke" => {
            Place::Offered(Operation::Aside, "POST")
        }
        "/oauth/jwks.json" | "/.well-known/oauth-protected-resource" | "/.well-known/oauth-authorization-server" => {
            Place::Offered(Operation::Aside, "GET, HEAD")
        }
        "/readyz" => Place::Offered(Operation::Ready, "GET, HEAD"),
        _ => match path.strip_prefix("/receipts/").and_then(segment) {
            Some(id) => Place::Offered(Operation::Receipt { id }, "GET"),
            None => Place::Nowhere,
        },
    }
}

/// Finds the models paths, the same in both dialects.
pub(super) fn models_place(path: &str) -> Place {
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
pub(super) fn segment(text: &str) -> Option<String> {
    let first = text.bytes().next()?;
    let fits = first.is_ascii_alphanumeric()
        && text.len() <= 128
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:-".contains(&b));
    fits.then(|| text.to_owned())
}

fn allows(allow: &str, method: &Method) -> bool {
    allow.split(", ").any(|name| name == method.as_str())
}

/// Refuses headers that this gateway and an upstream could read differently.
///
/// # Source
/// RFC 9112 section 6.3 (a message with both lengths ought to be treated as an error); RFC 9110 section 5.3.
fn refuse_ambiguous(headers: &HeaderMap) -> Result<(), Problem> {
    for name in headers.keys() {
        match name.as_str() {
            // A second value would let two readers see two different requests.
            "anthropic-version" | "content-length" | "content-type" | "host" => refuse_repeated(headers, name)?,
            // Some servers act on these in place of the request line.
            "x-http-method-override" | "x-http-method" | "x-method-override" | "x-original-url" | "x-rewrite-url" => {
                return Err(Problem::bad_request(format!(
                    "the header `{name}` is not accepted; send the request to its own method and path"
                )));
            }
            _ => {}
        }
    }
    if headers.contains_key(header::CONTENT_LENGTH) && headers.contains_key(header::TRANSFER_ENCODING) {
        return Err(Problem::bad_request("`content-length` and `transfer-encoding` exclude each other; send one"));
    }
    Ok(())
}

fn refuse_repeated(headers: &HeaderMap, name: &HeaderName) -> Result<(), Problem> {
    if headers.get_all(name).iter().nth(1).is_some() {
        return Err(Problem::bad_request(format!("the header `{name}` was sent more than once; send it once")));
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
        return Err(Problem::UnsupportedMedia { what: "a `content-encoding` is not accepted; send the body as it is" });
    }
    if !json {
        return Err(Problem::UnsupportedMedia { what: "the body must be JSON; send `content-type: application/json`" });
    }
    Ok(())
}

fn is_json(value: &[u8]) -> bool {
    let essence = value.split(|b| *b == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"application/json")
}

#[cfg(test)]
mod tests {
    use Dialect::{Anthropic, Openai};
    use proptest::prelude::*;

    use super::*;

    const JSON: (&str, &str) = ("content-type", "application/json");
    const VERSION: (&str, &str) = ("anthropic-version", "2026-10-21");

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn find(method: &str, path: &str, pairs: &[(&'static str, &str)]) -> Result<Route, Problem> {
        let method: Method = method.parse().unwrap();
        route(&method, &path.parse().unwrap(), &headers(pairs))
    }

    fn id() -> String {
        "resp_1".to_owned()
    }

    #[test]
    fn every_path_offered_leads_to_its_operation() {
        use Operation::*;
        let model = || GetModel { id: "nova-1".to_owned() };
        for (method, path, dialect, operation) in [
            ("POST", "/v1/chat/completions", Openai, ChatCompletions),
            ("POST", "/v1/completions", Openai, Completions),
            ("POST", "/v1/responses", Openai, Responses),
            ("POST", "/v1/responses?x=1", Openai, Responses),
            ("GET", "/v1/responses/resp_1", Openai, ResponseGet { id: id() }),
            ("GET", "/v1/responses/resp_1?stream=true", Openai, ResponseGet { id: id() }),
            ("DELETE", "/v1/responses/resp_1", Openai, ResponseDelete { id: id() }),
            ("POST", "/v1/responses/resp_1/cancel", Openai, ResponseCancel { id: id() }),
            ("GET", "/v1/responses/resp_1/input_items", Openai, ResponseInputItems { id: id() }),
            ("POST", "/v1/responses/input_tokens", Openai, ResponseInputTokens),
            ("POST", "/v1/responses/compact", Openai, ResponsesCompact),
            ("POST", "/v1/embeddings", Openai, Embeddings),
            ("GET", "/v1/models", Openai, ListModels),
            ("GET", "/v1/models/nova-1", Openai, model()),
            ("POST", "/v1/messages", Anthropic, Messages),
            ("POST", "/v1/messages?beta=true", Anthropic, Messages),
            ("POST", "/v1/messages/count_tokens", Anthropic, CountTokens),
            ("GET", "/receipts/resp_1", Openai, Receipt { id: id() }),
            ("GET", "/healthz", Openai, Health),
            ("HEAD", "/readyz", Openai, Ready),
            ("POST", "/v1/oauth/token", Anthropic, Aside),
            ("POST", "/oauth/token", Openai, Aside),
            ("GET", "/.well-known/oauth-protected-resource", Openai, Aside),
        ] {
            let found = find(method, path, &[JSON]);
            assert_eq!(found, Ok(Route { dialect, operation }), "{method} {path}");
        }
        for pair in [VERSION, ("x-api-key", "k")] {
            let (dialect, operation) = (Anthropic, model());
            let found = find("GET", "/v1/models/nova-1", &[pair]);
            assert_eq!(found, Ok(Route { dialect, operation }));
        }
    }

    #[test]
    fn a_header_does_not_change_the_dialect_of_a_path_that_one_vendor_has() {
        let found = find("POST", "/v1/chat/completions", &[JSON, VERSION]).unwrap();
        assert_eq!(found.dialect, Openai);
        assert_eq!(find("POST", "/v1/messages", &[JSON]).unwrap().dialect, Anthropic);
    }

    #[test]
    fn the_rest_of_either_api_is_refused_by_name() {
        for (path, what) in [
            ("/v1/files", "files"),
            ("/v1/files/f/content", "files"),
            ("/v1/batches", "batches"),
            ("/v1/audio/speech", "audio"),
            ("/v1/images/generations", "images"),
            ("/v1/moderations", "moderations"),
            ("/v1/realtime", "realtime"),
            ("/v1/uploads", "uploads"),
            ("/v1/vector_stores/v/files", "vector_stores"),
            ("/v1/conversations", "conversations"),
            ("/v1/fine_tuning/jobs", "fine_tuning"),
            ("/v1/assistants", "assistants"),
            ("/v1/threads/t/runs", "threads"),
            ("/v1/videos", "videos"),
            ("/v1/chat/completions/c", "stored chat completions"),
            ("/v1/messages/batches", "message batches"),
            ("/v1/messages/batches/b/results", "message batches"),
            ("/v1/skills", "skills"),
            ("/v1/user_profiles", "user_profiles"),
            ("/v1/oauth/authorize", "oauth"),
            ("/v1/complete", "complete"),
        ] {
            for method in ["GET", "POST", "DELETE"] {
                let found = find(method, path, &[JSON]);
                assert_eq!(found, Err(Problem::NotOffered { what }), "{method} {path}");
            }
        }
    }

    #[test]
    fn a_refusal_is_in_the_dialect_of_its_path_or_else_of_its_headers() {
        for (path, plain, versioned) in [
            ("/v1/files", Openai, Anthropic),
            ("/v1/batches", Openai, Openai),
            ("/v1/oauth/token", Anthropic, Anthropic),
            ("/v1/messages/batches", Anthropic, Anthropic),
            ("/nowhere", Openai, Anthropic),
        ] {
            let uri: Uri = path.parse().unwrap();
            assert_eq!(dialect_of(&uri, &headers(&[])), plain, "{path}");
            assert_eq!(dialect_of(&uri, &headers(&[VERSION])), versioned, "{path}");
        }
    }

    #[test]
    fn a_path_that_another_server_might_normalize_leads_nowhere() {
        for path in [
            "/",
            "/v1",
            "/v1/",
            "/v1/model",
            "/v1/models/",
            "/v1/models/..",
            "/v1/models/%2e%2e",
            "/v1/models/a/b",
            "/v1/models/a%2fb",
            "/v1/models/a;b",
            "/v1//models",
            "//v1/models",
            "/V1/models",
            "/v1/./models",
            "/v1/chat/completions/",
            "/v1/chat/completions%20",
            "/v1/chat/../messages",
            "/v1/%63hat/completions",
            "/v1/messages/",
            "/v1/messages/x",
            "/v1/messages/batchesx",
            "/v1/responses/",
            "/v1/responses/..",
            "/v1/responses/r/",
            "/v1/responses/r/cancel/x",
            "/v1/responses/%2e%2e/cancel",
            "/v1/embeddings/x",
            "/receipts/",
            "/receipts/../healthz",
            "/healthz/",
        ] {
            let found = find("POST", path, &[JSON]);
            let refused = matches!(found, Err(Problem::NotFound | Problem::NotOffered { .. }));
            assert!(refused, "{path}: {found:?}");
        }
        let long = format!("/v1/models/{}", "a".repeat(129));
        assert_eq!(find("GET", &long, &[]), Err(Problem::NotFound));
    }

    #[test]
    fn a_wrong_method_is_told_the_right_ones() {
        for (method, path, allow) in [
            ("GET", "/v1/chat/completions", "POST"),
            ("get", "/v1/models", "GET"),
            ("HEAD", "/v1/models", "GET"),
            ("DELETE", "/v1/models/nova-1", "GET"),
            ("POST", "/v1/responses/resp_1", "GET, DELETE"),
            ("GET", "/v1/responses/resp_1/cancel", "POST"),
            ("PUT", "/v1/messages", "POST"),
            ("POST", "/healthz", "GET, HEAD"),
        ] {
            let found = find(method, path, &[JSON]);
            assert_eq!(found, Err(Problem::MethodNotAllowed { allow }), "{method} {path}");
        }
    }

    #[test]
    fn headers_that_two_readers_could_read_differently_are_refused() {
        for pairs in [
            &[JSON, JSON][..],
            &[JSON, ("content-length", "1"), ("content-length", "2")],
            &[JSON, ("content-length", "1"), ("transfer-encoding", "chunked")],
            &[JSON, ("host", "a"), ("host", "b")],
            &[JSON, VERSION, VERSION],
            &[JSON, ("x-http-method-override", "DELETE")],
            &[JSON, ("x-original-url", "/v1/models")],
            &[JSON, ("x-rewrite-url", "/v1/models")],
        ] {
            let found = find("POST", "/v1/messages", pairs);
            assert!(matches!(found, Err(Problem::BadRequest { .. })), "{pairs:?}: {found:?}");
        }
    }

    #[test]
    fn a_body_that_cannot_be_looked_into_is_refused() {
        for pairs in [
            &[][..],
            &[("content-type", "text/plain")],
            &[("content-type", "application/jsonl")],
            &[("content-type", "application/x-www-form-urlencoded")],
            &[JSON, ("content-encoding", "gzip")],
            &[JSON, ("content-encoding", "identity"), ("content-encoding", "br")],
        ] {
            let found = find("POST", "/v1/messages", pairs);
            assert!(matches!(found, Err(Problem::UnsupportedMedia { .. })), "{pairs:?}: {found:?}");
        }
        let spelled = [("content-type", "Application/JSON ; charset=utf-8")];
        assert!(find("POST", "/v1/messages", &spelled).is_ok());
        assert!(find("POST", "/v1/responses/resp_1/cancel", &[]).is_ok());
    }

    proptest! {
        #[test]
        fn an_id_taken_from_a_path_is_the_path_byte_for_byte(
            path in "/(v1/(models|responses|messages|chat|files)|receipts)(/[a-zA-Z0-9._:%;/-]{0,12}){0,3}",
            method in prop_oneof![Just("GET"), Just("POST"), Just("DELETE")],
        ) {
            let found = find(method, &path, &[JSON]);
            if let Ok(Route { operation, .. }) = found {
                use Operation::{GetModel, Receipt, ResponseCancel, ResponseDelete, ResponseGet, ResponseInputItems};
                let rebuilt = match operation {
                    GetModel { id } => format!("/v1/models/{id}"),
                    Receipt { id } => format!("/receipts/{id}"),
                    ResponseGet { id } | ResponseDelete { id } => format!("/v1/responses/{id}"),
                    ResponseCancel { id } => format!("/v1/responses/{id}/cancel"),
                    ResponseInputItems { id } => format!("/v1/responses/{id}/input_items"),
                    _ => path.clone(),
                };
                prop_assert_eq!(rebuilt, path);
            }
        }
    }
}
