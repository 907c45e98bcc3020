//! The data path against a scripted upstream, over real sockets.

mod answers;
mod caps;
mod cases;
mod closing;
mod cuts;
mod disk;
mod ends;
mod example;
mod faults;
mod oauth;
mod order;
mod power;
mod private;
mod refusals;
mod slow;
mod stops;
mod tickets;
mod unread;
mod variants;
mod world;
