//! The case files, through the gateway: what `decide` says is what a caller with a key gets.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world fails")]

use std::{collections::BTreeSet, sync::Arc};

use gateway::Unmonitored;
use identity::{Change, Holder, KeyRecord, KeyText};
use policy::{CallerFacts, Facts, Snapshot};
use terms::Person;
use testkit::{
    cases::{Check, Verdict, directory, load},
    http::Head,
};

use crate::world::{CHAT, World, body, chat, served};

#[test]
fn every_case_gets_through_the_gateway_what_it_expects() {
    let cases = load(&directory()).unwrap();
    let mut checks: Vec<(&str, &Check)> =
        cases.iter().flat_map(|case| case.checks.iter().map(|check| (case.id.as_str(), check))).collect();
    // In order of time: the clock of a gateway does not run backwards.
    checks.sort_by_key(|(_, check)| check.facts.at);
    let (used, unused): (Vec<_>, Vec<_>) = checks.into_iter().partition(|(_, check)| !check.facts.consumed.is_empty());
    assert_eq!((unused.len(), used.len()), (282, 12));
    let world = world_for(unused.iter().map(|(_, check)| &check.facts));
    let mut wrong: Vec<String> = unused.into_iter().filter_map(|(id, check)| difference(&world, id, check)).collect();
    for (id, check) in used {
        let world = world_for([&check.facts].into_iter());
        use_up(&world, check);
        wrong.extend(difference(&world, id, check));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Makes the call of a check; returns what came out if that is not what is expected.
fn difference(world: &World, id: &str, check: &Check) -> Option<String> {
    put_in_force(world, check);
    let status = call(world, &check.facts, "").status;
    let expected = match check.expected.verdict {
        Verdict::Permit | Verdict::PermitWithFlag => 200,
        Verdict::Hold | Verdict::Deny => 403,
    };
    (status != expected).then(|| format!("{id} {} {}: {status}, not {expected}", check.stage, check.facts.model))
}

/// Uses as many tokens as the case says were used, in one call that its license covers. Under instruments that do not
/// have the license nothing can be used, and nothing that was used matters.
fn use_up(world: &World, check: &Check) {
    for used in &check.facts.consumed {
        if check.document.licenses.iter().any(|license| *license.id() == used.instrument) {
            put_in_force(world, check);
            let facts = Facts { model: "mythos-5.0".parse().unwrap(), ..check.facts.clone() };
            call(world, &facts, &format!("usage-{}", used.tokens));
            world.settle();
        }
    }
}

fn put_in_force(world: &World, check: &Check) {
    world.clock.set(check.facts.at);
    world.gateway.snapshot(Arc::new(Snapshot::compile(check.document.clone()).unwrap()));
}

/// Makes a world at the time of the first of some calls in which their models are served.
pub(crate) fn world_for<'a>(calls: impl Iterator<Item = &'a Facts> + Clone) -> World {
    let models: BTreeSet<&str> = calls.clone().map(|facts| facts.model.as_str()).collect();
    let start = calls.map(|facts| facts.at).min().unwrap();
    World::at(
        start,
        |settings| {
            let url = settings.upstreams.first().unwrap().endpoints.first().unwrap().url.clone();
            settings.upstreams = models.iter().map(|model| served(model, &url)).collect();
        },
        Arc::new(Unmonitored),
    )
}

/// Makes a call of which these facts are known, with a key of its own; `script` tells the model server what to do.
pub(crate) fn call(world: &World, facts: &Facts, script: &str) -> Head {
    for organization in &facts.organizations {
        world.directory.apply(Change::Organization(Arc::clone(organization)));
    }
    let holder = enroll(world, facts);
    let key = KeyText::mint().unwrap();
    let credential = &facts.credential;
    world.directory.apply(Change::Key(Arc::new(KeyRecord {
        id: key.id(),
        holder,
        organization: credential.organization.clone(),
        digest: world.pepper.digest(&key),
        created_at: facts.at,
        expires_at: credential.expires_at,
        revoked_at: credential.revoked.then_some(facts.at),
        end_use: credential.end_use.clone(),
        confirmation: None,
    })));
    let asked = body(&chat(facts.model.as_str(), false));
    let answer = world.post_with(key.reveal(), CHAT, &[("x-fake", script)], &asked);
    let head = answer.head.clone();
    answer.text().unwrap();
    head
}

/// Puts the people behind a call into the directory and returns whom the key belongs to.
fn enroll(world: &World, facts: &Facts) -> Holder {
    let put = |person: &Arc<Person>| world.directory.apply(Change::Person(Arc::clone(person)));
    match &facts.caller {
        CallerFacts::Person { person } => {
            put(person);
            Holder::Person { person: person.id.clone() }
        }
        CallerFacts::Workload { workload, owners, recipients } => {
            owners.iter().chain(recipients).for_each(put);
            world.directory.apply(Change::Workload(Arc::clone(workload)));
            Holder::Workload { workload: workload.id.clone() }
        }
        CallerFacts::Unbound => Holder::Shared,
    }
}
