//! Fuzzes the target `tlog_policy`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exeat_fuzz::run("tlog_policy", bytes));
