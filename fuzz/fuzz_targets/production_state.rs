//! Fuzzes the target `production_state`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exeat_fuzz::run("production_state", bytes));
