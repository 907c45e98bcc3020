//! What each event does in the registry, from the pushed token on.

use std::time::Duration;

use serde_json::{Value, json};
use terms::{AccountState, Assurance, ChannelKind, Claim, Country, Moment, SubjectName, UsPersonLimb};

use super::world::{CAEP, RISC, World, email, id};

const SCIM: &str = "urn:ietf:params:scim:event:";

fn ada() -> Value {
    email("ada@acme.example")
}

fn citizen(country: &str) -> Claim {
    Claim::Citizenship { country: Country::parse(country).unwrap(), from: None, until: None }
}

async fn signal(world: &World, sub_id: Value, event: &str, claims: Value) {
    world.signal(&world.acme, sub_id, event, claims).await;
}

fn sessions_end(world: &World, person: &str) -> Vec<Option<Moment>> {
    world.known(person).accounts.into_iter().map(|account| account.sessions_end).collect()
}

fn states(world: &World, person: &str) -> Vec<AccountState> {
    world.states(person).into_iter().map(|(_, state)| state).collect()
}

const ACTIVE: [AccountState; 2] = [AccountState::Active; 2];
const SUSPENDED: [AccountState; 2] = [AccountState::Suspended; 2];

#[tokio::test]
async fn session_revoked_ends_every_session_that_began_until_then() {
    for event in [format!("{CAEP}session-revoked"), format!("{RISC}sessions-revoked")] {
        let world = World::new().await;
        signal(&world, ada(), &event, json!({})).await;
        assert_eq!(sessions_end(&world, "ada"), [Some(world.clock_now()); 2], "{event}");
        assert_eq!(states(&world, "ada"), ACTIVE, "who begins a new session is welcome");
    }
}

#[tokio::test]
async fn session_revoked_ends_the_session_that_it_names_at_each_source_of_the_tenant() {
    let world = World::new().await;
    let session = SubjectName::parse("sid-1").unwrap();
    let subject = json!({
        "format": "complex", "user": ada(), "session": { "format": "opaque", "id": "sid-1" },
    });
    signal(&world, subject, &format!("{CAEP}session-revoked"), json!({})).await;
    let ended = |channel: &str| world.federation.read(|view| view.session_ended(&id(channel), &session)).unwrap();
    assert!(ended("acme-oidc") && ended("acme-ssf"));
    assert!(!ended("borealis-oidc"), "a session of the same name elsewhere goes on");
}

#[tokio::test]
async fn an_older_event_that_comes_late_does_not_bring_back_what_a_newer_one_ended() {
    let world = World::new().await;
    let event = format!("{CAEP}session-revoked");
    let older = world.set(&world.acme, "older", ada(), &event, json!({}));
    world.clock.advance(Duration::from_secs(60));
    signal(&world, ada(), &event, json!({})).await;
    let after = sessions_end(&world, "ada");
    assert_eq!(world.push("acme-ssf", &older).await.status, 202);
    assert_eq!(sessions_end(&world, "ada"), after);
    signal(&world, ada(), &format!("{RISC}account-purged"), json!({})).await;
    let over = states(&world, "ada");
    for event in [format!("{RISC}account-disabled"), format!("{RISC}account-enabled")] {
        signal(&world, ada(), &event, json!({})).await;
        assert_eq!(states(&world, "ada"), over, "{event} after the end changes nothing");
    }
}

#[tokio::test]
async fn token_claims_change_withdraws_the_attestations_that_it_contradicts() {
    let world = World::new().await;
    let standing = Claim::UsPerson { limb: UsPersonLimb::Citizen };
    let here = Claim::Location { country: Country::parse("US").unwrap(), method: terms::LocationMethod::Declared };
    for (name, claim) in [("n", citizen("US")), ("s", standing), ("l", here)] {
        world.attest(name, "ada", claim, Assurance::Ial2, Some("acme-oidc"));
    }
    let event = format!("{CAEP}token-claims-change");
    let agreeing = json!({ "claims": { "nationalities": ["us"], "country": "US", "role": "admin" } });
    signal(&world, ada(), &event, agreeing).await;
    assert_eq!(world.attested("ada").len(), 3, "the same values change nothing");
    assert!(world.reviews().is_empty());
    signal(&world, ada(), &event, json!({ "claims": { "nationalities": ["CN"] } })).await;
    assert_eq!(
        world.attested("ada").into_iter().collect::<Vec<_>>(),
        ["l"],
        "who else is a citizen may be no U.S. person"
    );
    assert_eq!(sessions_end(&world, "ada"), [Some(world.clock_now()); 2]);
    assert_eq!(world.reviews().len(), 1);
    signal(&world, ada(), &event, json!({ "claims": { "country": "DE" } })).await;
    assert!(world.attested("ada").is_empty());
}

#[tokio::test]
async fn token_claims_change_never_adds_what_it_says() {
    let world = World::new().await;
    let grants = json!({ "claims": { "nationalities": ["US"], "us_person": true, "country": "US" } });
    signal(&world, ada(), &format!("{CAEP}token-claims-change"), grants).await;
    assert!(world.attested("ada").is_empty());
}

#[tokio::test]
async fn a_word_that_others_have_spoken_on_too_is_not_withdrawn_but_its_tenant_suspended() {
    let world = World::new().await;
    world.attest("own", "ada", citizen("CN"), Assurance::Ial2, Some("acme-oidc"));
    world.attest("desk", "ada", citizen("US"), Assurance::Ial2, None);
    let claims = json!({ "claims": { "nationalities": ["US"] } });
    signal(&world, ada(), &format!("{CAEP}token-claims-change"), claims).await;
    assert_eq!(world.attested("ada").len(), 2, "to withdraw it would settle a contradiction in the person's favor");
    assert_eq!(states(&world, "ada"), SUSPENDED);
}

#[tokio::test]
async fn a_change_of_employment_suspends() {
    let world = World::new().await;
    let claims = json!({ "claims": { "employmentEnd": "2026-06-12" } });
    signal(&world, ada(), &format!("{CAEP}token-claims-change"), claims).await;
    assert_eq!(states(&world, "ada"), SUSPENDED);
}

#[tokio::test]
async fn credential_change_ends_what_rests_on_a_credential_that_is_gone() {
    let world = World::new().await;
    world.channel("acme-wallet", ChannelKind::Wallet, "acme", None);
    world.attest("presented", "ada", citizen("US"), Assurance::Ial2, Some("acme-wallet"));
    world.attest("said", "ada", Claim::UsPerson { limb: UsPersonLimb::Citizen }, Assurance::Ial2, Some("acme-oidc"));
    let key = world.key("ada", "acme").await;
    let event = format!("{CAEP}credential-change");
    let change = |kind: &str, change: &str| json!({ "credential_type": kind, "change_type": change });
    signal(&world, ada(), &event, change("x509", "create")).await;
    signal(&world, ada(), &event, change("password", "update")).await;
    assert_eq!(sessions_end(&world, "ada"), [None; 2], "a credential that is new takes nothing away");
    signal(&world, ada(), &event, change("x509", "revoke")).await;
    assert_eq!(sessions_end(&world, "ada"), [Some(world.clock_now()); 2]);
    assert_eq!(world.live_keys("ada"), [key], "a key that no certificate is bound to stays");
    signal(&world, ada(), &event, change("verifiable-credential", "delete")).await;
    assert_eq!(world.attested("ada").into_iter().collect::<Vec<_>>(), ["said"]);
}

#[tokio::test]
async fn assurance_level_change_takes_back_what_was_attested_above_the_new_level() {
    let world = World::new().await;
    let level =
        |level: &str| json!({ "namespace": "NIST-IAL", "current_level": level, "change_direction": "decrease" });
    world.attest("low", "ada", citizen("US"), Assurance::Ial1, Some("acme-oidc"));
    let standing = Claim::UsPerson { limb: UsPersonLimb::Citizen };
    world.attest("high", "ada", standing, Assurance::Ial2, Some("acme-oidc"));
    let event = format!("{CAEP}assurance-level-change");
    signal(&world, ada(), &event, level("nist-ial2")).await;
    assert_eq!(world.attested("ada").len(), 2);
    signal(&world, ada(), &event, level("nist-ial1")).await;
    assert_eq!(world.attested("ada").into_iter().collect::<Vec<_>>(), ["low"]);
    signal(&world, ada(), &event, level("nist-ial3")).await;
    assert_eq!(world.attested("ada").into_iter().collect::<Vec<_>>(), ["low"], "a rise brings nothing back");
    let aal = json!({ "namespace": "NIST-AAL", "current_level": "nist-aal1", "change_direction": "decrease" });
    signal(&world, ada(), &event, aal).await;
    assert_eq!(sessions_end(&world, "ada"), [Some(world.clock_now()); 2]);
}

#[tokio::test]
async fn what_suspends_suspends_every_account_of_the_tenant_and_opens_a_review_where_a_person_must_look() {
    let device = |now: &str| json!({ "previous_status": "compliant", "current_status": now });
    let risk = |level: &str| json!({ "principal": "USER", "current_level": level });
    let table = [
        (format!("{CAEP}device-compliance-change"), device("not-compliant"), true),
        (format!("{CAEP}risk-level-change"), risk("HIGH"), true),
        (format!("{RISC}account-disabled"), json!({ "reason": "hijacking" }), false),
        (format!("{RISC}opt-out-effective"), json!({}), true),
        (format!("{SCIM}feed:remove"), json!({}), true),
        (format!("{SCIM}prov:deactivate"), json!({}), false),
        (format!("{SCIM}prov:patch:notice"), json!({ "attributes": ["active"] }), false),
        (format!("{SCIM}prov:put:full"), json!({ "data": { "active": "False" } }), false),
    ];
    for (event, claims, reviewed) in table {
        let world = World::new().await;
        signal(&world, ada(), &event, claims).await;
        assert_eq!(states(&world, "ada"), SUSPENDED, "{event}");
        assert_eq!(!world.reviews().is_empty(), reviewed, "{event}");
        for (favor, claims) in [
            (format!("{RISC}account-enabled"), json!({})),
            (format!("{SCIM}prov:activate"), json!({})),
            (format!("{CAEP}risk-level-change"), risk("LOW")),
            (format!("{CAEP}session-established"), json!({})),
            (format!("{SCIM}feed:add"), json!({})),
            (format!("{SCIM}prov:put:full"), json!({ "data": { "active": true } })),
        ] {
            signal(&world, ada(), &favor, claims).await;
            assert_eq!(states(&world, "ada"), SUSPENDED, "{favor} after {event}: a signal never grants");
        }
        assert!(world.reviews().len() >= 2, "that the account is said to be in use again is for a person to judge");
    }
}

#[tokio::test]
async fn a_purge_a_deletion_and_a_compromise_revoke_the_keys_for_good() {
    let ended = [AccountState::Ended; 2];
    for (event, claims, state) in [
        (format!("{RISC}account-purged"), json!({}), ended),
        (format!("{SCIM}prov:delete"), json!({}), ended),
        (format!("{RISC}credential-compromise"), json!({ "credential_type": "password" }), ACTIVE),
    ] {
        let world = World::new().await;
        drop(world.key("ada", "acme").await);
        let elsewhere = world.key("ada", "borealis").await;
        signal(&world, ada(), &event, claims).await;
        assert_eq!(world.live_keys("ada"), [elsewhere], "{event}: what another tenant gave is another tenant's");
        assert_eq!(states(&world, "ada"), state, "{event}");
        signal(&world, ada(), &format!("{RISC}account-enabled"), json!({})).await;
        assert_eq!((world.live_keys("ada").len(), states(&world, "ada")), (1, state.to_vec()), "{event}");
    }
}

#[tokio::test]
async fn a_patch_that_tells_other_citizenships_takes_back_what_was_attested() {
    let path = "urn:example:scim:schemas:extension:exportcontrol:1.0:User:citizenships";
    for (event, claims) in [
        ("prov:patch:notice", json!({ "attributes": [path] })),
        ("prov:patch:full", json!({ "data": { "Operations": [{ "op": "add", "path": path, "value": ["CN"] }] } })),
        (
            "prov:put:full",
            json!({ "data": { "userName": "ada", path.rsplit_once(':').unwrap().0: { "citizenships": ["CN"] } } }),
        ),
    ] {
        let world = World::new().await;
        world.attest("n", "ada", citizen("US"), Assurance::Ial2, Some("acme-oidc"));
        signal(&world, ada(), &format!("{SCIM}{event}"), claims).await;
        assert!(world.attested("ada").is_empty(), "{event}");
    }
    let world = World::new().await;
    world.attest("n", "ada", citizen("US"), Assurance::Ial2, Some("acme-oidc"));
    let same = json!({ "data": { "title": "engineer", path.rsplit_once(':').unwrap().0: { "citizenships": ["US"] } } });
    signal(&world, ada(), &format!("{SCIM}prov:put:full"), same).await;
    assert_eq!(world.attested("ada").len(), 1);
}

#[tokio::test]
async fn a_recycled_identifier_is_detached_and_never_linked_again() {
    for event in ["identifier-recycled", "identifier-changed"] {
        let world = World::new().await;
        let claims = json!({ "new-value": "ada.new@acme.example" });
        signal(&world, ada(), &format!("{RISC}{event}"), claims).await;
        assert!(world.known("ada").accounts.is_empty(), "{event}: the name no longer stands for her");
        assert_eq!(world.reviews().len(), 1, "{event}");
        for later in ["account-enabled", "opt-in", "identifier-changed"] {
            signal(&world, ada(), &format!("{RISC}{later}"), json!({})).await;
            signal(&world, email("ada.new@acme.example"), &format!("{RISC}{later}"), json!({})).await;
        }
        assert!(world.known("ada").accounts.is_empty(), "{event}: nor does it come back, nor the new one by itself");
    }
}

#[tokio::test]
async fn a_recycled_identifier_does_not_free_an_account_that_is_suspended_of_its_suspension() {
    let world = World::new().await;
    signal(&world, ada(), &format!("{RISC}account-disabled"), json!({})).await;
    signal(&world, ada(), &format!("{RISC}identifier-recycled"), json!({})).await;
    assert_eq!(states(&world, "ada"), SUSPENDED);
}

#[tokio::test]
async fn an_event_of_a_type_that_nobody_knows_is_recorded_and_does_nothing() {
    let world = World::new().await;
    let before = world.known("ada");
    signal(&world, ada(), "https://schemas.example/event-type/attestation-change", json!({ "x": 1 })).await;
    assert_eq!(world.known("ada"), before);
}

#[tokio::test]
async fn an_event_about_a_whole_tenant_is_about_everybody_there_and_does_nothing_when_it_comes_again() {
    let world = World::new().await;
    for n in 0..150 {
        world.person(&format!("p{n}"));
        world.account(&format!("p{n}"), "acme-oidc", &format!("p{n}@acme.example"), Some("acme"));
    }
    let tenant = json!({ "format": "complex", "tenant": { "format": "opaque", "id": "acme" } });
    let token = world.set(&world.acme, "everybody", tenant, &format!("{RISC}account-disabled"), json!({}));
    assert_eq!(world.push("acme-ssf", &token).await.status, 202);
    for person in ["ada", "p0", "p149"] {
        assert!(states(&world, person).iter().all(|state| *state == AccountState::Suspended), "{person}");
    }
    assert_eq!(states(&world, "bo"), ACTIVE);
    world.account("p7", "acme-oidc", "p7@acme.example", Some("acme"));
    assert_eq!(world.push("acme-ssf", &token).await.status, 202);
    assert_eq!(states(&world, "p7"), [AccountState::Active], "the employer restored the account since");
}

#[tokio::test]
async fn a_complex_subject_that_names_a_tenant_and_anything_narrower_is_not_about_everybody() {
    let world = World::new().await;
    for narrower in ["device", "group", "org_unit", "application"] {
        let subject = json!({
            "format": "complex",
            "tenant": { "format": "opaque", "id": "acme" },
            narrower: { "format": "opaque", "id": "x-1" },
        });
        signal(&world, subject, &format!("{RISC}account-disabled"), json!({})).await;
        assert_eq!(states(&world, "ada"), ACTIVE, "{narrower}");
    }
}

/// Spells an address in `n` ways that differ in case alone.
fn spellings(address: &str, n: usize) -> Vec<String> {
    let spelled = |n: usize| {
        let letter = |(at, c): (usize, char)| if n >> at & 1 == 1 { c.to_ascii_uppercase() } else { c };
        address.chars().enumerate().map(letter).collect::<String>()
    };
    let all: std::collections::BTreeSet<String> = (0..4 * n).map(spelled).collect();
    all.into_iter().take(n).collect()
}

#[tokio::test]
async fn a_signal_that_opens_more_reviews_than_one_entry_holds_is_taken_in_once_and_comes_to_an_end() {
    const PEOPLE: usize = 520;
    let world = World::new().await;
    let names = spellings("everybody@acme.example", PEOPLE);
    for (n, name) in names.iter().enumerate() {
        world.person(&format!("p{n}"));
        world.account(&format!("p{n}"), "acme-oidc", name, Some("acme"));
    }
    let event = format!("{SCIM}feed:remove");
    let token = world.set(&world.acme, "many", email("everybody@acme.example"), &event, json!({}));
    assert_eq!(world.push("acme-ssf", &token).await.status, 202);
    for n in [0, 1, PEOPLE / 2, PEOPLE - 1] {
        assert_eq!(states(&world, &format!("p{n}")), [AccountState::Suspended], "{n}");
    }
    let reviews = world.federation.read(|view| view.reviews("", 1_000)).unwrap();
    assert_eq!(reviews.len(), PEOPLE);
    world.account("p7", "acme-oidc", &names[7], Some("acme"));
    assert_eq!(world.push("acme-ssf", &token).await.status, 202);
    assert_eq!(states(&world, "p7"), ACTIVE[..1], "the token was taken in, so it does nothing when it comes again");
}

#[tokio::test]
async fn a_token_that_spells_one_event_in_several_ways_is_refused() {
    let world = World::new().await;
    let subject = json!({ "format": "scim", "uri": "/Users/ada@acme.example" });
    let mut claims = world.claims(&world.acme, "spelled", subject, &format!("{SCIM}prov:activate"), json!({}));
    claims["events"][format!("{SCIM}prov:ACTIVATE")] = json!({});
    let reply = world.push("acme-ssf", &world.acme.sign(&claims)).await;
    assert_eq!((reply.status.as_u16(), reply.err()), (400, Some("invalid_request")));
    assert!(world.reviews().is_empty());
}

#[tokio::test]
async fn events_of_one_token_that_ask_for_the_same_ask_once() {
    let world = World::new().await;
    let subject = json!({ "format": "scim", "uri": "/Users/ada@acme.example" });
    let mut claims = world.claims(&world.acme, "both", subject, &format!("{SCIM}prov:delete"), json!({}));
    for event in ["feed:remove", "prov:deactivate", "prov:activate"] {
        claims["events"][format!("{SCIM}{event}")] = json!({});
    }
    assert_eq!(world.push("acme-ssf", &world.acme.sign(&claims)).await.status, 202);
    assert_eq!(world.reviews().len(), 2, "{:?}", world.reviews());
    assert!(states(&world, "ada").iter().all(|state| *state != AccountState::Active));
}

#[tokio::test]
async fn an_address_names_whoever_is_known_by_it_in_any_case() {
    for (known, told) in [
        ("Cai@Acme.Example", email("cai@acme.example")),
        ("cai@acme.example", email("CAI@acme.EXAMPLE")),
        ("Cai@Acme.Example", json!({ "format": "account", "uri": "acct:cai@acme.example" })),
        ("Zo\u{cb}@acme.example", email("zo\u{eb}@acme.example")),
    ] {
        let world = World::new().await;
        world.person("cai");
        world.account("cai", "acme-oidc", known, Some("acme"));
        signal(&world, told.clone(), &format!("{RISC}account-disabled"), json!({})).await;
        assert_eq!(states(&world, "cai"), [AccountState::Suspended], "{known} told as {told}");
        assert_eq!(states(&world, "ada"), ACTIVE);
    }
    let world = World::new().await;
    signal(
        &world,
        json!({ "format": "opaque", "id": "ADA@acme.example" }),
        &format!("{RISC}account-disabled"),
        json!({}),
    )
    .await;
    assert_eq!(states(&world, "ada"), ACTIVE, "what is no address is told apart by case");
}
