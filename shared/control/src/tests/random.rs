//! Any events in any order, with frames that are nearly right: nothing panics and the books stay balanced.

use std::boxed::Box;
use std::vec;
use std::vec::Vec;

use catalyst_policy::Role;
use catalyst_route_table::{Fixed, Heap, Limits as TableLimits, Store};
use catalyst_wire::{
    Attrs, FrameType, Health, Interest, Keepalive, Notify, NotifyCode, Refresh, Refused, WellKnown,
};
use proptest::prelude::*;

use super::kit::*;
use crate::*;

const PEERS: [&str; 3] = ["b.acme.example", "c.acme.example", "p.globex.example"];
const LABELS: [&str; 3] = ["x", "y", "z"];

#[derive(Clone, Debug)]
enum Op {
    Configure(usize, u32),
    Remove(usize),
    Up(u64, usize, bool),
    Open(u64, usize, u64),
    Announce(u64, usize, Vec<(usize, usize, u32, u32)>),
    Withdraw(u64, usize, Vec<(usize, usize)>),
    Plain(u64, usize),
    Raw(u64, Vec<u8>),
    /// A sound frame with some bytes turned over.
    Damaged(u64, usize, Vec<(prop::sample::Index, u8)>),
    Writable(u64, usize),
    Down(u64),
    Offer(usize, u32, bool),
    Withhold(usize),
    Health(usize, bool),
    Rules(usize),
    Drain(bool),
    Wait(u64),
    Stop,
}

fn op() -> impl Strategy<Value = Op> {
    let s = 1u64..6;
    let p = 0..PEERS.len();
    let l = 0..LABELS.len();
    let routes = prop::collection::vec((0usize..3, 0usize..2, 0u32..3, 0u32..16), 1..5);
    let keys = prop::collection::vec((0usize..3, 0usize..2), 1..5);
    let damage = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4);
    prop_oneof![
        2 => (p.clone(), 1u32..4).prop_map(|(p, n)| Op::Configure(p, n)),
        1 => p.clone().prop_map(Op::Remove),
        4 => (s.clone(), p.clone(), any::<bool>()).prop_map(|(s, p, d)| Op::Up(s, p, d)),
        5 => (s.clone(), p.clone(), 1u64..3).prop_map(|(s, p, i)| Op::Open(s, p, i)),
        8 => (s.clone(), p.clone(), routes).prop_map(|(s, p, r)| Op::Announce(s, p, r)),
        4 => (s.clone(), p.clone(), keys).prop_map(|(s, p, k)| Op::Withdraw(s, p, k)),
        4 => (s.clone(), 0usize..12).prop_map(|(s, k)| Op::Plain(s, k)),
        1 => (s.clone(), prop::collection::vec(any::<u8>(), 0..40)).prop_map(|(s, b)| Op::Raw(s, b)),
        2 => (s.clone(), 0usize..6, damage).prop_map(|(s, k, d)| Op::Damaged(s, k, d)),
        5 => (s.clone(), prop_oneof![0usize..600, Just(PLENTY)]).prop_map(|(s, b)| Op::Writable(s, b)),
        2 => s.prop_map(Op::Down),
        3 => (l.clone(), 0u32..3, any::<bool>()).prop_map(|(l, c, h)| Op::Offer(l, c, h)),
        2 => l.clone().prop_map(Op::Withhold),
        1 => (l, any::<bool>()).prop_map(|(l, h)| Op::Health(l, h)),
        2 => (0usize..5).prop_map(Op::Rules),
        1 => any::<bool>().prop_map(Op::Drain),
        2 => (0u64..4000).prop_map(Op::Wait),
        1 => Just(Op::Stop),
    ]
}

fn config(p: usize, n: u32) -> Event {
    // Both shapes of the outer neighbour: with an agreement that changes, and without.
    let agreement = (p == 2 && n > 1).then(|| agreement("globex.example", Role::Peer, n, 600));
    peer(PEERS[p], agreement)
}

fn attrs(p: usize, cost: u32, bits: u32) -> Attrs<'static> {
    let health = if bits & 1 == 1 { Health::Down } else { Health::Up };
    let base = if p == 2 { across("globex.example") } else { through(if p == 0 { "b" } else { "c" }) };
    Attrs { cost, health, well_known: WellKnown(bits & 6), ..base }
}

/// Names of services: of our own organisation from inside, of theirs from outside, and sometimes the other way.
fn service(p: usize, n: usize, bits: u32) -> &'static str {
    let inner = ["x.acme.example", "y.acme.example", "z.acme.example"];
    let outer = ["x.globex.example", "y.globex.example", "z.globex.example"];
    if (p == 2) == (bits & 8 == 0) { outer[n] } else { inner[n] }
}

const ORIGINS: [&str; 2] = ["o1", "o2"];

fn sound(kind: usize) -> Vec<u8> {
    let mut buf = [0u8; 700];
    match kind {
        0 => Keepalive::default().write(&mut buf).unwrap().to_vec(),
        1 => plain(FrameType::EndOfRib),
        2 => Refused { count: 3, reason: "full", services: "" }.write(&mut buf).unwrap().to_vec(),
        3 => Notify { code: NotifyCode::SHUTDOWN, reason: "bye", document: "" }
            .write(&mut buf)
            .unwrap()
            .to_vec(),
        4 => open("b.acme.example", 1, None),
        6 => Refresh::REQUEST.write(&mut buf).unwrap().to_vec(),
        7 => Refresh::BEGIN.write(&mut buf).unwrap().to_vec(),
        8 => Refresh::END.write(&mut buf).unwrap().to_vec(),
        9 => Interest::write(Some(["x.*", "y.acme.example"].into_iter()), &mut buf).unwrap().0.to_vec(),
        10 => Interest::write(Some(["*.globex.example"].into_iter()), &mut buf).unwrap().0.to_vec(),
        11 => Interest::write(None::<std::iter::Empty<&str>>, &mut buf).unwrap().0.to_vec(),
        _ => {
            let routes = [("x.acme.example", "o1", through("b")), ("y.acme.example", "o2", through("b"))];
            updates(&routes, &[]).remove(0)
        }
    }
}

fn events<S: Store>(bench: &Bench<S>, op: &Op) -> Vec<Event> {
    let session = |s: &u64| SessionId(*s);
    let frame = |s: &u64, frame| Event::PeerFrame { session: SessionId(*s), frame };
    let one = match op {
        Op::Configure(p, n) => config(*p, *n),
        Op::Remove(p) => Event::PeerRemoved(name(PEERS[*p])),
        Op::Up(s, p, dialled) => {
            Event::SessionUp { session: session(s), peer: name(PEERS[*p]), dialled: *dialled }
        }
        Op::Open(s, p, run) => {
            let agreement = bench.core.state().peer(&name(PEERS[*p])).and_then(|p| p.agreement);
            frame(s, open(PEERS[*p], *run, agreement))
        }
        Op::Announce(s, p, routes) => {
            let routes: Vec<_> = routes
                .iter()
                .map(|(n, o, cost, bits)| (service(*p, *n, *bits), ORIGINS[*o], attrs(*p, *cost, *bits)))
                .collect();
            return updates(&routes, &[]).into_iter().map(|f| frame(s, f)).collect();
        }
        Op::Withdraw(s, p, keys) => {
            let keys: Vec<_> = keys.iter().map(|(n, o)| (service(*p, *n, 0), ORIGINS[*o])).collect();
            return updates(&[], &keys).into_iter().map(|f| frame(s, f)).collect();
        }
        Op::Plain(s, kind) => frame(s, sound(*kind)),
        Op::Raw(s, bytes) => frame(s, bytes.clone()),
        Op::Damaged(s, kind, damage) => {
            let mut bytes = sound(*kind);
            for (at, by) in damage {
                let at = at.index(bytes.len());
                bytes[at] ^= by;
            }
            frame(s, bytes)
        }
        Op::Writable(s, bytes) => Event::Writable { session: session(s), bytes: *bytes },
        Op::Down(s) => Event::SessionDown { session: session(s) },
        Op::Offer(l, cost, healthy) => {
            Event::ServiceUp(LocalService { cost: *cost, healthy: *healthy, ..local(LABELS[*l]) })
        }
        Op::Withhold(l) => Event::ServiceDown(LABELS[*l].parse().unwrap()),
        Op::Health(l, healthy) => Event::Health { label: LABELS[*l].parse().unwrap(), healthy: *healthy },
        Op::Rules(n) => {
            let all = ["x>globex.example", "*>globex.example", "x<globex.example", "*<globex.example"];
            rules(&all[..*n])
        }
        Op::Drain(draining) => Event::DrainChanged(*draining),
        Op::Wait(_) => Event::Tick,
        Op::Stop => Event::Stop,
    };
    Vec::from([one])
}

/// Sessions of the transport have fresh numbers; what the operations call session 1 is the newest of that name.
#[derive(Default)]
struct Numbers([u64; 6]);

impl Numbers {
    fn fresh(&self, event: Event) -> Event {
        let map = |s: SessionId| SessionId(s.0 + 10 * self.0[s.0 as usize]);
        match event {
            Event::SessionUp { session, peer, dialled } => {
                Event::SessionUp { session: map(session), peer, dialled }
            }
            Event::PeerFrame { session, frame } => Event::PeerFrame { session: map(session), frame },
            Event::Writable { session, bytes } => Event::Writable { session: map(session), bytes },
            Event::SessionDown { session } => Event::SessionDown { session: map(session) },
            other => other,
        }
    }
}

fn play<S: Store>(mut bench: Bench<S>, ops: &[Op]) -> Bench<S> {
    let mut numbers = Numbers::default();
    (0..2).for_each(|p| bench.feed(config(p, 1)));
    for op in ops {
        if let Op::Up(s, ..) = op {
            numbers.0[*s as usize] += 1;
        }
        if let Op::Wait(ms) = op {
            bench.run_until(bench.now + ms);
        }
        for event in events(&bench, op) {
            bench.feed(numbers.fresh(event));
        }
        bench.check();
        mirrors(&bench);
    }
    bench.run_until(bench.now);
    assert!(!bench.core.is_walking());
    mirrors(&bench);
    bench
}

/// A neighbour that was given all the credit it wants holds what the group announces, but for its own.
fn mirrors<S: Store>(bench: &Bench<S>) {
    if bench.core.is_walking() || !bench.core.looking.is_empty() {
        return;
    }
    for peer in bench.core.state().peers() {
        let Some(session) = peer.session else { continue };
        let Some(remote) = bench.remotes.get(&session).filter(|r| r.credit > 20_000) else { continue };
        let table = bench.core.state().table();
        let expected = bench
            .core
            .groups()
            .announced(session)
            .filter(|key| bench.core.groups().wants(session, table.text(key.service)))
            .filter(|key| table.best(*key).is_some_and(|(b, _)| b.best != peer.sym))
            .count();
        assert_eq!(remote.table.len(), expected, "{}", peer.config.name);
        // As few as there are here are marked in the first step.
        let marked =
            |raw: &std::vec::Vec<u8>| Attrs::read(raw).unwrap().well_known.has(WellKnown::GRACEFUL_SHUTDOWN);
        let all_marked = remote.table.values().all(marked);
        assert!(!bench.core.state().is_draining() || all_marked, "{} holds one unmarked", peer.config.name);
        let relation = peer.relation.is_some();
        assert!(!relation || remote.unconfirmed.is_none(), "a refresh of {} has no end", peer.config.name);
        assert_eq!(
            bench.core.groups().digest(session).map(crate::sum::Sum::bytes),
            relation.then(|| remote.sum()),
            "the digest for {}",
            peer.config.name
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn no_events_panic_and_nothing_is_left_behind(ops in prop::collection::vec(op(), 1..80)) {
        let mut bench = play(Bench::limited(Limits { tombstones: 4, ..Limits::CLOUD }), &ops);
        let again = bench.recording.replay(Heap::new(TableLimits::CLOUD)).unwrap();
        prop_assert_eq!(again.digest(), bench.core.digest());
        bench.give_all_back();
    }

    #[test]
    fn nor_in_a_table_that_is_always_full(ops in prop::collection::vec(op(), 1..80)) {
        let limits = Limits { services: 2, peers: 2, links_per_peer: 2, routes_per_peer: 3, bytes_per_peer: 90, notices: 4, tombstones: 2, origins: 1, walked: 1 };
        let store: Box<Fixed<6, 12, 160, 48>> = Box::new(Fixed::new(6));
        let mut bench = play(Bench::over(store, limits), &ops);
        bench.give_all_back();
    }

    #[test]
    fn neighbours_with_credit_hold_what_the_best_paths_say(
        ops in prop::collection::vec(op(), 1..60),
        up in prop::collection::vec(0usize..3, 1..4),
    ) {
        let mut bench = Bench::new();
        bench.feed(rules(&["*>globex.example", "*<globex.example"]));
        (0..3).for_each(|p| bench.feed(config(p, 3)));
        for (n, p) in up.iter().enumerate() {
            let session = 900 + n as u64;
            if bench.peer(PEERS[*p]).session.is_none() {
                bench.up(session, PEERS[*p]);
            }
        }
        play(bench, &ops);
    }
}
