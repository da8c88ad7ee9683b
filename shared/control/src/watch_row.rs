//! What a watcher hears: rows, and where they wait to be taken.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::limits::Limits;
use crate::rows::RouteRow;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct WatchRow {
    /// When, in milliseconds since 1970; the shell fills it in.
    #[serde(default)]
    pub at: u64,
    /// What happened to the route of one neighbour: `new`, `changed`, `gone`, `usable`, `unusable`, `stale`, `fresh`,
    /// `flapping`, `steady`, `draining`, `staying`. To the best way to an origin: `best`, `unreachable`. Of the watch
    /// itself: `route` (one that is there), `synced` (those were all), `missed`, `end`.
    pub what: String,
    /// The service's full name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub service: String,
    /// The origin id.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub origin: String,
    /// The neighbour, or this node: the way of which the row speaks.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub via: String,
    /// Why, or what of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// With `synced`: routes that are there. With `missed`: rows that found no room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// With `route`, `new` and `changed`: the route, as `route ls` shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<Box<RouteRow>>,
}

impl WatchRow {
    /// A row about the watch itself.
    #[must_use]
    pub fn of_watch(what: &str, why: &str, count: Option<u64>) -> Self {
        WatchRow {
            at: 0,
            what: what.to_string(),
            service: String::new(),
            origin: String::new(),
            via: String::new(),
            why: why.to_string(),
            count,
            route: None,
        }
    }

    /// A row about a route that is there.
    #[must_use]
    pub fn of_route(row: RouteRow) -> Self {
        let word = |on: bool, word| if on { word } else { "" };
        let marks = [row.stale.as_str(), word(row.flapping, "flapping"), word(row.draining, "draining")];
        let marks: Vec<&str> = marks.into_iter().filter(|mark| !mark.is_empty()).collect();
        let why = [&[row.standing.as_str()], marks.as_slice()].concat().join(", ");
        WatchRow {
            service: row.service.clone(),
            origin: row.origin.clone(),
            via: row.via.clone(),
            route: Some(Box::new(row)),
            ..WatchRow::of_watch("route", &why, None)
        }
    }
}

/// Rows that nobody has taken yet.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    pub(crate) rows: Vec<WatchRow>,
    pub(crate) missed: u64,
    /// Why routes change now.
    pub(crate) cause: &'static str,
}

impl Observed {
    pub(crate) fn push(&mut self, row: WatchRow) {
        if self.rows.len() < Limits::OBSERVED {
            self.rows.push(row);
        } else {
            self.missed += 1;
        }
    }
}
