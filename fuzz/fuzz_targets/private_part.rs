//! Fuzzes the target `private_part`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exeat_fuzz::run("private_part", bytes));
