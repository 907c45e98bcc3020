//! What a fuzzer may reach of this crate's parsers: each function takes any bytes and must not panic.

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use terms::Dialect;

use crate::dialect::{Meter, Operation, Splitter, peek, route, with_model};

/// Takes `METHOD PATH\n` and a body as an OpenAI request.
pub fn openai(bytes: &[u8]) {
    request(bytes, &HeaderMap::new());
}

/// Takes `METHOD PATH\n` and a body as an Anthropic request.
pub fn anthropic(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    headers.insert("anthropic-version", http::HeaderValue::from_static("2023-06-01"));
    request(bytes, &headers);
}

/// Takes a stream whose first byte is the size of its chunks: what comes out must be what went in. It is metered in every
/// form.
pub fn sse(bytes: &[u8]) {
    let Some((size, stream)) = bytes.split_first() else { return };
    let mut splitter = Splitter::new(64);
    let forms = [
        (Dialect::Openai, Operation::ChatCompletions),
        (Dialect::Openai, Operation::Responses),
        (Dialect::Anthropic, Operation::Messages),
    ];
    let mut meters = forms.map(|(dialect, operation)| Meter::new(dialect, &operation));
    let mut out = Vec::new();
    for chunk in stream.chunks(usize::from(*size).max(1)) {
        splitter.push(Bytes::copy_from_slice(chunk));
        while let Some(frame) = splitter.next_frame() {
            for meter in &mut meters {
                meter.event(&frame);
            }
            out.extend_from_slice(&frame.into_bytes());
        }
    }
    if let Some(tail) = splitter.finish() {
        out.extend_from_slice(&tail.into_bytes());
    }
    assert_eq!(out, stream, "a splitter hands out what it took");
}

fn request(bytes: &[u8], headers: &HeaderMap) {
    let (line, body) = bytes.split_at(memchr::memchr(b'\n', bytes).unwrap_or(bytes.len()));
    let line = String::from_utf8_lossy(line);
    let (method, path) = line.split_once(' ').unwrap_or(("POST", &line));
    let (Ok(method), Ok(uri)) = (method.parse::<Method>(), path.parse::<Uri>()) else { return };
    let Ok(route) = route(&method, &uri, headers) else { return };
    let body = Bytes::copy_from_slice(body.strip_prefix(b"\n").unwrap_or(body));
    if let Ok(seen) = peek(&route, &body) {
        let other = with_model(&body, &seen, "other-model");
        let again = peek(&route, &other);
        assert!(again.is_ok_and(|again| again.model == "other-model"), "a spliced body reads back");
    }
}
