//! Fuzzes the target `meter_page`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exeat_fuzz::run("meter_page", bytes));
