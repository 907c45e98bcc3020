//! Counts the keys, people, tenants and traffic behind sets of classes, without looking at any key again.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
};

use terms::OrganizationId;

use super::{
    classes::{Classes, index},
    population::{Member, Population, Use},
    report::{Reach, TenantRow},
};
use crate::CallerFacts;

/// The label of a class that is not counted.
pub(crate) const NONE: u32 = u32::MAX;

/// How many keys, people, tenants and how much traffic stand behind each class.
#[derive(Debug, Default)]
pub(crate) struct Census {
    /// Tenants, in order; keys without one come last, under the place after the last.
    pub(crate) tenants: Vec<OrganizationId>,
    /// In order of tenant and class.
    cells: Vec<Cell>,
    /// Whoever holds keys of several classes: the classes, and how many persons and workloads hold just these.
    shared: BTreeMap<Vec<u32>, [u64; 2]>,
    /// The same within one tenant.
    shared_of_tenant: BTreeMap<(u32, Vec<u32>), [u64; 2]>,
    models: usize,
    /// Tokens a minute by model version, and last of all.
    totals: Vec<u64>,
}

/// The keys of one class under one tenant.
#[derive(Debug, Default)]
struct Cell {
    tenant: u32,
    class: u32,
    keys: u64,
    /// Persons and workloads all of whose keys are of this class.
    sole: [u64; 2],
    /// Persons and workloads all of whose keys under this tenant are of this class.
    sole_of_tenant: [u64; 2],
    /// By model version, and last of all.
    uses: Vec<Use>,
}

impl Census {
    /// Counts a population sorted into classes.
    pub(crate) fn take(population: &Population, classes: &Classes) -> Self {
        let (tenants, tenant_of) = tenants(population);
        let models = population.models.len();
        let mut cells: BTreeMap<(u32, u32), Cell> = BTreeMap::new();
        for ((member, class), tenant) in population.members.iter().zip(&classes.of).zip(&tenant_of) {
            let cell = cells.entry((*tenant, *class)).or_insert_with(|| Cell {
                tenant: *tenant,
                class: *class,
                uses: vec![Use::default(); models + 1],
                ..Cell::default()
            });
            cell.keys += 1;
            cell.add_traffic(&member.traffic, models);
        }
        let mut census = Self { tenants, models, ..Self::default() };
        census.count_holders(population, classes, &tenant_of, &mut cells);
        census.cells = cells.into_values().collect();
        let carried = |cell: &Cell, model: usize| cell.uses.get(model).map_or(0, |used| used.tokens_per_minute);
        let total = |model: usize| census.cells.iter().map(|cell| carried(cell, model)).sum();
        census.totals = (0..=models).map(total).collect();
        census
    }

    /// Counts distinct persons and workloads: everyone who holds only one key quickly, the others by their classes.
    fn count_holders(
        &mut self,
        population: &Population,
        classes: &Classes,
        tenant_of: &[u32],
        cells: &mut BTreeMap<(u32, u32), Cell>,
    ) {
        for (kind, keys) in holders(population) {
            let of = |key: &u32| Some((*tenant_of.get(index(*key))?, *classes.of.get(index(*key))?));
            let places: BTreeSet<(u32, u32)> = keys.iter().filter_map(of).collect();
            let all: BTreeSet<u32> = places.iter().map(|(_, class)| *class).collect();
            let mut by_tenant: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
            for (tenant, class) in &places {
                by_tenant.entry(*tenant).or_default().push(*class);
            }
            if let (1, Some(cell)) = (all.len(), places.first().and_then(|place| cells.get_mut(place))) {
                bump(&mut cell.sole, kind);
            } else {
                bump(self.shared.entry(all.into_iter().collect()).or_default(), kind);
            }
            for (tenant, classes) in by_tenant {
                match (classes.as_slice(), &mut self.shared_of_tenant) {
                    ([class], _) => {
                        if let Some(cell) = cells.get_mut(&(tenant, *class)) {
                            bump(&mut cell.sole_of_tenant, kind);
                        }
                    }
                    (_, shared) => bump(shared.entry((tenant, classes)).or_default(), kind),
                }
            }
        }
    }

    /// Counts, for each label, what stands behind the classes that have it; traffic is that on one model version, or
    /// all. A class labelled [`NONE`] is not counted.
    pub(crate) fn reaches(&self, model: Option<usize>, labels: &[u32]) -> BTreeMap<u32, Reach> {
        let label = |class: u32| labels.get(index(class)).copied().filter(|label| *label != NONE);
        let mut reaches: BTreeMap<u32, Reach> = BTreeMap::new();
        let mut tenant = (NONE, BTreeSet::new());
        for cell in &self.cells {
            let Some(label) = label(cell.class) else {
                continue;
            };
            let reach = reaches.entry(label).or_default();
            cell.count(reach, self.column(model), cell.sole);
            if tenant.0 != cell.tenant {
                tenant = (cell.tenant, BTreeSet::new());
            }
            if tenant.1.insert(label) && index(cell.tenant) < self.tenants.len() {
                reach.tenants += 1;
            }
        }
        for (classes, [persons, workloads]) in &self.shared {
            let labels: BTreeSet<u32> = classes.iter().filter_map(|class| label(*class)).collect();
            for label in labels {
                let reach = reaches.entry(label).or_default();
                reach.persons += persons;
                reach.workloads += workloads;
            }
        }
        let total = self.totals.get(self.column(model)).copied().unwrap_or(0);
        reaches.values_mut().for_each(|reach| share(reach, total));
        reaches
    }

    /// Counts what stands behind the classes that `counts` says.
    pub(crate) fn reach(&self, model: Option<usize>, counts: impl Fn(u32) -> bool, classes: usize) -> Reach {
        let label = |class: u32| if counts(class) { 0 } else { NONE };
        let labels: Vec<u32> = (0..).take(classes).map(label).collect();
        self.reaches(model, &labels).remove(&0).unwrap_or_default()
    }

    /// Counts by label as [`Census::reaches`] does, but not tenants, and each person and workload only once: under
    /// the least label of any of their keys.
    pub(crate) fn best(&self, model: Option<usize>, labels: &[u32]) -> BTreeMap<u32, Reach> {
        let label = |class: u32| labels.get(index(class)).copied().filter(|label| *label != NONE);
        let mut reaches: BTreeMap<u32, Reach> = BTreeMap::new();
        for cell in &self.cells {
            if let Some(label) = label(cell.class) {
                cell.count(reaches.entry(label).or_default(), self.column(model), cell.sole);
            }
        }
        for (classes, [persons, workloads]) in &self.shared {
            if let Some(label) = classes.iter().filter_map(|class| label(*class)).min() {
                let reach = reaches.entry(label).or_default();
                reach.persons += persons;
                reach.workloads += workloads;
            }
        }
        let total = self.totals.get(self.column(model)).copied().unwrap_or(0);
        reaches.values_mut().for_each(|reach| share(reach, total));
        reaches
    }

    /// Counts by tenant what stands behind the classes that `counts` says, and the keys of those that `had` says;
    /// tenants without the former are left out. Most tokens a minute first, then most keys, then in order of id.
    pub(crate) fn by_tenant(
        &self,
        model: Option<usize>,
        counts: impl Fn(u32) -> bool,
        had: impl Fn(u32) -> bool,
    ) -> Vec<TenantRow> {
        let column = self.column(model);
        let mut rows: BTreeMap<u32, (TenantRow, u64)> = BTreeMap::new();
        for cell in &self.cells {
            let tenant = self.tenants.get(index(cell.tenant));
            let (row, total) = rows.entry(cell.tenant).or_insert_with(|| (row(tenant), 0));
            *total += cell.uses.get(column).map_or(0, |used| used.tokens_per_minute);
            row.permitted_before += if had(cell.class) { cell.keys } else { 0 };
            if counts(cell.class) {
                cell.count(&mut row.reach, column, cell.sole_of_tenant);
            }
        }
        for ((tenant, classes), [persons, workloads]) in &self.shared_of_tenant {
            if let (true, Some((row, _))) = (classes.iter().any(|class| counts(*class)), rows.get_mut(tenant)) {
                row.reach.persons += persons;
                row.reach.workloads += workloads;
            }
        }
        let concerned = rows.into_values().filter(|(row, _)| row.reach.keys > 0);
        let mut rows: Vec<TenantRow> = concerned.map(|(row, total)| with_share(row, total)).collect();
        rows.sort_by(|one, other| {
            rank(&other.reach).cmp(&rank(&one.reach)).then_with(|| one.tenant.cmp(&other.tenant))
        });
        rows
    }

    fn column(&self, model: Option<usize>) -> usize {
        model.unwrap_or(self.models)
    }
}

/// By what counts are ranked: tokens a minute, then keys.
pub(crate) fn rank(reach: &Reach) -> (u64, u64) {
    (reach.tokens_per_minute, reach.keys)
}

impl Cell {
    fn add_traffic(&mut self, traffic: &[Use], all: usize) {
        for used in traffic {
            for column in [index(used.model), all] {
                if let Some(sum) = self.uses.get_mut(column) {
                    sum.tokens_per_minute += used.tokens_per_minute;
                    sum.calls += used.calls;
                    sum.open_streams += used.open_streams;
                }
            }
        }
    }

    fn count(&self, reach: &mut Reach, column: usize, [persons, workloads]: [u64; 2]) {
        let used = self.uses.get(column).copied().unwrap_or_default();
        reach.keys += self.keys;
        reach.persons += persons;
        reach.workloads += workloads;
        reach.open_streams += used.open_streams;
        reach.tokens_per_minute += used.tokens_per_minute;
        reach.calls += used.calls;
    }
}

fn row(tenant: Option<&OrganizationId>) -> TenantRow {
    TenantRow {
        tenant: tenant.cloned(),
        reach: Reach { tenants: u64::from(tenant.is_some()), ..Reach::default() },
        permitted_before: 0,
    }
}

fn with_share(mut row: TenantRow, total: u64) -> TenantRow {
    share(&mut row.reach, total);
    row
}

fn share(reach: &mut Reach, total: u64) {
    reach.share_per_mille = reach.tokens_per_minute.saturating_mul(1_000).checked_div(total).unwrap_or(0);
}

fn bump(counts: &mut [u64; 2], kind: Kind) {
    let [persons, workloads] = counts;
    match kind {
        Kind::Person => *persons += 1,
        Kind::Workload => *workloads += 1,
    }
}

/// Lists the tenants in order, and of each key the place of its tenant.
fn tenants(population: &Population) -> (Vec<OrganizationId>, Vec<u32>) {
    let named = population.members.iter().filter_map(Member::tenant);
    let names: BTreeSet<&OrganizationId> = named.collect();
    let places: BTreeMap<&OrganizationId, u32> = names.iter().copied().zip(0..).collect();
    let none = u32::try_from(names.len()).unwrap_or(NONE);
    let place = |member: &Member| member.tenant().and_then(|id| places.get(id)).copied().unwrap_or(none);
    let of = population.members.iter().map(place).collect();
    (names.into_iter().cloned().collect(), of)
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Kind {
    Person,
    Workload,
}

/// Returns the keys of each person and workload.
///
/// Sorted by a hash, then by the id itself: the hash only makes comparing cheap.
fn holders(population: &Population) -> impl Iterator<Item = (Kind, Vec<u32>)> {
    let holder = |key: u32| {
        let member = population.members.get(index(key));
        member.and_then(|member| match &member.caller {
            CallerFacts::Person { person } => Some((Kind::Person, person.id.as_str())),
            CallerFacts::Workload { workload, .. } => Some((Kind::Workload, workload.id.as_str())),
            CallerFacts::Unbound => None,
        })
    };
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    let keys = (0..).take(population.members.len());
    let mut keyed: Vec<(u64, u32)> = keys.filter_map(|key| Some((hasher.hash_one(holder(key)?.1), key))).collect();
    keyed.sort_unstable_by(|(a, one), (b, other)| a.cmp(b).then_with(|| holder(*one).cmp(&holder(*other))));
    let mut groups: Vec<(Kind, Vec<u32>)> = Vec::new();
    let mut last = None;
    for (_, key) in keyed {
        let Some(now) = holder(key) else {
            continue;
        };
        match groups.last_mut() {
            Some((_, keys)) if last == Some(now) => keys.push(key),
            _ => groups.push((now.0, vec![key])),
        }
        last = Some(now);
    }
    groups.into_iter()
}
