//! What happened to whom, and who says so? Security event tokens (RFC 8417), subject identifiers (RFC 9493), CAEP, RISC and SCIM events. No I/O.

pub mod event;
mod fault;
mod set;
pub mod stream;
mod subject;

pub use event::Event;
pub use fault::{ErrorCode, Fault};
pub use set::{Expected, SecurityEvent};
pub use subject::{Complex, Identifier, Member, Subject};
