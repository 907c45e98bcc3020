//! The transmitter, by the names of the conformance modules.

mod circle;
mod control;
mod crash;
mod delivery;
mod events;
mod status;
mod world;
