//! Export groups: peers with the same export policy share one post-policy table and one journal.
//!
//! A peer is a cursor into the journal. When it can take bytes, the newest state of the keys after its cursor is
//! sent. A slow peer therefore costs a cursor, bursts coalesce, and one stuck peer delays no other.

#[cfg(feature = "transit")]
mod crowd;
mod entry;
mod group;
mod groups;
mod info;
mod interest;
mod marks;
mod refresh;
mod selected;
mod selective;
mod sums;
mod told;
mod walk;

pub(crate) use entry::{Fill, parts};
pub use group::GroupKind;
pub use groups::Groups;
pub use info::{GroupId, GroupInfo};
pub use interest::Asked;
pub(crate) use interest::{Interest, is_all};
pub use marks::{Mark, Marks};
