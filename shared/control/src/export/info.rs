//! What plugins may know of the export groups.

use catalyst_route_table::Sym;

use crate::export::group::GroupKind;

/// Names a group while it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupId(u32);

impl GroupId {
    pub(crate) fn new(number: u32) -> Self {
        GroupId(number)
    }
}

/// What a plugin may know of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupInfo {
    /// The group.
    pub id: GroupId,
    /// What its peers have in common.
    pub kind: GroupKind,
    /// The only peer in it, if there is only one: its own routes need not be announced to anyone.
    pub sole_member: Option<Sym>,
}
