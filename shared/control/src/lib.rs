//! The core: events in, effects out.
//!
//! [`Core`] is a value that a shell feeds and drains; it does no I/O, reads no clock and waits for nobody.
//!
//! ```text
//!   Event ─> phase 1: plugins read &State, write a Delta ─> commit: Changes { key, old_best, new_best }
//!         ─> phase 2: plugins read &State and Changes ─> marks on the export groups, effects
//!   drained by the shell: poll_effect(), poll_transmit(), next_deadline()
//! ```
//!
//! A peer is a cursor into the journal of its export group, so a slow peer delays nobody and bursts coalesce.
//! Every [`Event`] can be serialised; a recording of them replays to the same [`Core::digest`].
//!
//! To add behaviour without editing this crate, implement one of the traits in [`plugin`].
#![no_std]

extern crate alloc;

#[macro_use]
mod mutant;

mod aged;
mod ageing;
mod changes;
mod commit;
mod compare;
mod compared;
mod config;
mod core;
mod delta;
mod digest;
mod drain;
mod effect;
mod event;
pub mod explain;
pub mod export;
mod flap;
mod flapping;
mod holddown;
mod interest;
mod learning;
mod limits;
mod link;
mod news;
mod now;
#[cfg(feature = "watch")]
pub mod observe;
#[cfg(feature = "transit")]
mod pause;
#[cfg(feature = "transit")]
mod pausing;
#[cfg(not(feature = "transit"))]
#[path = "no_pausing.rs"]
mod pausing;
pub mod plan;
pub mod plugin;
pub mod plugins;
pub mod record;
mod refusals;
mod rows;
mod sessions;
mod stale;
mod state;
mod sum;
mod taking_back;
mod telling;
mod transmit;
pub mod view;
pub mod visibility;
mod walk;
mod walks;
#[cfg(feature = "watch")]
mod watch_row;
#[cfg(feature = "transit")]
mod withheld;
#[cfg(feature = "transit")]
mod withholding;
mod words;

pub use crate::core::{Core, LOST};
pub use changes::Changes;
pub use compared::Compared;
pub use config::{LocalService, PeerConfig, Settings};
pub use delta::{Conflict, Count, Delta, Write};
pub use effect::{Effect, Endpoint, Forward, NextHop, Notice};
pub use event::{Event, SessionId};
pub use flap::Flap;
pub use limits::Limits;
pub use now::Now;
pub use stale::{Phase, Stale};
pub use state::{Counters, Peer, State};

#[cfg(test)]
extern crate std;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;
