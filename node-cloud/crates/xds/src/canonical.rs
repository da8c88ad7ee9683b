//! One message, one encoding.

use bytes::Bytes;

use crate::kind::Kind;

/// The bytes as they are kept.
pub fn bytes(_kind: Kind, encoded: Vec<u8>) -> Bytes {
    Bytes::from(encoded)
}
