//! Serving behind TLS.

use std::{fs, path::Path};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ClientConfig, ClientConnection, ConfigBuilder, RootCertStore, SignatureScheme, SupportedProtocolVersion,
    client::{ResolvesClientCert, WantsClientCert},
    sign,
    version::{TLS12, TLS13},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use sha2::{Digest, Sha256};

use super::*;
use crate::config::ClientCertificates;

/// Writes a new certificate and its key into a folder.
fn write_certificate(folder: &Path) -> CertificateDer<'static> {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(folder.join("chain.pem"), cert.pem()).unwrap();
    fs::write(folder.join("key.pem"), signing_key.serialize_pem()).unwrap();
    cert.der().clone()
}

fn behind_tls(folder: &Path) -> Settings {
    let tls = TlsSettings { cert_chain: folder.join("chain.pem"), key: folder.join("key.pem") };
    Settings { tls: Some(tls), ..settings() }
}

/// Shakes hands; returns the protocol chosen, or why not.
fn shake(
    under: &Under,
    trusted: &CertificateDer<'static>,
    version: &'static SupportedProtocolVersion,
    speaks: &[&str],
) -> Result<(ClientConnection, Client, String), String> {
    let mut config = trusting(trusted, version).with_no_client_auth();
    config.alpn_protocols = speaks.iter().map(|name| name.as_bytes().to_vec()).collect();
    let (tls, client) = shake_with(under, config)?;
    let chosen = String::from_utf8_lossy(tls.alpn_protocol().unwrap_or_default()).into_owned();
    Ok((tls, client, chosen))
}

fn trusting(
    trusted: &CertificateDer<'static>,
    version: &'static SupportedProtocolVersion,
) -> ConfigBuilder<ClientConfig, WantsClientCert> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
    builder.with_root_certificates(roots)
}

fn shake_with(under: &Under, config: ClientConfig) -> Result<(ClientConnection, Client), String> {
    let name = ServerName::try_from("localhost").unwrap();
    let mut tls = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut client = under.connect();
    while tls.is_handshaking() {
        tls.complete_io(&mut client.0).map_err(|error| error.to_string())?;
    }
    Ok((tls, client))
}

/// Asks who the server takes the client for.
fn peer(mut tls: ClientConnection, mut client: Client) -> String {
    let mut stream = rustls::Stream::new(&mut tls, &mut client.0);
    stream.write_all(b"GET /peer HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    // The server may close without a last alert.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

/// Presents a certificate of one key with the signature of perhaps another.
#[derive(Debug)]
struct Presents(Arc<sign::CertifiedKey>);

impl Presents {
    fn new(certificate: &rcgen::Certificate, key: &rcgen::KeyPair) -> Arc<Self> {
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
        Arc::new(Self(Arc::new(sign::CertifiedKey::new(vec![certificate.der().clone()], key))))
    }
}

impl ResolvesClientCert for Presents {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<sign::CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

fn asking(folder: &Path) -> Settings {
    Settings { client_certificates: ClientCertificates::Optional, ..behind_tls(folder) }
}

#[test]
fn a_client_is_known_by_the_certificate_whose_key_it_holds_whoever_signed_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = write_certificate(folder.path());
    let under = Under::test(asking(folder.path()));
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["client".to_owned()]).unwrap();
    let digest: [u8; 32] = Sha256::digest(cert.der()).into();
    let presents = Presents::new(&cert, &signing_key);
    let config = trusting(&server, &TLS13).with_client_cert_resolver(presents);
    // The second handshake resumes the first one, and stands on the same certificate.
    for _ in 0..2 {
        let (tls, client) = shake_with(&under, config.clone()).unwrap();
        let told = peer(tls, client);
        assert!(told.contains(&format!("certificate: Some({digest:?})")), "{told}");
    }
    let (tls, client) = shake_with(&under, trusting(&server, &TLS13).with_no_client_auth()).unwrap();
    assert!(peer(tls, client).contains("certificate: None"));
}

#[test]
fn a_certificate_of_a_key_that_the_client_does_not_hold_ends_the_connection() {
    let folder = tempfile::tempdir().unwrap();
    let server = write_certificate(folder.path());
    let under = Under::test(asking(folder.path()));
    let victim = generate_simple_self_signed(["client".to_owned()]).unwrap();
    let thief = generate_simple_self_signed(["client".to_owned()]).unwrap();
    let presents = Presents::new(&victim.cert, &thief.signing_key);
    let config = trusting(&server, &TLS13).with_client_cert_resolver(presents);
    let told = shake_with(&under, config).map(|(tls, client)| peer(tls, client));
    assert!(told.is_err() || told == Ok(String::new()), "{told:?}");
}

#[test]
fn a_client_is_not_asked_for_a_certificate_unless_the_operator_wants_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = write_certificate(folder.path());
    let under = Under::test(behind_tls(folder.path()));
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["client".to_owned()]).unwrap();
    let config = trusting(&server, &TLS13).with_client_cert_resolver(Presents::new(&cert, &signing_key));
    let (tls, client) = shake_with(&under, config).unwrap();
    assert!(peer(tls, client).contains("certificate: None"));
}

#[test]
fn tls_13_is_served_and_http2_preferred() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = write_certificate(folder.path());
    let under = Under::test(behind_tls(folder.path()));
    let (_, _, chosen) = shake(&under, &certificate, &TLS13, &["http/1.1", "h2"]).unwrap();
    assert_eq!(chosen, "h2");
    let (mut tls, mut client, chosen) = shake(&under, &certificate, &TLS13, &["http/1.1"]).unwrap();
    assert_eq!(chosen, "http/1.1");
    let mut stream = rustls::Stream::new(&mut tls, &mut client.0);
    stream.write_all(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n").unwrap();
    let mut answer = [0; 15];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
}

#[test]
fn tls_12_and_plaintext_are_not_served() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = write_certificate(folder.path());
    let under = Under::test(behind_tls(folder.path()));
    assert!(shake(&under, &certificate, &TLS12, &["http/1.1"]).is_err());
    let mut client = under.connect();
    client.send("GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    assert!(!client.rest().0.contains("HTTP/1.1"));
    assert!(under.comes_to(0));
}

#[test]
fn a_handshake_that_takes_too_long_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    write_certificate(folder.path());
    let (_, took) = Under::test(behind_tls(folder.path())).connect().rest();
    assert!((900..2_000).contains(&took.as_millis()), "{took:?}");
}

#[test]
fn a_new_certificate_is_used_without_a_restart_and_a_bad_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let old = write_certificate(folder.path());
    let under = Under::test(behind_tls(folder.path()));
    let new = write_certificate(folder.path());
    assert!(shake(&under, &old, &TLS13, &["h2"]).is_ok());
    under.listeners.renew_certificate().unwrap();
    assert!(shake(&under, &new, &TLS13, &["h2"]).is_ok());
    assert!(shake(&under, &old, &TLS13, &["h2"]).is_err());
    fs::write(folder.path().join("chain.pem"), "").unwrap();
    assert!(under.listeners.renew_certificate().is_err());
    assert!(shake(&under, &new, &TLS13, &["h2"]).is_ok());
}

#[test]
fn a_key_of_another_certificate_keeps_the_gateway_from_starting() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_certificate(folder.path());
    write_certificate(other.path());
    fs::copy(other.path().join("key.pem"), folder.path().join("key.pem")).unwrap();
    let checked = behind_tls(folder.path()).check().unwrap();
    let error = spawn(&checked, |worker| Rc::new(Parrot { worker, under_way: Arc::default() })).unwrap_err();
    assert!(error.to_string().contains("key.pem"), "{error}");
}
