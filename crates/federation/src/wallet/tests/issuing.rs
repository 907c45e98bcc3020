//! Issuers: registered, found, and no longer trusted.

use std::sync::atomic::{AtomicU32, Ordering};

use control::Fault;

use super::*;
use crate::wallet::watch::Due;

/// An issuer that publishes a key beside its name; counts how often it was asked.
struct Publisher {
    iss: String,
    keys: Arc<Mutex<Value>>,
    asked: Arc<AtomicU32>,
}

impl Publisher {
    async fn new() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let iss = format!("http://{}", listener.local_addr().unwrap());
        let (keys, asked) = (Arc::new(Mutex::new(json!({}))), Arc::new(AtomicU32::new(0)));
        let (served, counted) = (Arc::clone(&keys), Arc::clone(&asked));
        let serve = move || {
            counted.fetch_add(1, Ordering::SeqCst);
            let metadata = served.lock().unwrap().to_string();
            async move { metadata }
        };
        let router = Router::new().route("/.well-known/jwt-vc-issuer", get(serve));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { iss, keys, asked }
    }

    fn publish(&self, issuer: &str, key: &SigningKey) {
        *self.keys.lock().unwrap() = json!({ "issuer": issuer, "jwks": { "keys": [key.public().to_value()] } });
    }

    fn asked(&self) -> u32 {
        self.asked.load(Ordering::SeqCst)
    }

    fn issuer(&self, scene: &Scene) -> CredentialIssuer {
        let (iss, keys) = (Some(self.iss.clone()), CredentialKeys::Discovered);
        CredentialIssuer { iss, keys, ..trusted(&scene.issuer) }
    }
}

fn pid_of(scene: &Scene, iss: &str) -> SdJwt {
    let mut claims = scene.pid();
    claims.insert("iss".to_owned(), json!(iss));
    scene.issue(claims, json!(["nationalities"]))
}

#[tokio::test]
async fn the_keys_of_an_issuer_are_found_beside_its_name_and_again_when_they_change() {
    let mut scene = Scene::empty(false).await;
    let publisher = Publisher::new().await;
    publisher.publish(&publisher.iss, &scene.issuer);
    scene.wallet.set_issuer(&publisher.issuer(&scene)).unwrap();
    assert_eq!(scene.present(pid_of(&scene, &publisher.iss)).await.0, StatusCode::OK);
    assert_eq!(scene.present(pid_of(&scene, &publisher.iss)).await.0, StatusCode::OK);
    assert_eq!(publisher.asked(), 1);
    scene.issuer = SigningKey::generate(Alg::Es256).unwrap();
    scene.advance(61);
    scene.publish(Status::Valid);
    publisher.publish(&publisher.iss, &scene.issuer);
    assert_eq!(scene.present(pid_of(&scene, &publisher.iss)).await.0, StatusCode::OK);
    assert_eq!(publisher.asked(), 2);
}

#[tokio::test]
async fn credentials_with_unknown_keys_do_not_make_us_ask_their_issuer_each_time() {
    let mut scene = Scene::empty(false).await;
    let publisher = Publisher::new().await;
    publisher.publish(&publisher.iss, &scene.issuer);
    scene.wallet.set_issuer(&publisher.issuer(&scene)).unwrap();
    scene.issuer = SigningKey::generate(Alg::Es256).unwrap();
    for _ in 0..5 {
        assert_eq!(scene.present(pid_of(&scene, &publisher.iss)).await.0, StatusCode::BAD_REQUEST);
    }
    assert_eq!(publisher.asked(), 1);
}

#[tokio::test]
async fn metadata_of_another_issuer_is_not_taken() {
    let scene = Scene::empty(false).await;
    let publisher = Publisher::new().await;
    publisher.publish("https://other.example", &scene.issuer);
    scene.wallet.set_issuer(&publisher.issuer(&scene)).unwrap();
    let (status, body) = scene.present(pid_of(&scene, &publisher.iss)).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{body}");
    assert!(scene.attestations().is_empty());
}

#[tokio::test]
async fn without_an_issuer_nobody_is_asked() {
    let scene = Scene::empty(false).await;
    let body = json!({ "link": scene.link() }).to_string();
    let (status, body) = scene.call("POST", "/wallet/presentations", "application/json", body).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{body}");
}

#[tokio::test]
async fn settings_of_an_issuer_that_cannot_be_meant_are_refused_by_name() {
    let scene = Scene::empty(false).await;
    let good = trusted(&scene.issuer);
    let keys = |keys| CredentialIssuer { keys, ..good.clone() };
    for (field, issuer) in [
        ("vct_values", CredentialIssuer { vct_values: Vec::new(), ..good.clone() }),
        ("vct_values", CredentialIssuer { vct_values: vec!["urn:example:diploma".to_owned()], ..good.clone() }),
        ("iss", CredentialIssuer { iss: None, ..good.clone() }),
        ("iss", CredentialIssuer { iss: Some("x".repeat(513)), ..good.clone() }),
        ("iss", CredentialIssuer { iss: Some("pid".to_owned()), keys: CredentialKeys::Discovered, ..good.clone() }),
        ("keys", keys(CredentialKeys::Given(json!({ "keys": [] })))),
        ("keys", keys(CredentialKeys::Roots("no certificate".to_owned()))),
    ] {
        let Err(Fault::Invalid(faults)) = scene.wallet.set_issuer(&issuer) else { panic!("{field}") };
        assert_eq!(faults[0].field, field);
    }
    assert_eq!(scene.wallet.issuers().unwrap(), []);
}

#[tokio::test]
async fn what_rests_on_an_issuer_that_is_removed_counts_no_longer_until_it_is_trusted_again() {
    let scene = Scene::new(false).await;
    scene.present_pid().await;
    assert_eq!(scene.wallet.issuers().unwrap(), [trusted(&scene.issuer)]);
    let enabled = || scene.federation().read(|view| view.channel(&scene.channel())).unwrap().unwrap().enabled;
    scene.wallet.remove_issuer(&issuer_id()).unwrap();
    assert!(!enabled());
    let directory = scene.world.control.directory();
    assert!(!directory.channel(&scene.channel()).unwrap().enabled);
    assert!(matches!(scene.wallet.remove_issuer(&issuer_id()), Err(Fault::NotFound { .. })));
    let heard_at = directory.channel(&scene.channel()).unwrap().heard_at;
    scene.advance(100);
    scene.publish(Status::Valid);
    scene.wallet.watch(&mut Due::default()).await.unwrap();
    assert_eq!(directory.channel(&scene.channel()).unwrap().heard_at, heard_at);
    scene.wallet.set_issuer(&trusted(&scene.issuer)).unwrap();
    assert!(enabled());
}

#[tokio::test]
async fn issuers_and_what_is_watched_outlive_a_restart() {
    let scene = Scene::new(false).await;
    scene.present_pid().await;
    let parts = WalletParts {
        control: scene.world.control.clone(),
        trust: Arc::new(trust_list()),
        client: client(),
        pages: None,
    };
    let settings = WalletSettings {
        origin: ORIGIN.to_owned(),
        data_dir: scene.dir.path().join("keys"),
        certificate: None,
        encrypted: false,
    };
    let again = Wallet::open(parts, settings).unwrap();
    assert_eq!(again.issuers().unwrap(), [trusted(&scene.issuer)]);
    scene.publish(Status::Invalid);
    again.watch(&mut Due::default()).await.unwrap();
    assert!(scene.attestations().is_empty());
}
