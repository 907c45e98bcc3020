//! What other parties verified about people: read, judged by the trust list, and turned into changes.
//!
//! `ida` reads `verified_claims`; `read` makes statements of them and of the evidence they name; `trust` says whom to
//! believe about what; `weigh` says what follows for one person; `accept` makes the changes that the registry records.

mod accept;
mod ida;
#[cfg(test)]
mod leases;
mod nation;
mod read;
mod statement;
mod trust;
mod vault;
mod weigh;

use serde_json::Value;
use terms::Moment;

pub(crate) use self::{
    accept::accept,
    ida::Malformed,
    statement::{Said, Statement},
    weigh::{Refusal, contradictions, stable_id},
};
pub use self::{
    statement::ClaimKind,
    trust::{BadTrust, TrustEntry, TrustList},
    vault::{Vault, VaultFault},
};

/// Reads `verified_claims`, one object or a list, into the statements that its evidence bears out.
///
/// `reference` says where the source keeps the evidence; `heard_at` stands in for a time of verification that is not
/// told, and decides which documents have expired.
///
/// # Errors
///
/// [`Malformed`]: nothing of it may be used.
pub(crate) fn verified_claims(value: &Value, reference: &str, heard_at: Moment) -> Result<Vec<Statement>, Malformed> {
    let all = ida::parse(value)?;
    Ok(all.iter().flat_map(|verified| read::statements(verified, reference, heard_at)).collect())
}
