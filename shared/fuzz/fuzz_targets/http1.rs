//! Messages of HTTP/1.1: no head has two readings, and a body ends at the same place however it is cut.
#![no_main]

use catalyst_http1::{Body, Framing, Request, Response, head_length};

/// Where a chunked body ends, read in pieces of this size.
fn chunked(bytes: &[u8], step: usize) -> Option<(usize, bool)> {
    let mut body = Body::new(Framing::Chunked);
    let mut taken = 0;
    for piece in bytes.chunks(step) {
        let now = body.take(piece).ok()?;
        taken += now;
        if body.is_done() {
            return Some((taken, true));
        }
        assert_eq!(now, piece.len(), "a body that goes on takes all");
    }
    Some((taken, false))
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(Some(length)) = head_length(bytes) {
        assert!(length <= bytes.len());
        // More behind it does not make another head of it.
        assert_eq!(head_length(&bytes[..length]), Ok(Some(length)));
        for head in [&bytes[..length], bytes] {
            let _ = Response::parse(head, false);
            let _ = Response::parse(head, true);
        }
        if let Ok(request) = Request::parse(&bytes[..length]) {
            assert!(!request.host.is_empty() && request.host == request.host.to_ascii_lowercase());
        }
    }
    let _ = Request::parse(bytes);
    assert_eq!(chunked(bytes, 1), chunked(bytes, usize::MAX));
    assert_eq!(chunked(bytes, 1), chunked(bytes, 7));
});
