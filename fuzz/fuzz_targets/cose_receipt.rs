//! Fuzzes the target `cose_receipt`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exeat_fuzz::run("cose_receipt", bytes));
