//! Small networks by hand.
#![allow(missing_docs, dead_code)]

use catalyst_control::{LocalService, Notice};
use catalyst_names::{NodeName, Protocol};
use catalyst_policy::{Agreement, Neighbour, Party, Pattern, Role, Rule};
use catalyst_testkit::{Fault, LinkPlan, Net, NodePlan, Side};

pub fn node(name: &str) -> NodePlan {
    NodePlan::new(name.parse().unwrap())
}

pub fn service(label: &str, cost: u32) -> LocalService {
    LocalService {
        label: label.parse().unwrap(),
        protocol: Protocol::Http,
        cost,
        weight: 100,
        tags: Vec::new(),
        healthy: true,
        fail_closed: false,
    }
}

pub fn up(node: usize, label: &str, cost: u32) -> Fault {
    Fault::ServiceUp(node, service(label, cost))
}

pub fn down(node: usize, label: &str) -> Fault {
    Fault::ServiceDown(node, label.parse().unwrap())
}

/// Nodes `a`, `b`, ... of one organisation with these links.
pub fn acme(count: usize, links: &[[usize; 2]]) -> Net {
    let mut net = Net::empty(1);
    for letter in ('a'..='z').take(count) {
        net.add_node(node(&format!("{letter}.acme.example")));
    }
    for ends in links {
        net.add_link(LinkPlan::new(*ends));
    }
    net
}

/// Runs until the network is at rest, and compares every node with the oracle.
pub fn rest(net: &mut Net) {
    net.settle().unwrap();
    net.check().unwrap();
}

/// Runs until something is so; fails when it is not within so many milliseconds. Gives back how long it took.
pub fn until(net: &mut Net, ms: u64, what: &str, so: impl Fn(&Net) -> bool) -> u64 {
    let (start, steps) = (net.now(), net.stats().steps);
    while !so(net) {
        assert!(net.now() - start <= ms, "waited {ms} ms in vain for {what}");
        assert!(net.stats().steps - steps < 1_000_000, "the network runs in circles, not for {what}");
        assert!(net.step(), "nothing is due any more, not even {what}");
    }
    net.now() - start
}

/// Neighbour and node_path of the winner of a key.
pub fn best(net: &Net, node: usize, service: &str, origin: &str) -> Option<(String, Vec<String>)> {
    let seen = net.see(node)?;
    let key = (service.to_owned(), origin.to_owned());
    let (via, _) = seen.loc_rib.get(&key)?;
    Some((via.clone(), seen.adj_in[&key][via].node_path.clone()))
}

/// The next hops of a service as the data plane was told, the best first; backups with a `+`.
pub fn hops(net: &Net, node: usize, service: &str) -> Vec<String> {
    let Some(forward) = net.nodes()[node].forwards().get(service) else { return Vec::new() };
    let hop = |e: &catalyst_control::Endpoint| {
        let next = match &e.next {
            catalyst_control::NextHop::Local => "local".to_owned(),
            catalyst_control::NextHop::Peer(name) => name.node().to_owned(),
        };
        if e.backup { format!("+{next}") } else { next }
    };
    forward.endpoints.iter().map(hop).collect()
}

pub fn agreement(first: &str, second: &str, role: Role, max_services: u32) -> Agreement {
    let party = |org: &str, role| Party {
        org: org.parse().unwrap(),
        role,
        max_services,
        max_bytes: 1_000_000,
        bundle: Default::default(),
        contact: Default::default(),
    };
    Agreement::new(party(first, role), party(second, role.complement())).unwrap()
}

pub fn export(to: &str) -> Vec<Rule> {
    vec![Rule::new(Pattern::any(), Neighbour::parse(to).unwrap())]
}

pub fn import(from: &str) -> Vec<Rule> {
    vec![Rule::new(Pattern::any(), Neighbour::parse(from).unwrap())]
}

/// A link over a border; each side holds its own copy.
pub fn border(ends: [usize; 2], agreements: [Option<Agreement>; 2]) -> LinkPlan {
    let sides = agreements.map(|agreement| Some(Side { agreement, hold_ms: 3_000 }));
    LinkPlan { sides, ..LinkPlan::new(ends) }
}

pub fn notices(net: &Net, node: usize) -> Vec<&Notice> {
    net.nodes()[node].notices().map(|(_, notice)| notice).collect()
}

/// The moments at which a node lost sessions with a peer.
pub fn lost(net: &Net, node: usize, peer: &NodeName) -> Vec<u64> {
    let ended = |notice: &Notice| matches!(notice, Notice::PeerDown(who, _) if who == peer);
    net.nodes()[node].notices().filter(|(_, n)| ended(n)).map(|(at, _)| *at).collect()
}
