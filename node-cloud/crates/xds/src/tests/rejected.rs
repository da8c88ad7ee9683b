//! What Envoy rejects.

use super::make::*;
use super::sim::{assert_holds_all, connected, talk};
use crate::kind::Kind;

#[test]
fn the_culprit_is_found_and_all_others_arrive() {
    let (mut node, mut envoy) = connected([]);
    let good = (0..40).flat_map(|n| service(&format!("{n:02}")));
    let bad = [cluster("17x", -1), endpoints("17x", 0), cluster("23x", -1), listener("m", -1)];
    node.apply(set(good.chain(bad).chain([listener("l", 0), listener("n", 0)])));
    talk(&mut node, &mut envoy);
    assert_holds_all(&node, &envoy);
    let (rows, count) = node.board.rejected();
    let names: Vec<_> = rows.iter().map(|row| (row.kind, &*row.name)).collect();
    assert_eq!(names, [(Kind::Cluster, "17x"), (Kind::Cluster, "23x"), (Kind::Listener, "m")]);
    assert_eq!(count, 3);
    assert!(rows[0].reason.contains("17x"), "{rows:?}");
    // About two tries a halving for each, not one for every resource.
    assert!(node.board.kinds[Kind::Cluster.index()].rejected < 2 * 2 * 6, "{:?}", node.board.kinds);
}

#[test]
fn a_rejected_resource_is_not_sent_again_until_it_changes() {
    let (mut node, mut envoy) = connected([fixed("a", 0)]);
    node.apply(set([fixed("a", -1)]));
    talk(&mut node, &mut envoy);
    assert_eq!(node.board.rejected().1, 1);
    assert_eq!(envoy.held(Kind::Cluster)["a"], fixed("a", 0).version(), "the last good one stays");
    node.apply(set([fixed("a", -1)]));
    assert!(node.told().is_none());
    // Back to what Envoy holds: it must be told, because only then is it known to be well.
    node.apply(set([fixed("a", 0)]));
    talk(&mut node, &mut envoy);
    assert_holds_all(&node, &envoy);
    assert_eq!(node.board.rejected().1, 0);
    let news = node.board.take_news();
    assert_eq!(news.iter().map(|news| news.reason.is_some()).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn one_that_is_removed_is_rejected_no_more() {
    let (mut node, mut envoy) = connected([]);
    node.apply(set([cluster("a", -1), endpoints("a", 0)]));
    talk(&mut node, &mut envoy);
    assert_eq!(node.board.rejected().1, 1);
    node.apply(remove(&[(Kind::Cluster, "a"), (Kind::Endpoints, "a")]));
    talk(&mut node, &mut envoy);
    assert_holds_all(&node, &envoy);
    assert_eq!(node.board.rejected().1, 0);
}

#[test]
fn a_part_that_changed_meanwhile_is_left_to_its_own_batch() {
    let (mut node, mut envoy) = connected([]);
    node.apply(set([fixed("a", -1), fixed("b", 0)]));
    let response = node.poll().unwrap();
    node.apply(set([fixed("a", 1)]));
    envoy.take(response);
    talk(&mut node, &mut envoy);
    assert_holds_all(&node, &envoy);
    assert_eq!(node.board.rejected().1, 0);
}

#[test]
fn on_a_new_stream_a_known_culprit_travels_alone() {
    let (mut node, mut envoy) = connected([fixed("a", -1), fixed("b", 0), fixed("c", 0)]);
    let before = node.board.kinds[Kind::Cluster.index()].rejected;
    node.connect();
    envoy = {
        drop(envoy);
        super::sim::Envoy::default()
    };
    envoy.connect();
    talk(&mut node, &mut envoy);
    assert_holds_all(&node, &envoy);
    assert_eq!(node.board.kinds[Kind::Cluster.index()].rejected, before + 1);
}

#[test]
fn secrets_and_filters_travel_alone_and_a_rejected_secret_stays_rejected() {
    let mut node = super::sim::Node::new();
    node.apply(set([secret("a"), secret("b"), filter("f", 0), filter("g", 0)]));
    for again in [false, true] {
        node.connect();
        node.ask(Kind::Secret, &["a", "b"]);
        node.ask(Kind::Filter, &["f", "g"]);
        let (first, text) = node.told().unwrap();
        // The known culprit comes last.
        assert_eq!(text, if again { "secret b" } else { "secret a" });
        if !again {
            let (type_url, error) = (Kind::Secret.type_url().to_owned(), Some("no".to_owned()));
            let nonce = first.nonce.to_string();
            node.handle(crate::message::Request { type_url, error, nonce, ..Default::default() });
            assert_eq!(node.drain(), ["secret b", "filter f", "filter g"]);
        } else {
            node.ack(&first);
            assert_eq!(node.drain(), ["secret a", "filter f", "filter g"]);
        }
        assert_eq!(node.board.rejected().1, 1);
    }
}

#[test]
fn a_rejection_of_what_is_gone_is_not_kept() {
    let (mut node, mut envoy) = connected([fixed("a", 0)]);
    node.apply(set([fixed("b", -1)]));
    let response = node.poll().unwrap();
    node.apply(remove(&[(Kind::Cluster, "b")]));
    envoy.take(response);
    talk(&mut node, &mut envoy);
    assert_holds_all(&node, &envoy);
    assert_eq!((node.board.rejected().1, node.board.kinds[Kind::Cluster.index()].rejected), (0, 1));
}

#[test]
fn a_rejected_resource_is_tried_again_when_it_is_asked_for() {
    let (mut node, mut envoy) = connected([]);
    node.apply(set([listener("l", -1), listener("m", 0)]));
    talk(&mut node, &mut envoy);
    let nacks = node.board.kinds[Kind::Listener.index()].rejected;
    assert!(node.told().is_none());
    node.again(Kind::Listener, "l");
    talk(&mut node, &mut envoy);
    assert_eq!(node.board.kinds[Kind::Listener.index()].rejected, nacks + 1, "it was alone in the response");
    assert_eq!(node.board.rejected().1, 1);
    assert_holds_all(&node, &envoy);
}
