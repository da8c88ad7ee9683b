//! Application error codes of a QUIC CONNECTION_CLOSE (RFC 9000 section 20.2). Streams use `Refusal`'s numbers.

use quinn::VarInt;

/// Closed in order: nothing went wrong.
pub(crate) const CLOSED: VarInt = VarInt::from_u32(0);
/// The other end broke the protocol; the reason text says how.
pub(crate) const PROTOCOL: VarInt = VarInt::from_u32(1);
/// A newer connection of the same peer took this one's place.
pub(crate) const REPLACED: VarInt = VarInt::from_u32(2);
/// As many sessions as this node may have are up.
pub(crate) const FULL: VarInt = VarInt::from_u32(3);
/// The node that answered is not the one that was dialled.
pub(crate) const WRONG_NODE: VarInt = VarInt::from_u32(4);
/// A data connection without a control session of the same peer.
pub(crate) const NO_SESSION: VarInt = VarInt::from_u32(5);
/// The control stream did not come in time.
pub(crate) const NO_STREAM: VarInt = VarInt::from_u32(6);
/// A control or data connection without a certificate.
pub(crate) const NO_CERTIFICATE: VarInt = VarInt::from_u32(8);
/// The peer was silent for too long; it may still hear this.
pub(crate) const SILENT: VarInt = VarInt::from_u32(7);
