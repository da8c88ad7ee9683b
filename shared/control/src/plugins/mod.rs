//! The plugins that every node runs.

mod forward;
mod import;
mod propagate;

pub use forward::LocalServices;
pub(crate) use forward::check_service;
pub use import::Routes;
pub(crate) use import::{Verdict, judge};
pub use propagate::Propagate;
