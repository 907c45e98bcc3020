//! Fuzzes the target `desk_record`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exeat_fuzz::run("desk_record", bytes));
