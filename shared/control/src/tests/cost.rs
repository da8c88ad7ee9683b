//! What a change costs does not depend on how large the table is: every look at the store is counted.

use std::cell::Cell;
use std::format;
use std::vec;
use std::vec::Vec;

use catalyst_policy::Role;
use catalyst_route_table::{Best, Heap, Limits as TableLimits, Refusal, Route, RouteKey, Slot, Store, Sym};
use catalyst_wire::{Attrs, FrameType};

use super::kit::*;
use crate::*;

/// Counts calls, and the elements of walks.
struct Counted {
    inner: Heap,
    looks: Cell<usize>,
}

impl Counted {
    fn look(&self) -> &Heap {
        self.looks.set(self.looks.get() + 1);
        &self.inner
    }

    fn touch(&mut self) -> &mut Heap {
        self.looks.set(self.looks.get() + 1);
        &mut self.inner
    }
}

impl Store for Counted {
    type Attrs = <Heap as Store>::Attrs;

    fn attrs(&self, bytes: &[u8]) -> Result<Self::Attrs, Refusal> {
        self.look().attrs(bytes)
    }
    fn route(&self, slot: Slot) -> Option<&Route<Self::Attrs>> {
        self.look().route(slot)
    }
    fn put(&mut self, slot: Slot, route: Route<Self::Attrs>) -> Result<Option<Route<Self::Attrs>>, Refusal> {
        self.touch().put(slot, route)
    }
    fn take(&mut self, slot: Slot) -> Option<Route<Self::Attrs>> {
        self.touch().take(slot)
    }
    fn candidates(&self, key: RouteKey) -> impl Iterator<Item = (Sym, &Route<Self::Attrs>)> {
        self.look().candidates(key).inspect(|_| self.looks.set(self.looks.get() + 1))
    }
    fn of_neighbour(&self, neighbour: Sym, after: Option<RouteKey>) -> Option<RouteKey> {
        self.look().of_neighbour(neighbour, after)
    }
    fn len(&self) -> usize {
        self.look().len()
    }
    fn best(&self, key: RouteKey) -> Option<Best> {
        self.look().best(key)
    }
    fn set_best(&mut self, key: RouteKey, best: Option<Best>) {
        self.touch().set_best(key, best);
    }
    fn bests_of(&self, service: Sym) -> impl Iterator<Item = (RouteKey, Best)> {
        self.look().bests_of(service).inspect(|_| self.looks.set(self.looks.get() + 1))
    }
    fn key_after(&self, after: Option<RouteKey>) -> Option<RouteKey> {
        self.look().key_after(after)
    }
    fn find(&self, text: &str) -> Option<Sym> {
        self.look().find(text)
    }
    fn text(&self, sym: Sym) -> &str {
        self.look().text(sym)
    }
    fn intern(&mut self, text: &str) -> Result<Sym, Refusal> {
        self.touch().intern(text)
    }
    fn retain(&mut self, sym: Sym) {
        self.touch().retain(sym);
    }
    fn release(&mut self, sym: Sym) {
        self.touch().release(sym);
    }
    fn collect(&mut self) {
        self.touch().collect();
    }
    fn names(&self) -> usize {
        self.look().names()
    }
}

/// How often the store is looked at for each of a row of events, in a table of this many routes.
fn looks(routes: usize) -> Vec<(&'static str, usize)> {
    let store = Counted { inner: Heap::new(TableLimits::CLOUD), looks: Cell::new(0) };
    let mut bench = Bench::over(store, Limits::CLOUD);
    for (session, node) in [(1, "b.acme.example"), (2, "c.acme.example"), (3, "d.acme.example")] {
        bench.feed(peer(node, None));
        bench.up(session, node);
    }
    bench.feed(rules(&["*>globex.example"]));
    bench.feed(peer("p.globex.example", Some(agreement("globex.example", Role::Peer, 100, 9999))));
    bench.up(4, "p.globex.example");
    let names: Vec<_> = (0..routes).map(|n| format!("s{n}.acme.example")).collect();
    let all: Vec<_> = names.iter().map(|s| (s.as_str(), "e", through("b"))).collect();
    updates(&all, &[]).into_iter().for_each(|f| bench.frame(1, f));
    // What was told of the table is long ago.
    bench.now += Limits::PAUSE_MS;
    for node in ["e.acme.example", "f.acme.example"] {
        bench.feed(peer(node, None));
    }

    let one = |cost| updates(&[("s7.acme.example", "e", Attrs { cost, ..through("b") })], &[]).remove(0);
    let other = updates(&[("s7.acme.example", "e", Attrs { cost: 5, ..through("c") })], &[]).remove(0);
    let gone = updates(&[], &[("s7.acme.example", "e")]).remove(0);
    let frame = |session, frame| Event::PeerFrame { session: SessionId(session), frame };
    let agreed = None;
    let steps = [
        ("a new service", Event::ServiceUp(local("fresh"))),
        ("a changed health", Event::Health { label: "fresh".parse().unwrap(), healthy: false }),
        ("a changed route", frame(1, one(9))),
        ("a better route", frame(2, other)),
        ("a withdrawal", frame(1, gone.clone())),
        ("a withdrawal of the best", frame(2, gone)),
        ("a keepalive", frame(1, plain(FrameType::Keepalive))),
        ("a tick", Event::Tick),
        (
            "a new neighbour",
            Event::SessionUp { session: SessionId(9), peer: name("e.acme.example"), dialled: true },
        ),
        ("its OPEN", frame(9, open("e.acme.example", 1, agreed))),
        ("its end", Event::SessionDown { session: SessionId(9) }),
        ("a service that goes", Event::ServiceDown("fresh".parse().unwrap())),
    ];
    let count = |(what, event)| {
        let before = bench.core.state().table().store().looks.get();
        bench.feed(event);
        (what, bench.core.state().table().store().looks.get() - before)
    };
    steps.into_iter().map(count).collect()
}

#[test]
fn the_cost_of_a_change_does_not_depend_on_the_size_of_the_table() {
    let (small, large) = (looks(100), looks(20_000));
    assert_eq!(small, large);
    for (what, looks) in large {
        assert!(looks < 200, "{what} looks at the store {looks} times");
    }
}

/// The same of what goes over the whole table: other rules, the table of a new export group, marks; and what comes between.
#[cfg(feature = "transit")]
fn walked(routes: usize) -> Vec<(&'static str, usize)> {
    let store = Counted { inner: Heap::new(TableLimits::CLOUD), looks: Cell::new(0) };
    let mut bench = Bench::over(store, Limits { walked: 64, ..Limits::CLOUD });
    bench.feed(peer("b.acme.example", None));
    bench.up(1, "b.acme.example");
    bench.feed(rules(&["*.*<globex.example", "*.*>globex.example"]));
    for (session, org) in [(4, "globex.example"), (5, "initech.example")] {
        let node = format!("p.{org}");
        bench.feed(peer(&node, Some(agreement(org, Role::Customer, 1_000_000, u32::MAX))));
        bench.up(session, &node);
    }
    let half = |org: &str| (0..routes / 2).map(|n| format!("s{n}.{org}")).collect::<Vec<_>>();
    let (own, theirs) = (half("acme.example"), half("globex.example"));
    let all: Vec<_> = own.iter().map(|s| (s.as_str(), "e", through("b"))).collect();
    updates(&all, &[]).into_iter().for_each(|f| bench.frame(1, f));
    let all: Vec<_> = theirs.iter().map(|s| (s.as_str(), "e", across("globex.example"))).collect();
    updates(&all, &[]).into_iter().for_each(|f| bench.frame(4, f));
    bench.run_until(bench.now);
    bench.now += Limits::PAUSE_MS;
    bench.feed(peer("q.third.example", Some(agreement("third.example", Role::Customer, 9, 9999))));

    let attrs = Attrs { cost: 9, ..across("globex.example") };
    let last = updates(&[(theirs.last().unwrap(), "e", attrs)], &[]).remove(0);
    let open = bench.open_of("q.third.example", 1);
    let frame = |session, frame| Event::PeerFrame { session: SessionId(session), frame };
    let up = |session| Event::SessionUp {
        session: SessionId(session),
        peer: name("q.third.example"),
        dialled: true,
    };
    let steps = [
        ("the table of a new group", vec![up(9), frame(9, open.clone())]),
        ("a step of it", vec![Event::Tick]),
        ("other rules", vec![rules(&["*.*>globex.example", "*.*>initech.example"])]),
        ("a step of the walk", vec![Event::Tick]),
        ("a change before it", vec![frame(4, last)]),
        (
            "a new group beside it",
            vec![Event::SessionDown { session: SessionId(9) }, up(10), frame(10, open)],
        ),
        ("a third step", vec![Event::Tick]),
        ("marks", vec![Event::DrainChanged(true)]),
    ];
    let count = |(what, events): (_, Vec<Event>)| {
        let before = bench.core.state().table().store().looks.get();
        events.into_iter().for_each(|event| bench.feed(event));
        assert!(bench.core.is_walking(), "{what}");
        (what, bench.core.state().table().store().looks.get() - before)
    };
    steps.into_iter().map(count).collect()
}

#[test]
#[cfg(feature = "transit")]
fn no_step_goes_over_the_whole_table() {
    let (small, large) = (walked(1_000), walked(20_000));
    assert_eq!(small, large);
    for (what, looks) in large {
        assert!(looks < 3_000, "{what} looks at the store {looks} times");
    }
}
