//! Federation from outside: through its routers, over a control plane in a temporary folder.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod receive;
mod scim;
mod transmit;
