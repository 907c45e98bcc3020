//! An upstream that answers at once, so that what is measured is what stands before it.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{
    Request, Response,
    body::{Frame, Incoming},
    header::CONTENT_TYPE,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, sync::mpsc, task::LocalSet};

const ANSWER: &str = r#"{"id":"chatcmpl-0","object":"chat.completion","created":1750000000,"model":"mythos-5","choices":[{"index":0,"message":{"role":"assistant","content":"Good afternoon. How can I help you today?"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":9,"total_tokens":18}}"#;
const EVENT: &str = "data: {\"id\":\"chatcmpl-0\",\"object\":\"chat.completion.chunk\",\"created\":1750000000,\"model\":\"mythos-5\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"word \"},\"finish_reason\":null}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";

/// How streams are paced.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Events of one stream.
    pub(crate) events: u32,
    /// Between two events.
    pub(crate) gap: Duration,
}

/// Starts the stub on a thread of its own; returns where it is.
///
/// # Errors
///
/// The operating system's error.
pub(crate) fn start(pace: Pace) -> anyhow::Result<SocketAddr> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("stub".to_owned()).spawn(move || {
        LocalSet::new().block_on(&runtime, async move {
            if let Ok(listener) = TcpListener::from_std(listener) {
                accept(listener, pace).await;
            }
        });
    })?;
    Ok(address)
}

async fn accept(listener: TcpListener, pace: Pace) {
    while let Ok((stream, _)) = listener.accept().await {
        if stream.set_nodelay(true).is_err() {
            continue;
        }
        tokio::task::spawn_local(async move {
            let service = service_fn(move |request| answer(request, pace));
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // A client that goes away ends its connection; that is all.
            let _ = connection.await;
        });
    }
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

async fn answer(request: Request<Incoming>, pace: Pace) -> Result<Response<Body>, hyper::Error> {
    let body = request.into_body().collect().await?.to_bytes();
    let streams = body.windows(13).any(|window| window == b"\"stream\":true");
    let (media, body) = match streams {
        true => ("text/event-stream", paced(pace)),
        false => ("application/json", Full::new(Bytes::from_static(ANSWER.as_bytes())).boxed_unsync()),
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(media));
    Ok(response)
}

fn paced(pace: Pace) -> Body {
    let (sender, receiver) = mpsc::channel::<Bytes>(2);
    tokio::task::spawn_local(async move {
        for _ in 0..pace.events {
            if sender.send(Bytes::from_static(EVENT.as_bytes())).await.is_err() {
                return;
            }
            tokio::time::sleep(pace.gap).await;
        }
        // The reader may be gone.
        let _ = sender.send(Bytes::from_static(DONE.as_bytes())).await;
    });
    Events(receiver).boxed_unsync()
}

/// A body of what comes through a channel.
struct Events(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|event| event.map(|event| Ok(Frame::data(event))))
    }
}
