//! Reads off a reply what must be known of it: what was used, whether it ended as it should, whether it failed
//! inside a 200. Never changes a byte.

use std::{borrow::Cow, sync::LazyLock};

use memchr::memmem::Finder;
use serde_json::value::RawValue;
use terms::Dialect;

use super::{
    Extent, Frame, Operation,
    long::{Long, name_at_the_beginning},
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
    id: Option<String>,
    /// The first event of a stream that could have an id was read.
    identified: bool,
    terminal: bool,
    fault: Option<InBandFault>,
    /// The frame at hand, if it is too long to hold.
    long: Option<Long>,
    /// The reply is about a stored response: what that used was counted when it was made.
    is_stored: bool,
}

/// The longest id of a reply that is taken over. Those of the known servers are shorter than 100 bytes.
const ID_BYTES_MAX: usize = 256;

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
        let is_stored = operation.is_about_stored();
        let nothing = is_stored.then_some(0);
        Self {
            form,
            metered: Metered { input_tokens: nothing, output_tokens: nothing, delivered_events: 0 },
            id: None,
            identified: false,
            terminal: false,
            fault: None,
            long: None,
            is_stored,
        }
    }

    /// Reads one frame, just before or just after it is relayed, and says what it is.
    ///
    /// Of a frame too long to hold the parts are seen: they are output together, and counted once, but for those of a frame
    /// that is something else by its name.
    pub(crate) fn event(&mut self, frame: &Frame) -> Event {
        let event = match frame.extent() {
            Extent::Whole => self.read(&frame.contiguous()),
            Extent::Unended if could_be_frame(frame) => self.read(&frame.contiguous()),
            Extent::Unended => Event::Output,
            Extent::Beginning | Extent::Middle | Extent::End => return self.part(frame),
        };
        self.note(event);
        event
    }

    /// Reads a part of a frame that is too long to hold.
    fn part(&mut self, frame: &Frame) -> Event {
        let bytes = frame.contiguous();
        let long = match self.long.take() {
            Some(mut long) => {
                long.read(&bytes);
                long
            }
            None => {
                let long = Long::new(self.by_name(&bytes), &bytes);
                // What ends the stream does so with its last part.
                self.note(if ends_the_stream(long.event) { Event::Control } else { long.event });
                long
            }
        };
        if frame.ends() {
            return self.end(&long);
        }
        let event = if ends_the_stream(long.event) { Event::Output } else { long.event };
        self.long = Some(long);
        event
    }

    /// Reads a whole body that is not a stream.
    pub(crate) fn body(&mut self, json: &[u8]) {
        let Some(reply) = Reply::read(json) else {
            return;
        };
        self.identify(reply.id);
        if !self.is_stored {
            self.metered.input_tokens = reply.input_tokens.and_then(parse);
        }
        self.account(reply.usage);
        self.fault = reply.fault();
        self.terminal = true;
    }

    /// Returns what was used, as far as it is known by now.
    pub(crate) fn metered(&self) -> Metered {
        self.metered
    }

    /// Returns what the upstream calls its reply, once that is known.
    pub(crate) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Returns the id of the stored response, in the Responses API.
    pub(crate) fn stored_id(&self) -> Option<&str> {
        self.id().filter(|_| self.form == Form::Responses)
    }

    /// Returns true once the reply is complete in its own terms, or has failed in them.
    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Returns the error found inside the reply, if there was one.
    pub(crate) fn fault(&self) -> Option<&InBandFault> {
        self.fault.as_ref()
    }

    /// Says, by the name in its first part, what a frame is that is too long to hold.
    fn by_name(&self, beginning: &[u8]) -> Event {
        match (self.form, &*name_at_the_beginning(beginning)) {
            (Form::Responses, b"response.completed" | b"response.incomplete" | b"response.cancelled")
            | (Form::Messages, b"message_stop") => Event::Terminal,
            (Form::Responses, b"response.failed") | (_, b"error") => Event::Fault,
            (Form::Responses, b"response.created" | b"response.queued" | b"response.in_progress")
            | (Form::Messages, b"message_start" | b"message_delta" | b"ping" | b"content_block_stop") => Event::Control,
            _ => Event::Output,
        }
    }

    /// Comes to the end of a frame that is too long to hold.
    fn end(&mut self, long: &Long) -> Event {
        let usage = long.usage().and_then(|usage| serde_json::from_slice::<&RawValue>(usage).ok());
        if self.form == Form::Responses {
            self.account(usage);
        }
        if ends_the_stream(long.event) {
            self.note(long.event);
        }
        match long.event {
            Event::Fault => self.failed(InBandFault::default()),
            event => event,
        }
    }

    /// Keeps count of an event.
    fn note(&mut self, event: Event) {
        match event {
            Event::Output => self.metered.delivered_events += 1,
            Event::Terminal | Event::Fault => self.terminal = true,
            Event::Control => {}
        }
    }

    fn read(&mut self, frame: &[u8]) -> Event {
        let (name, data) = name_and_data(frame);
        // Many servers end a stream in this way that has ended with an error, or as its own dialect ends it.
        let is_end_again = self.terminal && data.trim_ascii() == b"[DONE]";
        if is_end_again || data.is_empty() && name != b"error" {
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
        if !std::mem::replace(&mut self.identified, true) {
            self.identify(Reply::read(data).and_then(|reply| reply.id));
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
                self.identify(message.as_ref().and_then(|message| message.id));
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
                if self.id.is_none() {
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
        self.identify(inner.id);
        self.account(inner.usage);
    }

    /// Takes over an id, if there is one.
    fn identify(&mut self, id: Option<&RawValue>) {
        let id = id.and_then(parse::<String>).filter(|id| (1..=ID_BYTES_MAX).contains(&id.len()));
        self.id = id.or_else(|| self.id.take());
    }

    fn failed(&mut self, fault: InBandFault) -> Event {
        self.fault = Some(fault);
        Event::Fault
    }

    /// Takes over what a usage object states; what it leaves out stays as it was. Every API reports totals.
    fn account(&mut self, usage: Option<&RawValue>) {
        let Some(usage) = usage.and_then(parse::<Usage>).filter(|_| !self.is_stored) else {
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

fn ends_the_stream(event: Event) -> bool {
    matches!(event, Event::Terminal | Event::Fault)
}

/// Returns true for a short last frame without its blank line, which lenient clients take for a frame.
fn could_be_frame(frame: &Frame) -> bool {
    sse::validate_sse(&frame.contiguous()) == sse::Shape::Sse
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
mod tests;
