//! Every store against the reference: the same operations, and all questions after each of them.

use std::boxed::Box;
use std::collections::BTreeMap;
use std::string::{String, ToString};
use std::vec::Vec;

use catalyst_names::Protocol;
use proptest::prelude::*;

use super::reference::{Capacity, Content, Expected, Key, Reference};
use crate::{Fixed, Heap, Limits, Outcome, Rank, RouteKey, RouteTable, Store, Sym};

// Lengths differ, so that the fixed store has to move its texts about.
const SERVICES: [&str; 4] = ["api.acme", "b.x", "inventory.acme.example", "s.globex"];
const ORIGINS: [&str; 3] = ["edge-1", "o", "o1234567890"];
// Interned in this order: the order of their numbers is not the order of their names.
pub(super) const NEIGHBOURS: [&str; 4] = ["m.acme", "z.acme", "a.acme", "k.globex"];

/// One thing that may happen to a table.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Announce { neighbour: usize, service: usize, origin: usize, content: Content },
    Withdraw { neighbour: usize, service: usize, origin: usize },
    Flush(usize),
    Retain { service: usize, origin: usize },
    Release(usize),
    Collect,
}

pub(super) fn rank() -> impl Strategy<Value = Rank> {
    let two = 0u8..2;
    (
        prop::bool::weighted(0.8),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.2),
        0u32..2,
        prop::bool::weighted(0.2),
        two,
        0u32..2,
        0u8..2,
    )
        .prop_map(|(eligible, stale, flapping, pref, local, org_len, cost, node_len)| Rank {
            eligible,
            stale,
            flapping,
            local_pref: pref * 100,
            local,
            org_len,
            cost,
            node_len,
        })
}

fn content() -> impl Strategy<Value = Content> {
    let protocol = prop_oneof![Just(Protocol::Tcp), Just(Protocol::Http)];
    (rank(), protocol, 1u16..3, prop::collection::vec(0u8..2, 0..10))
        .prop_map(|(rank, protocol, weight, attrs)| Content { rank, protocol, weight, attrs })
}

pub(super) fn op() -> impl Strategy<Value = Op> {
    let (n, s, o) = (0..NEIGHBOURS.len(), 0..SERVICES.len(), 0..ORIGINS.len());
    prop_oneof![
        8 => (n.clone(), s.clone(), o.clone(), content())
            .prop_map(|(neighbour, service, origin, content)| Op::Announce { neighbour, service, origin, content }),
        4 => (n.clone(), s.clone(), o.clone())
            .prop_map(|(neighbour, service, origin)| Op::Withdraw { neighbour, service, origin }),
        1 => n.prop_map(Op::Flush),
        1 => (s, o).prop_map(|(service, origin)| Op::Retain { service, origin }),
        1 => (0usize..8).prop_map(Op::Release),
        2 => Just(Op::Collect),
    ]
}

/// A table, its reference, and what was learned of the numbers so far.
pub(super) struct Pair<S> {
    pub(super) table: RouteTable<S>,
    pub(super) reference: Reference,
    neighbours: Vec<Sym>,
    held: Vec<(Key, RouteKey)>,
    numbers: BTreeMap<String, Sym>,
}

fn key_of(service: usize, origin: usize) -> Key {
    (SERVICES[service].to_string(), ORIGINS[origin].to_string())
}

impl<S: Store> Pair<S> {
    pub(super) fn new(store: S, capacity: Capacity) -> Self {
        let mut table = RouteTable::new(store);
        let mut reference = Reference::new(capacity);
        let neighbours = NEIGHBOURS
            .iter()
            .map(|n| {
                reference.intern(n).unwrap();
                table.intern(n).unwrap()
            })
            .collect();
        Pair { table, reference, neighbours, held: Vec::new(), numbers: BTreeMap::new() }
    }

    /// Does it to both and compares what they answer.
    pub(super) fn run(&mut self, op: &Op) {
        match op {
            Op::Announce { neighbour, service, origin, content } => {
                self.announce(*neighbour, &key_of(*service, *origin), content);
            }
            Op::Withdraw { neighbour, service, origin } => {
                self.withdraw(*neighbour, &key_of(*service, *origin));
            }
            Op::Flush(neighbour) => self.flush(*neighbour),
            Op::Retain { service, origin } => {
                let key = key_of(*service, *origin);
                if let Some(found) = self.table.key(&key.0, &key.1) {
                    self.table.retain(found);
                    self.reference.retain_key(&key);
                    self.held.push((key, found));
                }
            }
            Op::Release(at) => {
                if *at < self.held.len() {
                    let (key, found) = self.held.remove(*at);
                    self.table.release(found);
                    self.reference.release_key(&key);
                }
            }
            Op::Collect => {
                self.table.collect();
                self.reference.collect();
            }
        }
    }

    fn announce(&mut self, neighbour: usize, key: &Key, content: &Content) {
        let before = self.reference.bests(key);
        let expected = self.reference.announce(NEIGHBOURS[neighbour], key, content.clone());
        let data = (content.protocol, content.weight);
        let sym = self.neighbours[neighbour];
        let got = self.table.announce(sym, (&key.0, &key.1), content.rank, data, &content.attrs);
        match (expected, got) {
            (Ok(expected), Ok(got)) => self.compare(key, &before, expected, got),
            (Err(expected), Err(got)) => assert_eq!(expected, got, "{key:?}"),
            (expected, got) => panic!("{key:?} of {neighbour}: expected {expected:?}, got {got:?}"),
        }
    }

    fn withdraw(&mut self, neighbour: usize, key: &Key) {
        let before = self.reference.bests(key);
        let expected = self.reference.withdraw(NEIGHBOURS[neighbour], key);
        let got = match self.table.key(&key.0, &key.1) {
            Some(found) => self.table.withdraw(self.neighbours[neighbour], found),
            None => Outcome::default(),
        };
        self.compare(key, &before, expected, got);
    }

    fn flush(&mut self, neighbour: usize) {
        let sym = self.neighbours[neighbour];
        let (mut after, mut seen) = (None, Vec::new());
        while let Some(found) = self.table.next_of(sym, after) {
            assert!(after.is_none_or(|last| last < found), "a walk goes forward");
            let key = (self.table.text(found.service).to_string(), self.table.text(found.origin).to_string());
            self.withdraw(neighbour, &key);
            seen.push(key);
            after = Some(found);
        }
        let left = self.reference.routes.keys().filter(|(_, n)| n == NEIGHBOURS[neighbour]).count();
        assert_eq!(left, 0, "the walk over {seen:?} forgot something");
    }

    fn bests_in_words(&self, best: Option<crate::Best>) -> super::reference::Bests {
        let text = |sym| self.table.text(sym).to_string();
        best.map(|b| (text(b.best), b.next.map(text)))
    }

    fn compare(&self, key: &Key, before: &super::reference::Bests, expected: Expected, got: Outcome) {
        assert_eq!(got.old_len, expected.old_len, "{key:?}");
        assert_eq!(got.change.map(|c| c.best_changed), expected.change, "{key:?}");
        if let Some(change) = got.change {
            assert_eq!(self.table.text(change.key.service), key.0);
            assert_eq!(self.table.text(change.key.origin), key.1);
            assert_eq!(&self.bests_in_words(change.old_best), before);
            assert_eq!(self.bests_in_words(change.new_best), self.reference.bests(key));
        }
    }

    /// Asks everything there is to ask.
    pub(super) fn check(&mut self) {
        self.check_names();
        let (table, reference) = (&self.table, &self.reference);
        assert_eq!(table.store().len(), reference.routes.len());
        assert_eq!(table.store().is_empty(), reference.routes.is_empty());
        let mut in_rib = 0;
        for (service, text) in SERVICES.iter().enumerate() {
            for origin in 0..ORIGINS.len() {
                let key = key_of(service, origin);
                let expected = reference.bests(&key);
                in_rib += usize::from(expected.is_some());
                let Some(found) = table.key(&key.0, &key.1) else {
                    assert!(reference.candidates(&key).is_empty(), "{key:?} is not known");
                    continue;
                };
                assert_eq!(self.bests_in_words(table.best(found).map(|b| b.0)), expected, "{key:?}");
                self.check_candidates(&key, found);
            }
            self.check_winners(text);
        }
        let rib: Vec<_> = table.loc_rib().collect();
        assert_eq!(rib.len(), in_rib);
        assert!(rib.windows(2).all(|w| w[0].0 < w[1].0), "Loc-RIB is walked in order");
    }

    fn check_candidates(&self, key: &Key, found: RouteKey) {
        let mut got: Vec<(String, Content)> = self
            .table
            .candidates(found)
            .map(|(n, r)| {
                assert_eq!(self.table.route(found, n).map(|r| r.rank), Some(r.rank));
                let attrs = r.attrs.as_ref().to_vec();
                let content = Content { rank: r.rank, protocol: r.protocol, weight: r.weight, attrs };
                (self.table.text(n).to_string(), content)
            })
            .collect();
        let mut expected = self.reference.candidates(key);
        got.sort_by(|a, b| a.0.cmp(&b.0));
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(got, expected, "{key:?}");
        if let Some((best, route)) = self.table.best(found) {
            let of_best = self.table.route(found, best.best).map(|r| r.attrs.as_ref());
            assert_eq!(of_best, Some(route.attrs.as_ref()));
        }
    }

    fn check_winners(&self, service: &str) {
        let mut got: Vec<_> = match self.table.store().find(service) {
            Some(sym) => self.table.winners(sym).collect(),
            None => Vec::new(),
        };
        assert!(got.windows(2).all(|w| w[0].0 < w[1].0), "winners come in the order of their keys");
        got.sort_by(|a, b| self.table.compare_winners((a.0, a.1, &a.2.rank), (b.0, b.1, &b.2.rank)));
        let text = |sym| self.table.text(sym).to_string();
        let words: Vec<_> = got.iter().map(|w| (text(w.0.origin), text(w.1.best))).collect();
        assert_eq!(words, self.reference.winners(service), "{service}");
    }

    /// A name that is referred to keeps its number and its text; no two share a number.
    fn check_names(&mut self) {
        let reference = &self.reference;
        assert_eq!(self.table.store().names(), reference.names.len());
        self.numbers.retain(|text, _| reference.names.contains_key(text));
        for text in reference.names.keys() {
            let sym = self.table.store().find(text).expect("a name that is referred to is known");
            assert_eq!(self.table.text(sym), text);
            assert_eq!(*self.numbers.entry(text.clone()).or_insert(sym), sym, "'{text}' changed its number");
        }
        let mut taken: Vec<Sym> = self.numbers.values().copied().collect();
        taken.sort_unstable();
        taken.dedup();
        assert_eq!(taken.len(), self.numbers.len(), "two names share a number");
        for text in SERVICES.iter().chain(&ORIGINS) {
            assert_eq!(self.table.store().find(text).is_some(), reference.names.contains_key(*text));
        }
    }
}

/// Small enough to be full often.
pub(super) type Small = Fixed<10, 11, 80, 7>;
pub(super) const SMALL: Capacity = Capacity { routes: 10, names: 11, bytes: 80, attrs: 7 };
/// Room for everything that the operations can ask for, but for long attributes.
pub(super) type Roomy = Fixed<64, 16, 256, 8>;
pub(super) const ROOMY: Capacity = Capacity { routes: 64, names: 16, bytes: 256, attrs: 8 };
pub(super) const HEAP: Limits = Limits { routes: 10, names: 9, attrs: 7 };
pub(super) const OF_HEAP: Capacity = Capacity { routes: 10, names: 9, bytes: usize::MAX, attrs: 7 };

fn play<S: Store>(store: S, capacity: Capacity, ops: &[Op]) {
    let mut pair = Pair::new(store, capacity);
    pair.check();
    for op in ops {
        pair.run(op);
        pair.check();
    }
    // Everything can be given back, and then nothing is left but the neighbours.
    for neighbour in 0..NEIGHBOURS.len() {
        pair.run(&Op::Flush(neighbour));
    }
    while !pair.held.is_empty() {
        pair.run(&Op::Release(0));
    }
    pair.run(&Op::Collect);
    pair.check();
    assert_eq!(pair.table.store().names(), NEIGHBOURS.len());
    assert!(pair.table.store().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_heap_store_does_what_the_reference_does(ops in prop::collection::vec(op(), 1..120)) {
        play(Heap::new(HEAP), OF_HEAP, &ops);
        play(Heap::new(Limits::CLOUD), Capacity { attrs: 4096, routes: 1_000_000, names: 2_000_000, ..OF_HEAP }, &ops);
    }

    #[test]
    fn the_fixed_store_does_what_the_reference_does(ops in prop::collection::vec(op(), 1..120)) {
        play(Small::new(usize::MAX), SMALL, &ops);
        play(Small::new(4), Capacity { routes: 4, ..SMALL }, &ops);
        play(Roomy::new(64), ROOMY, &ops);
    }

    #[test]
    fn a_boxed_store_is_the_same(ops in prop::collection::vec(op(), 1..40)) {
        play(Box::new(Small::new(10)), SMALL, &ops);
    }
}
