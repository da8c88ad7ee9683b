//! What phase 2 wants neighbours to hear.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use catalyst_route_table::{RouteKey, Sym};

use crate::export::info::{GroupId, GroupInfo};

/// One wish about one key of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The group.
    pub group: GroupId,
    /// The key.
    pub key: RouteKey,
    /// The neighbour whose route it is, and the encoded announcement; nothing to withdraw.
    pub announce: Option<(Sym, Box<[u8]>)>,
}

/// The wishes so far, and the groups there are. A later wish for the same key of the same group wins.
#[derive(Debug)]
pub struct Marks<'a> {
    groups: &'a [GroupInfo],
    pub(crate) list: Vec<Mark>,
    pub(crate) matched: Vec<u16>,
}

impl<'a> Marks<'a> {
    /// No wishes yet.
    #[must_use]
    pub fn new(groups: &'a [GroupInfo]) -> Self {
        Marks { groups, list: Vec::new(), matched: Vec::new() }
    }

    /// The groups that have at least one established session.
    #[must_use]
    pub fn groups(&self) -> &'a [GroupInfo] {
        self.groups
    }

    /// The group shall hear `element` of `key`, which is a route of `source`.
    pub fn announce(&mut self, group: GroupId, key: RouteKey, source: Sym, element: &[u8]) {
        self.list.push(Mark { group, key, announce: Some((source, Box::from(element))) });
    }

    /// The group shall no longer hear of `key`. Costs nothing if it never did.
    pub fn withdraw(&mut self, group: GroupId, key: RouteKey) {
        self.list.push(Mark { group, key, announce: None });
    }

    /// Counts a decision of the export rule at this place.
    pub fn matched(&mut self, rule: u16) {
        self.matched.push(rule);
    }

    /// The rules that have decided, and the wishes that count: of several for one key of one group, the last. The others must not even pass by, or
    /// a service that a plugin holds back would be granted for a moment.
    pub(crate) fn settle(self) -> (Vec<u16>, Vec<Mark>) {
        let mut list = self.list;
        // As they mostly come: in order, one for each.
        if list.is_sorted_by(|a, b| (a.key, a.group) < (b.key, b.group)) {
            return (self.matched, list);
        }
        let mut last = BTreeMap::new();
        for (at, mark) in list.iter().enumerate() {
            last.insert((mark.group, mark.key), at);
        }
        if last.len() < list.len() {
            let mut at = 0;
            list.retain(|mark| {
                let keep = last.get(&(mark.group, mark.key)) == Some(&at);
                at += 1;
                keep
            });
        }
        (self.matched, list)
    }
}
