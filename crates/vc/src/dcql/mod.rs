//! What a verifier asks of a wallet, and whether what came answers it.
//!
//! # Source
//! OpenID for Verifiable Presentations 1.0, section 6.

mod evaluate;
mod query;

pub use self::{
    evaluate::{Mismatch, Shown},
    query::{ClaimQuery, ClaimValue, CredentialQuery, CredentialSetQuery, Format, Meta, Query, QueryFault},
};
