//! Fuzzes the target `country_groups`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exeat_fuzz::run("country_groups", bytes));
