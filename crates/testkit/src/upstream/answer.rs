//! What the fake upstream says.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{
    script::{Fault, Script},
    wire::{Connection, Gone, Request},
};

/// Input tokens of every request.
const INPUT_TOKENS: u64 = 7;
/// Bytes of text in a huge event.
const HUGE: usize = 1 << 20;
/// The empty file, compressed.
const GZIP: [u8; 20] = [31, 139, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Answers one request by its script; returns whether the connection may carry another.
pub(super) async fn answer(to: &mut Connection, request: &Request, script: &Script) -> Result<bool, Gone> {
    match script.fault {
        Some(Fault::Hang) => return Err(to.wait_gone().await),
        Some(Fault::Close) => return Ok(false),
        Some(Fault::HalfHead) => {
            return to.write(b"HTTP/1.1 200 OK\r\ncontent-ty").await.map(|()| false);
        }
        _ => {}
    }
    let keep = request.header("connection") != Some("close");
    let asked = request.json();
    let stream = flag(&asked, "/stream") && request.method == "POST";
    match script.fault {
        Some(Fault::Status(status)) => whole(to, status, &extra_for(status), &error(request, status)).await?,
        Some(Fault::Redirect) => whole(to, 307, "location: http://169.254.169.254/latest/\r\n", "{}").await?,
        Some(Fault::Gzip) => raw(to, 200, "content-encoding: gzip\r\n", &GZIP).await?,
        _ if stream => return events(to, request, script).await.map(|ended| keep && ended),
        _ => unary(to, request, script).await?,
    }
    Ok(keep)
}

async fn unary(to: &mut Connection, request: &Request, script: &Script) -> Result<(), Gone> {
    let pieces = u32::try_from(script.chunks).unwrap_or(u32::MAX);
    to.wait(script.gap.saturating_mul(pieces)).await?;
    let (status, mut body) = document(request, script.chunks);
    report(&mut body, script.fault);
    let extra = match script.fault {
        Some(Fault::Cookie) => "set-cookie: a=1\r\nkeep-alive: timeout=5\r\nx-exeat-receipt: forged\r\n",
        _ => "",
    };
    match script.fault {
        Some(Fault::Surplus) => {
            let forged = head(200, "application/json", "", Some(8)) + "{\"x\": 1}";
            let text = body.to_string();
            let first = head(status, "application/json", extra, Some(text.len()));
            to.write(format!("{first}{text}{forged}").as_bytes()).await
        }
        _ => whole(to, status, extra, &body.to_string()).await,
    }
}

/// Puts another report of what was used into a whole answer, if the script says so.
fn report(body: &mut Value, fault: Option<Fault>) {
    let Some(body) = body.as_object_mut() else { return };
    match fault {
        Some(Fault::Usage(tokens)) => {
            let usage = json!({"prompt_tokens": tokens, "completion_tokens": 0, "total_tokens": tokens});
            body.insert("usage".to_owned(), usage);
        }
        Some(Fault::NoUsage) => {
            body.remove("usage");
        }
        _ => {}
    }
}

/// Sends a stream of events; returns false if the connection is of no use afterwards.
async fn events(to: &mut Connection, request: &Request, script: &Script) -> Result<bool, Gone> {
    to.write(head(200, "text/event-stream; charset=utf-8", "cache-control: no-cache\r\n", None).as_bytes()).await?;
    let events = stream_of(request, script.chunks);
    let half = events.len() / 2;
    match script.fault {
        Some(Fault::Garbage) => to.chunk(b"<html>\xff\xfe not an event stream\0</html>").await?,
        Some(Fault::Endless) => return endless(to, &events, script).await,
        Some(Fault::Stall) => {
            send(to, events.iter().take(half), script).await?;
            return Err(to.wait_gone().await);
        }
        Some(Fault::Reset) => {
            send(to, events.iter().take(half), script).await?;
            to.reset();
            return Ok(false);
        }
        Some(Fault::ErrorInside) => {
            send(to, events.iter().take(half), script).await?;
            to.chunk(error_event(request).as_bytes()).await?;
        }
        Some(Fault::Huge) => {
            let text = "x".repeat(HUGE);
            send(to, events.iter().map(|event| event.replacen("word-0", &text, 1)).collect::<Vec<_>>().iter(), script)
                .await?;
        }
        _ => send(to, events.iter(), script).await?,
    }
    to.write(b"0\r\n\r\n").await?;
    Ok(true)
}

async fn endless(to: &mut Connection, events: &[String], script: &Script) -> Result<bool, Gone> {
    let event = events.get(events.len() / 2).cloned().unwrap_or_default();
    loop {
        to.wait(script.gap.max(std::time::Duration::from_millis(1))).await?;
        to.chunk(event.as_bytes()).await?;
    }
}

async fn send(to: &mut Connection, events: impl Iterator<Item = &String>, script: &Script) -> Result<(), Gone> {
    for event in events {
        to.wait(script.gap).await?;
        match script.fault {
            Some(Fault::Split) => {
                for byte in event.as_bytes().chunks(1) {
                    to.chunk(byte).await?;
                }
            }
            Some(Fault::CrLf) => to.chunk(event.replace('\n', "\r\n").as_bytes()).await?,
            _ => to.chunk(event.as_bytes()).await?,
        }
    }
    Ok(())
}

async fn whole(to: &mut Connection, status: u16, extra: &str, body: &str) -> Result<(), Gone> {
    raw(to, status, extra, body.as_bytes()).await
}

async fn raw(to: &mut Connection, status: u16, extra: &str, body: &[u8]) -> Result<(), Gone> {
    let mut message = head(status, "application/json", extra, Some(body.len())).into_bytes();
    message.extend_from_slice(body);
    to.write(&message).await
}

fn head(status: u16, content_type: &str, extra: &str, length: Option<usize>) -> String {
    let framing = match length {
        Some(length) => format!("content-length: {length}"),
        None => "transfer-encoding: chunked".to_owned(),
    };
    format!(
        "HTTP/1.1 {status} Fake\r\ncontent-type: {content_type}\r\nx-request-id: fake-1\r\n{extra}{framing}\r\n\r\n"
    )
}

fn extra_for(status: u16) -> String {
    match status {
        429 | 503 => "retry-after: 7\r\n".to_owned(),
        _ => String::new(),
    }
}

fn flag(asked: &Value, pointer: &str) -> bool {
    asked.pointer(pointer).and_then(Value::as_bool).unwrap_or(false)
}

fn is_anthropic(request: &Request) -> bool {
    request.path.starts_with("/v1/messages") || request.header("anthropic-version").is_some()
}

fn error(request: &Request, status: u16) -> String {
    let message = format!("fake status {status}");
    let error = match is_anthropic(request) {
        true => json!({"type": "error", "error": {"type": "api_error", "message": message}}),
        false => {
            json!({"error": {"message": message, "type": "server_error", "param": null, "code": null}})
        }
    };
    error.to_string()
}

fn error_event(request: &Request) -> String {
    let error = error(request, 200);
    match is_anthropic(request) {
        true => format!("event: error\ndata: {error}\n\n"),
        false => format!("data: {error}\n\n"),
    }
}

/// Returns the text of an answer of `chunks` pieces.
fn text(chunks: usize) -> String {
    let mut text = String::new();
    for n in 0..chunks {
        let _ = write!(text, "word-{n} ");
    }
    text
}

/// Answers what is not streamed.
fn document(request: &Request, chunks: usize) -> (u16, Value) {
    let model = request.model().unwrap_or_else(|| "fake".to_owned());
    let (text, output) = (text(chunks), chunks);
    let path = request.path.split('?').next().unwrap_or_default();
    let document = match path {
        "/health" => json!({"status": "ok"}),
        "/v1/models" => {
            json!({"object": "list", "data": [{"id": "fake", "object": "model", "created": 1, "owned_by": "fake"}]})
        }
        "/v1/chat/completions" => json!({
            "id": "chatcmpl-fake", "object": "chat.completion", "created": 1, "model": model,
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": openai_usage(output)}),
        "/v1/completions" => json!({
            "id": "cmpl-fake", "object": "text_completion", "created": 1, "model": model,
            "choices": [{"index": 0, "text": text, "finish_reason": "stop"}], "usage": openai_usage(output)}),
        "/v1/embeddings" => json!({
            "object": "list", "model": model, "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -0.25]}],
            "usage": {"prompt_tokens": INPUT_TOKENS, "total_tokens": INPUT_TOKENS}}),
        "/v1/messages/count_tokens" => json!({"input_tokens": INPUT_TOKENS}),
        "/v1/responses/input_tokens" => {
            json!({"object": "response.input_tokens", "input_tokens": INPUT_TOKENS})
        }
        "/v1/messages" => message(&model, &json!([{"type": "text", "text": text}]), "end_turn", output),
        path if path.starts_with("/v1/responses") => response(&model, &text, output, "completed"),
        path if path.starts_with("/v1/models/") => {
            json!({"id": model, "object": "model", "created": 1, "owned_by": "fake"})
        }
        _ => {
            return (
                404,
                json!({"error": {"message": "no such path", "type": "invalid_request_error", "param": null, "code": null}}),
            );
        }
    };
    (200, document)
}

fn openai_usage(output: usize) -> Value {
    json!({"prompt_tokens": INPUT_TOKENS, "completion_tokens": output, "total_tokens": INPUT_TOKENS + output as u64})
}

fn message(model: &str, content: &Value, stop: &str, output: usize) -> Value {
    json!({
        "id": "msg_fake", "type": "message", "role": "assistant", "model": model, "content": content, "stop_reason": stop,
        "stop_sequence": null, "usage": {"input_tokens": INPUT_TOKENS, "output_tokens": output}})
}

fn response(model: &str, text: &str, output: usize, status: &str) -> Value {
    json!({
        "id": "resp_fake", "object": "response", "created_at": 1, "status": status, "model": model,
        "output": [{"type": "message", "id": "msg_fake", "status": status, "role": "assistant",
            "content": [{"type": "output_text", "text": text, "annotations": []}]}],
        "usage": {"input_tokens": INPUT_TOKENS, "output_tokens": output, "total_tokens": INPUT_TOKENS + output as u64}})
}

/// Returns the events of a streamed answer, each with its blank line.
fn stream_of(request: &Request, chunks: usize) -> Vec<String> {
    let model = &request.model().unwrap_or_else(|| "fake".to_owned());
    match request.path.split('?').next().unwrap_or_default() {
        "/v1/messages" => message_events(model, chunks),
        "/v1/responses" => response_events(model, chunks),
        _ => chat_events(model, chunks, flag(&request.json(), "/stream_options/include_usage")),
    }
}

fn chat_events(model: &str, chunks: usize, usage: bool) -> Vec<String> {
    let chunk = |choices: Value, usage: Value| {
        let document = json!({
            "id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": choices, "usage": usage});
        format!("data: {document}\n\n")
    };
    let delta = |n: usize| {
        let delta = json!({"role": "assistant", "content": format!("word-{n} ")});
        chunk(json!([{"index": 0, "delta": delta, "finish_reason": null}]), Value::Null)
    };
    let mut events: Vec<String> = (0..chunks).map(delta).collect();
    events.push(chunk(json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]), Value::Null));
    if usage {
        events.push(chunk(json!([]), openai_usage(chunks)));
    }
    events.push("data: [DONE]\n\n".to_owned());
    events
}

fn named(name: &str, mut data: Value) -> String {
    if let Some(data) = data.as_object_mut() {
        data.insert("type".to_owned(), Value::from(name));
    }
    format!("event: {name}\ndata: {data}\n\n")
}

fn message_events(model: &str, chunks: usize) -> Vec<String> {
    let mut start = message(model, &json!([]), "", 1);
    if let Some(stop) = start.get_mut("stop_reason") {
        *stop = Value::Null;
    }
    let delta = |n: usize| {
        let delta = json!({"type": "text_delta", "text": format!("word-{n} ")});
        named("content_block_delta", json!({"index": 0, "delta": delta}))
    };
    let mut events = vec![
        named("message_start", json!({"message": start})),
        named("content_block_start", json!({"index": 0, "content_block": {"type": "text", "text": ""}})),
        named("ping", json!({})),
    ];
    events.extend((0..chunks).map(delta));
    events.push(named("content_block_stop", json!({"index": 0})));
    let end = json!({"delta": {"stop_reason": "end_turn", "stop_sequence": null}, "usage": {"output_tokens": chunks}});
    events.push(named("message_delta", end));
    events.push(named("message_stop", json!({})));
    events
}

fn response_events(model: &str, chunks: usize) -> Vec<String> {
    let delta = |n: usize| {
        let text = format!("word-{n} ");
        named(
            "response.output_text.delta",
            json!({"item_id": "msg_fake", "output_index": 0, "content_index": 0, "sequence_number": n + 1, "delta": text}),
        )
    };
    let created = response(model, "", 0, "in_progress");
    let mut events = vec![named("response.created", json!({"sequence_number": 0, "response": created}))];
    events.extend((0..chunks).map(delta));
    let completed = response(model, &text(chunks), chunks, "completed");
    events.push(named("response.completed", json!({"sequence_number": chunks + 1, "response": completed})));
    events
}
