//! Which endpoint gets a call.

use super::*;
use crate::upstream::{health::HealthState, watch};

/// An address at which nobody listens.
fn nobody() -> EndpointSettings {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    EndpointSettings::new(format!("http://{free}"))
}

#[test]
fn calls_are_shared_by_weight() {
    let (heavy, light) = (fake(), fake());
    on_a_worker(async {
        let mut settings = upstream(&[&heavy, &light]);
        settings.endpoints[0].weight = 3;
        let under = Under::test(settings);
        for _ in 0..40 {
            under.call().await.unwrap();
        }
    });
    assert_eq!((heavy.received().len(), light.received().len()), (30, 10));
}

#[test]
fn the_endpoint_that_carries_less_gets_the_call() {
    let (first, second) = (fake(), fake());
    on_a_worker(async {
        let under = Under::test(upstream(&[&first, &second]));
        let busy = under.stream().await;
        for _ in 0..5 {
            assert_ne!(under.stream().await.endpoint.id(), busy.endpoint.id());
        }
    });
}

#[test]
fn an_endpoint_that_nobody_serves_is_passed_over_and_soon_left_out() {
    let alive = fake();
    on_a_worker(async {
        let mut settings = upstream(&[&alive]);
        settings.endpoints.insert(0, nobody());
        settings.eject_after = 2;
        let under = Under::test(settings);
        for _ in 0..6 {
            assert_eq!(under.call().await.unwrap(), 200);
        }
        let status = under.fleet.load().status();
        assert_eq!((status[0].state, status[0].served), (HealthState::Ejected, 2));
        assert_eq!(status[1].state, HealthState::Up);
    });
}

#[test]
fn a_model_of_which_no_endpoint_can_be_reached_says_when_to_try_again() {
    on_a_worker(async {
        let mut settings = UpstreamSettings::new(model(), vec![nobody()]);
        settings.eject_after = 1;
        let under = Under::test(settings);
        assert!(matches!(under.call().await, Err(SendError::Connect { .. })));
        assert!(matches!(under.call().await, Err(SendError::Unavailable { retry_after: 1 })));
    });
}

#[test]
fn a_failing_endpoint_is_left_out_and_comes_back_after_one_good_probe() {
    let (failing, good) = (fake(), fake());
    failing.behave(status(500));
    on_a_worker(async {
        let mut settings = upstream(&[&failing, &good]);
        settings.eject_after = 2;
        let under = Under::test(settings);
        for _ in 0..10 {
            under.call().await.unwrap();
        }
        assert_eq!((failing.received().len(), good.received().len()), (2, 8));
        failing.behave(None);
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        for _ in 0..10 {
            assert_eq!(under.call().await.unwrap(), 200);
        }
        let shared = failing.received().len() - 2;
        assert!((4..=6).contains(&shared), "{shared} of 10");
    });
}

#[test]
fn a_request_that_makes_the_only_endpoint_fail_does_not_close_the_model() {
    let fake = fake();
    fake.behave(status(500));
    on_a_worker(async {
        let mut settings = upstream(&[&fake]);
        settings.eject_after = 1;
        let under = Under::test(settings);
        for _ in 0..3 {
            assert_eq!(under.call().await.unwrap(), 500);
        }
        fake.behave(None);
        assert_eq!(under.call().await.unwrap(), 200);
    });
}

#[test]
fn another_endpoint_is_tried_after_a_status_for_which_the_operator_allows_it() {
    let (busy, good) = (fake(), fake());
    busy.behave(status(503));
    on_a_worker(async {
        let under = Under::test(upstream(&[&busy, &good]));
        assert_eq!(under.call().await.unwrap(), 200);
        good.behave(status(503));
        let reply = under.send(&HeaderMap::new(), "{}").await.unwrap();
        assert_eq!((reply.status.as_u16(), reply.headers["retry-after"].as_bytes()), (503, &b"7"[..]));
    });
    assert_eq!((busy.received().len(), good.received().len()), (2, 2));
}

#[test]
fn no_other_endpoint_is_tried_after_a_status_for_which_the_operator_does_not_allow_it() {
    let (first, second) = (fake(), fake());
    for fake in [&first, &second] {
        fake.behave(status(429));
    }
    on_a_worker(async {
        let under = Under::test(upstream(&[&first, &second]));
        assert_eq!(under.call().await.unwrap(), 429);
    });
    assert_eq!(first.received().len() + second.received().len(), 1);
}

#[test]
fn no_endpoint_carries_more_calls_than_it_may() {
    let fake = fake();
    on_a_worker(async {
        let mut settings = upstream(&[&fake]);
        settings.in_flight = 1;
        let under = Under::test(settings);
        let held = under.stream().await;
        assert!(matches!(under.call().await, Err(SendError::Saturated { retry_after: 1 })));
        drop(held);
        assert_eq!(under.call().await.unwrap(), 200);
    });
    assert_eq!(fake.received().len(), 2);
}

#[test]
fn a_call_goes_to_no_other_model_and_no_other_dialect() {
    let fake = fake();
    on_a_worker(async {
        let mut settings = upstream(&[&fake]);
        settings.endpoints[0].dialects = vec![Dialect::Anthropic];
        let under = Under::test(settings);
        assert!(matches!(under.call().await, Err(SendError::NoEndpoint { dialect: Dialect::Openai, .. })));
        let fleet = under.fleet.load();
        assert!(fleet.serves(&model(), Dialect::Anthropic) && !fleet.serves(&model(), Dialect::Openai));
        assert!(!fleet.serves(&ModelVersionId::parse("other").unwrap(), Dialect::Anthropic));
    });
    assert_eq!(fake.received().len(), 0);
}

#[test]
fn a_health_check_ejects_an_endpoint_before_any_call_fails_and_brings_it_back() {
    let fake = fake();
    fake.behave(status(503));
    on_a_worker(async {
        let mut settings = upstream(&[&fake]);
        settings.health_path = Some("/health".into());
        settings.health_seconds = 1;
        settings.eject_after = 1;
        let under = Under::test(settings);
        let state = || under.fleet.load().status()[0].state;
        let watching = tokio::task::spawn_local(watch(Arc::clone(&under.fleet)));
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(state(), HealthState::Ejected);
        fake.behave(None);
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        assert_eq!(state(), HealthState::Up);
        watching.abort();
    });
    assert!(fake.received().iter().all(|received| received.method == "GET" && received.path == "/health"));
}

/// The tickets with which servers were asked, each of them the name of its meter in these tests.
fn tickets(fakes: &[&FakeUpstream]) -> Vec<Vec<String>> {
    let of = |fake: &&FakeUpstream| {
        let asked = fake.received();
        asked.iter().map(|asked| asked.header("exeat-ticket").unwrap_or("none").to_owned()).collect()
    };
    fakes.iter().map(of).collect()
}

#[test]
fn each_attempt_has_a_ticket_for_the_meter_of_its_own_endpoint() {
    let fakes = [fake(), fake(), fake()];
    let [first, second, third] = fakes.each_ref();
    for failing in [first, second] {
        failing.behave(status(503));
    }
    on_a_worker(async {
        let mut settings = upstream(&[first, second, third]);
        (settings.meter, settings.retries) = (Some("m.example/1".into()), 8);
        settings.endpoints[1].meter = Some("m.example/2".into());
        settings.endpoints[2].meter = Some("m.example/3".into());
        let under = Under::test(settings);
        assert_eq!(under.call().await.unwrap(), 200);
    });
    let asked = tickets(&[first, second, third]);
    assert_eq!(asked, [["m.example/1"], ["m.example/2"], ["m.example/3"]]);
}

#[test]
fn behind_a_meter_that_took_the_ticket_no_other_endpoint_is_tried() {
    let fakes = [fake(), fake(), fake(), fake()];
    let [first, second, third, other] = fakes.each_ref();
    fakes.iter().for_each(|fake| fake.behave(status(503)));
    on_a_worker(async {
        let mut settings = upstream(&[first, second, third]);
        (settings.meter, settings.retries) = (Some("m.example/1".into()), 8);
        let under = Under::test(settings.clone());
        assert_eq!(under.call().await.unwrap(), 503, "as the first said");
        assert_eq!(tickets(&[first, second, third]).concat().len(), 1);
        settings.endpoints.push(endpoint(other));
        settings.endpoints[3].meter = Some("m.example/2".into());
        under.renew(settings);
        for _ in 0..4 {
            assert_eq!(under.call().await.unwrap(), 503);
        }
    });
    let (same, other) = (tickets(&[first, second, third]).concat(), tickets(&[other]).concat());
    assert_eq!((same.len(), other.len()), (1 + 4, 4), "each call once behind each meter");
}

#[test]
fn behind_a_meter_another_endpoint_is_tried_if_the_first_cannot_be_reached() {
    let alive = fake();
    on_a_worker(async {
        let mut settings = upstream(&[&alive]);
        settings.endpoints.insert(0, nobody());
        settings.meter = Some("m.example/1".into());
        let under = Under::test(settings);
        assert_eq!(under.call().await.unwrap(), 200);
    });
    assert_eq!(tickets(&[&alive]), [["m.example/1"]]);
}
