//! A network at rest against the oracle, and every node against itself.

use std::collections::{BTreeMap, BTreeSet};

use catalyst_control::{Endpoint, NextHop};
use catalyst_names::{NodeName, ServiceName};
use catalyst_oracle::{Candidate, Key, Rank, Table};
use catalyst_policy::Role;
use catalyst_wire::WellKnown;

use crate::any::AnyCore;
use crate::flows::End;
use crate::net::Net;
use crate::node::Node;
use crate::seen::{AdjRibOut, Name, See, Seen, SeenRoute};

/// Node and what is wrong with it.
pub(crate) type Wrong = Result<(), String>;

fn name(key: &Key) -> Name {
    (key.service.to_string(), key.origin.to_string())
}

fn wrong<T>(node: &Node, what: impl AsRef<str>) -> Result<T, String> {
    Err(format!("{}: {}", node.name(), what.as_ref()))
}

impl Net {
    /// Compares every running node with the oracle, every flow with its receiver, and every table with itself.
    /// Only for a network at rest, see [`Net::settle`].
    ///
    /// # Errors
    /// The first difference, in words.
    pub fn check(&mut self) -> Wrong {
        let tables = self.expect();
        let seen: Vec<Option<Seen>> =
            self.nodes.iter().map(|n| n.core.as_ref().map(|core| core.look(See))).collect();
        for ((node, table), seen) in self.nodes.iter().zip(&tables).zip(&seen) {
            let Some(seen) = seen else { continue };
            self.stats.checks += 1;
            self.stats.routes += seen.stored as u64;
            adj_in(node, table, seen)?;
            loc_rib(node, table, seen)?;
            itself(node, seen)?;
            forwards(node, table)?;
            grants(node, table)?;
            replayed(node)?;
        }
        self.no_valley(&seen)?;
        self.sessions(&seen)?;
        self.walk(&tables)
    }

    /// Sessions where they are to be, and what left one end is what the other holds.
    fn sessions(&self, seen: &[Option<Seen>]) -> Wrong {
        for link in 0..self.links.len() {
            let plan = &self.links[link].plan;
            if !self.expected(link) {
                let stray = (0..2).find(|side| self.established_at(link, *side).is_some());
                if let Some(side) = stray {
                    return wrong(
                        &self.nodes[plan.ends[side]],
                        format!("has a session on link {link} that must not be"),
                    );
                }
                continue;
            }
            let Some(session) = self.established(link) else { continue };
            let Some(conn) = self.conns.get(&session.0) else { continue };
            for from in 0..2 {
                let (sender, receiver) = (&self.nodes[plan.ends[from]], &self.nodes[plan.ends[1 - from]]);
                let look = AdjRibOut { session, peer: receiver.name(), secret: &sender.secret };
                let standing = sender.core.as_ref().map(|c| c.look(look)).unwrap_or_default();
                let told = &conn.flows[from].watch.announced;
                if !told.keys().eq(standing.iter()) {
                    let told: Vec<&Name> = told.keys().collect();
                    return wrong(
                        sender,
                        format!("Adj-RIB-Out to {} is {standing:?} but it told {told:?}", receiver.name()),
                    );
                }
                let Some(seen) = seen.get(plan.ends[1 - from]).and_then(Option::as_ref) else { continue };
                arrived(sender, receiver, told, seen)?;
                let watch = &conn.flows[from].watch;
                let mute = self.shadows.all.get(&(plan.ends[from], plan.ends[1 - from]));
                if watch.owed && mute.is_none_or(|shadow| !shadow.terms.mute) {
                    return wrong(
                        sender,
                        format!("was asked by {} to tell its table again, and did not", receiver.name()),
                    );
                }
            }
        }
        Ok(())
    }

    /// No path of organisations goes down or across and then up or across again, by the roles that they agreed on.
    fn no_valley(&self, seen: &[Option<Seen>]) -> Wrong {
        let mut roles: BTreeMap<[&str; 2], BTreeSet<Role>> = BTreeMap::new();
        for link in &self.links {
            let orgs = link.plan.ends.map(|end| self.nodes[end].name().org());
            for agreement in link.plan.sides.iter().flatten().filter_map(|side| side.agreement.as_ref()) {
                for [own, other] in [orgs, [orgs[1], orgs[0]]] {
                    roles
                        .entry([own, other])
                        .or_default()
                        .extend(catalyst_oracle::rules::role(agreement, own, other));
                }
            }
        }
        for (node, seen) in self.nodes.iter().zip(seen).filter_map(|(n, s)| Some((n, s.as_ref()?))) {
            for ((service, _), routes) in &seen.adj_in {
                for route in routes.values().filter(|route| route.eligible) {
                    let own = std::iter::once(node.name().org());
                    let path: Vec<&str> = own.chain(route.org_path.iter().map(String::as_str)).collect();
                    // From home to here: what the next organisation is to the one that passed it on.
                    let steps = path.windows(2).rev().map(|pair| roles.get(&[pair[1], pair[0]]));
                    // Two agreements with two roles: anything may be.
                    let clear =
                        |roles: Option<&BTreeSet<Role>>| roles.filter(|r| r.len() == 1)?.first().copied();
                    let Some(steps) = steps.map(clear).collect::<Option<Vec<Role>>>() else { continue };
                    let top = steps.iter().position(|role| *role != Role::Provider).unwrap_or(steps.len());
                    if steps.iter().skip(top + 1).any(|role| *role != Role::Customer) {
                        return wrong(node, format!("{service} leaked: {path:?} goes by {steps:?}"));
                    }
                }
            }
        }
        Ok(())
    }

    /// Follows the first next hop of every origin of every service from every node: it must lead to a node that
    /// offers the service, and never come by one place twice.
    fn walk(&self, tables: &[Table]) -> Wrong {
        for (start, node) in self.nodes.iter().enumerate() {
            for (service, forward) in node.forwards() {
                for endpoint in forward.endpoints.iter().filter(|e| !e.backup) {
                    let end = match self.follow(start, service, endpoint) {
                        End::Home(end) => end,
                        End::Nowhere(at, what) => return wrong(&self.nodes[at], what),
                        End::Circle(_) => {
                            return wrong(node, format!("{service} of {} runs in a circle", endpoint.origin));
                        }
                    };
                    let key = Key { service: service.clone(), origin: endpoint.origin.clone() };
                    let home = tables[start].loc_rib.get(&key).map(|held| held.best.home);
                    if home != Some(end) {
                        return wrong(
                            node,
                            format!("{service} of {} ends at {}", endpoint.origin, self.nodes[end].name()),
                        );
                    }
                }
            }
        }
        Ok(())
    }
}

pub(crate) fn adj_in(node: &Node, table: &Table, seen: &Seen) -> Wrong {
    let mut rest = seen.adj_in.clone();
    for (key, candidates) in &table.adj_in {
        let mut held = rest.remove(&name(key)).unwrap_or_default();
        for (via, candidate) in candidates {
            match held.remove(via.as_str()) {
                None => return wrong(node, format!("misses {key:?} from {via}")),
                Some(route) => {
                    if let Some(what) = differs(candidate, &route) {
                        return wrong(
                            node,
                            format!(
                                "holds {key:?} from {via} with another {what}: {route:?} instead of {candidate:?}"
                            ),
                        );
                    }
                }
            }
        }
        if let Some(via) = held.keys().next() {
            return wrong(node, format!("holds {key:?} from {via}, which must not be"));
        }
    }
    match rest.iter().next() {
        None => Ok(()),
        Some((key, routes)) => {
            wrong(node, format!("holds {key:?} from {:?}, which must not be", routes.keys()))
        }
    }
}

fn differs(wanted: &Candidate, got: &SeenRoute) -> Option<&'static str> {
    let org_path: Vec<&str> = wanted.org_path.iter().map(|o| o.as_str()).collect();
    // What is not imported has no rank of its own.
    let pref = !wanted.eligible && !wanted.rank.local.0 || wanted.rank.local_pref.0 == got.local_pref;
    [
        (wanted.eligible == got.eligible, "eligibility"),
        (wanted.overtaken == got.overtaken, "age of the words of its path"),
        (pref, "local_pref"),
        (org_path == got.org_path, "org_path"),
        (wanted.node_path == got.node_path, "node_path"),
        (wanted.cost == got.cost, "cost"),
        (!wanted.eligible || wanted.rank.cost == got.rank_cost, "cost by import"),
        (wanted.rank.stale == got.stale, "staleness"),
        (wanted.rank.flapping == got.flapping, "rank for its changes"),
        (wanted.marks.closed == got.marked(WellKnown::FAIL_CLOSED), "mark against long-lived staleness"),
        (wanted.marks.stale == got.marked(WellKnown::STALE), "mark of staleness"),
        (wanted.marks.leaving == got.marked(WellKnown::GRACEFUL_SHUTDOWN), "mark of a node about to stop"),
        (wanted.mark == got.mark, "only-to-customer mark"),
        (wanted.weight == got.weight, "weight"),
        (wanted.protocol.as_str() == got.protocol, "protocol"),
        (wanted.tags == got.tags, "tags"),
    ]
    .iter()
    .find(|(same, _)| !same)
    .map(|(_, what)| *what)
}

pub(crate) fn loc_rib(node: &Node, table: &Table, seen: &Seen) -> Wrong {
    let wanted: BTreeMap<Name, (String, Option<String>)> = table
        .loc_rib
        .iter()
        .map(|(key, held)| {
            (name(key), (held.best.rank.via.to_string(), held.next.as_ref().map(NodeName::to_string)))
        })
        .collect();
    if wanted == seen.loc_rib {
        return Ok(());
    }
    let all: BTreeSet<&Name> = wanted.keys().chain(seen.loc_rib.keys()).collect();
    let first = all.into_iter().find(|k| wanted.get(*k) != seen.loc_rib.get(*k));
    let pair = first.map(|k| (k, wanted.get(k), seen.loc_rib.get(k)));
    wrong(node, format!("Loc-RIB: key, wanted and found: {pair:?}"))
}

/// Counters, names and strays.
pub(crate) fn itself(node: &Node, seen: &Seen) -> Wrong {
    let rows = || seen.adj_in.values().flatten();
    let counted = rows().count();
    if counted != seen.stored {
        return wrong(node, format!("{} routes are stored, {counted} have a neighbour", seen.stored));
    }
    for (peer, row) in &seen.peers {
        let (routes, bytes) = rows()
            .filter(|(via, _)| *via == peer)
            .fold((0, 0), |(n, bytes), (_, route)| (n + 1, bytes + route.attrs.len()));
        if (routes, bytes) != (row.routes, row.bytes) {
            return wrong(
                node,
                format!(
                    "counts {} routes of {} bytes of {peer}, holds {routes} of {bytes}",
                    row.routes, row.bytes
                ),
            );
        }
    }
    let mut names: BTreeSet<&str> = seen.peers.keys().map(String::as_str).collect();
    names.insert(node.name().as_str());
    for (service, origin) in seen.adj_in.keys() {
        names.insert(service);
        names.insert(origin);
    }
    // Names of routes that have changed of late are remembered beyond them.
    let remembered = node.plan.flap.changes > 0 && names.len() < seen.names;
    if names.len() != seen.names && !remembered {
        return wrong(node, format!("holds {} names, {} are in use", seen.names, names.len()));
    }
    Ok(())
}

/// What the data plane was told is what the oracle would tell it.
pub(crate) fn forwards(node: &Node, table: &Table) -> Wrong {
    let services = table.services();
    if let Some(service) = node.forwards().keys().find(|s| !services.contains(s)) {
        return wrong(node, format!("still forwards {service}"));
    }
    for service in services {
        let keys = table.ranking(service);
        let hop = |via: &NodeName| match via == node.name() {
            true => NextHop::Local,
            false => NextHop::Peer(via.clone()),
        };
        let way = |key: &Key, via: &NodeName, equal: bool, backup: bool| Endpoint {
            origin: key.origin.clone(),
            next: hop(via),
            weight: table.adj_in[key][via].weight,
            equal,
            backup,
        };
        // As the ranking has it, but for the neighbour's name, which only makes it total.
        let rank = |key: &Key| Rank { via: node.name().clone(), ..table.loc_rib[key].best.rank.clone() };
        let firsts = keys.iter().enumerate().map(|(i, key)| {
            let equal = i > 0 && rank(keys[i - 1]) == rank(key);
            way(key, &table.loc_rib[*key].best.rank.via, equal, false)
        });
        let nexts =
            keys.iter().filter_map(|key| Some(way(key, table.loc_rib[*key].next.as_ref()?, false, true)));
        let wanted: Vec<Endpoint> = firsts.chain(nexts).collect();
        let protocol = keys.first().map(|key| table.loc_rib[*key].best.protocol);
        let told = node.forwards().get(service);
        if told.map(|f| &f.endpoints) != Some(&wanted) || told.map(|f| f.protocol) != protocol {
            return wrong(node, format!("forwards {service} by {told:?} instead of {wanted:?}"));
        }
    }
    Ok(())
}

fn grants(node: &Node, table: &Table) -> Wrong {
    let wanted: BTreeSet<(NodeName, ServiceName)> =
        table.granted.iter().flat_map(|(peer, all)| all.iter().map(|s| (peer.clone(), s.clone()))).collect();
    if wanted == *node.grants() {
        return Ok(());
    }
    wrong(node, format!("grants {:?} instead of {wanted:?}", node.grants()))
}

/// What was told and has not passed the receiver is what the receiver holds, byte for byte.
fn arrived(sender: &Node, receiver: &Node, told: &BTreeMap<Name, Vec<u8>>, seen: &Seen) -> Wrong {
    let via = sender.name().as_str();
    let held: BTreeMap<&Name, &Vec<u8>> =
        seen.adj_in.iter().filter_map(|(key, routes)| Some((key, &routes.get(via)?.attrs))).collect();
    let wanted: BTreeMap<&Name, &Vec<u8>> = told.iter().collect();
    if wanted == held {
        return Ok(());
    }
    wrong(receiver, format!("holds {:?} of {via}, who told {:?}", held.keys(), wanted.keys()))
}

/// A recording of the node leads to the same state.
pub(crate) fn replayed(node: &Node) -> Wrong {
    let (Some(recording), Some(core)) = (&node.recording, &node.core) else { return Ok(()) };
    match AnyCore::replay(recording, node.plan.store) {
        Ok(again) if again.digest() == core.digest() => Ok(()),
        Ok(_) => wrong(node, "its recording replays to another digest"),
        Err(refusal) => wrong(node, format!("its recording does not replay: {refusal}")),
    }
}
