//! Decides once for each class, and remembers each different answer once.

use std::collections::BTreeMap;

use terms::{ModelVersionId, Moment};

use super::{classes::index, report::Answer, restore::Restorer, shape::Shape};
use crate::{Determination, Facts, Snapshot, decide};

impl Answer {
    /// Returns what a determination says, without the model version, its end and the snapshot.
    #[must_use]
    pub fn of(determination: &Determination) -> Self {
        match determination {
            Determination::Permit(permit) => Self::Permit {
                basis: permit.basis().to_vec(),
                flags: permit.flags().to_vec(),
                obligations: permit.obligations().to_vec(),
            },
            Determination::Refuse(refusal) if refusal.is_hold() => Self::Hold {
                code: refusal.code(),
                denied_by: refusal.denied_by().to_vec(),
                remedies: refusal.remedies().to_vec(),
            },
            Determination::Refuse(refusal) => {
                Self::Deny { code: refusal.code(), denied_by: refusal.denied_by().to_vec() }
            }
        }
    }

    pub(crate) fn verdict(&self) -> Verdict {
        match self {
            Self::Permit { .. } => Verdict::Permit,
            Self::Hold { .. } => Verdict::Hold,
            Self::Deny { .. } => Verdict::Deny,
        }
    }
}

/// The best first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Verdict {
    Permit,
    Hold,
    Deny,
}

/// Every different answer, each under a number.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    all: Vec<Answer>,
    known: BTreeMap<Answer, u32>,
}

impl Answers {
    pub(crate) fn number(&mut self, answer: Answer) -> u32 {
        if let Some(number) = self.known.get(&answer) {
            return *number;
        }
        let number = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        self.all.push(answer.clone());
        self.known.insert(answer, number);
        number
    }

    pub(crate) fn get(&self, number: u32) -> Option<&Answer> {
        self.all.get(index(number))
    }

    pub(crate) fn verdict(&self, number: u32) -> Verdict {
        self.get(number).map_or(Verdict::Deny, Answer::verdict)
    }
}

/// The numbers of the answers that the classes get on one model version, in order of class.
pub(crate) type Column = Vec<u32>;

/// Facts for each class as of one moment, to be decided under any snapshot.
#[derive(Debug)]
pub(crate) struct Docket {
    facts: Vec<Facts>,
}

impl Docket {
    /// Makes facts of each shape, as good at `at` as the shape says.
    pub(crate) fn new(restorer: &Restorer<'_>, shapes: &[Shape], model: Option<&ModelVersionId>, at: Moment) -> Self {
        let facts = shapes.iter().filter_map(|shape| Some(restorer.facts(shape, model?.clone(), at)));
        Self { facts: facts.collect() }
    }

    /// Returns the facts of a class, about whichever model version was decided last.
    pub(crate) fn facts(&self, class: u32) -> Option<&Facts> {
        self.facts.get(index(class))
    }

    /// Decides classes, all of them or some, on each model version; versions that differ in nothing but their id are
    /// decided once.
    pub(crate) fn decide(
        &mut self,
        snapshot: &Snapshot,
        models: &[ModelVersionId],
        some: Option<&[u32]>,
        answers: &mut Answers,
    ) -> Vec<Column> {
        let mut known: BTreeMap<Option<String>, Column> = BTreeMap::new();
        let columns = models.iter().map(|model| {
            let decided = || self.column(snapshot, model, some, answers);
            known.entry(twin(snapshot, model)).or_insert_with(decided).clone()
        });
        columns.collect()
    }

    fn column(
        &mut self,
        snapshot: &Snapshot,
        model: &ModelVersionId,
        some: Option<&[u32]>,
        answers: &mut Answers,
    ) -> Column {
        let mut answer = |facts: &mut Facts| {
            facts.model = model.clone();
            answers.number(Answer::of(&decide(snapshot, facts)))
        };
        match some {
            None => self.facts.iter_mut().map(answer).collect(),
            Some(some) => some.iter().filter_map(|class| self.facts.get_mut(index(*class)).map(&mut answer)).collect(),
        }
    }
}

/// Writes down what the rules can see of a model version; `None` if the snapshot does not have it.
fn twin(snapshot: &Snapshot, model: &ModelVersionId) -> Option<String> {
    let version = snapshot.document().models.iter().find(|version| version.id == *model)?;
    let mut value = serde_json::to_value(version).ok()?;
    value.as_object_mut()?.remove("id");
    Some(value.to_string())
}
