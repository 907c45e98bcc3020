//! No ticket, no token; and no ticket twice.

use std::time::Duration;

use jose::{Alg, SigningKey};
use serde_json::json;
use terms::{Clock, ModelVersionId};
use testkit::http;

use crate::world::{World, code_of, streaming, whole};

#[test]
fn a_request_around_the_gateway_is_refused_and_recorded() {
    let world = World::new();
    let meter = world.start();
    assert_eq!(code_of(meter.chat(None, "", &whole())), (401, "ticket_missing".to_owned()));
    assert_eq!(code_of(meter.chat(Some("a.b.c"), "", &whole())), (401, "ticket_invalid".to_owned()));
    assert_eq!(code_of(meter.get("/v1/models", &[])), (401, "ticket_missing".to_owned()));
    meter.stop();
    assert_eq!(world.refusals(), ["ticket_missing", "ticket_invalid", "ticket_missing"]);
    assert!(world.upstream.received().is_empty(), "nothing reached the model server");
}

#[test]
fn a_ticket_is_good_once() {
    let world = World::new();
    let meter = world.start();
    let ticket = world.mint(1);
    assert_eq!(meter.chat(Some(&ticket), "", &streaming()).head.status, 200);
    assert_eq!(code_of(meter.chat(Some(&ticket), "", &streaming())), (403, "ticket_replayed".to_owned()));
    // Another ticket for the same call is the same call.
    world.clock.advance(Duration::from_secs(1));
    let again = world.mint(1);
    assert_eq!(code_of(meter.chat(Some(&again), "", &streaming())), (403, "ticket_replayed".to_owned()));
    meter.stop();
    assert_eq!(world.refusals(), ["ticket_replayed", "ticket_replayed"]);
    assert_eq!(world.upstream.received().len(), 1);
}

#[test]
fn of_many_who_show_one_ticket_at_once_one_is_served() {
    let world = World::new();
    let meter = world.start();
    let statuses: Vec<u16> = (1..=4)
        .flat_map(|call| {
            let ticket = world.mint(call);
            std::thread::scope(|scope| {
                let ask = || scope.spawn(|| meter.chat(Some(&ticket), "", &streaming()).head.status);
                let asking: Vec<_> = (0..6).map(|_| ask()).collect();
                asking.into_iter().map(|asking| asking.join().unwrap()).collect::<Vec<_>>()
            })
        })
        .collect();
    meter.stop();
    let with = |status| statuses.iter().filter(|found| **found == status).count();
    assert_eq!((with(200), with(403)), (4, 20), "{statuses:?}");
    assert_eq!(world.refusals(), vec!["ticket_replayed"; 20]);
    assert_eq!(world.upstream.received().len(), 4);
}

#[test]
fn a_foreign_a_forged_and_an_expired_ticket_are_refused() {
    let world = World::new();
    let meter = world.start();
    let now = world.clock.now();
    let mut elsewhere = world.ticket(1);
    elsewhere.audience = "other-meter.example.com/exeat/1".to_owned();
    let mut stranger = world.ticket(2);
    stranger.issuer = "other-log.example.com/exeat/1".to_owned();
    let forger = SigningKey::generate(Alg::EdDsa).unwrap();
    for (ticket, code) in [
        (elsewhere.mint(&world.key, now).unwrap(), (403, "ticket_foreign")),
        (stranger.mint(&world.key, now).unwrap(), (403, "ticket_foreign")),
        (world.ticket(3).mint(&forger, now).unwrap(), (401, "ticket_invalid")),
    ] {
        assert_eq!(code_of(meter.chat(Some(&ticket), "", &whole())), (code.0, code.1.to_owned()));
    }
    let late = world.mint(4);
    world.clock.advance(Duration::from_secs(180));
    assert_eq!(code_of(meter.chat(Some(&late), "", &whole())), (401, "ticket_expired".to_owned()));
    meter.stop();
    assert_eq!(world.refusals(), ["ticket_foreign", "ticket_foreign", "ticket_invalid", "ticket_expired"]);
    assert!(world.upstream.received().is_empty());
}

#[test]
fn a_ticket_opens_the_model_that_it_names_and_no_other() {
    let world = World::new();
    let meter = world.start();
    let asked = |model: &str| json!({ "model": model, "messages": [] });
    let ticket = world.mint(1);
    let refused = code_of(meter.chat(Some(&ticket), "", &asked("ember-2")));
    assert_eq!(refused, (403, "ticket_for_another_model".to_owned()));
    // A request that was refused has not used its ticket up.
    assert_eq!(meter.chat(Some(&ticket), "", &asked("mythos-5-fp8")).head.status, 200);
    assert_eq!(meter.chat(Some(&world.mint(2)), "", &asked("mythos-5")).head.status, 200);
    let mut ember = world.ticket(3);
    ember.model = ModelVersionId::parse("ember-2").unwrap();
    let ember = ember.mint(&world.key, world.clock.now()).unwrap();
    let refused = code_of(meter.chat(Some(&ember), "", &asked("mythos-5-fp8")));
    assert_eq!(refused, (403, "ticket_for_another_model".to_owned()));
    meter.stop();
}

#[test]
fn what_is_ambiguous_too_long_or_not_offered_is_refused_and_uses_no_ticket_up() {
    let world = World::new();
    let meter = world.start();
    let ticket = world.mint(1);
    let post = |path: &str, headers: &[(&str, &str)], body: &[u8]| {
        code_of(http::send(meter.address, "POST", path, headers, body).unwrap())
    };
    let with = [("content-type", "application/json"), ("exeat-ticket", ticket.as_str())];
    let twice = [with[0], with[1], with[1]];
    let chat = "/v1/chat/completions";
    assert_eq!(post(chat, &twice, b"{}"), (401, "ticket_ambiguous".to_owned()));
    assert_eq!(post(chat, &with, br#"{"model":"mythos-5","Model":"ember-2"}"#), (400, "invalid_request".to_owned()));
    assert_eq!(post(chat, &with, &vec![b' '; 70_000]), (413, "request_too_large".to_owned()));
    assert_eq!(post("/v1/files", &with, b"{}"), (404, "not_offered".to_owned()));
    assert_eq!(post("/healthz/", &with, b"{}"), (404, "not_found".to_owned()));
    assert_eq!(meter.chat(Some(&ticket), "", &whole()).head.status, 200, "the ticket is still good");
    meter.stop();
}

#[test]
fn sums_and_metrics_are_shown_to_whoever_has_the_secret_and_nobody_else() {
    let world = World::new();
    let meter = world.start();
    for path in ["/metrics", "/exeat/v1/sums?hour=1"] {
        assert_eq!(code_of(meter.get(path, &[])), (401, "unauthorized".to_owned()), "{path}");
        let wrong = [("authorization", "Bearer of-reconciliation-and-nothing-else-012345678X")];
        assert_eq!(code_of(meter.get(path, &wrong)), (401, "unauthorized".to_owned()), "{path}");
    }
    meter.chat(None, "", &whole());
    let bearer = format!("Bearer {}", crate::world::SECRET);
    let text = meter.get("/metrics", &[("authorization", &bearer)]).text().unwrap();
    assert!(text.contains("exeat_meter_refusals_total{code=\"ticket_missing\"} 1"), "{text}");
    assert_eq!(meter.get("/healthz", &[]).head.status, 200);
    assert_eq!(meter.get("/readyz", &[]).head.status, 200);
    meter.stop();
}
