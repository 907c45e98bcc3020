//! The paths, error types and model cards of the OpenAI API.

use bytes::Bytes;
use http::Method;

use super::{
    ModelCard, Operation,
    route::{Place, family, models_place, segment},
};

/// Families of paths that are OpenAI's alone: `/v1/{family}/...`. All but the first five are not offered.
const FAMILIES: [&str; 24] = [
    "chat",
    "completions",
    "responses",
    "embeddings",
    "engines",
    "assistants",
    "audio",
    "batches",
    "chatkit",
    "containers",
    "conversations",
    "edits",
    "evals",
    "fine_tuning",
    "fine-tunes",
    "graders",
    "images",
    "moderations",
    "organization",
    "realtime",
    "threads",
    "uploads",
    "vector_stores",
    "videos",
];

/// Families that both vendors have and this gateway does not carry.
const SHARED: [&str; 2] = ["files", "skills"];

/// Returns true if `/v1/{family}` is OpenAI's and nobody else's.
pub(super) fn owns(family: &str) -> bool {
    FAMILIES.contains(&family)
}

/// Finds what is behind a path. The method matters only where one path has two operations.
pub(super) fn place(method: &Method, path: &str) -> Place {
    match path {
        "/v1/chat/completions" => Place::Offered(Operation::ChatCompletions, "POST"),
        "/v1/responses" => Place::Offered(Operation::Responses, "POST"),
        "/v1/completions" => Place::Offered(Operation::Completions, "POST"),
        "/v1/embeddings" => Place::Offered(Operation::Embeddings, "POST"),
        "/v1/responses/input_tokens" => Place::Offered(Operation::ResponseInputTokens, "POST"),
        "/v1/responses/compact" => Place::Offered(Operation::ResponsesCompact, "POST"),
        _ => match path.strip_prefix("/v1/responses/") {
            Some(rest) => response_place(method, rest),
            None => other_place(path),
        },
    }
}

/// Finds what is behind `/v1/responses/{rest}`.
fn response_place(method: &Method, rest: &str) -> Place {
    let (id, action) = match rest.split_once('/') {
        Some((id, action)) => (id, Some(action)),
        None => (rest, None),
    };
    let Some(id) = segment(id) else {
        return Place::Nowhere;
    };
    match action {
        None if method == Method::DELETE => Place::Offered(Operation::ResponseDelete { id }, "GET, DELETE"),
        None => Place::Offered(Operation::ResponseGet { id }, "GET, DELETE"),
        Some("cancel") => Place::Offered(Operation::ResponseCancel { id }, "POST"),
        Some("input_items") => Place::Offered(Operation::ResponseInputItems { id }, "GET"),
        Some(_) => Place::Nowhere,
    }
}

fn other_place(path: &str) -> Place {
    let family = family(path);
    match FAMILIES.iter().chain(&SHARED).find(|known| **known == family) {
        Some(&"chat") if path.starts_with("/v1/chat/completions/") => Place::NotOffered("stored chat completions"),
        Some(&("chat" | "completions" | "embeddings")) => Place::Nowhere,
        Some(what) => Place::NotOffered(what),
        None => models_place(path),
    }
}

/// Names the type of an error, by status.
pub(super) fn error_type(status: u16) -> &'static str {
    match status {
        403 => "permission_error",
        429 => "rate_limit_error",
        503 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

#[derive(serde::Serialize)]
struct Failure<'a> {
    error: FailureDetail<'a>,
}

#[derive(serde::Serialize)]
struct FailureDetail<'a> {
    message: &'a str,
    r#type: &'a str,
    param: Option<&'a str>,
    code: &'a str,
}

/// Writes the body of an error.
pub(super) fn failure(status: u16, code: &str, message: &str, param: Option<&str>) -> Bytes {
    super::problem::json(&Failure { error: FailureDetail { message, r#type: error_type(status), param, code } })
}

#[derive(serde::Serialize)]
struct Card<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    owned_by: &'static str,
}

impl<'a> From<&'a ModelCard> for Card<'a> {
    fn from(card: &'a ModelCard) -> Self {
        Self { id: &card.id, object: "model", created: card.created.as_millis() / 1_000, owned_by: "exeat" }
    }
}

#[derive(serde::Serialize)]
struct CardList<'a> {
    object: &'static str,
    data: Vec<Card<'a>>,
}

/// Writes one model.
pub(super) fn model_card(card: &ModelCard) -> Bytes {
    super::problem::json(&Card::from(card))
}

/// Writes a list of models.
pub(super) fn models_list(cards: &[ModelCard]) -> Bytes {
    super::problem::json(&CardList { object: "list", data: cards.iter().map(Card::from).collect() })
}
