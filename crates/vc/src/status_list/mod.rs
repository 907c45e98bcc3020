//! Status lists: many credentials' states in one small document.
//!
//! # Source
//! Token Status List, draft-ietf-oauth-status-list-21.

mod list;
mod token;

pub use self::{
    list::{Bits, ListFault, MAX_ENTRIES, MAX_LIST_BYTES, Status, StatusList},
    token::{StatusListToken, TokenFault},
};

/// Where a credential's status stands: an index in the list at a URI.
///
/// # Source
/// Token Status List, section 6.2.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize)]
pub struct Reference {
    /// The index, from zero.
    pub idx: u32,
    /// Where the list is; also the `sub` of its token.
    pub uri: String,
}
