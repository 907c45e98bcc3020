//! A meter between tickets and a scripted model server.

mod refusals;
mod restart;
mod serving;
mod sums;
mod world;
