//! What RFC 7644 says about requests and answers, whoever sends them.

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use serde_json::{Value, json};

use super::world::{ENTERPRISE, EXPORT, GROUP, USER, World, patch, user};

#[tokio::test(flavor = "current_thread")]
async fn what_is_created_is_answered_with_its_place_and_its_version() {
    let world = World::new().await;
    let reply = world.call("acme-hr", "POST /Users", user("ada", json!({ "password": "secret" }))).await;
    let id = reply.id();
    let location = format!("https://id.example.com/scim/v2/acme-hr/Users/{id}");
    assert_eq!((reply.status, reply.headers["location"].to_str().unwrap()), (StatusCode::CREATED, location.as_str()));
    assert_eq!(
        (&reply.body["meta"]["location"], reply.headers["etag"].to_str().unwrap()),
        (&json!(location), "W/\"1\"")
    );
    assert_eq!(reply.headers["content-type"], "application/scim+json");
    assert!(reply.body.get("password").is_none());
    assert_eq!(
        (&reply.body["meta"]["resourceType"], &reply.body["meta"]["version"]),
        (&json!("User"), &json!("W/\"1\""))
    );
}

#[tokio::test(flavor = "current_thread")]
async fn who_writes_over_a_version_that_is_gone_is_told_so_and_nothing_changes() {
    let world = World::new().await;
    let id = world.hire("ada", json!({})).await;
    let path = format!("/Users/{id}");
    let title = |title: &str| patch(json!([{ "op": "add", "path": "title", "value": title }]));
    let with = |tag: &'static str| [("If-Match", tag)];
    let first = world.call_with("acme-hr", &format!("PATCH {path}"), title("A"), &with("W/\"1\"")).await;
    assert_eq!((first.status, first.headers["etag"].to_str().unwrap()), (StatusCode::OK, "W/\"2\""));
    for (method, body) in [("PATCH", title("B")), ("PUT", user("ada", json!({}))), ("DELETE", Value::Null)] {
        let late = world.call_with("acme-hr", &format!("{method} {path}"), body, &with("W/\"1\"")).await;
        assert_eq!((late.status, &late.body["status"]), (StatusCode::PRECONDITION_FAILED, &json!("412")), "{method}");
    }
    assert_eq!(world.get("acme-hr", &path).await.body["title"], "A");
    for tag in ["W/\"2\"", "\"2\"", "*", "W/\"1\", W/\"2\""] {
        let reply = world.call_with("acme-hr", &format!("PATCH {path}"), title("A"), &[("If-Match", tag)]).await;
        assert_eq!((reply.status, reply.headers["etag"].to_str().unwrap()), (StatusCode::OK, "W/\"2\""), "{tag}");
    }
    let known = world.call_with("acme-hr", &format!("GET {path}"), Value::Null, &[("If-None-Match", "W/\"2\"")]).await;
    assert_eq!((known.status, known.body), (StatusCode::NOT_MODIFIED, Value::Null));
}

#[tokio::test(flavor = "current_thread")]
async fn what_is_not_offered_says_so() {
    let world = World::new().await;
    for (line, status) in [
        ("GET /Me", 501),
        ("PATCH /Me", 501),
        ("POST /Bulk", 501),
        ("GET /Users/nobody", 404),
        ("GET /Ships", 404),
        ("GET /Schemas/urn:example:nope", 404),
        ("DELETE /Users", 405),
        ("POST /Schemas", 405),
        ("PUT /ServiceProviderConfig", 405),
        ("GET /Schemas?filter=id%20pr", 403),
    ] {
        let reply = world.call("acme-hr", line, Value::Null).await;
        assert_eq!((reply.status.as_u16(), &reply.body["status"]), (status, &json!(status.to_string())), "{line}");
    }
    let config = world.get("acme-hr", "/ServiceProviderConfig").await.body;
    let offered = ["patch", "bulk", "filter", "changePassword", "sort", "etag"].map(|name| &config[name]["supported"]);
    assert_eq!(offered, [&json!(true), &json!(false), &json!(true), &json!(false), &json!(true), &json!(true)]);
}

#[tokio::test(flavor = "current_thread")]
async fn the_extension_is_announced_flat_with_nationality_on_request_only() {
    let world = World::new().await;
    let types = world.get("acme-hr", "/ResourceTypes/User").await.body;
    let extensions = types["schemaExtensions"].as_array().unwrap().iter().map(|one| one["schema"].as_str().unwrap());
    assert_eq!(extensions.collect::<Vec<_>>(), [ENTERPRISE, EXPORT]);
    let schema = world.get("acme-hr", &format!("/Schemas/{EXPORT}")).await.body;
    for attribute in schema["attributes"].as_array().unwrap() {
        let name = attribute["name"].as_str().unwrap();
        assert_ne!(attribute["type"], "complex", "{name}");
        let is_nationality = ["usPersonBasis", "citizenships", "permanentResidencies", "formerCitizenships"]
            .contains(&name)
            || ["mostRecentCitizenshipOrResidency", "residenceCountry"].contains(&name);
        assert_eq!(attribute["returned"] == "request", is_nationality, "{name}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_search_in_a_body_says_what_one_in_the_url_does() {
    let world = World::new().await;
    world.hire("ada", json!({ "title": "Captain" })).await;
    world.call("acme-hr", "POST /Groups", json!({ "schemas": [GROUP], "displayName": "Crew" })).await;
    let search = |more: Value| {
        let mut body = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"] });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let users = search(json!({ "filter": "title pr", "attributes": ["userName"], "startIndex": 1, "count": 5 }));
    let found = world.call("acme-hr", "POST /Users/.search", users).await.body;
    assert_eq!((&found["totalResults"], &found["Resources"][0]["userName"]), (&json!(1), &json!("ada")));
    assert!(found["Resources"][0].get("title").is_none());
    let all = world.call("acme-hr", "POST /.search", search(json!({}))).await.body;
    assert_eq!(all["totalResults"], 2);
    let bare = world.call("acme-hr", "POST /Users/.search", json!({})).await;
    assert_eq!(bare.refusal(), (400, "invalidSyntax"));
}

#[tokio::test(flavor = "current_thread")]
async fn every_limit_is_a_refusal_that_names_it() {
    let world = World::new().await;
    let id = world.hire("ada", json!({})).await;
    let many: Vec<Value> = (0..1001).map(|_| json!({ "op": "remove", "path": "title" })).collect();
    assert_eq!(world.patch(&id, json!(many)).await.refusal(), (400, "invalidSyntax"));
    let members: Vec<Value> = (0..10_001).map(|at| json!({ "value": at.to_string() })).collect();
    let crowd = json!({ "schemas": [GROUP], "displayName": "Crowd", "members": members });
    assert_eq!(world.call("acme-hr", "POST /Groups", crowd).await.refusal(), (400, "invalidValue"));
    let emails: Vec<Value> = (0..65).map(|at| json!({ "value": format!("{at}@example.com") })).collect();
    let reply = world.call("acme-hr", "POST /Users", user("bo", json!({ "emails": emails }))).await;
    assert_eq!(reply.refusal(), (400, "invalidValue"));
    let long = format!("/Users?filter={}", "title%20pr%20or%20".repeat(300) + "title%20pr");
    let deep = format!("/Users?filter={}title%20pr{}", "(".repeat(20), ")".repeat(20));
    for path in [long, deep, "/Users?filter=title%20is%20%22x%22".to_owned(), "/Users?filter=nope%20pr".to_owned()] {
        assert_eq!(world.get("acme-hr", &path).await.refusal(), (400, "invalidFilter"));
    }
    let huge = user("bo", json!({ "title": "x".repeat(5 << 20) }));
    assert_eq!(world.call("acme-hr", "POST /Users", huge).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let heavy: Vec<Value> = (0..4).map(|_| json!({ "value": "QUJD".repeat(4_000) })).collect();
    let heavy = user(
        "bo",
        json!({ "x509Certificates": heavy, "entitlements": (0..60).map(|at| format!("{at}{}", "y".repeat(1_000))).collect::<Vec<_>>() }),
    );
    assert_eq!(world.call("acme-hr", "POST /Users", heavy).await.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test(flavor = "current_thread")]
async fn a_body_that_is_no_scim_is_refused_before_it_is_acted_on() {
    let world = World::new().await;
    let send = async |media: &str, body: &str| {
        let request = Request::post("/scim/v2/acme-hr/Users").header("content-type", media);
        let request = request.header("authorization", format!("Bearer {}", world.token("acme-hr")));
        world.send(request.body(Body::from(body.to_owned())).unwrap()).await
    };
    let good = user("ada", json!({})).to_string();
    assert_eq!(send("text/plain", &good).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    for body in ["", "{", "[]", "null", "{\"userName\":\"a\",\"userName\":\"b\"}", "\u{feff}{}"] {
        assert_eq!(send("application/scim+json", body).await.refusal(), (400, "invalidSyntax"), "{body:?}");
    }
    for body in [
        json!({ "schemas": [USER] }),
        json!({ "schemas": [USER], "userName": " " }),
        json!({ "schemas": [GROUP], "userName": "a" }),
    ] {
        assert_eq!(send("application/json", &body.to_string()).await.refusal(), (400, "invalidValue"), "{body}");
    }
    assert_eq!(send("application/json; charset=utf-8", &good).await.status, StatusCode::CREATED);
}

#[tokio::test(flavor = "current_thread")]
async fn a_cursor_walks_through_everybody_once_whatever_is_added_meanwhile() {
    let world = World::new().await;
    for at in 0..7 {
        world.hire(&format!("user-{at}"), json!({})).await;
    }
    let (mut seen, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = world.get("acme-hr", &format!("/Users?count=3&cursor={cursor}")).await.body;
        assert!(page.get("startIndex").is_none(), "{page}");
        seen.extend(page["Resources"].as_array().unwrap().iter().map(|one| one["userName"].to_string()));
        pages += 1;
        world.hire(&format!("late-{pages}"), json!({})).await;
        match page["nextCursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    seen.retain(|name| name.contains("user-"));
    seen.sort();
    let before = seen.len();
    seen.dedup();
    assert_eq!((seen.len(), before), (7, 7));
    let bad = world.get("acme-hr", "/Users?cursor=%21%21").await;
    assert_eq!(bad.refusal(), (400, "invalidCursor"));
}
