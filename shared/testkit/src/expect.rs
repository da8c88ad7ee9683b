//! The network at rest, as the oracle is told of it.

use catalyst_oracle::{Service, Table, World, solve};
use catalyst_policy::{Agreement, border_origin};

use crate::net::Net;

impl Net {
    /// What every node must hold. Nodes that are down hold nothing that counts.
    #[must_use]
    pub fn expect(&self) -> Vec<Table> {
        let world = self.world();
        let opaque = |exporter: usize, agreement: &Agreement, origin: &catalyst_names::OriginId| {
            border_origin(&self.nodes[exporter].secret, &agreement.digest(), origin.as_str())
        };
        solve(&world, &opaque)
    }

    fn world(&self) -> World {
        let nodes = self.nodes.iter().map(|node| {
            let running = node.core.is_some();
            let services = node.services.values().filter(|_| running).map(|s| Service {
                label: s.label.clone(),
                protocol: s.protocol,
                cost: s.cost,
                weight: s.weight,
                tags: s.tags.clone(),
                healthy: s.healthy,
                closed: s.fail_closed,
            });
            catalyst_oracle::Node {
                name: node.plan.name.clone(),
                services: services.collect(),
                exports: node.plan.exports.clone(),
                imports: node.plan.imports.clone(),
                interest: node.plan.interest.clone(),
                origins: node.plan.limits.origins,
                leaving: node.draining,
            }
        });
        let links = (0..self.links.len()).filter(|link| self.expected(*link)).map(|link| {
            let plan = &self.links[link].plan;
            let agreement = plan.sides[0].as_ref().and_then(|side| side.agreement.clone());
            catalyst_oracle::Link { ends: plan.ends, agreement }
        });
        World { nodes: nodes.collect(), links: links.collect() }
    }
}
