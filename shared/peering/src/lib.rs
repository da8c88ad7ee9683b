//! The peering session as a small state machine.
//!
//! One [`Session`] is one control connection. It is fed frames and the time, and answers what they mean; it owns
//! no socket, no clock and no route. Its states are small types of their own:
//!
//! ```text
//!   start ── our OPEN goes out ──> OpenSent ── their OPEN fits ──> Established ──> ended
//!                                     │ open timer, misfit             │ hold timer, NOTIFY, bad frame
//!                                     └────────────────────────────────┴──> ended, with a Failure to NOTIFY
//! ```
//!
//! Which of two connections between the same two nodes stays is decided by [`resolve`].
#![no_std]

#[macro_use]
mod mutant;

mod clones;
mod collision;
mod established;
mod failure;
mod limits;
mod open_sent;
mod session;
mod terms;

pub use clones::{CloneVerdict, CloneWatch};
pub use collision::{Contender, Keep, resolve};
pub use established::Established;
pub use failure::{Between, Failure};
pub use limits::Limits;
pub use open_sent::{Agreed, OpenSent};
pub use session::{Input, Phase, Session};
pub use terms::{Millis, Terms};

#[cfg(test)]
extern crate std;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;
