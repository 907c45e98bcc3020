//! Fuzzes the target `checkpoint_object`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exeat_fuzz::run("checkpoint_object", bytes));
