//! What a caller can make the server do before, and after, it is known whose it is.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    http::{Request, StatusCode},
};
use http_body::Frame;
use tokio::time::{sleep, timeout};
use tower::ServiceExt;

use super::world::World;

/// How many requests of one channel are worked on at once.
const OF_CHANNEL: usize = 4;

/// A body that never comes, and counts how often it is asked for.
#[derive(Clone, Default)]
struct Endless(Arc<AtomicUsize>);

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Poll::Pending
    }
}

impl Endless {
    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

fn request(channel: &str, method: &str, token: &str, body: Body) -> Request<Body> {
    let request = Request::builder().method(method).uri(format!("/scim/v2/{channel}/Users"));
    let request = request.header("authorization", format!("Bearer {token}"));
    request.header("content-type", "application/scim+json").body(body).unwrap()
}

async fn status(router: &Router, request: Request<Body>) -> StatusCode {
    router.clone().oneshot(request).await.unwrap().status()
}

#[tokio::test]
async fn nothing_of_a_body_is_read_before_the_token_is_known_to_be_the_channels() {
    let world = World::new().await;
    let router = Arc::clone(&world.scim).router();
    let body = Endless::default();
    for token in [world.token("borealis-hr"), "none at all"] {
        let request = request("acme-hr", "POST", token, Body::new(body.clone()));
        let answered = timeout(Duration::from_secs(20), status(&router, request)).await;
        assert_eq!(answered, Ok(StatusCode::UNAUTHORIZED));
    }
    assert_eq!(body.count(), 0);
}

#[tokio::test]
async fn a_channel_whose_bodies_do_not_come_waits_for_itself_and_holds_up_no_other() {
    let world = World::new().await;
    let router = Arc::clone(&world.scim).router();
    let (acme, body) = (world.token("acme-hr"), Endless::default());
    let slow: Vec<_> = (0..OF_CHANNEL)
        .map(|_| {
            let (router, request) = (router.clone(), request("acme-hr", "POST", acme, Body::new(body.clone())));
            tokio::spawn(async move { status(&router, request).await })
        })
        .collect();
    while body.count() < OF_CHANNEL {
        sleep(Duration::from_millis(1)).await;
    }
    let get = |channel, token| status(&router, request(channel, "GET", token, Body::empty()));
    assert!(timeout(Duration::from_millis(300), get("acme-hr", acme)).await.is_err(), "every place is taken");
    assert_eq!(get("borealis-hr", world.token("borealis-hr")).await, StatusCode::OK);
    slow.iter().for_each(tokio::task::JoinHandle::abort);
    assert_eq!(get("acme-hr", acme).await, StatusCode::OK, "a place is free when its client has left");
}
