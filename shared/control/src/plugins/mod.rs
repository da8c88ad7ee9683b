//! The plugins that every node runs.

mod forward;
mod import;
mod overlay;
mod propagate;

pub use forward::LocalServices;
pub(crate) use forward::check_service;
pub use import::Routes;
pub(crate) use import::{Verdict, judge, judge_by};
pub(crate) use overlay::{facts, imported, imported_by};
pub use propagate::Propagate;
pub(crate) use propagate::{Kept, element};
