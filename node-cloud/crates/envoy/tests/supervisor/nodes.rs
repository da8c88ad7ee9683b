//! Nodes that are killed, and nodes that come after them.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::world::node::Node;
use crate::world::{files, lives, processes_of, signal, wait_for};

pub const ALL: &[(&str, fn())] = &[
    ("a_node_finds_the_envoy_of_the_one_that_was_killed", a_node_finds_the_envoy_of_the_one_that_was_killed),
    ("an_envoy_does_not_wait_for_ever", an_envoy_does_not_wait_for_ever),
    ("another_bootstrap_replaces_the_envoy", another_bootstrap_replaces_the_envoy),
    ("a_keeper_that_hangs_is_replaced", a_keeper_that_hangs_is_replaced),
    ("a_node_in_its_sandbox_has_an_envoy_too", a_node_in_its_sandbox_has_an_envoy_too),
    ("nodes_of_other_places_do_not_meet", nodes_of_other_places_do_not_meet),
];

const LONG: Duration = Duration::from_secs(60);
const A: &str = "a.acme.example";

fn a_node_finds_the_envoy_of_the_one_that_was_killed() {
    let state = tempfile::tempdir().unwrap();
    let mut node = Node::start(state.path(), A, LONG);
    let envoy = node.running();
    let mut all = node.keepers.clone();
    node.kill();
    for _ in 0..3 {
        assert!(lives(envoy), "Envoy did not outlive its node");
        let mut next = Node::start(state.path(), A, LONG);
        assert_eq!(next.running(), envoy, "another Envoy was started");
        all.extend(&next.keepers);
        next.kill();
    }
    // Keepers in waiting go with their node: the one in office is left.
    wait_for("the end of those in waiting", || {
        (all.iter().filter(|pid| lives(**pid)).count() == 1).then_some(())
    });
    let mut last = Node::start(state.path(), A, LONG);
    assert_eq!(last.running(), envoy);
    assert_eq!(last.stop(), "stopped Asked");
    assert!(!lives(envoy));
    wait_for("the end of all keepers", || all.iter().all(|pid| !lives(*pid)).then_some(()));
    assert_eq!(files(state.path()), ["keeper.lock"]);
}

fn an_envoy_does_not_wait_for_ever() {
    let state = tempfile::tempdir().unwrap();
    let mut node = Node::start(state.path(), A, Duration::from_millis(700));
    let envoy = node.running();
    let keepers = node.kill();
    wait_for("the end of Envoy", || (!lives(envoy)).then_some(()));
    wait_for("the end of the keepers", || keepers.iter().all(|pid| !lives(*pid)).then_some(()));
    assert_eq!(files(state.path()), ["keeper.lock"]);
    // And the next node begins anew.
    let mut next = Node::start(state.path(), A, LONG);
    assert_ne!(next.running(), envoy);
    assert_eq!(next.stop(), "stopped Asked");
}

fn another_bootstrap_replaces_the_envoy() {
    let state = tempfile::tempdir().unwrap();
    let mut node = Node::start(state.path(), A, LONG);
    let envoy = node.running();
    let keepers = node.kill();
    let mut other = Node::start(state.path(), "b.acme.example", LONG);
    let second = other.running();
    assert_ne!(second, envoy);
    assert!(!lives(envoy), "two Envoys run in one place");
    assert_eq!(processes_of(&state.path().join("envoy")), [second]);
    wait_for("the end of the keepers before", || keepers.iter().all(|pid| !lives(*pid)).then_some(()));
    assert_eq!(other.stop(), "stopped Asked");
}

fn a_keeper_that_hangs_is_replaced() {
    let state = tempfile::tempdir().unwrap();
    let mut node = Node::start(state.path(), A, LONG);
    let envoy = node.running();
    let keepers = node.keepers.clone();
    for keeper in &keepers {
        signal(*keeper, Signal::SIGSTOP);
    }
    node.kill();
    let mut next = Node::start(state.path(), A, LONG);
    let second = next.running();
    assert!(second != envoy && !lives(envoy));
    assert_eq!(next.stop(), "stopped Asked");
    // The one in waiting hangs still; it has no node any more, and goes when it wakes.
    for keeper in keepers.iter().filter(|pid| lives(**pid)) {
        signal(*keeper, Signal::SIGCONT);
    }
    wait_for("the end of all keepers", || keepers.iter().all(|pid| !lives(*pid)).then_some(()));
}

fn a_node_in_its_sandbox_has_an_envoy_too() {
    let state = tempfile::tempdir().unwrap();
    let mut node = Node::sandboxed(state.path(), A, LONG);
    let envoy = node.running();
    node.kill();
    let mut next = Node::sandboxed(state.path(), A, LONG);
    assert_eq!(next.running(), envoy, "it was found again");
    signal(envoy, Signal::SIGKILL);
    let second = next.running();
    assert_ne!(second, envoy);
    assert_eq!(next.stop(), "stopped Asked");
    assert!(!lives(second));
    assert_eq!(files(state.path()), ["keeper.lock"]);

    // Nothing can be started inside: without keepers there is no Envoy, and it says so.
    let mut last = Node::sandboxed(state.path(), A, LONG);
    let envoy = last.running();
    for keeper in &last.keepers {
        signal(*keeper, Signal::SIGKILL);
    }
    let why = last.next("missing");
    assert!(why.contains("sandbox") && why.contains("start the node again"), "{why}");
    wait_for("the end of Envoy", || (!lives(envoy)).then_some(()));
    assert_eq!(last.stop(), "stopped NotThere");
}

fn nodes_of_other_places_do_not_meet() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut first = Node::start(one.path(), A, LONG);
    let mut second = Node::start(two.path(), A, LONG);
    let (left, right) = (first.running(), second.running());
    assert_ne!(left, right);
    assert_eq!(first.stop(), "stopped Asked");
    assert!(!lives(left) && lives(right));
    assert_eq!(second.stop(), "stopped Asked");
}
