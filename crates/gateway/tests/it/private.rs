//! What the entries of a call say beside their facts: chains, references, digests, sealed bodies.

use std::{sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use gateway::{ContentSettings, Unmonitored};
use identity::Change;
use ledger::Stored;
use proof::{
    commit::Field,
    entry::{Class, Entry, Kind, Outcome},
};
use rustls::crypto::{
    aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_256,
    hpke::{EncapsulatedSecret, Hpke, HpkePrivateKey},
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use terms::{Affiliation, Organization, OrganizationId};

use crate::world::{CHAT, World, body, chat, lab, person, served};

/// A gateway whose calls are all served by one worker, which remembers what it decided.
fn remembering() -> World {
    World::with(|settings| settings.workers = 1, Arc::new(Unmonitored))
}

fn of_kind(world: &World, kind: Kind) -> Vec<(Entry, Stored)> {
    world.stored().into_iter().filter(|(entry, _)| entry.kind == kind).collect()
}

#[test]
fn facts_are_recorded_once_and_what_follows_refers_to_them() {
    let mut world = remembering();
    let (ada, minh) = (world.person("ada", true), world.person("minh", false));
    for key in [&ada, &minh, &ada] {
        assert_eq!(world.post(key, CHAT, &chat("mythos-5", false)).head.status, 200);
    }
    world.clock.advance(Duration::from_secs(3_600));
    for _ in 0..2 {
        world.post(&ada, CHAT, &chat("mythos-5", false));
    }
    let opens = of_kind(&world, Kind::Open);
    let named: Vec<Option<u64>> = opens.iter().map(|(entry, _)| entry.facts).collect();
    let at = |n: usize| Some(opens[n].1.index);
    assert_eq!(named, [None, None, at(0), None, at(3)], "anew for another person, and after an hour");
    for (entry, stored) in &opens {
        assert_eq!(stored.field(Field::Main).is_none(), entry.facts.is_some());
        let facts: Value = serde_json::from_slice(stored.main().unwrap()).unwrap();
        let whose = if opens[1].1.index == stored.index { "minh" } else { "ada" };
        assert_eq!(facts["caller"]["person"]["id"], whose, "{facts}");
    }
    world.june_12();
    for _ in 0..2 {
        assert_eq!(world.post(&minh, CHAT, &chat("mythos-5", false)).head.status, 403);
    }
    let refusals = of_kind(&world, Kind::Refusal);
    assert_eq!(refusals[1].0.facts, Some(refusals[0].1.index));
    assert_eq!(refusals[1].1.main(), refusals[0].1.main());
}

#[test]
fn a_log_in_which_facts_are_referred_to_is_replayed_as_any() {
    let world = remembering();
    let snapshot = Arc::new(crate::world::capped(2, &[]));
    world.enact(&snapshot);
    let (ada, minh) = (world.person("ada", true), world.person("minh", false));
    for _ in 0..3 {
        assert_eq!(world.post(&ada, CHAT, &chat("mythos-5", true)).text().unwrap().matches("[DONE]").count(), 1);
        assert_eq!(world.post(&minh, CHAT, &chat("mythos-5", false)).head.status, 403);
    }
    let report = world.audited();
    assert!(report.holds(), "{report}");
}

#[test]
fn every_entry_of_a_call_stands_in_the_chains_of_all_whom_it_is_about() {
    let mut world = World::with(|settings| settings.lease_events = 4, Arc::new(Unmonitored));
    let minh = world.person("minh", false);
    let stream = world.post_with(&minh, CHAT, &[("x-fake", "slow-10-0")], &body(&chat("mythos-5", true)));
    stream.text().unwrap();
    world.june_12();
    world.post(&minh, CHAT, &chat("mythos-5", false));
    let stored = world.stored();
    let about: Vec<&Entry> = stored.iter().map(|(entry, _)| entry).filter(|entry| entry.call.is_some()).collect();
    let kinds: Vec<Kind> = about.iter().map(|entry| entry.kind).collect();
    assert_eq!(kinds, [Kind::Open, Kind::Lease, Kind::Lease, Kind::Lease, Kind::Close, Kind::Refusal]);
    let key = identity::KeyText::parse(minh.as_bytes()).unwrap().id();
    let organization = "organization:larkspur-labs".to_owned();
    for (class, name) in [
        (Class::Subject, "person:minh".to_owned()),
        (Class::Key, format!("key:{key}")),
        (Class::Organization, organization),
        (Class::Model, "model:mythos-5".to_owned()),
    ] {
        let id = world.ledger.pseudonym(&name);
        let seqs: Vec<Option<u64>> = about.iter().map(|entry| entry.link(class, &id).map(|link| link.seq)).collect();
        assert_eq!(seqs, [0, 1, 2, 3, 4, 5].map(Some), "{name}");
    }
    assert!(about.iter().all(|entry| entry.links.as_ref().unwrap().len() == 4));
    assert!(about.iter().all(|entry| entry.subject == Some(world.ledger.pseudonym("person:minh"))));
}

#[test]
fn a_caller_with_more_organizations_than_an_entry_can_name_is_refused_and_reaches_nobody() {
    for (organizations, status) in [(13, 200), (14, 403)] {
        let world = World::new();
        let ada = world.person("ada", true);
        let mut many = person("ada", true);
        let first = many.affiliations[0].clone();
        for n in 1..organizations {
            let organization = OrganizationId::parse(&format!("firm-{n}")).unwrap();
            let firm = Organization { id: organization.clone(), ..lab() };
            world.change(Change::Organization(Arc::new(firm)));
            let id = format!("f1{n}").parse().unwrap();
            many.affiliations.push(Affiliation { id, organization, ..first.clone() });
        }
        world.change(Change::Person(Arc::new(many)));
        let answer = world.post(&ada, CHAT, &chat("mythos-5", false));
        let answered = answer.head.status;
        let text = answer.text().unwrap();
        assert_eq!(answered, status, "{text}");
        assert_eq!(text.contains("too_many_organizations"), status == 403, "{text}");
        assert_eq!(world.upstream.received().is_empty(), status == 403);
    }
}

#[test]
fn the_record_has_the_digests_of_both_bodies_and_the_upstreams_name_of_its_own() {
    let world = World::new();
    let ada = world.person("ada", true);
    for (path, stream) in [(CHAT, false), (CHAT, true), ("/v1/messages", true), ("/v1/responses", true)] {
        let text = world.post(&ada, path, &chat("assistant", stream)).text().unwrap();
        let stored = world.stored();
        let (_, open) = stored.iter().rfind(|(entry, _)| entry.kind == Kind::Open).unwrap();
        let (_, close) = stored.iter().rfind(|(entry, _)| entry.kind == Kind::Close).unwrap();
        let forwarded = world.upstream.received().pop().unwrap().body;
        assert_eq!(open.field(Field::Request).unwrap(), &Sha256::digest(&forwarded)[..], "as forwarded: {path}");
        assert_eq!(close.field(Field::Response).unwrap(), &Sha256::digest(&text)[..], "{path}");
        let id = std::str::from_utf8(close.field(Field::UpstreamId).unwrap()).unwrap();
        assert!(text.contains(&format!("\"id\":\"{id}\"")), "{path}: {id} in {text}");
        assert!(open.field(Field::SealedRequest).is_none() && close.field(Field::SealedResponse).is_none());
    }
}

#[test]
fn the_digests_of_long_bodies_are_those_of_the_bytes_too() {
    let long = format!(
        "{{\"choices\":[{{\"x\":\"{}\"}}],\"usage\":{{\"prompt_tokens\":5,\"completion_tokens\":6}}}}",
        "y".repeat(3 << 20)
    );
    let url = crate::ends::once_as("application/json", long.clone());
    let world = World::with(|settings| settings.upstreams = vec![served("mythos-5", &url)], Arc::new(Unmonitored));
    let ada = world.person("ada", true);
    let mut request = chat("mythos-5", false);
    request["user"] = "x".repeat(2 << 20).into();
    assert!(world.post(&ada, CHAT, &request).text().unwrap() == long);
    let (open, close) = (of_kind(&world, Kind::Open).pop().unwrap().1, of_kind(&world, Kind::Close).pop().unwrap());
    assert_eq!(open.field(Field::Request).unwrap(), &Sha256::digest(body(&request))[..]);
    assert_eq!(close.1.field(Field::Response).unwrap(), &Sha256::digest(&long)[..]);
    let usage = close.0.usage.unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens, usage.delivered_bytes), (Some(5), Some(6), long.len() as u64));
}

#[test]
fn the_digest_of_a_stream_that_is_cut_is_that_of_what_was_delivered() {
    let mut world = World::new();
    let minh = world.person("minh", false);
    let answer = world.post_with(&minh, CHAT, &[("x-fake", "slow-1200-50")], &body(&chat("mythos-5", true)));
    let reading = std::thread::spawn(move || answer.text().unwrap());
    std::thread::sleep(Duration::from_millis(300));
    world.june_12();
    let text = reading.join().unwrap();
    let (delivered, _) = text.split_once("event: error\n").unwrap();
    let (close, stored) = of_kind(&world, Kind::Close).pop().unwrap();
    assert_eq!(close.outcome, Some(Outcome::Cut));
    assert_eq!(close.usage.unwrap().delivered_bytes, delivered.len() as u64);
    assert_eq!(stored.field(Field::Response).unwrap(), &Sha256::digest(delivered)[..]);
}

#[test]
fn bodies_are_kept_only_if_configured_and_only_the_escrow_can_open_them() {
    let (public, private) = DH_KEM_X25519_HKDF_SHA256_AES_256.generate_key_pair().unwrap();
    let content = ContentSettings { escrow_key: STANDARD.encode(&public.0), max_bytes: 4_096 };
    let world = World::with(|settings| settings.content = Some(content), Arc::new(Unmonitored));
    let ada = world.person("ada", true);
    let text = world.post(&ada, CHAT, &chat("mythos-5", true)).text().unwrap();
    let opened = |entry: &Entry, sealed: &[u8], key: &HpkePrivateKey| {
        let (secret, sealed) = sealed.split_at(32);
        let secret = EncapsulatedSecret(secret.to_vec());
        DH_KEM_X25519_HKDF_SHA256_AES_256.open(&secret, b"exeat/content/v2", &entry.call.unwrap(), sealed, key)
    };
    let (open, request) = of_kind(&world, Kind::Open).pop().unwrap();
    let (close, response) = of_kind(&world, Kind::Close).pop().unwrap();
    let (request, response) =
        (request.field(Field::SealedRequest).unwrap(), response.field(Field::SealedResponse).unwrap());
    assert_eq!(opened(&open, request, &private).unwrap(), body(&chat("mythos-5", true)));
    assert_eq!(opened(&close, response, &private).unwrap(), text.as_bytes());
    let (_, stranger) = DH_KEM_X25519_HKDF_SHA256_AES_256.generate_key_pair().unwrap();
    assert!(opened(&close, response, &stranger).is_err());
    let mut long = chat("mythos-5", false);
    long["user"] = "x".repeat(4_096).into();
    world.post(&ada, CHAT, &long);
    let (_, stored) = of_kind(&world, Kind::Open).pop().unwrap();
    assert_eq!(stored.field(Field::SealedRequest).unwrap(), b"too_long");
    assert_eq!(stored.field(Field::Request).unwrap().len(), 32, "its digest is there all the same");
}
