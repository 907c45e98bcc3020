//! The agent between a caller and a server that checks what a gateway checks.

use std::{
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::{any, post},
};
use http::{HeaderMap, StatusCode};
use jose::{
    base64url,
    dpop::{self, Htu, Nonces, Replays, Rules},
};
use serde_json::{Value, json};
use terms::{Clock, SystemClock};

use super::{Evidence, Folder, Gateway, Grants, forward::Agent, router};

/// A server that gives bound tokens and takes each proof once.
#[derive(Clone)]
struct Server(Arc<Inner>);

struct Inner {
    origin: Mutex<String>,
    nonces: Nonces,
    replays: Replays,
    issued: Mutex<Vec<(String, [u8; 32])>>,
    lives: u64,
    bodies: Mutex<Vec<String>>,
}

impl Server {
    async fn start(lives: u64) -> (Self, String) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let server = Self(Arc::new(Inner {
            origin: Mutex::new(origin.clone()),
            nonces: Nonces::generate(Duration::from_secs(60)).unwrap(),
            replays: Replays::with_capacity(100),
            issued: Mutex::default(),
            lives,
            bodies: Mutex::default(),
        }));
        let app = Router::new().route("/v1/oauth/token", post(token)).fallback(any(call)).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        (server, origin)
    }

    /// Checks the proof of a request; returns whose key it is, or the challenge.
    fn proved(
        &self,
        headers: &HeaderMap,
        method: &str,
        path: &str,
        token: Option<&str>,
    ) -> Result<[u8; 32], Box<Response>> {
        let now = SystemClock::default().now();
        let target = Htu::parse(&format!("{}{path}", self.0.origin.lock().unwrap())).unwrap();
        let request = dpop::Request { method, target: &target, access_token: token };
        let rules = Rules { window: Duration::from_secs(60), nonces: Some(&self.0.nonces) };
        let proof = headers.get("dpop").unwrap().to_str().unwrap();
        let proof = dpop::verify(proof, &request, &rules, now).map_err(|fault| {
            assert!(matches!(fault, dpop::ProofFault::Nonce), "{fault}");
            let status = if token.is_some() { StatusCode::UNAUTHORIZED } else { StatusCode::BAD_REQUEST };
            let nonce = [("dpop-nonce", self.0.nonces.issue(now))];
            Box::new((status, nonce, Json(json!({ "error": "use_dpop_nonce" }))).into_response())
        })?;
        self.0.replays.claim(&proof, now).unwrap();
        Ok(proof.jkt)
    }
}

async fn token(State(server): State<Server>, headers: HeaderMap, body: String) -> Response {
    let jkt = match server.proved(&headers, "POST", "/v1/oauth/token", None) {
        Ok(jkt) => jkt,
        Err(challenge) => return *challenge,
    };
    if let Some(answer) = broken(&body) {
        return answer;
    }
    if body.contains("expired") {
        let refused = json!({ "error": "invalid_grant", "error_description": "the assertion has expired" });
        return (StatusCode::BAD_REQUEST, Json(refused)).into_response();
    }
    server.0.bodies.lock().unwrap().push(body);
    let mut issued = server.0.issued.lock().unwrap();
    let token = format!("token-{}", issued.len());
    issued.push((token.clone(), jkt));
    Json(json!({ "access_token": token, "token_type": "DPoP", "expires_in": server.0.lives })).into_response()
}

/// Answers as no good token endpoint does, with a secret in it.
fn broken(body: &str) -> Option<Response> {
    let issued = |token: Value, kind: &str| json!({ "access_token": token, "token_type": kind, "expires_in": 300 });
    let refused = |told: &str| json!({ "error": "invalid_grant", "error_description": told });
    let (status, answer) = match body {
        _ if body.contains("text-jwt") => (StatusCode::OK, json!("leaked-token")),
        _ if body.contains("kind-jwt") => (StatusCode::OK, issued(json!("t"), "leaked-token")),
        _ if body.contains("lines-jwt") => (StatusCode::OK, issued(json!("leaked-token\n"), "DPoP")),
        _ if body.contains("list-jwt") => (StatusCode::OK, issued(json!(["leaked-token"]), "DPoP")),
        _ if body.contains("echo-jwt") => (StatusCode::BAD_REQUEST, refused("you sent echo-jwt-leaked-token")),
        _ if body.contains("long-jwt") => (StatusCode::BAD_REQUEST, refused(&"leaked-token ".repeat(100))),
        _ => return None,
    };
    Some((status, Json(answer)).into_response())
}

async fn call(State(server): State<Server>, request: Request) -> Response {
    let headers = request.headers().clone();
    let sent = headers["authorization"].to_str().unwrap().strip_prefix("DPoP ").unwrap().to_owned();
    for name in ["x-api-key", "te", "proxy-authorization"] {
        assert!(!headers.contains_key(name), "{name}");
    }
    let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
    let jkt = match server.proved(&headers, &method, &path, Some(&sent)) {
        Ok(jkt) => jkt,
        Err(challenge) => return *challenge,
    };
    let known = server.0.issued.lock().unwrap().iter().any(|(token, key)| (token, key) == (&sent, &jkt));
    if !known {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    Body::new(Chunks(0..3)).into_response()
}

/// An answer of several frames.
struct Chunks(std::ops::Range<u32>);

impl http_body::Body for Chunks {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        let next = self.0.next().map(|at| Ok(http_body::Frame::data(Bytes::from(format!("data: {at}\n\n")))));
        std::task::Poll::Ready(next)
    }
}

struct Running {
    address: std::net::SocketAddr,
    secret: String,
    thumbprint: String,
}

async fn agent(dir: &Path, origin: &str, token: &str) -> Running {
    let file = dir.join("identity.jwt");
    std::fs::write(&file, token).unwrap();
    let folder = Folder::open(&dir.join("agent")).unwrap();
    let evidence = Evidence::IdentityToken { file, rule: None };
    let grants = Grants::new(evidence, folder.key(), Arc::new(SystemClock::default()));
    let secret = folder.new_secret().unwrap();
    let agent = Agent::new(secret.clone(), grants, Gateway::parse(origin, None).unwrap());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router(agent)).await.unwrap() });
    Running { address, secret: secret.to_string(), thumbprint: folder.thumbprint() }
}

impl Running {
    async fn ask(&self, secret: Option<&str>) -> (StatusCode, String) {
        let client = fetch::Client::new(fetch::Settings::new(
            fetch::Roots::native().unwrap(),
            fetch::AddressRule::allowing(["127.0.0.1"]).unwrap(),
        ));
        let url = fetch::Url::parse(&format!("http://{}/v1/chat/completions", self.address)).unwrap();
        let mut request = fetch::Request::post(url, "application/json", Bytes::from_static(b"{}"));
        if let Some(secret) = secret {
            request.headers.insert("x-api-key", secret.parse().unwrap());
            request.headers.insert("te", "trailers".parse().unwrap());
            request.headers.insert("proxy-authorization", "Basic Og==".parse().unwrap());
        }
        let response = client.send(request).await.unwrap();
        (response.status, String::from_utf8_lossy(&response.body).into_owned())
    }
}

const ANSWER: &str = "data: 0\n\ndata: 1\n\ndata: 2\n\n";

#[tokio::test]
async fn a_call_with_the_local_secret_goes_on_with_a_bound_token_and_a_proof_of_its_own() {
    let (dir, (server, origin)) = (tempfile::tempdir().unwrap(), Server::start(300).await);
    let agent = agent(dir.path(), &origin, "person-jwt").await;
    for _ in 0..3 {
        assert_eq!(agent.ask(Some(&agent.secret)).await, (StatusCode::OK, ANSWER.to_owned()));
    }
    let issued = server.0.issued.lock().unwrap().clone();
    assert_eq!(issued.len(), 1, "one token serves until it ends");
    assert_eq!(base64url::encode(issued[0].1), agent.thumbprint);
    assert!(server.0.bodies.lock().unwrap()[0].contains("subject_token=person-jwt"));
}

#[tokio::test]
async fn a_call_without_the_local_secret_goes_nowhere() {
    let (dir, (server, origin)) = (tempfile::tempdir().unwrap(), Server::start(300).await);
    let agent = agent(dir.path(), &origin, "person-jwt").await;
    let wrong = "A".repeat(43);
    for secret in [None, Some(""), Some("x"), Some(wrong.as_str())] {
        let (status, body) = agent.ask(secret).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{body}");
        assert!(body.contains("local secret"), "{body}");
    }
    assert!(server.0.issued.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_token_is_exchanged_anew_before_it_ends_and_when_it_is_no_longer_taken() {
    let (dir, (server, origin)) = (tempfile::tempdir().unwrap(), Server::start(1).await);
    let agent = agent(dir.path(), &origin, "person-jwt").await;
    for _ in 0..2 {
        assert_eq!(agent.ask(Some(&agent.secret)).await.0, StatusCode::OK);
    }
    assert_eq!(server.0.issued.lock().unwrap().len(), 2, "a token of one second is never used twice");

    let (server, origin) = Server::start(300).await;
    let agent = self::agent(dir.path(), &origin, "person-jwt").await;
    assert_eq!(agent.ask(Some(&agent.secret)).await.0, StatusCode::OK);
    server.0.issued.lock().unwrap().clear();
    server.0.issued.lock().unwrap().push(("another".to_owned(), [0; 32]));
    assert_eq!(agent.ask(Some(&agent.secret)).await.0, StatusCode::OK);
}

#[tokio::test]
async fn what_the_gateway_does_not_take_is_told_in_its_own_words() {
    let (dir, (_server, origin)) = (tempfile::tempdir().unwrap(), Server::start(300).await);
    let agent = agent(dir.path(), &origin, "expired-jwt").await;
    let (status, body) = agent.ask(Some(&agent.secret)).await;
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    assert!(body.contains("the assertion has expired"), "{body}");
}

#[tokio::test]
async fn what_an_endpoint_answers_that_is_broken_or_hostile_is_not_told_on() {
    let dir = tempfile::tempdir().unwrap();
    let (_server, origin) = Server::start(300).await;
    for token in ["text-jwt", "kind-jwt", "lines-jwt", "list-jwt", "echo-jwt-leaked-token", "long-jwt"] {
        let agent = agent(dir.path(), &origin, token).await;
        let (status, body) = agent.ask(Some(&agent.secret)).await;
        assert_eq!(status, StatusCode::BAD_GATEWAY, "{token}: {body}");
        assert!(!body.contains("leaked-token"), "{token}: {body}");
    }
}

#[test]
fn a_restart_finds_the_same_key_and_makes_another_secret() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("agent");
    let first = Folder::open(&dir).unwrap();
    let old = first.new_secret().unwrap();
    let again = Folder::open(&dir).unwrap();
    assert_eq!(first.thumbprint(), again.thumbprint());
    assert_eq!(
        std::fs::read(again.secret_file()).unwrap(),
        old.as_bytes(),
        "the thumbprint is asked for beside an agent"
    );
    let new = again.new_secret().unwrap();
    assert!(*old != *new && new.len() == 43, "256 bits");
    first.forget(&old);
    assert_eq!(std::fs::read(again.secret_file()).unwrap(), new.as_bytes(), "it is no longer the one to forget");
    again.forget(&new);
    assert!(!again.secret_file().exists());
    assert!(again.secret_file().is_absolute());
}

#[test]
fn a_folder_or_a_key_that_is_open_to_others_or_not_ours_is_refused() {
    let mode = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (folder, key) = (dir.path().join("agent"), dir.path().join("agent/agent.key"));
    Folder::open(&folder).unwrap();
    let refused = || Folder::open(&folder).err().map(|error| format!("{error:#}")).unwrap_or_default();
    for open in [0o755, 0o710, 0o777, 0o1777] {
        mode(&folder, open);
        assert!(refused().contains("others can reach"), "{open:o}");
    }
    mode(&folder, 0o700);
    mode(&key, 0o644);
    assert!(refused().contains("others can read"));
    mode(&key, 0o600);
    assert_eq!(refused(), "");
    std::fs::rename(&key, dir.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(dir.path().join("elsewhere"), &key).unwrap();
    assert!(refused().contains("not a file of this user"));
}

#[test]
fn a_folder_or_a_key_of_another_user_is_refused() {
    const NOBODY: u32 = 65_534;
    let dir = tempfile::tempdir().unwrap();
    let (folder, key) = (dir.path().join("agent"), dir.path().join("agent/agent.key"));
    Folder::open(&folder).unwrap();
    if std::os::unix::fs::chown(&key, Some(NOBODY), None).is_err() {
        return; // Only root may give a file away.
    }
    assert!(Folder::open(&folder).is_err_and(|error| error.to_string().contains("not a file of this user")));
    std::fs::remove_file(&key).unwrap();
    std::os::unix::fs::chown(&folder, Some(NOBODY), None).unwrap();
    assert!(Folder::open(&folder).is_err_and(|error| error.to_string().contains("folder of another user")));
    assert!(std::fs::read_dir(&folder).unwrap().next().is_none(), "nothing is left in it");
}

#[test]
fn a_gateway_in_plain_text_is_reached_on_this_machine_only() {
    for (url, is_good) in [
        ("https://gateway.example", true),
        ("http://127.0.0.1:8080", true),
        ("http://localhost:8080/", true),
        ("http://gateway.example", false),
        ("https://gateway.example/v1", false),
        ("https://user@gateway.example", false),
        ("ftp://gateway.example", false),
        ("gateway.example", false),
    ] {
        assert_eq!(Gateway::parse(url, None).is_ok(), is_good, "{url}");
    }
}
