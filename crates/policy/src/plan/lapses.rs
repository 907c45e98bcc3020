//! Permits that end because evidence or a key gets too old: each key followed from change to change.

use std::collections::{BTreeMap, BTreeSet};

use terms::{Affiliation, Attestation, ChannelId, Claim, ModelVersionId, Moment, Person};

use super::{
    Study,
    answers::Verdict,
    classes::index,
    population::{Member, Use},
    report::{Answer, Lapse},
    shape::Shape,
};
use crate::{CallerFacts, Code, decide};

/// Lapses are counted by quarter hours.
const QUARTER_HOUR_MS: i64 = 900_000;
/// After as many changes a key is followed no further.
const CHANGES_MAX: usize = 64;

impl Study<'_> {
    /// Finds, for each permit that the change leaves, when it first ends by lapse of time up to `until`.
    ///
    /// `dates` are the moments at which rules may change by themselves.
    pub(super) fn lapses(&self, dates: BTreeSet<Moment>, until: Moment) -> Vec<Lapse> {
        if until <= self.plan.at {
            return Vec::new();
        }
        let mut found = Lapses::default();
        let mut later = Later { study: self, dates, known: BTreeMap::new() };
        for (member, class) in self.population.members.iter().zip(&self.classes.of) {
            let mut open = self.permitted(*class);
            let mut now = self.plan.at;
            for _ in 0..CHANGES_MAX {
                let next = if open.is_empty() { None } else { later.next_change(member, now) };
                let Some(next) = next.filter(|at| *at <= until) else {
                    break;
                };
                let refused = later.refusals(member, next);
                open.retain(|place| match refused.get(*place).copied().flatten() {
                    Some(code) => {
                        found.note(next, *place, code, self.used(member, *place));
                        false
                    }
                    None => true,
                });
                now = next;
            }
        }
        found.rows(&self.models)
    }

    /// Lists the model versions that a class may use once the change is made.
    fn permitted(&self, class: u32) -> Vec<usize> {
        let permits = |place: &usize| {
            let column = self.after.get(*place);
            column.is_some_and(|column| self.verdict(column, class) == Some(Verdict::Permit))
        };
        (0..self.models.len()).filter(permits).collect()
    }

    fn used(&self, member: &Member, place: usize) -> u64 {
        let here = |used: &&Use| self.traffic.get(place) == Some(&index(used.model));
        member.traffic.iter().filter(here).map(|used| used.tokens_per_minute).sum()
    }
}

/// Decides keys at later moments; each shape once between two dates of the rules.
struct Later<'a> {
    study: &'a Study<'a>,
    dates: BTreeSet<Moment>,
    known: BTreeMap<Moment, BTreeMap<Shape, Vec<Option<Code>>>>,
}

impl Later<'_> {
    /// Returns the next moment at which a key may have another shape, or the rules may say otherwise.
    fn next_change(&self, member: &Member, now: Moment) -> Option<Moment> {
        let mut next = self.dates.range(now..).find(|date| **date > now).copied();
        let mut see = |at: Moment| {
            if now < at && next.is_none_or(|next| at < next) {
                next = Some(at);
            }
        };
        see(member.credential.expires_at);
        for person in people(&member.caller) {
            person.attestations.iter().for_each(|said| self.turns_of_attestation(said, &mut see));
            person.affiliations.iter().for_each(|held| self.turns_of_affiliation(held, &mut see));
        }
        next
    }

    fn turns_of_attestation(&self, said: &Attestation, see: &mut impl FnMut(Moment)) {
        see(said.issued_at);
        see(said.expires_at);
        self.turn_of_channel(said.channel.as_ref(), see);
        if let Claim::Citizenship { from, until, .. } | Claim::PermanentResidency { from, until, .. } = &said.claim {
            from.iter().chain(until).for_each(|date| see(*date));
        }
        self.study.shaper.lens.ages().iter().for_each(|age| see(said.issued_at.plus(*age)));
    }

    fn turns_of_affiliation(&self, held: &Affiliation, see: &mut impl FnMut(Moment)) {
        see(held.attested_at);
        see(held.ends_at);
        self.turn_of_channel(held.channel.as_ref(), see);
        self.study.shaper.lens.employment_ages().iter().for_each(|age| see(held.attested_at.plus(*age)));
    }

    fn turn_of_channel(&self, channel: Option<&ChannelId>, see: &mut impl FnMut(Moment)) {
        let population = self.study.shaper.population;
        channel.and_then(|channel| population.relied_until(channel)).into_iter().for_each(see);
    }

    /// Returns, for each model version, why a key is refused at a moment, if it is.
    fn refusals(&mut self, member: &Member, at: Moment) -> &[Option<Code>] {
        // Between two dates the rules say the same of the same shape: it is enough to ask at the first of them.
        let since = self.dates.range(..=at).next_back().copied().unwrap_or(self.study.plan.at);
        let since = since.max(self.study.plan.at);
        let study = self.study;
        let shape = study.shaper.shape(member, at);
        let known = self.known.entry(since).or_default();
        known
            .entry(shape)
            .or_insert_with_key(|shape| study.models.iter().map(|m| study.refusal(shape, m, since)).collect())
    }
}

impl Study<'_> {
    fn refusal(&self, shape: &Shape, model: &ModelVersionId, at: Moment) -> Option<Code> {
        let facts = self.restorer.facts(shape, model.clone(), at);
        match Answer::of(&decide(self.plan.after, &facts)) {
            Answer::Permit { .. } => None,
            Answer::Hold { code, .. } | Answer::Deny { code, .. } => Some(code),
        }
    }
}

fn people(caller: &CallerFacts) -> impl Iterator<Item = &Person> {
    let (one, owners, recipients) = match caller {
        CallerFacts::Person { person } => (Some(person), &[][..], &[][..]),
        CallerFacts::Workload { owners, recipients, .. } => (None, owners.as_slice(), recipients.as_slice()),
        CallerFacts::Unbound => (None, &[][..], &[][..]),
    };
    one.into_iter().chain(owners).chain(recipients).map(AsRef::as_ref)
}

/// Lapses by quarter hour, model version and reason.
#[derive(Default)]
struct Lapses(BTreeMap<(i64, usize, Code), Sum>);

struct Sum {
    first: Moment,
    last: Moment,
    keys: u64,
    tokens_per_minute: u64,
}

impl Lapses {
    fn note(&mut self, at: Moment, place: usize, code: Code, tokens_per_minute: u64) {
        let row = (at.as_millis().div_euclid(QUARTER_HOUR_MS), place, code);
        let sum = self.0.entry(row).or_insert(Sum { first: at, last: at, keys: 0, tokens_per_minute: 0 });
        (sum.first, sum.last) = (sum.first.min(at), sum.last.max(at));
        sum.keys += 1;
        sum.tokens_per_minute += tokens_per_minute;
    }

    fn rows(self, models: &[ModelVersionId]) -> Vec<Lapse> {
        let row = |((_, place, code), sum): ((i64, usize, Code), Sum)| {
            Some(Lapse {
                first: sum.first,
                last: sum.last,
                model: models.get(place)?.clone(),
                code,
                keys: sum.keys,
                tokens_per_minute: sum.tokens_per_minute,
            })
        };
        self.0.into_iter().filter_map(row).collect()
    }
}
