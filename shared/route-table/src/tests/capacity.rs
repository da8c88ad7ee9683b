//! A full store refuses what is new, keeps what it has and takes replacements; and how large the fixed store is.

use std::boxed::Box;
use std::format;

use catalyst_names::Protocol;

use crate::{Fixed, Heap, Limits, Rank, Refusal, RouteTable, Store, Sym};

const RANK: Rank = Rank {
    eligible: true,
    stale: false,
    flapping: false,
    local_pref: 400,
    local: false,
    org_len: 0,
    cost: 0,
    node_len: 0,
};

fn put<S: Store>(table: &mut RouteTable<S>, neighbour: Sym, n: usize, attrs: &[u8]) -> Result<(), Refusal> {
    let service = format!("s{n}.acme.example");
    table.announce(neighbour, (&service, "edge-1"), RANK, (Protocol::Tcp, 100), attrs).map(|_| ())
}

fn fills_up<S: Store>(store: S, room: usize) {
    let mut table = RouteTable::new(store);
    let a = table.intern("a.acme.example").unwrap();
    for n in 0..room {
        put(&mut table, a, n, &[1]).unwrap();
    }
    for n in room..room + 10 {
        assert_eq!(put(&mut table, a, n, &[1]), Err(Refusal::Routes));
    }
    table.collect();
    assert_eq!(table.store().len(), room);
    assert_eq!(table.store().names(), room + 2, "a refused route leaves no name behind");
    for n in 0..room {
        put(&mut table, a, n, &[2, 2]).unwrap();
        let key = table.key(&format!("s{n}.acme.example"), "edge-1").unwrap();
        assert_eq!(table.best(key).map(|(_, r)| r.attrs.as_ref().to_vec()), Some([2, 2].into()));
    }
    // Room that was given back can be used again.
    let key = table.key("s0.acme.example", "edge-1").unwrap();
    table.withdraw(a, key);
    table.collect();
    put(&mut table, a, room + 3, &[1]).unwrap();
    assert_eq!(put(&mut table, a, room + 4, &[1]), Err(Refusal::Routes));
}

#[test]
fn a_full_store_refuses_new_routes_keeps_the_old_and_takes_replacements() {
    fills_up(Fixed::<16, 64, 1024, 8>::new(16), 16);
    fills_up(Fixed::<16, 64, 1024, 8>::new(1000), 16);
    fills_up(Fixed::<64, 64, 1024, 8>::new(5), 5);
    fills_up(Heap::new(Limits { routes: 20, names: 1000, attrs: 8 }), 20);
}

#[test]
fn names_run_out_by_count_and_by_bytes() {
    let count = Fixed::<16, 4, 1024, 8>::new(16);
    let bytes = Fixed::<16, 64, 50, 8>::new(16);
    fn run<S: Store>(store: S) {
        let mut table = RouteTable::new(store);
        let a = table.intern("a.acme.example").unwrap();
        put(&mut table, a, 0, &[]).unwrap();
        let mut n = 1;
        while put(&mut table, a, n, &[]).is_ok() {
            n += 1;
        }
        assert_eq!(put(&mut table, a, n, &[]), Err(Refusal::Names));
        table.collect();
        assert_eq!(table.store().len(), n);
        assert!(put(&mut table, a, 0, &[9]).is_ok(), "a replacement needs no new name");
        assert!(table.store().find(&format!("s{n}.acme.example")).is_none());
    }
    run(count);
    run(bytes);
    run(Heap::new(Limits { routes: 100, names: 5, attrs: 8 }));
}

#[test]
fn too_large_attributes_are_refused_and_the_slot_is_left_to_the_caller() {
    fn run<S: Store>(store: S) {
        let mut table = RouteTable::new(store);
        let a = table.intern("a.acme.example").unwrap();
        put(&mut table, a, 0, &[1; 8]).unwrap();
        assert_eq!(put(&mut table, a, 0, &[1; 9]), Err(Refusal::Attrs));
        assert_eq!(put(&mut table, a, 1, &[1; 9]), Err(Refusal::Attrs));
        let key = table.key("s0.acme.example", "edge-1").unwrap();
        assert_eq!(table.route(key, a).map(|r| r.attrs.as_ref().len()), Some(8));
        assert!(table.key("s1.acme.example", "edge-1").is_none());
    }
    run(Fixed::<4, 8, 128, 8>::new(4));
    run(Heap::new(Limits { routes: 4, names: 8, attrs: 8 }));
}

#[test]
fn every_refusal_says_what_is_full() {
    let words = [Refusal::Routes, Refusal::Names, Refusal::Attrs].map(|r| format!("{r}"));
    assert_eq!(
        words,
        ["the route table is full", "the name table is full", "the attributes of the route are too large"]
    );
}

/// What an edge node is built with.
type Edge = Fixed<1024, 1536, 40_960, 128>;

#[test]
fn an_edge_table_fits_a_quarter_of_a_mebibyte() {
    assert!(size_of::<Edge>() <= 256 * 1024, "{} bytes", size_of::<Edge>());
}

#[test]
fn an_edge_table_holds_a_thousand_routes_of_a_realistic_size() {
    // Beyond a test thread's stack if it were moved about; built in place as the node does.
    let mut table = RouteTable::new(Box::new(Edge::new(1024)));
    let a = table.intern("a.acme.example").unwrap();
    for n in 0..1024 {
        put(&mut table, a, n, &[0; 128]).unwrap();
    }
    assert_eq!(put(&mut table, a, 5000, &[]), Err(Refusal::Routes));
    assert_eq!(table.loc_rib().count(), 1024);
}
