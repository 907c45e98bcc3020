//! Tokens and keys that are bound to a certificate (RFC 8705), in the handshake or passed on by a proxy (RFC 9440).

use std::{
    fs,
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, TcpStream},
    sync::Arc,
    time::Duration,
};

use gateway::{ClientCertificates, Settings, TlsSettings};
use identity::Confirmation;
use jose::base64url;
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Told, Trusting, ada, issuer::Issuer};
use crate::world::{CHAT, World, body, chat};

/// A client's certificate and key.
type Identity = CertifiedKey<KeyPair>;

/// A gateway behind TLS that asks for certificates.
struct Tls {
    trusting: Trusting,
    server: CertificateDer<'static>,
    _folder: tempfile::TempDir,
}

impl Tls {
    fn new() -> Self {
        let (folder, issuer) = (tempfile::tempdir().unwrap(), Issuer::start());
        let server = certificate("localhost");
        let (chain, key) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
        fs::write(&chain, server.cert.pem()).unwrap();
        fs::write(&key, server.signing_key.serialize_pem()).unwrap();
        let settings = issuer.settings();
        let trusting = Trusting::of(issuer, |all| {
            all.issuers = vec![settings];
            all.tls = Some(TlsSettings { cert_chain: chain, key });
            all.client_certificates = ClientCertificates::Optional;
        });
        Self { trusting, server: server.cert.der().clone(), _folder: folder }
    }

    /// Asks the controlled model in a handshake of its own: the status, and the code of the error.
    fn ask(&self, client: Option<&Identity>, headers: &[(&str, &str)]) -> (u16, String) {
        let name = ServerName::try_from("localhost").unwrap();
        let mut tls = ClientConnection::new(Arc::new(config(&self.server, client)), name).unwrap();
        let mut tcp = TcpStream::connect(self.trusting.world.gateway.addresses()[0]).unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut stream = rustls::Stream::new(&mut tls, &mut tcp);
        stream.write_all(&request(headers)).unwrap();
        let mut answer = Vec::new();
        // The server may close without a last alert.
        let _ = stream.read_to_end(&mut answer);
        let text = String::from_utf8(answer).unwrap();
        let status = text.split(' ').nth(1).unwrap_or_default().parse().unwrap();
        let body: Value = serde_json::from_str(text.split("\r\n\r\n").nth(1).unwrap_or_default()).unwrap_or_default();
        (status, body["error"]["code"].as_str().unwrap_or_default().to_owned())
    }

    fn bear(&self, client: Option<&Identity>, credential: &str) -> (u16, String) {
        self.ask(client, &[("authorization", &format!("Bearer {credential}"))])
    }
}

fn config(server: &CertificateDer<'static>, client: Option<&Identity>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(server.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13]);
    let builder = builder.unwrap().with_root_certificates(roots);
    match client {
        None => builder.with_no_client_auth(),
        Some(client) => {
            let key = PrivateKeyDer::try_from(client.signing_key.serialize_der()).unwrap();
            builder.with_client_auth_cert(vec![client.cert.der().clone()], key).unwrap()
        }
    }
}

fn request(headers: &[(&str, &str)]) -> Vec<u8> {
    let body = body(&chat("mythos-5", false));
    let mut head = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    [head.as_bytes(), b"\r\n", &body].concat()
}

fn certificate(name: &str) -> Identity {
    generate_simple_self_signed([name.to_owned()]).unwrap()
}

fn thumbprint(client: &Identity) -> [u8; 32] {
    Sha256::digest(client.cert.der()).into()
}

fn bound_token(issuer: &Issuer, client: &Identity) -> String {
    issuer.token(|c| c["cnf"] = json!({ "x5t#S256": base64url::encode(thumbprint(client)) }))
}

const SERVED: (u16, &str) = (200, "");
const REFUSED: (u16, &str) = (401, "invalid_token");

#[track_caller]
fn is(told: &(u16, String), expected: (u16, &str)) {
    assert_eq!((told.0, told.1.as_str()), expected);
}

#[test]
fn a_token_that_is_bound_to_a_certificate_is_worth_nothing_in_another_handshake() {
    let (tls, client, thief) = (Tls::new(), certificate("client"), certificate("client"));
    let token = bound_token(&tls.trusting.issuer, &client);
    is(&tls.bear(Some(&client), &token), SERVED);
    is(&tls.bear(Some(&thief), &token), REFUSED);
    is(&tls.bear(None, &token), REFUSED);
    is(&tls.ask(Some(&client), &[("authorization", &format!("DPoP {token}"))]), REFUSED);
    let plain = tls.trusting.issuer.token(|c| c["jti"] = json!("t-2"));
    is(&tls.bear(Some(&thief), &plain), SERVED);
    is(&tls.bear(None, &plain), SERVED);
}

#[test]
fn an_api_key_that_is_bound_to_a_certificate_works_with_the_sdks_in_either_header() {
    let (tls, client, thief) = (Tls::new(), certificate("client"), certificate("client"));
    let key = tls.trusting.bound_key(ada(), Confirmation::Certificate(thumbprint(&client)));
    is(&tls.bear(Some(&client), &key), SERVED);
    let told = tls.ask(Some(&client), &[("x-api-key", &key)]);
    assert_eq!(told.0, 200);
    is(&tls.bear(Some(&thief), &key), REFUSED);
    is(&tls.bear(None, &key), REFUSED);
}

#[test]
fn a_client_cannot_pass_itself_a_certificate() {
    let (tls, client) = (Tls::new(), certificate("client"));
    let token = bound_token(&tls.trusting.issuer, &client);
    let told = tls.ask(None, &[("authorization", &format!("Bearer {token}")), ("client-cert", &passed(&client))]);
    is(&told, (400, "invalid_request"));
}

/// Spells a certificate as a proxy passes it on.
fn passed(client: &Identity) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    format!(":{}:", STANDARD.encode(client.cert.der()))
}

/// Whether the caller at the loopback address is a trusted proxy.
fn behind(proxy: IpAddr) -> Trusting {
    Trusting::with(|settings: &mut Settings| settings.trusted_proxies = vec![proxy])
}

fn ask(trusting: &Trusting, token: &str, passed_on: &[&str]) -> Told {
    let bearer = format!("Bearer {token}");
    let mut headers = vec![("authorization", bearer.as_str())];
    headers.extend(passed_on.iter().map(|value| ("client-cert", *value)));
    trusting.ask(&headers)
}

fn forwarded(world: &World) -> Vec<String> {
    let received = world.upstream.received();
    received.iter().flat_map(|request| &request.headers).map(|(name, _)| name.clone()).collect()
}

#[test]
fn a_trusted_proxy_passes_a_certificate_on_and_it_goes_no_further() {
    let (trusting, client, thief) = (behind(Ipv4Addr::LOCALHOST.into()), certificate("client"), certificate("client"));
    let token = bound_token(&trusting.issuer, &client);
    ask(&trusting, &token, &[&passed(&client)]).served();
    assert!(!forwarded(&trusting.world).contains(&"client-cert".to_owned()));
    ask(&trusting, &token, &[&passed(&thief)]).refused("invalid_token");
    ask(&trusting, &token, &[]).refused("invalid_token");
    for bad in [&[passed(&client).as_str(), &passed(&thief)][..], &["::"], &["MAMBAgM="], &[":AQID:"], &[""]] {
        assert_eq!(ask(&trusting, &token, bad).status, 400, "{bad:?}");
    }
    let key = trusting.bound_key(ada(), Confirmation::Certificate(thumbprint(&client)));
    ask(&trusting, &key, &[&passed(&client)]).served();
    ask(&trusting, &key, &[&passed(&thief)]).refused("invalid_token");
}

#[test]
fn nobody_but_a_trusted_proxy_passes_a_certificate_on() {
    let (trusting, client) = (behind([192, 0, 2, 1].into()), certificate("client"));
    let token = bound_token(&trusting.issuer, &client);
    let told = ask(&trusting, &token, &[&passed(&client)]);
    assert_eq!((told.status, told.code.as_str()), (400, "invalid_request"), "{told:?}");
    ask(&trusting, &token, &[]).refused("invalid_token");
    assert!(forwarded(&trusting.world).is_empty(), "nothing reached the model server");
}
