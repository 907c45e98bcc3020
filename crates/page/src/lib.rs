//! What a page in a browser asks of `proof`: is this entry in the log? No I/O; `cargo xtask page` compiles it to WebAssembly.

mod answer;
mod exports;

pub use answer::answer;
