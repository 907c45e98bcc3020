//! Fuzzes the target `shard_proof`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exeat_fuzz::run("shard_proof", bytes));
