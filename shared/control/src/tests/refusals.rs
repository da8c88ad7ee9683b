//! What is refused is told as it is now, at both ends, and not as it once was.

use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use catalyst_route_table::{Heap, Limits as TableLimits};
use catalyst_wire::{FrameType, Refresh, Refused};

use super::kit::*;
use crate::*;

const B: &str = "b.acme.example";
const C: &str = "c.acme.example";

fn name_of(n: usize) -> String {
    format!("s{n}.acme.example")
}

/// `b` may have three routes here.
fn bench() -> Bench {
    let mut bench = Bench::limited(Limits { routes_per_peer: 3, ..Limits::CLOUD });
    bench.internal(1, B);
    bench
}

fn tell<S: catalyst_route_table::Store>(bench: &mut Bench<S>, session: u64, by: &str, n: usize) {
    bench.announce(session, &[(&name_of(n), "o", through(by))]);
}

/// What the neighbour heard of refusals since this was asked before: how many, and of which services.
fn told(bench: &mut Bench) -> Vec<(u32, String)> {
    let of = |heard| match heard {
        Heard::Refused(count, why) => {
            let names = why.split_once('[').map_or(String::new(), |(_, names)| names.replace(']', ""));
            Some((count, names))
        }
        _ => None,
    };
    bench.heard(1).into_iter().filter_map(of).collect()
}

#[test]
fn what_is_withdrawn_or_has_found_room_is_refused_no_longer() {
    let mut bench = bench();
    (0..6).for_each(|n| tell(&mut bench, 1, "b", n));
    let s = |n| name_of(n);
    assert_eq!(
        told(&mut bench),
        [(1, s(3)), (2, format!("{} {}", s(3), s(4))), (3, format!("{} {} {}", s(3), s(4), s(5)))]
    );
    // The same once more is neither more nor news.
    tell(&mut bench, 1, "b", 4);
    assert_eq!(told(&mut bench), []);
    assert_eq!((bench.peer(B).refused.count(), bench.peer(B).refused.total()), (3, 4));
    bench.withdraw(1, &[(&s(4), "o")]);
    assert_eq!(told(&mut bench), [(2, format!("{} {}", s(3), s(5)))]);
    bench.withdraw(1, &[(&s(0), "o"), ("none.acme.example", "o")]);
    assert_eq!(told(&mut bench), []);
    tell(&mut bench, 1, "b", 3);
    assert_eq!(told(&mut bench), [(1, s(5))]);
    assert!(bench.peer(B).refused.why().is_some());
    bench.withdraw(1, &[(&s(5), "o")]);
    assert_eq!(told(&mut bench), [(0, String::new())]);
    let refused = &bench.peer(B).refused;
    assert_eq!((refused.count(), refused.is_any(), refused.why(), refused.total()), (0, false, None, 4));
    bench.check();
}

#[test]
fn a_service_keeps_its_name_while_another_origin_of_it_is_refused() {
    let mut bench = bench();
    (0..3).for_each(|n| tell(&mut bench, 1, "b", n));
    bench.announce(1, &[("x.acme.example", "o1", through("b")), ("x.acme.example", "o2", through("b"))]);
    assert_eq!(told(&mut bench).last(), Some(&(2, "x.acme.example".to_string())));
    bench.withdraw(1, &[("x.acme.example", "o1")]);
    assert_eq!(told(&mut bench), [(1, "x.acme.example".to_string())]);
}

#[test]
fn more_than_can_be_told_apart_are_so_many_at_least() {
    let mut bench = bench();
    let all: Vec<String> = (0..3 + Limits::REFUSED + 5).map(name_of).collect();
    let routes: Vec<_> = all.iter().map(|service| (service.as_str(), "o", through("b"))).collect();
    bench.announce(1, &routes);
    let refused = &bench.peer(B).refused;
    assert_eq!((refused.count() as usize, refused.is_more()), (Limits::REFUSED, true));
    assert_eq!(refused.names().count(), Limits::REFUSED_NAMES);
    let keys: Vec<_> = all[3..].iter().map(|service| (service.as_str(), "o")).collect();
    bench.withdraw(1, &keys);
    assert_eq!((bench.peer(B).refused.count(), bench.peer(B).refused.is_any()), (0, true), "who knows");
    // It is known again when its table is told anew.
    bench.frame(1, plain(FrameType::EndOfRib));
    bench.frame(1, Refresh::BEGIN.write(&mut [0; 16]).unwrap().to_vec());
    (0..3).for_each(|n| tell(&mut bench, 1, "b", n));
    bench.frame(1, Refresh::END.write(&mut [0; 16]).unwrap().to_vec());
    assert!(!bench.peer(B).refused.is_any());
    assert_eq!(told(&mut bench).last(), Some(&(0, String::new())));
}

#[test]
fn a_refresh_is_not_told_piece_by_piece() {
    let mut bench = bench();
    (0..6).for_each(|n| tell(&mut bench, 1, "b", n));
    bench.frame(1, plain(FrameType::EndOfRib));
    told(&mut bench);
    bench.frame(1, Refresh::BEGIN.write(&mut [0; 16]).unwrap().to_vec());
    assert_eq!(bench.peer(B).refused.count(), 0);
    (0..5).for_each(|n| tell(&mut bench, 1, "b", n));
    assert_eq!(told(&mut bench), [], "no more than it has heard of");
    bench.frame(1, Refresh::END.write(&mut [0; 16]).unwrap().to_vec());
    assert_eq!(told(&mut bench), [(2, format!("{} {}", name_of(3), name_of(4)))]);
    bench.check();
}

#[test]
fn the_other_end_forgets_what_is_refused_no_longer() {
    let mut bench = bench();
    let refused =
        |count, services| Refused { count, reason: "full", services }.write(&mut [0; 600]).unwrap().to_vec();
    bench.frame(1, refused(2, "x.acme.example"));
    assert_eq!(bench.peer(B).refused_by_peer.0, 2);
    bench.frame(1, refused(0, ""));
    assert_eq!((bench.peer(B).refused_by_peer.0, bench.peer(B).refused_names_by_peer.len()), (0, 0));
}

#[test]
fn digests_are_compared_again_once_nothing_is_refused() {
    let mut bench = bench();
    (0..4).for_each(|n| tell(&mut bench, 1, "b", n));
    bench.frame(1, plain(FrameType::EndOfRib));
    assert_eq!(bench.peer(B).compared.as_str(), "suspended");
    bench.withdraw(1, &[(&name_of(3), "o")]);
    let digest = Some(bench.peer(B).compared.sum());
    let keepalive = catalyst_wire::Keepalive { digest }.write(&mut [0; 64]).unwrap().to_vec();
    bench.frame(1, keepalive);
    assert_eq!(bench.peer(B).compared.as_str(), "equal");
}

/// What one neighbour was refused because of another finds its place when the other gives it up.
#[test]
fn room_in_the_table_of_all_is_room_too() {
    let limits = TableLimits { routes: 3, ..TableLimits::CLOUD };
    let mut bench = Bench::over(Heap::new(limits), Limits::CLOUD);
    bench.internal(1, B);
    bench.internal(2, C);
    (0..3).for_each(|n| tell(&mut bench, 2, "c", n));
    tell(&mut bench, 1, "b", 7);
    bench.frame(1, plain(FrameType::EndOfRib));
    assert_eq!(bench.peer(B).refused.count(), 1);
    let asked = |bench: &mut Bench| {
        let digest = Some([9; 16]);
        bench.frame(1, catalyst_wire::Keepalive { digest }.write(&mut [0; 64]).unwrap().to_vec());
        bench.heard(1).into_iter().filter(|heard| matches!(heard, Heard::Refresh(1))).count()
    };
    bench.heard(1);
    assert_eq!(asked(&mut bench), 0, "it is as full as it was");
    bench.withdraw(2, &[(&name_of(0), "o")]);
    assert_eq!(asked(&mut bench), 1);
    assert_eq!(asked(&mut bench), 0, "not again at once");
    bench.frame(1, Refresh::BEGIN.write(&mut [0; 16]).unwrap().to_vec());
    tell(&mut bench, 1, "b", 7);
    bench.frame(1, Refresh::END.write(&mut [0; 16]).unwrap().to_vec());
    assert_eq!((bench.peer(B).routes, bench.peer(B).refused.count()), (1, 0));
    bench.check();
}
