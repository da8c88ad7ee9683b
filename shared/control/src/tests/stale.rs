//! Routes of neighbours that are lost: how long they stay, how they rank, what takes them away.

use std::string::{String, ToString};
use std::vec::Vec;

use catalyst_names::Protocol;
use catalyst_policy::Role;
use catalyst_route_table::{Heap, Limits as TableLimits};
use catalyst_wire::{Attrs, FrameType, Notify, NotifyCode, Open, WellKnown};
use proptest::prelude::*;

use super::kit::*;
use crate::*;

const B: &str = "b.acme.example";
const C: &str = "c.acme.example";
const P: &str = "p.globex.example";
const X: &str = "x.acme.example";
const Y: &str = "y.acme.example";
const RESTART: u32 = 30_000;
const MOST: u64 = 100_000;

/// A node with a mesh port. Its neighbours B and C have none by themselves.
fn bench() -> Bench {
    let settings = Settings { mesh_address: "a:8443".into(), stale_max_ms: MOST, ..settings(Limits::CLOUD) };
    let mut bench = Bench::with(Heap::new(TableLimits::CLOUD), settings);
    bench.feed(quiet(B, None));
    bench.feed(quiet(C, None));
    bench
}

fn open_of(bench: &Bench, node: &str, incarnation: u64, restart_ms: u32, mesh_address: &str) -> Vec<u8> {
    let open = Open {
        version_min: 1,
        version_max: 1,
        node,
        incarnation,
        // The hold timer is off: nobody speaks for a while here.
        hold_ms: 0,
        restart_ms,
        capabilities: 0,
        agreement: bench.core.state().peer(&name(node)).and_then(|p| p.agreement),
        mesh_address,
    };
    open.write(&mut [0; 1024]).unwrap().to_vec()
}

impl Bench {
    /// A session that asks for the restart time and has a mesh port.
    fn meshed(&mut self, session: u64, node: &str) {
        let open = open_of(self, node, session, RESTART, "b:8443");
        self.up_by(session, node, open);
    }

    /// The same without a mesh port: its flows go through the tunnel.
    fn tunnelled(&mut self, session: u64, node: &str) {
        let open = open_of(self, node, session, RESTART, "");
        self.up_by(session, node, open);
    }

    fn told(&mut self, session: u64) {
        self.frame(session, plain(FrameType::EndOfRib));
    }

    fn says(&mut self, session: u64, code: NotifyCode) {
        let mut buf = [0u8; 64];
        let frame = Notify { code, reason: "so", document: "" }.write(&mut buf).unwrap().to_vec();
        self.frame(session, frame);
    }

    /// What the data plane was told since this was asked before: the neighbours on the ways to each service.
    fn ways(&mut self) -> Vec<(String, Vec<String>)> {
        let of = |effect| match effect {
            Effect::Forward(forward) => {
                let hop = |e: &Endpoint| match &e.next {
                    NextHop::Local => "local".to_string(),
                    NextHop::Peer(peer) => peer.node().to_string(),
                };
                Some((forward.service.to_string(), forward.endpoints.iter().map(hop).collect()))
            }
            _ => None,
        };
        self.effects().into_iter().filter_map(of).collect()
    }

    fn phase(&self, node: &str) -> Option<Phase> {
        self.peer(node).stale.as_ref().map(|stale| stale.phase)
    }

    fn standing(&self, service: &str, via: &str) -> Option<String> {
        self.rows().into_iter().find(|r| r.0 == service && r.1 == via).map(|r| r.2)
    }

    fn after(&mut self, ms: u64) {
        self.run_until(self.now + ms);
        self.check();
    }
}

fn fail_closed() -> Attrs<'static> {
    Attrs { well_known: WellKnown(WellKnown::FAIL_CLOSED), ..through("b") }
}

fn udp() -> Attrs<'static> {
    Attrs { protocol: Protocol::Udp, ..through("b") }
}

#[test]
fn our_restart_time_stands_in_our_open() {
    let mut bench = bench();
    bench.feed(Event::PeerConfigured(std::boxed::Box::new(PeerConfig {
        name: name(B),
        agreement: None,
        hold_ms: 3000,
        restart_ms: 77,
    })));
    bench.feed(Event::SessionUp { session: SessionId(1), peer: name(B), dialled: true });
    bench.core.handle(&Event::Writable { session: SessionId(1), bytes: PLENTY }, bench.moment());
    let (_, frame) = bench.core.poll_transmit().unwrap();
    let open = catalyst_wire::Frame::whole(&frame).unwrap();
    assert_eq!(Open::read(open.body).unwrap().restart_ms, 77);
}

#[test]
fn routes_keep_their_rank_for_the_restart_time_and_the_data_plane_hears_nothing() {
    let mut bench = bench();
    bench.meshed(1, B);
    bench.announce(1, &[(X, "b", through("b"))]);
    bench.told(1);
    bench.ways();
    bench.down(1);
    bench.after(u64::from(RESTART) - 1);
    assert_eq!(bench.standing(X, B).as_deref(), Some("best"));
    assert_eq!(bench.ways(), []);
    assert_eq!(bench.phase(B), Some(Phase::Kept));
    bench.meshed(2, B);
    bench.announce(2, &[(X, "b", through("b"))]);
    bench.told(2);
    bench.after(10 * MOST);
    assert_eq!(bench.ways(), [], "the same table again is no change at all");
    assert_eq!(bench.peer(B).stale, None);
    bench.give_all_back();
}

#[test]
fn the_time_is_that_of_the_one_who_is_lost_and_no_time_means_at_once() {
    let mut bench = bench();
    let open = open_of(&bench, B, 1, 0, "b:8443");
    bench.up_by(1, B, open);
    let open = open_of(&bench, C, 1, 5_000, "c:8443");
    bench.up_by(2, C, open);
    bench.announce(1, &[(X, "b", through("b"))]);
    bench.announce(2, &[(Y, "c", through("c"))]);
    bench.down(1);
    bench.down(2);
    assert_eq!(bench.standing(X, B), None);
    bench.after(4_999);
    assert_eq!(bench.phase(C), Some(Phase::Kept));
    bench.after(1);
    assert_eq!(bench.phase(C), Some(Phase::LongLived));
}

#[test]
fn after_the_restart_time_they_are_the_last_resort_and_neighbours_are_told_so() {
    let mut bench = bench();
    bench.meshed(1, B);
    bench.tunnelled(2, C);
    bench.announce(1, &[(X, "o", through("b")), (Y, "o", through("b"))]);
    bench.announce(2, &[(X, "o", Attrs { cost: 99, ..through("c") })]);
    assert_eq!(bench.standing(X, B).as_deref(), Some("best"));
    bench.down(1);
    bench.after(RESTART.into());
    assert_eq!(bench.phase(B), Some(Phase::LongLived));
    assert_eq!(bench.standing(X, C).as_deref(), Some("best"), "any fresh route is better");
    assert_eq!(bench.standing(X, B).as_deref(), Some("next"));
    assert_eq!(bench.standing(Y, B).as_deref(), Some("best"), "better than none");
    let heard = Attrs::read(&bench.remote(2).table[&key(Y, "o")]).unwrap().well_known;
    assert!(heard.has(WellKnown::STALE));
    bench.after(MOST - u64::from(RESTART));
    assert_eq!((bench.standing(X, B), bench.standing(Y, B)), (None, None), "stale_max counts from the loss");
    assert_eq!(bench.remote(2).services(), Vec::<&str>::new());
    bench.give_all_back();
}

#[test]
fn a_route_that_is_to_fail_closed_goes_with_the_restart_time() {
    let mut bench = bench();
    bench.meshed(1, B);
    bench.announce(1, &[(X, "b", fail_closed()), (Y, "b", through("b"))]);
    bench.down(1);
    bench.after(u64::from(RESTART) - 1);
    assert_eq!(bench.standing(X, B).as_deref(), Some("best"));
    bench.after(1);
    assert_eq!(bench.standing(X, B), None);
    assert_eq!(bench.standing(Y, B).as_deref(), Some("best"));
}

#[test]
fn a_service_of_ours_says_that_it_is_to_fail_closed() {
    let mut bench = bench();
    bench.tunnelled(2, C);
    bench.feed(Event::ServiceUp(LocalService { fail_closed: true, ..local("x") }));
    let heard = Attrs::read(&bench.remote(2).table[&key(X, "a")]).unwrap().well_known;
    assert_eq!(heard, WellKnown(WellKnown::FAIL_CLOSED));
}

#[test]
fn what_went_through_the_tunnel_is_not_used_from_the_loss_on_and_goes_with_the_restart_time() {
    let mut bench = bench();
    bench.tunnelled(1, B);
    bench.announce(1, &[(X, "b", through("b"))]);
    bench.ways();
    bench.down(1);
    assert_eq!(bench.standing(X, B).as_deref(), Some("ineligible"));
    assert_eq!(bench.ways(), [(X.to_string(), Vec::new())]);
    bench.after(u64::from(RESTART) - 1);
    assert_eq!(bench.standing(X, B).as_deref(), Some("ineligible"), "it is kept");
    bench.after(1);
    assert_eq!(bench.rows(), []);
    assert_eq!(bench.peer(B).stale.as_ref().map(|s| s.phase), Some(Phase::LongLived));
    bench.give_all_back();
}

#[test]
fn a_mesh_port_that_nobody_can_dial_is_none() {
    for address in ["b:0", "b", "b:x", "-b:8443", "[::1:8443"] {
        let mut bench = bench();
        let open = open_of(&bench, B, 1, RESTART, address);
        bench.up_by(1, B, open);
        bench.announce(1, &[(X, "b", through("b"))]);
        bench.down(1);
        bench.after(0);
        assert_eq!(bench.standing(X, B).as_deref(), Some("ineligible"), "{address}");
    }
}

#[test]
fn packets_always_go_through_the_tunnel() {
    let mut bench = bench();
    bench.meshed(1, B);
    bench.announce(1, &[(X, "b", udp()), (Y, "b", through("b"))]);
    bench.down(1);
    assert_eq!(bench.standing(X, B).as_deref(), Some("ineligible"));
    assert_eq!(bench.standing(Y, B).as_deref(), Some("best"));
}

#[test]
fn a_node_without_a_mesh_port_of_its_own_has_only_tunnels() {
    let settings = Settings { stale_max_ms: MOST, ..settings(Limits::CLOUD) };
    let mut bench = Bench::with(Heap::new(TableLimits::CLOUD), settings);
    bench.feed(quiet(B, None));
    bench.meshed(1, B);
    bench.announce(1, &[(X, "b", through("b"))]);
    bench.down(1);
    assert_eq!(bench.standing(X, B).as_deref(), Some("ineligible"));
}

#[test]
fn a_tunnelled_route_is_used_again_when_it_is_confirmed() {
    let mut bench = bench();
    bench.tunnelled(1, B);
    bench.announce(1, &[(X, "b", through("b")), (Y, "b", through("b"))]);
    bench.down(1);
    bench.after(1_000);
    bench.tunnelled(2, B);
    bench.announce(2, &[(X, "b", through("b"))]);
    assert_eq!(bench.standing(X, B).as_deref(), Some("best"));
    assert_eq!(bench.standing(Y, B).as_deref(), Some("ineligible"));
    bench.told(2);
    assert_eq!(bench.standing(Y, B), None);
}

#[test]
fn a_session_that_takes_over_leaves_no_gap_whatever_carries_the_flows() {
    for address in ["", "b:8443"] {
        let mut bench = bench();
        let open = open_of(&bench, B, 7, RESTART, address);
        bench.up_by(1, B, open.clone());
        bench.announce(1, &[(X, "b", through("b")), (Y, "b", udp())]);
        bench.told(1);
        bench.ways();
        bench.up_by(2, B, open);
        assert_eq!(bench.peer(B).session, Some(SessionId(2)));
        assert_eq!(bench.ways(), []);
        bench.announce(2, &[(X, "b", through("b")), (Y, "b", udp())]);
        bench.told(2);
        bench.after(10 * MOST);
        assert_eq!(bench.ways(), [], "the address is {address:?}");
        assert_eq!(bench.peer(B).stale, None);
    }
}

#[test]
fn the_word_that_a_session_is_superseded_leaves_no_gap_while_the_other_is_on_its_way() {
    let mut bench = bench();
    bench.tunnelled(1, B);
    bench.announce(1, &[(X, "b", through("b"))]);
    bench.feed(Event::SessionUp { session: SessionId(2), peer: name(B), dialled: true });
    bench.says(1, NotifyCode::SUPERSEDED);
    assert_eq!(bench.standing(X, B).as_deref(), Some("best"));
    bench.down(2);
    assert_eq!(bench.standing(X, B).as_deref(), Some("ineligible"), "it did not come");
    bench.after(MOST);
    assert_eq!(bench.rows(), []);
}

#[test]
fn the_word_that_a_session_is_superseded_is_a_loss_when_there_is_no_other() {
    let mut bench = bench();
    bench.tunnelled(1, B);
    bench.announce(1, &[(X, "b", through("b"))]);
    bench.says(1, NotifyCode::SUPERSEDED);
    assert_eq!(bench.standing(X, B).as_deref(), Some("ineligible"));
}

#[test]
fn a_hard_reset_flushes_at_once() {
    for code in [
        NotifyCode::SHUTDOWN,
        NotifyCode::REMOVED,
        NotifyCode::UNCONFIGURED,
        NotifyCode::IDENTITY,
        NotifyCode::AGREEMENT,
        NotifyCode::LIMIT,
    ] {
        let mut bench = bench();
        bench.meshed(1, B);
        bench.announce(1, &[(X, "b", through("b"))]);
        bench.says(1, code);
        assert_eq!(bench.rows(), [], "{code}");
        assert_eq!(bench.peer(B).stale, None, "{code}");
    }
    for code in [NotifyCode::HOLD, NotifyCode::SEND_HOLD, NotifyCode::MALFORMED, NotifyCode(999)] {
        let mut bench = bench();
        bench.meshed(1, B);
        bench.announce(1, &[(X, "b", through("b"))]);
        bench.says(1, code);
        assert_eq!(bench.standing(X, B).as_deref(), Some("best"), "{code}");
    }
}

#[test]
fn a_hard_reset_on_the_way_to_a_new_session_flushes_what_was_kept() {
    let mut bench = bench();
    bench.meshed(1, B);
    bench.announce(1, &[(X, "b", through("b"))]);
    bench.down(1);
    bench.feed(Event::SessionUp { session: SessionId(2), peer: name(B), dialled: true });
    bench.says(2, NotifyCode::LIMIT);
    assert_eq!(
        bench.standing(X, B).as_deref(),
        Some("best"),
        "too many connections say nothing of the routes"
    );
    bench.feed(Event::SessionUp { session: SessionId(3), peer: name(B), dialled: true });
    bench.says(3, NotifyCode::UNCONFIGURED);
    assert_eq!(bench.rows(), []);
}

#[test]
fn ours_flush_too_and_so_do_the_stop_and_changes_of_the_configuration() {
    let changed = PeerConfig { name: name(B), agreement: None, hold_ms: 1, restart_ms: 9 };
    let changed = Event::PeerConfigured(std::boxed::Box::new(changed));
    for event in [Event::PeerRemoved(name(B)), changed, Event::Stop] {
        for down in [false, true] {
            if down && event == Event::Stop {
                continue;
            }
            let mut bench = bench();
            bench.meshed(1, B);
            bench.announce(1, &[(X, "b", through("b"))]);
            if down {
                bench.down(1);
            }
            bench.feed(event.clone());
            assert_eq!(bench.rows(), [], "{event:?} {down}");
            bench.after(MOST);
            bench.give_all_back();
        }
    }
}

#[test]
fn a_frame_that_cannot_be_read_costs_the_session_but_not_the_routes() {
    let mut bench = bench();
    bench.meshed(1, B);
    bench.announce(1, &[(X, "b", through("b"))]);
    bench.frame(1, Vec::from([255, 255, 255]));
    assert_eq!(bench.peer(B).session, None);
    assert_eq!(bench.standing(X, B).as_deref(), Some("best"));
}

#[test]
fn what_the_new_session_does_not_confirm_is_swept_with_its_end_of_rib() {
    let mut bench = bench();
    bench.meshed(1, B);
    bench.announce(1, &[(X, "b", through("b")), (Y, "b", through("b"))]);
    bench.told(1);
    bench.down(1);
    bench.meshed(2, B);
    bench.announce(2, &[(Y, "b", through("b"))]);
    assert_eq!(bench.standing(X, B).as_deref(), Some("best"), "it may still come");
    bench.ways();
    bench.told(2);
    assert_eq!(bench.standing(X, B), None);
    assert_eq!(bench.ways(), [(X.to_string(), Vec::new())]);
}

#[test]
fn a_second_loss_before_the_table_is_told_does_not_prolong_the_first_time() {
    let mut bench = bench();
    bench.meshed(1, B);
    bench.announce(1, &[(X, "b", through("b")), (Y, "b", through("b"))]);
    bench.down(1);
    bench.after(20_000);
    bench.meshed(2, B);
    bench.announce(2, &[(Y, "b", through("b"))]);
    bench.after(5_000);
    bench.down(2);
    bench.after(4_999);
    assert_eq!(bench.phase(B), Some(Phase::Kept));
    bench.after(1);
    assert_eq!(bench.phase(B), Some(Phase::LongLived));
    bench.after(MOST - u64::from(RESTART) - 1);
    assert_eq!(bench.rows().len(), 2);
    bench.after(1);
    assert_eq!(bench.rows(), []);
}

#[test]
fn who_asks_for_less_time_at_its_return_has_less_at_the_next_loss() {
    let mut bench = bench();
    bench.meshed(1, B);
    bench.announce(1, &[(X, "b", through("b"))]);
    bench.down(1);
    bench.after(10_000);
    let open = open_of(&bench, B, 2, 5_000, "b:8443");
    bench.up_by(2, B, open);
    bench.down(2);
    bench.after(4_999);
    assert_eq!(bench.phase(B), Some(Phase::Kept));
    bench.after(1);
    assert_eq!(bench.phase(B), Some(Phase::LongLived));
    let open = open_of(&bench, B, 3, 0, "b:8443");
    bench.up_by(3, B, open);
    bench.down(3);
    bench.after(0);
    assert_eq!(bench.rows(), []);
}

#[test]
fn a_session_that_never_tells_its_table_has_the_restart_time() {
    let mut bench = bench();
    bench.meshed(1, B);
    bench.announce(1, &[(X, "b", through("b")), (Y, "b", through("b"))]);
    bench.down(1);
    bench.after(20_000);
    bench.meshed(2, B);
    bench.announce(2, &[(Y, "b", through("b"))]);
    bench.after(u64::from(RESTART) - 1);
    assert_eq!(bench.standing(X, B).as_deref(), Some("best"));
    bench.after(1);
    assert_eq!(bench.standing(X, B), None);
    assert_eq!(bench.standing(Y, B).as_deref(), Some("best"));
    assert_eq!(bench.peer(B).stale, None);
}

#[test]
fn a_withdrawal_and_a_change_of_the_rules_find_what_is_kept() {
    let mut bench = bench();
    bench.feed(quiet(P, Some(agreement("globex.example", Role::Customer, 10, 9999))));
    bench.feed(rules(&["*<globex.example"]));
    bench.meshed(1, P);
    bench.announce(1, &[("s.globex.example", "o", across("globex.example"))]);
    bench.down(1);
    bench.after(RESTART.into());
    assert_eq!(bench.standing("s.globex.example", P).as_deref(), Some("best"));
    bench.feed(rules(&[]));
    assert_eq!(bench.standing("s.globex.example", P).as_deref(), Some("ineligible"));
    bench.feed(rules(&["*<globex.example"]));
    assert_eq!(bench.standing("s.globex.example", P).as_deref(), Some("best"));
    let rank = |bench: &Bench| {
        let table = bench.core.state().table();
        let key = table.key("s.globex.example", "o").unwrap();
        table.route(key, bench.peer(P).sym).unwrap().rank
    };
    assert!(rank(&bench).stale, "it is as old as it was");
}

/// The grants since this was asked before.
fn grants(bench: &mut Bench) -> Vec<(String, bool)> {
    let of = |effect| match effect {
        Effect::Grant { service, granted, .. } => Some((service.label().to_string(), granted)),
        _ => None,
    };
    bench.effects().into_iter().filter_map(of).collect()
}

fn exporting() -> Bench {
    let mut bench = bench();
    bench.feed(quiet(P, Some(agreement("globex.example", Role::Customer, 10, 9999))));
    bench.offer("x");
    bench.offer("y");
    bench.feed(rules(&["x>globex.example"]));
    bench.meshed(1, P);
    bench.told(1);
    assert_eq!(grants(&mut bench), [("x".to_string(), true)]);
    bench
}

#[test]
fn a_lost_neighbour_may_use_what_it_might_for_the_restart_time() {
    let mut bench = exporting();
    bench.down(1);
    bench.after(u64::from(RESTART) - 1);
    assert_eq!(grants(&mut bench), []);
    bench.after(1);
    assert_eq!(grants(&mut bench), [("x".to_string(), false)]);
    bench.meshed(2, P);
    assert_eq!(grants(&mut bench), [("x".to_string(), true)]);
    bench.give_all_back();
}

#[test]
fn a_neighbour_that_is_lost_again_after_the_restart_time_keeps_no_permission() {
    let mut bench = exporting();
    bench.down(1);
    bench.after(u64::from(RESTART));
    assert_eq!(grants(&mut bench), [("x".to_string(), false)]);
    bench.meshed(2, P);
    assert_eq!(grants(&mut bench), [("x".to_string(), true)]);
    bench.after(1_000);
    bench.down(2);
    assert_eq!(grants(&mut bench), [("x".to_string(), false)]);
    // One that is taken over keeps it meanwhile.
    bench.meshed(3, P);
    assert_eq!(grants(&mut bench), [("x".to_string(), true)]);
    bench.meshed(4, P);
    assert_eq!((grants(&mut bench), bench.peer(P).session), (Vec::new(), Some(SessionId(4))));
    bench.down(4);
    bench.down(3);
    assert_eq!(grants(&mut bench), [("x".to_string(), false)]);
    bench.after(MOST);
    bench.give_all_back();
}

#[test]
fn a_neighbour_that_is_back_in_time_has_kept_its_grants_and_hears_the_whole_table() {
    let mut bench = exporting();
    bench.down(1);
    bench.meshed(2, P);
    assert_eq!(grants(&mut bench), []);
    assert_eq!(bench.remote(2).services(), [X]);
    bench.down(2);
    bench.after(MOST);
    bench.give_all_back();
}

#[test]
fn a_session_that_takes_over_keeps_the_grants() {
    let mut bench = exporting();
    bench.meshed(2, P);
    assert_eq!(bench.peer(P).session, Some(SessionId(2)));
    assert_eq!(grants(&mut bench), []);
}

#[test]
fn permissions_change_while_the_neighbour_is_away() {
    let mut bench = exporting();
    bench.down(1);
    bench.feed(rules(&["y>globex.example"]));
    let mut both = grants(&mut bench);
    both.sort();
    assert_eq!(both, [("x".to_string(), false), ("y".to_string(), true)]);
    bench.meshed(2, P);
    assert_eq!(grants(&mut bench), []);
    assert_eq!(bench.remote(2).services(), [Y]);
}

#[test]
fn a_hard_reset_takes_the_grants_at_once() {
    let mut bench = exporting();
    bench.says(1, NotifyCode::SHUTDOWN);
    assert_eq!(grants(&mut bench), [("x".to_string(), false)]);
    let mut bench = exporting();
    bench.down(1);
    bench.feed(Event::PeerRemoved(name(P)));
    assert_eq!(grants(&mut bench), [("x".to_string(), false)]);
    assert_eq!(bench.core.groups().infos().len(), 0);
    bench.give_all_back();
}

#[test]
fn many_routes_are_looked_at_in_pieces_and_nobody_waits_for_the_last() {
    let mut bench = bench();
    bench.tunnelled(2, C);
    bench.meshed(1, B);
    let names: Vec<String> = (0..4 * Limits::AGED + 7).map(|n| std::format!("s{n}.acme.example")).collect();
    let routes: Vec<_> = names.iter().map(|n| (n.as_str(), "b", through("b"))).collect();
    bench.announce(1, &routes);
    bench.down(1);
    bench.run_until(bench.now + u64::from(RESTART) - 1);
    bench.now += 1;
    bench.effects();
    bench.feed(Event::Tick);
    assert_eq!(bench.ways().len(), Limits::AGED, "one piece a tick");
    assert_eq!(bench.core.next_deadline(), Some(bench.now), "the next is due at once");
    // It comes back meanwhile, confirms some, and is lost again before it has told its table.
    bench.meshed(3, B);
    bench.announce(3, &routes[..10]);
    bench.told(3);
    bench.feed(Event::Tick);
    bench.effects();
    bench.down(3);
    let ways = bench.ways().len();
    assert!(ways <= Limits::AGED, "{ways} in one step: the sweep goes on");
    bench.after(1);
    assert_eq!(bench.rows().len(), 10);
    assert_eq!(bench.remote(2).services().len(), 10);
    bench.after(MOST);
    assert_eq!(bench.rows(), []);
    bench.give_all_back();
}

#[derive(Clone, Debug)]
enum Op {
    Up(bool),
    Announce(usize),
    Withdraw(usize),
    Told,
    Down,
    Says(u16),
    Wait(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => any::<bool>().prop_map(Op::Up),
        6 => (0usize..4).prop_map(Op::Announce),
        2 => (0usize..4).prop_map(Op::Withdraw),
        3 => Just(Op::Told),
        3 => Just(Op::Down),
        1 => (1u16..14).prop_map(Op::Says),
        4 => (0u64..60_000).prop_map(Op::Wait),
    ]
}

const SERVICES: [&str; 4] = [X, Y, "z.acme.example", "u.acme.example"];

fn attrs(n: usize) -> Attrs<'static> {
    match n {
        2 => fail_closed(),
        3 => udp(),
        _ => through("b"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// `check` after each step holds every unconfirmed route to its bound.
    #[test]
    fn no_route_is_older_than_its_bound_whatever_happens(ops in prop::collection::vec(op(), 1..60)) {
        let mut bench = bench();
        let mut session = 0;
        // When each route was confirmed last while its session stood.
        let mut lost_at: Option<u64> = None;
        for op in ops {
            match op {
                Op::Up(mesh) => {
                    session += 1;
                    if mesh { bench.meshed(session, B) } else { bench.tunnelled(session, B) }
                }
                Op::Announce(n) => bench.announce(session, &[(SERVICES[n], "b", attrs(n))]),
                Op::Withdraw(n) => bench.withdraw(session, &[(SERVICES[n], "b")]),
                Op::Told => bench.told(session),
                Op::Down => bench.down(session),
                Op::Says(code) => bench.says(session, NotifyCode(code)),
                Op::Wait(ms) => bench.run_until(bench.now + ms),
            }
            bench.check();
            match (bench.peer(B).session.is_some(), lost_at) {
                (true, _) => lost_at = None,
                (false, None) => lost_at = Some(bench.now),
                (false, Some(at)) => {
                    prop_assert!(bench.now - at < MOST || bench.rows().is_empty());
                    let fresh = bench.now - at < u64::from(RESTART);
                    prop_assert!(fresh || bench.standing(SERVICES[2], B).is_none());
                }
            }
        }
        let again = bench.recording.replay(Heap::new(TableLimits::CLOUD)).unwrap();
        prop_assert_eq!(again.digest(), bench.core.digest());
        bench.give_all_back();
    }

    /// However often it goes and comes, in time and with the same table.
    #[test]
    fn the_same_table_again_is_no_work_for_the_data_plane(
        rounds in prop::collection::vec((0u64..14_000, 0u64..14_000, 0usize..5, any::<bool>()), 1..12),
    ) {
        let mut bench = bench();
        let all: Vec<_> = SERVICES[..3].iter().map(|s| (*s, "b", through("b"))).collect();
        bench.meshed(1, B);
        bench.announce(1, &all);
        bench.told(1);
        bench.ways();
        let mut session = 1;
        for (away, telling, told, moved) in rounds {
            if !moved {
                bench.down(session);
                bench.run_until(bench.now + away);
            }
            session += 1;
            bench.meshed(session, B);
            bench.announce(session, &all[..told.min(3)]);
            bench.run_until(bench.now + telling);
            bench.announce(session, &all);
            bench.told(session);
            bench.check();
            prop_assert_eq!(bench.ways(), []);
        }
    }
}
