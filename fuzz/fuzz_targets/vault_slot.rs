//! Fuzzes the target `vault_slot`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exeat_fuzz::run("vault_slot", bytes));
