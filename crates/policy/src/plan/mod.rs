//! What would happen if one snapshot replaced another: simulated for everybody, before anybody approves it.
//!
//! A million keys are not decided a million times. Keys that no rule can tell apart are one class; each class is
//! decided once under each snapshot and each reading, by [`crate::decide`] itself. So a plan says what admission would
//! do, and it can be made again: the same inputs give the same bytes.
//!
//! [`Replay`] asks the same of calls that were already served.

mod answers;
mod bearing;
mod census;
mod classes;
mod describe;
mod fingerprint;
mod holds;
mod lapses;
mod lens;
mod matrix;
mod models;
mod population;
mod reading;
mod replay;
mod report;
mod restore;
mod schedule;
mod seats;
mod shape;
mod warnings;

use std::time::Duration;

use serde_json::Value;
use terms::{KeyId, ModelVersionId, Moment};

use crate::Snapshot;
use answers::{Answers, Column, Docket};
use census::Census;
use classes::{Classes, index};
use lens::Lens;
use reading::Grid;
use restore::Restorer;
use seats::Seats;
use shape::Shaper;

pub use population::{ModelTraffic, Population, Principal};
pub use reading::Readings;
pub use replay::{
    CodeCount, Count, DayCount, ModelCount, RecordedCall, Replay, ReplayReport, TenantCount, as_if_in_force,
};
pub use report::*;

/// A change to be simulated.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    /// What is in force now.
    pub before: &'a Snapshot,
    /// What would be in force.
    pub after: &'a Snapshot,
    /// The moment to plan for.
    pub at: Moment,
    /// The readings to compare.
    pub readings: Readings,
    /// How much to tell.
    pub options: Options,
}

/// How much a plan tells.
#[derive(Clone, Debug)]
pub struct Options {
    /// Examples for each model version.
    pub examples: usize,
    /// Tenants for each model version.
    pub tenants: usize,
    /// For how long after the moment planned for lapses of evidence are followed; zero for not at all.
    pub lapses: Duration,
    /// How long applying a change and cutting everyone it cuts took when last measured.
    pub apply_and_cut: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Self { examples: 5, tenants: 50, lapses: Duration::from_secs(4 * 3_600), apply_and_cut: None }
    }
}

/// What becomes of one key on one model version; for export.
#[derive(Clone, Copy, Debug)]
pub struct KeyOutcome<'a> {
    /// The key.
    pub key: &'a KeyId,
    /// The model version.
    pub model: &'a ModelVersionId,
    /// Now.
    pub before: &'a Answer,
    /// Then.
    pub after: &'a Answer,
}

impl<'a> Plan<'a> {
    /// Plans a change for one moment, comparing every reading of the instruments that change, with default options.
    #[must_use]
    pub fn new(before: &'a Snapshot, after: &'a Snapshot, at: Moment) -> Self {
        Self { before, after, at, readings: Readings::of_change(before, after), options: Options::default() }
    }

    /// Simulates the change for a population.
    #[must_use]
    pub fn make(&self, population: &Population) -> Report {
        self.make_with(population, |_| {})
    }

    /// Simulates the change for a population, and tells what becomes of each key on each model version.
    ///
    /// `each` is called for every pair of them, in order of the keys' arrival.
    pub fn make_with(&self, population: &Population, mut each: impl FnMut(KeyOutcome<'_>)) -> Report {
        let documents = Documents::of(self);
        let lens = Lens::new(documents.all());
        let seats = Seats::new(&lens, population);
        let shaper = Shaper { lens: &lens, seats: &seats, population };
        let classes = Classes::sort(&shaper, self.at);
        let census = Census::take(population, &classes);
        let models = self.models();
        let Some(restorer) = Restorer::new(&lens, &seats, &population.organizations) else {
            unreachable!("the names of this crate are ids")
        };
        let mut study = Study::new(self, population, shaper, restorer, classes, census, models);
        study.tell(&mut each);
        study.report(&documents)
    }

    /// Lists the model versions of both snapshots, in order of id.
    fn models(&self) -> Vec<ModelVersionId> {
        let all = self.before.document().models.iter().chain(&self.after.document().models);
        let mut ids: Vec<ModelVersionId> = all.map(|model| model.id.clone()).collect();
        ids.sort();
        ids.dedup();
        ids
    }
}

/// The documents that a plan considers, as JSON.
struct Documents {
    before: Value,
    after: Value,
    grid: Grid,
}

impl Documents {
    fn of(plan: &Plan<'_>) -> Self {
        // Plain data with string keys: serialization into memory does not fail.
        let value = |snapshot: &Snapshot| serde_json::to_value(snapshot.document()).unwrap_or_default();
        let after = value(plan.after);
        Self { before: value(plan.before), grid: plan.readings.grid(&after), after }
    }

    fn all(&self) -> impl Iterator<Item = &Value> {
        [&self.before, &self.after].into_iter().chain(self.grid.cells.iter().map(|cell| &cell.document))
    }
}

/// A population sorted and decided under both snapshots.
struct Study<'a> {
    plan: &'a Plan<'a>,
    population: &'a Population,
    shaper: Shaper<'a>,
    restorer: Restorer<'a>,
    classes: Classes,
    census: Census,
    models: Vec<ModelVersionId>,
    /// Of each model version, its place in the population's list of those with traffic.
    traffic: Vec<usize>,
    answers: Answers,
    docket: Docket,
    before: Vec<Column>,
    after: Vec<Column>,
}

impl<'a> Study<'a> {
    fn new(
        plan: &'a Plan<'a>,
        population: &'a Population,
        shaper: Shaper<'a>,
        restorer: Restorer<'a>,
        classes: Classes,
        census: Census,
        models: Vec<ModelVersionId>,
    ) -> Self {
        let mut answers = Answers::default();
        let mut docket = Docket::new(&restorer, &classes.shapes, models.first(), plan.at);
        let before = docket.decide(plan.before, &models, None, &mut answers);
        let after = docket.decide(plan.after, &models, None, &mut answers);
        let place = |id| population.models.iter().position(|known| known == id);
        // One past the list of all columns where nothing was ever carried: it counts as no traffic.
        let nowhere = population.models.len() + 1;
        let traffic = models.iter().map(|id| place(id).unwrap_or(nowhere)).collect();
        Self { plan, population, shaper, restorer, classes, census, models, traffic, answers, docket, before, after }
    }

    fn tell(&self, each: &mut impl FnMut(KeyOutcome<'_>)) {
        for (member, class) in self.population.members.iter().zip(&self.classes.of) {
            for ((model, before), after) in self.models.iter().zip(&self.before).zip(&self.after) {
                let answer = |column: &Column| self.answers.get(*column.get(index(*class))?);
                if let (Some(before), Some(after)) = (answer(before), answer(after)) {
                    each(KeyOutcome { key: &member.credential.id, model, before, after });
                }
            }
        }
    }

    fn report(&mut self, documents: &Documents) -> Report {
        let models: Vec<ModelReport> = (0..self.models.len()).filter_map(|place| self.model_report(place)).collect();
        Report {
            format: FORMAT.to_owned(),
            engine: env!("CARGO_PKG_VERSION").to_owned(),
            at: self.plan.at,
            before: mark(self.plan.before),
            after: mark(self.plan.after),
            population: self.population_mark(),
            cut: self.cut(),
            models,
            matrix: self.matrix(&documents.grid),
            warnings: self.warnings(),
            schedule: self.schedule(documents),
            proofs: None,
            signature: None,
        }
    }

    fn population_mark(&self) -> PopulationMark {
        let all = self.census.reach(None, |_| true, self.classes.shapes.len());
        PopulationMark {
            digest: hex(&self.population.digest()),
            keys: all.keys,
            persons: all.persons,
            workloads: all.workloads,
            tenants: all.tenants,
            classes: u64::try_from(self.classes.shapes.len()).unwrap_or(u64::MAX),
        }
    }
}

fn mark(snapshot: &Snapshot) -> SnapshotMark {
    SnapshotMark { digest: hex(snapshot.digest()), epoch: snapshot.epoch() }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
