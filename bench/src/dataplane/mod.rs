//! The suite `dataplane`: what a cloud node does to Envoy, and what Envoy then costs, beside the plainest programs that do
//! the same.
//!
//! `node`, `real` and `envoy` start what is measured, `web` is the service and its client, `bare` and `by_hand` are what stands
//! beside; each other file is a scenario.

mod bare;
mod by_hand;
mod change;
mod churn;
mod envoy;
mod kill;
mod loaded;
mod node;
mod pair;
mod real;
mod scale;
mod web;
mod wrk;

pub use change::run as change;
pub use churn::run as churn;
pub use kill::run as kill;
pub use loaded::run as loaded;
pub use pair::run as pair;
pub use scale::{SERVER, run as scale, server};

use anyhow::Result;
use tokio::runtime::Runtime;

/// For the delta servers of a scenario.
fn runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}
