//! Envoy, the program: found, given its bootstrap, kept running, asked how it is. What it is told by xDS is another
//! crate's.
//!
//! | file | subject |
//! |---|---|
//! | `pinned` | the version that is tested, and where it comes from |
//! | `find` | which program is run, and whether it will do |
//! | `bootstrap` | what it knows before the node tells it anything |
//! | `place` | the files and sockets that Envoy and node share |
//! | `limits` | capacities and times |
#![forbid(unsafe_code)]

mod bootstrap;
mod error;
mod limits;
mod pinned;
mod place;

pub use bootstrap::{BootstrapSpec, bootstrap, print_bootstrap, write_bootstrap};
pub use error::EnvoyError;
pub use limits::Limits;
pub use pinned::{Pinned, pinned};
pub use place::Place;
