//! A model server behind a meter gets a ticket with each call, and nobody else does.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot set up its world fails")]

use std::sync::Arc;

use gateway::{EndpointSettings, Unmonitored};
use jose::ticket::{self, Ticket};
use proof::{
    entry::{Entry, Kind, Outcome, meter_id},
    tree::leaf_hash,
};
use terms::Clock;
use testkit::upstream::{FakeUpstream, Fault, Received, Script};

use crate::world::{CHAT, World, body, chat};

const METER: &str = "meter.example.com/exeat/1";

/// A gateway whose version `mythos-5` is behind a meter.
fn metered(strict: bool) -> World {
    let settings = |settings: &mut gateway::Settings| {
        settings.strict = strict;
        settings.upstreams[0].meter = Some(METER.to_owned());
    };
    World::with(settings, Arc::new(Unmonitored))
}

fn received(world: &World) -> Received {
    world.upstream.received().pop().unwrap()
}

#[test]
fn a_call_to_a_metered_server_has_a_ticket_that_names_its_opening_entry() {
    for strict in [false, true] {
        let world = metered(strict);
        let ada = world.person("ada", true);
        for stream in [false, true] {
            assert_eq!(world.post(&ada, CHAT, &chat("assistant", stream)).head.status, 200);
            let request = received(&world);
            let token = request.header(ticket::HEADER).unwrap();
            let presented = ticket::verify(token, METER, |_| Some(&world.ticket_key), world.clock.now()).unwrap();
            let (open, stored) = world.stored().into_iter().rfind(|(entry, _)| entry.kind == Kind::Open).unwrap();
            let Entry { call, at_ms, .. } = open;
            let wanted = Ticket {
                issuer: "log.example.com/test".to_owned(),
                audience: METER.to_owned(),
                call: terms::CallId(call.unwrap()),
                model: "mythos-5".parse().unwrap(),
                index: stored.index,
                leaf: leaf_hash(&stored.leaf),
                hour: at_ms / 3_600_000,
            };
            assert_eq!(presented.ticket, wanted);
        }
    }
}

#[test]
fn a_ticket_that_a_caller_brings_is_not_passed_on() {
    let world = metered(false);
    let ada = world.person("ada", true);
    for model in ["mythos-5", "ember-2"] {
        let answer = world.post_with(&ada, CHAT, &[("exeat-ticket", "mine")], &body(&chat(model, false)));
        assert_eq!(answer.head.status, 200);
        let request = received(&world);
        let tickets: Vec<_> = request.headers.iter().filter(|(name, _)| name == ticket::HEADER).collect();
        assert_eq!(tickets.len(), usize::from(model == "mythos-5"), "{tickets:?}");
        assert!(tickets.iter().all(|(_, token)| token != "mine"));
    }
}

#[test]
fn a_refused_call_has_no_ticket_and_reaches_nobody() {
    let mut world = metered(false);
    let minh = world.person("minh", false);
    world.june_12();
    assert_eq!(world.post(&minh, CHAT, &chat("mythos-5", false)).head.status, 403);
    assert!(world.upstream.received().is_empty());
}

/// Returns how each call was closed, with the meter that its closing entry names.
fn closes(world: &World) -> Vec<(Outcome, Option<[u8; 8]>)> {
    let closes = world.entries().into_iter().filter(|entry| entry.kind == Kind::Close);
    closes.map(|close| (close.outcome.unwrap(), close.meter)).collect()
}

/// A gateway whose version `mythos-5` is served at `more` too, each behind the meter with it, if any.
fn replicas(more: &[(&FakeUpstream, Option<&str>)]) -> World {
    let settings = |settings: &mut gateway::Settings| {
        settings.upstreams[0].endpoints[0].meter = Some(METER.to_owned());
        let more = more.iter().map(|(fake, meter)| EndpointSettings {
            meter: meter.map(str::to_owned),
            ..EndpointSettings::new(fake.url())
        });
        settings.upstreams[0].endpoints.extend(more);
    };
    World::with(settings, Arc::new(Unmonitored))
}

#[test]
fn the_closing_entry_names_the_meter_whose_answer_was_used() {
    let other = FakeUpstream::start().unwrap();
    let (world, second) = (replicas(&[(&other, Some("meter-2.example.com/exeat/1"))]), "meter-2.example.com/exeat/1");
    let ada = world.person("ada", true);
    for _ in 0..2 {
        assert_eq!(world.post(&ada, CHAT, &chat("mythos-5", false)).head.status, 200);
    }
    let mut named: Vec<_> = closes(&world).into_iter().map(|(_, meter)| meter.unwrap()).collect();
    named.sort_unstable();
    let mut both = [meter_id(METER), meter_id(second)];
    both.sort_unstable();
    assert_eq!(named, both, "one call each");
    world.upstream.behave(Script::fault(Fault::Status(503)));
    for _ in 0..2 {
        assert_eq!(world.post(&ada, CHAT, &chat("mythos-5", false)).head.status, 200);
    }
    let failed_over = closes(&world).split_off(2);
    assert_eq!(failed_over, [(Outcome::Completed, Some(meter_id(second))); 2]);
    for (fake, audience) in [(&world.upstream, METER), (&other, second)] {
        for received in fake.received() {
            let token = received.header(ticket::HEADER).unwrap();
            assert!(ticket::verify(token, audience, |_| Some(&world.ticket_key), world.clock.now()).is_ok());
        }
    }
}

#[test]
fn a_call_that_fails_or_is_abandoned_belongs_to_the_meter_that_was_asked_last() {
    let world = replicas(&[]);
    let ada = world.person("ada", true);
    let to_meter = Some(meter_id(METER));
    world.post_with(&ada, CHAT, &[("x-fake", "close")], &body(&chat("mythos-5", false)));
    world.post_with(&ada, CHAT, &[("x-fake", "status-500")], &body(&chat("mythos-5", false)));
    drop(world.stream(&ada, "mythos-5"));
    world.post(&ada, CHAT, &chat("ember-2", false));
    world.settle();
    let mut closed = closes(&world);
    closed.sort_by_key(|(outcome, meter)| (meter.is_none(), *outcome as u8));
    let failed = (Outcome::UpstreamFailed, to_meter);
    assert_eq!(closed.len(), 4);
    assert_eq!(closed.iter().filter(|close| **close == failed).count(), 2);
    assert!(closed.contains(&(Outcome::ClientGone, to_meter)));
    assert!(closed.contains(&(Outcome::Completed, None)), "a model server without a meter");
}

#[test]
fn a_call_that_an_endpoint_without_a_meter_answers_belongs_to_none() {
    let plain = FakeUpstream::start().unwrap();
    let world = replicas(&[(&plain, None)]);
    let ada = world.person("ada", true);
    world.upstream.behave(Script::fault(Fault::Status(503)));
    for _ in 0..2 {
        assert_eq!(world.post(&ada, CHAT, &chat("mythos-5", false)).head.status, 200);
    }
    assert_eq!(closes(&world), [(Outcome::Completed, None); 2]);
    assert!(plain.received().iter().all(|received| received.header(ticket::HEADER).is_none()));
}

#[test]
fn a_call_that_reached_no_server_belongs_to_no_meter() {
    let settings = |settings: &mut gateway::Settings| {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        settings.upstreams[0].endpoints = vec![EndpointSettings::new(format!("http://{free}"))];
        settings.upstreams[0].meter = Some(METER.to_owned());
    };
    let world = World::with(settings, Arc::new(Unmonitored));
    let ada = world.person("ada", true);
    assert_eq!(world.post(&ada, CHAT, &chat("mythos-5", false)).head.status, 502);
    assert_eq!(closes(&world), [(Outcome::UpstreamFailed, None)]);
}

#[test]
fn a_busy_server_behind_a_meter_is_reported_as_busy_and_asked_once() {
    let busy = FakeUpstream::start().unwrap();
    let world = replicas(&[(&busy, Some(METER))]);
    let ada = world.person("ada", true);
    for fake in [&world.upstream, &busy] {
        fake.behave(Script::fault(Fault::Status(503)));
    }
    let answer = world.post(&ada, CHAT, &chat("mythos-5", false));
    assert_eq!((answer.head.status, answer.head.get("retry-after")), (503, Some("7")));
    assert_eq!(world.upstream.received().len() + busy.received().len(), 1);
}
