//! Which routes each node must hold for overtaken, and for how long.

use std::collections::BTreeMap;

use catalyst_wire::Update;

use crate::net::Net;
use crate::numbers::{HELD_DOWN, Newest, said, said_before};
use crate::row::Row;
use crate::seen::Name;
use crate::shadow::{Pair, Shadow, Shadows};

/// The rows of one key at a node, but for one neighbour's.
fn others<'a>(
    all: &'a mut BTreeMap<Pair, Shadow>,
    pair: Pair,
    name: &'a Name,
) -> impl Iterator<Item = (Pair, &'a mut Row)> {
    let of_node = all.range_mut((pair.0, 0)..=(pair.0, usize::MAX)).filter(move |(other, _)| **other != pair);
    of_node.filter_map(|(other, shadow)| Some((*other, shadow.rows.get_mut(name)?)))
}

/// What went of one key at a node and may not be gone, but for one neighbour's.
fn leaving<'a>(
    all: &'a mut BTreeMap<Pair, Shadow>,
    pair: Pair,
    name: &'a Name,
) -> impl Iterator<Item = &'a mut Row> {
    let of_node = all.range_mut((pair.0, 0)..=(pair.0, usize::MAX)).filter(move |(other, _)| **other != pair);
    of_node.filter_map(|(_, shadow)| shadow.leaving.get_mut(name))
}

impl Shadows {
    /// What nodes said of a key before this is overtaken at this node.
    pub(crate) fn news(&mut self, node: usize, own: &str, update: &Update<'_>, now: u64) {
        for news in update.overtaken().filter(|news| news.node != own) {
            let name = (news.service.to_owned(), news.origin.to_owned());
            let mut this = Newest::default();
            this.learn(&news, now);
            for (pair, row) in others(&mut self.all, (node, node), &name) {
                if this.voids(&row.attrs, now)
                    && let Some(until) = row.overtake(now)
                {
                    self.held.insert((node, until, pair.1, name.clone()));
                }
            }
            for row in leaving(&mut self.all, (node, node), &name) {
                if this.voids(&row.attrs, now) {
                    row.overtake(now);
                }
            }
            self.words.entry((node, name)).or_default().learn(&news, now);
        }
    }

    /// A route that came anew overtakes others of its key at this node, or is overtaken by them.
    pub(crate) fn compare_words(&mut self, pair: Pair, name: &Name, now: u64) {
        let new = self.all.get(&pair).and_then(|s| s.rows.get(name)).map(|row| row.attrs.clone());
        let Some(new) = new else { return };
        let mut late = self.words.get(&(pair.0, name.clone())).is_some_and(|told| told.voids(&new, now));
        for (other, row) in others(&mut self.all, pair, name) {
            late |= said_before(&new, &row.attrs);
            if said_before(&row.attrs, &new)
                && let Some(until) = row.overtake(now)
            {
                self.held.insert((pair.0, until, other.1, name.clone()));
            }
        }
        let mut perhaps = false;
        for row in leaving(&mut self.all, pair, name) {
            perhaps |= said_before(&new, &row.attrs);
            if said_before(&row.attrs, &new) {
                row.overtake(now);
            }
        }
        let row = self.all.get_mut(&pair).and_then(|s| s.rows.get_mut(name));
        if let Some(row) = row.filter(|_| perhaps && !late)
            && row.overtaken.is_none()
        {
            row.doubted = Some(now + HELD_DOWN);
        }
        let row = self.all.get_mut(&pair).and_then(|s| s.rows.get_mut(name)).filter(|_| late);
        if let Some(until) = row.and_then(|row| row.overtake(now)) {
            self.held.insert((pair.0, until, pair.1, name.clone()));
        }
    }

    /// The next row of a node that is looked at again, and when. Those that went meanwhile, or were told anew, are none.
    pub(crate) fn next_held(&mut self, node: usize) -> Option<(u64, Pair, Name)> {
        loop {
            let none = (String::new(), String::new());
            let first = self.held.range((node, 0, 0, none)..).next().filter(|(of, ..)| *of == node)?;
            let (_, until, peer, name) = first.clone();
            let row = self.all.get(&(node, peer)).and_then(|shadow| shadow.rows.get(&name));
            if row.is_some_and(|row| row.overtaken == Some(until)) {
                return Some((until, (node, peer), name));
            }
            self.held.remove(&(node, until, peer, name));
        }
    }

    /// The time of overtaken rows has come: they count again, unless another that is not overtaken, and did not come back
    /// here, has a newer word.
    pub(crate) fn look_again(&mut self, node: usize, own: &str, now: u64) {
        let mut due = Vec::new();
        while let Some((until, pair, name)) = self.next_held(node).filter(|(until, ..)| *until <= now) {
            self.held.remove(&(node, until, pair.1, name.clone()));
            due.push((pair, name));
        }
        let mut seen = Vec::new();
        for (pair, name) in due {
            let Some(attrs) = self.all.get(&pair).and_then(|s| s.rows.get(&name)).map(|r| r.attrs.clone())
            else {
                continue;
            };
            let newer = |row: &Row| {
                let came_back = said(&row.attrs).iter().any(|(node, ..)| node == own);
                row.overtaken.is_none() && !came_back && said_before(&attrs, &row.attrs)
            };
            let bound =
                others(&mut self.all, pair, &name).any(|(_, row)| newer(row) && row.doubted.is_none());
            let perhaps = others(&mut self.all, pair, &name).any(|(_, row)| newer(row))
                || leaving(&mut self.all, pair, &name).any(|row| newer(row));
            seen.push((pair, name, bound, perhaps));
        }
        for (pair, name, bound, perhaps) in seen {
            let Some(row) = self.all.get_mut(&pair).and_then(|s| s.rows.get_mut(&name)) else { continue };
            row.overtaken = bound.then_some(now + HELD_DOWN);
            row.doubted = (perhaps && !bound).then_some(now + HELD_DOWN);
            if bound {
                self.held.insert((node, now + HELD_DOWN, pair.1, name));
            }
            self.due.insert(pair);
        }
    }
}

impl Net {
    /// When the next overtaken route is looked at again, or news is forgotten, and the last.
    pub(crate) fn held_until(&self) -> Option<(u64, u64)> {
        let rows = self.shadows.all.values().flat_map(|shadow| shadow.rows.values());
        let held = rows.flat_map(|row| row.overtaken.into_iter().chain(row.doubted));
        let told = self.shadows.words.values().map(Newest::until);
        let all: Vec<u64> = held.chain(told).filter(|at| *at > self.now()).collect();
        Some((*all.iter().min()?, *all.iter().max()?))
    }
}
