//! Serving behind TLS.

use std::{fs, path::Path};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion,
    version::{TLS12, TLS13},
};
use rustls_pki_types::{CertificateDer, ServerName};

use super::*;

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
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = speaks.iter().map(|name| name.as_bytes().to_vec()).collect();
    let name = ServerName::try_from("localhost").unwrap();
    let mut tls = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut client = under.connect();
    while tls.is_handshaking() {
        tls.complete_io(&mut client.0).map_err(|error| error.to_string())?;
    }
    let chosen = String::from_utf8_lossy(tls.alpn_protocol().unwrap_or_default()).into_owned();
    Ok((tls, client, chosen))
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
