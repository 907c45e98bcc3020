//! Fuzzes the target `facts`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exeat_fuzz::run("facts", bytes));
