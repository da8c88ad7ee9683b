#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| catalyst_wire::fuzz::fuzz_body(bytes));
