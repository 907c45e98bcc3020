//! What tests stand on: counterparts that behave as scripted and remember what happened to them.
//!
//! A development dependency only; nothing here knows the gateway.

pub mod cases;
pub mod http;
pub mod schema;
pub mod server;
pub mod upstream;
