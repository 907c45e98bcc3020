//! Asking the model through the gateway, as any OpenAI client does, and noting when each piece arrived.

use std::{
    io::BufRead,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use anyhow::Context;
use serde_json::{Value, json};

use super::{PATIENCE, world::Caller};
use crate::client::{Request, Response, Server};

/// One question to one model.
#[derive(Clone, Debug)]
pub(super) struct Ask<'a> {
    /// A model version or an alias.
    pub(super) model: &'a str,
    /// What to say.
    pub(super) prompt: &'a str,
    /// The longest answer, in tokens.
    pub(super) max_tokens: u32,
    /// Goes on past the end of an answer, where the server can, so that it surely is long.
    pub(super) go_on: bool,
}

/// How an answer ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Ended {
    /// With everything the model had to say.
    Whole,
    /// Before any output, with this code and this message.
    Refused(String, String),
    /// After some output, with this code and this message.
    Cut(String, String),
}

/// What came of a question.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    /// The HTTP status.
    pub(super) status: u16,
    /// The version that served, as `x-exeat-model` says.
    pub(super) model: String,
    /// Which better version was passed over and why, as `x-exeat-fallback` says.
    pub(super) fallback: Option<String>,
    /// The receipt, as `x-exeat-receipt` says.
    pub(super) receipt: Option<String>,
    /// What was said.
    pub(super) text: String,
    /// How it ended.
    pub(super) ended: Ended,
    /// When the last byte of output arrived.
    pub(super) last_output: Instant,
    /// When the answer was over.
    pub(super) over: Instant,
}

/// Asks and listens to the end. `pieces` counts what arrives, for whoever watches meanwhile.
///
/// # Errors
///
/// If the gateway cannot be reached, or the stream ends without saying why.
pub(super) fn ask(gateway: &Server, caller: &Caller, ask: &Ask<'_>, pieces: &AtomicU64) -> anyhow::Result<Heard> {
    let mut body = json!({
        "model": ask.model, "stream": true, "max_tokens": ask.max_tokens, "stream_options": { "include_usage": true },
        "messages": [{ "role": "user", "content": ask.prompt }],
    });
    if let (true, Some(fields)) = (ask.go_on, body.as_object_mut()) {
        fields.insert("ignore_eos".to_owned(), Value::Bool(true));
    }
    let request = Request::new("POST", "/v1/chat/completions")
        .header("authorization", format!("Bearer {}", caller.key))
        .json(&body);
    let response =
        gateway.send(&request, PATIENCE).with_context(|| format!("{} could not call the gateway", caller.name))?;
    let mut heard = Heard::from_head(&response);
    if response.status != 200 {
        let (code, message) = error_of(&response.text()?);
        heard.ended = Ended::Refused(code, message);
        return Ok(heard);
    }
    listen(response, &mut heard, pieces).with_context(|| format!("{}'s stream broke", caller.name))?;
    Ok(heard)
}

impl Heard {
    fn from_head(response: &Response) -> Self {
        let header = |name| response.header(name).map(str::to_owned);
        let now = Instant::now();
        Self {
            status: response.status,
            model: header("x-exeat-model").unwrap_or_default(),
            fallback: header("x-exeat-fallback"),
            receipt: header("x-exeat-receipt"),
            text: String::new(),
            ended: Ended::Whole,
            last_output: now,
            over: now,
        }
    }
}

/// Reads server-sent events until `[DONE]`, an error event, or the end.
fn listen(response: Response, heard: &mut Heard, pieces: &AtomicU64) -> anyhow::Result<()> {
    for line in response.into_body().lines() {
        let line = line.context("the connection broke in the middle of an answer")?;
        let Some(data) = line.strip_prefix("data:") else {
            continue;
        };
        heard.over = Instant::now();
        if data.trim() == "[DONE]" {
            return Ok(());
        }
        let event: Value = serde_json::from_str(data).context("an event is not JSON")?;
        if event.get("error").is_some() {
            let (code, message) = error_of(data);
            heard.ended = Ended::Cut(code, message);
            return Ok(());
        }
        if let Some(text) = event.pointer("/choices/0/delta/content").and_then(Value::as_str) {
            heard.text.push_str(text);
            heard.last_output = heard.over;
            pieces.fetch_add(1, Ordering::Relaxed);
        }
    }
    anyhow::bail!("the stream ended without saying why")
}

fn error_of(body: &str) -> (String, String) {
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let field =
        |name: &str| body.pointer(&format!("/error/{name}")).and_then(Value::as_str).unwrap_or_default().to_owned();
    (field("code"), field("message"))
}
