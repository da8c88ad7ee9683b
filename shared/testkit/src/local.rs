//! Every node against itself, by the oracle's rules: of what it holds, whatever came to it, it must have made the right
//! choice, told its data plane and its neighbours of that choice, and of nothing else.
//!
//! It holds in every state of a network, also where the oracle has no answer: while routes are stale, and where limits
//! refuse some.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use catalyst_control::SessionId;
use catalyst_names::{NodeName, OrgId, OriginId, ServiceName};
use catalyst_oracle::choice;
use catalyst_oracle::rules::{self, Border, preferred};
use catalyst_oracle::{Candidate, Held, Key, Marks, Rank, Table};
use catalyst_policy::{Agreement, border_origin};
use catalyst_wire::{Attrs, Limits as WireLimits, WellKnown};

use crate::check;
use crate::net::Net;
use crate::row::Usable;
use crate::seen::{Name, See, Seen, SeenRoute};
use crate::shadow::Pair;

/// Where a route leads, as the wire has it: what a neighbour must have been told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told {
    orgs: Vec<String>,
    nodes: Vec<String>,
    pref: Option<u32>,
    cost: u32,
    mark: Option<String>,
    marks: Marks,
    tags: Vec<String>,
}

impl Told {
    /// What these attributes say.
    pub(crate) fn read(attrs: &[u8]) -> Self {
        let attrs = Attrs::read(attrs).unwrap_or_default();
        let texts = |path: catalyst_wire::Path<'_>| path.iter().map(str::to_owned).collect();
        let has = |mark| attrs.well_known.has(mark);
        Told {
            orgs: texts(attrs.org_path),
            nodes: texts(attrs.node_path),
            pref: attrs.local_pref,
            cost: attrs.cost,
            mark: attrs.only_to_customer.map(str::to_owned),
            marks: Marks {
                leaving: has(WellKnown::GRACEFUL_SHUTDOWN),
                stale: has(WellKnown::STALE),
                closed: has(WellKnown::FAIL_CLOSED),
            },
            tags: texts(attrs.tags),
        }
    }
}

fn marks(row: &SeenRoute) -> Marks {
    Marks {
        leaving: row.marked(WellKnown::GRACEFUL_SHUTDOWN),
        stale: row.marked(WellKnown::STALE),
        closed: row.marked(WellKnown::FAIL_CLOSED),
    }
}

/// A route as a candidate that nobody has judged yet.
fn plain(via: &NodeName, row: &SeenRoute) -> Candidate {
    let marks = marks(row);
    let orgs = row.org_path.iter().filter_map(|org| OrgId::parse(org).ok());
    let rank = Rank {
        stale: marks.stale,
        flapping: false,
        local_pref: Reverse(rules::OWN),
        local: Reverse(false),
        org_len: row.org_path.len(),
        cost: row.cost,
        node_len: row.node_path.len(),
        via: via.clone(),
    };
    Candidate {
        rank,
        eligible: row.healthy,
        overtaken: false,
        org_path: orgs.collect(),
        node_path: row.node_path.clone(),
        protocol: row.protocol.parse().unwrap_or_default(),
        weight: row.weight,
        cost: row.cost,
        marks,
        tags: row.tags.clone(),
        mark: row.mark.clone(),
        tags_inside: row.tags.clone(),
        mark_inside: row.mark.clone(),
        home: 0,
    }
}

impl Net {
    /// The agreement of two nodes, as the first of them holds it.
    pub(crate) fn agreement(&self, node: usize, peer: usize) -> Option<&Agreement> {
        let link = self.nodes[node].links.iter().find(|l| self.links[**l].plan.ends.contains(&peer))?;
        let plan = &self.links[*link].plan;
        let side = usize::from(plan.ends[1] == node);
        plan.sides[side].as_ref()?.agreement.as_ref()
    }

    /// What import has to make of a route of a neighbour, as far as the rules go.
    pub(crate) fn judged(&self, (node, peer): Pair, key: &Name, row: &SeenRoute) -> Candidate {
        let (own, their) = (self.nodes[node].name(), self.nodes[peer].name());
        let mut route = plain(their, row);
        let home = key.0.split_once('.').map_or("", |(_, org)| org);
        let lives = row.org_path.last().map_or(own.org(), String::as_str);
        let passed = row.org_path.iter().any(|org| org == own.org());
        route.eligible &= lives == home && !passed;
        if own.org() == their.org() {
            let pref = Attrs::read(&row.attrs).ok().and_then(|attrs| attrs.local_pref);
            let own_org = row.org_path.is_empty();
            let most = if own_org { rules::OWN } else { rules::OWN - 1 };
            route.rank.local_pref.0 = pref.unwrap_or(rules::OWN).min(most);
            let passed = row.node_path.iter().any(|passed| passed == own.node());
            route.eligible &= !(passed || own_org && key.1 == own.node());
        } else {
            route.eligible &= row.org_path.first().map(String::as_str) == Some(their.org());
            let role = self.agreement(node, peer).and_then(|a| rules::role(a, own.org(), their.org()));
            let border = Border { own: own.org(), org: their.org(), node: their.as_str() };
            let imports = &self.nodes[node].plan.imports;
            let taken = role.and_then(|role| {
                let (pref, cost, tags) = rules::imported(imports, border, role, &key.0, &route)?;
                Some((pref, cost, tags, rules::mark_inside(role, their.org(), row.mark.as_ref())))
            });
            match taken {
                Some((pref, cost, tags, mark)) => {
                    (route.rank.local_pref.0, route.rank.cost) = (pref, cost);
                    (route.tags_inside, route.mark_inside) = (tags, mark);
                }
                None => route.eligible = false,
            }
        }
        route.rank.local_pref.0 = preferred(route.rank.local_pref.0, route.marks.leaving);
        route
    }

    /// What a node has to make of what it holds.
    pub(crate) fn made_of(&self, node: usize, seen: &Seen) -> Table {
        let mut table = Table::default();
        let own = self.nodes[node].name();
        for ((service, origin), rows) in &seen.adj_in {
            let (Ok(service), Ok(origin)) = (ServiceName::parse(service), OriginId::parse(origin)) else {
                continue;
            };
            let name = (service.to_string(), origin.to_string());
            let mut held = BTreeMap::new();
            for (via, row) in rows {
                let Ok(via) = NodeName::parse(via) else { continue };
                let route = match self.place(&via) {
                    _ if via == *own => {
                        let mut route = plain(own, row);
                        route.rank.local.0 = true;
                        route.rank.flapping = row.flapping;
                        route
                    }
                    None => continue,
                    Some(peer) => {
                        let mut route = self.judged((node, peer), &name, row);
                        let all = self.shadows.all.get(&(node, peer));
                        if all.is_some_and(|all| all.leaving.perhaps().contains_key(&name)) {
                            // Held or not: where it is, as it stands.
                            route.rank.stale |= row.stale;
                            route.rank.flapping = row.flapping;
                            route.eligible &= row.eligible;
                            route.overtaken = row.overtaken;
                        } else if let Some((all, shadow)) =
                            all.and_then(|all| Some((all, all.rows.get(&name)?)))
                        {
                            let doubted = all.is_doubted(&name);
                            route.rank.stale |= shadow.stale;
                            route.rank.flapping = if doubted { row.flapping } else { shadow.flapping };
                            route.eligible &= match shadow.usable {
                                Usable::Yes => true,
                                Usable::No => false,
                                Usable::Either => row.eligible,
                            };
                            route.overtaken = if shadow.doubted.is_some() {
                                row.overtaken
                            } else {
                                shadow.overtaken.is_some()
                            };
                        }
                        route
                    }
                };
                held.insert(via, route);
            }
            table.adj_in.insert(Key { service, origin }, held);
        }
        table.elect();
        table
    }

    /// Compares every running node with itself.
    ///
    /// # Errors
    /// The first difference, in words.
    pub(crate) fn check_local(&self) -> Result<(), String> {
        let seen: Vec<Option<Seen>> =
            self.nodes.iter().map(|n| n.core.as_ref().map(|core| core.look(See))).collect();
        for (node, seen) in seen.iter().enumerate().filter_map(|(n, seen)| Some((n, seen.as_ref()?))) {
            let place = &self.nodes[node];
            let table = self.made_of(node, seen);
            check::adj_in(place, &table, seen)?;
            check::loc_rib(place, &table, seen)?;
            check::itself(place, seen)?;
            check::forwards(place, &table)?;
            check::replayed(place)?;
            let what = |what: String| format!("{}: {what}", place.name());
            let mut granted: BTreeMap<NodeName, [BTreeSet<ServiceName>; 2]> = BTreeMap::new();
            for (pair, shadow) in self.shadows.all.range((node, 0)..=(node, usize::MAX)) {
                if let Some(wrong) = self.unlike_shadow(*pair) {
                    return Err(what(wrong));
                }
                let heard = self.heard(*pair, &table);
                let peer = self.nodes[pair.1].name();
                if let Some(session) = shadow.session {
                    self.told_right(*pair, session, &heard).map_err(what)?;
                }
                if place.name().org() != peer.org() {
                    let services: BTreeSet<ServiceName> = heard.into_keys().map(|key| key.service).collect();
                    // Who is expected back may go on for the restart time.
                    let must = shadow.session.is_some();
                    let may = must || shadow.lost.is_some_and(|lost| !lost.long);
                    let none = BTreeSet::new();
                    let bounds = [must, may].map(|all| if all { services.clone() } else { none.clone() });
                    granted.insert(peer.clone(), bounds);
                }
            }
            for (peer, [must, may]) in &granted {
                let got: BTreeSet<ServiceName> =
                    place.grants().iter().filter(|(p, _)| p == peer).map(|(_, s)| s.clone()).collect();
                if !must.is_subset(&got) || !got.is_subset(may) {
                    return Err(what(format!("grants {got:?} to {peer} instead of {must:?} to {may:?}")));
                }
            }
        }
        Ok(())
    }

    /// What a neighbour has to hear of a table, whatever it wants to hear.
    pub(crate) fn heard(&self, (node, peer): Pair, table: &Table) -> BTreeMap<Key, Told> {
        let (own, their) = (&self.nodes[node].plan, &self.nodes[peer].plan);
        let mut heard = BTreeMap::new();
        let mut ways: Vec<(&Key, &Held)> = table.loc_rib.iter().collect();
        if own.name.org() != their.name.org() {
            self.best_ways((node, peer), &mut ways);
        }
        for (key, held) in ways {
            let best = &held.best;
            let orgs: Vec<String> = best.org_path.iter().map(|org| org.as_str().to_owned()).collect();
            let mut marks = best.marks;
            marks.stale |= best.rank.stale;
            marks.leaving |= self.nodes[node].draining;
            let told = if own.name.org() == their.name.org() {
                if best.node_path.len() >= WireLimits::NODE_PATH {
                    continue;
                }
                let nodes = std::iter::once(own.name.node().to_owned()).chain(best.node_path.iter().cloned());
                let pref = best.rank.local_pref.0;
                Told {
                    orgs,
                    nodes: nodes.collect(),
                    pref: (pref != rules::OWN).then_some(pref),
                    cost: best.rank.cost,
                    mark: best.mark_inside.clone(),
                    marks,
                    tags: best.tags_inside.clone(),
                }
            } else {
                let Some(agreement) = self.agreement(node, peer) else { continue };
                let border = Border { own: own.name.org(), org: their.name.org(), node: their.name.as_str() };
                let role = rules::role(agreement, own.name.org(), their.name.org());
                let out =
                    role.and_then(|r| rules::exported(&own.exports, border, r, key.service.as_str(), best));
                let Some((cost, tags, mark)) = out else { continue };
                let orgs = std::iter::once(own.name.org().to_owned()).chain(orgs).collect();
                Told { orgs, nodes: Vec::new(), pref: None, cost, mark, marks, tags }
            };
            // Split horizon: it knows that already.
            if best.rank.via != their.name {
                heard.insert(key.clone(), told);
            }
        }
        heard
    }

    /// Leaves of the ways to services of third organisations those that rules let through to a neighbour, as many as it may
    /// hear of.
    fn best_ways(&self, (node, peer): Pair, ways: &mut Vec<(&Key, &Held)>) {
        let (own, their) = (&self.nodes[node].plan, &self.nodes[peer].plan);
        let Some(agreement) = self.agreement(node, peer) else { return };
        let Some(role) = rules::role(agreement, own.name.org(), their.name.org()) else { return };
        let border = Border { own: own.name.org(), org: their.name.org(), node: their.name.as_str() };
        ways.retain(|(key, held)| {
            rules::exported(&own.exports, border, role, key.service.as_str(), &held.best).is_some()
        });
        let most = own.limits.origins;
        let third = |way: &(&Key, &Held)| !way.1.best.org_path.is_empty();
        choice::first(
            ways,
            &mut choice::Told::new(),
            |(key, held)| choice::place(&held.best, key.origin.as_str()),
            |way| third(way).then(|| (way.0.service.clone(), most)),
        );
    }

    /// What left for a neighbour is what it has to hear.
    fn told_right(
        &self,
        (node, peer): Pair,
        session: u64,
        heard: &BTreeMap<Key, Told>,
    ) -> Result<(), String> {
        let their = &self.nodes[peer].plan;
        let Some((id, side)) = self.end_of(node, SessionId(session)) else { return Ok(()) };
        let Some(conn) = self.conns.get(&id) else { return Ok(()) };
        let told = &conn.flows[side].watch.announced;
        let agreement = self.agreement(node, peer).map(Agreement::digest);
        let mut rest: BTreeSet<&Name> = told.keys().collect();
        for (key, wanted) in heard {
            if !rules::wanted(their.interest.as_ref(), key.service.as_str()) {
                continue;
            }
            let origin = match &agreement {
                Some(digest) => border_origin(&self.nodes[node].secret, digest, key.origin.as_str()),
                None => key.origin.clone(),
            };
            let name = (key.service.to_string(), origin.to_string());
            let Some(bytes) = told.get(&name) else {
                return Err(format!("did not tell {} of {name:?}", their.name));
            };
            rest.remove(&name);
            let got = Told::read(bytes);
            if got != *wanted {
                return Err(format!("told {} of {name:?} as {got:?} instead of {wanted:?}", their.name));
            }
        }
        match rest.first() {
            None => Ok(()),
            Some(name) => Err(format!("told {} of {name:?}, which must not be", their.name)),
        }
    }
}
