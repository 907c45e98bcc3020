//! Upstreams that misbehave.

use testkit::upstream::Fault;

use super::*;
use crate::upstream::{body::BodyError, health::HealthState};

fn impatient(fake: &FakeUpstream) -> UpstreamSettings {
    let mut settings = upstream(&[fake]);
    settings.first_byte_seconds = 1;
    settings.idle_seconds = 1;
    settings.eject_after = 1;
    settings
}

/// Reads a body to its end or to what ends it.
async fn read(reply: Reply) -> (Vec<u8>, Option<BodyError>) {
    let (mut body, mut read) = (reply.body, Vec::new());
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => read.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Err(error) => return (read, Some(error)),
        }
    }
    (read, None)
}

#[test]
fn an_upstream_that_does_not_begin_to_answer_is_left_in_time() {
    let fake = fake();
    fake.behave(Script::fault(Fault::Hang));
    on_a_worker(async {
        let under = Under::test(impatient(&fake));
        assert!(matches!(under.call().await, Err(SendError::FirstByteTimeout)));
        assert_eq!(under.fleet.load().status()[0].state, HealthState::Ejected);
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(fake.wait_aborted(WAIT));
    });
    assert_eq!(fake.received().len(), 1);
}

#[test]
fn an_upstream_that_falls_silent_ends_the_body_with_an_error() {
    let fake = fake();
    fake.behave(Script::fault(Fault::Stall));
    on_a_worker(async {
        let under = Under::test(impatient(&fake));
        let (came, error) = read(under.stream().await).await;
        assert!(came.starts_with(b"data: "));
        assert!(matches!(error, Some(BodyError::Idle(_))), "{error:?}");
        assert_eq!(under.fleet.load().status()[0].state, HealthState::Ejected);
    });
}

#[test]
fn an_upstream_slower_than_the_limit_in_all_but_not_between_pieces_is_read_to_its_end() {
    let fake = fake();
    fake.behave(Script::paced(4, Duration::from_millis(400)));
    on_a_worker(async {
        let under = Under::test(impatient(&fake));
        let (came, error) = read(under.stream().await).await;
        assert!(came.ends_with(b"data: [DONE]\n\n") && error.is_none(), "{error:?}");
    });
}

#[test]
fn a_connection_reset_in_the_middle_ends_the_body_with_an_error() {
    let fake = fake();
    fake.behave(Script::fault(Fault::Reset));
    on_a_worker(async {
        let under = Under::test(impatient(&fake));
        let (_, error) = read(under.stream().await).await;
        assert!(matches!(error, Some(BodyError::Broken(_))), "{error:?}");
        assert_eq!(under.fleet.load().status()[0].state, HealthState::Ejected);
    });
}

#[test]
fn a_request_that_may_have_been_processed_is_not_sent_again() {
    for fault in [Fault::Close, Fault::HalfHead] {
        let (first, second) = (fake(), fake());
        for fake in [&first, &second] {
            fake.behave(Script::fault(fault));
        }
        on_a_worker(async {
            let under = Under::test(upstream(&[&first, &second]));
            assert!(matches!(under.call().await, Err(SendError::Broken { .. })));
        });
        assert_eq!(first.received().len() + second.received().len(), 1, "{fault:?}");
    }
}

#[test]
fn a_kept_connection_that_is_closed_without_a_byte_is_replaced_once() {
    let fake = fake();
    on_a_worker(async {
        let under = Under::test(upstream(&[&fake]));
        under.call().await.unwrap();
        fake.behave(Script::fault(Fault::Close));
        assert!(matches!(under.call().await, Err(SendError::Broken { .. })));
    });
    assert_eq!((fake.connections(), fake.received().len()), (2, 3));
}

#[test]
fn a_kept_connection_to_a_meter_is_not_replaced_since_the_ticket_may_be_taken() {
    let fake = fake();
    on_a_worker(async {
        let mut settings = upstream(&[&fake]);
        settings.meter = Some("m.example/1".into());
        let under = Under::test(settings);
        under.call().await.unwrap();
        fake.behave(Script::fault(Fault::Close));
        assert!(matches!(under.call().await, Err(SendError::Broken { .. })));
    });
    assert_eq!((fake.connections(), fake.received().len()), (1, 2));
}

#[test]
fn a_kept_connection_that_breaks_after_a_byte_is_not_replaced() {
    let fake = fake();
    on_a_worker(async {
        let under = Under::test(upstream(&[&fake]));
        under.call().await.unwrap();
        fake.behave(Script::fault(Fault::HalfHead));
        assert!(matches!(under.call().await, Err(SendError::Broken { .. })));
    });
    assert_eq!((fake.connections(), fake.received().len()), (1, 2));
}

#[test]
fn a_server_that_was_started_anew_is_called_on_a_new_connection() {
    let old = fake();
    let address = old.address();
    on_a_worker(async {
        let under = Under::test(upstream(&[&old]));
        under.call().await.unwrap();
        drop(old);
        let new = FakeUpstream::start_at(address).unwrap();
        assert_eq!(under.call().await.unwrap(), 200);
        assert_eq!(new.received().len(), 1);
    });
}

#[test]
fn a_response_that_nobody_asked_for_never_answers_another_call() {
    let fake = fake();
    on_a_worker(async {
        let under = Under::test(upstream(&[&fake]));
        for _ in 0..3 {
            for script in [Some(Script::fault(Fault::Surplus)), None] {
                fake.behave(script);
                let (came, _) = read(under.send(&HeaderMap::new(), "{}").await.unwrap()).await;
                let came = String::from_utf8(came).unwrap();
                assert!(came.contains("word-2") && !came.contains("\"x\""), "{came}");
            }
        }
    });
}

#[test]
fn a_redirect_is_not_followed_and_compression_is_not_relayed() {
    for (fault, says) in [(Fault::Redirect, "307"), (Fault::Gzip, "compressed")] {
        let fake = fake();
        fake.behave(Script::fault(fault));
        on_a_worker(async {
            let error = Under::test(upstream(&[&fake])).call().await.unwrap_err();
            assert!(matches!(error, SendError::Broken { .. }) && error.to_string().contains(says), "{error}");
        });
        assert_eq!(fake.received()[0].header("accept-encoding"), Some("identity"));
    }
}

#[test]
fn an_upstream_sets_no_cookie_and_forges_no_receipt() {
    let fake = fake();
    fake.behave(Script::fault(Fault::Cookie));
    on_a_worker(async {
        let reply = Under::test(upstream(&[&fake])).send(&HeaderMap::new(), "{}").await.unwrap();
        let names: Vec<&str> = reply.headers.keys().map(http::HeaderName::as_str).collect();
        assert_eq!(names, ["content-type", "x-request-id"]);
    });
}

#[test]
fn events_come_through_byte_for_byte_however_they_are_cut() {
    let whole = {
        let fake = fake();
        on_a_worker(async { read(Under::test(upstream(&[&fake])).stream().await).await.0 })
    };
    let fake = fake();
    fake.behave(Script::fault(Fault::Split));
    let split = on_a_worker(async { read(Under::test(upstream(&[&fake])).stream().await).await.0 });
    assert_eq!(String::from_utf8(split), String::from_utf8(whole));
}

#[test]
fn a_metadata_address_is_not_connected_to() {
    for url in ["http://169.254.169.254", "http://[fe80::1]", "http://[::ffff:169.254.169.254]", "http://0.0.0.0:1"] {
        on_a_worker(async {
            let settings = UpstreamSettings::new(model(), vec![EndpointSettings::new(url)]);
            let error = Under::test(settings).call().await.unwrap_err();
            assert!(error.to_string().contains("which no upstream may have"), "{error}");
        });
    }
}
