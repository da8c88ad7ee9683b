//! An independent solver: which routes a network must hold once it has come to rest.
//!
//! It is given a [`World`]: nodes with their services and rules, and the sessions between them. It answers with
//! one [`Table`] a node: what stands in Adj-RIB-In, which neighbour wins each key, by which paths, and in which
//! order a service ranks its origins.
//!
//! It passes no messages and shares no code with the nodes: routes are settled best first over the whole
//! network, as Dijkstra's algorithm settles distances, and the rules are read anew in [`rules`]. So a
//! disagreement with a simulated network means that one of the two is wrong.
//!
//! Not in it: limits that refuse routes, whose outcome depends on what came first.

mod border;
pub mod choice;
mod neighbours;
pub mod rules;
mod settle;
mod solve;
mod table;
mod world;

pub use border::Opaque;
pub use solve::solve;
pub use table::{Candidate, Held, Key, Marks, Rank, Table};
pub use world::{Link, Node, Service, World};

#[cfg(test)]
mod tests;
