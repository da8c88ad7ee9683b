//! A list of all routes on its way to the engine and back: in pieces, while sessions go on. The table may change meanwhile: a
//! route that comes or goes is in the list or is not, as its turn finds it.

use std::time::Instant;

use catalyst_control::view::{RouteRow, sort};
use catalyst_route_table::{RouteKey, Store, Sym};

use crate::engine::Engine;
use crate::limits::Limits;

/// The rows so far, and the place behind which it goes on.
#[derive(Default)]
pub(crate) struct Listing {
    rows: Vec<RouteRow>,
    after: Option<(Sym, RouteKey)>,
}

impl Listing {
    /// All of it, in order. Not work for the engine.
    pub(crate) fn rows(mut self, remembered: Vec<RouteRow>) -> Vec<RouteRow> {
        sort(&mut self.rows);
        self.rows.extend(remembered);
        self.rows
    }
}

impl<S: Store> Engine<S> {
    /// Goes on with a list for a while; whether it is complete.
    pub(crate) fn list_on(&self, this: &mut Listing) -> bool {
        let until = Instant::now() + Limits::PLANNING;
        loop {
            let (rows, next) = self.core.state().routes_behind(this.after, Limits::LISTED, |_| true);
            this.rows.extend(rows);
            this.after = next;
            if next.is_none() {
                return true;
            }
            if Instant::now() >= until {
                return false;
            }
        }
    }
}
