//! `exeat agent` between a caller and a real server: tokens that nobody else can use, over restarts of the agent.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot set up its world fails")]

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use jose::{
    Alg, SigningKey,
    dpop::{self, Htu, Request},
};
use serde_json::{Value, json};
use terms::{Clock, SystemClock};
use testkit::http;

use crate::{
    client::{Ask, Heard},
    identity::{STREAM, Town, identity_token},
};

const SHORT: Ask = Ask { pieces: 20, gap_ms: 1, ..STREAM };

/// A running agent; killed when dropped.
struct Agent {
    child: Child,
    address: SocketAddr,
    jkt: String,
    secret: String,
}

impl Agent {
    /// Starts an agent at `listen` that calls with what `evidence` says, and waits until it has announced itself.
    fn start(town: &Town, listen: &str, evidence: [&str; 2]) -> Self {
        let mut command = command(town);
        command.args(["--listen", listen]).args(evidence);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let told = Self::told(&mut child);
        let secret = fs::read_to_string(told["secret_file"].as_str().unwrap()).unwrap();
        let address = told["ANTHROPIC_BASE_URL"].as_str().unwrap().strip_prefix("http://").unwrap().parse().unwrap();
        Self { child, address, jkt: told["jkt"].as_str().unwrap().to_owned(), secret }
    }

    /// Reads the announcement: JSON over one or more lines.
    fn told(child: &mut Child) -> Value {
        let mut text = String::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            text += &line.unwrap();
            if let Ok(told) = serde_json::from_str(&text) {
                return told;
            }
        }
        serde_json::from_str(&text).unwrap()
    }

    fn call(&self, secret: &str) -> Heard {
        SHORT.call(self.address, secret).unwrap()
    }

    /// Ends it as a crash does.
    fn kill(mut self) -> (String, String, String) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        (self.address.to_string(), self.jkt.clone(), self.secret.clone())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(town: &Town) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_exeat"));
    command.args(["--json", "agent", "--gateway", &origin(town), "--dir"]).arg(folder(town));
    command
}

fn origin(town: &Town) -> String {
    format!("http://{}", town.server.address)
}

fn folder(town: &Town) -> PathBuf {
    town.world.path("agent")
}

/// Writes what the agent calls with to a file.
fn given(town: &Town, text: &str) -> String {
    let file = town.world.path("evidence");
    fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

fn assert_streamed(heard: &Heard) {
    let text = String::from_utf8_lossy(&heard.body);
    assert_eq!((heard.status, heard.whole), (200, true), "{text}");
    assert!(text.contains("data: ") && text.contains("[DONE]"), "{text}");
    assert!(heard.receipt.is_some(), "{heard:?}");
}

/// Sends a form or a call as the holder of `key` does, with the nonce that the server asks for.
fn proved(town: &Town, key: &SigningKey, path: &str, token: Option<&str>, body: &str) -> (u16, Value) {
    let htu = Htu::parse(&(origin(town) + path)).unwrap();
    let request = Request { method: "POST", target: &htu, access_token: token };
    let bearer = format!("DPoP {}", token.unwrap_or_default());
    let media_type = if token.is_some() { "application/json" } else { "application/x-www-form-urlencoded" };
    let mut nonce: Option<String> = None;
    loop {
        let proof = dpop::prove(key, &request, nonce.as_deref(), SystemClock::default().now()).unwrap();
        let headers = [
            ("content-type", media_type),
            ("connection", "close"),
            ("dpop", proof.as_str()),
            ("authorization", bearer.as_str()),
        ];
        let headers = if token.is_some() { &headers[..] } else { &headers[..3] };
        let answer = http::send(town.server.address, "POST", path, headers, body.as_bytes()).unwrap();
        let told = answer.head.get("dpop-nonce").map(str::to_owned);
        let status = answer.head.status;
        if matches!(status, 200 | 403) || told.is_none() || nonce.is_some() {
            return (status, serde_json::from_str(&answer.text().unwrap()).unwrap_or_default());
        }
        nonce = told;
    }
}

fn call_with(town: &Town, key: &SigningKey, token: &str) -> u16 {
    let body = json!({ "model": "mythos-5", "max_tokens": 10, "messages": [{ "role": "user", "content": "Hello" }] });
    proved(town, key, "/v1/chat/completions", Some(token), &body.to_string()).0
}

#[test]
fn a_person_streams_through_the_agent_and_their_token_is_worth_nothing_without_its_key() {
    let town = Town::new();
    town.with_ada();
    let theirs = identity_token(&town, "sub-ada", "s-1");
    let file = given(&town, &theirs);
    let agent = Agent::start(&town, "127.0.0.1:0", ["--identity-token-file", &file]);
    assert_streamed(&agent.call(&agent.secret));
    assert_eq!(agent.call("another-secret").status, 401);
    assert_eq!(agent.call(&theirs).status, 401);

    let der = fs::read(folder(&town).join("agent.key")).unwrap();
    let key = SigningKey::from_pkcs8(Alg::Es256, &der).unwrap();
    let form = format!(
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token={}\
         &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt",
        identity_token(&town, "sub-ada", "s-2"),
    );
    let (status, issued) = proved(&town, &key, "/v1/oauth/token", None, &form);
    assert_eq!((status, &issued["token_type"]), (200, &json!("DPoP")), "{issued}");
    let token = issued["access_token"].as_str().unwrap();
    assert_eq!(call_with(&town, &key, token), 200);
    assert_eq!(town.status(token), 401, "as a bearer token, without a proof");
    let thief = SigningKey::generate(Alg::Es256).unwrap();
    assert_eq!(call_with(&town, &thief, token), 401, "with a proof of another key");
    drop(agent);
    town.audit(0);
}

#[test]
fn an_agent_that_was_killed_comes_back_with_the_same_key_and_another_secret() {
    let town = Town::new();
    town.with_ada();
    let shown = command(&town).arg("--thumbprint").output().unwrap();
    let jkt: Value = serde_json::from_slice(&shown.stdout).unwrap();
    let minted = town.server.admin(
        "POST",
        "/admin/v1/keys",
        &json!({
            "holder": { "kind": "person", "person": "ada" }, "organization": "larkspur-labs",
            "confirmation": { "jkt": jkt["jkt"] },
        }),
    );
    let key = minted.unwrap()["key"].as_str().unwrap().to_owned();
    assert_eq!(town.status(&key), 401, "the key alone is worth nothing");
    let file = given(&town, &key);
    let agent = Agent::start(&town, "127.0.0.1:0", ["--api-key-file", &file]);
    assert_eq!(agent.jkt, jkt["jkt"]);
    assert_streamed(&agent.call(&agent.secret));

    let (address, old_jkt, old_secret) = agent.kill();
    assert!(SHORT.call(address.parse().unwrap(), &old_secret).is_err(), "nobody listens");
    let agent = Agent::start(&town, &address, ["--api-key-file", &file]);
    assert_eq!(agent.jkt, old_jkt);
    assert_ne!(agent.secret, old_secret);
    assert_streamed(&agent.call(&agent.secret));
    assert_eq!(agent.call(&old_secret).status, 401, "whoever took the port meanwhile may know it");

    let second = command(&town).args(["--listen", &address, "--api-key-file", &file]).output().unwrap();
    assert!(!second.status.success());
    assert_streamed(&agent.call(&agent.secret));
    let now = fs::read_to_string(folder(&town).join("secret")).unwrap();
    assert_eq!(now, agent.secret, "an agent that finds its port taken makes no secret");
    drop(agent);
    town.audit(0);
}
