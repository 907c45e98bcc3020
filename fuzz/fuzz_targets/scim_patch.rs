//! Fuzzes the target `scim_patch`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exeat_fuzz::run("scim_patch", bytes));
