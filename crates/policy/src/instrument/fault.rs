//! What is wrong with a document: where, on which line, and why; everything at once.

use std::fmt;

use super::position::Positions;

/// A document that is not an instrument: where and why. Names every fault that could be found, the first as itself.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub struct InstrumentFault {
    /// The line of the text as it was sent, from 1; absent if there was no text or nothing of the place stands in it.
    pub line: Option<u32>,
    /// The place in the document, such as `person_scope.definition` or `reporting[0].what`; `column 7` where the text
    /// is not JSON, `document` for the whole of it.
    pub at: String,
    /// What is wrong and what to write instead.
    pub why: String,
    /// The other faults of the same document, which have no others of their own.
    pub others: Vec<Self>,
}

impl InstrumentFault {
    pub(super) fn new(at: impl Into<String>, why: impl Into<String>) -> Self {
        Self { line: None, at: at.into(), why: why.into(), others: Vec::new() }
    }

    /// Returns this fault and the others of the document, each alone.
    pub fn each(&self) -> impl Iterator<Item = Self> {
        let alone = |fault: &Self| Self { others: Vec::new(), ..fault.clone() };
        std::iter::once(self).chain(&self.others).map(alone)
    }

    /// Adds the line to every fault that names a place in the text.
    pub(crate) fn located(mut self, positions: &Positions) -> Self {
        for fault in self.others.iter_mut() {
            fault.line = fault.line.or_else(|| positions.line(&fault.at));
        }
        self.line = self.line.or_else(|| positions.line(&self.at));
        self
    }
}

impl fmt::Display for InstrumentFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}, ")?;
        }
        write!(f, "{}: {}", self.at, self.why)?;
        self.others.iter().try_for_each(|other| write!(f, "; {other}"))
    }
}

/// Faults as they are found.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<InstrumentFault>);

impl Faults {
    pub(crate) fn unless(&mut self, holds: bool, at: impl Into<String>, why: impl Into<String>) {
        if !holds {
            self.add(InstrumentFault::new(at, why));
        }
    }

    pub(crate) fn add(&mut self, fault: InstrumentFault) {
        self.0.push(fault);
    }

    /// Returns an error with everything that was found, in the order in which it was found.
    pub(crate) fn into_result(self) -> Result<(), InstrumentFault> {
        let mut faults = self.0.into_iter();
        match faults.next() {
            Some(first) => Err(InstrumentFault { others: faults.collect(), ..first }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_written_with_its_line_its_place_and_its_reason_and_so_are_the_others() {
        let mut faults = Faults::default();
        faults.unless(true, "id", "never");
        faults.unless(false, "a.b", "empty: name one");
        faults.unless(false, "nowhere", "missing: write it");
        let fault = faults.into_result().unwrap_err().located(&Positions::of(b"{\n\"a\": {\n\"b\": []}}"));
        assert_eq!(fault.to_string(), "line 3, a.b: empty: name one; line 1, nowhere: missing: write it");
        assert_eq!(fault.each().map(|one| one.line).collect::<Vec<_>>(), [Some(3), Some(1)]);
        assert_eq!(Faults::default().into_result(), Ok(()));
    }
}
