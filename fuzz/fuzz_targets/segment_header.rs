//! Fuzzes the target `segment_header`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exeat_fuzz::run("segment_header", bytes));
