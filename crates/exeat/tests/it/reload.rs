//! SIGHUP with a broken file, with a good one, and with one that needs a restart.

#![expect(clippy::unwrap_used, reason = "parts of a test")]

use std::{
    thread,
    time::{Duration, Instant},
};

use testkit::server::Server;

use crate::{
    client::{Ask, hear},
    world::{World, populate},
};

const SHORT: Ask = Ask { anthropic: false, model: "late", stream: false, pieces: 1, gap_ms: 0 };

/// Asks for a reload and waits until the server has logged a line with `words`, once more than before.
fn reload(server: &Server, words: &str) {
    let lines = || server.log().lines().filter(|line| line.contains(words)).count();
    let (before, until) = (lines(), Instant::now() + Duration::from_secs(10));
    server.signal("HUP").unwrap();
    while lines() == before {
        assert!(Instant::now() < until, "`{words}` was not logged: {}", server.log());
        thread::sleep(Duration::from_millis(10));
    }
}

/// Returns the status of a call for the alias `late`, which only the good file has.
fn status(server: &Server, key: &str) -> u16 {
    SHORT.call(server.address, key).unwrap().status
}

fn with_late(config: &str) -> String {
    let config = config.replace("level = \"warn\"", "level = \"info\"");
    config.replace("[ledger]", "[[aliases]]\nname = \"late\"\nversions = [\"ember-2\"]\n\n[ledger]")
}

#[test]
fn a_broken_file_changes_nothing_a_good_one_applies_and_live_streams_go_on() {
    let world = World::new();
    let server = world.setup.start().unwrap();
    let keys = populate(&server);
    let long = Ask { model: "mythos-5", stream: true, pieces: 150, gap_ms: 20, ..SHORT };
    let live = long.open(server.address, &keys.citizen).unwrap();
    let live = thread::spawn(move || hear(live));
    assert_eq!(status(&server, &keys.citizen), 404);

    let good = with_late(&world.setup.config());
    for broken in [
        good.replace("[server]", "[server"),
        good.replacen("attested", "high", 1),
        good.replace("ember-2\"]", "ash-9\"]"),
    ] {
        world.setup.write(&broken).unwrap();
        reload(&server, "configuration not reloaded");
        assert_eq!(status(&server, &keys.citizen), 404);
    }
    world.setup.write(&good.replace("workers = 1", "workers = 2")).unwrap();
    reload(&server, "`server.workers` cannot change without a restart");
    assert_eq!(status(&server, &keys.citizen), 404);

    world.setup.write(&good).unwrap();
    reload(&server, "configuration reloaded");
    assert_eq!(status(&server, &keys.citizen), 200);
    let heard = live.join().unwrap();
    assert!(heard.whole && String::from_utf8_lossy(&heard.body).contains("data: [DONE]"));
    assert!(server.terminate().unwrap().success());
    assert!(world.verify().holds());
}

#[test]
fn a_model_that_the_new_file_does_not_have_is_no_longer_served_and_its_live_calls_are_decided_again() {
    let world = World::new();
    let server = world.setup.start().unwrap();
    let keys = populate(&server);
    let ask = |model| Ask { model, stream: true, pieces: 1_000, gap_ms: 20, ..SHORT };
    let gone = ask("mythos-5").open(server.address, &keys.citizen).unwrap();
    let kept = Ask { pieces: 100, ..ask("ember-2") }.open(server.address, &keys.citizen).unwrap();
    let config = world.setup.config().replace("level = \"warn\"", "level = \"info\"");
    let (start, end) = (config.find("[[models]]").unwrap(), config.rfind("[[models]]").unwrap());
    let without = config.replace(config.get(start..end).unwrap(), "").replace("\"mythos-5\", ", "");
    world.setup.write(&without).unwrap();
    reload(&server, "configuration");
    let (gone, kept) = (hear(gone), hear(kept));
    let (gone_text, kept_text) = (String::from_utf8_lossy(&gone.body), String::from_utf8_lossy(&kept.body));
    assert!(gone_text.contains("\"error\"") && !gone_text.contains("[DONE]"), "{gone_text} {}", server.log());
    assert!(kept_text.contains("[DONE]"), "{kept_text}");
    let after = Ask { pieces: 1, ..ask("mythos-5") }.call(server.address, &keys.citizen).unwrap();
    assert_eq!(after.status, 404);
    assert!(server.terminate().unwrap().success());
    assert!(world.verify().holds());
}
