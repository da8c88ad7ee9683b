//! Everything is bounded: what is new is refused and said so, what is there stays.

use std::boxed::Box;
use std::format;
use std::string::String;
use std::vec::Vec;

use catalyst_policy::Role;
use catalyst_route_table::{Fixed, Heap, Limits as TableLimits, Refusal, Store};
use catalyst_wire::{Attrs, FrameType, Open};

use super::kit::*;
use crate::*;

const P: &str = "p.globex.example";

/// A neighbour of globex that may announce this much, with all of it imported.
fn bounded(services: u32, bytes: u32) -> Bench {
    let mut bench = Bench::new();
    bench.feed(rules(&["*<globex.example"]));
    bench.feed(peer(P, Some(agreement("globex.example", Role::Peer, services, bytes))));
    bench.up(1, P);
    bench.effects();
    bench.heard(1);
    bench
}

fn announce<S: Store>(bench: &mut Bench<S>, n: usize, tag_bytes: usize) {
    let session = bench.peer(P).session.map_or(1, |session| session.0);
    announce_on(bench, session, n, tag_bytes);
}

fn announce_on<S: Store>(bench: &mut Bench<S>, session: u64, n: usize, tag_bytes: usize) {
    let service = format!("s{n}.globex.example");
    let attestation = std::vec![7u8; tag_bytes];
    let attrs = Attrs { attestation: Some(&attestation), ..across("globex.example") };
    let frames = updates(&[(&service, "o", attrs)], &[]);
    frames.into_iter().for_each(|f| bench.frame(session, f));
}

fn refusals(heard: &[Heard]) -> Vec<(u32, &str)> {
    let of = |h| match h {
        &Heard::Refused(count, ref why) => Some((count, why.as_str())),
        _ => None,
    };
    heard.iter().filter_map(of).collect()
}

#[test]
fn the_warning_comes_again_only_after_calm() {
    let mut bench = bounded(10, 99_999);
    (0..8).for_each(|n| announce(&mut bench, n, 1));
    assert_eq!(bench.notices(), [Notice::NearLimit(name(P))]);
    // One less, and one more: between the two marks nothing is said.
    bench.withdraw(1, &[("s7.globex.example", "o")]);
    announce(&mut bench, 7, 1);
    assert_eq!(bench.notices(), []);
    bench.withdraw(1, &[("s7.globex.example", "o"), ("s6.globex.example", "o")]);
    (6..8).for_each(|n| announce(&mut bench, n, 1));
    assert_eq!(bench.notices(), [Notice::NearLimit(name(P))]);
}

#[test]
fn an_agreement_bounds_services_warns_at_80_percent_and_keeps_the_session() {
    let mut bench = bounded(10, 99_999);
    for n in 0..7 {
        announce(&mut bench, n, 1);
    }
    assert_eq!(bench.notices(), []);
    announce(&mut bench, 7, 1);
    assert_eq!(bench.notices(), [Notice::NearLimit(name(P))]);
    announce(&mut bench, 8, 1);
    announce(&mut bench, 9, 1);
    assert_eq!(bench.notices(), [], "warned once");
    assert_eq!(bench.heard(1), []);
    for n in 10..13 {
        announce(&mut bench, n, 1);
    }
    let notices = bench.notices();
    assert!(
        matches!(&notices[..], [Notice::Refusing(who, why)] if *who == name(P) && why.contains("10 routes"))
    );
    let heard = bench.heard(1);
    let told = refusals(&heard);
    assert_eq!(told.iter().map(|t| t.0).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(told[0].1.contains("10 routes"));
    let peer = bench.peer(P);
    assert_eq!((peer.routes, peer.refused.count(), peer.session), (10, 3, Some(SessionId(1))));
    assert!(peer.refused.why().unwrap().contains("10 routes"));
    assert_eq!(bench.core.state().counters().refused, 3);
    // Replacements and withdrawals still pass; then there is room again.
    announce(&mut bench, 0, 9);
    assert_eq!(bench.peer(P).refused.count(), 3);
    bench.withdraw(1, &[("s0.globex.example", "o")]);
    announce(&mut bench, 20, 1);
    assert_eq!((bench.peer(P).routes, bench.peer(P).refused.count()), (10, 3));
    bench.check();
    bench.give_all_back();
}

#[test]
fn an_agreement_bounds_bytes_and_a_replacement_that_is_too_large_is_gone() {
    let mut bench = bounded(1000, 1000);
    let mut n = 0;
    while bench.peer(P).refused.count() == 0 {
        announce(&mut bench, n, 50);
        n += 1;
    }
    let peer = bench.peer(P);
    assert!(peer.bytes <= 1000 && peer.bytes > 900, "{} bytes", peer.bytes);
    assert!(peer.refused.why().unwrap().contains("1000 bytes"));
    assert!(peer.warned);
    let (routes, bytes) = (peer.routes, peer.bytes);
    // s0 grows beyond the limit: what stood there is no longer what the peer says.
    announce(&mut bench, 0, 250);
    let peer = bench.peer(P);
    assert_eq!((peer.routes, peer.refused.count()), (routes - 1, 2));
    assert!(peer.bytes < bytes);
    assert!(!bench.rows().iter().any(|r| r.0 == "s0.globex.example"));
    assert_eq!(peer.session, Some(SessionId(1)));
    bench.check();
}

#[test]
fn a_neighbour_of_the_organisation_is_bounded_in_bytes_too() {
    let mut bench = Bench::limited(Limits { bytes_per_peer: 1_000, ..Limits::CLOUD });
    bench.internal(1, "b.acme.example");
    let tell = |bench: &mut Bench, n: usize, bytes: usize| {
        let attestation = std::vec![7u8; bytes];
        let attrs = Attrs { attestation: Some(&attestation), ..through("b") };
        bench.announce(1, &[(&format!("s{n}.acme.example"), "b", attrs)]);
    };
    bench.effects();
    bench.heard(1);
    tell(&mut bench, 0, 200);
    tell(&mut bench, 1, 200);
    tell(&mut bench, 2, 200);
    assert_eq!(bench.notices(), [], "below 80 %");
    tell(&mut bench, 3, 200);
    assert_eq!(bench.notices(), [Notice::NearLimit(name("b.acme.example"))]);
    tell(&mut bench, 4, 200);
    let peer = bench.peer("b.acme.example");
    assert_eq!((peer.routes, peer.refused.count(), peer.session), (4, 1, Some(SessionId(1))));
    assert!(peer.bytes <= 1_000 && peer.bytes > 800, "{} bytes", peer.bytes);
    assert!(peer.refused.why().unwrap().contains("1000 bytes"));
    let told = bench.heard(1);
    assert!(matches!(refusals(&told)[..], [(1, why)] if why.contains("1000 bytes")), "{told:?}");
    // What is small enough still comes in.
    tell(&mut bench, 5, 1);
    assert_eq!(bench.peer("b.acme.example").routes, 5);
    bench.check();
    bench.give_all_back();
}

#[test]
fn a_new_session_counts_its_refusals_from_the_start() {
    let mut bench = bounded(2, 9999);
    for n in 0..5 {
        announce(&mut bench, n, 1);
    }
    assert_eq!(bench.peer(P).refused.count(), 3);
    bench.down(1);
    assert_eq!((bench.peer(P).refused.count(), bench.peer(P).routes), (0, 0));
    bench.up(2, P);
    bench.heard(2);
    let frames = updates(&[("x.globex.example", "o", across("globex.example"))], &[]);
    frames.into_iter().for_each(|f| bench.frame(2, f));
    assert_eq!(refusals(&bench.heard(2)), []);
}

#[test]
fn a_peer_without_credit_is_told_of_refusals_when_it_reads_though_the_hold_timer_is_off() {
    let mut bench = Bench::limited(Limits { routes_per_peer: 2, ..Limits::CLOUD });
    let config = PeerConfig { name: name("b.acme.example"), agreement: None, hold_ms: 0, restart_ms: 0 };
    bench.feed(Event::PeerConfigured(Box::new(config)));
    bench.up_with(1, "b.acme.example", 0);
    for n in 0..9 {
        bench.announce(1, &[(&format!("s{n}.acme.example"), "b", through("b"))]);
    }
    bench.writable(1, PLENTY);
    let heard = bench.heard(1);
    // The first refusal waits behind OPEN; whatever else was refused meanwhile is in the last word.
    assert_eq!(refusals(&heard).last().map(|t| t.0), Some(7), "{heard:?}");
    assert!(refusals(&heard).len() <= 2);
    assert_eq!(bench.peer("b.acme.example").routes, 2);
}

#[test]
fn what_a_peer_refuses_of_ours_is_shown() {
    let mut bench = bounded(10, 9999);
    let refused =
        catalyst_wire::Refused { count: 4, reason: "the route table is full", services: "x.acme.example" };
    bench.frame(1, refused.write(&mut [0; 600]).unwrap().to_vec());
    assert_eq!(bench.notices(), [Notice::RefusedBy(name(P), 4, "the route table is full".into())]);
    assert_eq!(bench.peer(P).refused_by_peer, (4, "the route table is full".into()));
}

#[test]
fn a_full_fixed_table_refuses_keeps_and_says_so() {
    let mut bench: Bench<Box<Fixed<8, 32, 512, 64>>> = Bench::over(Box::new(Fixed::new(8)), Limits::EDGE);
    bench.feed(peer("b.acme.example", None));
    bench.up(1, "b.acme.example");
    for n in 0..12 {
        bench.announce(1, &[(&format!("s{n}.acme.example"), "b", through("b"))]);
    }
    assert_eq!((bench.peer("b.acme.example").routes, bench.peer("b.acme.example").refused.count()), (8, 4));
    assert_eq!(bench.peer("b.acme.example").refused.why(), Some("the route table is full"));
    // Our own service is refused as well, and not pretended to be offered.
    bench.effects();
    bench.offer("own");
    assert!(matches!(&bench.notices()[..], [Notice::ServiceRefused(l, _)] if l.as_str() == "own"));
    assert_eq!(bench.core.state().services().count(), 0);
    bench.withdraw(1, &[("s0.acme.example", "b")]);
    bench.offer("own");
    assert_eq!(bench.core.state().services().count(), 1);
    // Attributes that are too large cost that route only.
    let long = std::vec![1u8; 100];
    bench.announce(1, &[("s1.acme.example", "b", Attrs { attestation: Some(&long), ..through("b") })]);
    assert!(!bench.rows().iter().any(|r| r.0 == "s1.acme.example"));
    assert_eq!(bench.peer("b.acme.example").session, Some(SessionId(1)));
    bench.check();
    bench.give_all_back();
}

#[test]
fn services_are_bounded() {
    let mut bench = Bench::limited(Limits { services: 2, ..Limits::CLOUD });
    for label in ["x", "y", "z"] {
        bench.offer(label);
    }
    assert!(
        matches!(&bench.notices()[..], [Notice::ServiceRefused(l, why)] if l.as_str() == "z" && why.contains("2 services"))
    );
    bench.feed(Event::ServiceUp(LocalService { cost: 5, ..local("x") }));
    assert_eq!(bench.core.state().route_rows()[0].cost, 5, "a change of an old one passes");
    bench.stop_offering("y");
    bench.offer("z");
    assert_eq!(bench.rows().len(), 2);
}

#[test]
fn peers_are_bounded() {
    let mut bench = Bench::limited(Limits { peers: 2, ..Limits::CLOUD });
    for node in ["b.acme.example", "c.acme.example", "d.acme.example"] {
        bench.feed(peer(node, None));
    }
    assert!(matches!(&bench.notices()[..], [Notice::Refusing(who, _)] if *who == name("d.acme.example")));
    assert_eq!(bench.core.state().peers().count(), 2);
    assert_eq!(bench.core.state().table().store().names(), 3, "the name of the third is not kept");
    bench.feed(Event::PeerRemoved(name("b.acme.example")));
    bench.feed(peer("d.acme.example", None));
    assert!(bench.core.state().peer(&name("d.acme.example")).is_some());
    bench.give_all_back();
}

#[test]
fn a_table_without_room_for_a_name_takes_neither_node_nor_peer() {
    let limits = |names| TableLimits { routes: 10, names, attrs: 100 };
    let none = Core::new(settings(Limits::CLOUD), Heap::new(limits(0)));
    assert_eq!(none.err(), Some(Refusal::Names));
    let mut bench = Bench::over(Heap::new(limits(1)), Limits::CLOUD);
    bench.feed(peer("b.acme.example", None));
    assert!(matches!(&bench.notices()[..], [Notice::Refusing(_, why)] if why.contains("name table")));
    bench.offer("x");
    assert!(matches!(&bench.notices()[..], [Notice::ServiceRefused(..)]));
}

#[test]
fn notices_are_bounded_and_what_was_dropped_is_counted() {
    let mut bench = Bench::limited(Limits { notices: 5, ..Limits::CLOUD });
    for session in 0..20 {
        let event =
            Event::SessionUp { session: SessionId(session), peer: name("x.acme.example"), dialled: false };
        bench.core.handle(&event, Now::mono(0));
    }
    assert_eq!(bench.core.state().counters().dropped_notices, 15);
    bench.drain();
    let (notices, others): (Vec<_>, Vec<_>) =
        bench.effects().into_iter().partition(|e| matches!(e, Effect::Notice(_)));
    assert_eq!((notices.len(), others.len()), (5, 20), "no connection is left open");
    bench.feed(Event::SessionUp { session: SessionId(99), peer: name("x.acme.example"), dialled: false });
    assert_eq!(bench.notices().len(), 1, "room again");
}

#[test]
fn limits_say_what_they_cost() {
    assert!(Limits::EDGE.max_bytes() - Limits::news() - Limits::withheld() < 8 << 20);
    assert!(Limits::CLOUD.max_bytes() > Limits::EDGE.max_bytes());
    assert_eq!(Limits::default(), Limits::CLOUD);
}

/// A table of three, which is all that it may announce; the neighbour is lost and comes back with three others.
#[test]
fn what_a_restart_leaves_behind_does_not_count_against_the_new_table() {
    let mut bench = Bench::with(
        Heap::new(TableLimits::CLOUD),
        Settings { stale_max_ms: 100_000, ..settings(Limits::CLOUD) },
    );
    bench.feed(rules(&["*<globex.example"]));
    bench.feed(peer(P, Some(agreement("globex.example", Role::Peer, 3, 9999))));
    let open = |bench: &Bench, incarnation| {
        let open = bench.open_of(P, incarnation);
        let open = Open { restart_ms: 30_000, ..Open::read(&open[4..]).unwrap() };
        open.write(&mut [0; 1024]).unwrap().to_vec()
    };
    let first = open(&bench, 1);
    bench.up_by(1, P, first);
    (0..3).for_each(|n| announce(&mut bench, n, 1));
    announce(&mut bench, 9, 1);
    assert_eq!(bench.peer(P).refused.count(), 1, "the fourth of one table is too much");
    bench.frame(1, plain(FrameType::EndOfRib));
    bench.down(1);
    assert_eq!((bench.peer(P).routes, bench.peer(P).confirmed.0), (3, 0), "kept");
    let second = open(&bench, 2);
    bench.up_by(2, P, second);
    // One of before, and two that are new.
    [2, 3, 4].into_iter().for_each(|n| announce(&mut bench, n, 1));
    assert_eq!(bench.peer(P).refused.count(), 0);
    assert_eq!((bench.peer(P).routes, bench.peer(P).confirmed.0), (5, 3), "two are left behind");
    announce(&mut bench, 5, 1);
    assert_eq!(bench.peer(P).refused.count(), 1, "the fourth of this table is too much, too");
    announce(&mut bench, 0, 1);
    assert_eq!(bench.peer(P).refused.count(), 2, "also where it is known of before: it goes");
    bench.check();
    bench.frame(2, plain(FrameType::EndOfRib));
    bench.run_until(bench.now);
    assert_eq!((bench.peer(P).routes, bench.peer(P).confirmed.0), (3, 3));
    bench.withdraw(2, &[("s2.globex.example", "o")]);
    announce(&mut bench, 7, 1);
    assert_eq!(bench.peer(P).routes, 3, "there is room again");
    bench.check();
    bench.give_all_back();
}

#[test]
fn bytes_of_before_do_not_count_either() {
    let mut bench = Bench::with(
        Heap::new(TableLimits::CLOUD),
        Settings { stale_max_ms: 100_000, ..settings(Limits::CLOUD) },
    );
    bench.feed(rules(&["*<globex.example"]));
    bench.feed(peer(P, Some(agreement("globex.example", Role::Peer, 100, 150))));
    for session in [1, 2] {
        let open = bench.open_of(P, session);
        let open = Open { restart_ms: 30_000, ..Open::read(&open[4..]).unwrap() };
        let open = open.write(&mut [0; 1024]).unwrap().to_vec();
        bench.up_by(session, P, open);
        let n = usize::try_from(session).unwrap();
        announce_on(&mut bench, session, n, 60);
        assert_eq!(bench.peer(P).refused.count(), 0, "session {session}");
        announce_on(&mut bench, session, 10 + n, 60);
        assert_eq!(bench.peer(P).refused.count(), 1, "session {session}");
        bench.check();
        bench.down(session);
    }
}

/// A neighbour begins to tell its table again and again, each time with other routes, and never comes to an end.
#[test]
fn tellings_without_an_end_take_twice_the_limit_at_most() {
    let mut bench = Bench::new();
    bench.feed(rules(&["*<globex.example"]));
    bench.feed(peer(P, Some(agreement("globex.example", Role::Peer, 3, 9999))));
    bench.up(1, P);
    bench.frame(1, plain(FrameType::EndOfRib));
    for telling in 0..5 {
        let mut buf = [0; 16];
        bench.frame(1, catalyst_wire::Refresh::BEGIN.write(&mut buf).unwrap().to_vec());
        (0..3).for_each(|n| announce(&mut bench, 10 * telling + n, 1));
        assert!(bench.peer(P).routes <= 6, "{} after telling {telling}", bench.peer(P).routes);
        bench.check();
    }
    assert_eq!(bench.peer(P).routes, 6);
    let mut buf = [0; 16];
    bench.frame(1, catalyst_wire::Refresh::END.write(&mut buf).unwrap().to_vec());
    bench.run_until(bench.now);
    assert!(bench.peer(P).routes <= 3);
    bench.check();
    bench.give_all_back();
}

#[test]
fn a_service_has_so_many_origins_and_no_more() {
    let mut bench = Bench::new();
    bench.internal(1, "b.acme.example");
    bench.internal(2, "c.acme.example");
    let most = Limits::ORIGINS_OF_SERVICE;
    let orders = "orders.acme.example";
    let origins: Vec<String> = (0..=most).map(|n| format!("o{n}")).collect();
    let all: Vec<_> = origins.iter().map(|origin| (orders, origin.as_str(), through("b"))).collect();
    bench.announce(1, &all);
    let full = |bench: &Bench, name: &str| (bench.peer(name).routes, bench.peer(name).refused.count());
    assert_eq!(full(&bench, "b.acme.example"), (most, 1));
    assert!(bench.peer("b.acme.example").refused.why().unwrap().contains("origins of one service"));
    // Nobody else has room, but for what is there already; other services have.
    let by = |node| Attrs { cost: 9, ..through(node) };
    bench.announce(2, &[(orders, "o0", by("c")), (orders, "c", by("c")), ("web.acme.example", "c", by("c"))]);
    assert_eq!(full(&bench, "c.acme.example"), (2, 1));
    bench.announce(1, &[(orders, "o0", by("b"))]);
    assert_eq!(full(&bench, "b.acme.example"), (most, 1), "what is there may change");
    // The node's own service always has, and so has another when one goes.
    bench.offer("orders");
    assert!(bench.rows().iter().any(|row| row.0 == orders && row.1 == "a.acme.example" && row.2 == "best"));
    bench.withdraw(1, &[(orders, "o1"), (orders, "o2")]);
    bench.announce(2, &[(orders, "c", by("c"))]);
    assert_eq!(full(&bench, "c.acme.example"), (3, 0), "what was refused has found room");
}
