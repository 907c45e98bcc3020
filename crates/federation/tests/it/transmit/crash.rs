//! A transmitter that is killed in the middle of its work.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use control::{FederatedChange, Source};
use federation::{SsfAccess, SsfClient};
use secevent::stream::DefaultSubjects;
use serde_json::{Value, json};
use terms::{Account, ClientId, Clock, Moment, OrganizationId, PersonId, SystemClock};

use super::world::{self, Sink, claims_of, settings};

/// Tells the process that is to be killed where it works and where it pushes to.
const FOLDER: &str = "EXEAT_TEST_TRANSMITTER";
const SINK: &str = "EXEAT_TEST_SINK";
/// What happens in all; the last one is told again to whoever starts after the end.
const EVENTS: i64 = 40;

/// The process that is killed: signals are recorded one after the other while they are pushed.
#[tokio::test]
async fn a_transmitter_to_be_killed() {
    let (Ok(folder), Ok(sink)) = (std::env::var(FOLDER), std::env::var(SINK)) else { return };
    let folder = PathBuf::from(folder);
    let (control, _ledger) = world::control(&folder, Arc::new(SystemClock::default()) as Arc<dyn Clock>);
    let federation = control.federation();
    let ada = PersonId::parse("ada").unwrap();
    if federation.read(|view| view.person(&ada)).unwrap().is_none() {
        world::fill(&control);
    }
    let transmitter = world::transmitter(&control, &folder, settings("https://exeat.example"));
    if transmitter.streams().unwrap().is_empty() {
        subscribe(&transmitter, &sink).await;
    }
    tokio::spawn(transmitter.run(std::future::pending()));
    loop {
        let again = federation.clone();
        let person = ada.clone();
        tokio::task::spawn_blocking(move || next_signal(&again, &person)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Records the next signal: the sessions end at a moment that counts the signals.
fn next_signal(federation: &control::Federation, person: &PersonId) {
    federation
        .commit(&Source::own("test.signal"), |view| {
            let held = view.person(person)?.unwrap().accounts.remove(0);
            let count = held.sessions_end.map_or(0, Moment::as_millis);
            let sessions_end = Some(Moment::from_millis(count + 1));
            let account = Account { sessions_end, ..held };
            Ok((count < EVENTS)
                .then(|| FederatedChange::Account { person: person.clone(), account })
                .into_iter()
                .collect())
        })
        .unwrap();
}

async fn subscribe(transmitter: &federation::Transmitter, sink: &str) {
    use axum::{body::Body, http::Request};
    use tower::ServiceExt;
    let client = SsfClient {
        id: ClientId::parse("acme-soc").unwrap(),
        organization: Some(OrganizationId::parse("acme").unwrap()),
        audience: "https://acme-soc.example".to_owned(),
        subjects: DefaultSubjects::All,
        access: SsfAccess::Secret,
    };
    let secret = transmitter.register(&client).unwrap().unwrap();
    let body = json!({"delivery": {"method": "urn:ietf:rfc:8935", "endpoint_url": sink}}).to_string();
    let request = Request::post("/ssf/stream").header("authorization", format!("Bearer {}", secret.reveal()));
    let reply = transmitter.router().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
    assert_eq!(reply.status(), 201);
}

fn start(folder: &std::path::Path, sink: &Sink) -> Child {
    let test = "transmit::crash::a_transmitter_to_be_killed";
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(FOLDER, folder)
        .env(SINK, &sink.url)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn a_transmitter_that_is_killed_again_and_again_tells_everything_in_order_under_the_same_names() {
    let folder = tempfile::tempdir().unwrap();
    let sink = Sink::new().await;
    let mut killed = 0;
    for pushes in [3, 9, 17, 26] {
        let mut child = start(folder.path(), &sink);
        sink.taken(pushes).await;
        child.kill().unwrap();
        child.wait().unwrap();
        killed += 1;
    }
    let mut child = start(folder.path(), &sink);
    let mut distinct = BTreeMap::new();
    for _ in 0..600 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        distinct = by_name(&sink.taken(0).await.into_iter().map(|(_, token)| claims_of(&token)).collect::<Vec<_>>());
        if distinct.len() >= usize::try_from(EVENTS).unwrap() {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let told: Vec<_> = sink.taken(0).await.into_iter().map(|(_, token)| claims_of(&token)).collect();
    assert_eq!(
        (distinct.len(), killed),
        (usize::try_from(EVENTS).unwrap(), 4),
        "every event came, under one name each"
    );
    // What came first of each, in the order in which it came, is the order in which it happened.
    let mut firsts: Vec<f64> = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for claims in &told {
        if seen.insert(claims["jti"].as_str().unwrap().to_owned()) {
            firsts.push(at(claims));
        }
    }
    assert!(firsts.is_sorted(), "{firsts:?}");
}

/// The events by `jti`; two under the same name are the same event.
fn by_name(told: &[Value]) -> BTreeMap<String, Value> {
    let mut found: BTreeMap<String, Value> = BTreeMap::new();
    for claims in told {
        let jti = claims["jti"].as_str().unwrap().to_owned();
        let known = found.entry(jti).or_insert_with(|| claims.clone());
        assert_eq!(known["events"], claims["events"]);
    }
    found
}

fn at(claims: &Value) -> f64 {
    claims["events"].as_object().unwrap().values().next().unwrap()["event_timestamp"].as_f64().unwrap()
}
