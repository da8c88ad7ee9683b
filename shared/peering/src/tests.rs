//! The tests of this crate, one subject a file.

mod clones;
mod collision;
mod frames;
mod kit;
mod messages;
mod open;
mod timers;
