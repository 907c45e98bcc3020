//! An issuer of tokens over real HTTP: its keys, what it says about opaque tokens, and how often it was asked.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use gateway::{IntrospectionSettings, IssuerSettings};
use jose::{Alg, Object, SigningKey};
use serde_json::{Value, json};

use crate::world::now;

/// Its `iss`.
pub(crate) const ISSUER: &str = "https://idp.example";
/// The `aud` of tokens for the gateway, and where it is reached.
pub(crate) const RESOURCE: &str = "https://gateway.example.com";

/// What is answered to one request: status, media type, body.
type Answer = (u16, &'static str, String);

/// An issuer. Dropped, it takes no more connections.
pub(crate) struct Issuer {
    address: SocketAddr,
    state: Arc<State>,
    key: Mutex<Arc<SigningKey>>,
}

#[derive(Default)]
struct State {
    ended: AtomicBool,
    down: AtomicBool,
    keys: Mutex<Value>,
    about: Mutex<Option<Answer>>,
    keys_asked: AtomicUsize,
    forms: Mutex<Vec<(String, String)>>,
}

impl Issuer {
    /// Starts with one key of its own.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, state) = (listener.local_addr().unwrap(), Arc::new(State::default()));
        let serving = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if serving.ended.load(Ordering::SeqCst) {
                    return;
                }
                let state = Arc::clone(&serving);
                thread::spawn(move || state.serve(stream));
            }
        });
        let issuer = Self { address, state, key: Mutex::new(generate(Alg::Es256)) };
        issuer.publish(&[&issuer.key()]);
        issuer
    }

    /// Returns how the gateway is told of it.
    pub(crate) fn settings(&self) -> IssuerSettings {
        IssuerSettings {
            channel: "idp".to_owned(),
            issuer: ISSUER.to_owned(),
            audience: None,
            jwks_uri: Some(format!("http://{}/keys", self.address)),
            refresh_seconds: 300,
            max_stale_seconds: 86_400,
            introspection: None,
        }
    }

    /// Returns how the gateway is told of it, if it is asked about opaque tokens. The secret is in `file`.
    pub(crate) fn introspected(&self, file: &std::path::Path) -> IssuerSettings {
        std::fs::write(file, "s3cret\n").unwrap();
        let introspection = IntrospectionSettings {
            endpoint: format!("http://{}/introspect", self.address),
            client_id: "gateway".to_owned(),
            client_secret_env: None,
            client_secret_file: Some(file.to_owned()),
            prefix: "op_".to_owned(),
            remember_seconds: 30,
        };
        IssuerSettings { introspection: Some(introspection), ..self.settings() }
    }

    /// Returns the key that it signs with now.
    pub(crate) fn key(&self) -> Arc<SigningKey> {
        Arc::clone(&self.key.lock().unwrap())
    }

    /// Signs with a new key from now on and publishes only that.
    pub(crate) fn rotate(&self) {
        let key = generate(Alg::Es256);
        self.publish(&[&key]);
        *self.key.lock().unwrap() = key;
    }

    /// Publishes these keys and no others.
    pub(crate) fn publish(&self, keys: &[&SigningKey]) {
        let keys: Vec<Value> = keys.iter().map(|key| key.public().to_value()).collect();
        *self.state.keys.lock().unwrap() = json!({ "keys": keys });
    }

    /// Answers every request with a failure, or no longer.
    pub(crate) fn set_down(&self, down: bool) {
        self.state.down.store(down, Ordering::SeqCst);
    }

    /// Says this about every opaque token from now on.
    pub(crate) fn says(&self, claims: &Value) {
        self.answers(200, "application/json", claims.to_string());
    }

    /// Answers this to every question about a token from now on.
    pub(crate) fn answers(&self, status: u16, media_type: &'static str, body: String) {
        *self.state.about.lock().unwrap() = Some((status, media_type, body));
    }

    /// Returns how often its keys were asked for.
    pub(crate) fn keys_asked(&self) -> usize {
        self.state.keys_asked.load(Ordering::SeqCst)
    }

    /// Returns every question about a token so far: how the asker authenticated, and the form.
    pub(crate) fn questions(&self) -> Vec<(String, String)> {
        self.state.forms.lock().unwrap().clone()
    }

    /// Signs an access token with claims that `change` made of good ones.
    pub(crate) fn token(&self, change: impl FnOnce(&mut Value)) -> String {
        self.signed("at+jwt", &claims(change))
    }

    /// Signs anything as a token of the type `typ`.
    pub(crate) fn signed(&self, typ: &str, claims: &Value) -> String {
        self.key().sign(typ, &Object::new(), claims).unwrap()
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        // Wakes whoever waits for a connection.
        let _ = TcpStream::connect(self.address);
    }
}

impl State {
    fn serve(&self, stream: TcpStream) {
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut reader = BufReader::new(stream);
        let Some((head, body)) = request(&mut reader) else { return };
        let (status, media_type, body) = self.answer(&head, body);
        let head = format!(
            "HTTP/1.1 {status} x\r\ncontent-type: {media_type}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        // Who asked may have gone away.
        let _ = reader.get_mut().write_all((head + &body).as_bytes());
    }

    fn answer(&self, head: &[String], body: String) -> Answer {
        let path = head.first().and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
        if path == "/keys" {
            self.keys_asked.fetch_add(1, Ordering::SeqCst);
        } else {
            let given = head.iter().find_map(|line| line.strip_prefix("authorization: ")).unwrap_or_default();
            self.forms.lock().unwrap().push((given.to_owned(), body));
        }
        match path {
            _ if self.down.load(Ordering::SeqCst) => (500, "text/plain", String::new()),
            "/keys" => (200, "application/json", self.keys.lock().unwrap().to_string()),
            _ => self.about.lock().unwrap().clone().unwrap_or((404, "text/plain", String::new())),
        }
    }
}

fn request(reader: &mut BufReader<TcpStream>) -> Option<(Vec<String>, String)> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let length = head.iter().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some((head, String::from_utf8(body).ok()?))
}

pub(crate) fn generate(alg: Alg) -> Arc<SigningKey> {
    Arc::new(SigningKey::generate(alg).unwrap())
}

/// Returns the claims of a good access token for five minutes from the start of a world, changed by `change`.
pub(crate) fn claims(change: impl FnOnce(&mut Value)) -> Value {
    let iat = now().as_millis() / 1_000;
    let mut claims = json!({
        "iss": ISSUER, "aud": RESOURCE, "sub": "ada@idp", "client_id": "cli", "iat": iat, "exp": iat + 300,
        "jti": "t-1", "auth_time": iat - 60, "sid": "s-1",
    });
    change(&mut claims);
    claims
}
