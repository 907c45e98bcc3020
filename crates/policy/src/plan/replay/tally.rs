//! What a replay counts.

use std::{collections::BTreeMap, ops::Range};

use serde::{Deserialize, Serialize};
use terms::{ModelVersionId, Moment, OrganizationId};

use super::super::report::SnapshotMark;
use crate::Code;

const DAY_MS: i64 = 86_400_000;

/// What would have become of the calls of the past.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ReplayReport {
    /// The snapshot that decided.
    pub snapshot: SnapshotMark,
    /// From when on calls were counted.
    pub from: Moment,
    /// Up to when, exclusively.
    pub until: Moment,
    /// Every call that was decided.
    pub all: Count,
    /// Those permitted.
    pub permitted: Count,
    /// Those held for evidence.
    pub held: Count,
    /// Those denied.
    pub denied: Count,
    /// Of those held or denied: the name asked for would have led to another version that is permitted.
    pub served_by_lesser: Count,
    /// Those held or denied, by reason; in order.
    pub by_code: Vec<CodeCount>,
    /// All, by day (UTC); in order.
    pub by_day: Vec<DayCount>,
    /// Those held or denied, by tenant; most tokens first.
    pub by_tenant: Vec<TenantCount>,
    /// All, by the model version that was served; in order.
    pub by_model: Vec<ModelCount>,
    /// Calls outside the window, not decided.
    pub outside: u64,
    /// Calls whose facts could not be read, not decided.
    pub unreadable: u64,
    /// How often it had to be decided, and not only looked up.
    pub decisions: u64,
    /// Different facts that were forgotten to bound the memory.
    pub forgotten: u64,
}

/// Calls, their tokens, and when the first and the last of them was.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// Calls.
    pub calls: u64,
    /// Tokens.
    pub tokens: u64,
    /// The first.
    pub first: Option<Moment>,
    /// The last.
    pub last: Option<Moment>,
}

/// Calls refused for one reason.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CodeCount {
    /// The reason.
    pub code: Code,
    /// True if evidence would have cleared it.
    pub hold: bool,
    /// How many.
    pub count: Count,
}

/// Calls of one day.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DayCount {
    /// The day, such as `2026-06-12`.
    pub day: String,
    /// All that were decided.
    pub all: Count,
    /// Those held or denied.
    pub refused: Count,
}

/// Refused calls of one tenant.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TenantCount {
    /// Its organization; absent for keys without a tenant.
    pub tenant: Option<OrganizationId>,
    /// How many.
    pub refused: Count,
}

/// Calls that one model version served.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ModelCount {
    /// Which.
    pub model: ModelVersionId,
    /// All that were decided.
    pub all: Count,
    /// Those held or denied.
    pub refused: Count,
}

impl Count {
    fn add(&mut self, at: Moment, tokens: u64) {
        self.join(&Self { calls: 1, tokens, first: Some(at), last: Some(at) });
    }

    fn join(&mut self, other: &Self) {
        self.calls += other.calls;
        self.tokens = self.tokens.saturating_add(other.tokens);
        self.first = [self.first, other.first].into_iter().flatten().min();
        self.last = self.last.max(other.last);
    }
}

/// What calls that are counted together have in common.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Bucket {
    pub(super) tenant: Option<OrganizationId>,
    pub(super) model: ModelVersionId,
    /// Whether it is a hold, and why.
    pub(super) refused: Option<(bool, Code)>,
    pub(super) lesser: bool,
}

/// Counts by bucket and by day.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    places: BTreeMap<Bucket, u32>,
    buckets: Vec<(bool, Count)>,
    days: BTreeMap<i64, [Count; 2]>,
    pub(super) outside: u64,
    pub(super) unreadable: u64,
    pub(super) decisions: u64,
}

impl Ledger {
    /// Returns the number of a bucket.
    pub(super) fn bucket(&mut self, bucket: Bucket) -> u32 {
        let next = u32::try_from(self.buckets.len()).unwrap_or(u32::MAX);
        let refused = bucket.refused.is_some();
        let place = *self.places.entry(bucket).or_insert(next);
        if place == next {
            self.buckets.push((refused, Count::default()));
        }
        place
    }

    pub(super) fn count(&mut self, bucket: u32, at: Moment, tokens: u64) {
        let place = usize::try_from(bucket).unwrap_or(usize::MAX);
        let Some((refused, count)) = self.buckets.get_mut(place) else {
            return;
        };
        count.add(at, tokens);
        let [all, of_refused] = self.days.entry(at.as_millis().div_euclid(DAY_MS)).or_default();
        all.add(at, tokens);
        if *refused {
            of_refused.add(at, tokens);
        }
    }

    pub(super) fn report(&self, snapshot: SnapshotMark, window: Range<Moment>, forgotten: u64) -> ReplayReport {
        let sum = |such: &dyn Fn(&Bucket) -> bool| {
            let mut sum = Count::default();
            self.counted().filter(|(bucket, _)| such(bucket)).for_each(|(_, count)| sum.join(count));
            sum
        };
        ReplayReport {
            snapshot,
            from: window.start,
            until: window.end,
            all: sum(&|_| true),
            permitted: sum(&|bucket| bucket.refused.is_none()),
            held: sum(&|bucket| bucket.refused.is_some_and(|(hold, _)| hold)),
            denied: sum(&|bucket| bucket.refused.is_some_and(|(hold, _)| !hold)),
            served_by_lesser: sum(&|bucket| bucket.lesser),
            by_code: self.by_code(),
            by_day: self.by_day(),
            by_tenant: self.by_tenant(),
            by_model: self.by_model(),
            outside: self.outside,
            unreadable: self.unreadable,
            decisions: self.decisions,
            forgotten,
        }
    }

    fn counted(&self) -> impl Iterator<Item = (&Bucket, &Count)> {
        let counts = |place: u32| self.buckets.get(usize::try_from(place).ok()?).map(|(_, count)| count);
        let all = self.places.iter().filter_map(move |(bucket, place)| Some((bucket, counts(*place)?)));
        // A bucket may be made and its call turn out not to count; it then says nothing.
        all.filter(|(_, count)| count.calls > 0)
    }

    fn by_code(&self) -> Vec<CodeCount> {
        let mut codes: BTreeMap<(Code, bool), Count> = BTreeMap::new();
        for (bucket, count) in self.counted() {
            if let Some((hold, code)) = bucket.refused {
                codes.entry((code, hold)).or_default().join(count);
            }
        }
        codes.into_iter().map(|((code, hold), count)| CodeCount { code, hold, count }).collect()
    }

    fn by_day(&self) -> Vec<DayCount> {
        let days = self.days.iter();
        let day = |(day, [all, refused]): (&i64, &[Count; 2])| {
            let midnight = Moment::from_millis(day.saturating_mul(DAY_MS)).to_string();
            let day = midnight.split('T').next().unwrap_or_default().to_owned();
            DayCount { day, all: *all, refused: *refused }
        };
        days.map(day).collect()
    }

    fn by_tenant(&self) -> Vec<TenantCount> {
        let mut tenants: BTreeMap<Option<&OrganizationId>, Count> = BTreeMap::new();
        for (bucket, count) in self.counted().filter(|(bucket, _)| bucket.refused.is_some()) {
            tenants.entry(bucket.tenant.as_ref()).or_default().join(count);
        }
        let rows = tenants.into_iter().map(|(tenant, refused)| TenantCount { tenant: tenant.cloned(), refused });
        let mut rows: Vec<TenantCount> = rows.collect();
        rows.sort_by_key(|row| std::cmp::Reverse((row.refused.tokens, row.refused.calls)));
        rows
    }

    fn by_model(&self) -> Vec<ModelCount> {
        let mut models: BTreeMap<&ModelVersionId, [Count; 2]> = BTreeMap::new();
        for (bucket, count) in self.counted() {
            let [all, refused] = models.entry(&bucket.model).or_default();
            all.join(count);
            if bucket.refused.is_some() {
                refused.join(count);
            }
        }
        let row =
            |(model, [all, refused]): (&ModelVersionId, [Count; 2])| ModelCount { model: model.clone(), all, refused };
        models.into_iter().map(row).collect()
    }
}
