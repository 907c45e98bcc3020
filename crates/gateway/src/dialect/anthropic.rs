//! The paths, error types and model cards of the Anthropic API.

use bytes::Bytes;

use super::{
    ModelCard, Operation,
    route::{Place, family, models_place},
};

/// Families of paths that are Anthropic's alone: `/v1/{family}/...`. All but the first are not offered.
const FAMILIES: [&str; 10] = [
    "messages",
    "agents",
    "complete",
    "environments",
    "memory_stores",
    "oauth",
    "organizations",
    "sessions",
    "user_profiles",
    "vaults",
];

/// Families that both vendors have and this gateway does not carry.
const SHARED: [&str; 2] = ["files", "skills"];

/// Returns true if `/v1/{family}` is Anthropic's and nobody else's.
pub(super) fn owns(family: &str) -> bool {
    FAMILIES.contains(&family)
}

/// Finds what is behind a path.
pub(super) fn place(path: &str) -> Place {
    match path {
        "/v1/messages" => return Place::Offered(Operation::Messages, "POST"),
        "/v1/messages/count_tokens" => return Place::Offered(Operation::CountTokens, "POST"),
        _ => {}
    }
    let family = family(path);
    match FAMILIES.iter().chain(&SHARED).find(|known| **known == family) {
        Some(&"messages") if is_batches(path) => Place::NotOffered("message batches"),
        Some(&"messages") => Place::Nowhere,
        Some(what) => Place::NotOffered(what),
        None => models_place(path),
    }
}

fn is_batches(path: &str) -> bool {
    path.strip_prefix("/v1/messages/batches").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Names the type of an error, by status.
///
/// # Source
/// The "Errors" page of the Anthropic API reference.
pub(super) fn error_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        408 | 504 => "timeout_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

#[derive(serde::Serialize)]
struct Failure<'a> {
    r#type: &'static str,
    error: FailureDetail<'a>,
    request_id: &'a str,
}

#[derive(serde::Serialize)]
struct FailureDetail<'a> {
    r#type: &'a str,
    message: &'a str,
    details: Details<'a>,
}

#[derive(serde::Serialize)]
struct Details<'a> {
    error_code: &'a str,
}

/// Writes the body of an error.
pub(super) fn failure(status: u16, code: &str, message: &str, request_id: &str) -> Bytes {
    super::problem::json(&Failure {
        r#type: "error",
        error: FailureDetail { r#type: error_type(status), message, details: Details { error_code: code } },
        request_id,
    })
}

#[derive(serde::Serialize)]
struct Card<'a> {
    r#type: &'static str,
    id: &'a str,
    display_name: &'a str,
    created_at: String,
}

impl<'a> From<&'a ModelCard> for Card<'a> {
    fn from(card: &'a ModelCard) -> Self {
        Self { r#type: "model", id: &card.id, display_name: &card.id, created_at: card.created.to_string() }
    }
}

#[derive(serde::Serialize)]
struct CardList<'a> {
    data: Vec<Card<'a>>,
    has_more: bool,
    first_id: Option<&'a str>,
    last_id: Option<&'a str>,
}

/// Writes one model.
pub(super) fn model_card(card: &ModelCard) -> Bytes {
    super::problem::json(&Card::from(card))
}

/// Writes a list of models, whole: there is never another page.
pub(super) fn models_list(cards: &[ModelCard]) -> Bytes {
    super::problem::json(&CardList {
        data: cards.iter().map(Card::from).collect(),
        has_more: false,
        first_id: cards.first().map(|card| card.id.as_str()),
        last_id: cards.last().map(|card| card.id.as_str()),
    })
}
