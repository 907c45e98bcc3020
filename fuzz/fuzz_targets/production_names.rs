//! Fuzzes the target `production_names`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exeat_fuzz::run("production_names", bytes));
