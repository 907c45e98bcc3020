//! The data path against a scripted upstream, over real sockets.

mod answers;
mod caps;
mod cases;
mod cuts;
mod faults;
mod order;
mod refusals;
mod variants;
mod world;
