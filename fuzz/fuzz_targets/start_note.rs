//! Fuzzes the target `start_note`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exeat_fuzz::run("start_note", bytes));
