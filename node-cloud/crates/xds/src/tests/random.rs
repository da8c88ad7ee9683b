//! Random changes, streams and restarts: at the end Envoy holds the snapshot, and at no moment does a scope refer to
//! a cluster that does not serve.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::make::*;
use super::sim::{Envoy, Node, assert_holds_all, talk};
use crate::kind::Kind;
use crate::snapshot::Changes;

/// What happens. Numbers are taken modulo what there is.
#[derive(Clone, Debug)]
enum Event {
    /// A service is added, or moves to a new cluster; the old one goes.
    Place(u8),
    /// A scope turns to the cluster of another service.
    Turn(u8, u8),
    /// A service goes, with its cluster if nobody uses that.
    Leave(u8),
    Endpoints(u8),
    Cluster(u8),
    Filter(u8),
    Grant(u8),
    Revoke(u8),
    /// Withdrawn, and there again.
    Renew(u8),
    /// What has waited is passed by a list and a listener.
    Now(u8),
    /// A cluster or a listener that Envoy rejects.
    Bad(bool, u8),
    /// So many messages pass, either way.
    Talk(u8),
    Reconnect,
    EnvoyRestarts,
    NodeRestarts,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0..6u8).prop_map(Event::Place),
        4 => (0..6u8, 0..6u8).prop_map(|(a, b)| Event::Turn(a, b)),
        3 => (0..6u8).prop_map(Event::Leave),
        2 => (0..6u8).prop_map(Event::Endpoints),
        2 => (0..6u8).prop_map(Event::Cluster),
        1 => any::<u8>().prop_map(Event::Filter),
        2 => (0..3u8).prop_map(Event::Grant),
        2 => (0..3u8).prop_map(Event::Revoke),
        1 => (0..3u8).prop_map(Event::Renew),
        2 => (0..4u8).prop_map(Event::Now),
        1 => (any::<bool>(), 0..3u8).prop_map(|(cluster, n)| Event::Bad(cluster, n)),
        12 => (1..8u8).prop_map(Event::Talk),
        1 => Just(Event::Reconnect),
        1 => Just(Event::EnvoyRestarts),
        1 => Just(Event::NodeRestarts),
    ]
}

/// What the node wants, from which the changes are made.
#[derive(Default)]
struct Wanted {
    /// Scope to cluster.
    scopes: BTreeMap<String, String>,
    /// Cluster to its edition.
    clusters: BTreeMap<String, i32>,
    made: i32,
}

impl Wanted {
    /// Clusters that no scope refers to go, with their endpoints.
    fn sweep(&mut self, changes: &mut Changes) {
        let unused = |name: &String| !self.scopes.values().any(|used| used == name);
        let gone: Vec<String> = self.clusters.keys().filter(|name| unused(name)).cloned().collect();
        for name in gone {
            self.clusters.remove(&name);
            changes.remove.push((Kind::Cluster, name.clone()));
            changes.remove.push((Kind::Endpoints, name));
        }
    }

    fn changes(&mut self, event: &Event) -> Changes {
        let mut changes = Changes::default();
        match event {
            Event::Place(n) => {
                self.made += 1;
                let (scope_name, name) = (format!("s{n}"), format!("c{}", self.made));
                changes.set.extend([cluster(&name, 0), endpoints(&name, 0), scope(&scope_name, &name)]);
                self.clusters.insert(name.clone(), 0);
                self.scopes.insert(scope_name, name);
                self.sweep(&mut changes);
            }
            Event::Turn(a, b) => {
                let (a, b) = (format!("s{a}"), format!("s{b}"));
                if let (true, Some(to)) = (self.scopes.contains_key(&a), self.scopes.get(&b).cloned()) {
                    changes.set.push(scope(&a, &to));
                    self.scopes.insert(a, to);
                    self.sweep(&mut changes);
                }
            }
            Event::Leave(n) => {
                let name = format!("s{n}");
                if self.scopes.remove(&name).is_some() {
                    changes.remove.push((Kind::Scope, name));
                    self.sweep(&mut changes);
                }
            }
            Event::Endpoints(n) => {
                if let Some(name) = self.scopes.get(&format!("s{n}")) {
                    self.made += 1;
                    changes.set.push(endpoints(name, self.made.unsigned_abs()));
                }
            }
            Event::Cluster(n) => {
                if let Some(name) = self.scopes.get(&format!("s{n}")) {
                    self.made += 1;
                    changes.set.push(cluster(name, self.made));
                    self.clusters.insert(name.clone(), self.made);
                }
            }
            Event::Filter(n) => changes.set.push(filter("filter", *n)),
            Event::Grant(n) => {
                changes.set.extend([listener(&format!("g{n}"), 0), fixed(&format!("g{n}"), 0)])
            }
            Event::Revoke(n) => {
                changes.urgent.push((Kind::Listener, format!("g{n}")));
                changes.remove.push((Kind::Cluster, format!("g{n}")));
            }
            Event::Renew(n) => {
                changes.urgent.push((Kind::Listener, format!("g{n}")));
                changes.set.push(listener(&format!("g{n}"), 0));
            }
            Event::Now(n) => changes.urgent_set.extend([filter("filter", *n), listener("l", i32::from(*n))]),
            Event::Bad(true, n) => changes.set.push(cluster(&format!("g{n}"), -1)),
            Event::Bad(false, n) => changes.set.push(listener(&format!("g{n}"), -1)),
            _ => {}
        }
        changes
    }
}

fn connect(node: &mut Node, envoy: &mut Envoy) {
    node.connect();
    envoy.connect();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn envoy_ends_with_the_snapshot_and_never_routes_into_nothing(events in prop::collection::vec(event(), 1..60)) {
        let (mut node, mut envoy, mut wanted) = (Node::new(), Envoy::default(), Wanted::default());
        node.apply(set([listener("l", 0), filter("filter", 0), secret("secret")]));
        connect(&mut node, &mut envoy);
        for event in &events {
            match event {
                Event::Talk(messages) => for n in 0..*messages {
                    // Both sides speak; which first differs.
                    if let Some(request) = (n % 3 != 2).then(|| envoy.next_request()).flatten() {
                        node.handle(request);
                    } else if let Some(response) = node.poll() {
                        envoy.take(response);
                    }
                },
                Event::Reconnect => connect(&mut node, &mut envoy),
                Event::EnvoyRestarts => {
                    envoy = Envoy::default();
                    connect(&mut node, &mut envoy);
                }
                Event::NodeRestarts => {
                    let mut again = Node::new();
                    for kind in Kind::ALL {
                        let names: Vec<_> = node.snapshot.names(kind).cloned().collect();
                        again.apply(set(names.iter().filter_map(|name| node.snapshot.get(kind, name)).cloned()));
                    }
                    node = again;
                    // A node that ends between a changed cluster and its endpoints knows nothing of that later.
                    envoy.time_out();
                    connect(&mut node, &mut envoy);
                }
                _ => node.apply(wanted.changes(event)),
            }
            prop_assert!(envoy.faults.is_empty(), "after {:?}: {:?}", event, envoy.faults);
        }
        talk(&mut node, &mut envoy);
        assert_holds_all(&node, &envoy);
    }
}
