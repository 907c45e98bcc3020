//! What happens when a status list changes, or is silent.

use std::collections::BTreeMap;

use control::{Effect, Publish};
use identity::Change;
use terms::Freshness;

use super::*;
use crate::wallet::{
    names::{CREDENTIALS, LISTS},
    watch::Due,
};

#[tokio::test]
async fn what_rests_on_a_credential_is_withdrawn_when_it_is_revoked_or_suspended() {
    for status in [Status::Invalid, Status::Suspended, Status::Other(3)] {
        let scene = Scene::new(false).await;
        scene.present_pid().await;
        let mut due = Due::default();
        scene.wallet.watch(&mut due).await.unwrap();
        assert_eq!(scene.attestations().len(), 2);
        scene.advance(61);
        scene.publish(status);
        scene.wallet.watch(&mut due).await.unwrap();
        assert!(scene.attestations().is_empty(), "{status:?}");
        let watched = scene.federation().read(|view| view.documents(CREDENTIALS, "", 10));
        assert!(watched.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_list_that_no_longer_has_the_entry_takes_it_back() {
    let scene = Scene::new(false).await;
    scene.present_pid().await;
    scene.advance(61);
    scene.publish_of(Status::Valid, scene.world.now(), 4);
    scene.wallet.watch(&mut Due::default()).await.unwrap();
    assert!(scene.attestations().is_empty());
}

#[tokio::test]
async fn a_list_is_fetched_again_when_its_ttl_is_over_and_not_before() {
    let scene = Scene::new(false).await;
    scene.present_pid().await;
    let mut due = Due::default();
    scene.wallet.watch(&mut due).await.unwrap();
    scene.advance(59);
    scene.publish(Status::Invalid);
    scene.wallet.watch(&mut due).await.unwrap();
    assert_eq!(scene.attestations().len(), 2);
    scene.advance(1);
    scene.wallet.watch(&mut due).await.unwrap();
    assert!(scene.attestations().is_empty());
}

#[tokio::test]
async fn only_a_list_that_was_fetched_and_verified_keeps_its_channel_alive() {
    let scene = Scene::new(false).await;
    scene.present_pid().await;
    let mut due = Due::default();
    let heard_at = || scene.federation().read(|view| view.channel(&scene.channel())).unwrap().unwrap().heard_at;
    scene.advance(100);
    scene.publish(Status::Valid);
    scene.wallet.watch(&mut due).await.unwrap();
    let heard = scene.world.now();
    assert_eq!(heard_at(), heard);
    scene.advance(100);
    scene.unpublish();
    scene.wallet.watch(&mut due).await.unwrap();
    assert_eq!(heard_at(), heard);
    scene.advance(100);
    // An older list than the one seen before: whoever serves it hides what changed since.
    scene.publish_of(Status::Valid, heard, 100);
    scene.wallet.watch(&mut due).await.unwrap();
    assert_eq!(heard_at(), scene.world.now());
    scene.advance(100);
    scene.publish_of(Status::Valid, Moment::from_millis(heard.as_millis() - 1000), 100);
    scene.wallet.watch(&mut due).await.unwrap();
    assert!(heard_at() < scene.world.now());
}

/// Publishes a list whose compressed entries are `lst`.
fn publish_packed(scene: &Scene, lst: &str) {
    let list = json!({ "bits": 1, "lst": lst });
    let claims = json!({ "sub": scene.list_uri, "iat": scene.at(0), "ttl": 60, "status_list": list });
    let token = scene.issuer.sign("statuslist+jwt", &Object::new(), &claims).unwrap();
    *scene.published.lock().unwrap() = Some(token);
}

#[tokio::test]
async fn a_list_that_inflates_beyond_all_bounds_or_is_too_long_to_fetch_tells_nothing() {
    let scene = Scene::new(false).await;
    scene.present_pid().await;
    let mut due = Due::default();
    scene.wallet.watch(&mut due).await.unwrap();
    let heard_at = || scene.federation().read(|view| view.channel(&scene.channel())).unwrap().unwrap().heard_at;
    let heard = heard_at();
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut encoder, &vec![0; 64 << 20]).unwrap();
    let bomb = jose::base64url::encode(encoder.finish().unwrap());
    for lst in [bomb, "A".repeat(2 << 20)] {
        scene.advance(100);
        publish_packed(&scene, &lst);
        scene.wallet.watch(&mut due).await.unwrap();
        assert_eq!(heard_at(), heard);
        assert_eq!(scene.attestations().len(), 2);
    }
}

#[tokio::test]
async fn what_rests_on_a_list_that_nobody_serves_any_more_is_stale_after_ten_minutes() {
    let scene = Scene::new(false).await;
    scene.present_pid().await;
    let mut due = Due::default();
    scene.wallet.watch(&mut due).await.unwrap();
    scene.unpublish();
    let directory = scene.world.control.directory();
    let freshness = || directory.channel(&scene.channel()).unwrap().freshness(scene.world.now());
    for (seconds, expected) in
        [(299, Freshness::Fresh), (2, Freshness::Grace), (298, Freshness::Grace), (2, Freshness::Stale)]
    {
        scene.advance(seconds);
        scene.wallet.watch(&mut due).await.unwrap();
        assert_eq!(freshness(), expected);
    }
    scene.publish(Status::Valid);
    scene.advance(10);
    scene.wallet.watch(&mut due).await.unwrap();
    assert_eq!(freshness(), Freshness::Fresh);
}

#[tokio::test]
async fn how_long_a_list_is_relied_on_is_what_the_table_of_freshness_says() {
    let scene = Scene::new(false).await;
    let bundled: Value = serde_json::from_str(include_str!("../../../../policy/data/freshness.json")).unwrap();
    let mut table = bundled;
    table["channels"]["status_list"] = json!({ "interval_s": 30, "grace_s": 20 });
    scene.world.control.attach_freshness(policy::FreshnessTable::parse(table.to_string().as_bytes()).unwrap());
    scene.present_pid().await;
    let channel = scene.federation().read(|view| view.channel(&scene.channel())).unwrap().unwrap();
    assert_eq!((channel.interval_s, channel.grace_s), (30, 20));
    let mut due = Due::default();
    scene.wallet.watch(&mut due).await.unwrap();
    let heard_at = || scene.world.control.directory().channel(&scene.channel()).unwrap().heard_at;
    let heard = heard_at();
    // The list itself would be good for 60 s.
    for (seconds, again) in [(29, false), (1, true)] {
        scene.advance(seconds);
        scene.wallet.watch(&mut due).await.unwrap();
        assert_eq!(heard_at() > heard, again);
    }
}

#[tokio::test]
async fn a_revocation_reaches_live_calls_before_the_list_counts_as_heard() {
    let scene = Scene::new(false).await;
    scene.present_pid().await;
    let mut due = Due::default();
    scene.wallet.watch(&mut due).await.unwrap();
    let seen = Arc::new(Recalls::default());
    scene.world.control.attach(Arc::clone(&seen) as Arc<dyn Publish>);
    scene.advance(61);
    scene.publish(Status::Invalid);
    scene.wallet.watch(&mut due).await.unwrap();
    let changes = seen.0.lock().unwrap();
    let at = |found: &dyn Fn(&Change) -> bool| changes.iter().position(found);
    let withdrawn = at(&|change| matches!(change, Change::Person(person) if bare(person))).unwrap();
    assert!(at(&|change| matches!(change, Change::Channel(_))).is_none_or(|heard| withdrawn < heard));
}

/// Says whether a change leaves Ada without what her wallet showed.
fn bare(person: &terms::Person) -> bool {
    person.id == ada() && person.attestations.iter().all(|one| one.issuer != issuer_id())
}

/// What live calls are told, in order.
#[derive(Default)]
struct Recalls(Mutex<Vec<Change>>);

impl Publish for Recalls {
    fn directory(&self, change: Change) -> Effect {
        self.0.lock().unwrap().push(change);
        Effect::default()
    }

    fn snapshot(&self, _: Arc<policy::Snapshot>) -> Effect {
        Effect::default()
    }

    fn live(&self) -> BTreeMap<(terms::KeyId, terms::ModelVersionId), u64> {
        BTreeMap::new()
    }
}

#[tokio::test]
async fn what_is_over_is_forgotten_and_its_list_is_watched_no_longer_until_somebody_presents_again() {
    let scene = Scene::new(false).await;
    scene.present_pid().await;
    let read = |collection: &'static str| {
        scene.federation().read(move |view| Ok(view.documents(collection, "", 10)?.len())).unwrap()
    };
    assert_eq!((read(CREDENTIALS), read(LISTS)), (1, 1));
    scene.advance(7 * 86_400);
    scene.wallet.watch(&mut Due::default()).await.unwrap();
    assert_eq!((read(CREDENTIALS), read(LISTS)), (0, 0));
    let channel = || scene.federation().read(|view| view.channel(&scene.channel())).unwrap().unwrap();
    assert!(!channel().enabled);
    scene.publish(Status::Valid);
    scene.present_pid().await;
    assert_eq!((read(CREDENTIALS), read(LISTS)), (1, 1));
    assert!(channel().enabled);
}

#[tokio::test]
async fn the_watch_runs_until_it_is_told_to_stop() {
    let scene = Scene::new(false).await;
    scene.present_pid().await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    scene.advance(61);
    scene.publish(Status::Invalid);
    let running = tokio::spawn(scene.wallet.clone().run(async { drop(stopped.await) }));
    while !scene.attestations().is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop.send(()).unwrap();
    running.await.unwrap();
}
