//! Legal holds in the registry.

use terms::InstrumentId;

use super::{Page, Store, StoreError};
use crate::hold::Hold;

impl Store {
    pub(crate) fn hold(&self, id: &InstrumentId) -> Result<Option<Hold>, StoreError> {
        self.get("hold", id.as_str())
    }

    pub(crate) fn holds(&self, page: &Page) -> Result<Vec<Hold>, StoreError> {
        self.list("hold", None, page)
    }
}
