//! What the solver is given.

use catalyst_names::{NodeName, Protocol, ServiceLabel};
use catalyst_policy::{Agreement, Rule};

use crate::rules;

/// A service as its node offers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its first label.
    pub label: ServiceLabel,
    /// What it speaks.
    pub protocol: Protocol,
    /// Lower is better.
    pub cost: u32,
    /// Share among equals.
    pub weight: u16,
    /// `org:tag`.
    pub tags: Vec<String>,
    /// Whether it answers; one that does not is announced to nobody.
    pub healthy: bool,
    /// Better gone than long-lived stale.
    pub closed: bool,
}

/// A running node.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its name, with its organisation.
    pub name: NodeName,
    /// What it offers.
    pub services: Vec<Service>,
    /// What it announces to other organisations.
    pub exports: Vec<Rule>,
    /// What it accepts of other organisations.
    pub imports: Vec<Rule>,
    /// What it wants to hear of, by full names with stars; everything without a list.
    pub interest: Option<Vec<String>>,
    /// How many ways to one service of a third organisation it tells another organisation of.
    pub origins: usize,
    /// It is about to stop: all that it announces says so.
    pub leaving: bool,
}

/// An established session.
#[derive(Clone, Debug)]
pub struct Link {
    /// Places of the two nodes in [`World::nodes`].
    pub ends: [usize; 2],
    /// What both sides hold, between organisations.
    pub agreement: Option<Agreement>,
}

/// A whole network at rest. At most one link between two nodes.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// The nodes.
    pub nodes: Vec<Node>,
    /// The sessions between them.
    pub links: Vec<Link>,
}

impl World {
    /// Whether a node wants to hear of a service.
    pub(crate) fn wants(&self, node: usize, service: &str) -> bool {
        rules::wanted(self.nodes[node].interest.as_ref(), service)
    }

    /// Neighbours of a node inside its organisation.
    pub(crate) fn internal(&self, node: usize) -> impl Iterator<Item = usize> {
        self.neighbours(node).map(|(other, _)| other).filter(move |other| self.same_org(node, *other))
    }

    /// Neighbours of a node in other organisations, with the agreement of the link.
    pub(crate) fn external(&self, node: usize) -> impl Iterator<Item = (usize, &Agreement)> {
        self.neighbours(node)
            .filter(move |(other, _)| !self.same_org(node, *other))
            .filter_map(|(other, link)| Some((other, link.agreement.as_ref()?)))
    }

    fn neighbours(&self, node: usize) -> impl Iterator<Item = (usize, &Link)> {
        let known = |other: &(usize, &Link)| other.0 < self.nodes.len();
        self.links
            .iter()
            .filter_map(move |link| match link.ends {
                [a, b] if a == node => Some((b, link)),
                [a, b] if b == node => Some((a, link)),
                _ => None,
            })
            .filter(known)
    }

    fn same_org(&self, a: usize, b: usize) -> bool {
        self.nodes[a].name.org() == self.nodes[b].name.org()
    }
}
