//! Fuzzes the target `lake_mark`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exeat_fuzz::run("lake_mark", bytes));
