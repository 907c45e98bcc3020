//! Fuzzes the target `entries`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exeat_fuzz::run("entries", bytes));
