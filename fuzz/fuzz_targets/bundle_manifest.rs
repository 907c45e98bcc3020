//! Fuzzes the target `bundle_manifest`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exeat_fuzz::run("bundle_manifest", bytes));
