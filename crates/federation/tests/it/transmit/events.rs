//! What is told about what happens, and to whom.

use std::{sync::Arc, time::Duration};

use control::{FederatedChange, NewKey, Role};
use ledger::Draft;
use policy::{CallerFacts, CredentialFacts, Facts};
use proof::entry::{Entry, Kind, Outcome};
use secevent::stream::DefaultSubjects;
use serde_json::{Value, json};
use terms::{
    Account, AccountState, Affiliation, AffiliationId, Assurance, Attestation, AttestationId, ChannelId, Claim,
    Country, Engagement, IssuerId, KeyId, ModelVersionId, Moment, OrganizationId, PersonId, SubjectName,
};

use super::world::World;

/// A world, the secret of a receiver of Ada's employer that hears of everybody there, and its stream.
async fn listening() -> (World, String, String) {
    let world = World::new().await;
    let secret = world.receiver("acme-soc", Some("acme"), DefaultSubjects::All);
    let id = world.stream(&secret, json!({})).await;
    (world, secret, id)
}

fn ada() -> Value {
    json!({"format": "email", "email": "ada@acme.example"})
}

fn types(told: &[(String, Value)]) -> Vec<&str> {
    told.iter().map(|(uri, _)| uri.as_str()).collect()
}

/// The claims of the one event of a token.
fn said(claims: &Value) -> &Value {
    claims["events"].as_object().unwrap().values().next().unwrap()
}

fn attestation(world: &World, id: &str, assurance: Assurance, channel: Option<&str>) -> Attestation {
    let now = world.federation().now();
    Attestation {
        id: AttestationId::parse(id).unwrap(),
        person: PersonId::parse("ada").unwrap(),
        claim: Claim::Citizenship { country: Country::parse("DE").unwrap(), from: None, until: None },
        issuer: IssuerId::parse("proofing-desk").unwrap(),
        evidence: "case 4711".to_owned(),
        assurance,
        issued_at: now,
        expires_at: now.plus(Duration::from_hours(1)),
        supersedes: None,
        means: None,
        fresh_until: None,
        channel: channel.map(|id| ChannelId::parse(id).unwrap()),
    }
}

fn withdrawal(id: &str) -> FederatedChange {
    FederatedChange::Withdrawal { attestation: AttestationId::parse(id).unwrap(), reason: "a mistake".to_owned() }
}

#[tokio::test]
async fn openid_ssf_transmitter_stream_caep_interop_a_suspended_account_is_told_with_who_and_why() {
    let (world, secret, id) = listening().await;
    let now = world.federation().now();
    world.account("ada", |held| Account { state: AccountState::Suspended, sessions_end: Some(now), ..held });
    let told = world.taken(&secret, &id, 2).await;
    assert_eq!(types(&told), ["account-disabled", "session-revoked"]);
    for (_, claims) in &told {
        assert_eq!(claims["sub_id"], ada());
        assert_eq!(said(claims)["initiating_entity"], "system");
        assert!(said(claims)["event_timestamp"].is_number() && said(claims)["reason_admin"]["en"].is_string());
    }
    assert_eq!(told[0].1["txn"], told[1].1["txn"], "one cause");
    assert_ne!(told[0].1["jti"], told[1].1["jti"]);

    world.account("ada", |held| Account { state: AccountState::Active, ..held });
    assert_eq!(types(&world.taken(&secret, &id, 1).await), ["account-enabled"]);
    world.account("ada", |held| Account { state: AccountState::Ended, ..held });
    assert_eq!(types(&world.taken(&secret, &id, 2).await), ["account-purged", "session-revoked"]);
}

#[tokio::test]
async fn an_account_that_is_written_again_as_it_is_tells_nothing() {
    let (world, secret, id) = listening().await;
    world.account("ada", |held| held);
    world.end_sessions("ada");
    world.account("ada", |held| held);
    assert_eq!(types(&world.taken(&secret, &id, 1).await), ["session-revoked"]);
    world.settle().await;
    assert!(world.offered(&secret, &id).await.is_empty());
}

#[tokio::test]
async fn a_revoked_key_is_told_by_its_public_name() {
    let (world, secret, id) = listening().await;
    let actor = control::Actor::process("test", Role::Root);
    let new = || -> NewKey {
        let new = json!({"holder": {"kind": "person", "person": "ada"}, "organization": "acme"});
        serde_json::from_value(new).unwrap()
    };
    let admin = world.control.admin(&actor);
    let keys: Vec<KeyId> = (0..2).map(|_| admin.registrar().unwrap().mint_key(new()).unwrap().key.id()).collect();
    world.change(keys.iter().cloned().map(FederatedChange::RevokeKey).collect());
    let told = world.taken(&secret, &id, 2).await;
    assert_eq!(types(&told), ["credential-change", "credential-change"]);
    let mut named: Vec<_> = told.iter().map(|(_, claims)| said(claims)["friendly_name"].as_str().unwrap()).collect();
    let mut expected: Vec<_> = keys.iter().map(KeyId::as_str).collect();
    named.sort_unstable();
    expected.sort_unstable();
    assert_eq!(named, expected);
    assert_eq!(said(&told[0].1)["change_type"], "revoke");
}

#[tokio::test]
async fn an_attestation_that_is_withdrawn_or_expires_is_told_without_its_value() {
    let (world, secret, id) = listening().await;
    world.change(vec![FederatedChange::Attestation(attestation(&world, "a1", Assurance::Ial2, None))]);
    world.change(vec![withdrawal("a1")]);
    let told = world.taken(&secret, &id, 2).await;
    assert_eq!(types(&told), ["assurance-level-change", "token-claims-change"]);
    let level = said(&told[0].1);
    assert_eq!(
        (&level["current_level"], &level["previous_level"], &level["change_direction"]),
        (&json!("nist-ial0"), &json!("nist-ial2"), &json!("decrease"))
    );
    assert_eq!(said(&told[1].1)["claims"], json!({"nationalities": null}));
    assert!(!json!(told.iter().map(|(_, claims)| claims).collect::<Vec<_>>()).to_string().contains("DE"));

    world.change(vec![FederatedChange::Attestation(attestation(&world, "a2", Assurance::None, None))]);
    world.settle().await;
    world.clock.advance(Duration::from_hours(2));
    let told = world.taken(&secret, &id, 1).await;
    assert_eq!(types(&told), ["token-claims-change"]);
    assert_eq!(said(&told[0].1)["reason_admin"]["en"], "an attestation expired");
    world.clock.advance(Duration::from_hours(2));
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert!(world.offered(&secret, &id).await.is_empty(), "it is told once");
}

#[tokio::test]
async fn an_attestation_that_is_replaced_by_a_weaker_one_is_told_as_less_assured() {
    let (world, secret, id) = listening().await;
    world.change(vec![FederatedChange::Attestation(attestation(&world, "a1", Assurance::Ial2, None))]);
    let weaker = attestation(&world, "a2", Assurance::Ial1, None);
    let supersedes = Some(AttestationId::parse("a1").unwrap());
    world.change(vec![FederatedChange::Attestation(Attestation { supersedes, ..weaker })]);
    let told = world.taken(&secret, &id, 1).await;
    assert_eq!(types(&told), ["assurance-level-change"]);
    assert_eq!(said(&told[0].1)["current_level"], "nist-ial1");
}

#[tokio::test]
async fn the_end_of_a_session_of_an_affiliation_and_of_all_access_is_told() {
    let (world, secret, id) = listening().await;
    let (channel, session) = (ChannelId::parse("acme-hr").unwrap(), SubjectName::parse("sid-1").unwrap());
    let at = world.federation().now();
    world.change(vec![FederatedChange::SessionEnd(identity::SessionEnd { channel, session, at })]);
    let told = world.taken(&secret, &id, 1).await;
    let session = json!({"format": "complex", "session": {"format": "opaque", "id": "sid-1"}});
    assert_eq!((types(&told), &told[0].1["sub_id"]), (vec!["session-revoked"], &session));

    world.change(vec![FederatedChange::Affiliation(Affiliation {
        id: AffiliationId::parse("aff-1").unwrap(),
        person: PersonId::parse("ada").unwrap(),
        organization: OrganizationId::parse("acme").unwrap(),
        engagement: Engagement::Employee,
        issuer: IssuerId::parse("hr").unwrap(),
        evidence: "hr/1".to_owned(),
        attested_at: at,
        ends_at: at,
        channel: None,
    })]);
    assert_eq!(types(&world.taken(&secret, &id, 1).await), ["session-revoked"]);

    let actor = control::Actor::process("test", Role::Root);
    let admin = world.control.admin(&actor);
    let update = serde_json::from_value(json!({"active": false})).unwrap();
    admin.registrar().unwrap().update_person(&PersonId::parse("ada").unwrap(), update).unwrap();
    assert_eq!(types(&world.taken(&secret, &id, 2).await), ["account-disabled", "session-revoked"]);
}

#[tokio::test]
async fn a_receiver_hears_of_its_own_organization_only_and_an_auditor_of_all() {
    let world = World::new().await;
    let mut streams = Vec::new();
    for (id, organization) in [("acme-soc", Some("acme")), ("borealis-soc", Some("borealis")), ("auditor", None)] {
        let secret = world.receiver(id, organization, DefaultSubjects::All);
        let stream = world.stream(&secret, json!({})).await;
        streams.push((secret, stream));
    }
    world.end_sessions("bo");
    world.end_sessions("ada");
    world.change(vec![FederatedChange::Attestation(attestation(&world, "a1", Assurance::None, Some("acme-hr")))]);
    world.change(vec![withdrawal("a1")]);
    let mut heard = Vec::new();
    for (secret, stream) in &streams {
        let told = world.taken(secret, stream, 1).await;
        let names = told.iter().map(|(uri, claims)| format!("{uri} {}", claims["sub_id"]["email"].as_str().unwrap()));
        heard.push(names.collect::<Vec<_>>());
    }
    assert_eq!(heard[0], ["session-revoked ada@acme.example", "token-claims-change ada@acme.example"]);
    assert_eq!(heard[1], ["session-revoked bo@borealis.example"]);
    assert_eq!(heard[2].len(), 3);
}

#[tokio::test]
async fn a_stream_that_is_about_nobody_hears_of_whom_its_receiver_adds_as_it_calls_them() {
    let world = World::new().await;
    let secret = world.receiver("acme-soc", Some("acme"), DefaultSubjects::None);
    let id = world.stream(&secret, json!({})).await;
    world.end_sessions("ada");
    world.settle().await;
    assert!(world.offered(&secret, &id).await.is_empty());

    let subject = json!({"format": "scim", "uri": "/Users/ada@acme.example"});
    let body = json!({"stream_id": id, "subject": subject});
    world.call("POST /ssf/subjects/add", &secret, body.clone()).await;
    // Somebody of another employer, and somebody who is not known yet.
    for email in ["bo@borealis.example", "eve@acme.example"] {
        let body = json!({"stream_id": id, "subject": {"format": "email", "email": email}});
        world.call("POST /ssf/subjects/add", &secret, body).await;
    }
    world.end_sessions("ada");
    world.end_sessions("bo");
    let told = world.taken(&secret, &id, 1).await;
    assert_eq!((told.len(), &told[0].1["sub_id"]), (1, &subject));

    let eve = PersonId::parse("eve").unwrap();
    world.change(vec![FederatedChange::NewPerson { person: eve.clone(), display_name: "Eve".to_owned() }]);
    let account = Account {
        channel: ChannelId::parse("acme-hr").unwrap(),
        subject: SubjectName::parse("eve@acme.example").unwrap(),
        organization: Some(OrganizationId::parse("acme").unwrap()),
        state: AccountState::Active,
        sessions_end: None,
    };
    world.change(vec![FederatedChange::Account { person: eve, account }]);
    world.end_sessions("eve");
    let told = world.taken(&secret, &id, 1).await;
    assert_eq!(told[0].1["sub_id"], json!({"format": "email", "email": "eve@acme.example"}));

    world.call("POST /ssf/subjects/remove", &secret, body).await;
    world.end_sessions("ada");
    world.settle().await;
    assert!(world.offered(&secret, &id).await.is_empty());
}

#[tokio::test]
async fn a_stream_that_is_about_everybody_leaves_out_whom_its_receiver_removes_until_it_adds_them_again() {
    let (world, secret, id) = listening().await;
    let body = json!({"stream_id": id, "subject": ada()});
    world.call("POST /ssf/subjects/remove", &secret, body.clone()).await;
    world.end_sessions("ada");
    world.settle().await;
    assert!(world.offered(&secret, &id).await.is_empty());
    world.call("POST /ssf/subjects/add", &secret, body).await;
    world.end_sessions("ada");
    assert_eq!(world.taken(&secret, &id, 1).await.len(), 1);
}

/// Writes what the gateway writes when a rule ends a call.
fn cut(world: &World, code: &str, snapshot: [u8; 32]) {
    let person = PersonId::parse("ada").unwrap();
    let person = world.federation().read(|view| view.person(&person)).unwrap().unwrap();
    let organization = Some(OrganizationId::parse("acme").unwrap());
    let facts = Facts {
        at: world.federation().now(),
        model: ModelVersionId::parse("mythos-5").unwrap(),
        credential: CredentialFacts {
            id: KeyId::parse("key-1").unwrap(),
            expires_at: Moment::MAX,
            revoked: false,
            organization,
            end_use: None,
        },
        caller: CallerFacts::Person { person: Arc::new(person) },
        organizations: Vec::new(),
        consumed: Vec::new(),
        channels: Vec::new(),
    };
    let private = serde_json::to_vec(&facts).unwrap();
    let mut open = Entry::new(Kind::Open);
    open.call = Some([7; 16]);
    let opened = world.ledger.append(Draft::new(open, private.clone())).unwrap().wait().unwrap();
    let mut close = Entry::new(Kind::Close);
    close.call = Some([7; 16]);
    close.opened = Some(opened.index());
    close.outcome = Some(Outcome::Cut);
    close.code = Some(code.to_owned());
    close.snapshot = Some(snapshot);
    let closed = world.ledger.close(Draft::new(close, private)).unwrap().wait().unwrap();
    assert!(closed.index() > opened.index());
}

#[tokio::test]
async fn a_directive_that_cuts_calls_revokes_the_session_once_and_does_not_say_which_rule_it_was() {
    let (world, secret, id) = listening().await;
    for code in ["foreign_person_barred", "foreign_person_barred", "credential_ended"] {
        cut(&world, code, [1; 32]);
    }
    let told = world.taken(&secret, &id, 1).await;
    assert_eq!(types(&told), ["session-revoked"]);
    assert_eq!((&told[0].1["sub_id"], &said(&told[0].1)["initiating_entity"]), (&ada(), &json!("policy")));
    assert!(!told[0].1.to_string().contains("foreign"));
    cut(&world, "foreign_person_barred", [1; 32]);
    world.settle().await;
    assert!(world.offered(&secret, &id).await.is_empty(), "a later call that the same act ends is not told again");
    cut(&world, "foreign_person_barred", [2; 32]);
    assert_eq!(world.taken(&secret, &id, 1).await.len(), 1, "another act is told anew");
}

#[tokio::test]
async fn without_its_queues_a_transmitter_tells_everything_again_under_the_same_names() {
    let (mut world, secret, id) = listening().await;
    for _ in 0..3 {
        world.end_sessions("ada");
    }
    world.settle().await;
    let before = world.offered(&secret, &id).await;
    assert_eq!(before.len(), 3);
    world.restart(false).await;
    assert_eq!(world.offered(&secret, &id).await, before);
    world.restart(true).await;
    world.settle().await;
    let jtis = |offered: &[(String, String)]| offered.iter().map(|(jti, _)| jti.clone()).collect::<Vec<_>>();
    assert_eq!(jtis(&world.offered(&secret, &id).await), jtis(&before));
}
