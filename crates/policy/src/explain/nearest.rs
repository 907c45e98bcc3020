//! The nearest change after which the answer would be another: searched in a fixed menu, each verified by deciding.
//!
//! Single changes first; pairs only where no single one would do. What is reported was decided on the changed facts and
//! the changed snapshot, so a suggestion is never a guess: it may be impossible, and then it is not wrong.

use serde::Serialize;
use terms::{ModelVersionId, Moment, ProvisionId};

use super::{
    answer::{Outcome, model, until},
    apply::{to_document, to_facts},
    menu::Step,
    scene::Scene,
};
use crate::{Code, Determination, Facts, Snapshot, decide::decide};

/// Reported at most.
const NEAREST_MAX: usize = 12;
/// Moments at which an answer may change that are looked at, one after the other, for the one at which it does.
const MOMENTS_MAX: usize = 64;

/// A change, or two together, and what would be decided after it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Nearest {
    /// What would be done; the smallest first.
    pub steps: Vec<NearestStep>,
    /// How large it is in all; only to compare.
    pub size: u32,
    /// What would be decided.
    pub would_be: WouldBe,
}

/// One change with who can make it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct NearestStep {
    /// What would be done, in words.
    pub what: String,
    /// Who can do it.
    pub who_can_give_it: &'static str,
    /// The same for programs.
    #[serde(flatten)]
    pub change: Step,
}

/// What would be decided after a change.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct WouldBe {
    /// The outcome.
    pub outcome: Outcome,
    /// The model version.
    pub model: ModelVersionId,
    /// The reason of a refusal.
    pub code: Option<Code>,
    /// The legal bases of a permit, or the provisions that would refuse.
    pub basis: Vec<ProvisionId>,
}

impl WouldBe {
    fn of(determination: &Determination) -> Self {
        let (code, basis) = match determination {
            Determination::Permit(permit) => (None, permit.basis()),
            Determination::Refuse(refusal) => (Some(refusal.code()), refusal.denied_by()),
        };
        Self { outcome: Outcome::of(determination), model: model(determination).clone(), code, basis: basis.to_vec() }
    }
}

/// Searches for the nearest changes: of a refusal to a permit, of a permit to a refusal.
pub(super) fn search(snapshot: &Snapshot, facts: &Facts) -> Vec<Nearest> {
    let scene = Scene::new(snapshot, facts);
    let search = Search { snapshot, facts, permitted: is_permit(&decide(snapshot, facts)) };
    let mut found = match search.permitted {
        true => search.time().into_iter().chain(search.singles(&search.ready(&scene.ending()))).collect(),
        false => search.permitting(&scene.permitting()),
    };
    found.sort_by(|a, b| (a.size, a.steps.len(), words(a)).cmp(&(b.size, b.steps.len(), words(b))));
    found.truncate(NEAREST_MAX);
    found
}

fn words(nearest: &Nearest) -> Vec<&str> {
    nearest.steps.iter().map(|step| step.what.as_str()).collect()
}

fn is_permit(determination: &Determination) -> bool {
    matches!(determination, Determination::Permit(_))
}

struct Search<'a> {
    snapshot: &'a Snapshot,
    facts: &'a Facts,
    permitted: bool,
}

/// What is in force after a change of it; absent if the change cannot be made or does not compile.
type Changed = Option<Snapshot>;

impl Search<'_> {
    fn permitting(&self, menu: &[Step]) -> Vec<Nearest> {
        let menu = self.ready(menu);
        let singles = self.singles(&menu);
        if singles.is_empty() { self.pairs(&menu) } else { singles }
    }

    /// Puts beside each change what would be in force after it.
    fn ready<'m>(&self, menu: &'m [Step]) -> Vec<(&'m Step, Changed)> {
        menu.iter().map(|step| (step, self.compiled(&[step]))).collect()
    }

    fn singles(&self, menu: &[(&Step, Changed)]) -> Vec<Nearest> {
        let mut found = Vec::new();
        for (step, changed) in menu {
            add(&mut found, self.try_steps(&[step], changed.as_ref()));
        }
        found
    }

    fn pairs(&self, menu: &[(&Step, Changed)]) -> Vec<Nearest> {
        let mut found = Vec::new();
        for (at, (first, one)) in menu.iter().enumerate() {
            for (second, other) in menu.iter().skip(at + 1) {
                let steps = [*first, *second];
                let together = first.is_of_document() && second.is_of_document();
                let both = if together { self.compiled(&steps) } else { None };
                let changed = if together { both.as_ref() } else { one.as_ref().or(other.as_ref()) };
                add(&mut found, self.try_steps(&steps, changed));
            }
        }
        found
    }

    /// Compiles what would be in force after those of the changes that change it; `None` if none does.
    fn compiled(&self, steps: &[&Step]) -> Changed {
        if !steps.iter().any(|step| step.is_of_document()) {
            return None;
        }
        let mut document = self.snapshot.document().clone();
        for step in steps.iter().filter(|step| step.is_of_document()) {
            to_document(&mut document, self.facts, step)?;
        }
        Snapshot::compile(document).ok()
    }

    /// Decides after the changes; `None` if they cannot be made or the answer stays.
    fn try_steps(&self, steps: &[&Step], changed: Option<&Snapshot>) -> Option<Nearest> {
        let of_document = steps.iter().any(|step| step.is_of_document());
        let snapshot = if of_document { changed? } else { self.snapshot };
        let mut facts = self.facts.clone();
        for step in steps.iter().filter(|step| !step.is_of_document()) {
            to_facts(&mut facts, step)?;
        }
        self.nearest(steps, &decide(snapshot, &facts))
    }

    fn nearest(&self, steps: &[&Step], determination: &Determination) -> Option<Nearest> {
        if is_permit(determination) == self.permitted {
            return None;
        }
        let step =
            |step: &&Step| NearestStep { what: step.what(), who_can_give_it: step.who(), change: (*step).clone() };
        Some(Nearest {
            steps: steps.iter().map(step).collect(),
            size: steps.iter().map(|step| step.size()).sum(),
            would_be: WouldBe::of(determination),
        })
    }

    /// Finds the moment at which time alone ends a permit.
    fn time(&self) -> Option<Nearest> {
        let mut facts = self.facts.clone();
        for _ in 0..MOMENTS_MAX {
            let determination = decide(self.snapshot, &facts);
            if !is_permit(&determination) {
                return self.nearest(&[&Step::Time { at: facts.at }], &determination);
            }
            facts.at = until(&determination);
            if facts.at == Moment::MAX {
                return None;
            }
        }
        None
    }
}

/// Adds a change, or widens one that differs only in which standing is attested.
fn add(found: &mut Vec<Nearest>, new: Option<Nearest>) {
    let Some(new) = new else {
        return;
    };
    let widened = found.iter_mut().any(|known| known.would_be == new.would_be && widen(&mut known.steps, &new.steps));
    if !widened {
        found.push(new);
    }
}

/// Widens changes by others that differ in one attested standing only.
fn widen(known: &mut [NearestStep], new: &[NearestStep]) -> bool {
    let fits = known.len() == new.len() && known.iter().zip(new).all(|(one, other)| is_alternative(one, other));
    let differing = known.iter().zip(new).filter(|(one, other)| one.change != other.change).count();
    if !fits || differing != 1 {
        return false;
    }
    for (one, other) in known.iter_mut().zip(new) {
        if let (Step::AttestStanding { standings, .. }, Step::AttestStanding { standings: more, .. }) =
            (&mut one.change, &other.change)
        {
            standings.extend(more.iter().copied());
            one.what = one.change.what();
        }
    }
    true
}

fn is_alternative(one: &NearestStep, other: &NearestStep) -> bool {
    match (&one.change, &other.change) {
        (Step::AttestStanding { person, .. }, Step::AttestStanding { person: same, .. }) => person == same,
        (one, other) => one == other,
    }
}
