//! A list of all routes on its way to the engine and back: in pieces, while sessions go on. The table may change meanwhile: a
//! route that comes or goes is in the list or is not, as its turn finds it.

use catalyst_control::view::{RouteRow, sort};
use catalyst_route_table::{RouteKey, Sym};

/// The rows so far, and the place behind which it goes on.
#[derive(Default)]
pub(crate) struct Listing {
    pub(crate) rows: Vec<RouteRow>,
    pub(crate) after: Option<(Sym, RouteKey)>,
}

impl Listing {
    /// All of it, in order. Not work for the engine.
    pub(crate) fn rows(mut self, remembered: Vec<RouteRow>) -> Vec<RouteRow> {
        sort(&mut self.rows);
        self.rows.extend(remembered);
        self.rows
    }
}
