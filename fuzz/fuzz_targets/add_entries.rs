//! Fuzzes the target `add_entries`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exeat_fuzz::run("add_entries", bytes));
