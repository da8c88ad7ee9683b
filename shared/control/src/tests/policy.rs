//! The border: default deny in both directions, opaque origins, and rules that change while sessions stay.

use catalyst_policy::{LocalPref, Role};
use catalyst_wire::{Attrs, Path, WellKnown};

use super::kit::*;
use crate::*;

const P: &str = "p.globex.example";
const THEIRS: &str = "stock.globex.example";

fn bench(texts: &[&str], role: Role) -> Bench {
    let mut bench = Bench::new();
    bench.offer("inventory");
    bench.offer("orders");
    bench.feed(rules(texts));
    bench.feed(peer(P, Some(agreement("globex.example", role, 10, 9999))));
    bench.up(1, P);
    bench
}

#[test]
fn nothing_crosses_the_border_without_a_rule_on_our_side() {
    let mut bench = bench(&["inventory>other.example", "*<other.example"], Role::Peer);
    bench.announce(1, &[(THEIRS, "o1", across("globex.example"))]);
    assert!(bench.remote(1).table.is_empty());
    assert!(bench.remote(1).frames.contains(&Heard::EndOfRib), "the session is complete all the same");
    assert_eq!(bench.rows().last().unwrap().2, "ineligible", "kept, so that a later rule finds it");
}

#[test]
fn only_what_a_rule_names_goes_out_and_nothing_inner_shows() {
    for role in [Role::Customer, Role::Peer, Role::Provider] {
        let bench = bench(&["inventory>globex.example"], role);
        let table = &bench.remote(1).table;
        assert_eq!(table.len(), 1);
        let ((service, origin), raw) = table.iter().next().unwrap();
        assert_eq!(service, "inventory.acme.example");
        assert!(origin.starts_with('o') && origin.len() == 21, "{origin} is opaque");
        let attrs = Attrs::read(raw).unwrap();
        assert!(attrs.org_path.iter().eq(["acme.example"]));
        assert!(attrs.node_path.is_empty());
        assert_eq!(attrs.local_pref, None);
        let mark = if role == Role::Provider { None } else { Some("acme.example") };
        assert_eq!(attrs.only_to_customer, mark, "RFC 9234 section 5 towards a {role}");
    }
}

#[test]
fn what_comes_from_an_inner_node_shows_neither_the_node_nor_its_rank() {
    let mut bench = bench(&["*>globex.example"], Role::Peer);
    bench.internal(2, "edge-7.acme.example");
    let attrs = Attrs { local_pref: Some(350), cost: 4, ..through("edge-7") };
    bench.announce(2, &[("camera.acme.example", "edge-7", attrs)]);
    let ((_, origin), raw) =
        bench.remote(1).table.iter().find(|((service, _), _)| service == "camera.acme.example").unwrap();
    assert!(!origin.contains("edge"), "{origin}");
    let attrs = Attrs::read(raw).unwrap();
    assert!(attrs.node_path.is_empty());
    assert_eq!((attrs.local_pref, attrs.cost), (None, 4));
    assert!(!raw.windows(6).any(|w| w == b"edge-7"));
    let own = Attrs { well_known: WellKnown(WellKnown::NO_EXPORT), ..through("edge-7") };
    bench.announce(2, &[("camera.acme.example", "edge-7", own)]);
    assert!(!bench.remote(1).services().contains(&"camera.acme.example"), "no-export stays in");
}

#[test]
fn an_import_rule_that_comes_later_finds_the_routes_and_one_that_goes_hides_them() {
    let mut bench = bench(&[], Role::Provider);
    bench.internal(2, "b.acme.example");
    bench.announce(
        1,
        &[(THEIRS, "o1", across("globex.example")), ("web.globex.example", "o1", across("globex.example"))],
    );
    assert_eq!(bench.remote(2).services(), ["inventory.acme.example", "orders.acme.example"]);
    bench.effects();
    bench.feed(rules(&["stock<globex.example"]));
    let best: std::vec::Vec<_> =
        bench.rows().into_iter().filter(|r| r.2 == "best" && r.1 == P).map(|r| r.0).collect();
    assert_eq!(best, [THEIRS]);
    assert!(bench.remote(2).services().contains(&THEIRS), "our own nodes hear of it");
    let raw = bench.remote(2).table[&key(THEIRS, "o1")].clone();
    assert_eq!(Attrs::read(&raw).unwrap().local_pref, Some(LocalPref::of(Role::Provider)));
    assert!(
        bench.effects().iter().any(
            |e| matches!(e, Effect::Forward(f) if f.service.as_str() == THEIRS && f.endpoints.len() == 1)
        )
    );
    bench.feed(rules(&[]));
    assert!(!bench.remote(2).services().contains(&THEIRS));
    assert!(
        bench.effects().iter().any(
            |e| matches!(e, Effect::Forward(f) if f.service.as_str() == THEIRS && f.endpoints.is_empty())
        )
    );
    assert_eq!(bench.peer(P).routes, 2, "still in Adj-RIB-In");
    assert_eq!(bench.peer(P).session, Some(SessionId(1)));
    bench.check();
    bench.give_all_back();
}

#[test]
fn an_export_rule_takes_effect_both_ways_while_the_session_stays() {
    let mut bench = bench(&[], Role::Peer);
    bench.heard(1);
    bench.feed(rules(&["inventory>globex.example"]));
    assert_eq!(bench.remote(1).services(), ["inventory.acme.example"]);
    bench.feed(rules(&["*>globex.example"]));
    assert_eq!(bench.remote(1).services().len(), 2);
    bench.heard(1);
    bench.feed(rules(&["*>globex.example"]));
    bench.feed(rules(&["*>globex.example", "*>other.example"]));
    assert_eq!(bench.heard(1), [], "what stays the same is not said again");
    bench.feed(rules(&["orders>globex.example"]));
    assert_eq!(bench.remote(1).services(), ["orders.acme.example"]);
    assert!(bench.closed().is_empty());
}

#[test]
fn a_policy_change_leaves_our_own_nodes_in_peace() {
    let mut bench = bench(&[], Role::Peer);
    bench.internal(2, "b.acme.example");
    bench.heard(2);
    bench.feed(rules(&["*>globex.example"]));
    assert_eq!(bench.heard(2), []);
}

#[test]
fn forged_and_foreign_paths_are_denied_and_counted() {
    let mut bench = bench(&["*<globex.example"], Role::Peer);
    let theirs = across("globex.example");
    let mut list = [0u8; 64];
    let mut out = catalyst_wire::Writer::new(&mut list);
    out.u64(2).unwrap();
    out.text("globex.example").unwrap();
    out.text("third.example").unwrap();
    let two = Path::read(&mut catalyst_wire::Reader::new(out.written()), 16, 100, |_| true).unwrap();
    let table: [(&str, Attrs<'_>); 4] = [
        // Our own service, from outside.
        ("inventory.acme.example", theirs),
        // A third party's service under their name.
        ("x.third.example", theirs),
        // Somebody else at the front of the path.
        (THEIRS, across("third.example")),
        // No path at all.
        (THEIRS, Attrs::default()),
    ];
    for (at, (service, attrs)) in table.iter().enumerate() {
        bench.announce(1, &[(service, "o1", *attrs)]);
        assert_eq!(bench.peer(P).denied as usize, at + 1, "{service}");
    }
    bench.announce(1, &[(THEIRS, "o1", Attrs { node_path: Path::one("p"), ..theirs })]);
    assert_eq!(bench.peer(P).malformed, 1, "node_path crossed a border");
    // What was refused stands in Adj-RIB-In, for who asks why; the malformed one took its key with it.
    assert!(bench.rows().iter().all(|r| r.1 == "a.acme.example" || r.2 == "ineligible"));
    assert_eq!(bench.peer(P).routes, 2);
    // A third party's service, honestly passed on, under a rule for labels of the neighbour alone.
    bench.announce(1, &[("x.third.example", "o2", Attrs { org_path: two, ..Attrs::default() })]);
    assert_eq!(bench.peer(P).denied, 4);
    assert_eq!(bench.rows().last().unwrap().2, "ineligible");
    bench.announce(1, &[(THEIRS, "o1", theirs)]);
    assert!(bench.rows().iter().any(|r| r.0 == THEIRS && r.2 == "best"));
}

#[test]
fn local_pref_of_another_organisation_is_not_believed() {
    let mut bench = bench(&["*<globex.example"], Role::Customer);
    let attrs = Attrs { local_pref: Some(9999), ..across("globex.example") };
    bench.announce(1, &[(THEIRS, "o1", attrs)]);
    let row = bench.core.state().route_rows().pop().unwrap();
    assert_eq!(row.local_pref, LocalPref::of(Role::Customer));
}

#[test]
fn a_neighbour_inside_outranks_no_service_of_the_node_itself() {
    let mut bench = Bench::new();
    bench.internal(1, "b.acme.example");
    bench.internal(2, "c.acme.example");
    bench.offer("orders");
    let orders = "orders.acme.example";
    let high =
        |nodes: &[&str]| Attrs { local_pref: Some(u32::MAX), node_path: path(nodes), ..Attrs::default() };
    bench.announce(1, &[(orders, "x", high(&["b", "x"])), (orders, "a", high(&["b"]))]);
    let of = |bench: &Bench, origin: &str, via: &str| {
        let rows = bench.core.state().route_rows();
        let row = rows.into_iter().find(|r| r.origin == origin && r.via == via).unwrap();
        (row.local_pref, row.standing)
    };
    assert_eq!(of(&bench, "x", "b.acme.example").0, LocalPref::OWN);
    assert_eq!(of(&bench, "a", "b.acme.example").1, "ineligible");
    assert_eq!(bench.remote(2).table.len(), 2, "what is told on is bounded, too");
    for raw in bench.remote(2).table.values() {
        assert_eq!(Attrs::read(raw).unwrap().local_pref, None);
    }
    let ways = bench.core.explain(orders, None).unwrap();
    assert_eq!(
        (ways.origins[0].origin.as_str(), ways.origins[0].candidates[0].route.via.as_str()),
        ("a", "a.acme.example"),
        "its own first"
    );
    assert_eq!(bench.peer("b.acme.example").looped, 1, "nobody else can offer what begins here");
    // What came over a border ranks below all services of the organisation.
    let beyond = Attrs { org_path: path(&["initech.example"]), ..high(&["b"]) };
    bench.announce(1, &[("stock.initech.example", "x", beyond)]);
    let rows = bench.core.state().route_rows();
    assert_eq!(rows.iter().find(|r| r.service == "stock.initech.example").unwrap().local_pref, 399);
    bench.check();
}
