//! Calls to the admin API.

use std::{
    fs,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow, bail};
use clap::{Args, Subcommand};
use serde_json::Value;

use super::Exit;
use crate::{
    client::{Request, Server},
    output::{self, Format},
};

/// How long the server may think: a directive decides every live call again.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the server answers until a checkpoint covers what it recorded: it is asked again.
const NOT_YET: &str = "urn:exeat:problem:not-yet";
/// How often: the server asks for that in `Retry-After`.
const ASKED_EVERY: Duration = Duration::from_secs(1);

/// Where the server is and who asks.
#[derive(Clone, Debug, Args)]
pub(crate) struct Connection {
    /// The admin listener.
    #[arg(long, global = true, env = "EXEAT_ADMIN_URL", default_value = "http://127.0.0.1:8081")]
    pub(crate) url: String,
    /// The admin token; better in the environment or in a file, since other users can see a command line.
    #[arg(long, global = true, env = "EXEAT_ADMIN_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// The file that holds the admin token, if `--token` is not given.
    #[arg(long, global = true, env = "EXEAT_ADMIN_TOKEN_FILE", default_value = "exeat-data/admin.token")]
    pub(crate) token_file: PathBuf,
}

/// One call to the admin API.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    method: &'static str,
    path: String,
    body: Option<Value>,
}

/// A command that is one call.
pub(crate) trait AsCall {
    /// Returns the call.
    ///
    /// # Errors
    ///
    /// If a file that the command names cannot be read.
    fn call(&self) -> anyhow::Result<Call>;
}

impl Call {
    /// A `GET`.
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self { method: "GET", path: path.into(), body: None }
    }

    /// A `POST`.
    pub(crate) fn post(path: impl Into<String>, body: Value) -> Self {
        Self { method: "POST", path: path.into(), body: Some(body) }
    }

    /// A `PATCH`.
    pub(crate) fn patch(path: impl Into<String>, body: Value) -> Self {
        Self { method: "PATCH", ..Self::post(path, body) }
    }
}

impl Connection {
    /// Does what `command` says and prints the answer.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached or refuses, with its reason.
    pub(crate) fn tell(&self, command: &dyn AsCall, format: Format) -> anyhow::Result<Exit> {
        self.tell_as(command, format, output::text)
    }

    /// Does what `command` says and prints the answer, for people as `text` renders it.
    ///
    /// # Errors
    ///
    /// As [`Connection::tell`].
    pub(crate) fn tell_as(
        &self,
        command: &dyn AsCall,
        format: Format,
        text: fn(&Value) -> String,
    ) -> anyhow::Result<Exit> {
        let answer = self.ask(&command.call()?)?;
        match format {
            Format::Json => output::answer(format, &answer)?,
            Format::Text => output::line(text(&answer).trim_end())?,
        }
        Ok(Exit::Done)
    }

    /// Calls and returns the answer.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached or refuses, with its reason.
    pub(crate) fn ask(&self, call: &Call) -> anyhow::Result<Value> {
        self.admin(call)?.ask(call)
    }

    /// Like [`Connection::ask`], but asks again each second for as long as the answer is that no checkpoint covers the record
    /// yet, at most for `patience`.
    ///
    /// # Errors
    ///
    /// As [`Connection::ask`].
    pub(crate) fn ask_within(&self, call: &Call, patience: Duration) -> anyhow::Result<Value> {
        let (admin, began) = (self.admin(call)?, Instant::now());
        loop {
            let (status, answer) = admin.try_ask(call)?;
            let not_yet = answer.get("type").and_then(Value::as_str) == Some(NOT_YET);
            if not_yet && began.elapsed() < patience {
                thread::sleep(ASKED_EVERY);
                continue;
            }
            return accepted(status, answer);
        }
    }

    fn admin(&self, call: &Call) -> anyhow::Result<Admin> {
        let token = match &self.token {
            Some(token) => token.clone(),
            None if call.path == OPENAPI => String::new(),
            None => fs::read_to_string(&self.token_file).with_context(|| {
                let file = self.token_file.display();
                format!("cannot read the admin token in `{file}`: set EXEAT_ADMIN_TOKEN, or --token-file to `admin.token` in the server's data folder")
            })?,
        };
        Admin::new(&self.url, token.trim())
    }
}

/// The admin API of one server, as one actor.
#[derive(Clone, Debug)]
pub(crate) struct Admin {
    server: Server,
    token: String,
}

impl Admin {
    /// Addresses the server at `url`.
    ///
    /// # Errors
    ///
    /// If `url` cannot be called.
    pub(crate) fn new(url: &str, token: &str) -> anyhow::Result<Self> {
        Ok(Self { server: Server::at(url)?, token: token.to_owned() })
    }

    /// Calls and returns the answer.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached, or refuses: then with every reason it gives.
    pub(crate) fn ask(&self, call: &Call) -> anyhow::Result<Value> {
        let (status, answer) = self.try_ask(call)?;
        accepted(status, answer)
    }

    /// Calls and returns status and answer, whatever the status.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached or does not answer in JSON.
    pub(crate) fn try_ask(&self, call: &Call) -> anyhow::Result<(u16, Value)> {
        let mut request = Request::new(call.method, &call.path);
        if !self.token.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.token));
        }
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        let response = self.server.send(&request, PATIENCE)?;
        let status = response.status;
        let text = response.text()?;
        let answer = serde_json::from_str(&text);
        let answer =
            answer.map_err(|_| anyhow!("{} answered {status} and no JSON: is it the admin listener?", self.server))?;
        Ok((status, answer))
    }
}

/// Returns the answer of a request that was not refused.
fn accepted(status: u16, answer: Value) -> anyhow::Result<Value> {
    if status >= 400 {
        bail!(refusal(status, &answer));
    }
    Ok(answer)
}

/// Says what a problem document (RFC 9457) says: the detail, then each field.
fn refusal(status: u16, problem: &Value) -> String {
    let detail = problem.get("detail").or_else(|| problem.get("title"));
    let mut text = detail.and_then(Value::as_str).map_or_else(|| problem.to_string(), str::to_owned);
    for fault in problem.get("errors").and_then(Value::as_array).into_iter().flatten() {
        let part = |name: &str| fault.get(name).and_then(Value::as_str).unwrap_or_default();
        let at = part("field");
        let colon = if at.is_empty() { "" } else { ": " };
        text.push_str(&format!("\n  {at}{colon}{}", part("detail")));
    }
    format!("{text} (status {status})")
}

const OPENAPI: &str = "/admin/v1/openapi.json";

/// Commands without anything to say beyond their name.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Plain {
    /// Reads the configuration again.
    Reload,
    /// Says who asks.
    Whoami,
    /// Shows the OpenAPI document.
    Openapi,
}

impl AsCall for Plain {
    fn call(&self) -> anyhow::Result<Call> {
        Ok(match self {
            Self::Reload => Call::post("/admin/v1/reload", serde_json::json!({})),
            Self::Whoami => Call::get("/admin/v1/whoami"),
            Self::Openapi => Call::get(OPENAPI),
        })
    }
}

/// What is in force.
#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum SnapshotCommand {
    /// Shows digest, receipt and document of what is in force.
    #[command(after_help = "Examples:\n  exeat snapshot show\n  exeat snapshot show --json")]
    Show,
}

impl AsCall for SnapshotCommand {
    fn call(&self) -> anyhow::Result<Call> {
        Ok(Call::get("/admin/v1/snapshot"))
    }
}

/// Which part of a list to show.
#[derive(Clone, Debug, Args)]
pub(crate) struct Page {
    /// Begins after this id: the `next` of the page before.
    #[arg(long)]
    after: Option<String>,
    /// Shows at most this many.
    #[arg(long)]
    limit: Option<u32>,
}

impl Page {
    /// Returns the call for this page of `path`, further narrowed by `filters`.
    pub(crate) fn of(&self, path: &str, filters: &[(&str, Option<&str>)]) -> Call {
        let limit = self.limit.map(|limit| limit.to_string());
        let own = [("after", self.after.as_deref()), ("limit", limit.as_deref())];
        let set = filters
            .iter()
            .chain(&own)
            .filter_map(|(name, value)| value.map(|value| format!("{name}={}", escaped(value))));
        let query: Vec<String> = set.collect();
        let mark = if query.is_empty() { "" } else { "?" };
        Call::get(format!("{path}{mark}{}", query.join("&")))
    }
}

/// Percent-encodes all but the unreserved characters (RFC 3986 section 2.3).
pub(crate) fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_user_types_cannot_leave_its_part_of_the_path() {
        assert_eq!(escaped("a/../b?c=d e"), "a%2F..%2Fb%3Fc%3Dd%20e");
        let page = Page { after: Some("x&y".into()), limit: Some(3) };
        assert_eq!(page.of("/p", &[("person", None)]).path, "/p?after=x%26y&limit=3");
    }

    #[test]
    fn a_refusal_names_each_field() {
        let problem = json!({"detail": "the request is invalid", "errors": [{"field": "id", "detail": "is taken"}]});
        let text = refusal(422, &problem);
        assert_eq!(text, "the request is invalid\n  id: is taken (status 422)");
    }
}
