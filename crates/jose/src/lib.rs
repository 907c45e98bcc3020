//! Is this signed by whom it says? One verifier for every kind of signed token (RFC 7515, RFC 7517, RFC 7638).
//!
//! Every kind of token is a [`Use`]: its `typ`, its algorithms and its claims are pinned, so that a token of one kind is
//! never taken for another. Keys are public keys of an issuer; the header of a token chooses among them and never
//! brings one of its own, except in a proof of possession ([`dpop`]), whose key is what it proves.

mod alg;
pub mod base64url;
mod certificate;
mod claims;
mod der;
pub mod dpop;
pub mod json;
pub mod jwe;
mod jwk;
mod jwks;
mod jws;
mod material;
mod signing;
pub mod ticket;
pub mod usage;

pub use alg::Alg;
pub use certificate::{Certificate, CertificateFault, Chain, Roots};
pub use claims::{Audience, ClaimFault, NumericDate, Skew, Times};
pub use json::{JsonFault, Object};
pub use jwk::{Jwk, KeyFault};
pub use jwks::{Jwks, Keys, KeysFault};
pub use jws::{Fault, Header, Unverified, Verified, verify};
pub use signing::{SigningFault, SigningKey};
pub use usage::Use;
