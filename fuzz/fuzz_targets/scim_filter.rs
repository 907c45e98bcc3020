//! Fuzzes the target `scim_filter`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exeat_fuzz::run("scim_filter", bytes));
