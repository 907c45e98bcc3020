//! Fuzzes the target `ticket`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exeat_fuzz::run("ticket", bytes));
