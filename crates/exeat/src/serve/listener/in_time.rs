//! How long a request may take.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::Request,
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::StatusCode;
use http_body::{Frame, SizeHint};
use tokio::time::{Sleep, sleep, timeout};

use super::ANSWER_WITHIN;

/// From when a body is first asked for to its last byte.
const BODY_WITHIN: Duration = Duration::from_secs(30);

/// A body that fails unless it comes whole in time.
struct InTime {
    body: Body,
    within: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

/// Holds every request of `router` to its time: the body must arrive, and an answer begin.
pub(super) fn in_time(router: Router) -> Router {
    router.layer(from_fn(answer))
}

async fn answer(request: Request, next: Next) -> Response {
    let request = request.map(|body| Body::new(InTime::new(body, BODY_WITHIN)));
    let answered = timeout(ANSWER_WITHIN, next.run(request)).await;
    answered.unwrap_or_else(|_| StatusCode::SERVICE_UNAVAILABLE.into_response())
}

impl InTime {
    fn new(body: Body, within: Duration) -> Self {
        Self { body, within, timer: None }
    }
}

impl http_body::Body for InTime {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep(this.within)));
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        ready!(timer.as_mut().poll(cx));
        let late = io::Error::new(io::ErrorKind::TimedOut, "the body did not arrive in time");
        Poll::Ready(Some(Err(axum::Error::new(late))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use tokio::time::Instant;

    use super::*;

    /// A body that brings a byte every ten milliseconds, for ever.
    struct Drip(Pin<Box<Sleep>>);

    impl http_body::Body for Drip {
        type Data = Bytes;
        type Error = io::Error;

        fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
            ready!(self.0.as_mut().poll(cx));
            self.0.as_mut().reset(Instant::now() + Duration::from_millis(10));
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"x")))))
        }
    }

    async fn collected(body: Body, within: Duration) -> Result<Bytes, axum::Error> {
        InTime::new(body, within).collect().await.map(|whole| whole.to_bytes())
    }

    #[tokio::test]
    async fn a_body_that_drips_fails_when_its_time_is_up() {
        let drip = Body::new(Drip(Box::pin(sleep(Duration::ZERO))));
        let late = timeout(Duration::from_secs(20), collected(drip, Duration::from_millis(50))).await.unwrap();
        assert_eq!(late.unwrap_err().to_string(), "the body did not arrive in time");
    }

    #[tokio::test]
    async fn a_body_that_is_there_is_taken_whatever_time_it_has() {
        assert_eq!(collected(Body::from("whole"), Duration::ZERO).await.unwrap(), "whole");
    }
}
