//! No pause before better news: a node that passes nothing on has nobody to spare it to (ADR 0039).

use alloc::vec::Vec;

use catalyst_route_table::{Rank, RouteKey, Store, Sym};

use crate::changes::Changes;
use crate::core::Core;
use crate::export::Mark;
use crate::now::Now;
use crate::state::State;
use crate::telling::Telling;

impl<S: Store> State<S> {
    pub(crate) fn speaks(&mut self, _: RouteKey, _: Sym, _: Option<(Rank, Option<&[u8]>)>) {}

    pub(crate) fn overtook(&mut self, _: RouteKey) {}

    pub(crate) fn falls_silent(&mut self, _: RouteKey, _: Sym) {}

    pub(crate) fn shaken(&mut self, _: &mut Changes) {}
}

impl<S: Store> Core<S> {
    pub(crate) fn put_off(&mut self, _: &[Mark]) -> Telling {
        Telling::default()
    }

    pub(crate) fn withhold(&mut self, _: &mut Vec<Mark>, _: &Changes) {}

    pub(crate) fn were_told(&mut self, _: &Changes, _: &Telling) {}

    pub(crate) fn forget_told(&mut self) {}

    pub(crate) fn tick_pauses(&mut self, _: Now) {}

    pub(crate) fn end_pauses(&mut self) {}

    pub(crate) fn tick_withheld(&mut self, _: Now) {}

    pub(crate) fn end_withholding(&mut self) {}

    pub(crate) fn withheld_due(&self) -> Option<u64> {
        None
    }

    pub(crate) fn pause_due(&self) -> Option<u64> {
        None
    }

    /// Keys of which neighbours will hear of a better way: none here.
    pub fn paused(&self) -> impl Iterator<Item = RouteKey> {
        core::iter::empty()
    }
}
