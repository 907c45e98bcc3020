//! Our transmitter and our receiver, each at an installation of its own.

use std::{sync::Arc, time::Duration};

use control::{FederatedChange, Source};
use federation::{KeyCache, KeySource, KeyTerms, Receive, Receiver, ReceiverParts, SsfReceiver, Vault, register};
use fetch::{AddressRule, Client, Roots};
use secevent::stream::DefaultSubjects;
use serde_json::json;
use terms::{Account, ChannelId, Clock, Moment, OrganizationId, PersonId};

use super::world::{self, CAEP, ISSUER, World};

/// The installation that listens: a receiver whose transmitter is `world`, and where it takes pushes.
async fn other(world: &World, dir: &std::path::Path) -> (control::Control, String, tokio::task::JoinHandle<()>) {
    let clock = Arc::clone(&world.clock) as Arc<dyn Clock>;
    let (control, ledger) = world::control(dir, Arc::clone(&clock));
    world::fill(&control);
    let client =
        Client::new(fetch::Settings::new(Roots::native().unwrap(), AddressRule::allowing(["127.0.0.1"]).unwrap()));
    let receiver = Receiver::new(ReceiverParts {
        federation: control.federation(),
        client: client.clone(),
        keys: KeyCache::new(client, clock, KeyTerms::default()),
        vault: Arc::new(Vault::open(&dir.join("vault")).unwrap()),
        secrets: dir.join("secrets"),
        base_url: "https://other.example".to_owned(),
    });
    let keys = world.call("GET /ssf/jwks.json", "", serde_json::Value::Null).await.body;
    register(
        &control.federation(),
        &SsfReceiver {
            channel: ChannelId::parse("exeat").unwrap(),
            organization: Some(OrganizationId::parse("acme").unwrap()),
            issuer: ISSUER.to_owned(),
            audience: "https://acme-soc.example".to_owned(),
            keys: KeySource::Given(keys),
            delivery: Receive::Push { authorization: None },
            management: None,
            stream_id: None,
            tenant: None,
            verify_every_s: 0,
            grace_s: 0,
        },
    )
    .unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/ssf/push/exeat", listener.local_addr().unwrap());
    let app = receiver.router();
    let serving = tokio::spawn(async move {
        let _held = ledger;
        axum::serve(listener, app).await.unwrap();
    });
    (control, url, serving)
}

fn sessions_end(control: &control::Control) -> Option<Moment> {
    let ada = PersonId::parse("ada").unwrap();
    let ada = control.federation().read(|view| view.person(&ada)).unwrap().unwrap();
    ada.accounts.iter().filter_map(|account| account.sessions_end).max()
}

#[tokio::test]
async fn a_session_that_is_revoked_here_is_over_at_the_installation_that_listens() {
    let world = World::new().await;
    let dir = tempfile::tempdir().unwrap();
    let (control, url, serving) = other(&world, dir.path()).await;
    let secret = world.receiver("acme-soc", Some("acme"), DefaultSubjects::All);
    let delivery = json!({"method": "urn:ietf:rfc:8935", "endpoint_url": url});
    let body = json!({"delivery": delivery, "events_requested": [format!("{CAEP}session-revoked")]});
    world.stream(&secret, body).await;
    assert_eq!(sessions_end(&control), None);

    let ada = PersonId::parse("ada").unwrap();
    let held = world.federation().read(|view| view.person(&ada)).unwrap().unwrap().accounts.remove(0);
    let now = world.federation().now();
    let channel = ChannelId::parse("acme-hr").unwrap();
    let signal = Source::signal(channel, "signal.session_revoked", "idp-4711");
    let account = Account { sessions_end: Some(now), ..held };
    world.federation().commit(&signal, |_| Ok(vec![FederatedChange::Account { person: ada, account }])).unwrap();

    let report = || world.transmitter.streams().unwrap().remove(0);
    for _ in 0..500 {
        if sessions_end(&control).is_some() && report().waiting == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(sessions_end(&control).is_some_and(|end| end >= now), "the session is over there too");
    assert_eq!((report().waiting, report().dead.len()), (0, 0), "it was taken");
    serving.abort();
}
