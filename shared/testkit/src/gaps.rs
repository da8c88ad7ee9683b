//! UPDATEs that came and were lost inside their receiver: digests find the difference, and a refresh heals it.

use std::collections::{BTreeMap, BTreeSet};

use crate::shadow::Pair;

/// An UPDATE that was lost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gap {
    pub(crate) link: usize,
    /// The side that sent it.
    pub(crate) from: usize,
    pub(crate) session: u64,
    pub(crate) since: u64,
    /// A refresh has begun since.
    pub(crate) begun: bool,
}

/// What was lost, and what was asked for because of it.
#[derive(Debug, Default)]
pub(crate) struct Gaps {
    pub(crate) open: Vec<Gap>,
    /// Whoever asks for a refresh of whom, and when it did so last.
    pub(crate) asked: BTreeMap<Pair, u64>,
    /// Those who have reason to.
    pub(crate) blamed: BTreeSet<Pair>,
    /// How many gaps were healed by a refresh.
    pub(crate) healed: u64,
}

impl Gaps {
    /// A node is gone, and with it what it knew.
    pub(crate) fn forget(&mut self, node: usize) {
        self.asked.retain(|(asker, _), _| *asker != node);
        self.blamed.retain(|(asker, _)| *asker != node);
    }
}
