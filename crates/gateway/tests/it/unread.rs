//! A client that stops reading: a call that is recalled is closed on the record all the same, at once.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot set up its world fails")]

use std::{sync::Arc, thread, time::Duration};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use proof::entry::{Entry, Kind, Outcome};
use tokio::{net::TcpStream, runtime::Runtime};

use crate::{
    ends::{SILENCE, durable},
    world::{CHAT, World, body, capped, chat},
};

/// Bytes of an answer that the client takes without reading on: less than any event.
const WINDOW: u32 = 32;

/// A stream over HTTP/2 whose client has read the first bytes of an event and lets no more come.
struct Unread {
    runtime: Runtime,
    body: Incoming,
}

impl Unread {
    fn open(world: &World, key: &str, fake: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let address = world.gateway.addresses().first().copied().expect("an address");
        let request = Request::post(format!("http://{address}{CHAT}"))
            .header("authorization", format!("Bearer {key}"))
            .header("content-type", "application/json")
            .header("x-fake", fake)
            .body(Full::new(Bytes::from(body(&chat("mythos-5", true)))))
            .unwrap();
        let body = runtime.block_on(async {
            let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
            let mut builder = http2::Builder::new(TokioExecutor::new());
            let (mut sender, connection) = builder.initial_stream_window_size(WINDOW).handshake(stream).await.unwrap();
            tokio::spawn(connection);
            let mut body = sender.send_request(request).await.unwrap().into_body();
            body.frame().await.unwrap().unwrap();
            body
        });
        Self { runtime, body }
    }

    /// Reads to the end; returns what came.
    fn rest(self) -> String {
        let rest = self.runtime.block_on(self.body.collect()).unwrap().to_bytes();
        String::from_utf8_lossy(&rest).into_owned()
    }
}

#[test]
fn a_recalled_call_is_closed_at_once_though_its_client_reads_nothing() {
    let world = World::new().recorded();
    let minh = world.person("minh", false);
    let unread = Unread::open(&world, &minh, "slow-1200-50");
    // The second event is held for want of a window by then, and the third is not asked for.
    thread::sleep(SILENCE);
    let order = Arc::new(capped(2, &[]));
    assert_eq!(world.enact(&order).recalled, 1);
    world.settle();
    assert!(world.upstream.wait_aborted(Duration::from_secs(5)));
    world.enact(&Arc::new(capped(3, &[("LTR-1", None)])));
    world.clock.advance(Duration::from_secs(60));
    let rest = unread.rest();
    assert!(rest.contains("foreign_person_barred") && !rest.contains("word-2"), "{rest}");
    let entries: Vec<Entry> = world.entries();
    let (at, cut) = entries.iter().enumerate().find(|(_, entry)| entry.outcome == Some(Outcome::Cut)).expect("a cut");
    assert_eq!((cut.snapshot, cut.usage.unwrap().delivered_events), (Some(*order.digest()), 2));
    let last = entries.iter().rposition(|entry| entry.kind == Kind::Snapshot).expect("a snapshot");
    assert!(at < last, "closed under the order that cut it");
    let report = world.audited();
    assert!(report.holds(), "{report}");
}

#[test]
fn nothing_is_recorded_of_a_call_that_is_closed_though_its_client_has_not_read_the_end() {
    let world = World::new().recorded();
    world.enact(&Arc::new(capped(2, &[("LTR-1", None)])));
    let minh = world.person("minh", false);
    // Two events, of which the second is the last: it is held for want of a window.
    let unread = Unread::open(&world, &minh, "slow-0-0");
    let is_closed = || durable(&world).iter().any(|entry| entry.kind == Kind::Close);
    assert!((0..500).any(|_| {
        thread::sleep(Duration::from_millis(10));
        is_closed()
    }));
    world.clock.advance(Duration::from_secs(60));
    world.enact(&Arc::new(capped(3, &[("LTR-2", None)])));
    assert!(unread.rest().ends_with("data: [DONE]\n\n"));
    assert!(world.entries().iter().all(|entry| entry.kind != Kind::Redecision));
    let report = world.audited();
    assert!(report.holds(), "{report}");
}
