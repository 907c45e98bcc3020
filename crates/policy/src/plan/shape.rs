//! The shape of a key: what is left of it when everything is dropped that no rule can see at one moment.
//!
//! Two keys of one shape get the same determination (but for its end) under every document the [`Lens`] was made
//! from. That is so by construction: a shape is turned into facts again, and those facts differ from the key's own
//! only in what no rule can tell apart. A property test compares the two for arbitrary worlds.
//!
//! What is dropped: ids and names; evidence that is superseded or not yet made, and evidence that ended but of ties to
//! countries, which go on to contradict; moments, but for which greatest ages they have passed; levels of assurance between those asked for; which country it is, among those in the same
//! lists; which organization, among those with the same attributes that instruments name at the same places.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use terms::{
    Affiliation, Attestation, ChannelId, Claim, Country, EndUse, Engagement, LocationMethod, Moment, OrganizationId,
    Person, PersonId, Screening, UsPersonLimb, Workload,
};

use super::{
    lens::Lens,
    population::{Member, Population},
    seats::{Seat, Seats},
};
use crate::{CallerFacts, evidence};

/// What the rules can see of a key at one moment.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Shape {
    /// The credential is revoked or expired.
    Ended,
    /// The person or workload was deactivated.
    Inactive,
    /// Anything else.
    Live(Live),
}

/// A credential that is good, of somebody who is active.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Live {
    pub(crate) caller: CallerShape,
    /// The end use declared.
    pub(crate) end_use: Option<EndUseShape>,
    /// The organization of the credential.
    pub(crate) tenant: Option<Seat>,
    /// The organization of the workload.
    pub(crate) employer: Option<Seat>,
    /// Everyone who would receive the output: each shape once, in order.
    pub(crate) people: Vec<PersonShape>,
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum EndUseShape {
    /// One that instruments name.
    Named(EndUse),
    /// Any other.
    Other,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum CallerShape {
    Person,
    Workload {
        /// All owners and recipients are named, known and active.
        complete: bool,
        /// At least one owner is known and active.
        identified: bool,
    },
    Unbound,
}

/// What the rules can see of one person.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct PersonShape {
    pub(crate) screening: Screening,
    /// True if some affiliation is on file, ended or not.
    pub(crate) affiliated: bool,
    pub(crate) standings: Vec<Word<StandingClaim>>,
    pub(crate) places: Vec<Word<Place>>,
    /// Left out unless some document asks about nationality.
    pub(crate) ties: Vec<Word<TieShape>>,
    pub(crate) roles: Vec<RoleShape>,
}

/// What is claimed, and how good the best evidence for it is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Word<T> {
    pub(crate) claim: T,
    /// How many of the levels of assurance asked for it reaches.
    pub(crate) assurance: u8,
    /// How many of the greatest ages it has passed.
    pub(crate) age: u8,
    /// True if it rests on a channel that cannot be relied on, or is a tie whose attestation ended: it speaks against the
    /// person and never in favor.
    pub(crate) silent: bool,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum StandingClaim {
    UsPerson(UsPersonLimb),
    ForeignPerson,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Place {
    pub(crate) country: Country,
    /// A network address: it contradicts and never establishes.
    pub(crate) network: bool,
}

/// A tie to a country, or that there is none.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum TieShape {
    Stateless,
    To {
        country: Country,
        /// True for citizenship, false for permanent residency.
        citizenship: bool,
        ended: bool,
        /// Of a tie that goes on and whose beginning is known: how many others of the person began earlier.
        began: Option<u8>,
    },
}

/// In what capacity a person acts for an organization now.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct RoleShape {
    pub(crate) seat: Seat,
    pub(crate) engagement: Engagement,
    /// How many of the greatest ages its evidence has passed.
    pub(crate) age: u8,
    /// True if it rests on a channel that cannot be relied on, or an account there is out of use: it speaks against the
    /// person and never in favor.
    pub(crate) silent: bool,
}

/// Makes shapes of the keys of one population, as of one moment.
#[derive(Debug)]
pub(crate) struct Shaper<'a> {
    pub(crate) lens: &'a Lens,
    pub(crate) seats: &'a Seats,
    pub(crate) population: &'a Population,
}

impl Shaper<'_> {
    /// Returns the shape of a key at a moment.
    pub(crate) fn shape(&self, member: &Member, at: Moment) -> Shape {
        let locked_out = member.caller.is_locked_out(member.credential.organization.as_ref());
        if member.credential.revoked || locked_out || member.credential.expires_at <= at {
            return Shape::Ended;
        }
        let mut view = View { shaper: self, member, at, taken: Vec::new() };
        match &member.caller {
            CallerFacts::Person { person } if !person.active => Shape::Inactive,
            CallerFacts::Workload { workload, .. } if !workload.active => Shape::Inactive,
            CallerFacts::Person { person } => {
                let live = view.live(CallerShape::Person);
                Shape::Live(Live { people: vec![view.person(person)], ..live })
            }
            CallerFacts::Unbound => Shape::Live(view.live(CallerShape::Unbound)),
            CallerFacts::Workload { workload, owners, recipients } => {
                let live = view.live(workload_shape(workload, owners, recipients));
                let employer = Some(view.seat(&workload.organization));
                let people = view.people(owners.iter().chain(recipients));
                Shape::Live(Live { employer, people, ..live })
            }
        }
    }
}

fn workload_shape(workload: &Workload, owners: &[Arc<Person>], recipients: &[Arc<Person>]) -> CallerShape {
    let is_there = |known: &[Arc<Person>], id: &PersonId| known.iter().any(|person| person.id == *id && person.active);
    let present = |wanted: &[PersonId], known| !wanted.is_empty() && wanted.iter().all(|id| is_there(known, id));
    CallerShape::Workload {
        complete: present(&workload.owners, owners) && present(&workload.recipients, recipients),
        identified: workload.owners.iter().any(|id| is_there(owners, id)),
    }
}

/// One key being looked at.
struct View<'a> {
    shaper: &'a Shaper<'a>,
    member: &'a Member,
    at: Moment,
    /// Organizations met so far, so that one of the same kind as another is still another.
    taken: Vec<(u32, Seat)>,
}

impl View<'_> {
    fn live(&mut self, caller: CallerShape) -> Live {
        let tenant = self.member.credential.organization.as_ref().map(|id| self.seat(id));
        Live { caller, end_use: self.end_use(), tenant, employer: None, people: Vec::new() }
    }

    fn end_use(&self) -> Option<EndUseShape> {
        let lens = self.shaper.lens;
        let declared = self.member.credential.end_use.as_ref().filter(|_| lens.has("end_uses"))?;
        let is_named = lens.mentions(declared.as_str()).next().is_some();
        Some(if is_named { EndUseShape::Named(declared.clone()) } else { EndUseShape::Other })
    }

    fn seat(&mut self, id: &OrganizationId) -> Seat {
        let (place, kind) = self.shaper.seats.find(self.shaper.population, self.member, id);
        if let Some((_, seat)) = self.taken.iter().find(|(taken, _)| *taken == place) {
            return *seat;
        }
        let before = self.taken.iter().filter(|(_, seat)| seat.kind == kind).count();
        let seat = Seat { kind, nth: u32::try_from(before).unwrap_or(u32::MAX) };
        self.taken.push((place, seat));
        seat
    }

    /// Looks at people by id, each once: of two states of one person the later listed counts, as in a decision.
    fn people<'p>(&mut self, people: impl Iterator<Item = &'p Arc<Person>>) -> Vec<PersonShape> {
        let by_id: BTreeMap<&PersonId, &Person> = people.map(|p| (&p.id, p.as_ref())).collect();
        let mut shapes: Vec<PersonShape> = by_id.into_values().map(|person| self.person(person)).collect();
        shapes.sort_unstable();
        shapes.dedup();
        shapes
    }

    fn person(&mut self, person: &Person) -> PersonShape {
        let mut standings = Vec::new();
        let mut places = Vec::new();
        for said in &person.attestations {
            match said.claim {
                Claim::UsPerson { limb } if self.counts(person, said, is_standing) => {
                    standings.push(self.word(said, StandingClaim::UsPerson(limb)));
                }
                Claim::ForeignPerson if self.counts(person, said, is_standing) => {
                    standings.push(self.word(said, StandingClaim::ForeignPerson));
                }
                Claim::Location { country, method } if self.counts(person, said, is_location) => {
                    places.push(self.place(said, country, method));
                }
                _ => {}
            }
        }
        best(&mut standings);
        self.generalize(&mut places, |place| Some(&mut place.country));
        PersonShape {
            screening: person.screening,
            affiliated: !person.affiliations.is_empty(),
            ties: if self.shaper.lens.asks_nationality() { self.ties(person) } else { Vec::new() },
            roles: self.roles(person),
            standings,
            places,
        }
    }

    /// Tells whether a statement is its issuer's latest word on a question, heard and not ended.
    fn counts(&self, person: &Person, said: &Attestation, question: fn(&Claim) -> bool) -> bool {
        let heard = |word: &Attestation| word.person == person.id && word.issued_at <= self.at;
        let replaces = |other: &Attestation| {
            let later = other.issued_at > said.issued_at && other.issuer == said.issuer;
            let supersedes = other.supersedes.as_ref() == Some(&said.id) && other.id != said.id;
            (later || supersedes) && question(&other.claim) && heard(other)
        };
        heard(said) && self.at < said.expires_at && !person.attestations.iter().any(replaces)
    }

    fn word<T>(&self, said: &Attestation, claim: T) -> Word<T> {
        let lens = self.shaper.lens;
        let (assurance, age) = (lens.assurance(said.assurance), passed(lens.ages(), said.issued_at, self.at));
        Word { claim, assurance, age, silent: self.is_silent(said.channel.as_ref()) }
    }

    fn is_silent(&self, channel: Option<&ChannelId>) -> bool {
        channel.is_some_and(|channel| !self.shaper.population.relies_on(channel, self.at))
    }

    fn place(&self, said: &Attestation, country: Country, method: LocationMethod) -> Word<Place> {
        if method == LocationMethod::Network {
            return Word { claim: Place { country, network: true }, assurance: 0, age: u8::MAX, silent: false };
        }
        self.word(said, Place { country, network: false })
    }

    /// Returns the ties to countries that have begun, of attestations that no other supersedes.
    fn ties(&self, person: &Person) -> Vec<Word<TieShape>> {
        let current = person.attestations.iter().filter(|said| is_tie(&said.claim) && self.stands(person, said));
        let current: Vec<&Attestation> = current.collect();
        let begun = |from: Option<Moment>| from.is_none_or(|from| from <= self.at);
        let ended = |until: Option<Moment>| until.is_some_and(|until| until <= self.at);
        let mut dates: Vec<Moment> = Vec::new();
        for said in &current {
            let Some((_, from, until, _)) = tie(&said.claim) else {
                continue;
            };
            dates.extend(from.filter(|_| begun(from) && !ended(until)));
        }
        dates.sort_unstable();
        dates.dedup();
        let rank = |from: Moment| u8::try_from(dates.partition_point(|date| *date < from)).unwrap_or(u8::MAX);
        let shape = |said: &&Attestation| match tie(&said.claim) {
            None => Some(self.tied(said, TieShape::Stateless)),
            Some((country, from, until, citizenship)) => begun(from).then(|| {
                let ended = ended(until);
                let began = from.filter(|_| !ended).map(rank);
                self.tied(said, TieShape::To { country, citizenship, ended, began })
            }),
        };
        let mut ties: Vec<Word<TieShape>> = current.iter().filter_map(shape).collect();
        self.generalize(&mut ties, |tie| match tie {
            TieShape::To { country, .. } => Some(country),
            TieShape::Stateless => None,
        });
        ties
    }

    fn tied(&self, said: &Attestation, claim: TieShape) -> Word<TieShape> {
        let word = self.word(said, claim);
        Word { silent: word.silent || said.expires_at <= self.at, ..word }
    }

    /// Tells whether a statement on a question of several answers was heard and is not superseded.
    fn stands(&self, person: &Person, said: &Attestation) -> bool {
        let heard = |word: &Attestation| word.person == person.id && word.issued_at <= self.at;
        let replaces = |other: &Attestation| {
            other.supersedes.as_ref() == Some(&said.id) && other.id != said.id && is_tie(&other.claim) && heard(other)
        };
        heard(said) && !person.attestations.iter().any(replaces)
    }

    /// Puts, for each country, the first of its kind that is not taken yet; different ones stay different.
    fn generalize<T: Copy + Ord>(&self, words: &mut Vec<Word<T>>, country: impl Fn(&mut T) -> Option<&mut Country>) {
        words.sort_unstable();
        let mut taken: Vec<(Country, Country)> = Vec::new();
        for named in words.iter_mut().filter_map(|word| country(&mut word.claim)) {
            let actual = *named;
            if !taken.iter().any(|(known, _)| *known == actual) {
                let kind = self.shaper.lens.kind(actual);
                let before = taken.iter().filter(|(known, _)| self.shaper.lens.kind(*known) == kind).count();
                taken.push((actual, self.shaper.lens.country(kind, before).unwrap_or(actual)));
            }
            let general = taken.iter().find(|(known, _)| *known == actual);
            *named = general.map_or(actual, |(_, general)| *general);
        }
        best(words);
    }

    fn roles(&mut self, person: &Person) -> Vec<RoleShape> {
        let at = self.at;
        let holds = |a: &&Affiliation| a.person == person.id && a.attested_at <= at && at < a.ends_at;
        let ages = self.shaper.lens.employment_ages();
        let held = person.affiliations.iter().filter(holds);
        let role = |a: &Affiliation| RoleShape {
            seat: self.seat(&a.organization),
            engagement: a.engagement,
            age: passed(ages, a.attested_at, at),
            silent: self.is_silent(a.channel.as_ref()) || evidence::is_shut_out(person, &a.organization),
        };
        let mut roles: Vec<RoleShape> = held.map(role).collect();
        roles.sort_unstable();
        roles.dedup();
        roles
    }
}

fn passed(ages: &[Duration], since: Moment, at: Moment) -> u8 {
    let passed = ages.iter().take_while(|age| since.plus(**age) <= at).count();
    u8::try_from(passed).unwrap_or(u8::MAX)
}

/// Keeps of several words for one claim those that no other beats in both assurance and freshness.
fn best<T: Copy + Ord>(words: &mut Vec<Word<T>>) {
    words.sort_unstable();
    words.dedup();
    let all = words.clone();
    let beats = |other: &Word<T>, word: &Word<T>| {
        other != word
            && other.claim == word.claim
            && other.assurance >= word.assurance
            && other.age <= word.age
            && other.silent <= word.silent
    };
    words.retain(|word| !all.iter().any(|other| beats(other, word)));
}

fn is_standing(claim: &Claim) -> bool {
    matches!(claim, Claim::UsPerson { .. } | Claim::ForeignPerson)
}

fn is_location(claim: &Claim) -> bool {
    matches!(claim, Claim::Location { .. })
}

fn is_tie(claim: &Claim) -> bool {
    matches!(claim, Claim::Citizenship { .. } | Claim::PermanentResidency { .. } | Claim::Stateless)
}

/// Returns country, beginning, end, and whether it is citizenship.
fn tie(claim: &Claim) -> Option<(Country, Option<Moment>, Option<Moment>, bool)> {
    match claim {
        Claim::Citizenship { country, from, until } => Some((*country, *from, *until, true)),
        Claim::PermanentResidency { country, from, until } => Some((*country, *from, *until, false)),
        _ => None,
    }
}
