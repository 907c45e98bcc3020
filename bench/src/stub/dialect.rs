//! What the stub says: the same in every answer, in the dialect of the path.

use bytes::Bytes;

const CHAT: &str = r#"{"id":"chatcmpl-0","object":"chat.completion","created":1750000000,"model":"mythos-5","choices":[{"index":0,"message":{"role":"assistant","content":"Good afternoon. How can I help you today?"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":9,"total_tokens":18}}"#;
const CHAT_CHUNK: &str = "data: {\"id\":\"chatcmpl-0\",\"object\":\"chat.completion.chunk\",\"created\":1750000000,\"model\":\"mythos-5\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"word \"},\"finish_reason\":null}]}\n\n";
const CHAT_END: &str = "data: {\"id\":\"chatcmpl-0\",\"object\":\"chat.completion.chunk\",\"created\":1750000000,\"model\":\"mythos-5\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

const MESSAGE: &str = r#"{"id":"msg_0","type":"message","role":"assistant","model":"mythos-5","content":[{"type":"text","text":"Good afternoon. How can I help you today?"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":9,"output_tokens":9}}"#;
const MESSAGE_START: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_0\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"mythos-5\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n";
const MESSAGE_DELTA: &str = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"word \"}}\n\n";
const MESSAGE_END: &str = "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":9}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

/// How a model server is spoken to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Dialect {
    /// Chat completions.
    OpenAi,
    /// Messages.
    Anthropic,
}

impl Dialect {
    /// Returns the dialect of a path.
    pub(super) fn of(path: &str) -> Self {
        if path.ends_with("/messages") { Self::Anthropic } else { Self::OpenAi }
    }

    /// Returns an answer that is not streamed.
    pub(super) fn whole(self) -> Bytes {
        let text = match self {
            Self::OpenAi => CHAT,
            Self::Anthropic => MESSAGE,
        };
        Bytes::from_static(text.as_bytes())
    }

    /// Returns the pieces of a streamed answer with so many events of text.
    pub(super) fn pieces(self, events: u32) -> Pieces {
        let (first, text, last) = match self {
            Self::OpenAi => (None, CHAT_CHUNK, CHAT_END),
            Self::Anthropic => (Some(MESSAGE_START), MESSAGE_DELTA, MESSAGE_END),
        };
        Pieces { first, text, left: events, last: Some(last) }
    }
}

/// What is left of a stream.
#[derive(Clone, Debug)]
pub(super) struct Pieces {
    first: Option<&'static str>,
    text: &'static str,
    left: u32,
    last: Option<&'static str>,
}

impl Iterator for Pieces {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let piece = if let Some(first) = self.first.take() {
            first
        } else if self.left > 0 {
            self.left -= 1;
            self.text
        } else {
            self.last.take()?
        };
        Some(Bytes::from_static(piece.as_bytes()))
    }
}
