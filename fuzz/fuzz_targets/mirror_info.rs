//! Fuzzes the target `mirror_info`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exeat_fuzz::run("mirror_info", bytes));
