//! The header of a stream, and datagrams.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    catalyst_tunnel::header::fuzz_header(bytes);
    catalyst_tunnel::packet::fuzz_datagram(bytes);
});
