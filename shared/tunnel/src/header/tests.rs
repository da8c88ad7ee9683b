use alloc::vec::Vec;

use proptest::prelude::*;

use super::{FlowKind, HeaderError, PREFIX, StreamHeader, TraceContext, fuzz_header};
use crate::limits::Limits;

fn sample() -> StreamHeader {
    StreamHeader {
        service: "inventory.acme.example".parse().unwrap(),
        origin: Some("edge-1".parse().unwrap()),
        caller: "cloud-1.acme.example".parse().unwrap(),
        trace: Some(TraceContext { trace_id: [0xa1; 16], parent_id: [0xb2; 8], flags: 1 }),
        policy_epoch: 300,
        hop_limit: 8,
        kind: FlowKind::Bytes,
    }
}

fn encode(header: &StreamHeader) -> Vec<u8> {
    let mut out = [0; Limits::HEADER];
    let len = header.encode(&mut out).unwrap();
    out[..len].to_vec()
}

/// The bytes of version 1. They never change; a later version gets its own.
#[test]
fn golden_bytes_of_version_1() {
    let mut want = Vec::new();
    want.extend([1, 0, 81]);
    want.extend([22]);
    want.extend(b"inventory.acme.example");
    want.extend([1, 6]);
    want.extend(b"edge-1");
    want.extend([20]);
    want.extend(b"cloud-1.acme.example");
    want.extend([1]);
    want.extend([0xa1; 16]);
    want.extend([0xb2; 8]);
    want.extend([1]);
    want.extend([0xac, 0x02]);
    want.extend([8]);
    assert_eq!(encode(&sample()), want);
    assert_eq!(StreamHeader::decode(&want), Ok((sample(), want.len())));
}

/// The bytes of a flow of packets: those of version 1 with a tail of one byte.
#[test]
fn golden_bytes_of_a_flow_of_packets() {
    let packets = StreamHeader { kind: FlowKind::Packets, ..sample() };
    let want = with_tail(&[1]);
    assert_eq!(encode(&packets), want);
    assert_eq!(StreamHeader::decode(&want), Ok((packets, want.len())));
}

fn with_tail(tail: &[u8]) -> Vec<u8> {
    let mut bytes = encode(&sample());
    bytes.extend(tail);
    let len = u16::try_from(bytes.len() - PREFIX).unwrap().to_be_bytes();
    bytes[1..3].copy_from_slice(&len);
    bytes
}

#[test]
fn a_tail_of_later_versions_is_skipped_and_payload_is_left_alone() {
    for (kind, tail) in [(FlowKind::Bytes, [0, 9, 9]), (FlowKind::Packets, [1, 9, 9])] {
        let mut bytes = with_tail(&tail);
        let whole = bytes.len();
        bytes.extend(b"GET / HTTP/1.1");
        assert_eq!(StreamHeader::decode(&bytes), Ok((StreamHeader { kind, ..sample() }, whole)));
    }
    // What flows cannot be guessed.
    assert_eq!(StreamHeader::decode(&with_tail(&[9, 9])), Err(HeaderError::Kind(9)));
}

#[test]
fn needs_tells_the_length_step_by_step() {
    let bytes = encode(&sample());
    for have in 0..PREFIX {
        assert_eq!(StreamHeader::needs(&bytes[..have]), Ok(PREFIX));
    }
    for have in PREFIX..=bytes.len() {
        assert_eq!(StreamHeader::needs(&bytes[..have]), Ok(bytes.len()));
        let whole = StreamHeader::decode(&bytes[..have]);
        assert_eq!(whole.is_ok(), have == bytes.len(), "{have} bytes: {whole:?}");
    }
}

#[test]
fn wrong_bytes_are_refused_early() {
    assert_eq!(StreamHeader::needs(&[2]), Err(HeaderError::Version(2)));
    assert_eq!(StreamHeader::needs(&[1, 0xff, 0xff]), Err(HeaderError::TooLong(PREFIX + 0xffff)));
    let mut upper = encode(&sample());
    upper[PREFIX + 1] = b'I';
    assert_eq!(StreamHeader::decode(&upper), Err(HeaderError::Fields));
    assert_eq!(sample().encode(&mut [0; 2]), Err(HeaderError::NoRoom));
    assert_eq!(sample().encode(&mut [0; 40]), Err(HeaderError::NoRoom));
}

#[test]
fn the_longest_header_fits() {
    let label = "x".repeat(63);
    let org = [label.as_str(), "a23456789012345678901234567890123456"].join(".");
    let longest = StreamHeader {
        service: [label.as_str(), &org].join(".").parse().unwrap(),
        origin: Some(label.parse().unwrap()),
        caller: [label.as_str(), &org].join(".").parse().unwrap(),
        trace: sample().trace,
        policy_epoch: u64::MAX,
        hop_limit: u8::MAX,
        kind: FlowKind::Packets,
    };
    assert_eq!(longest.service.as_str().len(), catalyst_names::Limits::SERVICE);
    assert_eq!(StreamHeader::decode(&encode(&longest)).map(|(h, _)| h), Ok(longest));
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        fuzz_header(&bytes);
    }

    #[test]
    fn damaged_headers_never_panic(at in 0usize..90, value in any::<u8>(), cut in 0usize..90) {
        let mut bytes = encode(&sample());
        if let Some(b) = bytes.get_mut(at) { *b = value; }
        fuzz_header(&bytes);
        bytes.truncate(cut);
        fuzz_header(&bytes);
    }
}
