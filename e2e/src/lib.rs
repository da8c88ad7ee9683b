//! Scenarios with real processes, and what they are made with.
//!
//! A scenario builds a [`Fabric`] (a folder, organisations, nodes with their configurations), starts the real
//! programs, and asserts what the *receiver* ended up with: the tables that a node shows on its admin socket, the
//! bytes that a client read. It waits on states with a deadline ([`wait`]), never for a time to pass.
//!
//! ```text
//! CATALYST_BIN=target/ci/catalyst CATALYST_EDGE_BIN=target/ci/catalyst-edge cargo test -p catalyst-e2e
//! ```
//!
//! | file | subject |
//! |---|---|
//! | `fabric` | the folder, the loopback address, organisations and agreements |
//! | `make` | making a node by the real commands |
//! | `node` | one node: its configuration and its process |
//! | `ask` | questions to a node, and waiting for the right answer |
//! | `envoy` | what is seen of a node's Envoy and done to it |
//! | `process` | a child with its log; it never outlives the test |
//! | `admin` | the client of the admin socket |
//! | `disk` | a small disk, to be filled |
//! | `clock` | a wall clock that jumps |
//! | `wait` | waiting on a state, with a report when it does not come |
//! | `lab` | the test itself in a network namespace, with machines beside it |
//! | `world` | machines that are network namespaces |
//! | `http`, `h2`, `tcp`, `udp` | services and clients in this process |

// The harness is test code: a panic is how it reports.
#![allow(clippy::unwrap_used, clippy::expect_used)]

pub mod admin;
mod ask;
pub mod clock;
pub mod disk;
mod envoy;
pub mod fabric;
pub mod h2;
pub mod http;
pub mod lab;
mod make;
pub mod node;
pub mod process;
pub mod tcp;
pub mod udp;
pub mod wait;
pub mod world;

pub use disk::SmallDisk;
pub use fabric::{Build, Fabric, Org};
pub use node::Node;
