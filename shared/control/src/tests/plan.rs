//! A plan says beforehand what the change then does.

use std::collections::BTreeSet;
use std::string::{String, ToString};
use std::vec::Vec;

use catalyst_policy::{Agreement, Neighbour, Party, Pattern, Role, Rule, Set};

use super::kit::*;
use crate::*;

const GLOBEX: &str = "gw.globex.example";
const INITECH: &str = "gw.initech.example";

fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.feed(rules(&["inventory>globex.example", "*<initech.example"]));
    bench.feed(peer(GLOBEX, Some(agreement("globex.example", Role::Customer, 10, 9999))));
    bench.feed(peer(INITECH, Some(agreement("initech.example", Role::Customer, 10, 9999))));
    bench.up(1, GLOBEX);
    bench.up(2, INITECH);
    bench.offer("inventory");
    bench.offer("orders");
    bench.announce(2, &[("stock.initech.example", "o", across("initech.example"))]);
    bench.announce(1, &[("mail.globex.example", "o", across("globex.example"))]);
    bench
}

fn parts(event: &Event) -> (&[Rule], &[Rule]) {
    match event {
        Event::PolicyChanged { exports, imports } => (exports, imports),
        _ => (&[], &[]),
    }
}

/// Services that a session's neighbour holds.
fn held(bench: &Bench, session: u64) -> BTreeSet<String> {
    bench.remote(session).table.keys().map(|(service, _)| service.clone()).collect()
}

#[test]
fn a_plan_says_what_then_happens() {
    let sets: [&[&str]; 6] = [
        &[],
        &["inventory>globex.example", "*<initech.example"],
        &["*>*", "*.*<*"],
        &["*.*>globex.example", "*<initech.example", "mail<globex.example"],
        &["stock.initech.example>globex.example", "*.initech.example<initech.example"],
        &["orders>globex.example", "inventory>gw.globex.example"],
    ];
    for texts in sets {
        let mut bench = bench();
        let event = rules(texts);
        let (exports, imports) = parts(&event);
        let plan = bench.core.plan(exports, imports).unwrap();
        let before = [held(&bench, 1), held(&bench, 2)];
        let usable = |bench: &Bench| -> BTreeSet<String> {
            bench.rows().into_iter().filter(|r| r.2 == "best").map(|r| r.0).collect()
        };
        let here = usable(&bench);
        bench.feed(event.clone());
        let after = [held(&bench, 1), held(&bench, 2)];
        for (at, peer) in [GLOBEX, INITECH].into_iter().enumerate() {
            let of = |rows: &[crate::plan::Exposure]| -> Vec<String> {
                rows.iter().filter(|r| r.to == peer).map(|r| r.service.clone()).collect()
            };
            let new: Vec<String> = after[at].difference(&before[at]).cloned().collect();
            let gone: Vec<String> = before[at].difference(&after[at]).cloned().collect();
            assert_eq!((of(&plan.exposed), of(&plan.hidden)), (new, gone), "{texts:?} towards {peer}");
        }
        let now = usable(&bench);
        let (gained, lost): (Vec<_>, Vec<_>) =
            (now.difference(&here).cloned().collect(), here.difference(&now).cloned().collect());
        assert_eq!((plan.gained, plan.lost), (gained, lost), "{texts:?}");
        // Once it holds, there is nothing left to change.
        assert!(bench.core.plan(exports, imports).unwrap().is_empty(), "{texts:?}");
    }
}

#[test]
fn moves_ranks_and_changed_attributes_are_named() {
    let mut bench = bench();
    let passed = |first: &'static str| {
        path(match first {
            "globex.example" => &["globex.example", "far.example"],
            _ => &["initech.example", "far.example"],
        })
    };
    let all = rules(&["*.*>*", "*.*<*"]);
    bench.feed(all);
    for (session, org) in [(1, "globex.example"), (2, "initech.example")] {
        let attrs = catalyst_wire::Attrs { org_path: passed(org), ..Default::default() };
        bench.announce(session, &[("x.far.example", "o", attrs)]);
    }
    assert_eq!(bench.rows().iter().find(|r| r.0 == "x.far.example" && r.2 == "best").unwrap().1, GLOBEX);
    let any = || Rule::new(Pattern::parse("*.*").unwrap(), Neighbour::any());
    let preferred = Rule {
        set: Set { local_pref: Some(350), ..Set::default() },
        ..Rule::new(Pattern::parse("*.far.example").unwrap(), Neighbour::parse(INITECH).unwrap())
    };
    let plan = bench.core.plan(&[any()], &[preferred.clone(), any()]).unwrap();
    let moved = &plan.moved[..];
    assert_eq!(moved.len(), 1);
    assert_eq!((moved[0].from.as_str(), moved[0].to.as_str()), (GLOBEX, INITECH));
    assert_eq!((plan.ranked[0].from, plan.ranked[0].to), ((300, 0), (350, 0)));
    // What initech hears of it today it would no longer, as it would be its own; globex would, now.
    assert_eq!(plan.hidden.iter().map(|e| e.to.to_string()).collect::<Vec<_>>(), [INITECH]);
    assert_eq!(plan.exposed.iter().map(|e| e.to.to_string()).collect::<Vec<_>>(), [GLOBEX]);
    let costly = Rule { set: Set { cost: Some(4), ..Set::default() }, ..any() };
    let plan = bench.core.plan(&[costly], &[any()]).unwrap();
    assert!(plan.exposed.is_empty() && plan.hidden.is_empty() && !plan.altered.is_empty());
}

#[test]
fn a_plan_is_worked_out_in_pieces_while_the_table_changes() {
    let mut bench = bench();
    let event = rules(&["*.*>*", "*.*<*"]);
    let (exports, imports) = parts(&event);
    let whole = bench.core.plan(exports, imports).unwrap();
    let mut planning = bench.core.planning(exports, imports).unwrap();
    let mut pieces = 0;
    let plan = loop {
        if let Some(plan) = bench.core.plan_on(&mut planning, 1) {
            break plan;
        }
        pieces += 1;
    };
    assert_eq!(plan, whole);
    assert!(pieces >= 4 && !whole.is_empty(), "{pieces}");
    // A service goes, and another takes its number: the plan names what was looked at, or nothing.
    let mut planning = bench.core.planning(exports, imports).unwrap();
    assert_eq!(bench.core.plan_on(&mut planning, 4), None);
    bench.down(1);
    bench.down(2);
    bench.offer("late");
    let plan = loop {
        if let Some(plan) = bench.core.plan_on(&mut planning, 1) {
            break plan;
        }
    };
    let rows: Vec<_> = plan.exposed.into_iter().chain(plan.hidden).chain(plan.altered).collect();
    assert!(
        rows.iter()
            .all(|row| whole.exposed.iter().any(|w| w.service == row.service)
                || row.service.starts_with("late.")),
        "{rows:?}"
    );
}

/// The keys of a service come one after the other, whoever announced them: its rows are made once, and forgotten.
#[test]
fn a_service_of_several_origins_and_neighbours_is_looked_at_as_a_whole() {
    let mut bench = bench();
    bench.internal(3, "b.acme.example");
    bench.internal(4, "c.acme.example");
    let (x, y) = ("x.acme.example", "y.acme.example");
    bench.announce(3, &[(x, "o1", through("b")), (y, "o1", through("b"))]);
    bench.announce(4, &[(y, "o2", through("c")), (x, "o2", through("c")), (x, "o1", through("c"))]);
    let event = rules(&["x>globex.example", "y>initech.example"]);
    let mut planning = bench.core.planning(parts(&event).0, &[]).unwrap();
    let plan = loop {
        assert!(planning.remembered() <= 2 * 2 + 5, "of two neighbours and five that announce");
        if let Some(plan) = bench.core.plan_on(&mut planning, 1) {
            break plan;
        }
    };
    let rows = |list: &[crate::plan::Exposure]| -> Vec<(String, String)> {
        list.iter().map(|row| (row.service.clone(), row.to.clone())).collect()
    };
    let pair = |service: &str, to: &str| (service.to_string(), to.to_string());
    assert_eq!(rows(&plan.exposed), [pair(x, GLOBEX), pair(y, INITECH)]);
    assert!(rows(&plan.hidden).contains(&pair("inventory.acme.example", GLOBEX)), "{:?}", plan.hidden);
    assert_eq!(plan.left_out, 0);
}

#[test]
fn a_plan_remembers_what_differs_however_large_the_table_is() {
    let mut bench = bench();
    bench.internal(3, "b.acme.example");
    let services: Vec<String> = (0..3_000).map(|n| std::format!("s{n:04}.acme.example")).collect();
    let all: Vec<_> = services.iter().map(|service| (service.as_str(), "o", through("b"))).collect();
    bench.announce(3, &all);
    let event = rules(&["inventory>globex.example", "s*>globex.example", "*<initech.example"]);
    let (exports, imports) = parts(&event);
    let mut planning = bench.core.planning(exports, imports).unwrap();
    let plan = loop {
        assert!(planning.remembered() <= 2 * 2 + 4, "{}", planning.remembered());
        if let Some(plan) = bench.core.plan_on(&mut planning, 100) {
            break plan;
        }
    };
    assert_eq!((plan.exposed.len(), plan.left_out), (Limits::PLAN, 3_000 - Limits::PLAN));
    assert_eq!(plan.over_limit.len(), 1, "globex takes 1,000 routes: {:?}", plan.over_limit);
}

#[test]
fn a_plan_adds_up_bytes_too() {
    let mut bench = Bench::new();
    let party = |org: &str, role, max_bytes| Party {
        org: org.parse().unwrap(),
        role,
        max_services: 100,
        max_bytes,
        bundle: Default::default(),
        contact: Default::default(),
    };
    let plan = |bench: &mut Bench, most| {
        let (ours, theirs) =
            (party("acme.example", Role::Provider, most), party("globex.example", Role::Customer, 9_999));
        bench.feed(peer(GLOBEX, Some(Agreement::new(ours, theirs).unwrap())));
        let event = rules(&["*>globex.example"]);
        bench.core.plan(parts(&event).0, &[]).unwrap().over_limit
    };
    bench.offer("inventory");
    bench.offer("orders");
    bench.feed(rules(&["*>globex.example"]));
    plan(&mut bench, 9_999);
    bench.up(1, GLOBEX);
    // What the neighbour counts: the attributes as they reached it.
    let bytes: usize = bench.remote(1).table.values().map(Vec::len).sum();
    let most = u32::try_from(bytes).unwrap();
    assert_eq!(plan(&mut bench, most), Vec::<String>::new());
    let over = plan(&mut bench, most - 1);
    assert!(over.len() == 1 && over[0].contains(&std::format!("{most} bytes")), "{over:?}");
}

#[test]
fn a_plan_warns_of_limits_and_refuses_bad_rules() {
    let mut bench = Bench::new();
    let party = |org: &str, role, max_services| Party {
        org: org.parse().unwrap(),
        role,
        max_services,
        max_bytes: 9_999,
        bundle: Default::default(),
        contact: Default::default(),
    };
    let (ours, theirs) =
        (party("acme.example", Role::Provider, 1), party("globex.example", Role::Customer, 10));
    bench.feed(peer(GLOBEX, Some(Agreement::new(ours, theirs).unwrap())));
    bench.offer("inventory");
    bench.offer("orders");
    let event = rules(&["*>globex.example"]);
    let plan = bench.core.plan(parts(&event).0, &[]).unwrap();
    assert_eq!(plan.exposed.len(), 2, "also without a session");
    assert_eq!(plan.over_limit.len(), 1, "{plan:?}");
    let twice = [parts(&event).0, parts(&event).0].concat();
    let named: Vec<Rule> = twice.into_iter().map(|r| Rule { name: "a".into(), ..r }).collect();
    assert!(bench.core.plan(&named, &[]).is_err());
}
