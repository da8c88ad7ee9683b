//! Statements of the organisation: who gets them, who may hand them on, and that they wait for credit like all else.

use std::vec::Vec;

use catalyst_policy::Role;
use catalyst_wire::Trust;

use super::kit::*;
use crate::*;

fn statement(kind: u8, epoch: u8) -> Vec<u8> {
    let mut buf = [0u8; 200];
    Trust { kind, statement: &[epoch; 90], signature: &[1, 2, 3] }.write(&mut buf).unwrap().to_vec()
}

fn heard(bench: &mut Bench<impl catalyst_route_table::Store>, session: u64) -> Vec<Vec<u8>> {
    let trust = |h| match h {
        Heard::Trust(frame) => Some(frame),
        _ => None,
    };
    bench.heard(session).into_iter().filter_map(trust).collect()
}

#[test]
fn neighbours_of_the_own_organisation_get_it_at_once_and_with_each_new_session() {
    let mut bench = Bench::new();
    bench.internal(1, "b.acme.example");
    let partner = agreement("globex.example", Role::Peer, 10, 1000);
    bench.feed(peer("gw.globex.example", Some(partner)));
    bench.up(2, "gw.globex.example");
    assert!(heard(&mut bench, 1).is_empty(), "there was nothing to hand on");
    let first = statement(Trust::REVOCATIONS, 1);
    bench.feed(Event::TrustChanged { frame: first.clone() });
    bench.drain();
    assert_eq!(heard(&mut bench, 1), [first]);
    let second = statement(Trust::REVOCATIONS, 2);
    bench.feed(Event::TrustChanged { frame: second.clone() });
    bench.internal(3, "c.acme.example");
    assert_eq!(heard(&mut bench, 3), std::slice::from_ref(&second), "the newest, once");
    bench.down(1);
    bench.up(4, "b.acme.example");
    assert_eq!(heard(&mut bench, 4), [second], "again with a new session");
    assert!(heard(&mut bench, 2).is_empty(), "a partner is told nothing of our nodes");
}

#[test]
fn what_a_neighbour_hands_on_is_for_the_shell_to_judge_and_what_a_partner_says_for_nobody() {
    let mut bench = Bench::new();
    bench.internal(1, "b.acme.example");
    let partner = agreement("globex.example", Role::Peer, 10, 1000);
    bench.feed(peer("gw.globex.example", Some(partner)));
    bench.up(2, "gw.globex.example");
    bench.effects();
    let frame = statement(Trust::REVOCATIONS, 1);
    bench.frame(1, frame.clone());
    assert_eq!(bench.effects(), [Effect::Trust { peer: name("b.acme.example"), frame: frame.clone() }]);
    bench.frame(2, frame.clone());
    bench.frame(1, statement(9, 1));
    assert!(bench.effects().is_empty(), "another organisation, and a kind of later");
    // What this node has already is not judged again.
    bench.feed(Event::TrustChanged { frame: frame.clone() });
    bench.frame(1, frame);
    assert!(bench.effects().is_empty());
    assert!(
        bench.peer("gw.globex.example").session.is_some() && bench.peer("b.acme.example").session.is_some()
    );
}

#[test]
fn it_waits_for_credit_and_only_the_newest_leaves() {
    let mut bench = Bench::new();
    bench.feed(peer("b.acme.example", None));
    bench.up_with(1, "b.acme.example", 100);
    for epoch in 1..=9 {
        bench.feed(Event::TrustChanged { frame: statement(Trust::REVOCATIONS, epoch) });
        bench.drain();
    }
    assert!(heard(&mut bench, 1).is_empty(), "no room");
    bench.writable(1, 10_000);
    bench.drain();
    let got = heard(&mut bench, 1);
    assert_eq!(got.last(), Some(&statement(Trust::REVOCATIONS, 9)), "{got:?}");
    assert!(got.len() <= 2, "one that waited, and the newest");
}
