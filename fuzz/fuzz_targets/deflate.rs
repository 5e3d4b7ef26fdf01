#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| hermes_tests::fuzz::deflate::run(input));
