//! What is said about a service: the step that decided, the rule that keeps a way out, and who hears of it.

use catalyst_policy::{Action, Neighbour, Pattern, Role, Rule};
use catalyst_wire::{Attrs, Health};

use super::kit::*;
use crate::explain::Explanation;
use crate::*;

const GLOBEX: &str = "gw.globex.example";
const INITECH: &str = "gw.initech.example";

fn why<'a>(explained: &'a Explanation, via: &str) -> &'a str {
    let all = explained.origins.iter().flat_map(|o| &o.candidates);
    &all.into_iter().find(|c| c.route.via == via).unwrap().why
}

fn to<'a>(explained: &'a Explanation, peer: &str) -> (bool, &'a str, &'a str) {
    let row = explained.origins[0].announced.iter().find(|a| a.peer == peer).unwrap();
    (row.announced, &row.why, &row.rule)
}

#[test]
fn each_step_of_the_order_is_named() {
    let base = |node: &'static str| through(node);
    let long = path(&["c", "b2"]);
    let cases: [(Attrs<'_>, &str); 4] = [
        (Attrs { local_pref: Some(300), ..base("c") }, "higher local_pref (400 against 300)"),
        (Attrs { cost: 5, ..base("c") }, "lower cost (1 against 5)"),
        (Attrs { node_path: long, cost: 1, ..Attrs::default() }, "shorter node_path (1 against 2)"),
        (Attrs { cost: 1, ..base("c") }, "all else is equal: the lowest neighbour id"),
    ];
    for (other, step) in cases {
        let mut bench = Bench::new();
        bench.internal(1, "b.acme.example");
        bench.internal(2, "c.acme.example");
        bench.announce(1, &[("x.acme.example", "o", Attrs { cost: 1, ..base("b") })]);
        bench.announce(2, &[("x.acme.example", "o", other)]);
        let explained = bench.core.explain("x.acme.example", None).unwrap();
        assert_eq!(explained.origins.len(), 1);
        let best = why(&explained, "b.acme.example");
        assert_eq!(best, std::format!("best: before c.acme.example: {step}"));
        assert_eq!(why(&explained, "c.acme.example"), std::format!("loses to b.acme.example: {step}"));
        // Split horizon for whom it came from; the other one hears of it.
        assert!(to(&explained, "b.acme.example").1.starts_with("split horizon"));
        assert_eq!(to(&explained, "c.acme.example"), (true, "", ""));
    }
}

#[test]
fn what_keeps_a_way_out_and_a_neighbour_in_the_dark_is_named() {
    let mut bench = Bench::new();
    let rule = |name: &str, service: &str, who: &str, action| Rule {
        name: name.into(),
        action,
        ..Rule::new(Pattern::parse(service).unwrap(), Neighbour::parse(who).unwrap())
    };
    bench.feed(Event::PolicyChanged {
        exports: [
            rule("not-them", "inv*", "initech.example", Action::Reject),
            rule("all", "*", "*", Action::Accept),
        ]
        .into(),
        imports: [
            rule("bad", "old", "globex.example", Action::Reject),
            rule("good", "stock", "globex.example", Action::Accept),
        ]
        .into(),
    });
    bench.feed(peer(GLOBEX, Some(agreement("globex.example", Role::Peer, 10, 9999))));
    bench.feed(peer(INITECH, Some(agreement("initech.example", Role::Peer, 10, 9999))));
    bench.up(1, GLOBEX);
    bench.offer("inventory");
    let explained = bench.core.explain("inventory.acme.example", None).unwrap();
    assert_eq!(why(&explained, "a.acme.example"), "best: the only usable way");
    assert_eq!(to(&explained, GLOBEX), (true, "", "all"));
    assert_eq!(to(&explained, INITECH), (false, "rejected by 'not-them'", "not-them"));
    bench.offer("orders");
    let explained = bench.core.explain("orders.acme.example", None).unwrap();
    assert_eq!(to(&explained, INITECH), (false, "no session", "all"));
    let theirs = across("globex.example");
    bench.announce(
        1,
        &[
            ("old.globex.example", "o", theirs),
            ("stock.globex.example", "o", theirs),
            ("other.globex.example", "o", theirs),
            ("down.globex.example", "o", Attrs { health: Health::Down, ..theirs }),
            ("leak.globex.example", "o", Attrs { only_to_customer: Some("x.example"), ..theirs }),
        ],
    );
    let said = |service: &str| {
        let explained = bench.core.explain(service, None).unwrap();
        std::string::String::from(why(&explained, GLOBEX))
    };
    assert_eq!(said("old.globex.example"), "not used: rejected by 'bad'");
    assert_eq!(said("stock.globex.example"), "best: the only usable way");
    assert!(said("other.globex.example").contains("not imported"));
    assert!(said("leak.globex.example").contains("leak"));
    let stock = bench.core.explain("stock.globex.example", Some(&name(INITECH))).unwrap();
    assert_eq!(stock.origins[0].candidates[0].rule, "good");
    assert_eq!(stock.origins[0].announced.len(), 1);
    assert!(to(&stock, INITECH).1.contains("leak"), "a peer's route to a peer");
    assert_eq!(bench.core.explain("none.globex.example", None), None);
}

#[test]
fn origins_stand_in_the_order_of_use() {
    let mut bench = Bench::new();
    for (session, node) in [(1, "b"), (2, "c"), (3, "d")] {
        bench.internal(session, &std::format!("{node}.acme.example"));
    }
    bench.announce(1, &[("x.acme.example", "o1", Attrs { cost: 2, ..through("b") })]);
    bench.announce(2, &[("x.acme.example", "o2", Attrs { cost: 2, ..through("c") })]);
    bench.announce(3, &[("x.acme.example", "o3", Attrs { cost: 9, ..through("d") })]);
    bench.announce(3, &[("x.acme.example", "o4", Attrs { health: Health::Down, ..through("d") })]);
    let explained = bench.core.explain("x.acme.example", None).unwrap();
    let rows: std::vec::Vec<(&str, &str)> =
        explained.origins.iter().map(|o| (o.origin.as_str(), o.standing.as_str())).collect();
    assert_eq!(rows, [("o1", "first"), ("o2", "equal"), ("o3", "later"), ("o4", "unusable")]);
    assert_eq!(explained.origins[2].why, "behind the one before: lower cost (2 against 9)");
}
