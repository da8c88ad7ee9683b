//! Two plugins that want the same key: the event is dropped, counted and reported.

use std::borrow::Cow;
use std::boxed::Box;
use std::string::{String, ToString};
use std::vec::Vec;

use catalyst_names::Protocol;
use catalyst_route_table::{Heap, Rank, Sym};
use catalyst_wire::Attrs;

use super::kit::*;
use crate::plugin::RouteTablePlugin;
use crate::*;

fn announce<'e>(neighbour: Sym, service: &'e str) -> Write<'e> {
    Write::Announce {
        neighbour,
        service: Cow::Borrowed(service),
        origin: Cow::Borrowed("o"),
        rank: Rank::of(&Attrs::default(), 100, false),
        protocol: Protocol::Tcp,
        weight: 1,
        attrs: Cow::Borrowed(&[]),
    }
}

fn withdraw<'e>(neighbour: Sym, service: &'e str) -> Write<'e> {
    Write::Withdraw { neighbour, service: Cow::Borrowed(service), origin: Cow::Borrowed("o") }
}

fn delta(writes: Vec<Write<'_>>) -> Delta<'_> {
    let mut delta = Delta::default();
    writes.into_iter().for_each(|w| delta.push(w));
    delta
}

fn joined(a: Vec<Write<'_>>, b: Vec<Write<'_>>) -> Result<usize, String> {
    let join = |a, b| {
        Delta::join(Vec::from([delta(a), Delta::default(), delta(b)]))
            .map(|d| d.writes.len())
            .map_err(|c| c.to_string())
    };
    let forward = join(a.clone(), b.clone());
    assert_eq!(forward.is_ok(), join(b, a).is_ok(), "it does not matter who speaks first");
    forward
}

#[test]
fn different_keys_join() {
    let (n, m) = (Sym(1), Sym(2));
    let config =
        || Box::new(PeerConfig { name: name("b.acme.example"), agreement: None, hold_ms: 1, restart_ms: 0 });
    let table: [(Vec<Write<'_>>, Vec<Write<'_>>); 7] = [
        (Vec::new(), Vec::new()),
        (Vec::from([announce(n, "x")]), Vec::from([announce(n, "y")])),
        (Vec::from([announce(n, "x")]), Vec::from([announce(m, "x")])),
        (Vec::from([Write::Flush(n)]), Vec::from([announce(m, "x"), Write::Flush(m)])),
        (Vec::from([Write::SetService(local("x"))]), Vec::from([Write::SetService(local("y"))])),
        (Vec::from([Write::SetPeer(config())]), Vec::from([Write::RemovePeer(name("c.acme.example"))])),
        // Counting is not writing.
        (Vec::from([Write::Count(n, Count::Looped)]), Vec::from([Write::Count(n, Count::Looped)])),
    ];
    for (a, b) in table {
        let sum = a.len() + b.len();
        assert_eq!(joined(a, b), Ok(sum));
    }
}

#[test]
fn the_same_key_is_a_conflict() {
    let n = Sym(1);
    let config =
        || Box::new(PeerConfig { name: name("b.acme.example"), agreement: None, hold_ms: 1, restart_ms: 0 });
    let policy = || Write::SetPolicy { exports: &[], imports: &[] };
    let label = || "x".parse().unwrap();
    let table: [(Vec<Write<'_>>, Vec<Write<'_>>, &str); 8] = [
        (
            Vec::from([announce(n, "w"), announce(n, "x")]),
            Vec::from([announce(n, "x")]),
            "the route to 'x' from 'o'",
        ),
        (Vec::from([announce(n, "x")]), Vec::from([withdraw(n, "x")]), "the route to 'x' from 'o'"),
        (Vec::from([Write::Flush(n)]), Vec::from([Write::Age(n)]), "all routes of a neighbour"),
        (Vec::from([Write::Flush(n)]), Vec::from([announce(n, "x")]), "the route to 'x'"),
        (
            Vec::from([Write::SetService(local("x"))]),
            Vec::from([Write::RemoveService(label())]),
            "the service 'x'",
        ),
        (
            Vec::from([Write::SetPeer(config())]),
            Vec::from([Write::RemovePeer(name("b.acme.example"))]),
            "the peer 'b.acme.example'",
        ),
        (Vec::from([policy()]), Vec::from([policy()]), "rules"),
        (Vec::from([Write::Age(n)]), Vec::from([withdraw(n, "x")]), "the route to 'x'"),
    ];
    for (a, b, words) in table {
        let conflict = joined(a, b).unwrap_err();
        assert!(conflict.contains(words), "{conflict:?} should name {words:?}");
        assert!(conflict.contains("remove one of the plugins"));
    }
}

#[test]
fn one_plugin_may_write_a_key_twice() {
    assert_eq!(joined(Vec::from([withdraw(Sym(1), "x"), announce(Sym(1), "x")]), Vec::new()), Ok(2));
}

/// Wants what the default plugin wants, whenever that is switched on by its argument.
struct Meddler(fn(&Event) -> bool);

impl RouteTablePlugin<Heap> for Meddler {
    fn name(&self) -> &'static str {
        "meddler"
    }

    fn apply<'e>(&self, event: &'e Event, state: &State<Heap>) -> Delta<'e> {
        let mut delta = Delta::default();
        if (self.0)(event) {
            state.peers().for_each(|p| delta.push(Write::Flush(p.sym)));
            if let Event::PolicyChanged { exports, imports } = event {
                delta.push(Write::SetPolicy { exports, imports });
            }
        }
        delta
    }
}

fn meddled(wants: fn(&Event) -> bool) -> Bench {
    let mut bench = Bench::new();
    bench.core.add_routes(Box::new(Meddler(wants)));
    bench.internal(1, "b.acme.example");
    bench.effects();
    bench
}

#[test]
fn the_event_is_dropped_counted_and_reported() {
    let mut bench = meddled(|e| matches!(e, Event::PeerFrame { .. }));
    bench.announce(1, &[("x.acme.example", "b", through("b"))]);
    assert!(bench.rows().is_empty());
    assert!(
        matches!(&bench.notices()[..], [Notice::PluginConflict(why)] if why.contains("'x.acme.example'"))
    );
    assert_eq!(bench.core.state().counters().plugin_conflicts, 1);
    assert_eq!(bench.peer("b.acme.example").session, Some(SessionId(1)));
    bench.offer("own");
    assert_eq!(bench.rows().len(), 1, "other events pass");
    bench.check();
}

#[test]
fn the_routes_of_a_session_that_is_gone_go_whatever_plugins_want() {
    let mut bench = meddled(|e| matches!(e, Event::SessionDown { .. }));
    bench.announce(1, &[("x.acme.example", "b", through("b"))]);
    bench.down(1);
    assert_eq!(bench.core.state().counters().plugin_conflicts, 0);
    assert!(bench.rows().is_empty(), "no zombies");
    bench.check();
}

#[test]
fn rules_of_a_dropped_change_do_not_count() {
    let mut bench = meddled(|e| matches!(e, Event::PolicyChanged { .. }));
    bench.feed(rules(&["*>globex.example"]));
    assert!(bench.core.state().exports().rules().is_empty());
    assert_eq!(bench.core.state().counters().plugin_conflicts, 1);
}
