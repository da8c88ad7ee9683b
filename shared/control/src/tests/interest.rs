//! INTEREST: a neighbour hears of what it wants, and of nothing else.

use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, vec};

use catalyst_wire::{Attrs, Capabilities, FrameType, Interest, Open, Refresh};

use super::kit::*;
use crate::*;

fn interest(patterns: &[&str]) -> Vec<u8> {
    Interest::write(Some(patterns.iter().copied()), &mut [0; 17_000]).unwrap().0.to_vec()
}

fn everything() -> Vec<u8> {
    Interest::write(None::<std::iter::Empty<&str>>, &mut [0; 64]).unwrap().0.to_vec()
}

/// A neighbour that promises INTEREST, and keeps its word if there are patterns.
fn picky(bench: &mut Bench, session: u64, text: &str, patterns: Option<&[&str]>) {
    bench.feed(peer(text, None));
    bench.feed(Event::SessionUp { session: SessionId(session), peer: name(text), dialled: true });
    let open = bench.open_of(text, 1);
    let all = Capabilities::REFRESH | Capabilities::INTEREST | Capabilities::INTERESTED;
    let open = Open { capabilities: all, ..Open::read(&open[4..]).unwrap() };
    let open = open.write(&mut [0; 1024]).unwrap().to_vec();
    bench.frame(session, open);
    bench.writable(session, PLENTY);
    if let Some(patterns) = patterns {
        bench.frame(session, interest(patterns));
    }
}

/// Services of `b`: `s000` to `s999` of its own organisation.
fn many(bench: &mut Bench, count: usize) {
    bench.internal(1, "b.acme.example");
    let names: Vec<String> = (0..count).map(|n| format!("s{n:03}.acme.example")).collect();
    let routes: Vec<_> = names.iter().map(|s| (s.as_str(), "o", through("b"))).collect();
    bench.announce(1, &routes);
}

fn change(bench: &mut Bench, service: &str, cost: u32) {
    bench.announce(1, &[(service, "o", Attrs { cost, ..through("b") })]);
}

fn agrees(bench: &Bench, session: u64) {
    let digest = bench.core.groups().digest(SessionId(session)).map(crate::sum::Sum::bytes);
    assert_eq!(digest, Some(bench.remote(session).sum()));
    bench.check();
}

#[test]
fn nothing_is_told_before_the_promised_list_has_come_and_then_what_it_names() {
    let mut bench = Bench::new();
    many(&mut bench, 50);
    picky(&mut bench, 2, "c.acme.example", None);
    assert!(matches!(bench.heard(2)[..], [Heard::Open]), "it waits");
    assert_eq!(bench.core.groups().digest(SessionId(2)), None);
    bench.frame(2, interest(&["s007.acme.example", "s01*.acme.example", "none.acme.example"]));
    let heard = bench.heard(2);
    assert!(matches!(&heard[..], [Heard::Update(a, w), Heard::EndOfRib] if a.len() == 11 && w.is_empty()));
    agrees(&bench, 2);
}

#[test]
fn only_wanted_changes_are_told_and_others_cost_the_session_nothing() {
    let mut bench = Bench::new();
    many(&mut bench, 20);
    picky(&mut bench, 2, "c.acme.example", Some(&["s003.acme.example", "*.globex.example"]));
    bench.heard(2);
    change(&mut bench, "s004.acme.example", 5);
    bench.withdraw(1, &[("s005.acme.example", "o")]);
    assert_eq!(bench.heard(2), []);
    assert_eq!(bench.core.groups().remembered(SessionId(2)), 19, "nobody else needs the tombstone");
    change(&mut bench, "s003.acme.example", 5);
    assert!(matches!(&bench.heard(2)[..], [Heard::Update(a, w)] if a.len() == 1 && w.is_empty()));
    bench.withdraw(1, &[("s003.acme.example", "o")]);
    assert!(matches!(&bench.heard(2)[..], [Heard::Update(a, w)] if a.is_empty() && w.len() == 1));
    bench.announce(1, &[("s003.acme.example", "o", through("b"))]);
    assert_eq!(bench.remote(2).services(), ["s003.acme.example"]);
    agrees(&bench, 2);
    bench.run_until(bench.now + 1500);
    assert_eq!(bench.remote(2).digest, Some(bench.remote(2).sum()), "its digest is of what it was told");
}

#[test]
fn another_list_takes_away_what_it_no_longer_names_and_brings_what_it_names_now() {
    let mut bench = Bench::new();
    many(&mut bench, 20);
    picky(&mut bench, 2, "c.acme.example", Some(&["s001.acme.example", "s002.acme.example"]));
    bench.heard(2);
    bench.frame(2, interest(&["s002.acme.example", "s003.acme.example"]));
    let heard = bench.heard(2);
    assert_eq!(
        heard,
        [Heard::Update(vec![key("s003.acme.example", "o")], vec![key("s001.acme.example", "o")])]
    );
    agrees(&bench, 2);
    bench.frame(2, interest(&[]));
    assert!(bench.remote(2).table.is_empty());
    agrees(&bench, 2);
    assert!(bench.peer("c.acme.example").session.is_some(), "the session stays");
}

#[test]
fn a_wish_for_less_or_for_all_comes_at_run_time() {
    let mut bench = Bench::new();
    many(&mut bench, 30);
    bench.internal(2, "c.acme.example");
    assert_eq!(bench.remote(2).table.len(), 30);
    bench.heard(2);
    bench.frame(2, interest(&["s01*.acme.example"]));
    assert_eq!(bench.remote(2).table.len(), 10);
    agrees(&bench, 2);
    bench.frame(2, everything());
    assert_eq!(bench.remote(2).table.len(), 30);
    agrees(&bench, 2);
    change(&mut bench, "s025.acme.example", 7);
    bench.withdraw(1, &[("s026.acme.example", "o")]);
    assert_eq!(bench.remote(2).table.len(), 29);
    agrees(&bench, 2);
}

#[test]
fn a_list_over_several_frames_counts_when_it_is_whole_and_one_that_is_too_long_ends_the_session() {
    let mut bench = Bench::new();
    many(&mut bench, 10);
    picky(&mut bench, 2, "c.acme.example", None);
    let long: Vec<String> = (0..900).map(|n| format!("{n:020}.acme.example")).collect();
    let texts = long.iter().map(String::as_str).chain(["s003.acme.example"]);
    let mut buf = [0; 17_000];
    let (frame, fit) = Interest::write(Some(texts.clone()), &mut buf).unwrap();
    let first = frame.to_vec();
    bench.frame(2, first);
    assert!(bench.remote(2).table.is_empty() && fit < 900);
    let second = Interest::write(Some(texts.skip(fit)), &mut buf).unwrap().0.to_vec();
    bench.frame(2, second);
    assert_eq!(bench.remote(2).services(), ["s003.acme.example"]);
    let more: Vec<String> = (0..1100).map(|n| format!("a{n}.b")).collect();
    let frame = Interest::write(Some(more.iter().map(String::as_str)), &mut buf).unwrap().0.to_vec();
    bench.frame(2, frame);
    assert_eq!(bench.closed().len(), 1);
}

#[test]
fn a_refresh_tells_again_what_is_wanted() {
    let mut bench = Bench::new();
    many(&mut bench, 30);
    picky(&mut bench, 2, "c.acme.example", Some(&["s00*.acme.example"]));
    bench.heard(2);
    bench.frame(2, Refresh::REQUEST.write(&mut [0; 16]).unwrap().to_vec());
    let heard = bench.heard(2);
    assert!(
        matches!(&heard[..], [Heard::Refresh(2), Heard::Update(a, _), Heard::Refresh(3)] if a.len() == 10),
        "{heard:?}"
    );
    agrees(&bench, 2);
}

#[test]
fn a_slow_one_makes_the_group_remember_no_more_than_it_may() {
    let mut bench = Bench::limited(Limits { tombstones: 4, ..Limits::CLOUD });
    many(&mut bench, 20);
    picky(&mut bench, 2, "c.acme.example", Some(&["*.acme.example"]));
    bench.core.links.get_mut(&SessionId(2)).unwrap().credit = 0;
    for n in 0..20 {
        bench.withdraw(1, &[(&format!("s{n:03}.acme.example"), "o")]);
        bench.announce(1, &[(&format!("new{n:03}.acme.example"), "o", through("b"))]);
    }
    assert_eq!(bench.closed().len(), 1, "it starts afresh");
    bench.check();
    bench.give_all_back();
}

#[test]
fn this_node_says_what_it_wants_and_when_that_changes() {
    let mut bench = Bench::new();
    bench.feed(Event::InterestChanged(Some(vec!["x.acme.example".to_string()])));
    bench.internal(1, "b.acme.example");
    let heard = bench.heard(1);
    assert!(
        matches!(&heard[..], [Heard::Open, Heard::Interest(Some(list)), ..] if list == &["x.acme.example"]),
        "{heard:?}"
    );
    bench.feed(Event::InterestChanged(Some(vec!["x.acme.example".to_string()])));
    assert_eq!(bench.heard(1), [], "the same again");
    bench.feed(Event::InterestChanged(Some(vec!["y.acme.example".to_string()])));
    assert_eq!(bench.heard(1), [Heard::Interest(Some(vec!["y.acme.example".to_string()]))]);
    bench.feed(Event::InterestChanged(None));
    assert_eq!(bench.heard(1), [Heard::Interest(None)]);
    // A neighbour of before hears nothing of it.
    bench.feed(peer("old.acme.example", None));
    bench.up_old(7, "old.acme.example", PLENTY);
    bench.feed(Event::InterestChanged(Some(vec![])));
    assert!(!bench.heard(7).iter().any(|f| matches!(f, Heard::Interest(_))));
    assert!(bench.peer("b.acme.example").session.is_some());
    bench.frame(1, plain(FrameType::Keepalive));
}

#[test]
fn a_thousand_neighbours_and_one_change() {
    let mut bench = Bench::limited(Limits { peers: 2_000, ..Limits::CLOUD });
    many(&mut bench, 1000);
    for n in 0..300u64 {
        let wants: Vec<String> =
            (0..50).map(|k| format!("s{:03}.acme.example", (n * 7 + k) % 1000)).collect();
        let wants: Vec<&str> = wants.iter().map(String::as_str).collect();
        picky(&mut bench, 10 + n, &format!("e{n}.acme.example"), Some(&wants));
    }
    bench.run_until(bench.now);
    (0..300).for_each(|n| drop(bench.heard(10 + n)));
    change(&mut bench, "s500.acme.example", 9);
    let told: Vec<u64> = (0..300).filter(|n| !bench.heard(10 + n).is_empty()).collect();
    let want: Vec<u64> = (0..300).filter(|n| (0..50).any(|k| (n * 7 + k) % 1000 == 500)).collect();
    assert_eq!(told, want);
    assert!(!want.is_empty() && want.len() < 50);
}

#[test]
fn a_list_is_compared_with_a_long_table_in_pieces_and_what_changes_meanwhile_is_not_lost() {
    let mut bench = Bench::new();
    many(&mut bench, 1000);
    picky(&mut bench, 2, "c.acme.example", Some(&["s9*.acme.example"]));
    let spoken = |bench: &mut Bench| bench.heard(2).iter().any(|f| !matches!(f, Heard::Open));
    assert!(!spoken(&mut bench), "nothing before the whole table was looked at");
    assert_eq!(bench.core.groups().digest(SessionId(2)), None);
    assert_eq!(bench.core.next_deadline(), Some(bench.now), "the next step is due at once");
    bench.run_until(bench.now);
    assert_eq!(bench.remote(2).table.len(), 100);
    agrees(&bench, 2);
    assert_ne!(bench.core.next_deadline(), Some(bench.now));
    bench.heard(2);
    // Half way: something goes that it holds and wants no longer, and something new comes up behind.
    bench.frame(2, interest(&["s0*.acme.example"]));
    bench.withdraw(1, &[("s950.acme.example", "o"), ("s951.acme.example", "o"), ("s010.acme.example", "o")]);
    bench.announce(1, &[("s951.acme.example", "o", through("b")), ("s0new.acme.example", "o", through("b"))]);
    change(&mut bench, "s020.acme.example", 7);
    assert!(!spoken(&mut bench));
    bench.run_until(bench.now);
    assert_eq!(bench.remote(2).table.len(), 100, "99 that are left, and the new one");
    assert!(bench.remote(2).services().iter().all(|s| s.starts_with("s0")));
    agrees(&bench, 2);
    // A list that follows another at once is the one that counts, and so is the wish for everything.
    bench.frame(2, interest(&["s1*.acme.example"]));
    bench.frame(2, interest(&["s2*.acme.example"]));
    bench.run_until(bench.now);
    assert!(bench.remote(2).services().iter().all(|s| s.starts_with("s2")));
    assert_eq!(bench.remote(2).table.len(), 100);
    agrees(&bench, 2);
    bench.frame(2, interest(&["s3*.acme.example"]));
    bench.frame(2, everything());
    bench.run_until(bench.now);
    assert_eq!(bench.remote(2).table.len(), 999);
    agrees(&bench, 2);
    // It goes away half way.
    bench.frame(2, interest(&["s4*.acme.example"]));
    bench.down(2);
    bench.run_until(bench.now);
    bench.check();
}

/// Only who passes routes on has a table so large that it is gone through in pieces.
#[cfg(feature = "transit")]
#[test]
fn a_list_of_names_needs_no_way_through_the_table_unless_they_have_many_keys() {
    let mut bench = Bench::new();
    many(&mut bench, 1000);
    picky(
        &mut bench,
        2,
        "c.acme.example",
        Some(&["s900.acme.example", "s999.acme.example", "new.acme.example"]),
    );
    assert_eq!(bench.remote(2).services(), ["s900.acme.example", "s999.acme.example"], "in the same step");
    agrees(&bench, 2);
    bench.announce(1, &[("new.acme.example", "o", through("b"))]);
    assert_eq!(bench.remote(2).table.len(), 3);
    // Another list of names: what it holds and names no longer goes.
    bench.frame(2, interest(&["s001.acme.example", "s999.acme.example"]));
    assert_eq!(bench.remote(2).services(), ["s001.acme.example", "s999.acme.example"]);
    agrees(&bench, 2);
    // What held much is compared in pieces, and so are names with many origins.
    bench.frame(2, interest(&["s*.acme.example"]));
    bench.run_until(bench.now);
    assert_eq!(bench.remote(2).table.len(), 1000);
    bench.frame(2, interest(&["s500.acme.example"]));
    assert_eq!(bench.remote(2).table.len(), 1000, "not in one step");
    bench.run_until(bench.now);
    assert_eq!(bench.remote(2).services(), ["s500.acme.example"]);
    agrees(&bench, 2);
    let origins: Vec<String> = (0..600).map(|n| format!("o{n}")).collect();
    let routes: Vec<_> = origins.iter().map(|o| ("wide.acme.example", o.as_str(), through("b"))).collect();
    bench.announce(1, &routes);
    bench.frame(2, interest(&["wide.acme.example"]));
    bench.run_until(bench.now);
    assert_eq!(bench.remote(2).table.len(), 600);
    agrees(&bench, 2);
    bench.check();
}

#[test]
fn who_names_every_service_of_everybody_is_told_everything() {
    for pattern in ["*.*", "**.*"] {
        let mut bench = Bench::new();
        many(&mut bench, 1000);
        picky(&mut bench, 2, "c.acme.example", Some(&["s001.acme.example", pattern]));
        // Without a look at the table, and without a list of what it holds.
        assert_eq!(bench.remote(2).table.len(), 1000, "{pattern}");
        agrees(&bench, 2);
    }
}

#[test]
fn patterns_with_stars_are_few() {
    let stars = |n: usize| -> Vec<String> { (0..n).map(|n| format!("a{n}*.b")).collect() };
    let frame = |list: &[String]| interest(&list.iter().map(String::as_str).collect::<Vec<_>>());
    let mut bench = Bench::new();
    bench.internal(2, "c.acme.example");
    bench.frame(2, frame(&stars(64)));
    assert!(bench.peer("c.acme.example").session.is_some());
    bench.frame(2, frame(&stars(65)));
    assert!(bench.peer("c.acme.example").session.is_none());
    // What this node wants beyond that it does not say, but says that it does not; names have room all the same.
    bench.internal(3, "b.acme.example");
    bench.notices();
    bench.heard(3);
    let wants = stars(70).into_iter().chain(["name.b".to_string()]).collect();
    bench.feed(Event::InterestChanged(Some(wants)));
    assert_eq!(bench.notices(), [Notice::InterestCut(6)]);
    let said: Vec<String> = stars(64).into_iter().chain(["name.b".to_string()]).collect();
    assert_eq!(bench.heard(3), [Heard::Interest(Some(said))]);
    let many = (0..1030).map(|n| format!("n{n}.b")).collect();
    bench.feed(Event::InterestChanged(Some(many)));
    assert_eq!(bench.notices(), [Notice::InterestCut(6)]);
}
