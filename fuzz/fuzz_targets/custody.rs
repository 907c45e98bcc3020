//! Fuzzes the target `custody`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exeat_fuzz::run("custody", bytes));
