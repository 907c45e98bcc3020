//! Asking a wallet for credentials, and reading what it answers.
//!
//! # Source
//! OpenID for Verifiable Presentations 1.0.

pub mod form;
mod request;
mod response;
#[cfg(test)]
mod tests;
mod verify;

pub use self::{
    request::{ClientId, Request, RequestFault, ResponseMode, by_reference},
    response::{Answer, Posted, ResponseFault, VpToken},
    verify::{Presentation, PresentationFault, verify},
};
