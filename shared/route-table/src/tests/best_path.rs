//! Best path, step by step: each step decides where all steps before it are equal, whatever the later ones say.

use std::boxed::Box;
use std::string::{String, ToString};
use std::vec::Vec;

use catalyst_names::Protocol;
use catalyst_wire::{Attrs, Health, Path, Reader, WellKnown, Writer};

use crate::{Fixed, Heap, Limits, Rank, RouteTable, Store, Sym};

const SERVICE: &str = "svc.acme.example";
const STEPS: [&str; 8] =
    ["eligible", "not stale", "not flapping", "local_pref", "local origin", "org_path", "cost", "node_path"];

/// A rank that is good at the steps that say so.
fn rank(good: impl Fn(usize) -> bool) -> Rank {
    Rank {
        eligible: good(0),
        stale: !good(1),
        flapping: !good(2),
        local_pref: if good(3) { 300 } else { 200 },
        local: good(4),
        org_len: if good(5) { 1 } else { 2 },
        cost: if good(6) { 10 } else { 11 },
        node_len: if good(7) { 0 } else { 1 },
    }
}

fn both(test: impl Fn(&dyn Fn(&[&str]) -> Box<dyn Decide>)) {
    test(&|names| Box::new(Named::new(Heap::new(Limits::CLOUD), names)));
    test(&|names| Box::new(Named::new(Fixed::<32, 32, 512, 16>::new(32), names)));
}

/// What the tests ask of either store.
trait Decide {
    fn announce(&mut self, neighbour: &str, origin: &str, rank: Rank);
    fn withdraw(&mut self, neighbour: &str, origin: &str);
    fn bests(&self, origin: &str) -> Vec<String>;
    fn winners(&self) -> Vec<String>;
}

struct Named<S> {
    table: RouteTable<S>,
}

impl<S: Store> Named<S> {
    /// Interns the neighbours in this order, so that their numbers are known to be in it.
    fn new(store: S, names: &[&str]) -> Self {
        let mut table = RouteTable::new(store);
        let syms: Vec<Sym> = names.iter().map(|n| table.intern(n).unwrap()).collect();
        assert!(syms.is_sorted());
        Named { table }
    }

    fn number(&self, neighbour: &str) -> Sym {
        self.table.store().find(neighbour).unwrap()
    }
}

impl<S: Store> Decide for Named<S> {
    fn announce(&mut self, neighbour: &str, origin: &str, rank: Rank) {
        let (sym, data) = (self.number(neighbour), (Protocol::Tcp, 100));
        self.table.announce(sym, (SERVICE, origin), rank, data, &[]).unwrap();
    }

    fn withdraw(&mut self, neighbour: &str, origin: &str) {
        let key = self.table.key(SERVICE, origin).unwrap();
        self.table.withdraw(self.number(neighbour), key);
    }

    fn bests(&self, origin: &str) -> Vec<String> {
        let key = self.table.key(SERVICE, origin).unwrap();
        let Some((best, _)) = self.table.best(key) else { return Vec::new() };
        let both = [Some(best.best), best.next].into_iter().flatten();
        both.map(|sym| self.table.text(sym).to_string()).collect()
    }

    fn winners(&self) -> Vec<String> {
        let table = &self.table;
        let mut winners: Vec<_> = table.winners(self.number(SERVICE)).collect();
        winners.sort_by(|a, b| table.compare_winners((a.0, a.1, &a.2.rank), (b.0, b.1, &b.2.rank)));
        winners.iter().map(|w| table.text(w.0.origin).to_string()).collect()
    }
}

#[test]
fn each_step_decides_before_all_later_ones() {
    both(|make| {
        for (step, what) in STEPS.iter().enumerate() {
            // The winner is worse in all later steps, and in its name and its number.
            let winner = rank(|s| s <= step);
            let loser = rank(|s| s != step);
            for winner_first in [true, false] {
                let mut table = make(&["a.acme.example", "z.acme.example"]);
                if winner_first {
                    table.announce("z.acme.example", "o", winner);
                    table.announce("a.acme.example", "o", loser);
                } else {
                    table.announce("a.acme.example", "o", loser);
                    table.announce("z.acme.example", "o", winner);
                }
                let expected: &[&str] =
                    if step == 0 { &["z.acme.example"] } else { &["z.acme.example", "a.acme.example"] };
                assert_eq!(table.bests("o"), expected, "step '{what}'");
            }
        }
    });
}

#[test]
fn equals_are_decided_by_the_name_of_the_neighbour_and_not_by_its_number() {
    both(|make| {
        let mut table = make(&["z.acme.example", "m.acme.example", "a.acme.example"]);
        for neighbour in ["z.acme.example", "a.acme.example", "m.acme.example"] {
            table.announce(neighbour, "o", rank(|_| true));
        }
        assert_eq!(table.bests("o"), ["a.acme.example", "m.acme.example"]);
        table.withdraw("a.acme.example", "o");
        assert_eq!(table.bests("o"), ["m.acme.example", "z.acme.example"]);
    });
}

#[test]
fn what_is_not_eligible_is_neither_best_nor_next() {
    both(|make| {
        let mut table = make(&["a.acme.example", "b.acme.example"]);
        table.announce("a.acme.example", "o", rank(|s| s != 0));
        assert!(table.bests("o").is_empty());
        table.announce("b.acme.example", "o", rank(|s| s == 0));
        assert_eq!(table.bests("o"), ["b.acme.example"]);
        table.announce("b.acme.example", "o", rank(|_| false));
        assert!(table.bests("o").is_empty());
    });
}

#[test]
fn stale_is_last_but_usable() {
    both(|make| {
        let mut table = make(&["a.acme.example", "b.acme.example"]);
        table.announce("a.acme.example", "o", rank(|s| s != 1));
        assert_eq!(table.bests("o"), ["a.acme.example"]);
        table.announce("b.acme.example", "o", rank(|s| s < 2));
        assert_eq!(table.bests("o"), ["b.acme.example", "a.acme.example"]);
    });
}

#[test]
fn the_winners_of_a_service_are_ranked_like_candidates_and_then_by_origin() {
    both(|make| {
        let mut table = make(&["z.acme.example", "a.acme.example"]);
        // Interned in this order: numbers are not names here either.
        table.announce("z.acme.example", "o3", rank(|_| true));
        table.announce("z.acme.example", "o1", rank(|_| true));
        table.announce("a.acme.example", "o4", rank(|_| true));
        table.announce("z.acme.example", "o2", rank(|s| s != 5));
        table.announce("a.acme.example", "o5", rank(|s| s != 0));
        assert_eq!(table.winners(), ["o4", "o1", "o3", "o2"]);
    });
}

#[test]
fn the_rank_is_read_from_the_attributes() {
    let list = |names: &[&str]| {
        let mut buf = [0u8; 64];
        let mut out = Writer::new(&mut buf);
        out.u64(names.len() as u64).unwrap();
        names.iter().for_each(|n| out.text(n).unwrap());
        out.written().to_vec()
    };
    let (orgs, nodes) = (list(&["a.example", "b.example"]), list(&["n1", "n2", "n3"]));
    let attrs = Attrs {
        org_path: Path::read(&mut Reader::new(&orgs), 16, 64, |_| true).unwrap(),
        node_path: Path::read(&mut Reader::new(&nodes), 16, 64, |_| true).unwrap(),
        local_pref: Some(7),
        cost: 12,
        well_known: WellKnown(WellKnown::STALE),
        health: Health::Down,
        ..Attrs::default()
    };
    let expected = Rank {
        eligible: false,
        stale: true,
        flapping: false,
        local_pref: 300,
        local: false,
        org_len: 2,
        cost: 12,
        node_len: 3,
    };
    assert_eq!(Rank::of(&attrs, 300, false), expected);
    let plain = Rank::of(&Attrs::default(), 400, true);
    assert!(plain.eligible && !plain.stale && !plain.flapping && plain.local);
    assert_eq!((plain.org_len, plain.cost, plain.node_len), (0, 0, 0));
}

#[test]
fn weight_and_protocol_are_no_part_of_the_order() {
    let mut table = RouteTable::new(Heap::new(Limits::CLOUD));
    let (a, b) = (table.intern("a.acme.example").unwrap(), table.intern("b.acme.example").unwrap());
    let names = (SERVICE, "o");
    table.announce(a, names, rank(|_| true), (Protocol::Tcp, 1), &[]).unwrap();
    table.announce(b, names, rank(|_| true), (Protocol::Http, 60_000), &[]).unwrap();
    let key = table.key(names.0, names.1).unwrap();
    assert_eq!(table.best(key).map(|b| b.0.best), Some(a));
}
