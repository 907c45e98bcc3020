//! What a source says, or that it says nothing any more, ends the live streams it concerns; the log tells which word did.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use control::{
    Actor, Control, DeskPolicy, Effect, FederatedChange, Federation, ProofPolicy, Publish, Role, Settings, Source,
};
use gateway::Gateway;
use identity::{Change, Directory, KeyText, SessionEnd};
use policy::Snapshot;
use proof::entry::{Entry, Kind, Outcome};
use serde_json::{Value, json};
use terms::{Account, AccountState, Channel, Clock, KeyId, ModelVersionId};
use testkit::http::Answer;

use super::{Trusting, channel, lab};
use crate::world::{World, now};

/// A gateway that a control plane tells what changes, with a person whom it knows.
pub(super) struct Plane {
    pub(super) trusting: Arc<Trusting>,
    control: Control,
    /// An API key of hers.
    key: String,
}

/// Brings changes to the gateway, as the server does; its directory is another one here.
struct Told(Arc<Trusting>);

impl Told {
    fn gateway(&self) -> &Gateway {
        &self.0.world.gateway
    }
}

impl Publish for Told {
    fn directory(&self, change: Change) -> Effect {
        let directory: &Directory = &self.0.world.directory;
        directory.apply(change.clone());
        let effect = self.gateway().change(&change);
        Effect { examined: effect.examined, recalled: effect.recalled }
    }

    fn snapshot(&self, snapshot: Arc<Snapshot>) -> Effect {
        let effect = self.gateway().snapshot(snapshot);
        Effect { examined: effect.examined, recalled: effect.recalled }
    }

    fn live(&self) -> BTreeMap<(KeyId, ModelVersionId), u64> {
        self.gateway().live_by_key()
    }
}

fn parsed<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

impl Plane {
    /// Starts with a channel that must be heard of every `interval_s` seconds.
    fn new(interval_s: u64) -> Self {
        Self::of(Trusting::new(), interval_s)
    }

    /// Starts the control plane of a gateway.
    pub(super) fn of(trusting: Trusting, interval_s: u64) -> Self {
        let trusting = Arc::new(trusting);
        let world = &trusting.world;
        let control = Control::open(
            Settings {
                data_dir: world.dir().join("registry"),
                lab: Some(lab()),
                models: World::models(),
                aliases: Vec::new(),
                desk: DeskPolicy::SINGLE_PERSON,
                proofs: ProofPolicy::Off,
            },
            world.ledger.clone(),
            Arc::clone(&world.clock) as Arc<dyn Clock>,
            world.pepper.clone(),
        );
        let control = control.unwrap();
        control.attach(Arc::new(Told(Arc::clone(&trusting))));
        world.gateway.snapshot(control.snapshot());
        let key = register(&control);
        let plane = Self { trusting, control, key };
        let evidence = Source::evidence("idp".parse().unwrap(), "account.known", "request-1");
        plane.federation().commit(&Source::own("channel.register"), |_| Ok(channels(interval_s))).unwrap();
        plane.federation().commit(&evidence, |_| Ok(vec![account(AccountState::Active)])).unwrap();
        plane
    }

    pub(super) fn federation(&self) -> Federation {
        self.control.federation()
    }

    /// Notes that the issuer is alive. The server's gateway shares the directory of the control plane; this one is told.
    fn hear(&self) {
        let (idp, now) = ("idp".parse().unwrap(), self.federation().now());
        self.federation().heard(&idp, now).unwrap();
        self.trusting.world.directory.heard(&idp, now);
    }

    /// Takes in a signal of the issuer's, named `jti-77`.
    pub(super) fn signal(&self, code: &'static str, change: FederatedChange) -> Effect {
        self.signal_of("idp", code, change).unwrap()
    }

    fn signal_of(&self, from: &str, code: &'static str, change: FederatedChange) -> Result<Effect, control::Fault> {
        let source = Source::signal(from.parse().unwrap(), code, "jti-77");
        self.federation().commit(&source, |_| Ok(vec![change])).map(|done| done.effect)
    }

    /// Opens a stream with a token of the issuer's.
    fn by_token(&self, change: impl FnOnce(&mut Value)) -> Answer {
        let token = self.trusting.issuer.token(change);
        self.trusting.stream(&[("authorization", &format!("Bearer {token}"))])
    }

    /// Opens a stream with her API key.
    fn by_key(&self) -> Answer {
        self.trusting.stream(&[("authorization", &format!("Bearer {}", self.key))])
    }

    /// Requires that the log holds the signal, and after it `cut` calls that were cut, of the same person.
    #[track_caller]
    pub(super) fn on_record(&self, code: &str, cut: usize) {
        let log = self.trusting.world.log();
        let signal = log.iter().position(|(entry, _)| entry.code.as_deref() == Some(code)).unwrap();
        let (entry, private) = &log[signal];
        assert_eq!(entry.kind, Kind::Registry);
        assert!(String::from_utf8_lossy(private).contains("jti-77"), "the message is named");
        let cuts: Vec<&Entry> = log[signal..].iter().map(|(entry, _)| entry).filter(|entry| is_cut(entry)).collect();
        assert_eq!(cuts.len(), cut);
        let hers = self.trusting.world.ledger.pseudonym("person:ada");
        assert!(
            cuts.iter().all(|entry| entry.subject == Some(hers) && entry.code.as_deref() == Some("credential_ended"))
        );
        assert!(!log[..signal].iter().any(|(entry, _)| is_cut(entry)), "nothing was cut before");
    }

    /// Closes the log and lets the auditor's program decide every call again.
    pub(super) fn audited(self) -> verifier::Report {
        let Self { trusting, control, .. } = self;
        drop(control);
        let trusting = Arc::into_inner(trusting).expect("nobody else holds it");
        trusting.world.audited()
    }
}

fn is_cut(entry: &Entry) -> bool {
    entry.outcome == Some(Outcome::Cut)
}

/// Registers the lab, and `ada` with all that the model asks of her; returns a key of hers.
fn register(control: &Control) -> String {
    let actor = Actor::process("test", Role::Root);
    let admin = control.admin(&actor);
    let registrar = admin.registrar().unwrap();
    let lab = json!({
        "id": "larkspur-labs", "legal_name": "Larkspur Labs, Inc.", "country": "US", "kind": "us",
        "screening": "cleared", "coverage": "none",
    });
    registrar.add_organization(parsed(lab)).unwrap();
    registrar.add_person(parsed(json!({ "id": "ada", "display_name": "Ada", "screening": "cleared" }))).unwrap();
    let until = now().plus(Duration::from_secs(30 * 86_400)).to_string();
    registrar
        .add_affiliation(parsed(json!({
            "id": "aff-ada", "person": "ada", "organization": "larkspur-labs", "engagement": "employee",
            "issuer": "larkspur-hr", "evidence": "roster", "attested_at": now().to_string(), "ends_at": until,
        })))
        .unwrap();
    let claims = [
        ("att-1", json!({ "kind": "us_person", "limb": "citizen" })),
        ("att-2", json!({ "kind": "location", "country": "US", "method": "declared" })),
    ];
    for (id, claim) in claims {
        registrar
            .add_attestation(parsed(json!({
                "id": id, "person": "ada", "claim": claim, "issuer": "verity-idv", "evidence": "case 1",
                "assurance": "ial2", "issued_at": now().to_string(), "expires_at": until,
            })))
            .unwrap();
    }
    let key = json!({ "holder": { "kind": "person", "person": "ada" }, "organization": "larkspur-labs" });
    registrar.mint_key(parsed(key)).unwrap().key.reveal().to_owned()
}

fn channels(interval_s: u64) -> Vec<FederatedChange> {
    let other = Channel { organization: None, ..channel("other-idp", 0) };
    [channel("idp", interval_s), other].map(FederatedChange::Channel).into()
}

pub(super) fn account(state: AccountState) -> FederatedChange {
    let account = Account {
        channel: "idp".parse().unwrap(),
        subject: "ada@idp".parse().unwrap(),
        organization: Some(lab()),
        state,
        sessions_end: None,
    };
    FederatedChange::Account { person: "ada".parse().unwrap(), account }
}

fn ends(from: &str, session: &str) -> FederatedChange {
    let (channel, session) = (from.parse().unwrap(), session.parse().unwrap());
    FederatedChange::SessionEnd(SessionEnd { channel, session, at: now() })
}

/// Requires that a stream ends with an error event of the dialect.
#[track_caller]
pub(super) fn cut(stream: Answer) {
    let rest = stream.text().unwrap();
    let last = rest.trim_end().rsplit("\n\n").next().unwrap();
    assert!(last.starts_with("event: error\ndata: ") && last.contains("credential_ended"), "{last}");
}

#[test]
fn a_session_that_was_revoked_ends_the_streams_of_its_tokens_and_no_others() {
    let plane = Plane::new(0);
    let (hers, mut other) =
        (plane.by_token(|_| {}), plane.by_token(|c| (c["sid"], c["jti"]) = (json!("s-2"), json!("t-2"))));
    let effect = plane.signal("signal.session_revoked", ends("idp", "s-1"));
    assert_eq!((effect.examined, effect.recalled), (1, 1));
    cut(hers);
    assert!(other.next_piece().unwrap().is_some());
    drop(other);
    plane.trusting.bear(&plane.trusting.issuer.token(|_| {})).refused("invalid_token");
    plane.on_record("signal.session_revoked", 1);
    let report = plane.audited();
    assert!(report.holds() && report.replays.not_possible == 0, "{report}");
}

#[test]
fn an_account_that_was_disabled_ends_every_stream_of_its_person_in_that_tenant() {
    let plane = Plane::new(0);
    let (by_token, by_key) = (plane.by_token(|_| {}), plane.by_key());
    let effect = plane.signal("signal.account_disabled", account(AccountState::Suspended));
    assert_eq!((effect.examined, effect.recalled), (2, 2));
    cut(by_token);
    cut(by_key);
    assert_eq!(plane.trusting.bear(&plane.key).status, 401);
    plane.on_record("signal.account_disabled", 2);
    // Its own employer's word restores it, and nothing that was revoked.
    let evidence = Source::evidence("idp".parse().unwrap(), "account.known", "request-2");
    plane.federation().commit(&evidence, |_| Ok(vec![account(AccountState::Active)])).unwrap();
    plane.trusting.bear(&plane.key).served();
}

#[test]
fn sessions_that_all_end_at_a_moment_end_what_began_before_it() {
    let plane = Plane::new(0);
    let (hers, by_key) = (plane.by_token(|_| {}), plane.by_key());
    let FederatedChange::Account { person, account } = account(AccountState::Active) else { unreachable!() };
    let ended = FederatedChange::Account { person, account: Account { sessions_end: Some(now()), ..account } };
    assert_eq!(plane.signal("signal.sessions_revoked", ended).recalled, 1);
    cut(hers);
    drop(by_key);
    plane.on_record("signal.sessions_revoked", 1);
    plane.trusting.world.clock.advance(Duration::from_secs(10));
    let anew = plane.trusting.issuer.token(|c| {
        let iat = c["iat"].as_i64().unwrap() + 5;
        (c["iat"], c["auth_time"], c["sid"], c["jti"]) = (json!(iat), json!(iat), json!("s-3"), json!("t-3"));
    });
    plane.trusting.bear(&anew).served();
}

#[test]
fn a_key_that_a_signal_revoked_ends_its_stream_for_good() {
    let plane = Plane::new(0);
    let stream = plane.by_key();
    let id = KeyText::parse(plane.key.as_bytes()).unwrap().id();
    let effect = plane.signal("signal.credential_compromise", FederatedChange::RevokeKey(id));
    assert_eq!((effect.examined, effect.recalled), (1, 1));
    cut(stream);
    plane.on_record("signal.credential_compromise", 1);
    assert_eq!(plane.trusting.bear(&plane.key).code, "key_revoked");
}

#[test]
fn a_source_that_falls_silent_ends_the_streams_that_rest_on_it_and_is_believed_again_once_heard() {
    let plane = Plane::new(60);
    let (hers, mut by_key) = (plane.by_token(|_| {}), plane.by_key());
    plane.trusting.world.clock.advance(Duration::from_secs(89));
    assert_eq!(plane.trusting.world.gateway.live(), 2);
    plane.trusting.world.clock.advance(Duration::from_secs(1));
    let rest = hers.text().unwrap();
    assert!(rest.contains("permission_error"), "{rest}");
    assert!(by_key.next_piece().unwrap().is_some(), "the key rests on no channel");
    drop(by_key);
    let token = plane.trusting.issuer.token(|_| {});
    assert_eq!(plane.trusting.bear(&token).status, 403);
    plane.hear();
    plane.trusting.bear(&token).served();
    let report = plane.audited();
    assert!(report.holds() && report.replays.not_possible == 0, "{report}");
}

#[test]
fn a_stream_goes_on_for_as_long_as_its_source_is_heard_in_time() {
    let plane = Plane::new(60);
    let mut hers = plane.by_token(|_| {});
    for _ in 0..3 {
        plane.trusting.world.clock.advance(Duration::from_secs(80));
        plane.hear();
    }
    // Long enough for the worker to look at the time again.
    for _ in 0..8 {
        assert!(hers.next_piece().unwrap().is_some());
    }
    assert_eq!(plane.trusting.world.gateway.live(), 1);
}

#[test]
fn a_source_of_another_tenant_ends_nothing() {
    let plane = Plane::new(0);
    let mut hers = plane.by_token(|_| {});
    let of_hers = ends("idp", "s-1");
    assert!(plane.signal_of("other-idp", "signal.session_revoked", of_hers).is_err());
    let namesake = plane.signal_of("other-idp", "signal.session_revoked", ends("other-idp", "s-1")).unwrap();
    assert_eq!((namesake.examined, namesake.recalled), (0, 0));
    assert!(hers.next_piece().unwrap().is_some());
}
