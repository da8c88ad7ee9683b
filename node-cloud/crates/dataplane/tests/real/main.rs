//! What a planner says, carried out by real Envoys: requests and connections that go through them.

#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod failures;
mod lab;
mod paths;
mod peers;
