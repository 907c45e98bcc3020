//! Fuzzes the target `follower_message`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exeat_fuzz::run("follower_message", bytes));
