//! Fuzzes the target `schedule`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exeat_fuzz::run("schedule", bytes));
