//! Two nodes that may reach each other, and how each has configured the other.

use catalyst_control::PeerConfig;
use catalyst_names::NodeName;
use catalyst_policy::Agreement;

/// One side of a link: how a node has configured its neighbour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    /// The agreement it holds.
    pub agreement: Option<Agreement>,
    /// The hold time it offers, in milliseconds; 0 is off.
    pub hold_ms: u32,
}

impl Side {
    /// The configuration of this neighbour, which is asked to keep this node's routes for so long.
    #[must_use]
    pub fn config(&self, name: &NodeName, restart_ms: u32) -> PeerConfig {
        PeerConfig {
            name: name.clone(),
            agreement: self.agreement.clone(),
            hold_ms: self.hold_ms,
            restart_ms,
        }
    }
}

/// Two nodes that may reach each other.
#[derive(Clone, Debug)]
pub struct LinkPlan {
    /// Places of the two nodes.
    pub ends: [usize; 2],
    /// How each has configured the other; nothing if it has not.
    pub sides: [Option<Side>; 2],
    /// Which of them dial.
    pub dials: [bool; 2],
    /// The shortest and the longest delay of a frame, in milliseconds.
    pub delay: (u64, u64),
    /// Bytes that may be on their way in each direction.
    pub window: usize,
}

impl LinkPlan {
    /// A quick link inside one organisation, dialled by the first node.
    #[must_use]
    pub fn new(ends: [usize; 2]) -> Self {
        let side = Some(Side { agreement: None, hold_ms: 3_000 });
        LinkPlan { ends, sides: [side.clone(), side], dials: [true, false], delay: (1, 3), window: 65_536 }
    }
}
