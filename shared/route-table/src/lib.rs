//! Adj-RIB-In, Loc-RIB and best path over a fixed or a heap store.
//!
//! [`RouteTable`] keeps every route that every neighbour announced (Adj-RIB-In), decides the best one for each
//! key (Loc-RIB) and keeps the next best ready. It is the same code over two stores: [`Heap`] grows to a limit
//! given at run time, [`Fixed`] has all its memory from the start. A store that is full refuses what is new and
//! keeps what it has.
//!
//! Names are interned: a [`Sym`] is a small number that stands for a service, an origin or a neighbour.
//! Best path is a pure and total order of the candidates (see [`rank`]), so the result does not depend on the
//! order of arrival.
#![no_std]

extern crate alloc;

#[macro_use]
mod mutant;

mod arena;
mod error;
mod fixed;
mod heap;
mod interner;
mod key;
mod limits;
mod overtaken;
pub mod rank;
mod store;
mod table;
mod texts;

pub use catalyst_dense::DenseMap;
pub use error::Refusal;
pub use fixed::Fixed;
pub use heap::Heap;
pub use key::{RouteKey, Slot, Sym};
pub use limits::Limits;
pub use rank::Rank;
pub use store::{Best, Route, Store};
pub use table::{Change, Outcome, RouteTable};

#[cfg(test)]
extern crate std;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;
