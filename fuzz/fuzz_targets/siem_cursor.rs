//! Fuzzes the target `siem_cursor`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exeat_fuzz::run("siem_cursor", bytes));
