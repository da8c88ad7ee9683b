//! Bad news in networks with many ways: nobody tries the old paths of others one after the other.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use catalyst_control::Limits;
use catalyst_policy::Role;
use catalyst_testkit::{Exit, Fault, LinkPlan, Net, NodePlan, Noticed};

use common::{acme, agreement, best, border, down, export, hops, import, node, rest, until, up};

/// Everyone with everyone, with delays between these.
fn mesh(count: usize, delay: (u64, u64)) -> Net {
    let mut net = Net::empty(1);
    for n in 0..count {
        net.add_node(node(&format!("n{n}.acme.example")));
    }
    for ends in (0..count).flat_map(|i| (0..i).map(move |j| [j, i])) {
        net.add_link(LinkPlan { delay, ..LinkPlan::new(ends) });
    }
    rest(&mut net);
    net
}

/// UPDATE frames for each link, in hundredths.
fn told(net: &mut Net, fault: Fault) -> u64 {
    let count = net.nodes().len() as u64;
    let (before, links) = (net.stats().loud, count * (count - 1) / 2);
    net.apply(fault);
    rest(net);
    (net.stats().loud - before) * 100 / links
}

#[test]
fn a_full_mesh_hears_bad_news_once() {
    for (count, delay) in [(5, (1, 3)), (8, (1, 20)), (8, (20, 100)), (14, (20, 100))] {
        let mut net = mesh(count, delay);
        told(&mut net, up(0, "s", 0));
        let worse = told(&mut net, up(0, "s", 9));
        let better = told(&mut net, up(0, "s", 1));
        let gone = told(&mut net, down(0, "s"));
        for (what, ratio) in [("worse", worse), ("better", better), ("gone", gone)] {
            println!("{count} nodes, delays {delay:?}, {what}: {ratio} hundredths a link");
        }
        for (what, ratio) in [("worse", worse), ("better", better), ("gone", gone)] {
            assert!(ratio <= 400, "{count} nodes, delays {delay:?}: {ratio} hundredths a link for {what}");
        }
    }
}

/// Everyone with everyone, with delays of 20 to 100 ms, and `s` at the first. Hold times by turns.
fn mesh_with_holds(count: usize, holds: &[u32], patience: (u32, u64)) -> Net {
    mesh_of(count, holds, |_| patience)
}

fn mesh_of(count: usize, holds: &[u32], patience: impl Fn(usize) -> (u32, u64)) -> Net {
    let mut net = Net::empty(1);
    for n in 0..count {
        let plan = node(&format!("n{n}.acme.example"));
        let (restart_ms, stale_max_ms) = patience(n);
        net.add_node(NodePlan { restart_ms, stale_max_ms, mesh: true, ..plan });
    }
    for (at, ends) in (0..count).flat_map(|i| (0..i).map(move |j| [j, i])).enumerate() {
        let mut plan = LinkPlan { delay: (20, 100), ..LinkPlan::new(ends) };
        plan.sides.iter_mut().flatten().for_each(|side| side.hold_ms = holds[at * 7 % holds.len()]);
        net.add_link(plan);
    }
    rest(&mut net);
    net.apply(up(0, "s", 0));
    rest(&mut net);
    net
}

/// Routes told and withdrawn for each link since then, in hundredths.
fn since(net: &Net, before: u64) -> u64 {
    let count = net.nodes().len() as u64;
    (net.elements() - before) * 100 / (count * (count - 1) / 2)
}

#[test]
fn a_full_mesh_hears_of_a_death_once() {
    for count in [8, 12, 16, 24] {
        for holds in [&[3_000][..], &[900, 1_500, 3_000, 3_000, 9_000, 0]] {
            for exit in [Exit::Power, Exit::Kill, Exit::Stop] {
                let mut net = mesh_with_holds(count, holds, (0, 0));
                let before = net.elements();
                net.apply(Fault::Down(0, exit, None));
                rest(&mut net);
                let ratio = since(&net, before);
                println!("{count} nodes, {} hold times, {exit:?}: {ratio} hundredths a link", holds.len());
                assert!(ratio <= 200, "{count} nodes, {holds:?}, {exit:?}: {ratio} hundredths a link");
            }
        }
    }
}

#[test]
fn a_full_mesh_that_waits_for_a_dead_node_hears_of_it_twice() {
    for count in [8, 12, 16] {
        let mut net = mesh_with_holds(count, &[3_000], (2_000, 20_000));
        let before = net.elements();
        net.apply(Fault::Down(0, Exit::Power, None));
        // The hold time, the restart time, as long as the way around is withheld, and a while for it to be told: less than
        // stale routes are kept.
        net.run_for(3_000 + 2_000 + Limits::WITHHELD_MS + 2_000);
        let aged = since(&net, before);
        let before = net.elements();
        net.run_for(30_000 + Limits::WITHHELD_MAX_MS);
        let gone = since(&net, before);
        println!("{count} nodes: {aged} hundredths a link for what is stale, {gone} for what is gone");
        assert!(aged > 0 && aged <= 400 && gone > 0 && gone <= 400, "{count} nodes: {aged}, {gone}");
        rest(&mut net);
    }
}

/// Some wait for longer than ways are withheld, some less, some not at all: each gives the dead node up at a time of its own.
#[test]
fn a_full_mesh_of_which_some_wait_hears_of_it_twice() {
    for count in [8, 16, 24, 40] {
        let patience = |n: usize| [(2_000, 20_000), (6_000, 8_000), (0, 0), (2_000, 20_000)][n % 4];
        let mut net = mesh_of(count, &[3_000, 900], patience);
        let before = net.elements();
        net.apply(Fault::Down(0, Exit::Power, None));
        net.run_for(60_000);
        rest(&mut net);
        let ratio = since(&net, before);
        println!("{count} nodes: {ratio} hundredths a link");
        assert!(ratio <= 800, "{count} nodes: {ratio} hundredths a link");
    }
}

/// A full mesh of six, and a node that has a link with the second alone.
fn mesh_and_a_leaf() -> Net {
    let links: Vec<[usize; 2]> = (0..6).flat_map(|i| (0..i).map(move |j| [j, i])).chain([[1, 6]]).collect();
    let mut net = acme(7, &links);
    net.apply(up(0, "s", 0));
    rest(&mut net);
    net
}

#[test]
fn a_single_link_that_breaks_costs_nobody_a_way() {
    let mut net = mesh_and_a_leaf();
    assert_eq!(hops(&net, 6, "s.acme.example"), ["b"]);
    net.apply(Fault::Cut(0, Noticed::Both, 60_000));
    let has_way = |net: &Net| !hops(net, 6, "s.acme.example").is_empty();
    let around = |net: &Net| best(net, 6, "s.acme.example", "a").is_some_and(|(_, path)| path.len() == 3);
    let took = until(&mut net, 100, "the way around", |net| {
        assert!(has_way(net), "the leaf lost its way");
        around(net)
    });
    assert!(took <= 10, "{took} ms");
}

/// A full mesh of five, the first of them and the third with links to the service's home, and a node with links to the first
/// two of the mesh. Its link with the first has this hold time, that of the second with the first the other.
fn mesh_with_two_that_hang_on_it(holds: [u32; 2]) -> Net {
    let mut net = Net::empty(1);
    for letter in ["b", "c", "d", "e", "f", "m", "y"] {
        net.add_node(node(&format!("{letter}.acme.example")));
    }
    let mesh = (0..5).flat_map(|i| (0..i).map(move |j| [j, i]));
    for ends in mesh.chain([[0, 5], [1, 5], [0, 6], [2, 6]]) {
        let mut plan = LinkPlan::new(ends);
        let hold = match ends {
            [0, 5] => holds[0],
            [0, 1] => holds[1],
            _ => 9_000,
        };
        plan.sides.iter_mut().flatten().for_each(|side| side.hold_ms = hold);
        net.add_link(plan);
    }
    net.apply(up(6, "s", 0));
    rest(&mut net);
    net
}

#[test]
fn the_death_of_a_node_on_the_way_is_got_over_as_soon_as_both_have_noticed() {
    for holds in [[900, 3_000], [3_000, 900]] {
        let mut net = mesh_with_two_that_hang_on_it(holds);
        assert_eq!(hops(&net, 5, "s.acme.example"), ["b", "+c"]);
        net.apply(Fault::Down(0, Exit::Power, None));
        // All of its ways led through the node that died, but for the one that the second finds.
        let around =
            |net: &Net| best(net, 5, "s.acme.example", "y").is_some_and(|(_, path)| path == ["c", "d", "y"]);
        let took = until(&mut net, 20_000, "the way around", around);
        assert!(took <= 3_000 + 100, "{took} ms, with hold times of {holds:?}");
    }
}

#[test]
fn who_loses_its_way_while_others_withhold_theirs_has_another() {
    let links: Vec<[usize; 2]> = (0..6).flat_map(|i| (0..i).map(move |j| [j, i])).collect();
    let mut net = acme(6, &links);
    net.apply(up(0, "s", 0));
    rest(&mut net);
    // The links of the first with the others, all but the last.
    for link in [0, 1, 3, 6] {
        net.apply(Fault::Cut(link, Noticed::Both, 60_000));
        net.run_for(500);
    }
    for node in 1..6 {
        assert!(!hops(&net, node, "s.acme.example").is_empty(), "node {node} has no way");
    }
    net.run_for(2 * Limits::WITHHELD_MS);
    assert!((0..6).all(|node| !hops(&net, node, "s.acme.example").is_empty()));
}

#[test]
fn two_organisations_hear_once_that_a_service_went() {
    for count in [8, 12, 16, 24] {
        let mut net = Net::empty(1);
        let orgs = ["acme.example", "bolt.example"];
        for n in 0..count {
            let (own, other) = (orgs[n % 2], orgs[1 - n % 2]);
            let plan = node(&format!("n{n}.{own}"));
            net.add_node(NodePlan { exports: export(other), imports: import(other), ..plan });
        }
        let terms = || Some(agreement(orgs[0], orgs[1], Role::Peer, 1_000));
        for ends in (0..count).flat_map(|i| (0..i).map(move |j| [j, i])) {
            let inside = ends[0] % 2 == ends[1] % 2;
            let plan = if inside { LinkPlan::new(ends) } else { border(ends, [terms(), terms()]) };
            net.add_link(LinkPlan { delay: (20, 100), ..plan });
        }
        rest(&mut net);
        net.apply(up(0, "s", 0));
        rest(&mut net);
        let before = net.elements();
        net.apply(down(0, "s"));
        rest(&mut net);
        // Beyond the border each way over it is a route of its own.
        let ratio = since(&net, before) / (1 + count as u64 / 2);
        println!("{count} nodes of 2 organisations: {ratio} hundredths a link and route");
        assert!(ratio <= 400, "{count} nodes: {ratio} hundredths a link and route");
    }
}
