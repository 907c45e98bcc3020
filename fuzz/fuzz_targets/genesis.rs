//! Fuzzes the target `genesis`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exeat_fuzz::run("genesis", bytes));
