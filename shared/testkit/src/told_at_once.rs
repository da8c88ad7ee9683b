//! Ways that are told at once although they may be withheld: what takes the place of a lost way straight to the service's home, or
//! straight over a border, where all neighbours inside have ways of their own.

use std::collections::BTreeMap;

use catalyst_control::{Core, Effect, Limits};
use catalyst_names::{NodeName, ServiceName};
use catalyst_oracle::rules;
use catalyst_route_table::Store;

use crate::any::Look;
use crate::held::Way;
use crate::net::Net;
use crate::row::Usable;
use crate::seen::Name;

/// The keys of a service to which a node has a way.
struct Ways<'a>(&'a ServiceName);

impl Look for Ways<'_> {
    type Found = Vec<(Name, Way)>;

    fn look<S: Store>(self, core: &Core<S>) -> Self::Found {
        let (state, table) = (core.state(), core.state().table());
        let Some(service) = table.store().find(self.0.as_str()) else { return Vec::new() };
        let own = state.settings().name.org();
        let parse = |sym| NodeName::parse(table.text(sym)).ok();
        let found = table.winners(service).filter_map(|(key, best, _)| {
            let mut way = Way { via: parse(best.best)?, told: None, have: 0, bare: Vec::new() };
            for peer in state.peers().filter(|peer| peer.config.name.org() == own) {
                if let Some(session) = peer.session {
                    way.told = way.told.or_else(|| core.groups().told_from(session, key).and_then(parse));
                }
                let has_way = table.route(key, peer.sym).is_some_and(|route| route.rank.eligible);
                match peer.session {
                    Some(_) if has_way => way.have += 1,
                    Some(_) => way.bare.push(peer.config.name.clone()),
                    None => {}
                }
            }
            Some(((self.0.to_string(), table.text(key.origin).to_owned()), way))
        });
        found.collect()
    }
}

impl Net {
    /// The services whose ways change with these effects.
    pub(crate) fn moved(effects: &[Effect]) -> Vec<ServiceName> {
        let service = |effect: &Effect| match effect {
            Effect::Forward(forward) => Some(forward.service.clone()),
            _ => None,
        };
        effects.iter().filter_map(service).collect()
    }

    /// A node has dealt with an event that moved these services: has it told a way that it may withhold?
    pub(crate) fn told_end(&mut self, node: usize, moved: Vec<ServiceName>) {
        let mut wrong = None;
        for service in moved {
            let ways = self.nodes[node].core.as_ref().map(|core| core.look(Ways(&service)));
            let ways: BTreeMap<Name, Way> = ways.unwrap_or_default().into_iter().collect();
            let old = self.nodes[node].told.remove(&service).unwrap_or_default();
            let told = ways.iter().find_map(|(key, new)| self.told_though(node, key, old.get(key)?, new));
            wrong = wrong.or(told);
            if !ways.is_empty() {
                self.nodes[node].told.insert(service, ways);
            }
        }
        if let Some(what) = wrong {
            self.violated(node, &what);
        }
    }

    /// Why a way should not have been told, if so: what was used and told before, and what is now.
    fn told_though(&self, node: usize, key: &Name, old: &Way, new: &Way) -> Option<String> {
        let (own, home) = (self.nodes[node].name(), &key.1);
        let straight = old.via.org() != own.org() || old.via.node() == home;
        let told = old.told.as_ref() == Some(&old.via) && new.told.as_ref() == Some(&new.via);
        let inside = new.via.org() == own.org() && new.via != *own;
        if !straight || !told || !inside || old.via == new.via || !self.is_lost(node, &old.via, key) {
            return None;
        }
        // Who took back a way straight to the home of late needs none either; whether it did is not asked.
        let wants = |peer: &NodeName| {
            let shadow = self.place(peer).and_then(|peer| self.shadows.all.get(&(node, peer)));
            shadow.is_none_or(|shadow| rules::wanted(shadow.wants.as_ref(), &key.0))
        };
        let needed = new.have < Limits::WITHHELD_WAYS || new.bare.iter().any(wants);
        (!needed).then(|| {
            format!(
                "told {} by {} at once, when {} was lost, though nobody needs it",
                key.0, new.via, old.via
            )
        })
    }

    /// Whether the way of a neighbour may surely not be used any more as when it was chosen.
    fn is_lost(&self, node: usize, via: &NodeName, key: &Name) -> bool {
        let Some(shadow) = self.place(via).and_then(|peer| self.shadows.all.get(&(node, peer))) else {
            return false;
        };
        let Some(row) = shadow.rows.get(key) else { return !shadow.leaving.has(key) };
        let overtaken = row.overtaken.is_some() && row.doubted.is_none();
        overtaken || row.usable == Usable::No || row.stale && shadow.lost.is_some()
    }
}
