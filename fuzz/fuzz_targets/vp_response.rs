//! Fuzzes the target `vp_response`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exeat_fuzz::run("vp_response", bytes));
