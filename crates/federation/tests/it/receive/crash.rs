//! A receiver that is killed while tokens come: what it acknowledged is never lost, and what comes again does no harm.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::body::Bytes;
use control::{Actor, Control, Fault, Federation, NewOrganization, Once, Role, Source};
use federation::{KeyCache, KeySource, KeyTerms, Receive, Receiver, ReceiverParts, SsfReceiver, Vault, register};
use fetch::{AddressRule, Client, Request, Roots, Url};
use identity::Pepper;
use ledger::Ledger;
use serde_json::json;
use terms::{Clock, OrganizationId, SubjectName, SystemClock};

use super::world::{AUDIENCE, CAEP, Idp, id, options, settings};

/// Where the child finds its folder; set only for children.
const DIR: &str = "EXEAT_TEST_RECEIVER_DIR";
/// How often the receiver is killed.
const KILLS: u32 = 100;
/// How many tokens are under way at once.
const AT_ONCE: usize = 4;
const CHANNEL: &str = "acme-ssf";

fn opened(dir: &Path) -> (Control, Receiver) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let (ledger, _) = Ledger::open(&dir.join("ledger"), options(), Arc::clone(&clock)).unwrap();
    let control = Control::open(settings(dir), ledger, Arc::clone(&clock), Pepper::new([9; 32])).unwrap();
    let client = client();
    std::fs::create_dir_all(dir.join("vault")).unwrap();
    let receiver = Receiver::new(ReceiverParts {
        federation: control.federation(),
        client: client.clone(),
        keys: KeyCache::new(client, clock, KeyTerms::default()),
        vault: Arc::new(Vault::open(&dir.join("vault")).unwrap()),
        secrets: dir.join("secrets"),
        base_url: "https://exeat.example".to_owned(),
    });
    (control, receiver)
}

fn client() -> Client {
    let rule = AddressRule::allowing(["127.0.0.1"]).unwrap();
    Client::new(fetch::Settings::new(Roots::native().unwrap(), rule))
}

fn populated(dir: &Path, idp: &Idp) {
    let (control, _) = opened(dir);
    let acme = json!({
        "id": "acme", "legal_name": "acme", "country": "US", "kind": "us", "screening": "cleared", "coverage": "none",
    });
    let acme: NewOrganization = serde_json::from_value(acme).unwrap();
    control.admin(&Actor::process("test", Role::Root)).registrar().unwrap().add_organization(acme).unwrap();
    let settings = SsfReceiver {
        channel: id(CHANNEL),
        organization: Some(OrganizationId::parse("acme").unwrap()),
        issuer: idp.issuer.clone(),
        audience: AUDIENCE.to_owned(),
        keys: KeySource::Given(idp.jwks()),
        delivery: Receive::Push { authorization: None },
        management: None,
        stream_id: None,
        tenant: None,
        verify_every_s: 0,
        grace_s: 0,
    };
    register(&control.federation(), &settings).unwrap();
}

/// The part that the children play; without a folder to serve from there is nothing to play.
#[test]
fn child_that_receives_until_it_is_killed() {
    let Some(dir) = std::env::var_os(DIR) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async move {
        let (_control, receiver) = opened(Path::new(&dir));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut out = std::io::stdout().lock();
        writeln!(out, "listens at {}", listener.local_addr().unwrap()).unwrap();
        out.flush().unwrap();
        axum::serve(listener, receiver.router()).await.unwrap();
    });
}

/// A receiver in a process of its own, and where it listens.
struct Killable {
    child: Child,
    url: Url,
}

impl Killable {
    fn start(dir: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "receive::crash::child_that_receives_until_it_is_killed", "--nocapture"])
            .env(DIR, dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        // The runner of tests writes on the same line.
        let address = lines.find_map(|line| Some(line.split_once("listens at ")?.1.to_owned())).unwrap();
        Self { child, url: Url::parse(&format!("http://{address}/ssf/push/{CHANNEL}")).unwrap() }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// What the transmitter has said, and what of it was acknowledged.
struct Told {
    idp: Idp,
    waiting: BTreeMap<String, String>,
    acknowledged: BTreeSet<String>,
    sent: u32,
}

impl Told {
    /// Returns a token that was not acknowledged if there is one, and else a new one.
    fn next(&mut self) -> (String, String) {
        self.sent += 1;
        if let Some(first) = self.waiting.pop_first() {
            return first;
        }
        let jti = format!("jti-{}", self.sent);
        let now = SystemClock::default().now().as_millis() / 1_000;
        let claims = json!({
            "iss": self.idp.issuer, "aud": AUDIENCE, "jti": jti, "iat": now,
            "sub_id": { "format": "opaque", "id": format!("session of {jti}") },
            "events": { format!("{CAEP}session-revoked"): {} },
        });
        let token = self.idp.sign(&claims);
        (jti, token)
    }
}

/// Pushes until the receiver is gone.
async fn push(client: Client, url: Url, told: Arc<Mutex<Told>>) {
    loop {
        let (jti, token) = told.lock().unwrap().next();
        let request = Request::post(url.clone(), "application/secevent+jwt", Bytes::from(token.clone()));
        let answer = client.send(request).await;
        let mut told = told.lock().unwrap();
        match answer {
            Ok(response) => {
                assert_eq!(response.status, 202, "{jti}: {:?}", response.body);
                told.acknowledged.insert(jti);
            }
            Err(_) => {
                told.waiting.insert(jti, token);
                return;
            }
        }
    }
}

fn is_recorded(federation: &Federation, jti: &str) -> bool {
    let source = Source::signal(id(CHANNEL), "signal.session_revoked", jti);
    let asked = federation.commit_once(&source, (&id(CHANNEL), jti), |_| Err(Fault::Conflict("new".to_owned())));
    let session = SubjectName::parse(&format!("session of {jti}")).unwrap();
    let ended = federation.read(|view| view.session_ended(&id(CHANNEL), &session)).unwrap();
    matches!(asked, Ok(Once::Repeated { .. })) && ended
}

#[test]
fn what_is_acknowledged_survives_a_hundred_kills_and_what_comes_again_does_no_harm() {
    let (dir, idp) = (tempfile::tempdir().unwrap(), Idp::new("https://idp.acme.example"));
    populated(dir.path(), &idp);
    let told = Told { idp, waiting: BTreeMap::new(), acknowledged: BTreeSet::new(), sent: 0 };
    let told = Arc::new(Mutex::new(told));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut chance = 0x9e37_79b9_u32;
    let begun = Instant::now();
    for _ in 0..KILLS {
        let receiver = Killable::start(dir.path());
        // Anywhere within the first pushes: a xorshift is chance enough.
        chance ^= chance << 13;
        chance ^= chance >> 17;
        chance ^= chance << 5;
        let after = Duration::from_micros(u64::from(chance % 60_000));
        runtime.block_on(async {
            let url = receiver.url.clone();
            let pushing: Vec<_> =
                (0..AT_ONCE).map(|_| tokio::spawn(push(client(), url.clone(), Arc::clone(&told)))).collect();
            tokio::time::sleep(after).await;
            receiver.kill();
            for one in pushing {
                one.await.unwrap();
            }
        });
    }
    let killed_in = begun.elapsed();
    let (control, receiver) = opened(dir.path());
    let told = Arc::into_inner(told).unwrap().into_inner().unwrap();
    let lost: Vec<_> = told.acknowledged.iter().filter(|jti| !is_recorded(&control.federation(), jti)).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    let acknowledged = told.acknowledged.len();
    assert!(acknowledged > 100, "{acknowledged} of {} acknowledged, {KILLS} kills in {killed_in:?}", told.sent);
    assert!(told.sent > u32::try_from(acknowledged).unwrap(), "and some tokens had to be sent again");
    let waiting = told.waiting.into_values();
    runtime.block_on(async {
        for token in waiting {
            let request = http::Request::post(format!("/ssf/push/{CHANNEL}"))
                .header("content-type", "application/secevent+jwt")
                .body(axum::body::Body::from(token));
            let reply = super::world::answer(receiver.router(), request.unwrap()).await;
            assert_eq!(reply.status, 202, "what was under way is taken in when it comes again");
        }
    });
}
