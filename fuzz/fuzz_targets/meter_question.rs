//! Fuzzes the target `meter_question`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exeat_fuzz::run("meter_question", bytes));
