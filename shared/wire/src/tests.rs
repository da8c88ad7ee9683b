//! The tests of this crate, one subject a file.

mod attrs;
mod docs;
mod frames;
mod fuzzing;
mod golden;
mod kit;
mod limits;
mod model;
mod primitives;
mod update;
mod vectors;
