//! The control plane from outside: through the router without a network, and through its typed methods.

mod access;
mod conform;
mod crash;
mod desk;
mod evidence;
mod parties;
mod secrets;
mod world;
