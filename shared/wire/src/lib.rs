//! Frames, route entries and typed attributes of the peering protocol.
//!
//! ```text
//! frame    type u8 | flags u8 | length u16, big endian | body
//! UPDATE   length of announcements | entries | length of withdrawals | keys | length of news | overtaken | (unknown tail)
//! entry    length | service | origin | attributes
//! attribute  type | flags u8 | length | value
//! ```
//!
//! Lengths, types and numbers are unsigned LEB128 ("varint"), text is a length and UTF-8: the encoding of
//! [postcard](https://postcard.jamesmunns.com/wire-format), written by hand here so that decoding borrows,
//! allocates nothing and every bound is visible. Decoders skip unknown tails and unknown optional types;
//! a malformed attribute spoils one route, never a session (RFC 7606).
//!
//! Nothing in this crate allocates, panics on any input, or knows about sockets.
#![no_std]
#![deny(clippy::indexing_slicing)]

pub mod attr;
mod cursor;
mod error;
pub mod frame;
pub mod fuzz;
pub mod interest;
mod limits;
pub mod notify;
pub mod open;
mod path;
pub mod refresh;
pub mod seqno;
pub mod small;
pub mod trust;
pub mod update;

pub use attr::{AttrError, Attrs, Health, Unknown, WellKnown, words};
pub use cursor::{Reader, Writer};
pub use error::{FrameError, Full};
pub use frame::{Frame, FrameType, HEADER};
pub use interest::Interest;
pub use limits::Limits;
pub use notify::{Notify, NotifyCode};
pub use open::{Capabilities, Open};
pub use path::Path;
pub use refresh::Refresh;
pub use seqno::{Seqno, Seqnos};
pub use small::{Keepalive, Refused};
pub use trust::{Revocations, Revoked, Trust};
pub use update::{Announced, Overtaken, RouteEntry, Update, UpdateWriter, Withdrawn};

#[cfg(test)]
#[macro_use]
extern crate std;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
mod tests;
