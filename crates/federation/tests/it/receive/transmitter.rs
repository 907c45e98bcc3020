//! A transmitter on the loopback interface, which notes what it is asked and answers as it is told.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    body::{Bytes, to_bytes},
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use federation::{Authorization, ClientCredentials, KeySource, Management, Receive, SsfReceiver};
use serde_json::{Value, json};

use super::world::{AUDIENCE, Idp, World, id};

/// The channel through which acme's managed transmitter is listened to.
pub(crate) const CHANNEL: &str = "acme-managed";

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Method and path, such as `POST /streams`.
    pub(crate) line: String,
    pub(crate) query: String,
    pub(crate) authorization: String,
    pub(crate) body: Value,
}

/// The status of an answer that never comes.
const HELD: u16 = 0;

#[derive(Default)]
struct Book {
    asked: Vec<Asked>,
    /// Answers that are not the ordinary ones, by line.
    answers: BTreeMap<String, (u16, Value)>,
    /// Members of the metadata that are not the ordinary ones.
    metadata: serde_json::Map<String, Value>,
    /// Tokens to be fetched, by `jti`, until they are acknowledged or reported.
    sets: BTreeMap<String, String>,
    streams: u32,
    access_tokens: u32,
}

/// The transmitter. Its tokens are signed with one key.
#[derive(Clone)]
pub(crate) struct Transmitter {
    pub(crate) idp: Arc<Idp>,
    url: String,
    book: Arc<Mutex<Book>>,
}

impl Transmitter {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let this = Self { idp: Arc::new(Idp::new(&url)), url, book: Arc::default() };
        let router = Router::new().fallback(answer).with_state(this.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        this
    }

    /// Settings that have acme listen to it, with its stream managed here and its keys found by its metadata.
    pub(crate) fn settings(&self, world: &World, delivery: Receive) -> SsfReceiver {
        std::fs::write(world.dir.path().join("secrets/managed"), "client-secret\n").unwrap();
        let credentials = ClientCredentials {
            token_endpoint: format!("{}/token", self.url),
            client_id: "exeat".to_owned(),
            secret: "managed".to_owned(),
            scope: None,
        };
        let authorization = Authorization::ClientCredentials(credentials);
        SsfReceiver {
            channel: id(CHANNEL),
            issuer: self.url.clone(),
            audience: AUDIENCE.to_owned(),
            keys: KeySource::Discovered,
            delivery,
            management: Some(Management { authorization, events: Vec::new() }),
            stream_id: None,
            ..world.settings("acme", &world.acme)
        }
    }

    /// Answers one line otherwise from now on.
    pub(crate) fn answers(&self, line: &str, status: u16, body: Value) {
        self.book.lock().unwrap().answers.insert(line.to_owned(), (status, body));
    }

    /// Leaves one line without an answer from now on.
    pub(crate) fn holds(&self, line: &str) {
        self.answers(line, HELD, Value::Null);
    }

    /// Answers one line as usual again.
    pub(crate) fn relents(&self, line: &str) {
        self.book.lock().unwrap().answers.remove(line);
    }

    /// Says something else in one member of its metadata.
    pub(crate) fn says(&self, member: &str, value: Value) {
        self.book.lock().unwrap().metadata.insert(member.to_owned(), value);
    }

    /// Offers a token to whoever fetches.
    pub(crate) fn offers(&self, jti: &str, token: String) {
        self.book.lock().unwrap().sets.insert(jti.to_owned(), token);
    }

    pub(crate) fn offered(&self) -> Vec<String> {
        self.book.lock().unwrap().sets.keys().cloned().collect()
    }

    /// Returns every request of one line.
    pub(crate) fn asked(&self, line: &str) -> Vec<Asked> {
        self.book.lock().unwrap().asked.iter().filter(|asked| asked.line == line).cloned().collect()
    }

    /// Waits until a line was asked so often.
    pub(crate) async fn awaits(&self, line: &str, times: usize) -> Vec<Asked> {
        for _ in 0..600 {
            let asked = self.asked(line);
            if asked.len() >= times {
                return asked;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("`{line}` was not asked {times} times: {:?}", self.book.lock().unwrap().asked);
    }

    fn metadata(&self, book: &Book) -> Value {
        let mut metadata = json!({
            "spec_version": "1_0", "issuer": self.url, "jwks_uri": format!("{}/jwks", self.url),
            "configuration_endpoint": format!("{}/streams", self.url),
            "status_endpoint": format!("{}/status", self.url),
            "verification_endpoint": format!("{}/verify", self.url),
        });
        metadata.as_object_mut().unwrap().extend(book.metadata.clone());
        metadata
    }

    fn noted(&self, asked: Asked) -> (u16, Value) {
        let mut book = self.book.lock().unwrap();
        book.asked.push(asked.clone());
        let told = book.answers.get(&asked.line).cloned();
        told.unwrap_or_else(|| self.usual(&mut book, &asked))
    }

    fn usual(&self, book: &mut Book, asked: &Asked) -> (u16, Value) {
        match asked.line.as_str() {
            "GET /.well-known/ssf-configuration" => (200, self.metadata(book)),
            "GET /jwks" => (200, self.idp.jwks()),
            "POST /token" => {
                book.access_tokens += 1;
                let token = format!("access-{}", book.access_tokens);
                (200, json!({ "access_token": token, "token_type": "Bearer", "expires_in": 60 }))
            }
            "POST /streams" => {
                book.streams += 1;
                (201, self.stream(book, &asked.body["delivery"]))
            }
            "GET /streams" | "PATCH /streams" | "PUT /streams" => {
                (200, self.stream(book, &json!({ "method": "urn:ietf:rfc:8936" })))
            }
            "DELETE /streams" | "POST /verify" => (204, Value::Null),
            "GET /status" => (200, json!({ "stream_id": format!("s-{}", book.streams), "status": "enabled" })),
            "POST /status" => (200, asked.body.clone()),
            "POST /poll" => {
                let acks = asked.body["ack"].as_array().into_iter().flatten().filter_map(Value::as_str);
                acks.for_each(|jti| drop(book.sets.remove(jti)));
                let errs = asked.body["setErrs"].as_object().into_iter().flatten();
                errs.for_each(|(jti, _)| drop(book.sets.remove(jti)));
                (200, json!({ "sets": book.sets }))
            }
            _ => (404, Value::Null),
        }
    }

    fn stream(&self, book: &Book, delivery: &Value) -> Value {
        let mut delivery = delivery.clone();
        if delivery["method"] == "urn:ietf:rfc:8936" {
            delivery["endpoint_url"] = json!(format!("{}/poll", self.url));
        }
        json!({
            "stream_id": format!("s-{}", book.streams), "iss": self.url, "aud": [AUDIENCE], "delivery": delivery,
            "events_delivered": [], "x_model": "ignored",
        })
    }
}

async fn answer(State(this): State<Transmitter>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body: Bytes = to_bytes(body, 1 << 20).await.unwrap();
    let authorization = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let asked = Asked {
        line: format!("{} {}", parts.method, parts.uri.path()),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        authorization: authorization.unwrap_or_default().to_owned(),
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    };
    let (status, body) = this.noted(asked);
    if status == HELD {
        return std::future::pending().await;
    }
    let status = StatusCode::from_u16(status).unwrap();
    match body {
        Value::Null => status.into_response(),
        // A redirection is told as the place to go to.
        Value::String(place) => (status, [(header::LOCATION, place)]).into_response(),
        body => (status, Json(body)).into_response(),
    }
}
