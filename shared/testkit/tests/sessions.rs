//! What becomes of sessions: timers, crossing dials, refusals.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use catalyst_control::{Effect, Event, LocalService, Notice, Now, PeerConfig, SessionId, Settings};
use catalyst_names::NodeName;
use catalyst_policy::Role;
use catalyst_testkit::any::{AnyCore, StoreKind};
use catalyst_testkit::{Exit, Fault, LinkPlan, Net, Noticed, See, Side};
use catalyst_wire::{Attrs, Frame, FrameType, Keepalive, Notify, NotifyCode, Open, UpdateWriter, update};

use common::{acme, agreement, border, lost, node, notices, rest, service, until, up};

fn link(holds: [u32; 2]) -> LinkPlan {
    let sides = holds.map(|hold_ms| Some(Side { agreement: None, hold_ms }));
    LinkPlan { sides, ..LinkPlan::new([0, 1]) }
}

fn pair(holds: [u32; 2]) -> Net {
    let mut net = acme(2, &[]);
    net.add_link(link(holds));
    rest(&mut net);
    net
}

#[test]
fn the_hold_time_is_the_smaller_of_both() {
    for (holds, smaller) in [
        ([9_000, 1_200], 1_200),
        ([1_500, 6_000], 1_500),
        ([2_000, 2_000], 2_000),
        ([0, 1_000], 1_000),
        ([1_000, 0], 1_000),
    ] {
        let mut net = pair(holds);
        let start = net.now();
        net.apply(Fault::Stall(0, [true, true], 60_000));
        net.run_for(30_000);
        for n in 0..2 {
            let peer = net.nodes()[1 - n].name().clone();
            let at: Vec<u64> = lost(&net, n, &peer);
            let took = at[0] - start;
            // The last sign of life was at most a keepalive's distance before the line went dead.
            assert!((smaller * 2 / 3 - 10..=smaller + 10).contains(&took), "{holds:?}: {took} ms");
        }
    }
}

#[test]
fn a_hold_time_of_zero_at_both_ends_switches_the_timer_off() {
    let mut net = pair([0, 0]);
    let session = net.established(0);
    let frames = net.stats().frames;
    net.run_for(60_000);
    assert_eq!(net.stats().frames, frames, "nobody has anything to say");
    net.apply(Fault::Stall(0, [true, true], 600_000));
    net.apply(up(0, "s", 0));
    net.run_for(700_000);
    assert_eq!(net.established(0), session);
    assert_eq!(net.see(1).unwrap().loc_rib.len(), 1, "what waited arrived");
}

#[test]
fn keepalives_keep_an_idle_session() {
    let mut net = pair([900, 900]);
    let (session, frames) = (net.established(0), net.stats().frames);
    net.run_for(90_000);
    assert_eq!(net.established(0), session);
    let sent = net.stats().frames - frames;
    assert!((590..=610).contains(&sent), "two sides, three in 900 ms: {sent} in 90 s");
}

#[test]
fn a_restarted_peer_is_taken_back_at_once() {
    // Whoever restarts, whoever dialled, and although the other side knows nothing of the loss yet.
    for (restarted, dials) in [(0, [true, false]), (1, [true, false]), (0, [false, true]), (1, [false, true])]
        .into_iter()
        .chain([(0, [true, true]), (1, [true, true])])
    {
        let mut net = acme(2, &[]);
        net.add_link(LinkPlan { dials, ..link([60_000, 60_000]) });
        rest(&mut net);
        net.apply(up(0, "s", 0));
        net.apply(up(1, "t", 0));
        rest(&mut net);
        // Only the one that restarts dials from now on: the other believes in its session.
        net.apply(Fault::Down(restarted, Exit::Power, Some(100)));
        if !dials[restarted] {
            continue;
        }
        until(&mut net, 400, "the session", |net| net.established(0).is_some());
        rest(&mut net);
    }
}

#[test]
fn a_second_dial_of_the_same_side_takes_over_at_once() {
    for side in 0..2 {
        let mut net = acme(2, &[]);
        net.add_link(LinkPlan { dials: [side == 0, side == 1], ..link([60_000, 60_000]) });
        net.apply(up(0, "s", 0));
        rest(&mut net);
        let old = net.established(0);
        // The other side knows nothing of the loss.
        net.apply(Fault::Lose(0, Noticed::Only(side)));
        let back = |net: &Net| net.established(0).is_some() && net.established(0) != old;
        until(&mut net, 100, "another session", back);
        rest(&mut net);
    }
}

#[test]
fn a_peer_that_is_not_configured_is_refused() {
    let mut net = acme(2, &[]);
    let side = Some(Side { agreement: None, hold_ms: 1_000 });
    net.add_link(LinkPlan { sides: [side, None], ..LinkPlan::new([0, 1]) });
    net.apply(up(0, "s", 0));
    net.run_for(2_000);
    let refused = |x: &&&Notice| matches!(x, Notice::NotifiedBy(_, NotifyCode::UNCONFIGURED, why, _) if why.contains("peers"));
    let dials = notices(&net, 0).iter().filter(refused).count();
    assert!((1..20).contains(&dials), "{dials} dials: it tries again, but not like mad");
    assert_eq!(net.see(1).unwrap().stored, 0);
    assert!(net.established_side(0, 0).is_none() && net.established_side(0, 1).is_none());
    // Once it is configured, the next dial succeeds without anyone's help.
    net.apply(Fault::Configure(0, 1, Some(Side { agreement: None, hold_ms: 1_000 })));
    rest(&mut net);
    assert_eq!(net.see(1).unwrap().loc_rib.len(), 1);
}

#[test]
fn a_removed_peer_takes_its_routes_along() {
    let mut net = acme(3, &[[0, 1], [1, 2]]);
    net.apply(up(0, "s", 0));
    rest(&mut net);
    net.apply(Fault::Configure(0, 1, None));
    rest(&mut net);
    assert!(net.see(2).unwrap().adj_in.is_empty());
    let told = |x: &&Notice| matches!(x, Notice::NotifiedBy(_, NotifyCode::REMOVED, _, _));
    assert!(notices(&net, 0).iter().any(told));
}

#[test]
fn different_agreements_are_refused_with_the_document() {
    let [ten, twenty] = [10, 20].map(|n| agreement("acme.example", "beta.example", Role::Peer, n));
    for other in [Some(twenty.clone()), None] {
        let mut net = Net::empty(1);
        net.add_node(node("a.acme.example"));
        net.add_node(node("b.beta.example"));
        net.add_link(border([0, 1], [Some(ten.clone()), other.clone()]));
        net.run_for(500);
        assert!(net.established_side(0, 0).is_none() && net.established_side(0, 1).is_none());
        let documents = |n: usize| -> Vec<String> {
            let said = |x: &&Notice| matches!(x, Notice::NotifiedBy(_, NotifyCode::AGREEMENT, _, _));
            let text = |x: &Notice| match x {
                Notice::NotifiedBy(_, _, _, document) => document.clone(),
                _ => String::new(),
            };
            notices(&net, n).into_iter().filter(said).map(text).collect()
        };
        let mut held = String::new();
        ten.write_canonical(&mut held).unwrap();
        let mut others = String::new();
        other.iter().for_each(|a| a.write_canonical(&mut others).unwrap());
        // Both OPENs cross, and both sides see what the other holds.
        assert!(!documents(0).is_empty() && documents(0).iter().all(|d| *d == others));
        assert!(!documents(1).is_empty() && documents(1).iter().all(|d| *d == held));
        // With the same document on both sides they come together.
        net.apply(Fault::Configure(0, 1, Some(Side { agreement: Some(ten.clone()), hold_ms: 3_000 })));
        rest(&mut net);
        assert!(net.established(0).is_some());
    }
}

#[test]
fn organisations_without_an_agreement_meet_but_exchange_nothing() {
    let mut net = Net::empty(1);
    for (name, other) in [("a.acme.example", "beta.example"), ("b.beta.example", "acme.example")] {
        let mut plan = node(name);
        plan.services = vec![service("s", 0)];
        plan.exports = common::export(other);
        plan.imports = common::import(other);
        net.add_node(plan);
    }
    net.add_link(border([0, 1], [None, None]));
    rest(&mut net);
    assert!(net.established(0).is_some());
    assert!((0..2).all(|n| net.see(n).unwrap().stored == 1));
}

/// A real core, and frames by hand at the other end.
struct ByHand {
    core: AnyCore,
    now: u64,
    peer: NodeName,
}

const SESSION: SessionId = SessionId(1);

impl ByHand {
    fn new(hold_ms: u32) -> Self {
        let settings = Settings {
            name: "a.acme.example".parse().unwrap(),
            incarnation: 1,
            border_secret: [1; 32],
            limits: catalyst_control::Limits::CLOUD,
            mesh_address: String::new(),
            stale_max_ms: 0,
            flap: Default::default(),
        };
        let core = AnyCore::new(settings, StoreKind::Heap).unwrap();
        let peer: NodeName = "b.acme.example".parse().unwrap();
        let mut hand = ByHand { core, now: 0, peer: peer.clone() };
        let config = PeerConfig { name: peer.clone(), agreement: None, hold_ms, restart_ms: 0 };
        hand.feed(&Event::PeerConfigured(Box::new(config)));
        hand.feed(&Event::SessionUp { session: SESSION, peer, dialled: false });
        hand
    }

    fn feed(&mut self, event: &Event) -> Vec<Effect> {
        self.core.handle(event, Now::mono(self.now));
        std::iter::from_fn(|| self.core.poll_effect()).collect()
    }

    fn frame(&mut self, frame: &[u8]) -> Vec<Effect> {
        self.feed(&Event::PeerFrame { session: SESSION, frame: frame.to_vec() })
    }

    fn sent(&mut self) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.core.poll_transmit()).map(|(_, frame)| frame).collect()
    }

    fn open(&mut self) -> Vec<Effect> {
        let mut buf = [0; 512];
        let name = self.peer.clone();
        let open = Open {
            version_min: 1,
            version_max: 1,
            node: name.as_str(),
            incarnation: 5,
            hold_ms: 60_000,
            restart_ms: 0,
            capabilities: 0,
            agreement: None,
            mesh_address: "",
        };
        self.frame(open.write(&mut buf).unwrap())
    }

    fn update(&mut self, service: &str, origin: &str, path: &str) -> Vec<Effect> {
        let (mut entry, mut buf) = ([0; 256], [0; 512]);
        let attrs = Attrs { node_path: catalyst_wire::Path::one(path), ..Attrs::default() };
        let element = update::write_entry(&mut entry, service, origin, &attrs).unwrap();
        let mut out = UpdateWriter::new(&mut buf).unwrap();
        out.announce(element).unwrap();
        self.frame(out.finish().unwrap())
    }

    /// The code of the NOTIFY with which the core ended the connection.
    fn ended(effects: &[Effect]) -> Option<NotifyCode> {
        effects.iter().find_map(|e| match e {
            Effect::Close { session: SESSION, last } => {
                Some(Notify::read(Frame::whole(last).unwrap().body).unwrap().code)
            }
            _ => None,
        })
    }
}

#[test]
fn a_peer_that_stops_reading_is_ended_by_the_send_hold_timer() {
    // However little credit is left: none, or some that is too small for what waits.
    for credit in [0, 30, 300] {
        let mut hand = ByHand::new(2_000);
        hand.feed(&Event::Writable { session: SESSION, bytes: 100 + credit });
        hand.open();
        hand.sent();
        for n in 0..50 {
            let label = format!("s{n}").parse().unwrap();
            hand.feed(&Event::ServiceUp(LocalService { label, ..service("s", 0) }));
            hand.sent();
        }
        let mut buf = [0; 16];
        let alive = Keepalive::default().write(&mut buf).unwrap().to_vec();
        let ended = (0..40_000).step_by(100).find_map(|now| {
            hand.now = now;
            let mut effects = hand.frame(&alive);
            effects.extend(hand.feed(&Event::Tick));
            hand.sent();
            ByHand::ended(&effects).map(|code| (now, code))
        });
        let (at, code) = ended.expect("the session of a peer that does not read went on for ever");
        assert_eq!(code, NotifyCode::SEND_HOLD);
        assert!((10_000..13_000).contains(&at), "credit {credit}: ended after {at} ms");
    }
}

#[test]
fn routes_before_open_and_after_the_end_change_nothing() {
    let mut early = ByHand::new(2_000);
    assert_eq!(ByHand::ended(&early.update("s.acme.example", "b", "b")), Some(NotifyCode::UNEXPECTED));
    assert_eq!(early.core.look(See).stored, 0);
    // The connection is over: not even an OPEN revives it.
    early.open();
    early.update("s.acme.example", "b", "b");
    assert_eq!(early.core.look(See).stored, 0);

    let mut late = ByHand::new(2_000);
    late.open();
    late.update("s.acme.example", "b", "b");
    assert_eq!(late.core.look(See).stored, 1);
    late.feed(&Event::PeerRemoved(late.peer.clone()));
    assert_eq!(late.core.look(See).stored, 0);
    late.update("s.acme.example", "b", "b");
    assert_eq!(late.core.look(See).stored, 0);
}

#[test]
fn a_peer_can_speak_only_for_itself() {
    let mut hand = ByHand::new(2_000);
    hand.open();
    // By another's path, by a path through us, of another organisation, of no path at all.
    hand.update("s.acme.example", "b", "c");
    hand.update("s.acme.example", "b", "a");
    assert_eq!(hand.core.look(See).stored, 0);
    hand.update("s.beta.example", "b", "b");
    // Well-formed, so it is kept for who asks why; it is not used.
    assert_eq!((hand.core.look(See).stored, hand.core.look(See).loc_rib.len()), (1, 0));
    hand.update("s.acme.example", "b", "b");
    assert_eq!((hand.core.look(See).stored, hand.core.look(See).loc_rib.len()), (2, 1));
    // A withdrawal of what is ours touches only what it told itself.
    hand.feed(&Event::ServiceUp(service("t", 0)));
    let (mut key, mut buf) = ([0; 64], [0; 128]);
    let element = update::write_key(&mut key, "t.acme.example", "a").unwrap();
    let mut out = UpdateWriter::new(&mut buf).unwrap();
    out.withdraw(element).unwrap();
    let frame = out.finish().unwrap().to_vec();
    hand.frame(&frame);
    assert_eq!(hand.core.look(See).loc_rib.len(), 2);
}

#[test]
fn no_open_within_its_time_ends_the_connection() {
    let mut hand = ByHand::new(2_000);
    assert_eq!(hand.core.next_deadline(), Some(5_000));
    hand.now = 5_000;
    let effects = hand.feed(&Event::Tick);
    assert_eq!(ByHand::ended(&effects), Some(NotifyCode::HOLD));
    assert_eq!(hand.core.next_deadline(), None, "nothing is left to wait for");
}

#[test]
fn end_of_rib_comes_after_the_table() {
    let mut hand = ByHand::new(2_000);
    for label in ["s", "t"] {
        hand.feed(&Event::ServiceUp(service(label, 0)));
    }
    hand.feed(&Event::Writable { session: SESSION, bytes: 10_000 });
    hand.open();
    let kinds: Vec<Option<FrameType>> =
        hand.sent().iter().map(|f| Frame::whole(f).unwrap().kind().unwrap()).collect();
    let wanted = [FrameType::Open, FrameType::Update, FrameType::EndOfRib];
    assert_eq!(kinds, wanted.map(Some));
}
