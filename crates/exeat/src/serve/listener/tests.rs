//! The listener with a router of its own.

use axum::{body::Bytes, routing::any};
use http::{Request, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::*;

/// Listens on the loopback interface, and answers with what was sent.
async fn start(per_address: usize) -> (SocketAddr, watch::Sender<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let router = Router::new().route("/", any(async |body: Bytes| body));
    tokio::spawn(accept(listener, Serving { tls: None, router, per_address, stop: stopped }));
    (at, stop)
}

fn request(at: SocketAddr) -> Request<Full<Bytes>> {
    Request::post(format!("http://{at}/")).header("host", "id.example.com").body(Full::from("words")).unwrap()
}

#[tokio::test]
async fn both_versions_of_http_are_answered_without_tls() {
    let (at, _stop) = start(8).await;
    let stream = TokioIo::new(TcpStream::connect(at).await.unwrap());
    let (mut first, connection) = http1::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let stream = TokioIo::new(TcpStream::connect(at).await.unwrap());
    let (mut second, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    let answers = [
        (Version::HTTP_11, first.send_request(request(at)).await.unwrap()),
        (Version::HTTP_2, second.send_request(request(at)).await.unwrap()),
    ];
    for (version, answer) in answers {
        assert_eq!((answer.status(), answer.version()), (StatusCode::OK, version));
        assert_eq!(answer.headers()["content-length"], "5", "the length is known");
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "words");
    }
}

#[tokio::test]
async fn a_connection_ends_when_the_listener_stops() {
    let (at, stop) = start(8).await;
    let stream = TokioIo::new(TcpStream::connect(at).await.unwrap());
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    let connection = tokio::spawn(connection);
    assert_eq!(sender.send_request(request(at)).await.unwrap().status(), StatusCode::OK);
    stop.send_replace(true);
    tokio::time::timeout(Duration::from_secs(20), connection).await.unwrap().unwrap().unwrap();
    assert!(TcpStream::connect(at).await.is_err(), "nobody listens");
}
