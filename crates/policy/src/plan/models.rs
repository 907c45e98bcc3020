//! What the change means for one model version: who is cut, who goes on, what differs.

use std::collections::BTreeMap;

use super::{
    Study,
    answers::{Column, Verdict},
    census::{NONE, rank},
    classes::index,
    report::{Answer, Diff, Example, Keep, ModelReport, Reach, Split, Transition, TurnOff, TurnOffReason},
};

impl Study<'_> {
    pub(super) fn model_report(&mut self, place: usize) -> Option<ModelReport> {
        let model = self.models.get(place)?.clone();
        let (before, after) = (self.before.get(place)?.clone(), self.after.get(place)?.clone());
        let traffic = self.traffic.get(place).copied();
        let view = Changes { study: self, traffic, before: &before, after: &after };
        let (turn_off, keeps, diff) = (view.turn_off(), view.keeps(), view.diff());
        let split = (self.split(traffic, &before), self.split(traffic, &after));
        let holds = self.holds(place, &before, &after);
        Some(ModelReport { model, before: split.0, after: split.1, turn_off, keeps, holds, diff })
    }

    /// Counts everyone who loses at least one model version.
    pub(super) fn cut(&self) -> Reach {
        let loses = |class: u32| {
            let pairs = self.before.iter().zip(&self.after);
            pairs.into_iter().any(|(before, after)| self.is_lost(before, after, class))
        };
        self.census.reach(None, loses, self.classes.shapes.len())
    }

    pub(super) fn split(&self, traffic: Option<usize>, column: &Column) -> Split {
        let labels: Vec<u32> = column.iter().map(|answer| self.answers.verdict(*answer) as u32).collect();
        split(self.census.reaches(traffic, &labels))
    }

    pub(super) fn verdict(&self, column: &Column, class: u32) -> Option<Verdict> {
        column.get(index(class)).map(|answer| self.answers.verdict(*answer))
    }

    pub(super) fn is_lost(&self, before: &Column, after: &Column, class: u32) -> bool {
        self.verdict(before, class) == Some(Verdict::Permit) && self.verdict(after, class) != Some(Verdict::Permit)
    }
}

/// Makes a split of counts that are labelled with verdicts.
pub(super) fn split(mut reaches: BTreeMap<u32, Reach>) -> Split {
    let mut of = |verdict: Verdict| reaches.remove(&(verdict as u32)).unwrap_or_default();
    Split { permit: of(Verdict::Permit), hold: of(Verdict::Hold), deny: of(Verdict::Deny) }
}

/// One model version under both snapshots.
struct Changes<'a> {
    study: &'a Study<'a>,
    traffic: Option<usize>,
    before: &'a Column,
    after: &'a Column,
}

impl Changes<'_> {
    fn turn_off(&self) -> TurnOff {
        let labels = self.labels(|class, _, after| self.is_lost(class).then_some(after));
        let reasons = self.study.census.reaches(self.traffic, &labels).into_iter();
        let reasons = reasons.filter_map(|(answer, reach)| Some(TurnOffReason { answer: self.answer(answer)?, reach }));
        let had = |class| self.study.verdict(self.before, class) == Some(Verdict::Permit);
        let mut tenants = self.study.census.by_tenant(self.traffic, |class| self.is_lost(class), had);
        let listed = self.study.plan.options.tenants.min(tenants.len());
        let left_out = tenants.split_off(listed);
        TurnOff {
            reach: self.reach(|class| self.is_lost(class)),
            reasons: sorted(reasons, |reason| (reason.reach, &reason.answer)),
            tenants,
            tenants_left_out: u64::try_from(left_out.len()).unwrap_or(u64::MAX),
            examples: self.examples(),
        }
    }

    fn examples(&self) -> Vec<Example> {
        let labels = self.labels(|class, _, _| self.is_lost(class).then_some(class));
        let classes = self.study.census.reaches(self.traffic, &labels).into_iter();
        let mut ranked: Vec<(u32, Reach)> = classes.collect();
        ranked.sort_by_key(|(class, reach)| (std::cmp::Reverse((reach.keys, reach.tokens_per_minute)), *class));
        ranked.truncate(self.study.plan.options.examples);
        let example = |(class, reach): (u32, Reach)| {
            Some(Example {
                attributes: self.study.describe(class),
                keys: reach.keys,
                tokens_per_minute: reach.tokens_per_minute,
                answer: self.answer(*self.after.get(index(class))?)?,
            })
        };
        ranked.into_iter().filter_map(example).collect()
    }

    fn keeps(&self) -> Vec<Keep> {
        let mut bases: BTreeMap<Vec<terms::ProvisionId>, u32> = BTreeMap::new();
        let mut label = |answer: u32| match self.study.answers.get(answer) {
            Some(Answer::Permit { basis, .. }) => {
                let next = u32::try_from(bases.len()).unwrap_or(NONE);
                Some(*bases.entry(basis.clone()).or_insert(next))
            }
            _ => None,
        };
        let labels: Vec<u32> = self.after.iter().map(|answer| label(*answer).unwrap_or(NONE)).collect();
        let reaches = self.study.census.reaches(self.traffic, &labels);
        let keep = |(basis, label)| Keep { basis, reach: reaches.get(&label).copied().unwrap_or_default() };
        sorted(bases.into_iter().map(keep), |keep| (keep.reach, &keep.basis))
    }

    fn diff(&self) -> Diff {
        let mut diff = Diff { transitions: self.transitions(), ..Diff::default() };
        let reaches = self.study.census.reaches(self.traffic, &self.labels(|_, b, a| Some(self.change(b, a) as u32)));
        let of = |change: Change| reaches.get(&(change as u32)).copied().unwrap_or_default();
        diff.newly_denied = of(Change::Denied);
        diff.newly_held = of(Change::Held);
        diff.newly_allowed = of(Change::Allowed);
        diff.basis_changed = of(Change::Basis);
        diff.reason_changed = of(Change::Reason);
        diff.unchanged = of(Change::None);
        diff
    }

    fn change(&self, before: u32, after: u32) -> Change {
        let verdict = |answer| self.study.answers.verdict(answer);
        match (verdict(before), verdict(after)) {
            _ if before == after => Change::None,
            (Verdict::Permit, Verdict::Permit) => Change::Basis,
            (one, other) if one == other => Change::Reason,
            (_, Verdict::Permit) => Change::Allowed,
            (_, Verdict::Hold) => Change::Held,
            (_, Verdict::Deny) => Change::Denied,
        }
    }

    fn transitions(&self) -> Vec<Transition> {
        let mut pairs: BTreeMap<(u32, u32), u32> = BTreeMap::new();
        let mut label = |before: u32, after: u32| {
            let next = u32::try_from(pairs.len()).unwrap_or(NONE);
            (before != after).then(|| *pairs.entry((before, after)).or_insert(next))
        };
        let both = self.before.iter().zip(self.after);
        let labels: Vec<u32> = both.map(|(before, after)| label(*before, *after).unwrap_or(NONE)).collect();
        let reaches = self.study.census.reaches(self.traffic, &labels);
        let transition = |((before, after), label): ((u32, u32), u32)| {
            Some(Transition {
                before: self.answer(before)?,
                after: self.answer(after)?,
                reach: reaches.get(&label).copied()?,
            })
        };
        sorted(pairs.into_iter().filter_map(transition), |t| (t.reach, t))
    }

    /// Labels each class by its number and its two answers.
    fn labels(&self, label: impl Fn(u32, u32, u32) -> Option<u32>) -> Vec<u32> {
        let both = self.before.iter().zip(self.after);
        (0..).zip(both).map(|(class, (before, after))| label(class, *before, *after).unwrap_or(NONE)).collect()
    }

    fn reach(&self, counts: impl Fn(u32) -> bool) -> Reach {
        self.study.census.reach(self.traffic, counts, self.before.len())
    }

    fn is_lost(&self, class: u32) -> bool {
        self.study.is_lost(self.before, self.after, class)
    }

    fn answer(&self, number: u32) -> Option<Answer> {
        self.study.answers.get(number).cloned()
    }
}

/// How one answer follows another.
#[derive(Clone, Copy, Debug)]
enum Change {
    None,
    Denied,
    Held,
    Allowed,
    Basis,
    Reason,
}

/// Sorts rows: most keys first, then most tokens a minute, then by what they are about.
pub(super) fn sorted<T, K: Ord>(rows: impl Iterator<Item = T>, by: impl Fn(&T) -> (Reach, &K)) -> Vec<T>
where
{
    let mut rows: Vec<T> = rows.collect();
    rows.sort_by(|one, other| {
        let ((one, key), (other, other_key)) = (by(one), by(other));
        (other.keys, rank(&other)).cmp(&(one.keys, rank(&one))).then_with(|| key.cmp(other_key))
    });
    rows
}
