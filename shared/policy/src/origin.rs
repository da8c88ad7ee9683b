//! Origin ids at the border: opaque, and stable for one agreement.

use catalyst_names::OriginId;
use sha2::{Digest as _, Sha256};

use crate::agreement::Digest;

/// The id under which `origin` is known beyond the border: `o` and 20 hexadecimal digits.
///
/// It depends on a secret of the exporting node, so that a partner cannot find out node names by trying them,
/// and on the agreement, so that two partners cannot compare what they see.
#[must_use]
pub fn border_origin(secret: &[u8; 32], agreement: &Digest, origin: &str) -> OriginId {
    let mut hash = Sha256::new();
    hash.update(b"catalyst border origin 1");
    hash.update(secret);
    hash.update(agreement);
    hash.update(origin.as_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    let mut hex = [0u8; 21];
    hex[0] = b'o';
    for (pair, byte) in hex[1..].chunks_exact_mut(2).zip(digest) {
        for (digit, nibble) in pair.iter_mut().zip([byte >> 4, byte & 15]) {
            *digit = if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
        }
    }
    OriginId::from_hex_label(&hex)
}
