//! What sources of word about people may do, and what they may not, whatever their protocol made of it.

use control::{Document, Ended, FederatedChange, Federation, Once, Review, Source, View};
use identity::SessionEnd;
use ledger::Draft;
use proof::entry::{Entry, Kind};
use serde_json::{Value, json};
use terms::{
    Account, AccountState, Affiliation, Assurance, Attestation, Channel, ChannelId, ChannelKind, Claim, Clock,
    Freshness, Moment, PersonId, SubjectName,
};

use crate::{
    holds::{EPOCH, YEAR, erase, kept, leave, place},
    world::World,
};

fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn channel(name: &str, organization: Option<&str>, at: Moment) -> Channel {
    Channel {
        id: id(name),
        kind: ChannelKind::Scim,
        organization: organization.map(id),
        issuer: None,
        heard_at: at,
        interval_s: 600,
        grace_s: 60,
        enabled: true,
    }
}

fn account(state: AccountState) -> Account {
    Account {
        channel: id("larkspur-hr"),
        subject: id("4711"),
        organization: Some(id("larkspur-labs")),
        state,
        sessions_end: None,
    }
}

fn of_ada(account: Account) -> FederatedChange {
    FederatedChange::Account { person: id("ada"), account }
}

fn attestation(name: &str, now: Moment, from: &str) -> FederatedChange {
    FederatedChange::Attestation(Attestation {
        id: id(name),
        person: id("ada"),
        claim: Claim::ForeignPerson,
        issuer: id("larkspur"),
        evidence: "roster".to_owned(),
        assurance: Assurance::Ial2,
        issued_at: now,
        expires_at: now.plus(std::time::Duration::from_secs(86_400)),
        supersedes: None,
        means: None,
        fresh_until: None,
        channel: Some(id(from)),
    })
}

/// A world with two employers' directories, of which one knows Ada.
async fn world() -> (World, Federation) {
    let world = World::new();
    world.populate().await;
    let other =
        json!({ "id": "other-labs", "legal_name": "Other Labs", "country": "US", "kind": "us", "coverage": "none" });
    world.done("POST /admin/v1/organizations", other).await;
    let federation = world.control.federation();
    let now = world.clock.now();
    let own = Source::own("channel.register");
    let both = |_: &View<'_>| {
        let channels = [("larkspur-hr", "larkspur-labs"), ("other-hr", "other-labs")];
        Ok(channels.map(|(name, of)| FederatedChange::Channel(channel(name, Some(of), now))).into())
    };
    federation.commit(&own, both).unwrap();
    federation.commit(&evidence("larkspur-hr"), |_| Ok(vec![of_ada(account(AccountState::Active))])).unwrap();
    (world, federation)
}

fn evidence(from: &str) -> Source {
    Source::evidence(id(from), "scim.user_create", "request-1")
}

fn signal(from: &str) -> Source {
    Source::signal(id(from), "signal.account_disabled", "jti-1")
}

fn refused(federation: &Federation, source: &Source, change: FederatedChange) -> String {
    let fault = federation.commit(source, |_| Ok(vec![change])).unwrap_err();
    let control::Fault::Invalid(faults) = &fault else { panic!("{fault}") };
    faults.iter().map(|fault| format!("{}: {}", fault.field, fault.detail)).collect()
}

#[tokio::test]
async fn a_suspended_account_is_one_entry_in_the_ledger_and_in_effect_when_it_is_answered() {
    let (world, federation) = world().await;
    let told = world.attach();
    let before = world.entries().len();
    let suspended = of_ada(account(AccountState::Suspended));
    let committed = federation.commit(&signal("larkspur-hr"), |_| Ok(vec![suspended])).unwrap();
    assert_eq!(world.entries().len(), before + 1);
    let (entry, private) = &world.entries()[usize::try_from(committed.index).unwrap()];
    assert_eq!((entry.kind, entry.code.as_deref()), (Kind::Registry, Some("signal.account_disabled")));
    assert_eq!(entry.subject, Some(world.ledger.pseudonym("person:ada")));
    assert!(private.contains("channel:larkspur-hr") && private.contains("jti-1"), "{private}");
    let ada = world.control.directory().person(&id("ada")).unwrap();
    assert_eq!(ada.accounts[0].state, AccountState::Suspended);
    assert_eq!(told.all(), ["person ada"]);
    assert_eq!(committed.effect.recalled, 1);
}

#[tokio::test]
async fn a_signal_never_grants() {
    let (world, federation) = world().await;
    let now = world.clock.now();
    let suspended = of_ada(account(AccountState::Suspended));
    federation.commit(&signal("larkspur-hr"), |_| Ok(vec![suspended])).unwrap();
    let new = Account { subject: id("4712"), ..account(AccountState::Active) };
    let stranger = FederatedChange::NewPerson { person: id("bob"), display_name: "Bob".to_owned() };
    let longer = federation.read(|view| Ok(view.person(&id("ada"))?.unwrap().affiliations[0].clone())).unwrap();
    let longer = Affiliation { ends_at: longer.ends_at.plus(std::time::Duration::from_secs(1)), ..longer };
    let on = Channel { interval_s: 0, ..channel("larkspur-hr", Some("larkspur-labs"), now) };
    for grant in [
        of_ada(account(AccountState::Active)),
        of_ada(new),
        stranger,
        attestation("att-1", now, "larkspur-hr"),
        FederatedChange::Affiliation(longer),
        FederatedChange::Channel(on),
    ] {
        let why = refused(&federation, &signal("larkspur-hr"), grant);
        assert!(why.contains("removes") || why.contains("itself off"), "{why}");
    }
}

#[tokio::test]
async fn a_source_touches_only_what_belongs_to_its_own_organization() {
    let (world, federation) = world().await;
    let now = world.clock.now();
    federation.commit(&evidence("larkspur-hr"), |_| Ok(vec![attestation("att-1", now, "larkspur-hr")])).unwrap();
    let key = json!({ "holder": { "kind": "person", "person": "ada" }, "organization": "larkspur-labs" });
    let key = world.done("POST /admin/v1/keys", key).await;
    let affiliation = federation.read(|view| Ok(view.person(&id("ada"))?.unwrap().affiliations[0].clone())).unwrap();
    for foreign in [
        of_ada(account(AccountState::Suspended)),
        FederatedChange::AccountGone { person: id("ada"), account: account(AccountState::Active) },
        FederatedChange::Withdrawal { attestation: id("att-1"), reason: "no".to_owned() },
        FederatedChange::Affiliation(affiliation),
        FederatedChange::RevokeKey(id(key["item"]["id"].as_str().unwrap())),
        FederatedChange::SessionEnd(SessionEnd { channel: id("larkspur-hr"), session: id("s"), at: now }),
        attestation("att-2", now, "larkspur-hr"),
    ] {
        for source in [signal("other-hr"), evidence("other-hr")] {
            let why = refused(&federation, &source, foreign.clone());
            assert!(why.contains("another organization") || why.contains("removes"), "{why}");
        }
    }
    let ada = world.control.directory().person(&id("ada")).unwrap();
    assert_eq!((ada.accounts[0].state, ada.attestations.len()), (AccountState::Active, 1));
}

#[tokio::test]
async fn several_changes_are_made_all_or_none() {
    let (world, federation) = world().await;
    let before = world.entries().len();
    let changes = || {
        let stranger = Account { channel: id("other-hr"), ..account(AccountState::Active) };
        vec![of_ada(account(AccountState::Suspended)), of_ada(stranger)]
    };
    assert!(federation.commit(&evidence("larkspur-hr"), |_| Ok(changes())).is_err());
    assert_eq!(world.entries().len(), before);
    let ada = world.control.directory().person(&id("ada")).unwrap();
    assert_eq!(ada.accounts[0].state, AccountState::Active);
}

#[tokio::test]
async fn a_message_is_taken_in_once_also_across_a_restart() {
    let (world, federation) = world().await;
    let hr: ChannelId = id("larkspur-hr");
    let suspend = |_: &View<'_>| Ok(vec![of_ada(account(AccountState::Suspended))]);
    let first = federation.commit_once(&signal("larkspur-hr"), (&hr, "jti-9"), suspend).unwrap();
    let Once::Done(done) = first else { panic!("{first:?}") };
    let again = federation.commit_once(&signal("larkspur-hr"), (&hr, "jti-9"), |_| panic!("decided again")).unwrap();
    assert_eq!(again, Once::Repeated { index: done.index });
    drop(federation);
    let world = world.restart();
    let federation = world.control.federation();
    let again = federation.commit_once(&signal("larkspur-hr"), (&hr, "jti-9"), |_| panic!("decided again")).unwrap();
    assert_eq!(again, Once::Repeated { index: done.index });
    let other: ChannelId = id("other-hr");
    let elsewhere = federation.commit_once(&signal("other-hr"), (&other, "jti-9"), |_| Ok(Vec::new())).unwrap();
    assert!(matches!(elsewhere, Once::Done(_)));
}

#[tokio::test]
async fn a_registry_that_was_lost_is_made_again_from_the_ledger_with_all_that_sources_said() {
    let (world, federation) = world().await;
    let document = Document {
        collection: "scim.user".to_owned(),
        id: "4711".to_owned(),
        owner: Some(id("ada")),
        terms: vec!["ada@larkspur.example".to_owned()],
        body: "{}".to_owned(),
    };
    let kept = document.clone();
    federation.commit(&evidence("larkspur-hr"), |_| Ok(vec![FederatedChange::Document(kept)])).unwrap();
    world.clock.advance(std::time::Duration::from_secs(300));
    let heard = world.clock.now();
    federation.heard(&id("larkspur-hr"), heard).unwrap();
    drop(federation);
    let world = world.restart_after(|dir| std::fs::remove_dir_all(dir.join("registry")).unwrap());
    let federation = world.control.federation();
    let read = |view: &View<'_>| {
        let found = view.find("scim.user", "ada@larkspur.example")?;
        let (hr, subject): (ChannelId, SubjectName) = (id("larkspur-hr"), id("4711"));
        Ok((found, view.account(&hr, &subject)?, view.channel(&hr)?.unwrap().heard_at))
    };
    let ada: PersonId = id("ada");
    assert_eq!(federation.read(read).unwrap(), (vec![document], Some(ada.clone()), heard));
    let directory = world.control.directory();
    assert_eq!(directory.account(&id("larkspur-hr"), &id("4711")), Some(ada));
    assert_eq!(directory.channel(&id("larkspur-hr")).unwrap().heard_at, heard);
}

#[tokio::test]
async fn a_document_is_found_by_the_words_it_has_now_and_not_by_those_it_had() {
    let (_world, federation) = world().await;
    let document = |term: &str| {
        let (collection, id) = ("scim.user".to_owned(), "4711".to_owned());
        FederatedChange::Document(Document {
            collection,
            id,
            owner: None,
            terms: vec![term.to_owned()],
            body: String::new(),
        })
    };
    for term in ["before", "after"] {
        federation.commit(&evidence("larkspur-hr"), |_| Ok(vec![document(term)])).unwrap();
    }
    let found = |term: &'static str| federation.read(|view| Ok(view.find("scim.user", term)?.len())).unwrap();
    assert_eq!((found("before"), found("after")), (0, 1));
    let gone = FederatedChange::DocumentGone { collection: "scim.user".to_owned(), id: "4711".to_owned() };
    federation.commit(&evidence("larkspur-hr"), |_| Ok(vec![gone])).unwrap();
    assert_eq!(found("after"), 0);
}

#[tokio::test]
async fn a_channel_that_is_heard_is_fresh_again_and_nobody_hears_from_the_future() {
    let (world, federation) = world().await;
    let hr: ChannelId = id("larkspur-hr");
    let state = || world.control.directory().channel(&hr).unwrap().freshness(world.clock.now());
    world.clock.advance(std::time::Duration::from_secs(700));
    assert_eq!(state(), Freshness::Stale);
    let revision = world.control.directory().revision();
    federation.heard(&hr, world.clock.now()).unwrap();
    assert_eq!(state(), Freshness::Fresh);
    assert!(world.control.directory().revision() > revision, "what was refused while it was silent is decided again");
    let entries = world.entries().len();
    federation.heard(&hr, world.clock.now().plus(std::time::Duration::from_secs(3_600))).unwrap();
    assert_eq!(world.entries().len(), entries);
}

#[tokio::test]
async fn what_was_in_force_in_the_past_counts_the_accounts_of_then() {
    let (world, federation) = world().await;
    world.clock.advance(std::time::Duration::from_secs(60));
    let before = world.clock.now();
    world.clock.advance(std::time::Duration::from_secs(60));
    let suspended = of_ada(account(AccountState::Suspended));
    federation.commit(&signal("larkspur-hr"), |_| Ok(vec![suspended])).unwrap();
    let code = async |at: Moment| -> Value {
        let question = json!({ "person": "ada", "organization": "larkspur-labs", "model": "mythos-5", "as_of": at });
        let asked = world.done("POST /admin/v1/ask", question).await;
        asked["explanation"]["tried"][0]["answer"]["code"].clone()
    };
    assert_eq!(code(world.clock.now()).await, "credential_ended");
    assert_ne!(code(before).await, "credential_ended");
}

#[tokio::test]
async fn what_ended_is_told_with_its_entry_and_source_until_it_returns() {
    let (world, federation) = world().await;
    let now = world.clock.now();
    federation.commit(&evidence("larkspur-hr"), |_| Ok(vec![attestation("att-1", now, "larkspur-hr")])).unwrap();
    let key = json!({ "holder": { "kind": "person", "person": "ada" }, "organization": "larkspur-labs" });
    let key = world.done("POST /admin/v1/keys", key).await;
    let endings = || federation.endings(&id("ada")).unwrap();
    assert_eq!(endings().len(), 0);
    world.clock.advance(std::time::Duration::from_secs(60));
    let over = vec![
        of_ada(account(AccountState::Suspended)),
        FederatedChange::Withdrawal { attestation: id("att-1"), reason: "redacted".to_owned() },
        FederatedChange::RevokeKey(id(key["item"]["id"].as_str().unwrap())),
    ];
    let committed = federation.commit(&signal("larkspur-hr"), |_| Ok(over)).unwrap();
    let found = endings();
    assert_eq!(found.len(), 3);
    for ending in &found {
        assert_eq!((ending.index, ending.at), (committed.index, world.clock.now()));
        assert_eq!(ending.code, "signal.account_disabled");
        assert_eq!(ending.source, Some(id("larkspur-hr")));
    }
    let told = |what: fn(&Ended) -> bool| found.iter().any(|ending| what(&ending.what));
    assert!(told(|what| matches!(what, Ended::Account(account) if account.state == AccountState::Suspended)));
    assert!(told(|what| matches!(what, Ended::Attestation { reason, .. } if reason == "redacted")));
    assert!(told(|what| matches!(what, Ended::Key(_))));
    federation.commit(&evidence("larkspur-hr"), |_| Ok(vec![of_ada(account(AccountState::Active))])).unwrap();
    assert_eq!(endings().len(), 2, "the account is back");
    world.done("PATCH /admin/v1/people/ada", json!({ "active": false })).await;
    let latest = endings().remove(0);
    assert!(matches!(latest.what, Ended::Person) && latest.source.is_none(), "{latest:?}");
    assert_eq!(federation.endings(&id("nobody")).unwrap().len(), 0);
}

#[tokio::test]
async fn a_source_opens_a_review_and_only_a_person_settles_it() {
    let (world, federation) = world().await;
    let opened_at = world.clock.now();
    let review = |closed_at: Option<Moment>, what: &str| {
        let (id, what) = ("rev-1".to_owned(), what.to_owned());
        FederatedChange::Review(Review { id, person: None, what, opened_at, closed_at })
    };
    for source in [signal("larkspur-hr"), evidence("larkspur-hr"), Source::own("test")] {
        assert!(refused(&federation, &source, review(Some(opened_at), "a contradiction")).contains("by a person"));
        assert!(refused(&federation, &source, review(None, "")).contains("characters"));
    }
    federation.commit(&signal("larkspur-hr"), |_| Ok(vec![review(None, "a contradiction")])).unwrap();
    let kept = || federation.read(|view| view.review("rev-1")).unwrap().unwrap();
    assert_eq!(kept().closed_at, None);
    world.done("POST /admin/v1/reviews/rev-1/close", json!({})).await;
    assert_eq!(kept().closed_at, Some(world.clock.now()));
}

#[tokio::test]
async fn nobody_forgets_the_name_of_an_account_that_is_locked() {
    let (world, federation) = world().await;
    let gone = |state| FederatedChange::AccountGone { person: id("ada"), account: account(state) };
    for state in [AccountState::Suspended, AccountState::Ended] {
        federation.commit(&signal("larkspur-hr"), |_| Ok(vec![of_ada(account(state))])).unwrap();
        for source in [signal("larkspur-hr"), evidence("larkspur-hr"), Source::own("token.unlink_account")] {
            // What the message says of the account does not count, but what is stored.
            for told in [AccountState::Active, state] {
                let why = refused(&federation, &source, gone(told));
                assert!(why.contains("suspended or over"), "{why}");
            }
        }
    }
    let ada = world.control.directory().person(&id("ada")).unwrap();
    assert_eq!(ada.accounts, [account(AccountState::Ended)]);
    let stranger = FederatedChange::AccountGone { person: id("bob"), account: account(AccountState::Active) };
    assert!(refused(&federation, &evidence("larkspur-hr"), stranger).contains("not known"));
}

#[tokio::test]
async fn an_account_that_is_active_is_forgotten_on_its_sources_word() {
    let (world, federation) = world().await;
    let gone = FederatedChange::AccountGone { person: id("ada"), account: account(AccountState::Active) };
    federation.commit(&signal("larkspur-hr"), |_| Ok(vec![gone])).unwrap();
    assert_eq!(world.control.directory().person(&id("ada")).unwrap().accounts, []);
}

#[tokio::test]
async fn a_hold_on_an_organization_keeps_whoever_had_an_account_of_it_that_is_gone() {
    let (world, federation) = world().await;
    let other =
        Account { channel: id("other-hr"), organization: Some(id("other-labs")), ..account(AccountState::Active) };
    let gone = FederatedChange::AccountGone { person: id("ada"), account: other.clone() };
    federation.commit(&evidence("other-hr"), |_| Ok(vec![of_ada(other)])).unwrap();
    federation.commit(&signal("other-hr"), |_| Ok(vec![gone])).unwrap();
    leave(&world).await;
    let world = world.later(YEAR * 6);
    place(&world, json!({ "organization": "other-labs" })).await;
    kept(&world, &erase(&world, "person:ada", EPOCH).await);
}

#[tokio::test]
async fn no_source_touches_what_operators_settle() {
    let (_world, federation) = world().await;
    let settled = Document {
        collection: "token.issuer".to_owned(),
        id: "idp".to_owned(),
        owner: None,
        terms: Vec::new(),
        body: "{}".to_owned(),
    };
    let gone = |settled: &Document| FederatedChange::DocumentGone {
        collection: settled.collection.clone(),
        id: settled.id.clone(),
    };
    for collection in ["token.issuer", "token.rule", "token.client", "ssf.receiver", "ssf.client", "scim.tenant"] {
        let document = Document { collection: collection.to_owned(), ..settled.clone() };
        for source in [signal("larkspur-hr"), evidence("larkspur-hr")] {
            for change in [FederatedChange::Document(document.clone()), gone(&document)] {
                let why = refused(&federation, &source, change);
                assert!(why.contains("an operator changes it"), "{why}");
            }
        }
    }
    let kept = settled.clone();
    federation.commit(&Source::own("token.trust"), |_| Ok(vec![FederatedChange::Document(kept)])).unwrap();
    federation.commit(&Source::own("token.distrust"), |_| Ok(vec![gone(&settled)])).unwrap();
}

#[tokio::test]
async fn an_affiliation_is_not_taken_from_one_person_for_another() {
    let (world, federation) = world().await;
    let bob = json!({ "id": "bob", "display_name": "Bob" });
    world.done("POST /admin/v1/people", bob).await;
    let held = federation.read(|view| Ok(view.person(&id("ada"))?.unwrap().affiliations[0].clone())).unwrap();
    let taken = Affiliation { person: id("bob"), ..held.clone() };
    let why = refused(&federation, &evidence("larkspur-hr"), FederatedChange::Affiliation(taken));
    assert!(why.contains("another person's affiliation"), "{why}");
    let foreign = Affiliation { person: id("bob"), organization: id("other-labs"), ..held.clone() };
    let why = refused(&federation, &evidence("other-hr"), FederatedChange::Affiliation(foreign));
    assert!(why.contains("another organization"), "{why}");
    assert_eq!(world.control.directory().person(&id("ada")).unwrap().affiliations, [held]);
}

#[tokio::test]
async fn a_review_that_is_open_stays_as_it_is_and_one_about_somebody_else_is_refused() {
    let (world, federation) = world().await;
    let opened_at = world.clock.now();
    let review = |person: Option<&str>, what: &str| {
        let person = person.map(id);
        FederatedChange::Review(Review {
            id: "rev-1".to_owned(),
            person,
            what: what.to_owned(),
            opened_at,
            closed_at: None,
        })
    };
    let first = review(Some("ada"), "a contradiction");
    federation.commit(&signal("larkspur-hr"), |_| Ok(vec![first])).unwrap();
    let other = review(Some("ada"), "nothing at all");
    federation.commit(&signal("other-hr"), |_| Ok(vec![other])).unwrap();
    let kept = || federation.read(|view| view.review("rev-1")).unwrap().unwrap();
    assert_eq!(kept().what, "a contradiction");
    let why = refused(&federation, &signal("other-hr"), review(None, "nothing at all"));
    assert!(why.contains("somebody else"), "{why}");
    world.done("POST /admin/v1/reviews/rev-1/close", json!({})).await;
    let again = review(Some("ada"), "a contradiction, again");
    federation.commit(&signal("larkspur-hr"), |_| Ok(vec![again])).unwrap();
    assert_eq!((kept().what.as_str(), kept().closed_at), ("a contradiction, again", None));
}

#[tokio::test]
async fn an_attestation_supersedes_only_what_its_source_could_withdraw() {
    let (world, federation) = world().await;
    let now = world.clock.now();
    federation.commit(&evidence("larkspur-hr"), |_| Ok(vec![attestation("att-1", now, "larkspur-hr")])).unwrap();
    let desk = Attestation { channel: None, ..read_attestation(attestation("att-desk", now, "larkspur-hr")) };
    federation.commit(&Source::own("test"), |_| Ok(vec![FederatedChange::Attestation(desk)])).unwrap();
    let newer = |old: &str, from: &str| {
        let newer = read_attestation(attestation("att-2", now, from));
        FederatedChange::Attestation(Attestation { supersedes: Some(id(old)), ..newer })
    };
    let why = refused(&federation, &evidence("other-hr"), newer("att-1", "other-hr"));
    assert!(why.contains("another organization"), "{why}");
    let why = refused(&federation, &evidence("larkspur-hr"), newer("att-desk", "larkspur-hr"));
    assert!(why.contains("a registrar changes it"), "{why}");
    federation.commit(&evidence("larkspur-hr"), |_| Ok(vec![newer("att-1", "larkspur-hr")])).unwrap();
    let ada = world.control.directory().person(&id("ada")).unwrap();
    let held: Vec<&str> = ada.attestations.iter().map(|held| held.id.as_str()).collect();
    assert_eq!(held, ["att-2", "att-desk"]);
}

fn read_attestation(change: FederatedChange) -> Attestation {
    let FederatedChange::Attestation(attestation) = change else { panic!("not an attestation") };
    attestation
}

#[tokio::test]
async fn who_tells_what_happened_and_is_behind_goes_on_past_what_was_destroyed() {
    let (world, federation) = world().await;
    let entry = || Entry { code: Some("desk.policy".to_owned()), ..Entry::new(Kind::Admin) };
    for _ in 0..300 {
        let _ = world.ledger.append(Draft::new(entry(), "{}")).unwrap();
    }
    world.done("PATCH /admin/v1/people/ada", json!({ "active": false })).await;
    let world = world.later(YEAR * 6);
    let told = |federation: &Federation| {
        let (looked_up, _) = federation.happened(0, 40).unwrap();
        let (read, end) = federation.happened(0, 10_000).unwrap();
        assert_eq!(end, world.ledger.health().durable);
        [looked_up, read].map(|found| found.iter().map(|one| one.index).collect::<Vec<_>>())
    };
    let before = told(&federation);
    assert!(before.iter().all(|found| !found.is_empty()), "{before:?}");
    assert_eq!(erase(&world, "person:ada", EPOCH).await.status, axum::http::StatusCode::CREATED);
    assert_eq!(told(&federation), [Vec::<u64>::new(), Vec::new()], "all that happened was about Ada");
    world.done("POST /admin/v1/people", json!({ "id": "minh", "display_name": "Minh" })).await;
    let told = told(&federation);
    assert_eq!(told[1], [world.ledger.health().durable - 1]);
}
