//! The digest of what was told, worked out anew from the design: a sum modulo 2^128 over the first 16 bytes of the
//! SHA-256 of each route, its names with their lengths in front.

use sha2::{Digest, Sha256};

use crate::seen::Name;

/// Such a sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum(u128);

fn hash(key: &Name, attrs: &[u8]) -> u128 {
    let mut hash = Sha256::new();
    for text in [&key.0, &key.1] {
        // Lengths are of seven bits each, lowest first.
        let mut len = text.len();
        while len >= 128 {
            hash.update([u8::try_from(len % 128).unwrap_or(0) | 128]);
            len /= 128;
        }
        hash.update([u8::try_from(len).unwrap_or(0)]);
        hash.update(text);
    }
    hash.update(attrs);
    hash.finalize().iter().take(16).fold(0, |sum, byte| sum << 8 | u128::from(*byte))
}

impl Sum {
    pub(crate) fn add(&mut self, key: &Name, attrs: &[u8]) {
        self.0 = self.0.wrapping_add(hash(key, attrs));
    }

    pub(crate) fn take(&mut self, key: &Name, attrs: &[u8]) {
        self.0 = self.0.wrapping_sub(hash(key, attrs));
    }

    /// As it stands in KEEPALIVE.
    pub(crate) fn bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }
}
