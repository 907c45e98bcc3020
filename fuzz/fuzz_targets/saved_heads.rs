//! Fuzzes the target `saved_heads`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exeat_fuzz::run("saved_heads", bytes));
