//! What a meter beside a model server reads of the dialects: which model a request asks for, and what a reply used.
//!
//! A meter reads with the same eyes as the gateway, so that the two count the same in the same bytes.

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use terms::Dialect;

use crate::dialect::{Frame, Meter, Metered, Operation, Problem, Splitter, TAIL_BYTES_MAX, peek, route};

/// What a request asks a model server for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The dialect it is written in.
    pub dialect: Dialect,
    /// The model it names; none where the operation names none.
    pub model: Option<String>,
    operation: Operation,
}

/// A request that no model server is asked for.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Unreadable {
    /// The HTTP status to answer with.
    pub status: u16,
    /// A stable code.
    pub code: &'static str,
    /// What is wrong and what to do.
    pub message: String,
}

impl Asked {
    /// Reads a request: strictly, so that the model it names is the one that every other reader finds in it.
    ///
    /// # Errors
    ///
    /// [`Unreadable`]: it leads to nothing that a model server has, or can be read in two ways.
    pub fn read(method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Result<Self, Unreadable> {
        let route = route(method, uri, headers).map_err(|problem| unreadable(&problem))?;
        if is_own(&route.operation) {
            return Err(unreadable(&Problem::NotFound));
        }
        let named = route.operation.names_model().then(|| peek(&route, body)).transpose();
        let model = named.map_err(|problem| unreadable(&problem))?.map(|peek| peek.model);
        Ok(Self { dialect: route.dialect, model, operation: route.operation })
    }
}

/// Answered by the gateway itself and by no model server.
fn is_own(operation: &Operation) -> bool {
    matches!(operation, Operation::Receipt { .. } | Operation::Aside | Operation::Health | Operation::Ready)
}

fn unreadable(problem: &Problem) -> Unreadable {
    Unreadable { status: problem.status(Dialect::Openai), code: problem.code(), message: problem.to_string() }
}

/// What a reply used, as far as it is known.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Used {
    /// Input tokens the model server reported, those read from or written to a cache included.
    pub input_tokens: Option<u64>,
    /// Output tokens the model server reported.
    pub output_tokens: Option<u64>,
    /// Stream events that can have carried output.
    pub events: u64,
}

/// Counts one reply: a stream, with [`Count::push`] and [`Count::next_piece`], or a body with [`Count::body`].
#[derive(Debug)]
pub struct Count {
    splitter: Splitter,
    meter: Meter,
}

impl Count {
    /// Begins to count the reply to a request.
    #[must_use]
    pub fn of(asked: &Asked) -> Self {
        Self { splitter: Splitter::new(TAIL_BYTES_MAX), meter: Meter::new(asked.dialect, &asked.operation) }
    }

    /// Takes the next bytes of a stream. Call [`Count::next_piece`] until it returns none before pushing more.
    pub fn push(&mut self, bytes: Bytes) {
        self.splitter.push(bytes);
    }

    /// Returns the next whole event, or part of one that is too long to hold, counted; none until more is pushed.
    ///
    /// What it returns, put together, is what was pushed, byte for byte.
    pub fn next_piece(&mut self) -> Option<Bytes> {
        self.splitter.next_frame().map(|frame| self.counted(frame))
    }

    /// Returns what came after the last whole event, counted. Nothing may be pushed afterwards.
    pub fn finish(&mut self) -> Option<Bytes> {
        self.splitter.finish().map(|frame| self.counted(frame))
    }

    /// Counts a whole body that is not a stream.
    pub fn body(&mut self, json: &[u8]) {
        self.meter.body(json);
    }

    /// Returns what was used so far.
    #[must_use]
    pub fn used(&self) -> Used {
        let Metered { input_tokens, output_tokens, delivered_events } = self.meter.metered();
        Used { input_tokens, output_tokens, events: delivered_events }
    }

    /// Returns true once the reply is complete in its own terms, or has failed in them.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.meter.is_terminal()
    }

    /// Returns true if the model server reported an error inside the reply.
    #[must_use]
    pub fn is_fault(&self) -> bool {
        self.meter.fault().is_some()
    }

    fn counted(&mut self, frame: Frame) -> Bytes {
        self.meter.event(&frame);
        frame.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn read(path: &str, body: &str) -> Result<Asked, Unreadable> {
        let json = HeaderMap::from_iter([(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        Asked::read(&Method::POST, &path.parse().unwrap(), &json, body.as_bytes())
    }

    #[test]
    fn a_request_names_its_model_once_or_is_not_passed_on() {
        let asked = read("/v1/chat/completions", r#"{"model":"mythos-5"}"#).unwrap();
        assert_eq!((asked.dialect, asked.model.as_deref()), (Dialect::Openai, Some("mythos-5")));
        assert_eq!(read("/v1/messages", r#"{"model":"m"}"#).unwrap().dialect, Dialect::Anthropic);
        let twice = read("/v1/messages", r#"{"model":"m","Model":"n"}"#).unwrap_err();
        assert_eq!((twice.status, twice.code), (400, "invalid_request"));
        for path in ["/healthz", "/oauth/token", "/v1/files", "/nowhere"] {
            assert!((404..=405).contains(&read(path, "{}").unwrap_err().status), "{path}");
        }
    }

    #[test]
    fn a_stream_is_counted_as_it_passes() {
        let asked = read("/v1/chat/completions", r#"{"model":"m","stream":true}"#).unwrap();
        let mut count = Count::of(&asked);
        count.push(Bytes::from_static(b"data: {\"choices\":[{}]}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_"));
        assert!(count.next_piece().is_some() && count.next_piece().is_none());
        count.push(Bytes::from_static(b"tokens\":9,\"completion_tokens\":4}}\n\ndata: [DONE]\n\n"));
        while count.next_piece().is_some() {}
        assert!(count.is_terminal() && !count.is_fault() && count.finish().is_none());
        assert_eq!(count.used(), Used { input_tokens: Some(9), output_tokens: Some(4), events: 1 });
    }

    proptest! {
        #[test]
        fn any_bytes_pass_unchanged(chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..8)) {
            let mut count = Count::of(&read("/v1/messages", r#"{"model":"m"}"#).unwrap());
            let mut passed = Vec::new();
            for chunk in &chunks {
                count.push(Bytes::copy_from_slice(chunk));
                while let Some(piece) = count.next_piece() {
                    passed.extend_from_slice(&piece);
                }
            }
            passed.extend_from_slice(&count.finish().unwrap_or_default());
            prop_assert_eq!(passed, chunks.concat());
        }
    }
}
