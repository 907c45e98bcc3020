//! Stream management, module by module of the conformance suite.

use axum::http::{StatusCode, header};
use secevent::stream::DefaultSubjects;
use serde_json::{Value, json};

use super::world::{CAEP, ISSUER, Sink, World};

const POLL: &str = "urn:ietf:rfc:8936";
const PUSH: &str = "urn:ietf:rfc:8935";
const WRONG: &str = "ex_ssf_aaaaaaaaaaaaaaaa_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa000000";

#[tokio::test]
async fn openid_ssf_transmitter_metadata_are_complete_and_the_key_is_rs256() {
    let world = World::new().await;
    let metadata = world.raw("GET /.well-known/ssf-configuration", None, String::new()).await;
    assert_eq!(metadata.status, StatusCode::OK);
    assert_eq!(metadata.body["issuer"], ISSUER);
    assert_eq!(metadata.body["spec_version"], "1_0");
    assert_eq!(metadata.body["delivery_methods_supported"], json!([PUSH, POLL]));
    for name in ["configuration", "status", "add_subject", "remove_subject", "verification"] {
        let endpoint = metadata.body[format!("{name}_endpoint")].as_str().unwrap();
        let path = endpoint.strip_prefix(ISSUER).unwrap();
        let reply = world.raw(&format!("DELETE {path}"), None, String::new()).await;
        assert!([401, 405].contains(&reply.status.as_u16()), "{path} is served: {reply:?}");
    }
    let keys = world.raw("GET /ssf/jwks.json", None, String::new()).await.body;
    assert_eq!(keys["keys"][0]["kty"], "RSA");
    assert!(keys["keys"][0]["n"].as_str().unwrap().len() >= 342, "2048 bits");
    assert_eq!(keys["keys"][0].get("d"), None);
}

#[tokio::test]
async fn openid_ssf_stream_control_happy_path() {
    let world = World::new().await;
    let secret = world.receiver("acme-soc", Some("acme"), DefaultSubjects::None);
    let revoked = format!("{CAEP}session-revoked");
    let body = json!({
        "events_requested": [revoked, "urn:example:unknown"], "description": "first",
        "delivery": {"method": POLL},
    });
    let made = world.call("POST /ssf/stream", &secret, body).await;
    assert_eq!(made.status, StatusCode::CREATED);
    assert_eq!(made.body["aud"], "https://acme-soc.example");
    assert_eq!(made.body["events_delivered"], json!([revoked]));
    let id = made.body["stream_id"].as_str().unwrap();
    assert_eq!(made.body["delivery"]["endpoint_url"], format!("{ISSUER}/ssf/poll/{id}"));
    let at = format!("/ssf/stream?stream_id={id}");
    assert_eq!(world.call(&format!("GET {at}"), &secret, Value::Null).await.body, made.body);
    assert_eq!(world.call("GET /ssf/stream", &secret, Value::Null).await.body, json!([made.body]));

    let patched = world.call("PATCH /ssf/stream", &secret, json!({"stream_id": id, "description": "second"})).await;
    assert_eq!(patched.status, StatusCode::OK);
    assert_eq!(patched.body["description"], "second");
    assert_eq!(patched.body["events_delivered"], json!([revoked]));

    let whole = json!({"stream_id": id, "events_requested": [], "iss": ISSUER});
    let replaced = world.call("PUT /ssf/stream", &secret, whole).await;
    assert_eq!(replaced.status, StatusCode::OK);
    assert_eq!((&replaced.body["description"], &replaced.body["events_delivered"]), (&Value::Null, &json!([])));

    let status = world.call(&format!("GET /ssf/status?stream_id={id}"), &secret, Value::Null).await;
    assert_eq!(status.body, json!({"stream_id": id, "status": "enabled"}));
    let asked = json!({"stream_id": id, "status": "paused", "reason": "maintenance"});
    assert_eq!(world.call("POST /ssf/status", &secret, asked.clone()).await.body, asked);

    assert_eq!(world.call(&format!("DELETE {at}"), &secret, Value::Null).await.status, StatusCode::NO_CONTENT);
    assert_eq!(world.call(&format!("GET {at}"), &secret, Value::Null).await.status, StatusCode::NOT_FOUND);
    assert!(world.transmitter.streams().unwrap().is_empty());
}

#[tokio::test]
async fn openid_ssf_stream_control_error_broken_and_meaningless_input_is_refused_with_400() {
    let world = World::new().await;
    let secret = world.receiver("acme-soc", Some("acme"), DefaultSubjects::None);
    for broken in ["", "[]", "\"text\"", "{\"delivery\":", "{\"description\":\"a\",\"description\":\"b\"}"] {
        let reply = world.raw("POST /ssf/stream", Some(&secret), broken.to_owned()).await;
        assert_eq!((reply.status, reply.body["err"].as_str()), (StatusCode::BAD_REQUEST, Some("invalid_request")));
    }
    for delivery in [
        json!({"method": PUSH}),
        json!({"method": "urn:example:pigeon"}),
        json!("poll"),
        json!({"method": PUSH, "endpoint_url": "https://169.254.169.254/latest/meta-data"}),
        json!({"method": PUSH, "endpoint_url": "https://10.0.0.1/"}),
        json!({"method": PUSH, "endpoint_url": "http://receiver.example/"}),
        json!({"method": PUSH, "endpoint_url": "ftp://receiver.example/"}),
    ] {
        let reply = world.call("POST /ssf/stream", &secret, json!({"delivery": delivery})).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{delivery}");
    }
    let id = world.stream(&secret, json!({})).await;
    for method in ["PATCH", "PUT"] {
        for change in [json!({"iss": "https://other.example"}), json!({"aud": "other"}), json!({"events_requested": 7})]
        {
            let mut body = json!({"stream_id": id});
            body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            let reply = world.call(&format!("{method} /ssf/stream"), &secret, body).await;
            assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{method} {change}");
        }
        let reply = world.call(&format!("{method} /ssf/stream"), &secret, json!({"description": "whose?"})).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "without `stream_id`");
    }
    let reply = world.call("POST /ssf/status", &secret, json!({"stream_id": id, "status": "asleep"})).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    let reply =
        world.call("POST /ssf/verification", &secret, json!({"stream_id": id, "state": "s".repeat(1_025)})).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    let huge = format!("{{\"description\":\"{}\"}}", "d".repeat(70_000));
    assert_eq!(world.raw("POST /ssf/stream", Some(&secret), huge).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn openid_ssf_stream_control_error_create_stream_with_duplicate_config() {
    let world = World::new().await;
    let secret = world.receiver("acme-soc", Some("acme"), DefaultSubjects::None);
    world.stream(&secret, json!({})).await;
    let reply = world.call("POST /ssf/stream", &secret, json!({})).await;
    assert_eq!((reply.status, reply.body["err"].as_str()), (StatusCode::CONFLICT, Some("conflict")));
}

#[tokio::test]
async fn openid_ssf_stream_control_error_every_endpoint_refuses_an_invalid_token_with_401_and_a_challenge() {
    let world = World::new().await;
    let secret = world.receiver("acme-soc", Some("acme"), DefaultSubjects::None);
    let id = world.stream(&secret, json!({})).await;
    let lines = [
        "POST /ssf/stream".to_owned(),
        format!("GET /ssf/stream?stream_id={id}"),
        format!("GET /ssf/stream?stream_id={id}&access_token={secret}"),
        "PATCH /ssf/stream".to_owned(),
        "PUT /ssf/stream".to_owned(),
        format!("DELETE /ssf/stream?stream_id={id}"),
        format!("GET /ssf/status?stream_id={id}"),
        "POST /ssf/status".to_owned(),
        "POST /ssf/subjects/add".to_owned(),
        "POST /ssf/subjects/remove".to_owned(),
        "POST /ssf/verification".to_owned(),
        format!("POST /ssf/poll/{id}"),
    ];
    let body = json!({"stream_id": id, "status": "paused"}).to_string();
    for line in &lines {
        for (token, error) in [(None, false), (Some("nonsense"), true), (Some(WRONG), true)] {
            let reply = world.raw(line, token, body.clone()).await;
            assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{line}");
            let challenge = reply.headers[header::WWW_AUTHENTICATE].to_str().unwrap();
            assert!(challenge.starts_with("Bearer "), "{challenge}");
            assert_eq!(challenge.contains("error=\"invalid_token\""), error, "{line}: {challenge}");
        }
    }
    let status = world.call(&format!("GET /ssf/status?stream_id={id}"), &secret, Value::Null).await;
    assert_eq!(status.body["status"], "enabled", "nothing was changed");
}

#[tokio::test]
async fn openid_ssf_stream_control_error_unknown_and_other_receivers_streams_are_answered_with_404() {
    let world = World::new().await;
    let own = world.receiver("acme-soc", Some("acme"), DefaultSubjects::None);
    let other = world.receiver("borealis-soc", Some("borealis"), DefaultSubjects::None);
    let id = world.stream(&own, json!({})).await;
    let unknown = "0".repeat(32);
    let long = "0".repeat(300);
    for (id, secret) in [(&unknown, &own), (&long, &own), (&id, &other)] {
        let body = json!({
            "stream_id": id, "status": "paused", "subject": {"format": "email", "email": "ada@acme.example"},
        });
        for line in [
            format!("GET /ssf/stream?stream_id={id}"),
            "PATCH /ssf/stream".to_owned(),
            "PUT /ssf/stream".to_owned(),
            format!("GET /ssf/status?stream_id={id}"),
            "POST /ssf/status".to_owned(),
            "POST /ssf/subjects/add".to_owned(),
            "POST /ssf/subjects/remove".to_owned(),
            "POST /ssf/verification".to_owned(),
            format!("POST /ssf/poll/{id}"),
            format!("DELETE /ssf/stream?stream_id={id}"),
        ] {
            let reply = world.call(&line, secret, body.clone()).await;
            assert_eq!(reply.status, StatusCode::NOT_FOUND, "{line}");
        }
    }
    assert_eq!(world.call("GET /ssf/stream", &other, Value::Null).await.body, json!([]));
}

#[tokio::test]
async fn openid_ssf_stream_subject_control() {
    let world = World::new().await;
    let secret = world.receiver("acme-soc", Some("acme"), DefaultSubjects::None);
    let id = world.stream(&secret, json!({})).await;
    for (path, good) in [("add", StatusCode::OK), ("remove", StatusCode::NO_CONTENT)] {
        for (subject, status) in [
            (json!({"format": "email", "email": "ada@acme.example"}), good),
            (json!({"format": "email", "email": "nobody@acme.example"}), good),
            (json!({"format": "complex", "user": {"format": "opaque", "id": "x"}}), good),
            (json!({"format": "email"}), StatusCode::BAD_REQUEST),
            (json!({"email": "ada@acme.example"}), StatusCode::BAD_REQUEST),
            (json!({"format": "complex", "device": {"format": "opaque", "id": "x"}}), StatusCode::BAD_REQUEST),
        ] {
            let body = json!({"stream_id": id, "subject": subject});
            let reply = world.call(&format!("POST /ssf/subjects/{path}"), &secret, body).await;
            assert_eq!(reply.status, status, "{path} {subject}");
        }
    }
}

#[tokio::test]
async fn what_a_receiver_calls_people_and_its_push_secret_are_not_readable_in_the_record() {
    let world = World::new().await;
    let sink = Sink::new().await;
    let secret = world.receiver("acme-soc", Some("acme"), DefaultSubjects::None);
    let mut delivery = sink.delivery();
    delivery["authorization_header"] = json!("Bearer push-secret-4711");
    let id = world.stream(&secret, json!({"delivery": delivery})).await;
    for email in ["ada@acme.example", "someone.else@acme.example"] {
        let subject = json!({"format": "email", "email": email});
        world.call("POST /ssf/subjects/add", &secret, json!({"stream_id": id, "subject": subject})).await;
    }
    let read = world.call(&format!("GET /ssf/stream?stream_id={id}"), &secret, Value::Null).await;
    assert!(!read.body.to_string().contains("push-secret-4711"));
    let end = world.ledger.health().durable;
    let private: Vec<_> =
        (0..end).map(|index| world.ledger.stored(index).unwrap().main().unwrap_or_default().to_vec()).collect();
    let text: String = private.iter().map(|bytes| String::from_utf8_lossy(bytes)).collect();
    assert!(text.contains("ssf.transmitted.subject"), "subjects are in the record");
    for hidden in ["push-secret-4711", "someone.else", &secret] {
        assert!(!text.contains(hidden), "{hidden}");
    }
}

#[tokio::test]
async fn a_receiver_that_is_registered_anew_has_a_new_secret_and_one_that_is_removed_has_none() {
    let world = World::new().await;
    let first = world.receiver("acme-soc", Some("acme"), DefaultSubjects::None);
    let id = world.stream(&first, json!({})).await;
    let second = world.receiver("acme-soc", Some("acme"), DefaultSubjects::None);
    assert_eq!(world.call("GET /ssf/stream", &first, Value::Null).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(world.call("GET /ssf/stream", &second, Value::Null).await.body[0]["stream_id"], json!(id));
    let ids: Vec<_> = world.transmitter.clients().unwrap().into_iter().map(|client| client.id.to_string()).collect();
    assert_eq!(ids, ["acme-soc"]);
    let client = world.transmitter.clients().unwrap().remove(0);
    world.transmitter.remove(&client.id).unwrap();
    assert_eq!(world.call("GET /ssf/stream", &second, Value::Null).await.status, StatusCode::UNAUTHORIZED);
    assert!(world.transmitter.streams().unwrap().is_empty());
    assert!(world.transmitter.remove(&client.id).is_err());
}
