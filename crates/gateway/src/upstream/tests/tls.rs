//! Upstreams behind TLS.

use std::net::SocketAddr;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{ServerConfig, crypto::aws_lc_rs};
use rustls_pki_types::PrivateKeyDer;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use super::*;

/// Makes a certificate for `name` and a server configuration that serves it.
fn certificate(name: &str) -> (String, Arc<ServerConfig>) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed([name.to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    (cert.pem(), Arc::new(builder.with_single_cert(vec![cert.der().clone()], key).unwrap()))
}

/// Ends TLS in front of `behind`, for as long as the runtime runs.
async fn terminate(config: Arc<ServerConfig>, behind: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::task::spawn_local(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            if let Ok(mut stream) = TlsAcceptor::from(Arc::clone(&config)).accept(stream).await {
                let mut behind = TcpStream::connect(behind).await.unwrap();
                tokio::task::spawn_local(async move { copy_bidirectional(&mut stream, &mut behind).await });
            }
        }
    });
    address
}

async fn call(served_as: &str, trusted_as: Option<&str>) -> Result<u16, SendError> {
    let fake = fake();
    let (pem, config) = certificate(served_as);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), trusted_as.map_or(pem, |name| certificate(name).0)).unwrap();
    let port = terminate(config, fake.address()).await.port();
    let mut settings = UpstreamSettings::new(model(), vec![EndpointSettings::new(format!("https://localhost:{port}"))]);
    settings.ca_file = Some(file.path().to_owned());
    Under::test(settings).call().await
}

#[test]
fn an_upstream_with_a_certificate_that_the_operator_trusts_is_called() {
    assert_eq!(on_a_worker(call("localhost", None)).unwrap(), 200);
}

#[test]
fn an_upstream_with_another_certificate_gets_nothing() {
    let error = on_a_worker(call("localhost", Some("localhost"))).unwrap_err();
    assert!(matches!(error, SendError::Connect { .. }) && error.to_string().contains("TLS"), "{error}");
}

#[test]
fn an_upstream_with_a_certificate_for_another_name_gets_nothing() {
    let error = on_a_worker(call("models.example.com", None)).unwrap_err();
    assert!(error.to_string().contains("not valid for name"), "{error}");
}

#[test]
fn a_file_without_certificates_is_refused_when_the_fleet_is_made() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut settings = UpstreamSettings::new(model(), vec![EndpointSettings::new("https://localhost")]);
    settings.ca_file = Some(file.path().to_owned());
    assert!(Fleet::new(&checked(settings)).unwrap_err().why.contains("holds no certificate"));
}
