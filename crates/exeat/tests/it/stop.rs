//! SIGTERM while calls are live.

use std::{thread, time::Duration};

use proof::entry::{Kind, Outcome};

use crate::{
    client::{Ask, hear},
    world::{World, populate},
};

const STREAMS: usize = 24;

fn ask(n: usize) -> Ask {
    Ask { anthropic: n % 2 == 1, model: "mythos-5", stream: true, pieces: 30, gap_ms: 30 }
}

#[test]
fn sigterm_under_load_loses_no_stream_and_ends_well() {
    let world = World::new();
    let server = world.setup.start().unwrap();
    let keys = populate(&server);
    let address = server.address;
    let open = (0..STREAMS).map(|n| ask(n).open(address, &keys.citizen).unwrap());
    let open: Vec<_> = open.collect();
    let streams: Vec<_> = open.into_iter().map(|answer| thread::spawn(move || hear(answer))).collect();
    let ended = server.terminate().unwrap();
    for (n, stream) in streams.into_iter().enumerate() {
        let heard = stream.join().unwrap();
        let text = String::from_utf8_lossy(&heard.body).into_owned();
        assert!(heard.whole && text.matches("word-").count() == 30, "{text}");
        let last = ["data: [DONE]", "message_stop"].map(|last| text.contains(last));
        assert_eq!(last, [n % 2 == 0, n % 2 == 1], "{text}");
    }
    assert_eq!(ended.code(), Some(0));
    let record = world.record();
    let completed = record.iter().filter(|r| r.entry.outcome == Some(Outcome::Completed)).count();
    assert_eq!(completed, STREAMS);
    assert_eq!(record.last().unwrap().entry.kind, Kind::Stop);
    assert!(world.verify().holds());
}

#[test]
fn after_sigterm_no_call_is_taken_any_more() {
    let world = World::new();
    let server = world.setup.start().unwrap();
    let keys = populate(&server);
    let live = ask(0).open(server.address, &keys.citizen).unwrap();
    server.signal("TERM").unwrap();
    thread::sleep(Duration::from_millis(200));
    let refused = ask(0).call(server.address, &keys.citizen);
    assert!(refused.is_err() || refused.is_ok_and(|heard| heard.status == 503));
    assert!(hear(live).whole);
    assert!(server.wait().unwrap().success());
}

#[test]
fn a_second_signal_ends_at_once_and_the_next_start_closes_what_was_open() {
    let world = World::new();
    let server = world.setup.start().unwrap();
    let keys = populate(&server);
    let long = Ask { pieces: 1_000, ..ask(0) };
    let live = long.open(server.address, &keys.citizen).unwrap();
    server.signal("TERM").unwrap();
    thread::sleep(Duration::from_millis(200));
    assert_eq!(server.terminate().unwrap().code(), Some(130));
    assert!(!hear(live).whole);
    let server = world.setup.start().unwrap();
    assert!(server.terminate().unwrap().success());
    let report = world.verify();
    assert!(report.holds() && report.open_calls == 0, "{report}");
    assert_eq!(report.outcomes.get("interrupted"), Some(&1), "{report}");
}
