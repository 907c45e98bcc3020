//! A disk that is full, and an upstream that is not there.

#![expect(clippy::unwrap_used, reason = "parts of a test")]

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use testkit::{http, server::Server, upstream::FakeUpstream};

use crate::{
    client::{Ask, Heard},
    world::{Keys, Mount, World, finding, populate},
};

const SHORT: Ask = Ask { anthropic: false, model: "mythos-5", stream: false, pieces: 1, gap_ms: 0 };

#[test]
fn on_a_full_disk_calls_are_refused_doctor_names_it_and_room_is_all_it_takes_to_serve_again() {
    let mut world = World::new();
    world.setup.segment_mib = 1;
    let data = world.setup.dir.join("data");
    let Some(_mount) = Mount::new(&data, 24) else { return };
    let server = world.setup.start().unwrap();
    let keys = populate(&server);
    fill(&data.join("filler"));
    let served = call_until(&server, &keys, 503, Duration::from_secs(60));
    for (anthropic, status) in [(false, 503), (true, 529)] {
        let refused = Ask { anthropic, stream: true, ..SHORT }.call(server.address, &keys.citizen).unwrap();
        let error: serde_json::Value = serde_json::from_slice(&refused.body).unwrap();
        assert_eq!((refused.status, refused.receipt.as_deref()), (status, None), "{error}");
        assert!(error["error"]["message"].is_string(), "{error}");
    }
    let ready = http::send(server.admin, "GET", "/readyz", &[("connection", "close")], b"").unwrap();
    assert_eq!(ready.head.status, 503);
    assert!(ready.text().unwrap().contains("no room"));
    let findings = world.doctor();
    let disk = finding(&findings, "disk");
    assert!(disk["grade"] == "wrong" && disk["mend"].as_str().unwrap().starts_with("free "), "{disk}");
    let person = json!({"id": "late", "display_name": "late", "screening": "cleared"});
    assert!(server.admin("POST", "/admin/v1/people", &person).is_err(), "nothing changes without a record");

    fs::remove_file(data.join("filler")).unwrap();
    call_until(&server, &keys, 200, Duration::from_secs(20));
    server.admin("POST", "/admin/v1/people", &person).unwrap();
    assert!(server.terminate().unwrap().success());
    let report = world.verify();
    assert!(report.holds(), "{report}");
    assert!(report.kinds["open"] > served as u64, "{report}");
}

/// Writes until no byte is left.
fn fill(file: &Path) {
    let mut filler = File::create(file).unwrap();
    let mut block = vec![0; 1 << 16];
    while !block.is_empty() {
        if filler.write_all(&block).is_err() {
            block.truncate(block.len() / 2);
        }
    }
}

/// Calls until an answer has the status, at most `within`; returns how many had another before.
fn call_until(server: &Server, keys: &Keys, status: u16, within: Duration) -> usize {
    let until = Instant::now() + within;
    for before in 0.. {
        let heard = SHORT.call(server.address, &keys.citizen).unwrap();
        if heard.status == status {
            return before;
        }
        assert!(Instant::now() < until, "still {} after {before} calls", heard.status);
        if status == 200 {
            thread::sleep(Duration::from_millis(50));
        }
    }
    0
}

#[test]
fn without_an_upstream_a_call_is_502_in_its_dialect_recorded_and_served_once_there_is_one() {
    let mut world = World::new();
    let server = world.setup.start().unwrap();
    let keys = populate(&server);
    assert_eq!(SHORT.call(server.address, &keys.citizen).unwrap().status, 200);
    world.end_upstream();
    for anthropic in [false, true] {
        for stream in [false, true] {
            let failed: Heard = Ask { anthropic, stream, ..SHORT }.call(server.address, &keys.citizen).unwrap();
            let error: serde_json::Value = serde_json::from_slice(&failed.body).unwrap();
            assert_eq!(failed.status, 502, "{error}");
            assert_eq!(error["type"] == "error", anthropic, "{error}");
        }
    }
    let back = FakeUpstream::start_at(world.setup.upstream).unwrap();
    call_until(&server, &keys, 200, Duration::from_secs(20));
    assert!(!back.received().is_empty());
    assert!(server.terminate().unwrap().success());
    let report = world.verify();
    assert!(report.holds() && report.open_calls == 0, "{report}");
}
