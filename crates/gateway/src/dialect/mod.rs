//! What clients speak: bytes and paths in, one shape of call out; and each dialect's own replies, errors and frames.
//!
//! Nothing here decides who may do what, and nothing here waits: every function is synchronous and pure.

mod anthropic;
mod long;
mod meter;
mod openai;
mod peek;
mod problem;
mod reply;
mod route;
mod sse;
mod stored;

use terms::{Dialect, Moment};

pub(crate) use meter::{Event as EventKind, Meter, Metered};
pub(crate) use peek::{Peek, peek, with_model};
pub use problem::{Challenge, Problem};
pub(crate) use problem::{error_event, failure_event, request_id_header};
pub(crate) use route::{dialect_of, is_aside, route};
pub(crate) use sse::{Extent, Frame, Shape, Splitter, TAIL_BYTES_MAX, validate_sse};
pub(crate) use stored::refers_to_stored;

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
    /// A path that is answered by somebody else in this process: tokens and who issues them.
    Aside,
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

    /// Returns true if it is about a response that was made before and kept: nothing is generated.
    pub(crate) fn is_about_stored(&self) -> bool {
        matches!(
            self,
            Self::ResponseGet { .. }
                | Self::ResponseDelete { .. }
                | Self::ResponseCancel { .. }
                | Self::ResponseInputItems { .. }
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

#[cfg(test)]
mod tests {
    use Dialect::{Anthropic, Openai};

    use super::*;

    fn card() -> ModelCard {
        ModelCard { id: "nova-1".to_owned(), created: Moment::parse("2026-06-12T21:21:00Z").unwrap() }
    }

    #[test]
    fn models_are_written_in_each_dialect() {
        assert_eq!(
            models_list(Openai, &[card()]).as_ref(),
            br#"{"object":"list","data":[{"id":"nova-1","object":"model","created":1781299260,"owned_by":"exeat"}]}"#
        );
        assert_eq!(
            models_list(Anthropic, &[card()]).as_ref(),
            br#"{"data":[{"type":"model","id":"nova-1","display_name":"nova-1","created_at":"2026-06-12T21:21:00Z"}],"has_more":false,"first_id":"nova-1","last_id":"nova-1"}"#
        );
        assert_eq!(
            models_list(Anthropic, &[]).as_ref(),
            br#"{"data":[],"has_more":false,"first_id":null,"last_id":null}"#
        );
        assert_eq!(
            model_card(Openai, &card()).as_ref(),
            br#"{"id":"nova-1","object":"model","created":1781299260,"owned_by":"exeat"}"#
        );
        assert_eq!(
            model_card(Anthropic, &card()).as_ref(),
            br#"{"type":"model","id":"nova-1","display_name":"nova-1","created_at":"2026-06-12T21:21:00Z"}"#
        );
    }
}
