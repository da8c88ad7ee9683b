//! The table as a child would write it: every question is answered by looking at everything.

use std::collections::BTreeMap;
use std::string::{String, ToString};
use std::vec::Vec;

use catalyst_names::Protocol;

use crate::{Rank, Refusal};

/// What a store may hold. `bytes` are those of all names together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Capacity {
    pub(super) routes: usize,
    pub(super) names: usize,
    pub(super) bytes: usize,
    pub(super) attrs: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) rank: Rank,
    pub(super) protocol: Protocol,
    pub(super) weight: u16,
    pub(super) attrs: Vec<u8>,
}

/// Service and origin.
pub(super) type Key = (String, String);

/// The best and the next best neighbour of a key.
pub(super) type Bests = Option<(String, Option<String>)>;

/// A neighbour with its route.
type Seen = Option<(String, Content)>;

/// What an operation should have answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) old_len: Option<usize>,
    /// Whether there is a change, and whether it is one of the best.
    pub(super) change: Option<bool>,
}

#[derive(Clone, Debug)]
pub(super) struct Reference {
    pub(super) capacity: Capacity,
    pub(super) routes: BTreeMap<(Key, String), Content>,
    /// References of each name; those without any stay until they are collected.
    pub(super) names: BTreeMap<String, usize>,
}

/// DESIGN section 5, word for word, as a sort key: the smallest is the best.
fn order(content: &Content, neighbour: &str) -> impl Ord + use<> {
    let rank = &content.rank;
    (
        (!rank.eligible, (rank.stale, rank.flapping), u64::from(u32::MAX) - u64::from(rank.local_pref)),
        (!rank.local, rank.org_len, rank.cost, rank.node_len),
        neighbour.to_string(),
    )
}

impl Reference {
    pub(super) fn new(capacity: Capacity) -> Self {
        Reference { capacity, routes: BTreeMap::new(), names: BTreeMap::new() }
    }

    pub(super) fn intern(&mut self, text: &str) -> Result<(), Refusal> {
        if let Some(refs) = self.names.get_mut(text) {
            *refs += 1;
            return Ok(());
        }
        let bytes: usize = self.names.keys().map(String::len).sum();
        if self.names.len() >= self.capacity.names || bytes + text.len() > self.capacity.bytes {
            return Err(Refusal::Names);
        }
        self.names.insert(text.to_string(), 1);
        Ok(())
    }

    pub(super) fn release(&mut self, text: &str) {
        *self.names.get_mut(text).unwrap() -= 1;
    }

    pub(super) fn retain_key(&mut self, key: &Key) {
        *self.names.get_mut(&key.0).unwrap() += 1;
        *self.names.get_mut(&key.1).unwrap() += 1;
    }

    pub(super) fn release_key(&mut self, key: &Key) {
        self.release(&key.0);
        self.release(&key.1);
    }

    pub(super) fn collect(&mut self) {
        self.names.retain(|_, refs| *refs > 0);
    }

    /// All candidates of a key, best first, ineligible ones too.
    pub(super) fn candidates(&self, key: &Key) -> Vec<(String, Content)> {
        let mut all: Vec<_> = self
            .routes
            .iter()
            .filter(|((k, _), _)| k == key)
            .map(|((_, neighbour), content)| (neighbour.clone(), content.clone()))
            .collect();
        all.sort_by_key(|(neighbour, content)| order(content, neighbour));
        all
    }

    pub(super) fn bests(&self, key: &Key) -> Bests {
        let all = self.candidates(key);
        let mut usable = all.into_iter().filter(|(_, c)| c.rank.eligible).map(|(n, _)| n);
        usable.next().map(|best| (best, usable.next()))
    }

    /// The winners of a service, best first: origin and neighbour.
    pub(super) fn winners(&self, service: &str) -> Vec<(String, String)> {
        let mut winners: Vec<_> = self
            .keys()
            .into_iter()
            .filter(|(s, _)| s == service)
            .filter_map(|key| {
                let best = self.bests(&key)?.0;
                let content = self.routes.get(&(key.clone(), best.clone())).unwrap();
                Some((order(content, &best), key.1, best))
            })
            .collect();
        winners.sort();
        winners.into_iter().map(|(_, origin, best)| (origin, best)).collect()
    }

    pub(super) fn keys(&self) -> Vec<Key> {
        let mut keys: Vec<Key> = self.routes.keys().map(|(key, _)| key.clone()).collect();
        keys.dedup();
        keys
    }

    /// Best and next with all that a neighbour or the data plane would see of them.
    fn seen(&self, key: &Key) -> (Seen, Seen) {
        let bests = self.bests(key);
        let look = |n: &String| (n.clone(), self.routes.get(&(key.clone(), n.clone())).unwrap().clone());
        let best = bests.as_ref().map(|b| look(&b.0));
        (best, bests.as_ref().and_then(|b| b.1.as_ref()).map(look))
    }

    fn outcome<F: FnOnce(&mut Self) -> Option<Content>>(&mut self, key: &Key, change: F) -> Expected {
        let before = self.seen(key);
        let old = change(self);
        let after = self.seen(key);
        Expected {
            old_len: old.map(|c| c.attrs.len()),
            change: (before != after).then_some(before.0 != after.0),
        }
    }

    pub(super) fn announce(
        &mut self,
        neighbour: &str,
        key: &Key,
        content: Content,
    ) -> Result<Expected, Refusal> {
        if content.attrs.len() > self.capacity.attrs {
            return Err(Refusal::Attrs);
        }
        self.intern(&key.0)?;
        if let Err(refusal) = self.intern(&key.1) {
            self.release(&key.0);
            return Err(refusal);
        }
        let slot = (key.clone(), neighbour.to_string());
        let known = self.routes.contains_key(&slot);
        if !known && self.routes.len() >= self.capacity.routes {
            self.release_key(key);
            return Err(Refusal::Routes);
        }
        if known {
            self.release_key(key);
        }
        Ok(self.outcome(key, |own| own.routes.insert(slot, content)))
    }

    pub(super) fn withdraw(&mut self, neighbour: &str, key: &Key) -> Expected {
        let slot = (key.clone(), neighbour.to_string());
        if !self.routes.contains_key(&slot) {
            return Expected { old_len: None, change: None };
        }
        let expected = self.outcome(key, |own| own.routes.remove(&slot));
        self.release_key(key);
        expected
    }
}
