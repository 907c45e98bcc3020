//! Fuzzes the target `lake_file`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exeat_fuzz::run("lake_file", bytes));
