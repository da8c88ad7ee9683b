//! How far the refresh of one cursor is.

use catalyst_route_table::RouteKey;

/// A walk over the keys of a group.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Walk {
    /// BEGIN has been said.
    pub(super) begun: bool,
    pub(super) after: Option<RouteKey>,
    /// The journal had the last frame: now it is the walk's turn, so that a busy journal cannot put the end off.
    pub(super) turn: bool,
}
