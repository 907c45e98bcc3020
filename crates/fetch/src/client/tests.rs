//! The client against servers that misbehave, and names that change their mind.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::resolve::Looked;

const LOCAL: [&str; 1] = ["127.0.0.1"];

/// A certificate authority, and a server's side of TLS for `idp.example` under it.
struct Authority {
    roots: Roots,
    acceptor: TlsAcceptor,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names = vec!["idp.example".to_owned(), "127.0.0.1".to_owned()];
        let leaf = CertificateParams::new(names).unwrap().signed_by(&key, &ca).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        std::fs::write(&file, ca.pem()).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![leaf.der().clone()], key).unwrap();
        Self { roots: Roots::of_file(&file).unwrap(), acceptor: TlsAcceptor::from(Arc::new(config)) }
    }
}

/// A server that reads one head and then does as `script` says; counts the connections it took.
struct Server {
    address: SocketAddr,
    taken: Arc<AtomicUsize>,
}

impl Server {
    async fn plain<F, R>(script: F) -> Self
    where
        F: Fn(TcpStream, String) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, taken) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let (counter, script) = (Arc::clone(&taken), Arc::new(script));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                let script = Arc::clone(&script);
                tokio::spawn(async move {
                    let head = head_of(&mut stream).await;
                    script(stream, head).await;
                });
            }
        });
        Self { address, taken }
    }

    /// Answers every request with these bytes and closes.
    async fn saying(answer: &'static str) -> Self {
        Self::plain(move |mut stream, _| async move {
            let _ = stream.write_all(answer.as_bytes()).await;
        })
        .await
    }

    async fn tls(acceptor: TlsAcceptor) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, taken) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let counter = Arc::clone(&taken);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                head_of(&mut stream).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
                let _ = stream.shutdown().await;
            }
        });
        Self { address, taken }
    }

    fn url(&self, path: &str) -> Url {
        Url::parse(&format!("http://{}{path}", self.address)).unwrap()
    }

    fn taken(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }
}

async fn head_of<IO: AsyncRead + AsyncWrite + Unpin>(stream: &mut IO) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

/// A name server whose every name has the first of these addresses at the first question, the second at the second.
#[derive(Debug)]
struct Rebinding {
    answers: Vec<IpAddr>,
    asked: Arc<AtomicUsize>,
}

impl Names for Rebinding {
    fn look_up<'a>(&'a self, _name: &'a str) -> Looked<'a> {
        let turn = self.asked.fetch_add(1, Ordering::SeqCst).min(self.answers.len() - 1);
        Box::pin(async move { Ok(vec![self.answers[turn]]) })
    }
}

/// A name server that has all of these addresses for every name.
#[derive(Debug)]
struct All(Vec<IpAddr>);

impl Names for All {
    fn look_up<'a>(&'a self, _name: &'a str) -> Looked<'a> {
        Box::pin(async move { Ok(self.0.clone()) })
    }
}

/// A name server that never answers.
#[derive(Debug)]
struct Silent;

impl Names for Silent {
    fn look_up<'a>(&'a self, _name: &'a str) -> Looked<'a> {
        Box::pin(std::future::pending::<io::Result<Vec<IpAddr>>>())
    }
}

fn settings(allow: &[&str]) -> Settings {
    let mut settings = Settings::new(Authority::new().roots, AddressRule::allowing(allow.iter().copied()).unwrap());
    settings.connect_within = Duration::from_millis(500);
    settings.answer_within = Duration::from_millis(1_000);
    settings.max_body = 64 << 10;
    settings
}

fn local() -> Client {
    Client::new(settings(&LOCAL))
}

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[tokio::test]
async fn a_request_goes_out_as_written_and_the_whole_body_comes_back() {
    let server = Server::plain(|mut stream, head| async move {
        let mut body = [0; 5];
        stream.read_exact(&mut body).await.unwrap();
        let told = format!("{head}{}", String::from_utf8_lossy(&body));
        let answer = format!("HTTP/1.1 201 Created\r\nx-a: b\r\ncontent-length: {}\r\n\r\n{told}", told.len());
        stream.write_all(answer.as_bytes()).await.unwrap();
    })
    .await;
    let mut request = Request::post(server.url("/a?b=c"), "text/plain", Bytes::from_static(b"hello"));
    request.headers.insert(header::HOST, HeaderValue::from_static("other.example"));
    request.headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    request.headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    let response = local().send(request).await.unwrap();
    assert_eq!((response.status.as_u16(), response.headers["x-a"].as_bytes()), (201, &b"b"[..]));
    let told = String::from_utf8(response.body.to_vec()).unwrap();
    let (head, body) = told.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<&str> = head.split("\r\n").collect();
    lines[1..].sort_unstable();
    let host = format!("host: {}", server.address);
    let sent = ["accept-encoding: identity", "connection: close", "content-length: 5", "content-type: text/plain"];
    assert_eq!(lines[0], "POST /a?b=c HTTP/1.1");
    assert_eq!(lines[1..], [&sent[..], &[host.as_str(), "user-agent: exeat"]].concat());
    assert_eq!(body, "hello");
}

#[tokio::test]
async fn a_name_that_rebinds_is_asked_once_and_reached_where_it_was_judged() {
    let server = Server::saying("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecret").await;
    let asked = Arc::new(AtomicUsize::new(0));
    // 192.0.0.0/24 is routed nowhere; allowed here so that it passes the judgment as a public address would.
    let names = Rebinding { answers: ips(&["192.0.0.8", "127.0.0.1"]), asked: Arc::clone(&asked) };
    let client = Client::with_names(settings(&["192.0.0.8"]), Arc::new(names));
    let url = Url::parse(&format!("https://idp.example:{}/", server.address.port())).unwrap();
    let first = client.send(Request::get(url.clone())).await.unwrap_err();
    assert!(matches!(first, Fault::Connect(..)), "{first}");
    assert_eq!((asked.load(Ordering::SeqCst), server.taken()), (1, 0));
    let second = client.send(Request::get(url)).await.unwrap_err();
    assert!(matches!(second, Fault::Forbidden { why: "a loopback address", .. }), "{second}");
    assert_eq!((asked.load(Ordering::SeqCst), server.taken()), (2, 0));
}

#[tokio::test]
async fn no_connection_is_made_to_an_address_that_is_not_public() {
    let server = Server::saying("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecret").await;
    let port = server.address.port();
    for host in ["127.0.0.1", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "169.254.169.254", "10.0.0.1", "[::1]"] {
        let url = Url::parse(&format!("https://{host}:{port}/")).unwrap();
        let fault = Client::new(settings(&[])).send(Request::get(url)).await.unwrap_err();
        assert!(matches!(fault, Fault::Forbidden { .. }), "{host}: {fault}");
    }
    let client = Client::with_names(settings(&[]), Arc::new(All(ips(&["::1", "127.0.0.1", "169.254.169.254"]))));
    let url = Url::parse(&format!("https://idp.example:{port}/")).unwrap();
    assert!(matches!(client.send(Request::get(url)).await.unwrap_err(), Fault::Forbidden { .. }));
    assert_eq!(server.taken(), 0);
}

#[tokio::test]
async fn of_several_addresses_only_those_that_may_be_reached_are_tried() {
    let authority = Authority::new();
    let server = Server::tls(authority.acceptor.clone()).await;
    let mut settings = settings(&LOCAL);
    settings.roots = authority.roots;
    let client = Client::with_names(settings, Arc::new(All(ips(&["169.254.169.254", "10.0.0.1", "127.0.0.1"]))));
    let url = Url::parse(&format!("https://idp.example:{}/", server.address.port())).unwrap();
    assert_eq!(client.send(Request::get(url)).await.unwrap().body, "ok");
}

#[tokio::test]
async fn a_certificate_of_another_name_or_another_authority_is_refused() {
    let authority = Authority::new();
    let server = Server::tls(authority.acceptor.clone()).await;
    let mut trusting = settings(&["127.0.0.1"]);
    trusting.roots = authority.roots;
    let at = |host: &str| Url::parse(&format!("https://{host}:{}/", server.address.port())).unwrap();
    let named = |settings| Client::with_names(settings, Arc::new(All(ips(&["127.0.0.1"]))));
    assert!(named(trusting.clone()).send(Request::get(at("idp.example"))).await.is_ok());
    assert!(named(trusting.clone()).send(Request::get(at("127.0.0.1"))).await.is_ok());
    let other_name = named(trusting).send(Request::get(at("other.example"))).await.unwrap_err();
    assert!(matches!(other_name, Fault::Tls(..)), "{other_name}");
    let other_authority = named(settings(&LOCAL)).send(Request::get(at("idp.example"))).await.unwrap_err();
    assert!(matches!(other_authority, Fault::Tls(..)), "{other_authority}");
}

#[tokio::test]
async fn plain_text_is_spoken_only_with_hosts_that_are_allowed() {
    let server = Server::saying("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let client = Client::with_names(settings(&LOCAL), Arc::new(All(ips(&["127.0.0.1"]))));
    let url = Url::parse(&format!("http://idp.example:{}/", server.address.port())).unwrap();
    assert!(matches!(client.send(Request::get(url.clone())).await.unwrap_err(), Fault::PlainText(_)));
    let client = Client::with_names(settings(&["idp.example"]), Arc::new(All(ips(&["127.0.0.1"]))));
    assert_eq!(client.send(Request::get(url)).await.unwrap().body, "ok");
}

#[tokio::test]
async fn a_redirect_to_loopback_is_not_followed() {
    let target = Server::saying("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecret").await;
    let location = target.url("/");
    let server = Server::plain(move |mut stream, _| {
        let answer = format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
        async move { stream.write_all(answer.as_bytes()).await.unwrap() }
    })
    .await;
    let fault = local().send(Request::get(server.url("/"))).await.unwrap_err();
    assert!(matches!(fault, Fault::Redirected { status: 302, .. }), "{fault}");
    assert_eq!(target.taken(), 0);
}

#[tokio::test]
async fn not_modified_is_an_answer() {
    let server = Server::saying("HTTP/1.1 304 Not Modified\r\netag: \"1\"\r\n\r\n").await;
    assert_eq!(local().send(Request::get(server.url("/"))).await.unwrap().status, 304);
}

#[tokio::test]
async fn a_body_that_never_ends_is_cut_at_the_limit_and_a_drip_at_the_deadline() {
    let flood = Server::plain(|mut stream, _| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
    })
    .await;
    let fault = local().send(Request::get(flood.url("/"))).await.unwrap_err();
    assert!(matches!(fault, Fault::TooLarge { limit: 65_536, .. }), "{fault}");
    let drip = Server::plain(|mut stream, _| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await.unwrap();
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let fault = local().send(Request::get(drip.url("/"))).await.unwrap_err();
    assert!(matches!(fault, Fault::Timeout(_)), "{fault}");
}

#[tokio::test]
async fn a_head_that_does_not_come_or_never_ends_is_not_waited_for() {
    let slow = Server::plain(|mut stream, _| async move {
        while stream.write_all(b"H").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(3600)).await;
        }
    })
    .await;
    let begun = Instant::now();
    let fault = local().send(Request::get(slow.url("/"))).await.unwrap_err();
    assert!(matches!(fault, Fault::Timeout(_)), "{fault}");
    assert!(begun.elapsed() < Duration::from_secs(10));
    let endless = Server::plain(|mut stream, _| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\n").await.unwrap();
        while stream.write_all(b"x-filler: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n").await.is_ok() {}
    })
    .await;
    let fault = local().send(Request::get(endless.url("/"))).await.unwrap_err();
    assert!(matches!(fault, Fault::Broken(..)), "{fault}");
}

#[tokio::test]
async fn a_name_that_does_not_resolve_in_time_is_not_waited_for() {
    let client = Client::with_names(settings(&[]), Arc::new(Silent));
    let fault = client.send(Request::get(Url::parse("https://idp.example").unwrap())).await.unwrap_err();
    assert!(matches!(fault, Fault::Connect(..)), "{fault}");
}

#[tokio::test]
async fn a_body_that_is_compressed_or_cut_short_is_refused() {
    let packed = Server::saying("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\nok").await;
    assert!(matches!(local().send(Request::get(packed.url("/"))).await.unwrap_err(), Fault::Compressed(_)));
    let short = Server::saying("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok").await;
    assert!(matches!(local().send(Request::get(short.url("/"))).await.unwrap_err(), Fault::Broken(..)));
}

#[tokio::test]
async fn what_waits_at_a_sibling_takes_no_place_here() {
    let slow = Server::plain(|stream, _| async move {
        tokio::time::sleep(Duration::from_secs(3600)).await;
        drop(stream);
    })
    .await;
    let mut limited = settings(&LOCAL);
    limited.max_requests = 1;
    limited.answer_within = Duration::from_millis(400);
    let client = Client::new(limited);
    let sibling = client.sibling();
    let ask = |client: &Client| {
        let (client, request) = (client.clone(), Request::get(slow.url("/")));
        async move { client.send(request).await }
    };
    let (here, there, third) = tokio::join!(ask(&client), ask(&sibling), ask(&sibling));
    assert!(matches!((here, there), (Err(Fault::Timeout(_)), Err(Fault::Timeout(_)))), "both were sent");
    assert!(matches!(third, Err(Fault::Busy(_))), "a sibling has limits too");
}

#[tokio::test]
async fn one_slow_host_does_not_take_every_place() {
    let slow = Server::plain(|stream, _| async move {
        tokio::time::sleep(Duration::from_secs(3600)).await;
        drop(stream);
    })
    .await;
    let mut limited = settings(&LOCAL);
    limited.max_requests_to_host = 2;
    limited.answer_within = Duration::from_millis(400);
    let client = Client::new(limited);
    let ask = || client.send(Request::get(slow.url("/")));
    let (first, second, third) = tokio::join!(ask(), ask(), ask());
    assert!(matches!((first, second), (Err(Fault::Timeout(_)), Err(Fault::Timeout(_)))));
    assert!(matches!(third, Err(Fault::Busy(_))));
    assert!(matches!(ask().await, Err(Fault::Timeout(_))), "the places are free again");
}

#[tokio::test]
async fn a_tunnel_is_never_asked_for() {
    let server = Server::saying("HTTP/1.1 200 OK\r\n\r\n").await;
    let mut request = Request::get(server.url("/"));
    request.method = Method::CONNECT;
    assert!(matches!(local().send(request).await.unwrap_err(), Fault::Request(_)));
}

#[test]
fn proxies_of_the_environment_are_not_read() {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env(name, "http://127.0.0.1:9");
    }
    let wanted = "client::tests::a_request_goes_out_as_written_and_the_whole_body_comes_back";
    let done = command.args(["--exact", wanted]).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && said.contains("1 passed"), "{said}");
}
