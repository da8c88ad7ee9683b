//! Bad news in networks with many ways: nobody tries the old paths of others one after the other.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use catalyst_testkit::{Fault, LinkPlan, Net};

use common::{down, node, rest, up};

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
