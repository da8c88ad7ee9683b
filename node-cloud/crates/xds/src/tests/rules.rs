//! Order, coalescing, urgency, deadlines.

use std::time::Duration;

use super::make::*;
use super::sim::{Node, assert_holds_all, connected, talk};
use crate::kind::Kind;
use crate::limits::Limits;
use crate::message::Request;
use crate::snapshot::Changes;

/// A node with a stream on which Envoy asked for all kinds, and holds what is given.
fn talking(set: Vec<crate::Resource>) -> Node {
    let mut node = Node::new();
    node.apply(super::make::set(set));
    node.connect();
    for kind in [Kind::Cluster, Kind::Listener, Kind::Scope] {
        node.ask(kind, &[]);
    }
    node.drain();
    node
}

#[test]
fn a_service_arrives_cluster_first_and_its_scope_last() {
    let mut node = talking(vec![]);
    node.apply(set(service("web").into_iter().chain([listener("l", 0)])));
    let (cluster, text) = node.told().unwrap();
    assert_eq!(text, "cluster web");
    assert!(node.told().is_none());
    // Envoy keeps the acknowledgement back until the cluster is warm.
    node.ask(Kind::Endpoints, &["web"]);
    let (endpoints, text) = node.told().unwrap();
    assert_eq!(text, "endpoints web");
    node.ack(&endpoints);
    assert!(node.told().is_none());
    node.ack(&cluster);
    assert_eq!(node.drain(), ["listener l", "scope web"]);
    assert!(node.settled());
}

#[test]
fn an_acknowledged_cluster_is_not_warm_before_its_endpoints_are() {
    let mut node = talking(vec![]);
    node.apply(set(service("web")));
    let (cluster, _) = node.told().unwrap();
    node.ack(&cluster);
    assert!(node.told().is_none(), "the scope must wait");
    node.ask(Kind::Endpoints, &["web"]);
    assert_eq!(node.drain(), ["endpoints web", "scope web"]);
}

#[test]
fn what_goes_is_removed_after_the_scopes_and_endpoints_after_their_cluster() {
    let mut node = talking(service("web").into());
    node.ask(Kind::Endpoints, &["web"]);
    node.drain();
    node.apply(remove(&[(Kind::Endpoints, "web"), (Kind::Cluster, "web"), (Kind::Scope, "web")]));
    let (scopes, text) = node.told().unwrap();
    assert_eq!(text, "scope -web");
    assert!(node.told().is_none(), "Envoy may still route to it");
    node.ack(&scopes);
    assert_eq!(node.drain(), ["cluster -web", "endpoints -web"]);
    assert!(node.settled());
}

#[test]
fn a_changed_cluster_is_told_its_endpoints_again() {
    let mut node = talking(service("web").into());
    node.ask(Kind::Endpoints, &["web"]);
    node.drain();
    node.apply(set([cluster("web", 1)]));
    assert_eq!(node.drain(), ["cluster web", "endpoints web"]);
}

#[test]
fn a_single_change_leaves_at_once_and_what_is_equal_does_not() {
    let mut node = talking(service("web").into());
    node.ask(Kind::Endpoints, &["web"]);
    node.drain();
    node.apply(set(service("web")));
    assert!(node.told().is_none());
    node.apply(set([endpoints("web", 1)]));
    let (_, text) = node.told().unwrap();
    assert_eq!(text, "endpoints web");
    node.apply(set([scope("web", "other")]));
    // Only because the first is in flight.
    assert!(node.told().is_none());
}

#[test]
fn changes_during_a_batch_coalesce_by_name_into_the_next() {
    let mut node = talking(vec![fixed("a", 0)]);
    node.apply(set([fixed("b", 0), scope("s", "b")]));
    let (first, text) = node.told().unwrap();
    assert_eq!(text, "cluster b");
    // The scope now refers to a cluster of the next batch: this batch must bring the old one.
    node.apply(set([fixed("c", 0), scope("s", "c")]));
    node.apply(set([fixed("c", 1), scope("t", "c")]));
    node.apply(remove(&[(Kind::Cluster, "b")]));
    node.ack(&first);
    let (scopes, _) = node.told().unwrap();
    assert_eq!(scopes.set[0].version(), scope("s", "b").version());
    node.ack(&scopes);
    assert_eq!(node.drain(), ["cluster c", "scope s t", "cluster -b"]);
    // There and back again is nothing.
    node.apply(set([fixed("d", 0)]));
    node.apply(remove(&[(Kind::Cluster, "d")]));
    assert!(node.told().is_none() && node.settled());
}

#[test]
fn an_urgent_removal_passes_a_batch_under_way() {
    let mut node = talking(vec![listener("grant", 0), fixed("grant", 0), scope("s", "grant")]);
    node.apply(set([fixed("b", 0), scope("t", "b"), listener("l", 0)]));
    let (first, _) = node.told().unwrap();
    let mut changes = urgent(Kind::Listener, "grant");
    changes.remove = vec![(Kind::Cluster, "grant".into()), (Kind::Scope, "s".into())];
    node.apply(changes);
    let (cut, text) = node.told().unwrap();
    assert_eq!(text, "listener -grant");
    assert!(node.told().is_none());
    node.ack(&first);
    // The batch goes on without an answer to it, and is not settled without one.
    let (l, text) = node.told().unwrap();
    assert_eq!(text, "listener l");
    node.ack(&l);
    assert_eq!(node.drain(), ["scope t", "scope -s", "cluster -grant"]);
    assert!(!node.settled());
    node.ack(&cut);
    assert!(node.told().is_none() && node.settled());
}

#[test]
fn an_urgent_removal_voids_what_was_not_sent_yet() {
    let mut node = talking(vec![]);
    node.apply(set([fixed("b", 0), listener("grant", 0)]));
    let (first, _) = node.told().unwrap();
    node.apply(urgent(Kind::Listener, "grant"));
    assert!(node.told().is_none());
    node.ack(&first);
    assert!(node.told().is_none() && node.settled());
    // Granted, withdrawn and granted again before Envoy heard anything: the flows of the first end.
    node.apply(set([listener("grant", 0)]));
    node.drain();
    node.apply(urgent(Kind::Listener, "grant"));
    node.apply(set([listener("grant", 0)]));
    assert_eq!(node.drain(), ["listener -grant", "listener grant"]);
}

#[test]
fn an_urgent_change_passes_a_batch_under_way_and_voids_what_waits() {
    let mut node = talking(vec![listener("mesh", 0), fixed("c", 0)]);
    node.ask(Kind::Filter, &["list"]);
    node.apply(set([filter("list", 0)]));
    node.drain();
    let now = |edition: u8| Changes {
        urgent_set: vec![filter("list", edition), listener("mesh", edition.into())],
        ..Changes::default()
    };
    node.apply(set([fixed("b", 0), scope("t", "b"), listener("mesh", 7)]));
    let (first, text) = node.told().unwrap();
    assert_eq!(text, "cluster b");
    node.apply(now(1));
    node.apply(set([listener("mesh", 8)]));
    let (mesh, text) = node.told().unwrap();
    assert_eq!((text.as_str(), mesh.set[0].version()), ("listener mesh", listener("mesh", 1).version()));
    let (list, text) = node.told().unwrap();
    assert_eq!((text.as_str(), list.set[0].version()), ("filter list", filter("list", 1).version()));
    assert!(node.told().is_none());
    node.ack(&first);
    let (scopes, text) = node.told().unwrap();
    assert_eq!(text, "scope t");
    [&list, &mesh, &scopes].into_iter().for_each(|response| node.ack(response));
    // What came after it waits for the next batch.
    let (last, text) = node.told().unwrap();
    assert_eq!((text.as_str(), last.set[0].version()), ("listener mesh", listener("mesh", 8).version()));
    node.ack(&last);
    assert!(node.told().is_none() && node.settled());
}

#[test]
fn what_envoy_has_not_got_waits_for_its_turn_however_urgent() {
    let mut node = talking(vec![fixed("a", 0)]);
    node.apply(set([fixed("b", 0)]));
    let (first, _) = node.told().unwrap();
    node.apply(Changes { urgent_set: vec![listener("mesh", 0)], ..Changes::default() });
    assert!(node.told().is_none());
    node.ack(&first);
    assert_eq!(node.drain(), ["listener mesh"]);
}

#[test]
fn what_is_cut_off_comes_back_after_that_however_long_envoy_does_not_answer() {
    let mut node = talking(vec![listener("grant", 0)]);
    let mut told = Vec::new();
    for _ in 0..3 * Limits::IN_FLIGHT {
        let mut changes = urgent(Kind::Listener, "grant");
        changes.set.push(listener("grant", 0));
        node.apply(changes);
        node.now += Limits::STEP_DEADLINE;
        while let Some((_, text)) = node.told() {
            told.push(text);
        }
    }
    assert_eq!(told.len(), Limits::IN_FLIGHT);
    assert!(told.iter().step_by(2).all(|text| text == "listener -grant"), "{told:?}");
    for nonce in 1..=100 {
        let request = Request {
            type_url: Kind::Listener.type_url().into(),
            nonce: nonce.to_string(),
            ..Request::default()
        };
        node.handle(request);
        told.extend(node.drain());
    }
    let last = told.split_off(Limits::IN_FLIGHT);
    assert_eq!(last, ["listener -grant", "listener grant"]);
}

#[test]
fn a_step_without_an_answer_goes_on_after_its_deadline_and_is_counted() {
    let mut node = talking(vec![]);
    node.apply(set(service("web")));
    let (cluster, _) = node.told().unwrap();
    node.now += Limits::STEP_DEADLINE - Duration::from_millis(1);
    assert!(node.told().is_none());
    assert_eq!(node.session.as_ref().unwrap().next_deadline(), Some(node.now + Duration::from_millis(1)));
    node.now += Duration::from_millis(1);
    let (scope, text) = node.told().unwrap();
    assert_eq!((text.as_str(), node.board.overdue), ("scope web", 1));
    node.ack(&scope);
    assert!(node.told().is_none() && !node.settled(), "it waits for an answer still");
    node.ack(&cluster);
    assert!(node.told().is_none() && node.settled());
}

#[test]
fn one_that_never_answers_gets_a_bounded_number_of_responses() {
    let mut node = talking(vec![]);
    let mut sent = 0;
    for edition in 0..100 {
        node.apply(set([fixed("a", edition)]));
        while node.told().is_some() {
            sent += 1;
        }
        node.now += Limits::STEP_DEADLINE;
    }
    assert_eq!((sent, node.session.as_ref().unwrap().in_flight()), (Limits::IN_FLIGHT, Limits::IN_FLIGHT));
}

#[test]
fn a_large_change_goes_in_pieces_and_the_scopes_in_one() {
    let count = 2 * Limits::RESPONSE_RESOURCES + 1;
    let names: Vec<String> = (0..count).map(|n| format!("{n:04}")).collect();
    let mut node = talking(vec![]);
    node.apply(set(names.iter().flat_map(|name| [fixed(name, 0), scope(name, name)])));
    let sizes = std::iter::from_fn(|| {
        let (response, _) = node.told()?;
        node.ack(&response);
        Some((response.kind, response.set.len()))
    });
    let piece = Limits::RESPONSE_RESOURCES;
    let wanted = [(Kind::Cluster, piece), (Kind::Cluster, piece), (Kind::Cluster, 1), (Kind::Scope, count)];
    assert_eq!(sizes.collect::<Vec<_>>(), wanted);
}

#[test]
fn a_name_that_is_not_there_is_said_so_and_sent_when_it_comes() {
    let mut node = talking(vec![]);
    node.ask(Kind::Secret, &["s"]);
    assert_eq!(node.drain(), ["secret -s"]);
    node.apply(set([fixed("a", 0), listener("l", 0)]));
    let (first, _) = node.told().unwrap();
    // Envoy waits for it: it passes the batch.
    node.apply(set([secret("s"), secret("not asked for")]));
    assert_eq!(node.told().unwrap().1, "secret s");
    node.ack(&first);
}

#[test]
fn a_name_given_up_is_not_sent_any_more_and_asked_again_is_told_again() {
    let mut node = talking(vec![filter("f", 0)]);
    node.ask(Kind::Filter, &["f"]);
    assert_eq!(node.drain(), ["filter f"]);
    let type_url = Kind::Filter.type_url().to_owned();
    node.handle(Request { type_url, unsubscribe: vec!["f".into()], ..Request::default() });
    node.apply(set([filter("f", 1)]));
    assert!(node.drain().is_empty());
    node.ask(Kind::Filter, &["f"]);
    node.ask(Kind::Filter, &["f"]);
    assert_eq!(node.drain(), ["filter f"]);
}

#[test]
fn a_kind_without_resources_is_answered_once() {
    let mut node = Node::new();
    node.connect();
    node.ask(Kind::Cluster, &["*"]);
    assert_eq!(node.drain(), ["cluster"]);
    node.ask(Kind::Listener, &[]);
    assert_eq!(node.drain(), ["listener"]);
    assert!(node.settled());
}

#[test]
fn more_names_than_the_limit_break_the_stream() {
    let mut node = Node::new();
    node.snapshot = crate::snapshot::Snapshot::new(Limits { subscriptions: 2, ..Limits::CLOUD });
    node.connect();
    node.ask(Kind::Endpoints, &["a", "b"]);
    let type_url = Kind::Endpoints.type_url().to_owned();
    let request = Request { type_url, subscribe: vec!["c".into()], ..Request::default() };
    let Node { snapshot, board, session, now } = &mut node;
    assert!(session.as_mut().unwrap().handle(request, snapshot, board, *now).is_err());
}

#[test]
fn an_unknown_type_and_an_unknown_nonce_change_nothing() {
    let mut node = talking(vec![fixed("a", 0)]);
    for n in 0..20 {
        node.handle(Request { type_url: format!("type.googleapis.com/x{n}"), ..Request::default() });
    }
    let (type_url, error) = (Kind::Cluster.type_url().to_owned(), Some("what".to_owned()));
    node.handle(Request { type_url, nonce: "77".into(), error, ..Request::default() });
    assert!(node.told().is_none());
    assert_eq!((node.board.unknown, node.board.last_nack.is_none()), (20, true));
}

#[test]
fn an_envoy_that_starts_gets_scopes_only_when_all_they_need_is_there() {
    let services = (0..300).flat_map(|n| service(&format!("{n:03}")));
    let (mut node, mut envoy) =
        connected(services.chain([listener("l", 0), filter("filter", 0), secret("secret")]));
    assert_holds_all(&node, &envoy);
    node.apply(set([cluster("000", 1), scope("001", "000")]));
    talk(&mut node, &mut envoy);
    assert_holds_all(&node, &envoy);
}

#[test]
fn what_comes_and_goes_while_envoy_is_stuck_leaves_nothing_behind() {
    let mut node = talking(vec![fixed("a", 0)]);
    node.apply(set([fixed("b", 0)]));
    let (first, _) = node.told().unwrap();
    for n in 0..1_000 {
        let name = format!("passing {n}");
        node.apply(set([fixed(&name, 0), scope(&name, &name)]));
        node.apply(remove(&[(Kind::Scope, &name), (Kind::Cluster, &name)]));
    }
    assert_eq!(node.session.as_ref().unwrap().waiting(), 0);
    node.ack(&first);
    assert!(node.told().is_none() && node.settled());
}
