//! An honest person who lost their access proves themselves again, and the next call is allowed.

use aws_lc_rs::hmac;
use control::{FederatedChange, Source, View};
use policy::Determination;
use terms::{AffiliationId, Engagement};

use super::*;
use crate::{
    attest::{Said, Statement, accept},
    page::{Known, Pages},
};

/// What the gateway would answer Ada now.
fn answer(scene: &Scene) -> Result<(), &'static str> {
    let ada = PersonId::parse("ada").unwrap();
    let known = Known::find(&scene.world.federation(), &ada).unwrap().unwrap();
    match &known.decided(&scene.world.control.snapshot())[..] {
        [(_, Determination::Permit(_))] => Ok(()),
        [(_, Determination::Refuse(refusal))] => Err(refusal.code().as_str()),
        other => panic!("{other:?}"),
    }
}

/// Ada's page, as she sees it by a link.
async fn page(scene: &Scene) -> String {
    let pages =
        Pages::new(scene.world.control.clone(), "https://exeat.example.com", Some("/wallet/present".to_owned()));
    let link = pages.link(&PersonId::parse("ada").unwrap()).unwrap();
    let entered = pages.router().oneshot(Request::post(link.as_str()).body(Body::empty()).unwrap()).await.unwrap();
    let cookie = entered.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let request = Request::get("/me").header("cookie", cookie).body(Body::empty()).unwrap();
    let shown = pages.router().oneshot(request).await.unwrap();
    String::from_utf8(shown.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

/// Signs a delivery about session `vs_1` now, as its vendor does.
fn signed(scene: &Scene, event: &str, kind: &str) -> Golden {
    let object = json!({ "id": "vs_1", "object": "identity.verification_session" });
    let body = json!({
        "id": event, "type": format!("identity.verification_session.{kind}"), "data": { "object": object },
    });
    let (body, time) = (body.to_string(), scene.world.now().as_millis() / 1_000);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, b"whsec_larkspur"), format!("{time}.{body}").as_bytes());
    let tag: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    Golden { vendor: "stripe".to_owned(), header: format!("t={time},v1={tag}"), body }
}

/// What the vendor's API says after Ada showed a passport of the United States, now.
fn passport(scene: &Scene) -> Value {
    let created = scene.world.now().as_millis() / 1_000;
    session(|answer| {
        answer["last_verification_report"]["created"] = json!(created);
        answer["last_verification_report"]["document"]["issuing_country"] = json!("US");
    })
}

/// Her employer's word that she is a citizen, as of now.
fn vouch(scene: &Scene) {
    let channel = ChannelId::parse("larkspur-hr").unwrap();
    let (ada, issuer) = (PersonId::parse("ada").unwrap(), IssuerId::parse("employer").unwrap());
    let statement = Statement {
        said: Said::Claim(Claim::UsPerson { limb: terms::UsPersonLimb::Citizen }),
        assurance: Assurance::Ial2,
        means: Some(terms::Means::Vouch),
        framework: None,
        evidence: "hr/1".to_owned(),
        issued_at: scene.world.now(),
        expires_at: None,
    };
    let source = Source::evidence(channel.clone(), "test.vouch", "message");
    let made = |view: &View<'_>| {
        Ok(accept(view, &trust(), &ada, &issuer, Some(&channel), std::slice::from_ref(&statement), view.now())?)
    };
    scene.world.federation().commit(&source, made).unwrap();
}

/// A scene in which foreign persons are barred, Ada is employed for years, and her employer's directory need not be heard.
async fn scene() -> Scene {
    let scene = Scene::new().await;
    scene.world.direct(|order| order["evidence"]["max_age_hours"] = json!(8_784));
    let federation = scene.world.federation();
    let hr = ChannelId::parse("larkspur-hr").unwrap();
    let hr = federation.read(|view| view.channel(&hr)).unwrap().unwrap();
    let work = terms::Affiliation {
        id: AffiliationId::parse("aff-ada").unwrap(),
        engagement: Engagement::Employee,
        ends_at: scene.world.now().plus(Duration::from_hours(24 * 1_000)),
        ..scene.world.ada().affiliations.remove(0)
    };
    let changes =
        vec![FederatedChange::Channel(terms::Channel { interval_s: 0, ..hr }), FederatedChange::Affiliation(work)];
    federation.commit(&Source::own("test"), |_| Ok(changes)).unwrap();
    scene
}

#[tokio::test]
async fn a_person_whose_vouch_ran_out_shows_a_passport_and_the_next_call_is_allowed() {
    let scene = scene().await;
    vouch(&scene);
    assert_eq!(answer(&scene), Ok(()));
    scene.world.clock.advance(Duration::from_hours(24 * 97));
    assert_eq!(answer(&scene), Err("standing_unattested"));
    let told = page(&scene).await;
    assert!(told.contains("<code>standing_unattested</code>") && told.contains("href=\"/wallet/present\""), "{told}");
    assert!(told.contains("U.S. person: citizen") && told.contains("class=\"no\">stale</td>"), "{told}");

    // The vendor was asked all the while.
    scene.hooks.recheck(&mut recheck::Due::new()).await;
    scene.world.clock.advance(Duration::from_secs(60));
    scene.api.say(SESSION, 200, passport(&scene));
    assert_eq!(scene.send(&signed(&scene, "evt_new", "verified")).await.0, 200);
    assert_eq!(answer(&scene), Ok(()));
    let told = page(&scene).await;
    assert!(told.contains("You can use it now.") && !told.contains("What restores access"), "{told}");
}

#[tokio::test]
async fn a_person_whose_evidence_was_redacted_is_cut_off_at_once_told_why_and_back_after_a_new_session() {
    let scene = scene().await;
    scene.api.say(SESSION, 200, passport(&scene));
    assert_eq!(scene.send(&signed(&scene, "evt_a", "verified")).await.0, 200);
    assert_eq!(answer(&scene), Ok(()));

    scene.world.clock.advance(Duration::from_secs(60));
    scene.api.say(SESSION, 200, session(|answer| answer["redaction"] = json!({ "status": "redacted" })));
    assert_eq!(scene.send(&signed(&scene, "evt_b", "redacted")).await.0, 200);
    assert_eq!(answer(&scene), Err("standing_unattested"));
    let told = page(&scene).await;
    assert!(told.contains("the vendor no longer has the evidence"), "{told}");
    assert!(told.contains("<code>webhook.withdrawn</code>"), "{told}");

    scene.world.clock.advance(Duration::from_secs(60));
    scene.api.say(SESSION, 200, passport(&scene));
    assert_eq!(scene.send(&signed(&scene, "evt_c", "verified")).await.0, 200);
    assert_eq!(answer(&scene), Ok(()));
    assert!(!page(&scene).await.contains("What ended"));
}
