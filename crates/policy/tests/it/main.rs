//! The decision function from outside: the cases, and properties that no case can show.

mod cases;
mod instruments;
mod properties;
mod resolve;
mod world;
