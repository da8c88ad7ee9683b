//! The tests of this crate, one subject a file. Plugins of users are tested from outside, in `tests/`.

mod attributes;
mod conflicts;
mod cost;
#[cfg(feature = "transit")]
mod crowd;
mod digests;
mod drain;
mod explain;
mod export;
mod flap;
mod grants;
mod interest;
mod kit;
mod limits;
#[cfg(feature = "watch")]
mod observe;
#[cfg(all(feature = "transit", feature = "watch"))]
mod overtaken;
#[cfg(feature = "transit")]
mod pause;
mod peers;
mod plan;
mod policy;
mod random;
mod recording;
mod refusals;
mod routes;
mod stale;
mod transit;
mod transmit;
mod trust;
mod two_cores;
mod visibility;
#[cfg(feature = "transit")]
mod walks;
#[cfg(feature = "transit")]
mod withheld;
#[cfg(feature = "transit")]
mod words;
