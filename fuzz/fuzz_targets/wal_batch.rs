//! Fuzzes the target `wal_batch`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exeat_fuzz::run("wal_batch", bytes));
