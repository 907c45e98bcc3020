//! Whom a plan is made for: every key with what is known about it, and the traffic it carries.

use std::{collections::BTreeMap, sync::Arc};

use sha2::{Digest, Sha256};
use terms::{ChannelId, ModelVersionId, Moment, Organization, OrganizationId};

use super::fingerprint;
use crate::{CallerFacts, CredentialFacts, Reliance};

/// What is known about one key, as the gateway would gather it for a call, and the traffic it carries.
#[derive(Clone, Debug)]
pub struct Principal {
    /// The credential.
    pub credential: CredentialFacts,
    /// Who stands behind it.
    pub caller: CallerFacts,
    /// Every organization that the caller's affiliations or the credential name, as in [`crate::Facts`].
    pub organizations: Vec<Arc<Organization>>,
    /// What it carries, at most once for each model version.
    pub traffic: Vec<ModelTraffic>,
}

/// What one key carries on one model version.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ModelTraffic {
    /// The model version.
    pub model: ModelVersionId,
    /// Tokens a minute now.
    pub tokens_per_minute: u64,
    /// Calls in the window over which traffic was measured.
    pub calls: u64,
    /// Streams open now.
    pub open_streams: u64,
}

/// Every key that a plan is made for. Independent of any snapshot and of any moment.
///
/// Holds about 200 bytes a key beside what the `Arc`s share with the directory.
#[derive(Debug, Default)]
pub struct Population {
    pub(crate) members: Vec<Member>,
    pub(crate) organizations: Organizations,
    pub(crate) models: Vec<ModelVersionId>,
    /// Up to when each channel can be relied on.
    channels: BTreeMap<ChannelId, Moment>,
    digests: Vec<[u8; 32]>,
    scratch: Vec<u8>,
}

/// One key of a population.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) credential: CredentialFacts,
    pub(crate) caller: CallerFacts,
    /// Places in [`Organizations`].
    pub(crate) organizations: Box<[u32]>,
    pub(crate) traffic: Box<[Use]>,
}

/// Traffic on the model version at a place in [`Population::models`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Use {
    pub(crate) model: u32,
    pub(crate) tokens_per_minute: u64,
    pub(crate) calls: u64,
    pub(crate) open_streams: u64,
}

impl Use {
    pub(crate) fn join(&mut self, other: &Self) {
        self.tokens_per_minute += other.tokens_per_minute;
        self.calls += other.calls;
        self.open_streams += other.open_streams;
    }
}

impl Member {
    /// Returns the organization whose tenant the key uses: its own, else that of its workload.
    pub(crate) fn tenant(&self) -> Option<&OrganizationId> {
        self.credential.organization.as_ref().or(match &self.caller {
            CallerFacts::Workload { workload, .. } => Some(&workload.organization),
            CallerFacts::Person { .. } | CallerFacts::Unbound => None,
        })
    }

    /// Returns the place of the tenant among the organizations that the key came with.
    pub(crate) fn tenant_place(&self, population: &Population) -> Option<u32> {
        let tenant = self.tenant()?;
        let mut listed = self.organizations.iter().rev();
        listed.find(|place| population.organizations.get(**place).is_some_and(|o| o.id == *tenant)).copied()
    }
}

impl Population {
    /// Makes an empty population.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Says up to when each channel can be relied on; one that is never named here cannot.
    pub fn rely_on(&mut self, channels: impl IntoIterator<Item = Reliance>) {
        self.channels.extend(channels.into_iter().map(|relied| (relied.channel, relied.until)));
    }

    pub(crate) fn relied_until(&self, channel: &ChannelId) -> Option<Moment> {
        self.channels.get(channel).copied()
    }

    pub(crate) fn relies_on(&self, channel: &ChannelId, at: Moment) -> bool {
        self.relied_until(channel).is_some_and(|until| at < until)
    }

    /// Adds a key. Each key is to be added once; the order does not matter to any plan.
    pub fn add(&mut self, principal: Principal) {
        let organizations: Box<[u32]> = principal.organizations.iter().map(|o| self.organizations.place(o)).collect();
        self.scratch.clear();
        let digests = organizations.iter().map(|place| self.organizations.digest(*place));
        fingerprint::principal(&mut self.scratch, &principal, digests);
        self.digests.push(Sha256::digest(&self.scratch).into());
        let traffic = principal.traffic.iter().map(|traffic| Use {
            model: place_of(&mut self.models, &traffic.model),
            tokens_per_minute: traffic.tokens_per_minute,
            calls: traffic.calls,
            open_streams: traffic.open_streams,
        });
        let traffic = traffic.collect();
        let Principal { credential, caller, .. } = principal;
        self.members.push(Member { credential, caller, organizations, traffic });
    }

    /// Returns how many keys it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Returns true if it has no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Returns the SHA-256 of everything known about every key and its traffic; the order of arrival does not matter.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut sorted = self.digests.clone();
        sorted.sort_unstable();
        let mut all = Sha256::new_with_prefix(b"exeat/population/v1");
        for digest in &sorted {
            all.update(digest);
        }
        for (channel, until) in &self.channels {
            all.update([u8::try_from(channel.as_str().len()).unwrap_or(u8::MAX)]);
            all.update(channel.as_str());
            all.update(until.as_millis().to_be_bytes());
        }
        all.finalize().into()
    }
}

fn place_of(models: &mut Vec<ModelVersionId>, model: &ModelVersionId) -> u32 {
    let found = models.iter().position(|known| known == model);
    let place = found.unwrap_or_else(|| {
        models.push(model.clone());
        models.len() - 1
    });
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// Organizations, each kept once. Two states of the same organization are two entries.
#[derive(Debug, Default)]
pub(crate) struct Organizations {
    pub(crate) all: Vec<Arc<Organization>>,
    digests: Vec<[u8; 32]>,
    by_id: BTreeMap<OrganizationId, Vec<u32>>,
    /// By address: the entries keep every `Arc` alive, so an address is never used again for another.
    by_address: BTreeMap<usize, u32>,
    held: Vec<Arc<Organization>>,
}

impl Organizations {
    fn place(&mut self, organization: &Arc<Organization>) -> u32 {
        let address = Arc::as_ptr(organization).addr();
        if let Some(place) = self.by_address.get(&address) {
            return *place;
        }
        let same = self.by_id.entry(organization.id.clone()).or_default();
        let known = same.iter().find(|place| {
            let place = usize::try_from(**place).unwrap_or(usize::MAX);
            self.all.get(place).is_some_and(|known| **known == **organization)
        });
        let place = known.copied().unwrap_or_else(|| {
            let place = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
            self.all.push(Arc::clone(organization));
            self.digests.push(digest(organization));
            same.push(place);
            place
        });
        self.by_address.insert(address, place);
        self.held.push(Arc::clone(organization));
        place
    }

    fn digest(&self, place: u32) -> &[u8; 32] {
        const NONE: &[u8; 32] = &[0; 32];
        usize::try_from(place).ok().and_then(|place| self.digests.get(place)).unwrap_or(NONE)
    }

    pub(crate) fn get(&self, place: u32) -> Option<&Arc<Organization>> {
        self.all.get(usize::try_from(place).ok()?)
    }
}

fn digest(organization: &Organization) -> [u8; 32] {
    // Plain data with string keys: serialization into memory does not fail.
    Sha256::digest(serde_json::to_vec(organization).unwrap_or_default()).into()
}
