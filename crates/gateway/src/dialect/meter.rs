//! Reads off a reply what must be known of it: what was used, whether it ended as it should, whether it failed
//! inside a 200. Never changes a byte.

use std::{borrow::Cow, sync::LazyLock};

use memchr::memmem::Finder;
use serde_json::value::RawValue;
use terms::Dialect;

use super::{
    Frame, Operation,
    reply::{InBandFault, Reply, Usage, parse},
    sse,
};

/// What a reply reported and what was seen of it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Metered {
    /// Input tokens the upstream reported, those read from or written to a cache included.
    pub input_tokens: Option<u64>,
    /// Output tokens the upstream reported.
    pub output_tokens: Option<u64>,
    /// Stream events that can have carried output.
    pub delivered_events: u64,
}

/// What one frame is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Event {
    /// It can carry output.
    Output,
    /// It carries none: a comment, a ping, usage, the frame of a structure.
    Control,
    /// The stream is complete with it.
    Terminal,
    /// The upstream failed; see [`Meter::fault`].
    Fault,
}

/// Reads one reply: either each frame of a stream with [`Meter::event`], or a body with [`Meter::body`].
#[derive(Clone, Debug)]
pub(crate) struct Meter {
    form: Form,
    metered: Metered,
    response_id: Option<String>,
    terminal: bool,
    fault: Option<InBandFault>,
}

/// The form of a stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Form {
    /// Unnamed events, ended by `[DONE]`.
    Chunks,
    /// Events named by the `type` of their data.
    Responses,
    /// Events named on a line of their own.
    Messages,
}

impl Meter {
    /// Makes a meter for the reply to `operation` in `dialect`.
    pub(crate) fn new(dialect: Dialect, operation: &Operation) -> Self {
        let form = match operation {
            _ if dialect == Dialect::Anthropic => Form::Messages,
            Operation::Responses
            | Operation::ResponseGet { .. }
            | Operation::ResponseCancel { .. }
            | Operation::ResponseInputTokens
            | Operation::ResponsesCompact => Form::Responses,
            _ => Form::Chunks,
        };
        Self { form, metered: Metered::default(), response_id: None, terminal: false, fault: None }
    }

    /// Reads one frame, just before or just after it is relayed, and says what it is.
    ///
    /// Of a frame too long to hold only the parts are seen; each counts as output.
    pub(crate) fn event(&mut self, frame: &Frame) -> Event {
        let event = if frame.is_whole() || !frame.ends() && self.could_be_last(frame) {
            self.read(&frame.contiguous())
        } else {
            Event::Output
        };
        match event {
            Event::Output => self.metered.delivered_events += 1,
            Event::Terminal | Event::Fault => self.terminal = true,
            Event::Control => {}
        }
        event
    }

    /// Reads a whole body that is not a stream.
    pub(crate) fn body(&mut self, json: &[u8]) {
        let Some(reply) = Reply::read(json) else {
            return;
        };
        if self.form == Form::Responses {
            self.response_id = reply.id.and_then(parse);
        }
        self.metered.input_tokens = reply.input_tokens.and_then(parse);
        self.account(reply.usage);
        self.fault = reply.fault();
        self.terminal = true;
    }

    /// Returns what was used, as far as it is known by now.
    pub(crate) fn metered(&self) -> Metered {
        self.metered
    }

    /// Returns the id of the stored response, in the Responses API.
    pub(crate) fn response_id(&self) -> Option<&str> {
        self.response_id.as_deref()
    }

    /// Returns true once the reply is complete in its own terms, or has failed in them.
    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Returns the error found inside the reply, if there was one.
    pub(crate) fn fault(&self) -> Option<&InBandFault> {
        self.fault.as_ref()
    }

    /// Returns true for a short last frame without its blank line, which lenient clients take for a frame.
    fn could_be_last(&self, frame: &Frame) -> bool {
        !self.terminal && sse::validate_sse(&frame.contiguous()) == sse::Shape::Sse
    }

    fn read(&mut self, frame: &[u8]) -> Event {
        let (name, data) = name_and_data(frame);
        if data.is_empty() && name != b"error" {
            return Event::Control;
        }
        match self.form {
            Form::Chunks => self.chunk(name, &data),
            Form::Responses => self.responses(&named(name, &data), &data),
            Form::Messages => self.messages(&named(name, &data), &data),
        }
    }

    fn chunk(&mut self, name: &[u8], data: &[u8]) -> Event {
        if data.starts_with(b"[DONE]") {
            return Event::Terminal;
        }
        let failed = name == b"error" || has_value(&ERROR, data);
        if !failed && !has_value(&USAGE, data) {
            return Event::Output;
        }
        let reply = Reply::read(data).unwrap_or_default();
        match reply.fault() {
            Some(fault) => return self.failed(fault),
            None if name == b"error" => return self.failed(InBandFault::of(&reply)),
            None => self.account(reply.usage),
        }
        match reply.choices.map(RawValue::get) {
            Some("[]") => Event::Control,
            _ => Event::Output,
        }
    }

    fn messages(&mut self, name: &[u8], data: &[u8]) -> Event {
        match name {
            b"message_start" | b"message_delta" => {
                let reply = Reply::read(data).unwrap_or_default();
                let message: Option<Reply<'_>> = reply.message.and_then(parse);
                self.account(message.and_then(|message| message.usage));
                self.account(reply.usage);
                Event::Control
            }
            b"message_stop" => Event::Terminal,
            b"error" => self.failed(fault_in(data)),
            b"ping" | b"content_block_stop" => Event::Control,
            _ => Event::Output,
        }
    }

    fn responses(&mut self, name: &[u8], data: &[u8]) -> Event {
        match name {
            b"response.created" | b"response.queued" | b"response.in_progress" => {
                if self.response_id.is_none() {
                    self.response(data);
                }
                Event::Control
            }
            b"response.completed" | b"response.incomplete" | b"response.cancelled" => {
                self.response(data);
                Event::Terminal
            }
            b"response.failed" => {
                self.response(data);
                self.failed(fault_in(data))
            }
            b"error" => self.failed(fault_in(data)),
            _ if has_value(&ERROR, data) => self.unnamed(data),
            _ => Event::Output,
        }
    }

    /// Reads an event that has a member called `error` somewhere: a failure if it is at the top.
    fn unnamed(&mut self, data: &[u8]) -> Event {
        match Reply::read(data).and_then(|reply| reply.fault()) {
            Some(fault) => self.failed(fault),
            None => Event::Output,
        }
    }

    /// Takes id and usage from the response object inside an event.
    fn response(&mut self, data: &[u8]) {
        let reply = Reply::read(data).unwrap_or_default();
        let Some(inner) = reply.response.and_then(parse::<Reply<'_>>) else {
            return;
        };
        if let Some(id) = inner.id.and_then(parse) {
            self.response_id = Some(id);
        }
        self.account(inner.usage);
    }

    fn failed(&mut self, fault: InBandFault) -> Event {
        self.fault = Some(fault);
        Event::Fault
    }

    /// Takes over what a usage object states; what it leaves out stays as it was. Every API reports totals.
    fn account(&mut self, usage: Option<&RawValue>) {
        let Some(usage) = usage.and_then(parse::<Usage>) else {
            return;
        };
        let cached = usage.cache_creation_input_tokens.unwrap_or(0);
        let cached = cached.saturating_add(usage.cache_read_input_tokens.unwrap_or(0));
        if let Some(tokens) = usage.input_tokens.or(usage.prompt_tokens) {
            self.metered.input_tokens = Some(tokens.saturating_add(cached));
        }
        if let Some(tokens) = usage.output_tokens.or(usage.completion_tokens) {
            self.metered.output_tokens = Some(tokens);
        }
    }
}

static USAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"usage\""));
static ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"error\""));

/// Returns true if `data` has the member somewhere, with an object or a string in it.
///
/// In JSON an unescaped quote begins or ends a string, so text that a model generated never looks like this.
fn has_value(member: &Finder<'_>, data: &[u8]) -> bool {
    member.find_iter(data).any(|at| {
        let after = data.get(at + member.needle().len()..).unwrap_or_default();
        let value = after.trim_ascii_start().strip_prefix(b":");
        value.and_then(|value| value.trim_ascii_start().first()).is_some_and(|first| matches!(first, b'{' | b'"'))
    })
}

/// Returns the name of a frame's event, empty if it has none, and its data with the lines joined.
fn name_and_data(frame: &[u8]) -> (&[u8], Cow<'_, [u8]>) {
    let (mut name, mut data): (&[u8], Option<Cow<'_, [u8]>>) = (b"", None);
    for (field, value) in sse::fields(frame) {
        match (field, &mut data) {
            (b"event", _) => name = value,
            (b"data", None) => data = Some(Cow::Borrowed(value)),
            (b"data", Some(so_far)) => {
                so_far.to_mut().push(b'\n');
                so_far.to_mut().extend_from_slice(value);
            }
            _ => {}
        }
    }
    (name, data.unwrap_or_default())
}

/// Returns the name of an event: of its own line, or else the `type` of its data.
fn named<'a>(name: &'a [u8], data: &[u8]) -> Cow<'a, [u8]> {
    if !name.is_empty() {
        return Cow::Borrowed(name);
    }
    let kind: Option<String> = Reply::read(data).and_then(|reply| reply.r#type.and_then(parse));
    Cow::Owned(kind.unwrap_or_default().into_bytes())
}

/// Returns the error in an event that is one by its name.
fn fault_in(data: &[u8]) -> InBandFault {
    let reply = Reply::read(data).unwrap_or_default();
    let inner: Option<Reply<'_>> = reply.response.and_then(parse);
    let own = || InBandFault::of(&reply);
    reply.fault().or_else(|| inner.and_then(|inner| inner.fault())).unwrap_or_else(own)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::dialect::Splitter;

    fn meter(operation: &Operation) -> Meter {
        let dialect = match operation {
            Operation::Messages | Operation::CountTokens => Dialect::Anthropic,
            _ => Dialect::Openai,
        };
        Meter::new(dialect, operation)
    }

    /// Meters a whole stream and says what each frame was.
    fn stream(operation: &Operation, text: &str) -> (Meter, Vec<Event>) {
        let (mut meter, mut splitter) = (meter(operation), Splitter::new(1 << 20));
        splitter.push(Bytes::copy_from_slice(text.as_bytes()));
        let mut events = Vec::new();
        while let Some(frame) = splitter.next_frame() {
            events.push(meter.event(&frame));
        }
        if let Some(tail) = splitter.finish() {
            events.push(meter.event(&tail));
        }
        (meter, events)
    }

    fn used(input: u64, output: u64, events: u64) -> Metered {
        Metered { input_tokens: Some(input), output_tokens: Some(output), delivered_events: events }
    }

    fn fault(code: &str, message: &str) -> Option<InBandFault> {
        Some(InBandFault { code: code.to_owned(), message: message.to_owned() })
    }

    use Event::{Control, Fault, Output, Terminal};

    #[test]
    fn a_chat_stream_is_metered_from_its_usage_chunk_and_ends_with_done() {
        let text = concat!(
            "data: {\"choices\":[{\"delta\":{\"content\":\"say \\\"usage\\\": {\"}}],\"usage\":null,\"error\":null}\n\n",
            ": ping\n\n",
            "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":3}}\n\n",
            "data: [DONE]\n\n",
        );
        let (meter, events) = stream(&Operation::ChatCompletions, text);
        assert_eq!(events, [Output, Control, Control, Terminal]);
        assert_eq!(meter.metered(), used(12, 3, 1));
        assert!(meter.is_terminal() && meter.fault().is_none());
    }

    #[test]
    fn usage_beside_choices_counts_as_output_too() {
        let text = "data: {\"choices\":[{\"text\":\"a\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}\n\n\
                    data: {\"choices\":[{\"text\":\"b\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n";
        let (meter, events) = stream(&Operation::Completions, text);
        assert_eq!(events, [Output, Output]);
        assert_eq!(meter.metered(), used(1, 2, 2));
        assert!(!meter.is_terminal());
    }

    #[test]
    fn a_messages_stream_adds_cached_input_and_takes_the_last_output_count() {
        let text = concat!(
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"usage\":{\"input_tokens\":10,\"cache_read_input_tokens\":5,\"cache_creation_input_tokens\":2,\"output_tokens\":1}}}\n\n",
            "event: content_block_start\ndata: {\"index\":0}\n\n",
            "event: ping\ndata: {\"type\":\"ping\"}\n\n",
            "event: content_block_delta\ndata: {\"delta\":{\"type\":\"text_delta\",\"text\":\"hi\"}}\n\n",
            "event: content_block_stop\ndata: {\"index\":0}\n\n",
            "event: message_delta\ndata: {\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":9}}\n\n",
            "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        );
        let (meter, events) = stream(&Operation::Messages, text);
        assert_eq!(events, [Control, Output, Control, Output, Control, Control, Terminal]);
        assert_eq!(meter.metered(), used(17, 9, 2));
        assert_eq!(meter.response_id(), None);
    }

    #[test]
    fn a_messages_stream_without_event_lines_is_read_by_type() {
        let text = "data: {\"type\":\"content_block_delta\"}\n\ndata: {\"type\":\"message_stop\"}\n\n";
        let (meter, events) = stream(&Operation::Messages, text);
        assert_eq!(events, [Output, Terminal]);
        assert!(meter.is_terminal());
    }

    #[test]
    fn a_responses_stream_gives_its_id_and_usage() {
        let text = concat!(
            "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\",\"usage\":null,\"error\":null}}\n\n",
            "event: response.output_text.delta\ndata: {\"delta\":\"hi\"}\n\n",
            "event: response.completed\ndata: {\"response\":{\"id\":\"resp_1\",\"usage\":{\"input_tokens\":4,\"output_tokens\":2}}}\n\n",
        );
        let (meter, events) = stream(&Operation::Responses, text);
        assert_eq!(events, [Control, Output, Terminal]);
        assert_eq!(meter.metered(), used(4, 2, 1));
        assert_eq!(meter.response_id(), Some("resp_1"));
    }

    #[test]
    fn an_error_inside_a_200_is_found_in_every_dialect() {
        for (operation, text, expected) in [
            (
                Operation::ChatCompletions,
                "data: {\"error\":{\"message\":\"busy\",\"type\":\"server_error\",\"code\":null}}\n\n",
                fault("server_error", "busy"),
            ),
            (
                Operation::ChatCompletions,
                "data: {\"error\":{\"code\":500,\"message\":\"busy\",\"type\":\"server_error\"}}\n\n",
                fault("server_error", "busy"),
            ),
            (Operation::ChatCompletions, "data: {\"error\":\"busy\"}\n\n", fault("", "busy")),
            (Operation::ChatCompletions, "event: error\ndata: oops\n\n", fault("", "")),
            (
                Operation::Messages,
                "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"}}\n\n",
                fault("overloaded_error", "busy"),
            ),
            (
                Operation::Responses,
                "data: {\"type\":\"error\",\"code\":\"server_error\",\"message\":\"busy\"}\n\n",
                fault("server_error", "busy"),
            ),
            (
                Operation::Responses,
                "event: response.failed\ndata: {\"response\":{\"id\":\"resp_1\",\"error\":{\"code\":\"server_error\",\"message\":\"busy\"}}}\n\n",
                fault("server_error", "busy"),
            ),
            (
                Operation::Responses,
                "data: {\"error\":{\"type\":\"server_error\",\"message\":\"busy\"}}\n\n",
                fault("server_error", "busy"),
            ),
        ] {
            let (meter, events) = stream(&operation, text);
            assert_eq!(events, [Fault], "{text}");
            assert_eq!(meter.fault().cloned(), expected, "{text}");
            assert!(meter.is_terminal());
        }
    }

    #[test]
    fn a_last_frame_without_its_blank_line_is_read_too() {
        let (meter, events) = stream(&Operation::ChatCompletions, "data: [DONE]\n");
        assert_eq!(events, [Terminal]);
        assert!(meter.is_terminal());
        let (meter, events) = stream(&Operation::ChatCompletions, "<html>");
        assert_eq!(events, [Output]);
        assert!(!meter.is_terminal());
    }

    #[test]
    fn a_body_gives_usage_id_and_fault() {
        for (operation, body, input, output, id, failed) in [
            (
                Operation::ChatCompletions,
                r#"{"id":"c","choices":[{}],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#,
                Some(3),
                Some(4),
                None,
                None,
            ),
            (
                Operation::Embeddings,
                r#"{"data":[],"usage":{"prompt_tokens":3,"total_tokens":3}}"#,
                Some(3),
                None,
                None,
                None,
            ),
            (
                Operation::Responses,
                r#"{"id":"resp_1","error":null,"usage":{"input_tokens":3,"output_tokens":4}}"#,
                Some(3),
                Some(4),
                Some("resp_1"),
                None,
            ),
            (Operation::CountTokens, r#"{"input_tokens":8}"#, Some(8), None, None, None),
            (
                Operation::ChatCompletions,
                r#"{"error":{"message":"busy","code":"x"}}"#,
                None,
                None,
                None,
                fault("x", "busy"),
            ),
            (
                Operation::Messages,
                r#"{"type":"error","error":{"type":"api_error","message":"busy"}}"#,
                None,
                None,
                None,
                fault("api_error", "busy"),
            ),
            (Operation::Messages, "<html>", None, None, None, None),
        ] {
            let mut meter = meter(&operation);
            meter.body(body.as_bytes());
            let metered = meter.metered();
            assert_eq!((metered.input_tokens, metered.output_tokens), (input, output), "{body}");
            assert_eq!(meter.response_id(), id, "{body}");
            assert_eq!(meter.fault().cloned(), failed, "{body}");
            assert_eq!(meter.is_terminal(), body.starts_with('{'), "{body}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_meter_panic(
            bytes in "(data|event|error|: |\\{|\\}|\"(usage|error|type|response)\"|:|message_start|response.failed|\\[DONE\\]|\n|[0-9])*",
            raw in any::<Vec<u8>>(),
        ) {
            for operation in [Operation::ChatCompletions, Operation::Responses, Operation::Messages] {
                stream(&operation, &bytes);
                let mut meter = meter(&operation);
                meter.body(bytes.as_bytes());
                meter.body(&raw);
            }
        }
    }
}
