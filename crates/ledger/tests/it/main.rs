//! The ledger from outside: what it keeps through crashes, faults and other processes.

mod append;
mod faults;
mod kill;
mod power;
mod world;
