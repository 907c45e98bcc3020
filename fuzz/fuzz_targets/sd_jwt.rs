//! Fuzzes the target `sd_jwt`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exeat_fuzz::run("sd_jwt", bytes));
