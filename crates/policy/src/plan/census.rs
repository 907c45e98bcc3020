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
    /// Organizations that may be tenants, in order; keys without one come last, under the place after the last.
    pub(crate) tenants: Vec<OrganizationId>,
    /// In order of tenant and class.
    cells: Vec<Cell>,
    /// The same without regard to tenants, in order of class.
    classes: Vec<Sum>,
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

/// The keys of one class.
#[derive(Debug, Default)]
struct Sum {
    class: u32,
    keys: u64,
    /// Persons and workloads all of whose keys are of this class.
    sole: [u64; 2],
    /// By model version, and last of all.
    uses: Vec<Use>,
}

impl Sum {
    fn count(&self, reach: &mut Reach, column: usize) {
        count(reach, self.keys, self.sole, self.uses.get(column).copied().unwrap_or_default());
    }
}

fn count(reach: &mut Reach, keys: u64, [persons, workloads]: [u64; 2], used: Use) {
    reach.keys += keys;
    reach.persons += persons;
    reach.workloads += workloads;
    reach.open_streams += used.open_streams;
    reach.tokens_per_minute += used.tokens_per_minute;
    reach.calls += used.calls;
}

fn label(labels: &[u32], class: u32) -> Option<u32> {
    labels.get(index(class)).copied().filter(|label| *label != NONE)
}

impl Census {
    /// Counts a population sorted into classes.
    pub(crate) fn take(population: &Population, classes: &Classes) -> Self {
        let (tenants, tenant_of) = tenants(population);
        let models = population.models.len();
        let (mut cells, cell_of) = cells(&tenant_of, &classes.of, models);
        for (member, cell) in population.members.iter().zip(&cell_of) {
            if let Some(cell) = cells.get_mut(index(*cell)) {
                cell.keys += 1;
                cell.add_traffic(&member.traffic, models);
            }
        }
        let mut census = Self { tenants, models, cells, ..Self::default() };
        for (kind, keys) in holders(population) {
            let mut held: Vec<usize> =
                keys.iter().filter_map(|key| cell_of.get(index(*key)).map(|c| index(*c))).collect();
            held.sort_unstable();
            held.dedup();
            census.count_holder(kind, &held);
        }
        census.classes = by_class(&census.cells);
        let carried = |cell: &Cell, model: usize| cell.uses.get(model).map_or(0, |used| used.tokens_per_minute);
        let total = |model: usize| census.cells.iter().map(|cell| carried(cell, model)).sum();
        census.totals = (0..=models).map(total).collect();
        census
    }

    /// Counts one person or workload who holds keys in these cells, in order.
    fn count_holder(&mut self, kind: Kind, held: &[usize]) {
        let places = held.iter().filter_map(|at| self.cells.get(*at).map(|cell| (cell.tenant, cell.class, *at)));
        let places: Vec<(u32, u32, usize)> = places.collect();
        let alike = places.iter().all(|(_, class, _)| places.first().is_some_and(|first| first.1 == *class));
        match held.first().and_then(|at| self.cells.get_mut(*at)) {
            Some(cell) if alike => bump(&mut cell.sole, kind),
            _ => {
                let classes: BTreeSet<u32> = places.iter().map(|(_, class, _)| *class).collect();
                bump(self.shared.entry(classes.into_iter().collect()).or_default(), kind);
            }
        }
        for of_tenant in places.chunk_by(|one, other| one.0 == other.0) {
            match of_tenant {
                [(_, _, at)] => {
                    self.cells.get_mut(*at).into_iter().for_each(|cell| bump(&mut cell.sole_of_tenant, kind));
                }
                [(tenant, ..), ..] => {
                    let classes = of_tenant.iter().map(|(_, class, _)| *class).collect();
                    bump(self.shared_of_tenant.entry((*tenant, classes)).or_default(), kind);
                }
                [] => {}
            }
        }
    }

    /// Counts, for each label, what stands behind the classes that have it; traffic is that on one model version, or
    /// all. A class labelled [`NONE`] is not counted.
    pub(crate) fn reaches(&self, model: Option<usize>, labels: &[u32]) -> BTreeMap<u32, Reach> {
        let mut reaches = self.sums(model, labels);
        for (classes, [persons, workloads]) in &self.shared {
            let labels = classes.iter().filter_map(|class| label(labels, *class));
            for label in labels.collect::<BTreeSet<u32>>() {
                let reach = reaches.entry(label).or_default();
                reach.persons += persons;
                reach.workloads += workloads;
            }
        }
        for (label, tenants) in self.tenants_by_label(labels) {
            reaches.entry(label).or_default().tenants = tenants;
        }
        reaches
    }

    /// Counts the tenants that have a class of each label.
    fn tenants_by_label(&self, labels: &[u32]) -> BTreeMap<u32, u64> {
        let size = labels.iter().filter(|label| **label != NONE).max().map_or(0, |label| index(*label) + 1);
        // Of each label, the tenant that it was last met at, and at how many it was met.
        let mut met = vec![(NONE, 0_u64); size];
        let named = self.cells.iter().filter(|cell| index(cell.tenant) < self.tenants.len());
        for cell in named {
            let Some(slot) = label(labels, cell.class).and_then(|label| met.get_mut(index(label))) else {
                continue;
            };
            if slot.0 != cell.tenant {
                *slot = (cell.tenant, slot.1 + 1);
            }
        }
        (0..).zip(met).filter(|(_, (_, tenants))| *tenants > 0).map(|(label, (_, tenants))| (label, tenants)).collect()
    }

    /// Counts by label all but tenants and those who hold keys of several classes.
    fn sums(&self, model: Option<usize>, labels: &[u32]) -> BTreeMap<u32, Reach> {
        let column = self.column(model);
        let mut reaches: BTreeMap<u32, Reach> = BTreeMap::new();
        for sum in &self.classes {
            if let Some(label) = label(labels, sum.class) {
                sum.count(reaches.entry(label).or_default(), column);
            }
        }
        let total = self.totals.get(column).copied().unwrap_or(0);
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
        let mut reaches = self.sums(model, labels);
        for (classes, [persons, workloads]) in &self.shared {
            if let Some(label) = classes.iter().filter_map(|class| label(labels, *class)).min() {
                let reach = reaches.entry(label).or_default();
                reach.persons += persons;
                reach.workloads += workloads;
            }
        }
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
                let used = cell.uses.get(column).copied().unwrap_or_default();
                count(&mut row.reach, cell.keys, cell.sole_of_tenant, used);
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
                self.uses.get_mut(column).into_iter().for_each(|sum| sum.join(used));
            }
        }
    }
}

/// Adds the cells of each class up.
fn by_class(cells: &[Cell]) -> Vec<Sum> {
    let mut classes: BTreeMap<u32, Sum> = BTreeMap::new();
    for cell in cells {
        let sum = classes.entry(cell.class).or_insert_with(|| Sum {
            class: cell.class,
            uses: vec![Use::default(); cell.uses.len()],
            ..Sum::default()
        });
        sum.keys += cell.keys;
        for (sum, sole) in sum.sole.iter_mut().zip(cell.sole) {
            *sum += sole;
        }
        for (sum, used) in sum.uses.iter_mut().zip(&cell.uses) {
            sum.join(used);
        }
    }
    classes.into_values().collect()
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

/// Makes an empty cell for each tenant and class that occur together, in order; and of each key the place of its cell.
fn cells(tenant_of: &[u32], class_of: &[u32], models: usize) -> (Vec<Cell>, Vec<u32>) {
    let keys = tenant_of.iter().zip(class_of).zip(0_u32..);
    let mut keys: Vec<(u32, u32, u32)> = keys.map(|((tenant, class), key)| (*tenant, *class, key)).collect();
    keys.sort_unstable();
    let mut cells: Vec<Cell> = Vec::new();
    let mut cell_of = vec![NONE; keys.len()];
    for alike in keys.chunk_by(|one, other| (one.0, one.1) == (other.0, other.1)) {
        let place = u32::try_from(cells.len()).unwrap_or(NONE);
        for (_, _, key) in alike {
            cell_of.get_mut(index(*key)).into_iter().for_each(|slot| *slot = place);
        }
        let uses = vec![Use::default(); models + 1];
        cells.extend(alike.first().map(|(tenant, class, _)| Cell {
            tenant: *tenant,
            class: *class,
            uses,
            ..Cell::default()
        }));
    }
    (cells, cell_of)
}

/// Lists the tenants in order, and of each key the place of its tenant.
fn tenants(population: &Population) -> (Vec<OrganizationId>, Vec<u32>) {
    let mut ids: BTreeSet<OrganizationId> = population.organizations.all.iter().map(|o| o.id.clone()).collect();
    let unlisted = |member: &&Member| member.tenant_place(population).is_none();
    ids.extend(population.members.iter().filter(unlisted).filter_map(Member::tenant).cloned());
    let ids: Vec<OrganizationId> = ids.into_iter().collect();
    let find = |id: &OrganizationId| ids.binary_search(id).ok().and_then(|place| u32::try_from(place).ok());
    let listed: Vec<u32> = population.organizations.all.iter().map(|o| find(&o.id).unwrap_or(NONE)).collect();
    let none = u32::try_from(ids.len()).unwrap_or(NONE);
    let place = |member: &Member| match (member.tenant_place(population), member.tenant()) {
        (Some(place), _) => listed.get(index(place)).copied().unwrap_or(none),
        (None, Some(id)) => find(id).unwrap_or(none),
        (None, None) => none,
    };
    let of = population.members.iter().map(place).collect();
    (ids, of)
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
