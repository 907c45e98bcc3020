//! The data path against a scripted upstream, over real sockets.

mod answers;
mod caps;
mod cases;
mod cuts;
mod example;
mod faults;
mod oauth;
mod order;
mod refusals;
mod slow;
mod variants;
mod world;
