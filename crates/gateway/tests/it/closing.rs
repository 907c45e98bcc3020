//! A closing entry that the ledger does not take at once is not lost: no call stays open in a log that goes on.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world fails")]

use std::{sync::Arc, thread, time::Duration};

use gateway::{ContentSettings, Unmonitored};
use ledger::{Draft, Unavailable};
use proof::{
    commit::Field,
    entry::{Entry, Kind, Outcome},
};

use crate::{
    disk::Stall,
    ends::{once, responses_ended_by},
    world::{CHAT, World, body, chat, served},
};

/// Stalls the disk and fills the queue of the ledger.
fn filled(world: &World) -> Stall {
    let stall = world.disk.stall();
    let refused = std::iter::from_fn(|| Some(world.ledger.append(Draft::new(Entry::new(Kind::Admin), ""))));
    let why = refused.into_iter().find_map(Result::err).unwrap();
    assert_eq!(why, Unavailable::Full);
    stall
}

fn closes(world: &World) -> Vec<(Outcome, Option<String>)> {
    let closes = world.entries().into_iter().filter(|entry| entry.kind == Kind::Close);
    closes.map(|close| (close.outcome.unwrap(), close.code)).collect()
}

#[test]
fn a_client_that_goes_while_the_queue_is_full_is_on_record_once_there_is_room() {
    let world = World::new();
    let ada = world.person("ada", true);
    let streams = [(); 3].map(|()| world.stream(&ada, "mythos-5"));
    let stall = filled(&world);
    drop(streams);
    while world.gateway.live() > 0 {
        thread::sleep(Duration::from_millis(5));
    }
    drop(stall);
    for _ in 0..500 {
        if closes(&world).len() == 3 {
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(closes(&world), [(Outcome::ClientGone, None), (Outcome::ClientGone, None), (Outcome::ClientGone, None)]);
}

#[test]
fn the_last_event_of_a_stream_waits_for_room_in_the_queue() {
    let world = World::new();
    let ada = world.person("ada", true);
    let fake = [("x-fake", "slow-4-150")];
    let mut answer = world.post_with(&ada, CHAT, &fake, &body(&chat("mythos-5", true)));
    answer.next_piece().unwrap().unwrap();
    let stall = filled(&world);
    let text = thread::scope(|scope| {
        let reading = scope.spawn(move || answer.text().unwrap());
        thread::sleep(Duration::from_millis(1_500));
        assert!(!reading.is_finished(), "the last event is held");
        drop(stall);
        reading.join().unwrap()
    });
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    assert_eq!(closes(&world), [(Outcome::Completed, None)]);
}

#[test]
fn a_response_that_the_log_has_no_room_to_keep_is_delivered_and_its_place_says_so() {
    let keep =
        ContentSettings { escrow_key: "j0DFrbaPJWJK5bIU6nZ6bslNgp09e14a0bpvPiE4KF8=".to_owned(), max_bytes: 4 << 20 };
    // A segment of this log is 1 MiB, so an entry with what is kept beside it is at most a quarter of that.
    let sent = responses_ended_by(400 << 10);
    let url = once(sent.clone());
    let settings = |settings: &mut gateway::Settings| {
        (settings.upstreams, settings.content) = (vec![served("mythos-5", &url)], Some(keep));
    };
    let world = World::with(settings, Arc::new(Unmonitored));
    let ada = world.person("ada", true);
    let text = world.post(&ada, "/v1/responses", &chat("mythos-5", true)).text().unwrap();
    assert!(text == sent, "{} of {} bytes came", text.len(), sent.len());
    let (close, stored) = world.stored().into_iter().find(|(entry, _)| entry.kind == Kind::Close).unwrap();
    assert_eq!((close.outcome, close.usage.unwrap().delivered_bytes), (Some(Outcome::Completed), sent.len() as u64));
    assert_eq!(stored.field(Field::SealedResponse).unwrap(), b"too_long");
    assert_eq!(stored.field(Field::Response).unwrap().len(), 32);
}
