//! Ways through the whole table: in pieces, with everything else between them, and nothing told too early.

use std::collections::BTreeSet;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use catalyst_policy::{Neighbour, Pattern, Role, Rule, Tag};
use catalyst_route_table::{Heap, Limits as TableLimits};
use catalyst_wire::{Attrs, FrameType};

use super::kit::*;
use crate::*;

const B: &str = "b.acme.example";
const C: &str = "c.acme.example";
const P: &str = "p.globex.example";
const Q: &str = "q.globex.example";
const R: &str = "r.initech.example";

fn named(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("s{n}.acme.example")).collect()
}

/// Two nodes of the own organisation, of which the first has so many services, and one of globex, which is told all.
fn bench(walked: usize, services: usize) -> Bench {
    let mut bench = Bench::limited(Limits { walked, ..Limits::CLOUD });
    bench.feed(rules(&["*>globex.example", "*<globex.example"]));
    bench.internal(1, B);
    bench.internal(2, C);
    for node in [P, Q] {
        bench.feed(peer(node, Some(agreement("globex.example", Role::Customer, 1_000_000, u32::MAX))));
    }
    bench.feed(peer(R, Some(agreement("initech.example", Role::Customer, 1_000_000, u32::MAX))));
    bench.up(3, P);
    let names = named(services);
    let all: Vec<_> = names.iter().map(|s| (s.as_str(), "b", through("b"))).collect();
    bench.announce(1, &all);
    bench.run_until(bench.now);
    assert!(!bench.core.is_walking());
    bench.effects();
    for session in 1..=3 {
        bench.heard(session);
    }
    bench
}

impl Bench {
    /// Goes on until no walk is under way; says how many steps that took.
    fn walk(&mut self) -> usize {
        let mut steps = 0;
        while self.core.is_walking() {
            assert_eq!(self.core.next_deadline(), Some(self.now), "the next step is due at once");
            self.feed(Event::Tick);
            self.check();
            steps += 1;
        }
        steps
    }

    fn has(&self, session: u64, service: &str) -> bool {
        self.remote(session).services().contains(&service)
    }

    fn grants(&mut self) -> Vec<(String, String, bool)> {
        let of = |e| match e {
            Effect::Grant { peer, service, granted } => {
                Some((peer.to_string(), service.to_string(), granted))
            }
            _ => None,
        };
        self.effects().into_iter().filter_map(of).collect()
    }
}

/// The announcements among these frames.
fn announced(frames: Vec<Heard>) -> BTreeSet<String> {
    let of = |heard| match heard {
        Heard::Update(announced, _) => announced.into_iter().map(|(service, _)| service).collect(),
        _ => Vec::new(),
    };
    frames.into_iter().flat_map(of).collect()
}

#[test]
fn other_rules_are_in_force_for_all_routes_when_the_walk_is_done() {
    let mut bench = bench(10, 100);
    assert_eq!(bench.remote(3).table.len(), 100);
    bench.feed(rules(&["s1*>globex.example", "*<globex.example"]));
    assert!(bench.core.is_judging());
    let after_one = bench.remote(3).table.len();
    assert!(after_one > 90 && after_one < 100, "{after_one} after the first step");
    assert!(bench.walk() > 10);
    assert!(!bench.core.is_judging());
    assert_eq!(bench.remote(3).table.len(), 11);
    assert!(bench.remote(3).services().iter().all(|s| s.starts_with("s1")));
    let cut: Vec<_> = bench.grants().into_iter().filter(|g| !g.2).collect();
    assert_eq!(cut.len(), 89);
    assert_eq!(bench.heard(2), [], "nothing changes inside");
    bench.give_all_back();
}

#[test]
fn what_changes_during_the_walk_is_told_at_once_and_by_the_rules_of_now() {
    let services = 100_000;
    let mut bench = bench(1_024, services);
    bench.feed(rules(&["*>globex.example", "s1*>initech.example", "s77>other.example"]));
    let (mut steps, mut late) = (0, 0);
    while bench.core.is_walking() {
        // One behind the walk and one before it, each with every step.
        for n in [steps % services, services - 1 - steps % services] {
            let service = format!("s{n}.acme.example");
            let cost = 7 + steps as u32;
            bench.announce(1, &[(&service, "b", Attrs { cost, ..through("b") })]);
            for session in [2, 3] {
                let heard = announced(bench.heard(session));
                late += usize::from(!heard.contains(&service));
            }
        }
        bench.feed(Event::Tick);
        steps += 1;
    }
    assert!(steps > 100, "{steps} steps");
    assert_eq!(late, 0, "changes that waited for the walk");
    assert_eq!(bench.remote(3).table.len(), services);
    bench.check();
}

#[test]
fn no_announcement_of_the_rules_of_before_is_sent_any_more() {
    let mut bench = bench(10, 100);
    // It has heard nothing yet when the rules close half of it.
    bench.up_with(4, Q, 0);
    bench.feed(rules(&["s1*>globex.example", "*<globex.example"]));
    assert!(bench.core.is_judging());
    bench.writable(4, PLENTY);
    loop {
        let heard = announced(bench.heard(4));
        assert!(heard.iter().all(|s| s.starts_with("s1")), "{heard:?}");
        if !bench.core.is_walking() && bench.core.looking.is_empty() {
            break;
        }
        bench.feed(Event::Tick);
    }
    assert_eq!(bench.remote(4).table.len(), 11);
    bench.give_all_back();
}

#[test]
fn a_neighbour_that_comes_during_the_walk_hears_only_what_the_rules_of_now_let_out() {
    for interest in [None, Some("*.acme.example")] {
        let mut bench = bench(10, 100);
        bench.feed(rules(&["s2*>globex.example", "*<globex.example"]));
        bench.up_with(4, Q, 0);
        if let Some(pattern) = interest {
            let mut buf = [0; 100];
            let list = Some([pattern].into_iter());
            let (frame, _) = catalyst_wire::Interest::write(list, &mut buf).unwrap();
            bench.frame(4, frame.to_vec());
        }
        bench.writable(4, PLENTY);
        let mut frames = Vec::new();
        while bench.core.is_judging() {
            frames.extend(bench.heard(4));
            bench.feed(Event::Tick);
        }
        bench.run_until(bench.now);
        frames.extend(bench.heard(4));
        assert!(announced(frames.clone()).iter().all(|s| s.starts_with("s2")), "{frames:?}");
        assert_eq!(frames.iter().filter(|f| **f == Heard::EndOfRib).count(), 1);
        assert_eq!(bench.remote(4).table.len(), 11);
        bench.give_all_back();
    }
}

#[test]
fn what_neither_rules_let_out_is_never_told() {
    let mut bench = bench(1, 30);
    bench.feed(rules(&["*<globex.example"]));
    bench.walk();
    let theirs: Vec<_> = (0..30).map(|n| format!("t{n}.globex.example")).collect();
    let all: Vec<_> = theirs.iter().map(|s| (s.as_str(), "o", across("globex.example"))).collect();
    bench.announce(3, &all);
    bench.up(5, R);
    bench.walk();
    bench.heard(5);
    // Import closes with what export opens.
    bench.feed(rules(&["*.globex.example>initech.example"]));
    let mut at = 0;
    while bench.core.is_walking() {
        // Each changes before the walk comes to it.
        at = (at + 1).min(theirs.len());
        let (name, attrs) = (theirs[theirs.len() - at].as_str(), across("globex.example"));
        bench.announce(3, &[(name, "o", Attrs { cost: 5 + at as u32, ..attrs })]);
        bench.feed(Event::Tick);
    }
    assert_eq!(bench.heard(5), []);
    assert!(bench.rows().iter().all(|row| row.1 != P || row.2 == "ineligible"));
    bench.give_all_back();
}

#[test]
fn the_keys_of_a_service_are_judged_together_so_that_its_flows_stay() {
    let mut bench = bench(1, 0);
    let tagged = |tag: &str| {
        let mut rule = Rule::new(Pattern::parse("*").unwrap(), Neighbour::parse("globex.example").unwrap());
        rule.tag = Some(Tag::parse(tag).unwrap());
        Event::PolicyChanged { exports: Vec::from([rule]), imports: Vec::new() }
    };
    bench.feed(tagged("acme.example:x"));
    bench.walk();
    let with = |tag: &str| Attrs { tags: path(&[tag]), ..through("b") };
    for service in ["u.acme.example", "v.acme.example"] {
        bench
            .announce(1, &[(service, "o1", with("acme.example:x")), (service, "o2", with("acme.example:y"))]);
    }
    assert_eq!(bench.grants().len(), 2);
    bench.feed(tagged("acme.example:y"));
    assert!(bench.core.is_walking());
    bench.walk();
    assert_eq!(bench.grants(), [], "flows would have been cut");
    assert_eq!(bench.remote(3).table.len(), 2);
    bench.give_all_back();
}

#[test]
fn a_second_change_begins_the_walk_anew_and_other_walks_wait() {
    let mut bench = bench(10, 100);
    bench.feed(rules(&[]));
    (0..5).for_each(|_| bench.feed(Event::Tick));
    bench.up(5, R);
    bench.feed(rules(&["s1*>globex.example", "s2*>initech.example"]));
    assert!(bench.core.is_judging());
    bench.feed(Event::DrainChanged(true));
    bench.walk();
    bench.run_until(bench.now);
    assert_eq!((bench.remote(3).table.len(), bench.remote(5).table.len()), (11, 11));
    let drains = |raw: &Vec<u8>| Attrs::read(raw).unwrap().well_known.0 != 0;
    assert!(bench.remote(3).table.values().all(drains) && bench.remote(2).table.values().all(drains));
    assert!(bench.core.all_told());
    bench.give_all_back();
}

#[test]
fn end_of_rib_and_digests_wait_for_the_table_of_a_new_group() {
    for interest in [None, Some("*.acme.example")] {
        let mut bench = bench(10, 200);
        bench.feed(rules(&["*>globex.example", "*>initech.example"]));
        bench.walk();
        bench.up(5, R);
        if let Some(pattern) = interest {
            let mut buf = [0; 100];
            let list = Some([pattern].into_iter());
            let (frame, _) = catalyst_wire::Interest::write(list, &mut buf).unwrap();
            bench.frame(5, frame.to_vec());
        }
        let mut steps = 0;
        while bench.core.is_walking() {
            assert!(!bench.heard(5).contains(&Heard::EndOfRib), "before the table is made");
            assert!(!bench.core.all_told());
            assert_eq!(bench.core.groups().digest(SessionId(5)), None);
            bench.feed(Event::Tick);
            steps += 1;
        }
        assert!(steps >= 15, "{steps}");
        bench.run_until(bench.now);
        assert_eq!(bench.remote(5).table.len(), 200);
        assert_eq!(bench.remote(5).frames.iter().filter(|f| **f == Heard::EndOfRib).count(), 1);
        assert!(bench.core.groups().digest(SessionId(5)).is_some());
        bench.give_all_back();
    }
}

#[test]
fn many_new_groups_at_a_time_take_two_walks_and_one_that_goes_takes_none() {
    let mut bench = bench(10, 100);
    for n in 0..8u64 {
        let node = format!("n.org{n}.example");
        let org = format!("org{n}.example");
        bench.feed(peer(&node, Some(agreement(&org, Role::Customer, 1_000_000, u32::MAX))));
        bench.up(10 + n, &node);
    }
    assert_eq!(bench.core.waiting.len(), 7);
    (10..18).for_each(|session| bench.down(session));
    bench.feed(Event::Tick);
    bench.feed(Event::Tick);
    assert!(!bench.core.is_walking(), "there is nobody to walk for");
    bench.give_all_back();
}

#[test]
fn a_group_that_is_no_longer_of_one_hears_of_its_routes_in_pieces() {
    let mut bench = bench(10, 0);
    bench.feed(rules(&["*.*>globex.example", "*.*<globex.example"]));
    bench.feed(quiet("d.acme.example", None));
    bench.down(2);
    // The first alone in its group: nothing of its own is announced to it.
    let names = named(100);
    let all: Vec<_> = names.iter().map(|s| (s.as_str(), "b", through("b"))).collect();
    bench.announce(1, &all);
    bench.up(6, "d.acme.example");
    assert!(bench.core.is_walking());
    assert!(!bench.heard(6).contains(&Heard::EndOfRib));
    bench.walk();
    assert_eq!(bench.remote(6).table.len(), 100);
    assert!(bench.heard(6).contains(&Heard::EndOfRib));
    bench.frame(6, plain(FrameType::Keepalive));
    bench.give_all_back();
}

#[test]
fn a_group_that_is_split_while_its_table_is_made_comes_to_its_end() {
    let mut bench = bench(10, 100);
    let s = "s.initech.example";
    bench.feed(peer(s, Some(agreement("initech.example", Role::Customer, 1_000_000, u32::MAX))));
    bench.feed(rules(&["*>initech.example"]));
    bench.walk();
    bench.up(5, R);
    bench.up(6, s);
    assert!(bench.core.is_walking());
    bench.feed(rules(&["s1*>s.initech.example", "s2*>initech.example"]));
    bench.walk();
    bench.run_until(bench.now);
    for session in [5, 6] {
        let ends = bench.remote(session).frames.iter().filter(|f| **f == Heard::EndOfRib).count();
        assert_eq!(ends, 1, "session {session}");
        assert!(bench.core.groups().digest(SessionId(session)).is_some());
    }
    assert_eq!((bench.remote(5).table.len(), bench.remote(6).table.len()), (11, 22));
    bench.give_all_back();
}

#[test]
fn a_table_that_is_to_be_made_anew_is_not_complete_before() {
    let mut bench = bench(10, 100);
    for node in ["d.acme.example", "e.acme.example"] {
        bench.feed(quiet(node, None));
    }
    bench.down(2);
    bench.down(1);
    bench.up(7, "d.acme.example");
    assert!(bench.core.is_walking(), "the table of the only one inside");
    let names = named(100);
    let all: Vec<_> = names.iter().map(|s| (s.as_str(), "d", through("d"))).collect();
    bench.announce(7, &all);
    (0..4).for_each(|_| bench.feed(Event::Tick));
    // What it told itself was passed over, for nobody else was there to hear of it.
    assert!(bench.core.is_walking());
    bench.up(8, "e.acme.example");
    assert_eq!(bench.core.waiting.len(), 1);
    let mut ended = 0;
    while bench.core.is_walking() {
        ended += bench.heard(8).iter().filter(|f| **f == Heard::EndOfRib).count();
        assert_eq!(ended, 0, "END_OF_RIB after {} of 100 routes", bench.remote(8).table.len());
        bench.feed(Event::Tick);
    }
    bench.run_until(bench.now);
    assert!(bench.heard(8).contains(&Heard::EndOfRib));
    assert_eq!(bench.remote(8).table.len(), 100);
}

#[test]
fn better_news_that_waits_meets_no_rules_of_two_times() {
    let mut bench = bench(1, 30);
    bench.up(4, Q);
    bench.up(5, R);
    bench.feed(rules(&["*.*<globex.example"]));
    bench.walk();
    bench.run_until(bench.now + 1_000);
    let say = |bench: &mut Bench, session, cost| {
        let attrs = Attrs { cost, ..across("globex.example") };
        bench.announce(session, &[("t.globex.example", "o", attrs)]);
    };
    say(&mut bench, 3, 10);
    say(&mut bench, 4, 5);
    assert_eq!(bench.core.paused().count(), 1);
    bench.effects();
    // Import closes with what export opens.
    bench.feed(rules(&["*.*>initech.example"]));
    bench.now += Limits::PAUSE_MS;
    bench.feed(Event::Tick);
    assert!(bench.core.is_judging(), "the walk has not come to it");
    bench.walk();
    let opened: Vec<_> = bench.grants().into_iter().filter(|g| g.1 == "t.globex.example").collect();
    assert_eq!(opened, [], "neither rules let anybody in");
    assert!(!bench.has(5, "t.globex.example"));
    bench.give_all_back();
}

#[test]
fn a_recording_of_a_walk_replays() {
    let mut bench = bench(5, 60);
    bench.feed(rules(&["s1*>globex.example", "*<globex.example"]));
    bench.feed(Event::Tick);
    bench.up(5, R);
    let replayed = |bench: &Bench| bench.recording.replay(Heap::new(TableLimits::CLOUD)).unwrap();
    let half = replayed(&bench);
    assert!(half.is_judging());
    assert_eq!(half.digest(), bench.core.digest());
    bench.walk();
    let whole = replayed(&bench);
    assert!(!whole.is_walking());
    assert_eq!(whole.digest(), bench.core.digest());
    assert!(!bench.has(3, "s2.acme.example"));
}

#[test]
fn what_a_neighbour_leaves_that_is_removed_goes_in_pieces() {
    let mut bench = bench(1_024, 6 * Limits::AGED);
    bench.feed(Event::PeerRemoved(name(B)));
    assert_eq!(bench.remote(2).table.len(), 4 * Limits::AGED, "two pieces with the event");
    assert!(bench.core.state().peer(&name(B)).is_none() && bench.core.state().peers().count() == 4);
    bench.closed();
    bench.feed(Event::SessionUp { session: SessionId(20), peer: name(B), dialled: true });
    assert_eq!(bench.closed()[0].1, Some(catalyst_wire::NotifyCode::UNCONFIGURED));
    // It comes back before the last has gone: what it told before does not.
    bench.feed(Event::Tick);
    bench.internal(21, B);
    assert_eq!(bench.remote(2).table.len(), 2 * Limits::AGED);
    bench.announce(21, &[("s0.acme.example", "b", through("b"))]);
    bench.run_until(bench.now);
    assert_eq!(bench.remote(2).services(), ["s0.acme.example"]);
    bench.feed(Event::PeerRemoved(name(B)));
    assert_eq!(bench.remote(2).table.len(), 0);
    assert!(bench.core.ages.is_empty());
    bench.check();
    bench.give_all_back();
}

#[test]
fn a_neighbour_that_is_configured_again_while_its_routes_go_needs_a_place() {
    let mut bench = Bench::limited(Limits { walked: 1, peers: 2, ..Limits::CLOUD });
    bench.internal(1, B);
    bench.internal(2, C);
    let names = named(20);
    let all: Vec<_> = names.iter().map(|s| (s.as_str(), "b", through("b"))).collect();
    bench.announce(1, &all);
    bench.feed(Event::PeerRemoved(name(B)));
    bench.feed(peer(P, None));
    bench.effects();
    assert!(!bench.rows().is_empty(), "its routes are on their way out");
    bench.feed(peer(B, None));
    let full = Notice::Refusing(name(B), "the limit of configured peers is reached".to_string());
    assert_eq!(bench.notices(), [full]);
    assert!(bench.core.state().peer(&name(B)).is_none() && bench.core.state().peers().count() == 2);
    bench.run_until(bench.now);
    assert_eq!(bench.rows().len(), 0, "they go on their way out");
    // With a place for it, it may be back before they are gone.
    bench.feed(Event::PeerRemoved(name(P)));
    bench.internal(3, B);
    bench.announce(3, &all);
    bench.feed(Event::PeerRemoved(name(B)));
    assert!(!bench.rows().is_empty());
    bench.internal(4, B);
    assert_eq!(bench.peer(B).session, Some(SessionId(4)));
    bench.run_until(bench.now);
    bench.check();
    bench.give_all_back();
}

#[test]
fn a_refresh_that_begins_while_the_last_is_swept_finishes_nothing_at_once() {
    let mut bench = bench(1_024, 3 * Limits::AGED);
    let (begin, end) = (refresh(catalyst_wire::Refresh::BEGIN), refresh(catalyst_wire::Refresh::END));
    bench.frame(1, plain(FrameType::EndOfRib));
    bench.frame(1, begin.clone());
    let names = named(3);
    let few: Vec<_> = names.iter().map(|s| (s.as_str(), "b", through("b"))).collect();
    bench.announce(1, &few);
    bench.frame(1, end.clone());
    let left = bench.remote(2).table.len();
    assert!(left >= 2 * Limits::AGED, "{left}");
    bench.frame(1, begin);
    assert_eq!(bench.remote(2).table.len(), left, "it is not finished in this step");
    bench.announce(1, &few[..2]);
    bench.run_until(bench.now);
    assert_eq!(bench.remote(2).table.len(), 3, "what the refresh before confirmed stays until this one ends");
    bench.frame(1, end);
    bench.run_until(bench.now);
    assert_eq!(bench.remote(2).table.len(), 2);
    bench.check();
    bench.give_all_back();
}

fn refresh(what: catalyst_wire::Refresh) -> Vec<u8> {
    what.write(&mut [0; 16]).unwrap().to_vec()
}
