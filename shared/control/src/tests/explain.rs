//! What is said about a service: the step that decided, the rule that keeps a way out, and who hears of it.

use std::string::ToString;

use catalyst_policy::{Action, Denied, Neighbour, Pattern, Role, Rule};
use catalyst_route_table::{Heap, Limits as TableLimits, Rank};
use catalyst_wire::{Attrs, Health};

use super::kit::*;
use crate::explain::{Explanation, step};
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
    // Each has one way: none of them is the only one to the service.
    for origin in &explained.origins[..3] {
        assert_eq!(origin.candidates[0].why, "best: the only usable way to this origin");
    }
}

#[test]
fn an_origin_that_drains_is_told_as_such() {
    let mut bench = Bench::new();
    bench.internal(1, "b.acme.example");
    bench.internal(2, "c.acme.example");
    let drains = catalyst_wire::WellKnown(catalyst_wire::WellKnown::GRACEFUL_SHUTDOWN);
    bench.announce(1, &[("x.acme.example", "o1", Attrs { well_known: drains, ..through("b") })]);
    bench.announce(2, &[("x.acme.example", "o2", Attrs { cost: 9, ..through("c") })]);
    let explained = bench.core.explain("x.acme.example", None).unwrap();
    let later = &explained.origins[1];
    assert_eq!((later.origin.as_str(), later.standing.as_str()), ("o1", "later"));
    assert_eq!(
        later.why,
        "behind the one before: staying against draining: higher local_pref (400 against 0)"
    );
}

/// Everything that can keep a route from somebody has words of its own, and each of them reaches whoever asks.
#[test]
fn each_refusal_is_said() {
    const ALL: [Denied; 11] = [
        Denied::NoAgreement,
        Denied::Looped,
        Denied::ForgedPath,
        Denied::NoExport,
        Denied::Leak,
        Denied::ComesBack,
        Denied::NotExported,
        Denied::NotImported,
        Denied::Rejected,
        Denied::Crowded,
        Denied::TooLong,
    ];
    const HOOLI: &str = "gw.hooli.example";
    let reject = |service: &str, who: &str| Rule {
        action: Action::Reject,
        ..Rule::new(Pattern::parse(service).unwrap(), Neighbour::parse(who).unwrap())
    };
    let mut bench = Bench::new();
    bench.feed(Event::PolicyChanged {
        exports: [
            reject("secret", "*"),
            Rule::new(Pattern::parse("*.*").unwrap(), Neighbour::parse("globex.example").unwrap()),
        ]
        .into(),
        imports: [
            reject("bad", "globex.example"),
            Rule::new(Pattern::parse("fine").unwrap(), Neighbour::parse("globex.example").unwrap()),
            Rule::new(Pattern::parse("*.*").unwrap(), Neighbour::parse("initech.example").unwrap()),
        ]
        .into(),
    });
    bench.feed(peer(GLOBEX, Some(agreement("globex.example", Role::Customer, 50, 99_999))));
    bench.feed(peer(INITECH, Some(agreement("initech.example", Role::Customer, 50, 99_999))));
    bench.feed(peer(HOOLI, None));
    bench.up(1, GLOBEX);
    bench.up(2, INITECH);
    bench.internal(3, "b.acme.example");
    ["own", "secret"].into_iter().for_each(|label| bench.offer(label));
    let theirs = across("globex.example");
    let by = |names: &[&str]| Attrs { org_path: path(names), ..Attrs::default() };
    bench.announce(
        1,
        &[
            ("looped.acme.example", "o", by(&["globex.example", "acme.example"])),
            ("forged.globex.example", "o", by(&["other.example"])),
            ("leak.globex.example", "o", Attrs { only_to_customer: Some("x.example"), ..theirs }),
            ("other.globex.example", "o", theirs),
            ("bad.globex.example", "o", theirs),
        ],
    );
    bench.announce(2, &[("back.globex.example", "o", by(&["initech.example", "globex.example"]))]);
    let mark = catalyst_wire::WellKnown(catalyst_wire::WellKnown::NO_EXPORT);
    bench.announce(3, &[("inner.acme.example", "b", Attrs { well_known: mark, ..through("b") })]);
    let way = |service: &str, via: &str| {
        let explained = bench.core.explain(service, None).unwrap();
        std::string::String::from(why(&explained, via))
    };
    let kept = |service: &str, peer: &str| {
        let explained = bench.core.explain(service, None).unwrap();
        std::string::String::from(to(&explained, peer).1)
    };
    let mut words = std::collections::BTreeSet::new();
    for denied in ALL {
        let said = match denied {
            Denied::NoAgreement => kept("own.acme.example", HOOLI),
            Denied::Looped => way("looped.acme.example", GLOBEX),
            Denied::ForgedPath => way("forged.globex.example", GLOBEX),
            Denied::NoExport => kept("inner.acme.example", GLOBEX),
            Denied::Leak => way("leak.globex.example", GLOBEX),
            Denied::ComesBack => kept("back.globex.example", GLOBEX),
            Denied::NotExported => kept("own.acme.example", INITECH),
            Denied::NotImported => way("other.globex.example", GLOBEX),
            Denied::Rejected => {
                // By its name: which rule it is helps more than that it is one.
                assert_eq!(kept("secret.acme.example", GLOBEX), "rejected by 'exports/0'");
                assert_eq!(way("bad.globex.example", GLOBEX), "not used: rejected by 'imports/0'");
                denied.to_string()
            }
            // `tests/crowd.rs` and `tests/transit.rs` have the sentence.
            Denied::Crowded | Denied::TooLong => denied.to_string(),
        };
        assert!(said.contains(&denied.to_string()), "{denied:?}: {said}");
        assert!(words.insert(denied.to_string()) && denied.to_string().len() > 10, "{denied:?}");
    }
}

/// A step that is added to the order breaks the pattern here, and has to be given its words.
#[test]
fn each_step_has_words_of_its_own_in_the_order_of_the_steps() {
    let base = Rank {
        eligible: true,
        stale: false,
        flapping: false,
        local_pref: 100,
        local: false,
        org_len: 1,
        cost: 1,
        node_len: 1,
    };
    let Rank { eligible, stale, flapping, local_pref, local, org_len, cost, node_len } = base;
    // Each is worse in its step and better in all later ones.
    let worse = [
        Rank { eligible: !eligible, local_pref: 999, local: true, org_len: 0, cost: 0, node_len: 0, ..base },
        Rank { stale: !stale, local_pref: 999, local: true, org_len: 0, cost: 0, node_len: 0, ..base },
        Rank { flapping: !flapping, local_pref: 999, local: true, org_len: 0, cost: 0, node_len: 0, ..base },
        Rank { local_pref: local_pref - 1, local: true, org_len: 0, cost: 0, node_len: 0, ..base },
        Rank { org_len: org_len + 1, cost: 0, node_len: 0, ..base },
        Rank { cost: cost + 1, node_len: 0, ..base },
        Rank { node_len: node_len + 1, ..base },
    ];
    let mut said: std::vec::Vec<_> = worse.iter().map(|worse| step(&base, worse).unwrap()).collect();
    said.insert(
        4,
        step(&Rank { local: !local, ..base }, &Rank { org_len: 0, cost: 0, node_len: 0, ..base }).unwrap(),
    );
    let expected = [
        "eligible against not eligible",
        "fresh against long-lived stale",
        "steady against flapping",
        "higher local_pref (100 against 99)",
        "a service of this node",
        "shorter org_path (1 against 2)",
        "lower cost (1 against 2)",
        "shorter node_path (1 against 2)",
    ];
    assert_eq!(said, expected);
    assert_eq!(step(&base, &base), None);
}

#[test]
fn ways_that_drain_or_have_lost_their_neighbour_are_told_as_such() {
    let settings = Settings { stale_max_ms: 100_000, ..settings(Limits::CLOUD) };
    let mut bench = Bench::with(Heap::new(TableLimits::CLOUD), settings);
    bench.internal(1, "b.acme.example");
    bench.internal(2, "c.acme.example");
    let drains = catalyst_wire::WellKnown(catalyst_wire::WellKnown::GRACEFUL_SHUTDOWN);
    bench.announce(1, &[("x.acme.example", "o", Attrs { well_known: drains, ..through("b") })]);
    bench.announce(2, &[("x.acme.example", "o", through("c"))]);
    let explained = bench.core.explain("x.acme.example", None).unwrap();
    let step = "staying against draining: higher local_pref (400 against 0)";
    assert_eq!(why(&explained, "c.acme.example"), std::format!("best: before b.acme.example: {step}"));
    assert_eq!(why(&explained, "b.acme.example"), std::format!("loses to c.acme.example: {step}"));

    // Without a mesh port the tunnel goes with the session.
    let open = bench.open_of("c.acme.example", 2);
    let open = catalyst_wire::Open { restart_ms: 30_000, ..catalyst_wire::Open::read(&open[4..]).unwrap() };
    let open = open.write(&mut [0; 1024]).unwrap().to_vec();
    bench.down(2);
    bench.up_by(3, "c.acme.example", open);
    bench.announce(3, &[("x.acme.example", "o", through("c"))]);
    bench.down(3);
    let explained = bench.core.explain("x.acme.example", None).unwrap();
    assert_eq!(
        why(&explained, "c.acme.example"),
        "not used: its neighbour is lost, and the tunnel to it is, too"
    );
    assert_eq!(why(&explained, "b.acme.example"), "best: the only usable way");
}

#[test]
fn a_neighbour_that_does_not_ask_is_told_apart_from_one_that_may_not_hear() {
    let mut bench = Bench::new();
    bench.internal(1, "b.acme.example");
    bench.offer("inventory");
    let interest = |patterns: &[&str]| {
        catalyst_wire::Interest::write(Some(patterns.iter().copied()), &mut [0; 17_000]).unwrap().0.to_vec()
    };
    let said = |bench: &Bench| {
        let explained = bench.core.explain("inventory.acme.example", None).unwrap();
        let (announced, why, _) = to(&explained, "b.acme.example");
        (announced, std::string::String::from(why))
    };
    assert_eq!(said(&bench), (true, "".into()));
    bench.frame(1, interest(&["orders.acme.example", "*.globex.example"]));
    let list = "it does not ask for it (its interest: orders.acme.example, *.globex.example)";
    assert_eq!(said(&bench), (false, list.into()));
    bench.frame(1, interest(&[]));
    assert_eq!(said(&bench), (false, "it does not ask for it (its interest is empty)".into()));
    let many: std::vec::Vec<_> = (0..11).map(|n| std::format!("s{n:02}.acme.example")).collect();
    bench.frame(1, interest(&many.iter().map(|s| s.as_str()).collect::<std::vec::Vec<_>>()));
    assert!(said(&bench).1.ends_with("s07.acme.example and 3 more)"), "{:?}", said(&bench));
    bench.frame(1, interest(&["inv*.acme.example"]));
    assert_eq!(said(&bench), (true, "".into()));
}
