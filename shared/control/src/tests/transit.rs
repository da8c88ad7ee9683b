//! Services of a third organisation: passed on under rules and roles, with what rules set, and never as a leak.

use std::string::String;
use std::vec::Vec;

use catalyst_policy::{Direction, Neighbour, Pattern, Role, Rule, RuleList, Set};
use catalyst_wire::Attrs;

use super::kit::*;
use crate::*;

const A: &str = "gw.initech.example";
const C: &str = "gw.globex.example";
const STOCK: &str = "stock.initech.example";

/// acme between initech, which is `from`, and globex, which is `to`.
fn between(from: Role, to: Role, texts: &[&str]) -> Bench {
    let mut bench = Bench::new();
    bench.feed(rules(texts));
    bench.feed(peer(A, Some(agreement("initech.example", from, 10, 9999))));
    bench.feed(peer(C, Some(agreement("globex.example", to, 10, 9999))));
    bench.up(1, A);
    bench.up(2, C);
    bench
}

const ALL: &[&str] = &["*.*>globex.example", "*.*>initech.example", "*.*<initech.example"];

fn attrs_at<'a>(bench: &'a Bench, session: u64, service: &str) -> Option<Attrs<'a>> {
    let table = &bench.remote(session).table;
    table.iter().find(|((s, _), _)| s == service).map(|(_, raw)| Attrs::read(raw).unwrap())
}

#[test]
fn a_customers_service_is_passed_on_with_the_whole_path() {
    let mut bench = between(Role::Customer, Role::Provider, ALL);
    bench.announce(1, &[(STOCK, "o1", across("initech.example"))]);
    let attrs = attrs_at(&bench, 2, STOCK).unwrap();
    assert!(attrs.org_path.iter().eq(["acme.example", "initech.example"]));
    assert!(attrs.node_path.is_empty());
    assert_eq!((attrs.local_pref, attrs.only_to_customer), (None, None));
    let ((_, origin), _) = bench.remote(2).table.iter().next().unwrap();
    assert!(origin.starts_with('o') && origin != "o1", "{origin} is opaque");
    bench.withdraw(1, &[(STOCK, "o1")]);
    assert!(bench.remote(2).table.is_empty());
    bench.check();
}

#[test]
fn labels_alone_pass_nothing_on() {
    let mut bench = between(Role::Customer, Role::Customer, &["*>globex.example", "*<initech.example"]);
    bench.announce(1, &[(STOCK, "o1", across("initech.example"))]);
    assert_eq!(bench.rows()[0].2, "best", "it is of use here");
    assert!(bench.remote(2).table.is_empty(), "no accidental transit");
}

#[test]
fn what_a_provider_or_peer_shows_is_for_customers() {
    for from in [Role::Customer, Role::Peer, Role::Provider] {
        for to in [Role::Customer, Role::Peer, Role::Provider] {
            let mut bench = between(from, to, ALL);
            bench.announce(1, &[(STOCK, "o1", across("initech.example"))]);
            let passes = from == Role::Customer || to == Role::Customer;
            assert_eq!(attrs_at(&bench, 2, STOCK).is_some(), passes, "{from} to {to}");
        }
    }
}

#[test]
fn the_mark_survives_inside_the_organisation() {
    let mut bench = between(Role::Peer, Role::Peer, ALL);
    bench.internal(3, "b.acme.example");
    bench.announce(1, &[(STOCK, "o1", across("initech.example"))]);
    let attrs = attrs_at(&bench, 3, STOCK).unwrap();
    assert_eq!(attrs.only_to_customer, Some("initech.example"), "an unmarked route of a peer");
    // Another node of ours that learned it from a peer says so; it is not passed on to a peer here either.
    let marked = Attrs {
        only_to_customer: Some("initech.example"),
        org_path: path(&["initech.example"]),
        ..through("b")
    };
    bench.announce(3, &[("mail.initech.example", "o2", marked)]);
    assert!(attrs_at(&bench, 2, "mail.initech.example").is_none());
}

#[test]
fn a_leaked_route_is_kept_unused_and_counted() {
    let mut bench = between(Role::Customer, Role::Customer, ALL);
    let leaked = Attrs { only_to_customer: Some("other.example"), ..across("initech.example") };
    bench.announce(1, &[(STOCK, "o1", leaked)]);
    assert_eq!(bench.rows()[0].2, "ineligible");
    assert_eq!(bench.peer(A).denied, 1);
    assert!(bench.remote(2).table.is_empty());
}

#[test]
fn loops_are_not_used_and_nothing_is_sent_back() {
    let mut bench = between(Role::Customer, Role::Customer, ALL);
    let looped =
        Attrs { org_path: path(&["initech.example", "acme.example", "other.example"]), ..Attrs::default() };
    bench.announce(1, &[("x.other.example", "o1", looped)]);
    assert_eq!((bench.rows()[0].2.as_str(), bench.peer(A).looped), ("ineligible", 1));
    // globex is in the path: it would not use it.
    let back = Attrs { org_path: path(&["initech.example", "globex.example"]), ..Attrs::default() };
    bench.announce(1, &[("orders.globex.example", "o2", back)]);
    assert!(bench.rows().iter().any(|r| r.0 == "orders.globex.example" && r.2 == "best"));
    assert!(bench.remote(2).table.is_empty());
}

fn rule(service: &str, neighbour: &str) -> Rule {
    Rule::new(Pattern::parse(service).unwrap(), Neighbour::parse(neighbour).unwrap())
}

#[test]
fn what_rules_set_is_heard_inside_and_over_the_next_border() {
    let mut bench = between(Role::Customer, Role::Customer, &[]);
    bench.internal(3, "b.acme.example");
    let gold = "acme.example:gold";
    let set = |set: Set, rule: Rule| Rule { set, ..rule };
    let imports = [set(
        Set {
            local_pref: Some(250),
            cost: Some(7),
            add_tags: [gold.parse().unwrap()].into(),
            del_tags: catalyst_policy::DelTags::All,
        },
        rule("*", "initech.example"),
    )];
    let mut onward = rule("*.*", "globex.example");
    onward.tag = Some(gold.parse().unwrap());
    onward.set.cost = Some(9);
    bench.feed(Event::PolicyChanged { exports: [onward].into(), imports: imports.into() });
    let came = Attrs { tags: path(&["initech.example:raw"]), cost: 3, ..across("initech.example") };
    bench.announce(1, &[(STOCK, "o1", came)]);
    let inside = attrs_at(&bench, 3, STOCK).unwrap();
    assert_eq!((inside.local_pref, inside.cost), (Some(250), 7));
    assert!(inside.tags.iter().eq([gold]));
    let beyond = attrs_at(&bench, 2, STOCK).unwrap();
    assert_eq!((beyond.local_pref, beyond.cost), (None, 9));
    assert!(beyond.tags.iter().eq([gold]), "matched on the tag that import put on");
    // Adj-RIB-In has it as it came, so another edit starts from there.
    let row = bench.core.state().route_rows().into_iter().find(|r| r.service == STOCK).unwrap();
    assert_eq!((row.tags, row.local_pref), (["initech.example:raw".into()].into(), 250));
    bench.feed(rules(ALL));
    let beyond = attrs_at(&bench, 2, STOCK).unwrap();
    assert!(beyond.tags.iter().eq(["initech.example:raw"]) && beyond.cost == 3);
    bench.check();
}

#[test]
fn a_neighbour_with_many_tags_keeps_off_none_of_ours() {
    let mut bench = between(Role::Customer, Role::Customer, &[]);
    bench.internal(3, "b.acme.example");
    let ours: catalyst_policy::Tag =
        "acme.example:for-those-inside-and-for-nobody-beyond-the-border-at-all".parse().unwrap();
    let other = "acme.example:so-that-what-is-added-is-longer-than-there-is-room".parse().unwrap();
    let set = Set { add_tags: [ours.clone(), other].into(), ..Set::default() };
    let imports = [Rule { set: set.clone(), ..rule("*", "initech.example") }];
    let reject = Rule {
        tag: Some(ours.clone()),
        action: catalyst_policy::Action::Reject,
        ..rule("*.*", "globex.example")
    };
    let exports = [reject, Rule { set, ..rule("*.*", "globex.example") }];
    bench.feed(Event::PolicyChanged { exports: exports.into(), imports: imports.clone().into() });
    let org = alloc::format!("{}.{}.example", "a".repeat(60), "b".repeat(31));
    let tags = |count: usize, len: usize| -> Vec<String> {
        let org = if len > 2 { &org } else { "t.example" };
        (0..count).map(|n| alloc::format!("{org}:{n:0>len$}")).collect()
    };
    let announce = |bench: &mut Bench, tags: &[String]| {
        let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
        let came = Attrs { tags: path(&tags), ..across("initech.example") };
        bench.announce(1, &[(STOCK, "o1", came)]);
    };
    announce(&mut bench, &tags(30, 2));
    let inside = attrs_at(&bench, 3, STOCK).unwrap();
    assert!(inside.tags.len() == 32 && inside.tags.contains(ours.as_str()));
    assert!(attrs_at(&bench, 2, STOCK).is_none(), "the rule that looks at our tag rejects it");
    // With as many as there may be, or with as long ones, ours has no room: the route is of no use.
    for full in [tags(31, 2), tags(30, 31)] {
        announce(&mut bench, &full);
        assert_eq!(bench.rows()[0].2, "ineligible");
        assert!(attrs_at(&bench, 2, STOCK).is_none() && attrs_at(&bench, 3, STOCK).is_none());
    }
    assert_eq!(bench.peer(A).denied, 2);
    let row = bench.core.explain(STOCK, None);
    assert!(alloc::format!("{row:?}").contains("no room for the tags"), "{row:?}");
    // Where import adds none, export may: what it cannot add keeps the route in.
    let plain = [rule("*", "initech.example")];
    let adds = bench.core.state().exports().rules()[1].clone();
    bench.feed(Event::PolicyChanged { exports: [adds].into(), imports: plain.into() });
    assert!(attrs_at(&bench, 3, STOCK).is_some() && attrs_at(&bench, 2, STOCK).is_none());
    announce(&mut bench, &tags(30, 2));
    assert!(attrs_at(&bench, 2, STOCK).unwrap().tags.contains(ours.as_str()));
    bench.check();
}

#[test]
fn a_rule_for_one_node_concerns_that_node_alone() {
    let mut bench = between(Role::Customer, Role::Customer, ALL);
    let other = "gw2.globex.example";
    bench.feed(peer(other, Some(agreement("globex.example", Role::Customer, 10, 9999))));
    bench.up(3, other);
    bench.announce(
        1,
        &[
            (STOCK, "o1", across("initech.example")),
            ("mail.initech.example", "o1", across("initech.example")),
        ],
    );
    assert!(attrs_at(&bench, 2, STOCK).is_some() && attrs_at(&bench, 3, STOCK).is_some());
    // While both sessions stay: one of the two hears no more of it, and the other nothing at all.
    let exports = [
        Rule { action: catalyst_policy::Action::Reject, ..rule("stock.initech.example", C) },
        rule("*.*", "globex.example"),
    ];
    let imports = [rule("*.*", "initech.example")];
    bench.effects();
    bench.heard(3);
    bench.feed(Event::PolicyChanged { exports: exports.to_vec(), imports: imports.to_vec() });
    assert!(attrs_at(&bench, 2, STOCK).is_none() && attrs_at(&bench, 2, "mail.initech.example").is_some());
    assert!(attrs_at(&bench, 3, STOCK).is_some());
    assert_eq!(bench.heard(3), []);
    let cut: Vec<_> = bench
        .effects()
        .into_iter()
        .filter_map(|e| match e {
            Effect::Grant { peer, service, granted } => Some((peer, service, granted)),
            _ => None,
        })
        .collect();
    assert_eq!(cut, [(name(C), STOCK.parse().unwrap(), false)], "and its permission goes");
    bench.check();
    bench.down(2);
    bench.down(3);
    bench.down(1);
    bench.check();
}

#[test]
fn rules_count_and_go_on_counting_over_an_edit() {
    let mut bench = between(Role::Customer, Role::Customer, &[]);
    let named = |name: &str, rule: Rule| Rule { name: name.into(), ..rule };
    let imports = [named("a", rule("mail", "initech.example")), rule("*", "initech.example")];
    bench.feed(Event::PolicyChanged { exports: [].into(), imports: imports.to_vec() });
    bench.announce(1, &[(STOCK, "o1", across("initech.example"))]);
    bench.announce(1, &[("mail.initech.example", "o1", across("initech.example"))]);
    assert_eq!(bench.core.state().import_matches(), [1, 1]);
    let turned = [imports[1].clone(), named("b", rule("x", "*")), imports[0].clone()];
    bench.feed(Event::PolicyChanged {
        exports: [rule("*.*", "globex.example")].into(),
        imports: turned.to_vec(),
    });
    // Both routes are judged anew by the rule that is first now.
    assert_eq!(bench.core.state().import_matches(), [3, 0, 1]);
    assert_eq!(bench.core.state().export_matches(), [2]);
}

#[test]
fn rules_that_do_not_hold_together_change_nothing() {
    let mut bench = between(Role::Customer, Role::Customer, ALL);
    let before = bench.core.state().exports().clone();
    let twice = [Rule { name: "a".into(), ..rule("x", "*") }, Rule { name: "a".into(), ..rule("y", "*") }];
    bench.feed(Event::PolicyChanged { exports: twice.to_vec(), imports: [].into() });
    assert_eq!(*bench.core.state().exports(), before);
    assert!(matches!(&bench.notices()[..], [.., Notice::PolicyRefused(why)] if why.starts_with("exports/1")));
    assert!(RuleList::new(Direction::Export, twice.to_vec()).is_err());
}
