//! Proof that a peer does what it is measured for, before it is measured.

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use testkit::http::{self, Answer};

use super::Peer;

/// Sends one request through a peer, and opens one stream if it relays streams.
///
/// # Errors
///
/// What came back is not what a model server sends.
pub(super) fn relays(peer: &Peer) -> anyhow::Result<()> {
    let text = ask(peer, false)?.text().context("the answer broke off")?;
    ensure!(is_completion(&text), "it answered with `{}`", start_of(&text));
    if peer.streams {
        let piece = ask(peer, true)?.next_piece().context("the stream broke off")?.unwrap_or_default();
        ensure!(
            piece.starts_with(b"data: {"),
            "its stream begins with `{}`",
            start_of(&String::from_utf8_lossy(&piece))
        );
    }
    Ok(())
}

fn ask(peer: &Peer, stream: bool) -> anyhow::Result<Answer> {
    let body = json!({
        "model": peer.model, "stream": stream, "messages": [{"role": "user", "content": "Good afternoon"}],
    });
    let mut headers = vec![("content-type", "application/json"), ("connection", "close")];
    for (name, value) in &peer.headers {
        headers.push((name.as_str(), value.to_str()?));
    }
    let answer = http::send(peer.address, "POST", peer.path, &headers, body.to_string().as_bytes())
        .context("it does not answer")?;
    if answer.head.status == 200 {
        return Ok(answer);
    }
    let status = answer.head.status;
    anyhow::bail!("it answered with {status}: `{}`", start_of(&answer.text().unwrap_or_default()))
}

fn is_completion(text: &str) -> bool {
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    value.pointer("/choices/0/message/content").is_some_and(Value::is_string)
}

fn start_of(text: &str) -> String {
    text.chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_with_content_is_a_completion() {
        assert!(is_completion(r#"{"choices":[{"message":{"content":"hello"}}]}"#));
        for text in ["", "{}", r#"{"error":{"message":"no"}}"#, r#"{"choices":[]}"#] {
            assert!(!is_completion(text), "{text}");
        }
    }
}
