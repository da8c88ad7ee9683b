//! Connections come and go: who may, which one stays, and what is said to the other side.

use std::vec::Vec;

use catalyst_policy::Role;
use catalyst_route_table::Store;
use catalyst_wire::{Frame, FrameType, Notify, NotifyCode};

use super::kit::*;
use crate::*;

fn up(session: u64, peer: &str, dialled: bool) -> Event {
    Event::SessionUp { session: SessionId(session), peer: name(peer), dialled }
}

#[test]
fn a_node_that_is_not_configured_is_told_so_and_counted() {
    let mut bench = Bench::new();
    bench.feed(up(1, "x.acme.example", false));
    assert_eq!(bench.core.state().counters().unconfigured, 1);
    let closed = bench.closed();
    assert_eq!(closed.len(), 1);
    assert_eq!((closed[0].0, closed[0].1), (1, Some(NotifyCode::UNCONFIGURED)));
    assert!(closed[0].2.contains("add it to 'peers'"), "{}", closed[0].2);
    // What it sends afterwards is nobody's.
    let open = open("x.acme.example", 1, None);
    bench.frame(1, open);
    assert!(bench.effects().is_empty());
    assert!(bench.remotes.is_empty());
    bench.give_all_back();
}

#[test]
fn an_open_that_does_not_fit_ends_that_session_only() {
    let mut bench = Bench::new();
    bench.internal(1, "b.acme.example");
    bench.feed(peer("c.acme.example", None));
    bench.effects();
    bench.feed(up(2, "c.acme.example", false));
    bench.frame(2, open("d.acme.example", 1, None));
    assert!(matches!(bench.closed()[..], [(2, Some(NotifyCode::IDENTITY), _)]));
    assert!(bench.peer("c.acme.example").last_end.contains("d.acme.example"), "status can say why");
    bench.feed(up(3, "c.acme.example", false));
    bench.frame(3, open("c.acme.example", 1, Some([1; 32])));
    assert!(matches!(bench.closed()[..], [(3, Some(NotifyCode::AGREEMENT), _)]));
    bench.feed(up(4, "c.acme.example", false));
    bench.frame(4, plain(FrameType::EndOfRib));
    assert!(matches!(bench.closed()[..], [(4, Some(NotifyCode::UNEXPECTED), _)]));
    bench.feed(up(5, "c.acme.example", false));
    bench.frame(5, Vec::from([1, 0, 0, 9, 1]));
    assert!(matches!(bench.closed()[..], [(5, Some(NotifyCode::MALFORMED), _)]));
    assert_eq!(bench.core.state().counters().malformed_frames, 1);
    assert_eq!(bench.peer("b.acme.example").session, Some(SessionId(1)), "the other session was not touched");
    assert_eq!(bench.peer("b.acme.example").last_end, "");
}

#[test]
fn different_agreements_are_refused_with_the_document() {
    let mut bench = Bench::new();
    let ours = agreement("globex.example", Role::Peer, 10, 1000);
    bench.feed(peer("p.globex.example", Some(ours.clone())));
    bench.feed(up(1, "p.globex.example", false));
    let theirs = agreement("globex.example", Role::Peer, 11, 1000).digest();
    bench.frame(1, open("p.globex.example", 1, Some(theirs)));
    let last = bench.effects().into_iter().find_map(|e| match e {
        Effect::Close { last, .. } => Some(last),
        _ => None,
    });
    let last = last.unwrap();
    let notify = Notify::read(Frame::whole(&last).unwrap().body).unwrap();
    let mut document = std::string::String::new();
    ours.write_canonical(&mut document).unwrap();
    assert_eq!((notify.code, notify.document), (NotifyCode::AGREEMENT, document.as_str()));
}

#[test]
fn of_two_dials_the_one_of_the_lower_name_stays() {
    // This node is `a`, lower than `b`: its own dial stays, whichever came first.
    for first_is_ours in [true, false] {
        let mut bench = Bench::new();
        bench.feed(peer("b.acme.example", None));
        for (session, dialled) in [(1, first_is_ours), (2, !first_is_ours)] {
            bench.feed(up(session, "b.acme.example", dialled));
            bench.frame(session, open("b.acme.example", 5, None));
        }
        let (stays, goes, code) =
            if first_is_ours { (1, 2, NotifyCode::COLLISION) } else { (2, 1, NotifyCode::SUPERSEDED) };
        assert_eq!(bench.peer("b.acme.example").session, Some(SessionId(stays)));
        let closed = bench.closed();
        assert_eq!(closed.len(), 1);
        assert_eq!((closed[0].0, closed[0].1), (goes, Some(code)));
        bench.check();
        bench.give_all_back();
    }
}

#[test]
fn a_new_run_of_the_peer_takes_over_and_the_old_routes_go() {
    let mut bench = Bench::new();
    bench.internal(1, "b.acme.example");
    bench.announce(1, &[("x.acme.example", "b", through("b"))]);
    assert_eq!(bench.rows().len(), 1);
    bench.feed(up(2, "b.acme.example", false));
    bench.frame(2, open("b.acme.example", 2, None));
    assert_eq!(bench.peer("b.acme.example").session, Some(SessionId(2)));
    assert!(bench.rows().is_empty());
    // The end of the old connection, which the transport reports later, changes nothing.
    bench.announce(2, &[("x.acme.example", "b", through("b"))]);
    bench.down(1);
    assert_eq!(bench.rows().len(), 1);
    assert_eq!(bench.peer("b.acme.example").sessions, 2);
    bench.check();
}

#[test]
fn a_connection_that_does_not_open_ends_in_time() {
    let mut bench = Bench::new();
    bench.feed(peer("b.acme.example", None));
    bench.feed(up(1, "b.acme.example", true));
    bench.run_until(bench.now + 4_999);
    assert!(bench.closed().is_empty());
    bench.run_until(bench.now + 1);
    assert!(matches!(bench.closed()[..], [(1, Some(NotifyCode::HOLD), _)]));
    assert_eq!(bench.core.next_deadline(), None);
}

#[test]
fn too_many_connections_of_one_peer_are_refused() {
    let mut bench = Bench::limited(Limits { links_per_peer: 2, ..Limits::CLOUD });
    bench.feed(peer("b.acme.example", None));
    bench.feed(peer("c.acme.example", None));
    for session in 1..=3 {
        bench.feed(up(session, "b.acme.example", true));
    }
    assert!(matches!(bench.closed()[..], [(3, Some(NotifyCode::LIMIT), _)]));
    bench.feed(up(4, "c.acme.example", true));
    assert!(bench.closed().is_empty(), "another peer has its own limit");
    bench.down(1);
    bench.feed(up(5, "b.acme.example", true));
    assert!(bench.closed().is_empty(), "a place became free");
}

#[test]
fn a_number_that_is_in_use_is_not_taken_again() {
    let mut bench = Bench::new();
    bench.internal(1, "b.acme.example");
    bench.feed(peer("c.acme.example", None));
    bench.feed(up(1, "c.acme.example", true));
    bench.announce(1, &[("x.acme.example", "b", through("b"))]);
    assert_eq!(bench.rows()[0].1, "b.acme.example");
    bench.down(1);
    bench.check();
    assert!(bench.core.timers.is_empty() && bench.core.of_peer.is_empty());
}

#[test]
fn a_silent_peer_ends_after_the_hold_time_and_its_routes_go() {
    let mut bench = Bench::new();
    bench.internal(1, "b.acme.example");
    bench.announce(1, &[("x.acme.example", "b", through("b"))]);
    let heard = bench.now;
    bench.run_until(heard + 2_999);
    assert_eq!(bench.rows().len(), 1);
    bench.heard(1);
    bench.run_until(heard + 3_000);
    assert!(bench.rows().is_empty());
    assert!(matches!(bench.closed()[..], [(1, Some(NotifyCode::HOLD), _)]));
    assert!(bench.peer("b.acme.example").last_end.contains("3000 ms"));
    assert_eq!(bench.peer("b.acme.example").since, heard + 3_000);
}

#[test]
fn keepalives_keep_both_sides_up() {
    let mut bench = Bench::new();
    bench.internal(1, "b.acme.example");
    bench.heard(1);
    let start = bench.now;
    for second in 1..=20 {
        bench.run_until(start + second * 1000);
        bench.frame(1, plain(FrameType::Keepalive));
    }
    let beats = bench.heard(1).iter().filter(|f| **f == Heard::Keepalive).count();
    assert!((19..=21).contains(&beats), "{beats} keepalives in 20 s with a hold time of 3 s");
    assert!(bench.closed().is_empty());
}

#[test]
fn the_same_configuration_again_changes_nothing_and_another_ends_the_session() {
    let mut bench = Bench::new();
    let configured = |max| peer("p.globex.example", Some(agreement("globex.example", Role::Peer, max, 9999)));
    bench.feed(configured(10));
    bench.up(1, "p.globex.example");
    bench.feed(rules(&["*<globex.example"]));
    bench.announce(1, &[("x.globex.example", "o", across("globex.example"))]);
    bench.effects();
    bench.feed(configured(10));
    assert!(bench.effects().is_empty());
    bench.feed(configured(11));
    assert!(matches!(bench.closed()[..], [(1, Some(NotifyCode::REMOVED), _)]));
    assert!(bench.rows().is_empty());
    let peer = bench.peer("p.globex.example");
    assert_eq!((peer.session, peer.routes, peer.sessions), (None, 0, 1), "counters stay");
    assert_eq!(peer.max_routes(&Limits::CLOUD), 11);
    // The old agreement does not open a session any more, the new one does.
    let old = agreement("globex.example", Role::Peer, 10, 9999).digest();
    bench.feed(up(2, "p.globex.example", true));
    bench.frame(2, open("p.globex.example", 1, Some(old)));
    assert!(matches!(bench.closed()[..], [(2, Some(NotifyCode::AGREEMENT), _)]));
    bench.up(3, "p.globex.example");
    bench.check();
    bench.give_all_back();
}

/// `b` has told of a service, and `c` has heard of it.
fn passed_on() -> Bench {
    let mut bench = Bench::new();
    bench.internal(1, "b.acme.example");
    bench.internal(2, "c.acme.example");
    bench.announce(1, &[("x.acme.example", "b", through("b"))]);
    assert_eq!(bench.remote(2).services(), ["x.acme.example"]);
    bench.effects();
    bench
}

#[test]
fn a_removed_peer_leaves_nothing_behind() {
    let mut bench = passed_on();
    bench.feed(Event::PeerRemoved(name("b.acme.example")));
    assert!(matches!(bench.closed()[..], [(1, Some(NotifyCode::REMOVED), _)]));
    assert!(bench.remote(2).services().is_empty());
    assert!(bench.core.state().peer(&name("b.acme.example")).is_none());
    assert!(bench.core.state().table().store().find("b.acme.example").is_none(), "its name is forgotten");
    bench.check();
    // Another peer may get its number; nothing of the old one is in its way.
    bench.internal(3, "d.acme.example");
    bench.announce(3, &[("x.acme.example", "d", through("d"))]);
    assert_eq!(bench.remote(2).services(), ["x.acme.example"]);
    bench.check();
    bench.give_all_back();
}

#[cfg(feature = "transit")]
#[test]
fn a_peer_that_is_revoked_leaves_nothing_behind_and_hears_why() {
    let mut bench = passed_on();
    bench.feed(Event::PeerRevoked(name("b.acme.example")));
    let last = bench.effects().into_iter().find_map(|e| match e {
        Effect::Close { last, .. } => Some(last),
        _ => None,
    });
    let last = last.unwrap();
    let told = Notify::read(Frame::whole(&last).unwrap().body).unwrap();
    assert_eq!(
        (told.code, told.reason),
        (NotifyCode::REMOVED, "the certificate of 'b.acme.example' was revoked")
    );
    assert!(bench.remote(2).services().is_empty());
    assert!(bench.core.state().peer(&name("b.acme.example")).is_none());
    bench.check();
    bench.give_all_back();
}

#[test]
fn a_peer_is_down_for_as_long_as_it_is_configured() {
    let mut bench = Bench::new();
    bench.run_until(bench.now + 5_000);
    bench.feed(peer("late.acme.example", None));
    assert_eq!(bench.peer("late.acme.example").since, bench.now);
}

#[test]
fn a_node_is_not_its_own_peer() {
    let mut bench = Bench::new();
    bench.offer("inventory");
    bench.feed(peer("a.acme.example", None));
    assert!(matches!(&bench.notices()[..], [.., Notice::Refusing(who, _)] if *who == name("a.acme.example")));
    assert_eq!(bench.core.state().peers().count(), 0);
    bench.feed(Event::PeerRemoved(name("a.acme.example")));
    assert_eq!(bench.rows().len(), 1, "its own services stay");
}

#[test]
fn what_the_peer_says_at_the_end_is_handed_on() {
    let mut bench = Bench::new();
    bench.internal(1, "b.acme.example");
    bench.effects();
    let said = Notify { code: NotifyCode::SHUTDOWN, reason: "maintenance until noon", document: "" };
    let frame = said.write(&mut [0; 600]).unwrap().to_vec();
    bench.frame(1, frame);
    let effects = bench.effects();
    assert!(effects.contains(&Effect::Close { session: SessionId(1), last: Vec::new() }), "no NOTIFY back");
    assert!(effects.iter().any(|e| matches!(e, Effect::Notice(Notice::NotifiedBy(_, NotifyCode::SHUTDOWN, r, _)) if r == "maintenance until noon")));
    assert!(bench.peer("b.acme.example").last_end.contains("maintenance until noon"));
}

#[test]
fn the_other_sides_reason_is_heard_on_a_connection_that_this_side_has_ended() {
    let mut bench = Bench::new();
    bench.feed(peer("b.acme.example", None));
    bench.feed(up(1, "b.acme.example", true));
    bench.frame(1, open("b.acme.example", 1, Some([1; 32])));
    assert_eq!(bench.closed().len(), 1);
    // Both OPENs crossed: b found the same fault. What is no NOTIFY counts for nothing any more.
    let said = Notify { code: NotifyCode::AGREEMENT, reason: "compare the documents", document: "{}" };
    let said = said.write(&mut [0; 600]).unwrap().to_vec();
    for frame in [plain(FrameType::EndOfRib), Vec::from([9, 0, 0, 1, 200]), Vec::from([1])] {
        bench.frame(1, frame);
    }
    assert_eq!(bench.effects(), []);
    bench.frame(1, said.clone());
    let expected = Notice::NotifiedBy(
        name("b.acme.example"),
        NotifyCode::AGREEMENT,
        "compare the documents".into(),
        "{}".into(),
    );
    assert_eq!(bench.notices(), [expected]);
    bench.frame(1, said);
    assert_eq!(bench.effects(), [], "once");
}

#[test]
fn the_node_stops_in_order() {
    let mut bench = Bench::new();
    bench.internal(1, "b.acme.example");
    bench.internal(2, "c.acme.example");
    bench.effects();
    bench.now = 5000;
    bench.feed(Event::Stop);
    let closed = bench.closed();
    assert_eq!(
        closed.iter().map(|c| (c.0, c.1)).collect::<Vec<_>>(),
        [(1, Some(NotifyCode::SHUTDOWN)), (2, Some(NotifyCode::SHUTDOWN))]
    );
    assert_eq!(bench.peer("b.acme.example").since, 5000);
    bench.check();
}

#[test]
fn a_peer_of_another_organisation_without_an_agreement_gets_an_empty_table() {
    let mut bench = Bench::new();
    bench.offer("inventory");
    bench.feed(rules(&["*>globex.example", "*<globex.example"]));
    bench.feed(peer("p.globex.example", None));
    bench.up(1, "p.globex.example");
    bench.announce(1, &[("x.globex.example", "o", across("globex.example"))]);
    assert!(bench.remote(1).table.is_empty());
    assert_eq!(bench.heard(1).iter().filter(|f| **f == Heard::EndOfRib).count(), 1);
    assert_eq!(bench.peer("p.globex.example").denied, 1);
    assert_eq!(bench.rows().len(), 1);
}

#[test]
fn a_core_can_be_moved_to_another_thread() {
    fn movable<T: Send>(_: &T) {}
    movable(&Bench::new().core);
    let fixed = catalyst_route_table::Fixed::<4, 8, 128, 16>::new(4);
    movable(&Bench::over(std::boxed::Box::new(fixed), Limits::EDGE).core);
}
