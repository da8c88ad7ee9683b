//! The tests of this crate, one subject a file.

mod best_path;
mod capacity;
mod model;
mod names;
mod order;
mod reference;
