#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| token_fuzz::encrypted(bytes));
