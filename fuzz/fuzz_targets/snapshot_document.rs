//! Fuzzes the target `snapshot_document`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exeat_fuzz::run("snapshot_document", bytes));
