//! How packets of a flow travel: in datagrams of the connection, or framed on the flow's own stream.
//!
//! ```text
//! datagram:  flow: varint (RFC 9000 section 16) | the packet, to the end of the datagram
//! on a stream, behind header and answer:  length: u16, big-endian | length bytes: the packet
//! ```
//!
//! The flow id is the number of the QUIC stream that opened the flow: both ends know it without a word, it is never
//! used again on its connection, and it means nothing on any other. An empty packet is a packet.

use alloc::vec::Vec;

use crate::limits::Limits;

/// Bytes of the length of a packet on a stream.
pub const LENGTH: usize = 2;
/// Bytes of the longest flow id.
pub const FLOW_ID: usize = 8;
/// The largest flow id.
pub const LAST_FLOW: u64 = (1 << 62) - 1;

/// Bytes that the id of `flow` takes in a datagram; `None` above [`LAST_FLOW`].
#[must_use]
pub const fn id_len(flow: u64) -> Option<usize> {
    match flow {
        0..=0x3f => Some(1),
        0x40..=0x3fff => Some(2),
        0x4000..=0x3fff_ffff => Some(4),
        0x4000_0000..=LAST_FLOW => Some(8),
        _ => None,
    }
}

/// A datagram with a packet of `flow`; `None` when there can be no such flow.
#[must_use]
pub fn datagram(flow: u64, packet: &[u8]) -> Option<Vec<u8>> {
    let len = id_len(flow)?;
    // The two top bits of the first byte say how many bytes there are.
    let bits = (len.trailing_zeros() as u64) << (len * 8 - 2);
    let id = (flow | bits).to_be_bytes();
    let mut out = Vec::with_capacity(len + packet.len());
    out.extend_from_slice(id.get(id.len() - len..)?);
    out.extend_from_slice(packet);
    Some(out)
}

/// The flow and the packet of a datagram; `None` when it ends inside the flow id. Longer forms of an id are read too,
/// as RFC 9000 allows.
#[must_use]
pub fn read_datagram(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let first = *bytes.first()?;
    let (id, packet) = bytes.split_at_checked(1 << (first >> 6))?;
    let value = id.iter().fold(0, |value: u64, byte| value << 8 | u64::from(*byte));
    Some((value & (u64::MAX >> (66 - 8 * id.len() as u32)), packet))
}

/// The length before a packet on a stream; `None` when it is longer than [`Limits::PACKET`].
#[must_use]
pub fn length(packet: &[u8]) -> Option<[u8; LENGTH]> {
    u16::try_from(packet.len()).ok().filter(|len| usize::from(*len) <= Limits::PACKET).map(u16::to_be_bytes)
}

/// How long the packet behind this length is; `None` when no packet is that long, and the flow must end.
#[must_use]
pub fn read_length(bytes: [u8; LENGTH]) -> Option<usize> {
    Some(usize::from(u16::from_be_bytes(bytes))).filter(|len| *len <= Limits::PACKET)
}

/// Entry point for fuzzing: whatever the bytes, a datagram that is read is written again to one that reads the same.
///
/// # Panics
/// Only when the codec is wrong; that is what a fuzzer looks for.
pub fn fuzz_datagram(bytes: &[u8]) {
    let Some((flow, packet)) = read_datagram(bytes) else { return };
    assert!(flow <= LAST_FLOW, "a flow id is too large");
    let again = datagram(flow, packet).unwrap_or_default();
    assert_eq!(read_datagram(&again), Some((flow, packet)), "a datagram does not read back");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The bytes of version 1. They never change. The ids are the examples of RFC 9000, appendix A.1.
    #[test]
    fn golden_bytes() {
        let examples: [(u64, &[u8]); 4] = [
            (37, &[0x25]),
            (15_293, &[0x7b, 0xbd]),
            (494_878_333, &[0x9d, 0x7f, 0x3e, 0x7d]),
            (151_288_809_941_952_652, &[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c]),
        ];
        for (flow, id) in examples {
            let want = [id, b"packet"].concat();
            assert_eq!(datagram(flow, b"packet"), Some(want.clone()));
            assert_eq!(read_datagram(&want), Some((flow, &b"packet"[..])));
            assert_eq!(read_datagram(id), Some((flow, &b""[..])), "an empty packet");
            assert_eq!(read_datagram(&id[..id.len() - 1]), None, "cut inside the id");
        }
        // A longer form of 37.
        assert_eq!(read_datagram(&[0x40, 0x25, 7]), Some((37, &[7][..])));
        assert_eq!(length(&[0; 300]), Some([1, 0x2c]));
        assert_eq!(read_length([1, 0x2c]), Some(300));
    }

    #[test]
    fn ends_of_the_ranges() {
        for flow in [0, 0x3f, 0x40, 0x3fff, 0x4000, 0x3fff_ffff, 0x4000_0000, LAST_FLOW] {
            let bytes = datagram(flow, &[9]).unwrap();
            assert_eq!(bytes.len(), id_len(flow).unwrap() + 1);
            assert_eq!(read_datagram(&bytes), Some((flow, &[9][..])));
        }
        assert_eq!(datagram(LAST_FLOW + 1, &[]), None);
    }

    #[test]
    fn nothing_is_longer_than_a_packet() {
        assert_eq!(length(&[0; Limits::PACKET]), Some([0xff, 0xe3]));
        assert_eq!(length(&[0; Limits::PACKET + 1]), None);
        assert_eq!(read_length([0xff, 0xe3]), Some(65_507));
        assert_eq!(read_length([0xff, 0xe4]), None);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            fuzz_datagram(&bytes);
        }
    }
}
