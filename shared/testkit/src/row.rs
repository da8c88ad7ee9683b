//! One route of a neighbour, as its shadow has it.

use crate::numbers::HELD_DOWN;

/// Whether a route may be used, as far as its session and its data path go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Usable {
    /// As the rules have it.
    Yes,
    /// Its data path is gone.
    No,
    /// The session is back, and has not said yet whether the route is.
    Either,
}

/// One route of the neighbour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// Its attributes as they came.
    pub(crate) attrs: Vec<u8>,
    /// Which telling of the table it is of.
    pub(crate) telling: u32,
    /// Kept for longer than the restart time.
    pub(crate) stale: bool,
    pub(crate) usable: Usable,
    /// It has changed too often.
    pub(crate) flapping: bool,
    /// A node was heard to have said something newer of it; until when it is not looked at again.
    pub(crate) overtaken: Option<u64>,
    /// It is not known whether it is overtaken, because that depends on a row that was on its way out; until when it may be at
    /// the latest, if it is not bound again.
    pub(crate) doubted: Option<u64>,
}

impl Row {
    /// It is overtaken from now on, if it was not before. Until when.
    pub(crate) fn overtake(&mut self, now: u64) -> Option<u64> {
        if self.overtaken.is_some() || self.doubted.is_some() {
            return None;
        }
        self.overtaken = Some(now + HELD_DOWN);
        self.overtaken
    }
}
