//! Our own credential, as others see it.

use std::io::Read as _;

use control::{Actor, FederatedChange, PersonUpdate, Role, Source};
use jose::{
    Jwk,
    dpop::{self, Htu},
};
use terms::{Account, AccountState, Affiliation, AttestationId, Claim, OrganizationId, SubjectName, UsPersonLimb};
use vc::sd_jwt_vc::SdJwtVc;

use super::*;

/// Attests that Ada is a citizen of the United States, as a registrar would.
fn attest(scene: &Scene) {
    attest_through(scene, None, 30);
}

fn attest_through(scene: &Scene, channel: Option<&str>, days: u64) {
    let now = scene.world.now();
    let attestation = Attestation {
        id: AttestationId::parse("standing-1").unwrap(),
        person: ada(),
        claim: Claim::UsPerson { limb: UsPersonLimb::Citizen },
        issuer: IssuerId::parse("registrar").unwrap(),
        evidence: "file/1".to_owned(),
        assurance: Assurance::Ial2,
        issued_at: now,
        expires_at: now.plus(Duration::from_secs(days * 86_400)),
        supersedes: None,
        means: None,
        fresh_until: None,
        channel: channel.map(|id| ChannelId::parse(id).unwrap()),
    };
    commit(scene, FederatedChange::Attestation(attestation));
}

fn commit(scene: &Scene, change: FederatedChange) {
    scene.federation().commit(&Source::own("test.change"), |_| Ok(vec![change])).unwrap();
}

fn withdraw(scene: &Scene) {
    let attestation = AttestationId::parse("standing-1").unwrap();
    commit(scene, FederatedChange::Withdrawal { attestation, reason: "test".to_owned() });
}

fn ended_affiliation(scene: &Scene) -> Affiliation {
    let held = scene.world.ada().affiliations.remove(0);
    Affiliation { ends_at: scene.world.now(), ..held }
}

fn suspended_account() -> FederatedChange {
    let account = Account {
        channel: ChannelId::parse("larkspur-hr").unwrap(),
        subject: SubjectName::parse("2819").unwrap(),
        organization: Some(OrganizationId::parse("larkspur").unwrap()),
        state: AccountState::Suspended,
        sessions_end: None,
    };
    FederatedChange::Account { person: ada(), account }
}

fn deactivate(scene: &Scene) {
    let actor = Actor::process("test", Role::Root);
    let update: PersonUpdate = serde_json::from_value(json!({ "active": false })).unwrap();
    scene.world.control.admin(&actor).registrar().unwrap().update_person(&ada(), update).unwrap();
}

async fn ask(scene: &Scene, target: &str) -> (StatusCode, String) {
    let link = scene.link();
    let target = Htu::parse(target).unwrap();
    let request = dpop::Request { method: "POST", target: &target, access_token: None };
    let proof = dpop::prove(&scene.holder, &request, None, scene.world.now()).unwrap();
    let request = Request::post("/wallet/clearances")
        .header(header::CONTENT_TYPE, "application/json")
        .header("dpop", proof)
        .body(Body::from(json!({ "link": link }).to_string()));
    scene.send(request.unwrap()).await
}

async fn issued(scene: &Scene) -> SdJwt {
    let (status, body) = ask(scene, &format!("{ORIGIN}/wallet/clearances")).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    let body: Value = serde_json::from_str(&body).unwrap();
    SdJwt::parse(body["credential"].as_str().unwrap()).unwrap()
}

/// Finds our key as anybody else would.
async fn our_trust(scene: &Scene) -> Trust {
    let (_, body) = scene.call("GET", "/.well-known/jwt-vc-issuer", "text/plain", String::new()).await;
    let metadata: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(metadata["issuer"], ORIGIN);
    Trust::Keys(Jwks::from_iter([Jwk::from_value(&metadata["jwks"]["keys"][0]).unwrap()]))
}

async fn status_of(scene: &Scene, credential: &SdJwtVc) -> Status {
    let reference = credential.status.clone().unwrap();
    let path = reference.uri.strip_prefix(ORIGIN).unwrap();
    let (status, token) = scene.call("GET", path, "text/plain", String::new()).await;
    assert_eq!(status, StatusCode::OK);
    let trust = our_trust(scene).await;
    let list = StatusListToken::verify(&token, &trust, &reference.uri, scene.world.now()).unwrap();
    list.list.get(reference.idx as usize).unwrap()
}

#[tokio::test]
async fn others_verify_our_credential_and_see_it_revoked_when_the_persons_standing_changes() {
    let scene = Scene::new(false).await;
    attest(&scene);
    let sd_jwt = issued(&scene).await;
    let credential = SdJwtVc::verify(&sd_jwt, &our_trust(&scene).await, scene.world.now()).unwrap();
    assert_eq!(credential.vct, "urn:exeat:clearance:1");
    assert_eq!(credential.claims["standing"], "us_person");
    assert_eq!(credential.claims["organizations"], json!(["larkspur"]));
    assert_eq!(credential.claims["clearance"], "attested");
    assert_eq!(credential.holder.as_ref().unwrap().thumbprint(), scene.holder.public().thumbprint());
    assert_eq!(status_of(&scene, &credential).await, Status::Valid);
    assert_eq!(scene.wallet.revoke_ended().await.unwrap(), 0);
    withdraw(&scene);
    assert_eq!(scene.wallet.revoke_ended().await.unwrap(), 1);
    assert_eq!(status_of(&scene, &credential).await, Status::Invalid);
}

#[tokio::test]
async fn our_list_says_so_within_a_second_of_the_end_before_anything_is_recorded_of_it() {
    let scene = Scene::new(false).await;
    attest(&scene);
    let issued = issued(&scene).await;
    let credential = SdJwtVc::verify(&issued, &our_trust(&scene).await, scene.world.now()).unwrap();
    assert_eq!(status_of(&scene, &credential).await, Status::Valid);
    withdraw(&scene);
    scene.advance(1);
    assert_eq!(status_of(&scene, &credential).await, Status::Invalid);
}

#[tokio::test]
async fn a_credential_ends_with_an_employment_an_account_or_the_persons_access() {
    for end in ["affiliation", "account", "person"] {
        let scene = Scene::new(false).await;
        attest(&scene);
        let credential = SdJwtVc::verify(&issued(&scene).await, &our_trust(&scene).await, scene.world.now()).unwrap();
        match end {
            "affiliation" => commit(&scene, FederatedChange::Affiliation(ended_affiliation(&scene))),
            "account" => commit(&scene, suspended_account()),
            _ => deactivate(&scene),
        }
        assert_eq!(status_of(&scene, &credential).await, Status::Invalid, "{end}");
        assert_eq!(scene.wallet.revoke_ended().await.unwrap(), 1, "{end}");
        assert_eq!(status_of(&scene, &credential).await, Status::Invalid, "{end}");
    }
}

#[tokio::test]
async fn a_credential_is_good_no_longer_than_what_it_rests_on() {
    let scene = Scene::new(false).await;
    attest_through(&scene, None, 1);
    let credential = SdJwtVc::verify(&issued(&scene).await, &our_trust(&scene).await, scene.world.now()).unwrap();
    assert_eq!(credential.times.exp, Some(scene.world.now().plus(Duration::from_secs(86_400))));
}

#[tokio::test]
async fn a_credential_is_suspended_while_a_source_is_silent_and_good_again_when_it_speaks() {
    let scene = Scene::new(false).await;
    attest_through(&scene, Some("proofing"), 30);
    let credential = SdJwtVc::verify(&issued(&scene).await, &our_trust(&scene).await, scene.world.now()).unwrap();
    assert_eq!(status_of(&scene, &credential).await, Status::Valid);
    scene.advance(3_600 + 600);
    assert_eq!(scene.wallet.revoke_ended().await.unwrap(), 0);
    assert_eq!(status_of(&scene, &credential).await, Status::Suspended);
    assert_eq!(ask(&scene, &format!("{ORIGIN}/wallet/clearances")).await.0, StatusCode::FORBIDDEN);
    scene.federation().heard(&ChannelId::parse("proofing").unwrap(), scene.world.now()).unwrap();
    scene.advance(1);
    assert_eq!(status_of(&scene, &credential).await, Status::Valid);
}

#[tokio::test]
async fn our_list_is_served_to_anybody_as_its_media_type_and_compressed_on_demand() {
    let scene = Scene::new(false).await;
    let get = async |name: &str, value: &str| {
        let request = Request::get("/status-lists/1").header(name, value).body(Body::empty()).unwrap();
        let response = scene.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        (head, to_bytes(body, 1 << 20).await.unwrap())
    };
    let (head, plain) = get("accept", "application/statuslist+jwt").await;
    assert_eq!(head.headers[header::CONTENT_TYPE], "application/statuslist+jwt");
    assert_eq!(head.headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    assert!(!head.headers.contains_key(header::CONTENT_ENCODING));
    let (head, packed) = get("accept-encoding", "br, GZIP;q=0.8").await;
    assert_eq!(head.headers[header::CONTENT_ENCODING], "gzip");
    let mut inflated = Vec::new();
    flate2::read::GzDecoder::new(packed.as_ref()).read_to_end(&mut inflated).unwrap();
    assert_eq!(inflated, plain);
    assert!(!get("accept-encoding", "gzip;q=0, br").await.0.headers.contains_key(header::CONTENT_ENCODING));
    assert_eq!(get("accept", "application/statuslist+cwt").await.0.status, StatusCode::NOT_ACCEPTABLE);
    let token = jose::Unverified::parse(std::str::from_utf8(&plain).unwrap(), &jose::usage::STATUS_LIST).unwrap();
    assert_eq!(token.header().get("typ"), Some(&json!("statuslist+jwt")));
}

#[tokio::test]
async fn a_revoked_credential_stays_revoked_and_is_forgotten_when_it_is_over() {
    let scene = Scene::new(false).await;
    attest(&scene);
    let sd_jwt = issued(&scene).await;
    let credential = SdJwtVc::verify(&sd_jwt, &our_trust(&scene).await, scene.world.now()).unwrap();
    assert_eq!(credential.times.exp, Some(scene.world.now().plus(Duration::from_secs(7 * 86_400))));
    scene.advance(7 * 86_400);
    assert_eq!(scene.wallet.revoke_ended().await.unwrap(), 1);
    assert_eq!(scene.wallet.revoke_ended().await.unwrap(), 0);
}

#[tokio::test]
async fn nothing_is_issued_without_standing_or_without_proof_of_the_key() {
    let scene = Scene::new(false).await;
    assert_eq!(ask(&scene, &format!("{ORIGIN}/wallet/clearances")).await.0, StatusCode::FORBIDDEN);
    attest(&scene);
    assert_eq!(ask(&scene, &format!("{ORIGIN}/wallet/other")).await.0, StatusCode::BAD_REQUEST);
    let body = json!({ "link": scene.link() }).to_string();
    assert_eq!(scene.call("POST", "/wallet/clearances", "application/json", body).await.0, StatusCode::BAD_REQUEST);
    let (status, _) = scene.call("GET", "/status-lists/2", "text/plain", String::new()).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}
