//! The digest of a table: a sum over the hashes of its routes, so that a change costs one addition whatever the size
//! of the table, and the order in which it came about does not matter.

use catalyst_wire::{Limits as WireLimits, Reader, Writer};
use sha2::{Digest as _, Sha256};

/// A sum modulo 2^128 over the first 16 bytes of SHA-256 of each entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum(u128);

impl Sum {
    fn of(hash: Sha256) -> Self {
        let digest: [u8; 32] = hash.finalize().into();
        Sum(digest.first_chunk::<16>().map_or(0, |first| u128::from_be_bytes(*first)))
    }

    /// Of an encoded announcement: the length in front is no part of it.
    pub(crate) fn of_element(element: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(Reader::new(element).bytes(WireLimits::ENTRY).unwrap_or_default());
        Sum::of(hash)
    }

    /// Of the parts of an announcement as they came in.
    pub(crate) fn of_route(service: &str, origin: &str, attrs: &[u8]) -> Self {
        let mut hash = Sha256::new();
        for text in [service, origin] {
            let mut buf = [0u8; 10];
            let mut out = Writer::new(&mut buf);
            // As a text is written: its length, then itself.
            let _ = out.u64(text.len() as u64);
            hash.update(out.written());
            hash.update(text);
        }
        hash.update(attrs);
        Sum::of(hash)
    }

    pub(crate) fn add(&mut self, other: Sum) {
        self.0 = self.0.wrapping_add(other.0);
    }

    pub(crate) fn subtract(&mut self, other: Sum) {
        self.0 = self.0.wrapping_sub(other.0);
    }

    /// As it stands in KEEPALIVE.
    pub(crate) fn bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }
}
