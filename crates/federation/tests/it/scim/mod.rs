//! The SCIM server, over HTTP and over kills.

mod directory;
mod effects;
mod protocol;
mod strangers;
mod tenants;
mod word;
mod world;
