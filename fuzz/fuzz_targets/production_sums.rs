//! Fuzzes the target `production_sums`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exeat_fuzz::run("production_sums", bytes));
