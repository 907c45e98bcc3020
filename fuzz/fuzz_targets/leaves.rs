//! Fuzzes the target `leaves`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exeat_fuzz::run("leaves", bytes));
