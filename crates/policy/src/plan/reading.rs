//! How instruments can be read: the questions that their wording leaves open, and the answers to compare.
//!
//! Works on the documents' JSON. A further question is one more entry of [`KNOBS`].

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use terms::InstrumentId;

use super::report::KnobMark;
use crate::{Directive, License, Snapshot, SnapshotDocument};

/// Leaves a field as the document has it.
const AS_WRITTEN: &str = "as_written";

/// A question, where its answer stands in a document, and the answers to compare.
struct Knob {
    name: &'static str,
    question: Question,
    list: &'static str,
    pointer: &'static str,
    choices: fn() -> Vec<(&'static str, Value)>,
}

const KNOBS: [Knob; 5] = [
    Knob {
        name: "person_definition",
        question: Question::PersonDefinition,
        list: "directives",
        pointer: "/person_scope/definition",
        choices: || words(&["ear_772", "citizens_nationals_only"]),
    },
    Knob {
        name: "unknown_standing",
        question: Question::UnknownStanding,
        list: "directives",
        pointer: "/person_scope/unknown",
        choices: || words(&["deny", "hold"]),
    },
    Knob {
        name: "destination",
        question: Question::Destination,
        list: "directives",
        pointer: "/destination_scope",
        choices: || {
            vec![
                ("none", json!({"deny": "none"})),
                ("all_foreign", json!({"deny": "all_foreign", "unsettled": false})),
                ("all_foreign_unsettled", json!({"deny": "all_foreign", "unsettled": true})),
            ]
        },
    },
    Knob {
        name: "employee_scope",
        question: Question::EmployeeScope,
        list: "licenses",
        pointer: "/beneficiaries/employee_scope",
        choices: || words(&["direct", "regular_120_64", "employees_contractors_interns"]),
    },
    Knob {
        name: "entity_scope",
        question: Question::EntityScope,
        list: "licenses",
        pointer: "/entity_scope",
        choices: || words(&["named", "branches", "wholly_owned", "majority_owned"]),
    },
];

fn words(words: &[&'static str]) -> Vec<(&'static str, Value)> {
    words.iter().map(|word| (*word, Value::from(*word))).collect()
}

/// The readings that a plan compares: each combination of answers to each question that the instruments leave open.
#[derive(Clone, Debug, Default)]
pub struct Readings {
    instruments: BTreeSet<InstrumentId>,
    /// The questions asked, if not all.
    only: Option<BTreeSet<String>>,
}

impl Readings {
    /// Compares nothing.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Compares the readings of these instruments.
    #[must_use]
    pub fn of(instruments: BTreeSet<InstrumentId>) -> Self {
        Self { instruments, only: None }
    }

    /// Compares the readings of the instruments that change, and of the licenses under directives that change.
    #[must_use]
    pub fn of_change(before: &Snapshot, after: &Snapshot) -> Self {
        let mut instruments = changed(before.document(), after.document());
        let licenses = after.document().licenses.iter();
        let under = licenses.filter(|license| !license.under().is_disjoint(&instruments));
        let under: Vec<InstrumentId> = under.map(|license| license.id().clone()).collect();
        instruments.extend(under);
        Self::of(instruments)
    }

    /// Compares only these questions, such as `person_definition` and `employee_scope`.
    #[must_use]
    pub fn only<'a>(self, questions: impl IntoIterator<Item = &'a str>) -> Self {
        Self { only: Some(questions.into_iter().map(str::to_owned).collect()), ..self }
    }

    /// Returns the questions that are open in a snapshot document with every combination of answers to them.
    pub(crate) fn grid(&self, document: &Value) -> Grid {
        let asked = |knob: &&Knob| self.only.as_ref().is_none_or(|only| only.contains(knob.name));
        let dimensions = KNOBS.iter().filter(asked).filter_map(|knob| self.dimension(knob, document));
        let mut grid = Grid { dimensions: dimensions.collect(), cells: Vec::new() };
        if grid.dimensions.is_empty() {
            return grid;
        }
        grid.cells.push(Cell { readings: BTreeMap::new(), turned: 0, document: self.chosen(document) });
        for (at, dimension) in grid.dimensions.iter().enumerate() {
            let choices = || dimension.choices.iter();
            grid.cells =
                grid.cells.iter().flat_map(|cell| choices().map(|choice| cell.turn(at, dimension, choice))).collect();
        }
        grid
    }

    /// Keeps of a snapshot document the instruments to be read.
    fn chosen(&self, document: &Value) -> Value {
        let list = |name: &str| {
            let all = document.get(name).and_then(Value::as_array).into_iter().flatten();
            all.filter(|instrument| id(instrument).is_some_and(|id| self.instruments.contains(&id))).cloned().collect()
        };
        let (directives, licenses): (Value, Value) = (list("directives"), list("licenses"));
        json!({"directives": directives, "licenses": licenses})
    }

    fn dimension(&self, knob: &'static Knob, document: &Value) -> Option<Dimension> {
        let chosen = self.chosen(document);
        let instruments: Vec<&Value> = chosen.get(knob.list)?.as_array()?.iter().filter(|i| knob.is_in(i)).collect();
        instruments.first()?;
        let choices = (knob.choices)().into_iter();
        let choices = choices.map(|(name, value)| Choice {
            name,
            as_written: instruments.iter().all(|instrument| knob.is_written(instrument, &value)),
            value: Some(value),
        });
        let mut choices: Vec<Choice> = choices.collect();
        if !choices.iter().any(|choice| choice.as_written) {
            choices.insert(0, Choice { name: AS_WRITTEN, value: None, as_written: true });
        }
        Some(Dimension { knob, choices, instruments: instruments.into_iter().filter_map(id).collect() })
    }
}

impl Knob {
    /// Tells whether an instrument answers so already, in words or by its silence.
    fn is_written(&self, instrument: &Value, answer: &Value) -> bool {
        let mut turned = instrument.clone();
        self.set(&mut turned, answer) && is_same(self.list, instrument, &turned)
    }

    /// Tells whether an instrument has the question: it answers it, or it is silent and could.
    fn is_in(&self, instrument: &Value) -> bool {
        let answered = instrument.pointer(self.pointer).is_some();
        let could = || {
            let any = (self.choices)().into_iter().next();
            any.is_some_and(|(_, value)| {
                let mut trial = instrument.clone();
                self.set(&mut trial, &value) && is_document(self.list, &trial)
            })
        };
        answered || could()
    }

    /// Sets the answer; false if there is no place for it.
    fn set(&self, instrument: &mut Value, value: &Value) -> bool {
        let Some((parent, key)) = self.pointer.rsplit_once('/') else {
            return false;
        };
        let Some(fields) = instrument.pointer_mut(parent).and_then(Value::as_object_mut) else {
            return false;
        };
        fields.insert(key.to_owned(), value.clone());
        true
    }
}

fn is_document(list: &str, value: &Value) -> bool {
    is_same(list, value, value)
}

/// Tells whether two values are the same document; two that are none are not.
fn is_same(list: &str, one: &Value, other: &Value) -> bool {
    match list {
        "directives" => parsed::<Directive>(one).is_ok_and(|one| parsed(other) == Ok(one)),
        _ => parsed::<License>(one).is_ok_and(|one| parsed(other) == Ok(one)),
    }
}

/// The questions that are open, and every combination of answers; the last question varies fastest.
pub(crate) struct Grid {
    dimensions: Vec<Dimension>,
    pub(crate) cells: Vec<Cell>,
}

impl Grid {
    /// Returns the open questions as a report shows them.
    pub(crate) fn marks(&self) -> Vec<KnobMark> {
        let mark = |dimension: &Dimension| KnobMark {
            name: dimension.knob.name.to_owned(),
            instruments: dimension.instruments.iter().cloned().collect(),
            choices: dimension.choices.iter().map(|choice| choice.name.to_owned()).collect(),
        };
        self.dimensions.iter().map(mark).collect()
    }

    /// Returns the open questions, in order.
    pub(crate) fn questions(&self) -> impl Iterator<Item = Question> {
        self.dimensions.iter().map(|dimension| dimension.knob.question)
    }

    /// Returns the place of the cell that answers as one does the questions that `mask` has, by their bits, and the
    /// others as written.
    pub(crate) fn projected(&self, place: usize, mask: u32) -> usize {
        let mut rest = place;
        let mut stride = 1;
        let mut projected = 0;
        for (at, dimension) in self.dimensions.iter().enumerate().rev() {
            let size = dimension.choices.len().max(1);
            let written = dimension.choices.iter().position(|choice| choice.as_written).unwrap_or(0);
            let choice = if mask & bit(at) == 0 { written } else { rest % size };
            projected += choice * stride;
            rest /= size;
            stride *= size;
        }
        projected
    }
}

/// Returns the bit that stands for a question by its place.
pub(crate) fn bit(at: usize) -> u32 {
    u32::try_from(at).ok().and_then(|at| 1_u32.checked_shl(at)).unwrap_or(0)
}

/// What a question is about: on whom its answer can bear is in `bearing`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Question {
    PersonDefinition,
    UnknownStanding,
    Destination,
    EmployeeScope,
    EntityScope,
}

/// A question that is open in some instruments, with the answers to compare.
struct Dimension {
    knob: &'static Knob,
    choices: Vec<Choice>,
    instruments: BTreeSet<InstrumentId>,
}

struct Choice {
    name: &'static str,
    /// `None` leaves what is written.
    value: Option<Value>,
    as_written: bool,
}

/// One combination of answers.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    /// The answer to each question, by its name.
    pub(crate) readings: BTreeMap<String, String>,
    /// The questions answered otherwise than as written, by their bits.
    pub(crate) turned: u32,
    /// The instruments as read: a part of a snapshot document.
    pub(crate) document: Value,
}

impl Cell {
    fn turn(&self, at: usize, dimension: &Dimension, choice: &Choice) -> Self {
        let mut turned = self.clone();
        turned.readings.insert(dimension.knob.name.to_owned(), choice.name.to_owned());
        turned.turned |= if choice.as_written { 0 } else { bit(at) };
        let list = turned.document.get_mut(dimension.knob.list).and_then(Value::as_array_mut);
        if let (Some(list), Some(value)) = (list, &choice.value) {
            for instrument in list.iter_mut().filter(|instrument| dimension.knob.is_in(instrument)) {
                dimension.knob.set(instrument, value);
            }
        }
        turned
    }

    /// Returns a document in which the instruments are read so.
    ///
    /// # Errors
    ///
    /// Says which of them is then no valid document, and why.
    pub(crate) fn read(&self, written: &SnapshotDocument) -> Result<SnapshotDocument, String> {
        let mut document = written.clone();
        for value in list(&self.document, "directives") {
            let read: Directive = parsed(value)?;
            let same = |known: &&mut Directive| known.id() == read.id() && known.version() == read.version();
            document.directives.iter_mut().find(same).into_iter().for_each(|known| *known = read.clone());
        }
        for value in list(&self.document, "licenses") {
            let read: License = parsed(value)?;
            let same = |known: &&mut License| known.id() == read.id() && known.version() == read.version();
            document.licenses.iter_mut().find(same).into_iter().for_each(|known| *known = read.clone());
        }
        Ok(document)
    }
}

fn parsed<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T, String> {
    serde_json::from_value(value.clone()).map_err(|error| error.to_string())
}

fn list<'a>(document: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    document.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn id(instrument: &Value) -> Option<InstrumentId> {
    InstrumentId::parse(instrument.get("id")?.as_str()?).ok()
}

/// Returns the instruments that are in one document and not, or otherwise, in the other.
pub(crate) fn changed(before: &SnapshotDocument, after: &SnapshotDocument) -> BTreeSet<InstrumentId> {
    let directives = differing(&before.directives, &after.directives, Directive::id);
    directives.chain(differing(&before.licenses, &after.licenses, License::id)).collect()
}

fn differing<'a, T: PartialEq>(
    before: &'a [T],
    after: &'a [T],
    id: fn(&T) -> &InstrumentId,
) -> impl Iterator<Item = InstrumentId> {
    let gone = before.iter().filter(move |one| !after.contains(one));
    let new = after.iter().filter(move |one| !before.contains(one));
    gone.chain(new).map(move |one| id(one).clone())
}
