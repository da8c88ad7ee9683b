//! Nodes under load with faults, for as long as one likes: memory does not grow, no descriptor is left open.
//!
//! `cargo xtask soak [--seconds N]` runs it. Two cloud nodes and an edge that dials both; one cloud node is killed
//! and started again all the time, clients reset their connections, stand still and send garbage, services come
//! and go. The other two nodes are watched: after a warm-up memory is fitted by a line, and at the end, at rest,
//! they have the descriptors open that they had after the warm-up.

#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod load;
mod memory;
mod scenario;
