//! A new stream: differences only.

use super::make::*;
use super::sim::{Envoy, Node, assert_holds_all, connected, talk};
use crate::kind::Kind;
use crate::limits::Limits;

#[test]
fn who_holds_everything_hears_nothing() {
    let all = || service("web").into_iter().chain([listener("l", 0), filter("filter", 0), secret("secret")]);
    let (_, mut envoy) = connected(all());
    // The node starts again with the same.
    let mut node = Node::new();
    node.apply(set(all()));
    node.connect();
    envoy.connect();
    while let Some(request) = envoy.next_request() {
        node.handle(request);
    }
    assert!(node.told().is_none());
    assert!(node.settled());
}

#[test]
fn who_holds_other_things_hears_the_difference() {
    let fix = || [listener("l", 0), filter("filter", 0), secret("secret")];
    let before = [fixed("a", 0), fixed("b", 0), fixed("c", 0), scope("s", "c")];
    let (_, mut envoy) = connected(before.into_iter().chain(fix()));
    let mut node = Node::new();
    let after = [fixed("a", 0), fixed("b", 1), fixed("d", 0), scope("t", "d")];
    node.apply(set(after.into_iter().chain(fix())));
    node.connect();
    envoy.connect();
    while let Some(request) = envoy.next_request() {
        node.handle(request);
    }
    assert_eq!(node.drain(), ["cluster b d", "scope t -s", "cluster -c"]);
    assert!(node.settled());
}

#[test]
fn a_changed_cluster_is_told_its_endpoints_even_if_envoy_holds_them() {
    let (_, mut envoy) = connected(service("web").into_iter().chain([listener("l", 0)]));
    let mut node = Node::new();
    node.apply(set([cluster("web", 1), endpoints("web", 0), scope("web", "web"), listener("l", 0)]));
    node.connect();
    envoy.connect();
    talk(&mut node, &mut envoy);
    assert_holds_all(&node, &envoy);
}

#[test]
fn an_envoy_that_lost_everything_gets_everything() {
    let (mut node, _) = connected(service("web").into_iter().chain([listener("l", 0)]));
    let mut envoy = Envoy::default();
    node.connect();
    envoy.connect();
    talk(&mut node, &mut envoy);
    assert_holds_all(&node, &envoy);
    assert_eq!(envoy.held(Kind::Scope).len(), 1);
}

#[test]
fn changes_while_no_envoy_is_there_are_in_the_first_answer() {
    let (mut node, mut envoy) = connected(service("web").into_iter().chain([listener("l", 0)]));
    node.session = None;
    node.apply(set(service("api")));
    node.apply(remove(&[(Kind::Scope, "web"), (Kind::Cluster, "web"), (Kind::Endpoints, "web")]));
    assert!(!node.settled());
    node.connect();
    envoy.connect();
    talk(&mut node, &mut envoy);
    assert_holds_all(&node, &envoy);
}

#[test]
fn nothing_is_removed_before_envoy_has_asked_for_what_may_use_it() {
    let (_, mut envoy) = connected([fixed("a", 0), scope("s", "a"), listener("l", 0)]);
    let mut node = Node::new();
    node.apply(set([listener("l", 0)]));
    for scopes_asked in [true, false] {
        node.connect();
        envoy.connect();
        while let Some(request) = envoy.next_request() {
            if request.type_url == Kind::Scope.type_url() {
                assert!(node.told().is_none(), "the scope is still in use");
                if !scopes_asked {
                    continue;
                }
            }
            if [Kind::Cluster, Kind::Listener, Kind::Scope]
                .iter()
                .any(|kind| request.type_url == kind.type_url())
            {
                node.handle(request);
            }
        }
        if scopes_asked {
            assert_eq!(node.drain(), ["scope -s", "cluster -a"]);
        } else {
            // One that never asks for scopes has none.
            let deadline = node.session.as_ref().unwrap().next_deadline();
            assert_eq!(deadline, Some(node.now + Limits::ASKING));
            node.now += Limits::ASKING;
            assert_eq!(node.drain(), ["cluster -a"]);
        }
    }
}
