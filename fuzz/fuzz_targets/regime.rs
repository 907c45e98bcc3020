//! Fuzzes the target `regime`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exeat_fuzz::run("regime", bytes));
