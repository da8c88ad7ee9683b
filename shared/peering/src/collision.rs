//! Two control connections between the same two nodes: which one stays.

use catalyst_names::NodeName;

/// One of the two connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contender {
    /// We dialled it, not they.
    pub dialled_by_us: bool,
    /// The other side's run, from its OPEN.
    pub incarnation: u64,
}

/// Which one stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The one that was there.
    Old,
    /// The one that came.
    New,
}

/// Decides between a running connection and one whose OPEN just came.
///
/// Another run of the peer means that the old connection is dead: the new one stays. In the same direction the
/// newer stays, for its dialler has given up the older. In opposite directions the dial of the lower name stays,
/// so that both sides decide alike.
#[must_use]
pub fn resolve(own: &NodeName, peer: &NodeName, old: Contender, new: Contender) -> Keep {
    if old.incarnation != new.incarnation || old.dialled_by_us == new.dialled_by_us {
        return Keep::New;
    }
    let lower_is_us = own < peer;
    if new.dialled_by_us == lower_is_us { Keep::New } else { Keep::Old }
}
