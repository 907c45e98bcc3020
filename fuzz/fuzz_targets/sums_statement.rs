//! Fuzzes the target `sums_statement`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exeat_fuzz::run("sums_statement", bytes));
