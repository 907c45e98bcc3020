//! When was it there at the latest? Asks time-stamping authorities (RFC 3161) and checks what they answer. No I/O.
//!
//! [`Query`] is what is sent, [`verify`] judges what comes back: now, and years later by somebody else, with nothing but
//! the response and the roots that they trust. A small reader of DER of its own does it, beside the library that checks
//! the chains of TLS; the published readers of such responses bring a second tree of ASN.1 crates.

mod certificate;
mod der;
mod query;
mod response;
mod roots;
mod stamp;
mod verify;

pub use query::Query;
pub use response::RESPONSE_BYTES_MAX;
pub use roots::{BadRoots, Roots};
pub use stamp::Stamp;
pub use verify::{Asked, BadStamp, verify};
