//! The entry that says what is produced, and by whose signatures.

use ledger::Reader;
use proof::{
    commit::Field,
    entry::Entry,
    production::{Custody, Selection},
};
use terms::Moment;

use crate::Fault;

/// The act of producing a part of the record, as it was recorded.
#[derive(Clone, Debug)]
pub struct Act {
    /// The index of its entry.
    pub entry: u64,
    /// When it was recorded.
    pub at: Moment,
    /// What is shown.
    pub selection: Selection,
    /// Field 1 of the entry as it is: JSON of `actor`, `selection` and `approvals`.
    pub json: Vec<u8>,
}

impl Act {
    /// Reads the entry at `index` and checks the approvals that it has.
    ///
    /// # Errors
    ///
    /// [`Fault::Log`]; [`Fault::Act`] if it does not record that something was produced.
    pub fn read(reader: &Reader, index: u64) -> Result<Self, Fault> {
        let stored = reader.stored(index)?;
        let entry = Entry::decode(&stored.leaf).map_err(|_| Fault::Contradiction(index, "it is none"))?;
        let json = stored.field(Field::Main).unwrap_or_default();
        let custody = Custody::check(&entry, json).map_err(|why| Fault::Act(index, why.to_string()))?;
        Ok(Self { entry: index, at: moment(entry.at_ms), selection: custody.selection, json: json.to_vec() })
    }
}

pub(crate) fn moment(at_ms: u64) -> Moment {
    Moment::from_millis(i64::try_from(at_ms).unwrap_or(i64::MAX))
}
