//! Scenarios with real processes, one file a subject.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod data;
mod loss;
mod organisations;
