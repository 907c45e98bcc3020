//! Fuzzes the target `status_list`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exeat_fuzz::run("status_list", bytes));
