//! Two connections between the same two nodes: both ends must keep the same one.

use super::kit::name;
use crate::{Contender, Keep, resolve};

/// One connection, seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wire {
    number: u8,
    dialled_by_first: bool,
}

/// Which of the two a node keeps, if their OPENs came in this order.
fn kept(own_is_first: bool, names: (&str, &str), runs: (u64, u64), order: [Wire; 2]) -> u8 {
    let (own, peer) = if own_is_first { (names.0, names.1) } else { (names.1, names.0) };
    let their_run = if own_is_first { runs.1 } else { runs.0 };
    let see =
        |w: Wire| Contender { dialled_by_us: w.dialled_by_first == own_is_first, incarnation: their_run };
    match resolve(&name(own), &name(peer), see(order[0]), see(order[1])) {
        Keep::Old => order[0].number,
        Keep::New => order[1].number,
    }
}

#[test]
fn both_ends_keep_the_same_connection_in_every_order() {
    let by_first = Wire { number: 1, dialled_by_first: true };
    let by_second = Wire { number: 2, dialled_by_first: false };
    let orders = [[by_first, by_second], [by_second, by_first]];
    let pairs = [
        ("a.acme.example", "b.acme.example"),
        ("b.acme.example", "a.acme.example"),
        ("z.acme.example", "a.globex.example"),
        ("node.acme.example", "node.acme.example.net"),
    ];
    for names in pairs {
        let dial_of_lower = if names.0 < names.1 { 1 } else { 2 };
        for runs in [(1, 1), (1, 2), (2, 1), (u64::MAX, 0)] {
            for at_first in orders {
                for at_second in orders {
                    let first = kept(true, names, runs, at_first);
                    let second = kept(false, names, runs, at_second);
                    assert_eq!(first, second, "{names:?} {at_first:?} {at_second:?}");
                    assert_eq!(first, dial_of_lower, "{names:?}");
                }
            }
        }
    }
}

#[test]
fn in_one_direction_the_newer_stays_at_both_ends() {
    for dialled_by_first in [false, true] {
        let order = [Wire { number: 1, dialled_by_first }, Wire { number: 2, dialled_by_first }];
        for own_is_first in [false, true] {
            assert_eq!(kept(own_is_first, ("a.acme.example", "b.acme.example"), (1, 1), order), 2);
        }
    }
}

#[test]
fn another_run_of_the_peer_takes_over_whoever_dialled() {
    let (a, b) = (name("a.acme.example"), name("b.acme.example"));
    for old_run in [1, 2, u64::MAX] {
        for new_run in [1, 2, u64::MAX] {
            for old_dial in [false, true] {
                for new_dial in [false, true] {
                    let old = Contender { dialled_by_us: old_dial, incarnation: old_run };
                    let new = Contender { dialled_by_us: new_dial, incarnation: new_run };
                    for (own, peer) in [(&a, &b), (&b, &a)] {
                        let keep = resolve(own, peer, old, new);
                        if old_run != new_run || old_dial == new_dial {
                            assert_eq!(keep, Keep::New);
                        } else {
                            assert_eq!(keep == Keep::New, new_dial == (own < peer));
                        }
                    }
                }
            }
        }
    }
}
