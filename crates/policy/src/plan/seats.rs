//! Which organizations the rules cannot tell apart.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use terms::{Country, OrganizationId};

use super::{
    lens::Lens,
    population::{Member, Organizations, Population},
};
use crate::CallerFacts;

/// An organization as a shape names it: one of a kind, the first, second, ... that the key involves.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Seat {
    /// Organizations with the same attributes that instruments name at the same places.
    pub(crate) kind: u32,
    /// Which of those that one key involves.
    pub(crate) nth: u32,
}

/// The organizations of a population by kind.
///
/// A place below the number of known organizations is one of them; from there on come those that are named and not
/// known.
#[derive(Debug)]
pub(crate) struct Seats {
    kinds: Vec<u32>,
    members: Vec<Vec<u32>>,
    unknown: BTreeMap<OrganizationId, u32>,
    unknown_ids: Vec<OrganizationId>,
    known: u32,
    /// Of each kind, whether instruments name it, and whether they name somebody it belongs to.
    traits: Vec<(bool, bool)>,
}

impl Seats {
    /// Sorts all organizations that a population's keys involve.
    pub(crate) fn new(lens: &Lens, population: &Population) -> Self {
        let organizations = &population.organizations;
        let known = u32::try_from(organizations.all.len()).unwrap_or(u32::MAX);
        let unknown_ids = unknown(population);
        let unknown = (known..).zip(&unknown_ids).map(|(place, id)| (id.clone(), place)).collect();
        let looks = organizations.all.iter().map(|o| (o.id.clone(), look(lens, &o.id, serde_json::to_value(o).ok())));
        let looks = looks.chain(unknown_ids.iter().map(|id| (id.clone(), look(lens, id, None))));
        let looks = pinned(looks.collect());
        let mut by_look: BTreeMap<Look, Vec<(OrganizationId, u32)>> = BTreeMap::new();
        for (place, (id, look)) in (0..).zip(looks) {
            by_look.entry(look).or_default().push((id, place));
        }
        let mut kinds = vec![0; organizations.all.len() + unknown_ids.len()];
        let mut members = Vec::new();
        let mut traits = Vec::new();
        for (kind, (look, mut alike)) in (0..).zip(by_look) {
            traits.push((!look.places.is_empty(), !look.ties.is_empty()));
            alike.sort();
            for (_, place) in &alike {
                if let Some(slot) = usize::try_from(*place).ok().and_then(|place| kinds.get_mut(place)) {
                    *slot = kind;
                }
            }
            alike.dedup_by(|one, other| one.0 == other.0);
            members.push(alike.into_iter().map(|(_, place)| place).collect());
        }
        Self { kinds, members, unknown, unknown_ids, known, traits }
    }

    /// Returns the place and the kind of an organization that a key names.
    pub(crate) fn find(&self, population: &Population, member: &Member, id: &OrganizationId) -> (u32, u32) {
        let place = known(&population.organizations, member, id).or_else(|| self.unknown.get(id).copied());
        let place = place.unwrap_or(u32::MAX);
        let kind = usize::try_from(place).ok().and_then(|place| self.kinds.get(place));
        (place, kind.copied().unwrap_or(u32::MAX))
    }

    /// Tells whether instruments name such an organization.
    pub(crate) fn is_named(&self, seat: Seat) -> bool {
        self.traits(seat).0
    }

    /// Tells whether instruments name somebody to whom such an organization belongs.
    pub(crate) fn is_tied(&self, seat: Seat) -> bool {
        self.traits(seat).1
    }

    fn traits(&self, seat: Seat) -> (bool, bool) {
        usize::try_from(seat.kind).ok().and_then(|kind| self.traits.get(kind)).copied().unwrap_or((true, true))
    }

    /// Returns an organization that can sit in a seat: its place, if it is known, and its id.
    ///
    /// Of a kind there are at least as many organizations as any key involves, each with another id, and no other kind
    /// that the same key involves has that id.
    pub(crate) fn sitting<'a>(
        &'a self,
        organizations: &'a Organizations,
        seat: Seat,
    ) -> Option<(Option<u32>, &'a OrganizationId)> {
        let members = self.members.get(usize::try_from(seat.kind).ok()?)?;
        let place = *members.get(usize::try_from(seat.nth).ok()?)?;
        let id = match organizations.get(place) {
            Some(organization) => &organization.id,
            None => self.unknown_ids.get(usize::try_from(place.checked_sub(self.known)?).ok()?)?,
        };
        Some(((place < self.known).then_some(place), id))
    }
}

/// Finds an organization among those a key came with; of two states of one the later listed counts, as in a decision.
fn known(organizations: &Organizations, member: &Member, id: &OrganizationId) -> Option<u32> {
    let mut listed = member.organizations.iter().rev();
    listed.find(|place| organizations.get(**place).is_some_and(|o| o.id == *id)).copied()
}

/// Lists organizations that keys name and did not come with, in order.
fn unknown(population: &Population) -> Vec<OrganizationId> {
    let mut ids = Vec::new();
    for member in &population.members {
        named(member, |id| {
            if known(&population.organizations, member, id).is_none() {
                ids.push(id.clone());
            }
        });
    }
    ids.sort();
    ids.dedup();
    ids
}

fn named(member: &Member, mut see: impl FnMut(&OrganizationId)) {
    member.credential.organization.iter().for_each(&mut see);
    let people = match &member.caller {
        CallerFacts::Person { person } => (Some(person), &[][..], &[][..]),
        CallerFacts::Workload { workload, owners, recipients } => {
            see(&workload.organization);
            (None, owners.as_slice(), recipients.as_slice())
        }
        CallerFacts::Unbound => return,
    };
    for person in people.0.into_iter().chain(people.1).chain(people.2) {
        person.affiliations.iter().for_each(|a| see(&a.organization));
    }
}

/// Everything the rules can see of an organization.
#[derive(Eq, Ord, PartialEq, PartialOrd)]
struct Look {
    /// Its attributes, as JSON.
    attributes: String,
    /// Where instruments name it.
    places: String,
    /// How it belongs to others that instruments name.
    ties: Vec<String>,
    /// Its id, where the population knows it in several states: only so do organizations of different kinds always
    /// have different ids.
    pinned: Option<OrganizationId>,
}

fn pinned(mut looks: Vec<(OrganizationId, Look)>) -> Vec<(OrganizationId, Look)> {
    let mut first: BTreeMap<OrganizationId, usize> = BTreeMap::new();
    let mut several: BTreeSet<OrganizationId> = BTreeSet::new();
    for (at, (id, look)) in looks.iter().enumerate() {
        let known = *first.entry(id.clone()).or_insert(at);
        if looks.get(known).is_some_and(|(_, known)| known != look) {
            several.insert(id.clone());
        }
    }
    for (id, look) in looks.iter_mut().filter(|(id, _)| several.contains(id)) {
        look.pinned = Some(id.clone());
    }
    looks
}

fn look(lens: &Lens, id: &OrganizationId, organization: Option<Value>) -> Look {
    let mut attributes = organization.unwrap_or_default();
    let mut ties = Vec::new();
    if let Some(fields) = attributes.as_object_mut() {
        fields.remove("id");
        fields.remove("legal_name");
        if !lens.has("headquartered_in") {
            fields.remove("headquarters");
        }
        ties = fields.remove("ties").map(|ties| visible_ties(lens, &ties)).unwrap_or_default();
        for value in fields.values_mut() {
            if let Some(country) = value.as_str().and_then(|text| Country::parse(text).ok()) {
                *value = Value::from(lens.kind(country));
            }
        }
    }
    Look { attributes: attributes.to_string(), places: places(lens, id.as_str()), ties, pinned: None }
}

/// Writes down the ties to organizations that instruments name, by where they name them.
fn visible_ties(lens: &Lens, ties: &Value) -> Vec<String> {
    let ties = ties.as_array().into_iter().flatten();
    let named = ties.filter_map(|tie| {
        let places = places(lens, tie.get("to")?.as_str()?);
        (!places.is_empty()).then(|| format!("{} {places}", tie.get("kind").unwrap_or(&Value::Null)))
    });
    let named: BTreeSet<String> = named.collect();
    named.into_iter().collect()
}

fn places(lens: &Lens, id: &str) -> String {
    lens.mentions(id).collect::<Vec<_>>().join(" ")
}
