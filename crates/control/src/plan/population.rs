//! Everybody a plan is made for: each key of the directory as the gateway would see it, with the traffic it carries.

use std::collections::BTreeMap;

use identity::{Directory, KeyRecord, Resolved};
use policy::{
    CallerFacts, CredentialFacts, Reliance,
    plan::{ModelTraffic, Population, Principal},
};
use terms::{KeyId, ModelVersionId, Moment};

use super::Progress;

/// What each key carries on each model version.
pub(super) type Traffic = BTreeMap<(KeyId, ModelVersionId), Carried>;

/// What one key carries on one model version.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Carried {
    pub(super) calls: u64,
    pub(super) tokens: u64,
    pub(super) open_streams: u64,
}

/// Gathers every key; `minutes` is the length of the window in which `traffic` was counted.
pub(super) fn gather(directory: &Directory, traffic: &Traffic, minutes: u64, progress: &Progress) -> Population {
    let mut keys = Vec::new();
    directory.for_each_key(|key| keys.push(key.clone()));
    progress.step("gathering everybody", u64::try_from(keys.len()).unwrap_or(u64::MAX));
    let mut population = Population::new();
    population.rely_on(alive(directory));
    for key in keys {
        population.add(principal(directory, &key, carried(traffic, &key.id, minutes)));
        progress.advance(1);
    }
    population
}

/// Returns the channels that can be relied on now, as if they went on to be heard: a plan is about an instrument, and what
/// silence would end is told by their health.
fn alive(directory: &Directory) -> Vec<Reliance> {
    let mut alive = Vec::new();
    directory.for_each_channel(|channel| {
        let until = if channel.enabled { Moment::MAX } else { channel.heard_at };
        alive.push(Reliance { channel: channel.id.clone(), until });
    });
    alive
}

fn principal(directory: &Directory, key: &KeyRecord, traffic: Vec<ModelTraffic>) -> Principal {
    let caller = match directory.resolve(&key.holder) {
        Resolved::Person(person) => CallerFacts::Person { person },
        Resolved::Workload { workload, owners, recipients } => CallerFacts::Workload { workload, owners, recipients },
        Resolved::Unbound => CallerFacts::Unbound,
    };
    let named = caller.organizations(key.organization.as_ref());
    Principal {
        organizations: named.iter().filter_map(|id| directory.organization(id)).collect(),
        credential: CredentialFacts {
            id: key.id.clone(),
            expires_at: key.expires_at,
            revoked: key.revoked_at.is_some(),
            organization: key.organization.clone(),
            end_use: key.end_use.clone(),
        },
        caller,
        traffic,
    }
}

fn carried(traffic: &Traffic, key: &KeyId, minutes: u64) -> Vec<ModelTraffic> {
    let from = ModelVersionId::parse("0").map(|lowest| (key.clone(), lowest));
    let Ok(from) = from else {
        return Vec::new();
    };
    let own = traffic.range(from..).take_while(|((of, _), _)| of == key);
    own.map(|((_, model), carried)| ModelTraffic {
        model: model.clone(),
        tokens_per_minute: carried.tokens.div_ceil(minutes.max(1)),
        calls: carried.calls,
        open_streams: carried.open_streams,
    })
    .collect()
}
