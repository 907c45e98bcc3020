//! Fuzzes the target `production_survey`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exeat_fuzz::run("production_survey", bytes));
