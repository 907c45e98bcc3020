//! Fuzzes the target `time_stamp`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exeat_fuzz::run("time_stamp", bytes));
