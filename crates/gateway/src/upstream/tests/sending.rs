//! What an upstream gets, and on which connection.

use testkit::upstream::{Fate, Fault};

use super::*;

fn key_file(key: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), key).unwrap();
    file
}

#[test]
fn calls_one_after_another_share_one_connection() {
    let fake = fake();
    on_a_worker(async {
        let under = Under::test(upstream(&[&fake]));
        for _ in 0..5 {
            assert_eq!(under.call().await.unwrap(), 200);
            under.stream().await.body.collect().await.unwrap();
        }
    });
    assert_eq!((fake.connections(), fake.received().len()), (1, 10));
}

#[test]
fn calls_at_once_have_a_connection_each() {
    let fake = fake();
    on_a_worker(async {
        let under = Under::test(upstream(&[&fake]));
        let (first, second) = tokio::join!(under.stream(), under.stream());
        first.body.collect().await.unwrap();
        second.body.collect().await.unwrap();
        under.call().await.unwrap();
    });
    assert_eq!(fake.connections(), 2);
}

#[test]
fn the_upstream_gets_the_bytes_the_gateways_key_and_no_credential_of_the_caller() {
    let (fake, key) = (fake(), key_file("upstream-key\n"));
    on_a_worker(async {
        let mut settings = upstream(&[&fake]);
        settings.endpoints[0].api_key_file = Some(key.path().to_owned());
        settings.endpoints[0].url = format!("{}/pool/a", fake.url());
        let under = Under::test(settings);
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_static("Bearer caller-key"));
        headers.insert("x-api-key", HeaderValue::from_static("caller-key"));
        headers.insert("anthropic-beta", HeaderValue::from_static("new-thing"));
        under.send(&headers, r#"{ "model" : "m",  "x":1.0 }"#).await.unwrap();
    });
    let got = &fake.received()[0];
    assert_eq!(got.path, "/pool/a/v1/chat/completions");
    assert_eq!(got.body, br#"{ "model" : "m",  "x":1.0 }"#);
    assert_eq!(got.header("authorization"), Some("Bearer upstream-key"));
    assert_eq!(got.header("host"), Some(fake.address().to_string().as_str()));
    assert_eq!(got.header("anthropic-beta"), Some("new-thing"));
    assert!(!format!("{:?}", got.headers).contains("caller-key"));
}

#[test]
fn an_anthropic_call_carries_the_key_as_anthropic_does() {
    let (fake, key) = (fake(), key_file("upstream-key"));
    on_a_worker(async {
        let mut settings = upstream(&[&fake]);
        settings.endpoints[0].api_key_file = Some(key.path().to_owned());
        settings.endpoints[0].upstream_model = Some("their-name".into());
        let under = Under::test(settings);
        let body = |name: Option<&str>| Bytes::from(format!(r#"{{"model":"{}"}}"#, name.unwrap_or("ours")));
        let (model, method, headers) = (model(), Method::POST, HeaderMap::new());
        let call = Outbound {
            model: &model,
            dialect: Dialect::Anthropic,
            method: &method,
            path_and_query: "/v1/messages?beta=true",
            headers: &headers,
            ticket: &|_| Ok(None),
            body: &body,
        };
        under.pool.send(call).await.unwrap();
    });
    let got = &fake.received()[0];
    assert_eq!((got.header("x-api-key"), got.header("authorization")), (Some("upstream-key"), None));
    assert_eq!((got.path.as_str(), got.json()["model"].as_str()), ("/v1/messages?beta=true", Some("their-name")));
}

#[test]
fn a_key_that_cannot_be_used_is_refused_when_the_fleet_is_made() {
    let fake = fake();
    for key in ["", "two words", "line\nbreak"] {
        let file = key_file(key);
        let mut settings = upstream(&[&fake]);
        settings.endpoints[0].api_key_file = Some(file.path().to_owned());
        assert_eq!(Fleet::new(&checked(settings)).unwrap_err().at, "upstreams[0].endpoints[0]");
    }
    let mut settings = upstream(&[&fake]);
    settings.endpoints[0].api_key_env = Some("A_VARIABLE_THAT_IS_NOT_SET".into());
    assert!(Fleet::new(&checked(settings)).unwrap_err().why.contains("not set"));
}

#[test]
fn a_key_is_never_shown() {
    let (fake, key) = (fake(), key_file("upstream-key"));
    let mut settings = upstream(&[&fake]);
    settings.endpoints[0].api_key_file = Some(key.path().to_owned());
    assert!(!format!("{:?}", Fleet::new(&checked(settings)).unwrap()).contains("upstream-key"));
}

#[test]
fn a_body_dropped_before_its_end_tells_the_upstream_to_stop() {
    let fake = fake();
    fake.behave(Script::fault(Fault::Endless));
    on_a_worker(async {
        let under = Under::test(upstream(&[&fake]));
        let mut reply = under.stream().await;
        reply.body.frame().await.unwrap().unwrap();
        drop(reply);
        // A worker goes on running its other tasks.
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(fake.wait_aborted(WAIT));
        assert_eq!(under.fleet.load().status()[0].in_flight, 0);
    });
}

#[test]
fn an_aborted_body_ends_and_tells_the_upstream_to_stop() {
    let fake = fake();
    fake.behave(Script::fault(Fault::Endless));
    on_a_worker(async {
        let under = Under::test(upstream(&[&fake]));
        let mut reply = under.stream().await;
        reply.body.abort();
        assert!(reply.body.frame().await.is_none());
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(fake.wait_aborted(WAIT));
    });
}

#[test]
fn a_cut_body_ends_at_once_and_its_place_at_the_upstream_is_free_when_the_connection_is_closed() {
    let fake = fake();
    fake.behave(Script::fault(Fault::Endless));
    on_a_worker(async {
        let under = Under::test(upstream(&[&fake]));
        let mut reply = under.stream().await;
        reply.body.abort_soon();
        assert!(reply.body.frame().await.is_none());
        drop(reply);
        assert_eq!(under.fleet.load().status()[0].in_flight, 1);
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(fake.wait_aborted(WAIT));
        assert_eq!(under.fleet.load().status()[0].in_flight, 0);
    });
}

#[test]
fn a_call_dropped_while_the_upstream_thinks_tells_it_to_stop() {
    let fake = fake();
    fake.behave(Script::fault(Fault::Hang));
    on_a_worker(async {
        let under = Under::test(upstream(&[&fake]));
        let waited = tokio::time::timeout(Duration::from_millis(100), under.call()).await;
        assert!(waited.is_err());
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(fake.wait_aborted(WAIT));
    });
}

#[test]
fn a_connection_whose_endpoint_is_no_more_is_closed_and_others_are_kept() {
    let (stays, goes) = (fake(), fake());
    on_a_worker(async {
        let under = Under::test(upstream(&[&stays, &goes]));
        let (first, second) = tokio::join!(under.call(), under.call());
        assert_eq!((first.unwrap(), second.unwrap()), (200, 200));
        let before = under.fleet.load().status()[0].served;
        under.renew(upstream(&[&stays]));
        assert_eq!(under.fleet.load().status()[0].served, before);
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        under.call().await.unwrap();
        assert_eq!(under.pool.kept(), 1);
    });
    assert_eq!((stays.connections(), stays.received().len(), goes.received().len()), (1, 2, 1));
    assert!(stays.wait_until(WAIT, |received| { received.iter().all(|received| received.fate == Fate::Given) }));
}
