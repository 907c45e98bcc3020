//! Whole deliveries over HTTP, against a vendor's API that is a server of its own.

mod restoring;

use std::sync::Mutex;

use axum::{
    http::{Request, Uri},
    routing::any,
};
use fetch::{AddressRule, Roots, Settings};
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;
use terms::{Assurance, Claim, PersonId, SubjectName};
use tower::ServiceExt;

use super::*;
use crate::{
    attest::{ClaimKind, TrustEntry},
    world::World,
};

const NAMES: [(&str, &str); 3] =
    [("stripe", "stripe-signature"), ("persona", "persona-signature"), ("onfido", "x-sha2-signature")];

/// A delivery that was signed by `fixtures/sign.py` at the world's first moment.
#[derive(Clone, Deserialize)]
struct Golden {
    vendor: String,
    header: String,
    body: String,
}

fn golden(name: &str) -> Golden {
    let all: BTreeMap<String, Golden> = serde_json::from_str(include_str!("fixtures/deliveries.json")).unwrap();
    all[name].clone()
}

/// What the vendor's API answers, by path and query, and what it was asked.
#[derive(Clone, Default)]
struct Api {
    answers: Arc<Mutex<BTreeMap<String, (StatusCode, Value)>>>,
    asked: Arc<Mutex<Vec<(String, String)>>>,
}

impl Api {
    /// Serves on a port of its own.
    async fn serve(&self) -> Url {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(any(answer)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Url::parse(&url).unwrap()
    }

    fn say(&self, path: &str, status: u16, body: Value) {
        self.answers.lock().unwrap().insert(path.to_owned(), (StatusCode::from_u16(status).unwrap(), body));
    }

    fn asked(&self) -> Vec<(String, String)> {
        self.asked.lock().unwrap().clone()
    }
}

async fn answer(State(api): State<Api>, uri: Uri, headers: HeaderMap) -> Response {
    let key = headers["authorization"].to_str().unwrap().to_owned();
    let path = uri.path_and_query().map_or_else(String::new, ToString::to_string);
    api.asked.lock().unwrap().push((path.clone(), key));
    let said = api.answers.lock().unwrap().get(&path).cloned();
    let (status, body) = said.unwrap_or((StatusCode::NOT_FOUND, Value::Null));
    (status, Json(body)).into_response()
}

/// A registry in which the vendor calls Ada `ada-7`, an endpoint for each vendor, and their API.
struct Scene {
    world: World,
    api: Api,
    hooks: Webhooks,
    _vault: TempDir,
}

impl Scene {
    async fn new() -> Self {
        let (world, api) = (World::new(), Api::default());
        let base = api.serve().await;
        let folder = tempfile::tempdir().unwrap();
        let roots = Roots::native().unwrap();
        let client = Client::new(Settings::new(roots, AddressRule::allowing(["127.0.0.1"]).unwrap()));
        let vault = Arc::new(Vault::open(folder.path()).unwrap());
        let vendors = NAMES.iter().map(|(name, _)| vendor(name, name, base.clone())).collect();
        let hooks = Webhooks::new(world.federation(), client, Arc::new(trust()), vault, vendors).unwrap();
        for (name, _) in NAMES {
            let (channel, ada) = (ChannelId::parse(name).unwrap(), PersonId::parse("ada").unwrap());
            hooks.enroll(&channel, &ada, Some(SubjectName::parse("ada-7").unwrap())).unwrap();
        }
        Self { world, api, hooks, _vault: folder }
    }

    async fn send(&self, golden: &Golden) -> (u16, Value) {
        let path = format!("/webhooks/{}", golden.vendor);
        self.send_to(&path, golden, golden.body.clone()).await
    }

    async fn send_to(&self, path: &str, golden: &Golden, body: String) -> (u16, Value) {
        let name = NAMES.iter().find(|(name, _)| *name == golden.vendor).unwrap().1;
        let mut request = Request::post(path.parse::<Uri>().unwrap());
        if !golden.header.is_empty() {
            request = request.header(name, &golden.header);
        }
        let response = self.hooks.router().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    fn claims(&self) -> Vec<Claim> {
        self.world.ada().attestations.into_iter().map(|held| held.claim).collect()
    }

    fn documents(&self) -> usize {
        self.world.federation().read(|view| view.documents("evidence", "", 10)).unwrap().len()
    }
}

fn vendor(channel: &str, name: &str, api: Url) -> Vendor {
    Vendor {
        channel: ChannelId::parse(channel).unwrap(),
        kind: serde_json::from_value(json!(name)).unwrap(),
        issuer: IssuerId::parse(name).unwrap(),
        secrets: vec![Secret::new("whsec_larkspur")],
        tolerance: Duration::from_secs(300),
        api,
        api_key: Secret::new("key-1"),
    }
}

fn trust() -> TrustList {
    let entry = |issuer: &str| TrustEntry {
        issuer: IssuerId::parse(issuer).unwrap(),
        claims: vec![ClaimKind::Citizenship, ClaimKind::Standing],
        assurance: Assurance::Ial2,
        means: std::collections::BTreeSet::new(),
        frameworks: std::collections::BTreeSet::from(["us_nist_800_63_4".to_owned()]),
        good_for_days: None,
    };
    let employer = TrustEntry { claims: vec![ClaimKind::Standing], ..entry("employer") };
    TrustList::new(NAMES.iter().map(|(name, _)| entry(name)).chain([employer]).collect()).unwrap()
}

const SESSION: &str = "/v1/identity/verification_sessions/vs_1?expand%5B%5D=last_verification_report";

fn session(change: impl FnOnce(&mut Value)) -> Value {
    let mut answer = json!({
        "id": "vs_1", "status": "verified", "client_reference_id": "ada-7", "redaction": null,
        "last_verification_report": {
            "created": 1_795_170_000,
            "document": {
                "status": "verified", "type": "passport", "issuing_country": "KR",
                "expiration_date": { "day": 1, "month": 5, "year": 2030 },
            },
            "selfie": { "status": "verified" },
        },
    });
    change(&mut answer);
    answer
}

fn korea() -> Claim {
    Claim::Citizenship { country: terms::Country::parse("KR").unwrap(), from: None, until: None }
}

#[tokio::test]
async fn a_delivery_becomes_an_attestation_only_by_what_the_vendors_api_says() {
    let scene = Scene::new().await;
    scene.api.say(SESSION, 200, session(|_| ()));
    let (status, body) = scene.send(&golden("stripe verified")).await;
    assert_eq!((status, &body["repeated"]), (200, &json!(false)));
    assert_eq!(scene.api.asked(), [(SESSION.to_owned(), "Bearer key-1".to_owned())]);
    let held = scene.world.ada().attestations;
    assert_eq!((held.len(), &held[0].claim, held[0].assurance), (1, &korea(), Assurance::Ial2));
    assert_eq!(held[0].channel.as_ref().map(ChannelId::as_str), Some("stripe"));
    assert!(held[0].evidence.starts_with("stripe/vs_1#"), "{}", held[0].evidence);
    let kept = scene.world.federation().read(|view| view.document("evidence", "stripe/vs_1")).unwrap().unwrap();
    assert!(kept.body.starts_with("v1.") && !kept.body.contains("nationalities"));
}

#[tokio::test]
async fn a_payload_that_says_verified_is_nothing_if_the_api_says_otherwise() {
    let scene = Scene::new().await;
    scene.api.say(SESSION, 200, session(|answer| answer["status"] = json!("processing")));
    assert_eq!(scene.send(&golden("stripe verified")).await.0, 200);
    assert_eq!(scene.claims(), []);
    scene.api.say(SESSION, 200, session(|answer| answer["client_reference_id"] = json!("bob-1")));
    assert_eq!(scene.send(&golden("stripe redacted")).await.0, 200);
    assert_eq!((scene.claims(), scene.documents()), (vec![], 0), "of somebody who is not known here");
}

#[tokio::test]
async fn an_event_is_taken_in_once() {
    let scene = Scene::new().await;
    scene.api.say(SESSION, 200, session(|_| ()));
    scene.send(&golden("stripe verified")).await;
    scene.api.say(SESSION, 200, session(|answer| answer["status"] = json!("canceled")));
    let (status, body) = scene.send(&golden("stripe verified")).await;
    assert_eq!((status, &body["repeated"]), (200, &json!(true)));
    assert_eq!(scene.claims(), [korea()], "the same event does nothing twice");
}

#[tokio::test]
async fn evidence_that_is_redacted_or_gone_is_withdrawn() {
    for gone in [(200, session(|answer| answer["redaction"] = json!({ "status": "redacted" }))), (404, Value::Null)] {
        let scene = Scene::new().await;
        scene.api.say(SESSION, 200, session(|_| ()));
        scene.send(&golden("stripe verified")).await;
        assert_eq!((scene.claims(), scene.documents()), (vec![korea()], 1));
        scene.api.say(SESSION, gone.0, gone.1);
        assert_eq!(scene.send(&golden("stripe redacted")).await.0, 200);
        assert_eq!((scene.claims(), scene.documents()), (vec![], 0));
    }
}

#[tokio::test]
async fn an_approval_that_is_taken_back_is_withdrawn() {
    let scene = Scene::new().await;
    let path = "/api/v1/inquiries/inq_1?include=verifications";
    let inquiry = |status: &str| {
        let document = json!({ "status": "passed", "country-code": "KR", "id-class": "pp" });
        json!({
            "data": { "id": "inq_1", "attributes": {
                "status": status, "reference-id": "ada-7", "completed-at": "2026-11-20T11:00:00Z",
            } },
            "included": [{ "type": "verification/government-id", "attributes": document }],
        })
    };
    scene.api.say(path, 200, inquiry("approved"));
    assert_eq!(scene.send(&golden("persona approved")).await.0, 200);
    assert_eq!((scene.claims(), scene.world.ada().attestations[0].assurance), (vec![korea()], Assurance::Ial1));
    scene.api.say(path, 200, inquiry("declined"));
    assert_eq!(scene.send(&golden("persona declined")).await.0, 200);
    assert_eq!(scene.claims(), []);
}

#[tokio::test]
async fn a_check_is_read_with_its_reports_and_a_match_opens_a_review() {
    let scene = Scene::new().await;
    let check = json!({
        "id": "chk-1", "status": "complete", "result": "clear", "applicant_id": "ada-7", "report_ids": ["r-1"],
        "created_at": "2026-11-20T11:00:00Z",
    });
    let properties = json!({ "document_type": "passport", "issuing_country": "KOR", "nationality": "KOR" });
    scene.api.say("/v3.6/checks/chk-1", 200, check);
    let report = json!({ "id": "r-1", "name": "document", "result": "clear", "properties": properties });
    scene.api.say("/v3.6/reports/r-1", 200, report);
    assert_eq!(scene.send(&golden("onfido check")).await.0, 200);
    assert_eq!(scene.claims(), [korea()]);
    assert!(scene.api.asked().iter().all(|(_, key)| key == "Token token=key-1"));
    scene.api.say("/v3.6/watchlist_monitors/mon-1", 200, json!({ "id": "mon-1", "applicant_id": "ada-7" }));
    assert_eq!(scene.send(&golden("onfido monitor")).await.0, 200);
    let reviews = scene.world.federation().read(|view| view.reviews("", 10)).unwrap();
    assert!(reviews.len() == 1 && reviews[0].what.contains("onfido/mon-1"), "{reviews:?}");
}

#[tokio::test]
async fn a_delivery_that_is_stale_forged_or_too_large_is_refused_by_name() {
    let scene = Scene::new().await;
    scene.api.say(SESSION, 200, session(|_| ()));
    let good = golden("stripe verified");
    let refused = |(status, body): (u16, Value)| (status, body["error"].as_str().unwrap_or_default().to_owned());
    let named = |status: u16, name: &str| (status, name.to_owned());
    let forged = Golden { header: good.header.replace("v1=", "v1=0").replacen("v1=0", "v1=", 1), ..good.clone() };
    let mut tag = forged.header.clone();
    let last = if tag.ends_with('0') { '1' } else { '0' };
    tag.pop();
    tag.push(last);
    let forged = Golden { header: tag, ..good.clone() };
    assert_eq!(refused(scene.send(&forged).await), named(401, "signature_wrong"));
    let unsigned = Golden { header: String::new(), ..good.clone() };
    assert_eq!(refused(scene.send(&unsigned).await), named(401, "signature_missing"));
    let changed = scene.send_to("/webhooks/stripe", &good, good.body.replace("vs_1", "vs_2")).await;
    assert_eq!(refused(changed), named(401, "signature_wrong"));
    let large = scene.send_to("/webhooks/stripe", &good, " ".repeat(MAX_DELIVERY + 1)).await;
    assert_eq!(refused(large), named(413, "body_too_large"));
    let nowhere = scene.send_to("/webhooks/nowhere", &good, good.body.clone()).await;
    assert_eq!(refused(nowhere), named(404, "channel_unknown"));
    let elsewhere = scene.send_to("/webhooks/persona", &good, good.body.clone()).await;
    assert_eq!(refused(elsewhere), named(401, "signature_missing"));
    for shape in ["stripe with a path for an id", "stripe without an object"] {
        assert_eq!(refused(scene.send(&golden(shape)).await), named(400, "event_malformed"), "{shape}");
    }
    scene.world.clock.advance(Duration::from_secs(301));
    assert_eq!(refused(scene.send(&good).await), named(401, "signature_stale"));
    assert_eq!((scene.api.asked(), scene.claims()), (vec![], vec![]), "nobody was asked, nothing was changed");
}

#[tokio::test]
async fn a_vendor_that_cannot_be_asked_is_heard_again_later() {
    let scene = Scene::new().await;
    scene.api.say(SESSION, 500, Value::Null);
    let (status, body) = scene.send(&golden("stripe verified")).await;
    assert_eq!((status, &body["error"]), (503, &json!("vendor_unavailable")));
    scene.api.say(SESSION, 200, session(|_| ()));
    assert_eq!(scene.send(&golden("stripe verified")).await.0, 200);
    assert_eq!(scene.claims(), [korea()]);
}

fn heard_at(scene: &Scene) -> terms::Moment {
    let channel = ChannelId::parse("stripe").unwrap();
    scene.world.federation().read(|view| view.channel(&channel)).unwrap().unwrap().heard_at
}

#[tokio::test]
async fn no_delivery_but_only_answers_about_all_that_counts_show_that_a_vendor_is_there() {
    let scene = Scene::new().await;
    let begun = heard_at(&scene);
    scene.world.clock.advance(Duration::from_secs(200));
    scene.api.say(SESSION, 200, session(|_| ()));
    for name in ["stripe other", "stripe verified", "stripe verified", "stripe redacted"] {
        assert_eq!(scene.send(&golden(name)).await.0, 200);
        assert_eq!(heard_at(&scene), begun, "{name}");
    }
    recheck(&scene, &mut recheck::Due::new()).await;
    assert_eq!(heard_at(&scene), scene.world.now());
}

#[tokio::test]
async fn what_the_trust_list_does_not_believe_is_acknowledged_and_left_out() {
    let scene = Scene::new().await;
    let run = json!({
        "id": "run-1", "status": "approved", "applicant_id": "ada-7", "created_at": "2026-11-20T11:00:00Z",
        "output": { "document_type": "passport", "issuing_country": "KOR", "nationality": "Utopia" },
    });
    scene.api.say("/v3.6/workflow_runs/run-1", 200, run);
    assert_eq!(scene.send(&golden("onfido run")).await.0, 200);
    assert_eq!((scene.claims(), scene.documents()), (vec![], 0));
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let base = || Url::parse("https://api.example.com").unwrap();
    let made = |change: &dyn Fn(&mut Vendor)| {
        let mut vendor = vendor("stripe", "stripe", base());
        change(&mut vendor);
        check(&vendor)
    };
    assert_eq!(made(&|_| ()), Ok(()));
    assert!(matches!(made(&|vendor| vendor.secrets.clear()), Err(BadVendor::Secrets(_))));
    assert!(matches!(made(&|vendor| vendor.tolerance = Duration::ZERO), Err(BadVendor::Tolerance(_))));
    assert!(matches!(made(&|vendor| vendor.tolerance = Duration::from_secs(901)), Err(BadVendor::Tolerance(_))));
}

#[tokio::test]
async fn an_answer_about_another_session_grants_nothing_and_is_asked_for_again() {
    let scene = Scene::new().await;
    scene.api.say(SESSION, 200, session(|answer| answer["id"] = json!("vs_2")));
    let (status, body) = scene.send(&golden("stripe verified")).await;
    assert_eq!((status, &body["error"]), (503, &json!("vendor_unavailable")));
    assert_eq!((scene.claims(), scene.documents()), (vec![], 0));
}

#[tokio::test]
async fn evidence_is_no_newer_for_being_told_again() {
    let scene = Scene::new().await;
    scene.api.say(SESSION, 200, session(|_| ()));
    scene.send(&golden("stripe verified")).await;
    let before = scene.world.ada().attestations;
    scene.world.clock.advance(Duration::from_secs(200));
    assert_eq!(scene.send(&golden("stripe redacted")).await.0, 200);
    assert_eq!(scene.world.ada().attestations, before, "the delivery said otherwise, the vendor's API did not");
}

/// When each vendor is asked again in a scene.
async fn recheck(scene: &Scene, due: &mut recheck::Due) -> usize {
    let before = scene.api.asked().len();
    scene.hooks.recheck(due).await;
    scene.api.asked().len() - before
}

#[tokio::test]
async fn a_redaction_whose_delivery_was_lost_is_found_out_by_asking_again() {
    let (scene, mut due) = (Scene::new().await, recheck::Due::new());
    scene.api.say(SESSION, 200, session(|_| ()));
    scene.send(&golden("stripe verified")).await;
    assert_eq!(recheck(&scene, &mut due).await, 1);
    assert_eq!((scene.claims(), recheck(&scene, &mut due).await), (vec![korea()], 0), "it is not due yet");
    scene.api.say(SESSION, 200, session(|answer| answer["redaction"] = json!({ "status": "redacted" })));
    scene.world.clock.advance(Duration::from_hours(24));
    assert_eq!(recheck(&scene, &mut due).await, 1);
    assert_eq!((scene.claims(), scene.documents()), (vec![], 0));
    scene.world.clock.advance(Duration::from_hours(24));
    assert_eq!(recheck(&scene, &mut due).await, 0, "nothing is kept that could be asked about");
}

/// Puts another session of Ada on record, as if it had been delivered.
fn another_session(scene: &Scene, id: &str) {
    let held = scene.world.ada().attestations.remove(0);
    let kept = scene.world.federation().read(|view| view.document("evidence", "stripe/vs_1")).unwrap().unwrap();
    let us = Claim::Citizenship { country: terms::Country::US, from: None, until: None };
    let attestation = terms::Attestation {
        id: terms::AttestationId::parse(id).unwrap(),
        claim: us,
        evidence: format!("stripe/{id}#commitment"),
        ..held
    };
    let document = control::Document { id: format!("stripe/{id}"), ..kept };
    let changes =
        vec![control::FederatedChange::Attestation(attestation), control::FederatedChange::Document(document)];
    scene.world.federation().commit(&control::Source::own("test"), |_| Ok(changes)).unwrap();
}

#[tokio::test]
async fn evidence_about_which_a_vendor_does_not_answer_hides_no_other() {
    let (scene, mut due) = (Scene::new().await, recheck::Due::new());
    scene.api.say(SESSION, 200, session(|_| ()));
    scene.send(&golden("stripe verified")).await;
    another_session(&scene, "vs_0");
    another_session(&scene, "vs_2");
    let begun = heard_at(&scene);
    scene.world.clock.advance(Duration::from_hours(1));
    scene.api.say(SESSION, 200, session(|answer| answer["redaction"] = json!({ "status": "redacted" })));
    for broken in ["vs_0", "vs_2"] {
        scene.api.say(&SESSION.replace("vs_1", broken), 500, Value::Null);
    }
    assert_eq!(recheck(&scene, &mut due).await, 3);
    assert_eq!((scene.claims().contains(&korea()), scene.documents()), (false, 2));
    assert_eq!(heard_at(&scene), begun, "it did not answer about all");
    scene.world.clock.advance(Duration::from_mins(15));
    assert_eq!(recheck(&scene, &mut due).await, 2, "it is asked again soon");
}

#[tokio::test]
async fn a_vendor_is_asked_at_once_and_four_times_while_its_channel_must_be_heard() {
    let (scene, mut due) = (Scene::new().await, recheck::Due::new());
    scene.api.say(SESSION, 200, session(|_| ()));
    scene.send(&golden("stripe verified")).await;
    for (seconds, asked) in [(0, 1), (6 * 3_600 - 1, 0), (1, 1), (6 * 3_600, 1)] {
        scene.world.clock.advance(Duration::from_secs(seconds));
        assert_eq!(recheck(&scene, &mut due).await, asked);
    }
    let channel = ChannelId::parse("stripe").unwrap();
    let known = scene.world.federation().read(|view| view.channel(&channel)).unwrap().unwrap();
    let hourly = control::FederatedChange::Channel(terms::Channel { interval_s: 3_600, ..known });
    scene.world.federation().commit(&control::Source::own("test"), |_| Ok(vec![hourly])).unwrap();
    scene.world.clock.advance(Duration::from_hours(6));
    recheck(&scene, &mut due).await;
    scene.world.clock.advance(Duration::from_mins(15));
    assert_eq!(recheck(&scene, &mut due).await, 1);
}

#[tokio::test]
async fn a_vendor_is_not_asked_about_evidence_that_is_over() {
    let (scene, mut due) = (Scene::new().await, recheck::Due::new());
    scene.api.say(SESSION, 200, session(|_| ()));
    scene.send(&golden("stripe verified")).await;
    for (days, asked) in [(371, 1), (1, 0)] {
        scene.world.clock.advance(Duration::from_hours(24 * days));
        assert_eq!(recheck(&scene, &mut due).await, asked);
    }
}

#[tokio::test]
async fn a_vendor_that_does_not_answer_becomes_stale_with_all_that_rests_on_it() {
    let (scene, mut due) = (Scene::new().await, recheck::Due::new());
    scene.api.say(SESSION, 200, session(|_| ()));
    scene.send(&golden("stripe verified")).await;
    scene.api.say(SESSION, 500, Value::Null);
    let stripe = ChannelId::parse("stripe").unwrap();
    let freshness = || {
        let channel = scene.world.federation().read(|view| view.channel(&stripe)).unwrap().unwrap();
        channel.freshness(scene.world.now())
    };
    for expected in [terms::Freshness::Fresh, terms::Freshness::Grace, terms::Freshness::Stale] {
        recheck(&scene, &mut due).await;
        assert_eq!(freshness(), expected);
        scene.world.clock.advance(Duration::from_hours(24));
    }
    scene.api.say(SESSION, 200, session(|_| ()));
    assert_eq!(recheck(&scene, &mut due).await, 1);
    assert_eq!((freshness(), scene.claims()), (terms::Freshness::Fresh, vec![korea()]));
}

#[tokio::test]
async fn a_person_has_one_name_at_a_vendor_and_a_name_is_one_persons() {
    let scene = Scene::new().await;
    let (stripe, ada) = (ChannelId::parse("stripe").unwrap(), PersonId::parse("ada").unwrap());
    let enroll = |person: &PersonId, subject: Option<&str>| {
        scene.hooks.enroll(&stripe, person, subject.map(|text| SubjectName::parse(text).unwrap()))
    };
    assert_eq!(enroll(&ada, None).unwrap().as_str(), "ada-7");
    assert_eq!(enroll(&ada, Some("ada-7")).unwrap().as_str(), "ada-7");
    assert!(matches!(enroll(&ada, Some("ada-8")), Err(Fault::Invalid(_))));
    let bob = PersonId::parse("bob").unwrap();
    assert!(matches!(enroll(&bob, None), Err(Fault::NotFound { .. })));
    scene.world.admin("POST /admin/v1/people", json!({ "id": "bob", "display_name": "Bob" })).await;
    assert!(matches!(enroll(&bob, Some("ada-7")), Err(Fault::Invalid(_))));
    let minted = enroll(&bob, None).unwrap();
    assert!(minted.as_str().len() == 34 && enroll(&bob, None).unwrap() == minted);
    let elsewhere = ChannelId::parse("proofing").unwrap();
    assert!(matches!(scene.hooks.enroll(&elsewhere, &bob, None), Err(Fault::NotFound { .. })));
}

#[tokio::test]
async fn a_channel_that_is_another_sources_is_not_taken_over() {
    let scene = Scene::new().await;
    let folder = tempfile::tempdir().unwrap();
    let made = |channel: &str| {
        let vendor = vendor(channel, "stripe", Url::parse("https://api.example.com").unwrap());
        let (client, vault) = (scene.hooks.0.client.clone(), Arc::new(Vault::open(folder.path()).unwrap()));
        Webhooks::new(scene.world.federation(), client, Arc::new(trust()), vault, vec![vendor])
    };
    assert!(matches!(made("larkspur-hr"), Err(BadVendor::Taken(_))));
    assert!(made("stripe").is_ok() && made("second-stripe").is_ok());
}

#[tokio::test]
async fn of_a_vendors_answer_only_what_the_policy_decides_by_is_in_any_file() {
    let scene = Scene::new().await;
    let personal = ["Adelheid", "Quillfeather", "X7654321", "Elm Street 4711", "1990-03-02", "\"nationalities\""];
    scene.api.say(
        SESSION,
        200,
        session(|answer| {
            answer["verified_outputs"] = json!({ "first_name": personal[0], "address": { "line1": personal[3] } });
            let document = &mut answer["last_verification_report"]["document"];
            document["last_name"] = json!(personal[1]);
            document["number"] = json!(personal[2]);
            document["dob"] = json!(personal[4]);
        }),
    );
    assert_eq!(scene.send(&golden("stripe verified")).await.0, 200);
    assert_eq!((scene.claims(), scene.documents()), (vec![korea()], 1));
    let files = scene.world.stored();
    let holds = |text: &str| {
        let held = |bytes: &[u8]| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        files.iter().filter(|(_, bytes)| held(bytes)).count()
    };
    for text in personal {
        assert_eq!(holds(text), 0, "{text}");
    }
    assert!(holds("stripe/vs_1#") >= 2, "the commitment is in the ledger and in the registry");
    assert!(holds("\"citizenship\"") >= 2, "and so is what the policy decides by");
}
