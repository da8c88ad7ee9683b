//! A route that news has overtaken is nobody's alternative, and is called none.

use std::string::ToString;
use std::vec::Vec;

use catalyst_policy::{Role, Rule};
use catalyst_wire::{Attrs, Overtaken, Seqno, Seqnos, UpdateWriter, update::write_overtaken};

use super::kit::*;
use crate::*;

const B: &str = "b.acme.example";
const C: &str = "c.acme.example";
const GLOBEX: &str = "gw.globex.example";
const X: &str = "x.acme.example";
const Y: &str = "y.acme.example";

/// Attributes of a node's own service, with the number of its word on it.
fn numbered(node: &str, count: u32) -> Attrs<'_> {
    Attrs { seqnos: Seqnos::EMPTY.prepend(Seqno { run: 1, count }), ..through(node) }
}

/// News that `b` has said something newer of a service.
fn news(service: &str) -> Vec<u8> {
    let (mut element, mut frame) = ([0; 512], [0; 1024]);
    let overtaken = Overtaken { service, origin: "o", node: "b", seqno: Seqno { run: 1, count: 2 } };
    let mut out = UpdateWriter::new(&mut frame).unwrap();
    out.overtake(write_overtaken(&mut element, &overtaken).unwrap()).unwrap();
    out.finish().unwrap().to_vec()
}

/// `x` by `b`, and at a higher cost by `c`; `y` by `b` alone. Both ways of `b` are overtaken.
fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.feed(peer(GLOBEX, Some(agreement("globex.example", Role::Customer, 10, 9999))));
    bench.internal(1, B);
    bench.internal(2, C);
    bench.announce(1, &[(X, "o", numbered("b", 1)), (Y, "o", numbered("b", 1))]);
    bench.announce(2, &[(X, "o", Attrs { cost: 5, ..through("c") })]);
    assert_eq!(standing(&bench, X, B), "best");
    bench.core.watch(true);
    bench.frame(2, news(X));
    bench.frame(2, news(Y));
    bench
}

fn standing(bench: &Bench, service: &str, via: &str) -> std::string::String {
    bench.rows().into_iter().find(|row| row.0 == service && row.1 == via).unwrap().2
}

#[test]
fn it_is_shown_as_ineligible_wherever_it_is_shown() {
    let mut bench = bench();
    let seen = bench.core.observed().0;
    bench.feed(rules(&["*.*>globex.example"]));
    assert_eq!(standing(&bench, X, B), "ineligible");
    assert_eq!(standing(&bench, X, C), "best");
    assert_eq!(standing(&bench, Y, B), "ineligible");
    let explained = bench.core.explain(X, None).unwrap();
    let ways: Vec<_> = explained.origins[0].candidates.iter().map(|c| (&*c.route.via, &*c.why)).collect();
    assert_eq!(
        ways,
        [(C, "best: the only usable way"), (B, "not used: a node of its path has said something newer"),]
    );
    assert_eq!(explained.origins[0].candidates[1].route.standing, "ineligible");
    let best = seen.iter().find(|row| row.what == "best").unwrap();
    assert_eq!((&*best.service, &*best.via, &*best.why), (X, C, "b.acme.example is not usable"));
    let visible = bench.core.visibility().rows;
    let y = visible.iter().find(|row| row.service == Y).unwrap();
    assert_eq!((y.visible, &*y.why), (false, "no usable way to it"));
}

#[test]
fn no_plan_brings_it_back() {
    let bench = bench();
    let event = rules(&["*.*>*"]);
    let Event::PolicyChanged { exports, .. } = &event else { panic!() };
    let exports: &[Rule] = exports;
    let plan = bench.core.plan(exports, &[]).unwrap();
    assert_eq!(plan.moved, []);
    assert_eq!(plan.gained, Vec::<std::string::String>::new());
    let exposed: Vec<_> = plan.exposed.iter().map(|row| row.service.to_string()).collect();
    assert_eq!(exposed, [X], "what nobody can use is not told");
}
