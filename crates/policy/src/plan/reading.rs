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
    list: &'static str,
    pointer: &'static str,
    choices: fn() -> Vec<(&'static str, Value)>,
}

const KNOBS: [Knob; 5] = [
    Knob {
        name: "person_definition",
        list: "directives",
        pointer: "/person_scope/definition",
        choices: || words(&["ear_772", "citizens_nationals_only"]),
    },
    Knob {
        name: "unknown_standing",
        list: "directives",
        pointer: "/person_scope/unknown",
        choices: || words(&["deny", "hold"]),
    },
    Knob {
        name: "destination",
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
        list: "licenses",
        pointer: "/beneficiaries/employee_scope",
        choices: || words(&["direct", "regular_120_64", "employees_contractors_interns"]),
    },
    Knob {
        name: "entity_scope",
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
        Self { instruments }
    }

    /// Compares the readings of the instruments that change, and of the licenses under directives that change.
    #[must_use]
    pub fn of_change(before: &Snapshot, after: &Snapshot) -> Self {
        let mut instruments = changed(before.document(), after.document());
        let licenses = after.document().licenses.iter();
        let under = licenses.filter(|license| !license.under().is_disjoint(&instruments));
        let under: Vec<InstrumentId> = under.map(|license| license.id().clone()).collect();
        instruments.extend(under);
        Self { instruments }
    }

    /// Returns every combination for a snapshot document; none if no question is open.
    pub(crate) fn cells(&self, document: &Value) -> Vec<Cell> {
        let dimensions: Vec<Dimension> = KNOBS.iter().filter_map(|knob| self.dimension(knob, document)).collect();
        if dimensions.is_empty() {
            return Vec::new();
        }
        let mut cells = vec![Cell::new(self.chosen(document))];
        for dimension in &dimensions {
            let turned =
                cells.iter().flat_map(|cell| dimension.choices.iter().map(|choice| cell.turn(dimension, choice)));
            cells = turned.collect();
        }
        cells
    }

    /// Returns the questions that are open in a snapshot document, in the order in which cells vary.
    pub(crate) fn marks(&self, document: &Value) -> Vec<KnobMark> {
        let dimensions = KNOBS.iter().filter_map(|knob| self.dimension(knob, document));
        let mark = |dimension: Dimension| KnobMark {
            name: dimension.knob.name.to_owned(),
            instruments: dimension.instruments.into_iter().collect(),
            choices: dimension.choices.into_iter().map(|choice| choice.name.to_owned()).collect(),
        };
        dimensions.map(mark).collect()
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
        let first = instruments.first()?;
        let written = knob.value(first);
        let agree = instruments.iter().all(|instrument| knob.value(instrument) == written);
        let mut choices: Vec<Choice> = Vec::new();
        for (name, value) in (knob.choices)() {
            choices.push(Choice { name, as_written: agree && written == Some(&value), value: Some(value) });
        }
        if !choices.iter().any(|choice| choice.as_written) {
            choices.insert(0, Choice { name: AS_WRITTEN, value: None, as_written: true });
        }
        Some(Dimension { knob, choices, instruments: instruments.into_iter().filter_map(id).collect() })
    }
}

impl Knob {
    fn value<'a>(&self, instrument: &'a Value) -> Option<&'a Value> {
        instrument.pointer(self.pointer)
    }

    /// Tells whether an instrument has the question: it answers it, or it is silent and could.
    fn is_in(&self, instrument: &Value) -> bool {
        let answered = self.value(instrument).is_some();
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
    match list {
        "directives" => serde_json::from_value::<Directive>(value.clone()).is_ok(),
        _ => serde_json::from_value::<License>(value.clone()).is_ok(),
    }
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
    /// True if the documents give just these answers.
    pub(crate) as_written: bool,
    /// The instruments as read: a part of a snapshot document.
    pub(crate) document: Value,
}

impl Cell {
    fn new(document: Value) -> Self {
        Self { readings: BTreeMap::new(), as_written: true, document }
    }

    fn turn(&self, dimension: &Dimension, choice: &Choice) -> Self {
        let mut turned = self.clone();
        turned.readings.insert(dimension.knob.name.to_owned(), choice.name.to_owned());
        turned.as_written &= choice.as_written;
        let list = turned.document.get_mut(dimension.knob.list).and_then(Value::as_array_mut);
        if let (Some(list), Some(value)) = (list, &choice.value) {
            for instrument in list.iter_mut().filter(|instrument| dimension.knob.is_in(instrument)) {
                dimension.knob.set(instrument, value);
            }
        }
        turned
    }

    /// Compiles a snapshot in which the instruments are read so.
    ///
    /// # Errors
    ///
    /// Says which of them is then no valid document, and why.
    pub(crate) fn compile(&self, written: &SnapshotDocument) -> Result<Snapshot, String> {
        let mut document = written.clone();
        for value in list(&self.document, "directives") {
            let read = Directive::parse(value.to_string().as_bytes()).map_err(|fault| fault.to_string())?;
            let slot = document.directives.iter_mut();
            let mut slot = slot.filter(|known| known.id() == read.id() && known.version() == read.version());
            slot.next().into_iter().for_each(|slot| *slot = read.clone());
        }
        for value in list(&self.document, "licenses") {
            let read = License::parse(value.to_string().as_bytes()).map_err(|fault| fault.to_string())?;
            let slot = document.licenses.iter_mut();
            let mut slot = slot.filter(|known| known.id() == read.id() && known.version() == read.version());
            slot.next().into_iter().for_each(|slot| *slot = read.clone());
        }
        let faults = |faults: Vec<crate::CompileFault>| {
            let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
            faults.join("; ")
        };
        Snapshot::compile(document).map_err(faults)
    }
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
