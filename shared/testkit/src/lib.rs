//! A simulated network of cores, with faults, checked against the oracle.
//!
//! [`generate`] makes a [`Plan`] of a seed: nodes, links, services, rules, and what goes wrong when.
//! [`run`] lets it happen, waits until the network has come to rest, and compares every node with
//! [`catalyst_oracle`]. The same seed gives the same run, event for event, on every machine:
//!
//! ```text
//! cargo xtask sim --seed 4711
//! ```
//!
//! [`Net`] can also be driven by hand, as the scenario tests do. [`Clock`] and [`Rng`] are of use on their own, and so
//! is [`relay`], the bad line between real programs.

mod ahead;
pub mod any;
mod apply;
mod campaign;
mod check;
mod circles;
mod clock;
mod conn;
mod dial;
mod expect;
mod fault;
mod feed;
mod flows;
mod forge;
mod gaps;
mod generate;
mod heal;
mod held;
mod hierarchy;
mod judging;
mod leaving;
mod lies;
mod link;
mod local;
mod mutant;
mod net;
mod node;
mod numbers;
mod overtaken;
mod pauses;
mod pieces;
mod plan;
mod quiet;
pub mod relay;
mod rng;
mod row;
mod run;
mod script;
mod seen;
mod shadow;
mod shadows;
mod shape;
mod sum;
mod told_at_once;
mod traffic;
mod watch;
mod withheld;

pub use campaign::{Campaign, Outcome, failed_once, found_before, one};
pub use clock::Clock;
pub use fault::{Exit, Fault, Lie, Noticed};
pub use generate::{generate, generate_as};
pub use link::{LinkPlan, Side};
pub use mutant::Chosen;
#[cfg(feature = "mutants")]
pub use mutant::{ALL as MUTANTS, Mutant};
pub use net::{Net, Observer, Stats};
pub use node::Node;
pub use plan::{NodePlan, Plan};
pub use rng::Rng;
pub use run::{Failure, run, run_observed, run_twice};
pub use seen::{AdjRibOut, Name, See, Seen, SeenPeer, SeenRoute};
pub use shape::{SHAPES, Shape};
