//! Which services two organisations see of each other, and why not: for people, not for decisions. The words follow from
//! the same tables and the same policy functions that decide.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use catalyst_policy::{Denied, ExportFacts};
use catalyst_route_table::{RouteKey, Store};
use catalyst_wire::{Attrs, Health, WellKnown};

use crate::core::Core;
use crate::state::Peer;

/// One service, as one neighbour of another organisation has it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct VisibilityRow {
    /// The service's full name.
    pub service: String,
    /// The neighbour.
    pub peer: String,
    /// The service is of this organisation, and the question is whether the neighbour sees it; else the other way.
    pub ours: bool,
    /// Whether it is visible.
    pub visible: bool,
    /// Why not; when visible, empty.
    pub why: String,
}

/// What is known of one service of this organisation.
#[derive(Default)]
struct Own {
    keys: Vec<RouteKey>,
    eligible: bool,
    unhealthy: bool,
    no_export: bool,
}

impl<S: Store> Core<S> {
    /// Rows for all neighbours of other organisations, [`crate::Limits::VISIBILITY`] at most: neighbours in the order
    /// of their names, first what is ours, then what is theirs.
    #[must_use]
    pub fn visibility(&self) -> Vec<VisibilityRow> {
        let state = self.state();
        let own_org = state.settings().name.org();
        let foreign: Vec<&Peer> = state.peers().filter(|p| p.config.name.org() != own_org).collect();
        let mut rows = Vec::new();
        if foreign.is_empty() {
            return rows;
        }
        let own = self.own_services();
        for peer in foreign {
            let announced: BTreeSet<RouteKey> =
                peer.session.into_iter().flat_map(|s| self.groups().announced(s)).collect();
            for (service, known) in &own {
                if rows.len() >= crate::Limits::VISIBILITY {
                    return rows;
                }
                let why = self.kept_in(peer, service, known, &announced).unwrap_or_default();
                rows.push(row(service, peer, true, why));
            }
            self.theirs(peer, &mut rows);
        }
        rows.truncate(crate::Limits::VISIBILITY);
        rows
    }

    /// Services that began in this organisation, wherever in it.
    fn own_services(&self) -> BTreeMap<String, Own> {
        let state = self.state();
        let own_org = state.settings().name.org();
        let mut all: BTreeMap<String, Own> = BTreeMap::new();
        // One whose check fails may have no route, and is one of ours all the same.
        for service in state.services() {
            let entry = all.entry(alloc::format!("{}.{own_org}", service.label)).or_default();
            entry.unhealthy |= !service.healthy;
        }
        let senders = state.peers().filter(|p| p.config.name.org() == own_org).map(|p| p.sym);
        for sender in senders.chain([state.own()]) {
            let mut after = None;
            while let Some(key) = state.table().next_of(sender, after) {
                after = Some(key);
                let service = state.table().text(key.service);
                if service.split_once('.').is_none_or(|(_, org)| org != own_org) {
                    continue;
                }
                let Some(route) = state.table().route(key, sender) else { continue };
                let Ok(attrs) = Attrs::read(route.attrs.as_ref()) else { continue };
                let entry = all.entry(service.to_string()).or_default();
                entry.keys.push(key);
                entry.eligible |= route.rank.eligible;
                entry.unhealthy |= attrs.health != Health::Up;
                entry.no_export |= attrs.well_known.has(WellKnown::NO_EXPORT);
            }
        }
        all
    }

    /// Why a neighbour does not see a service of ours; `None` when it does.
    fn kept_in(
        &self,
        peer: &Peer,
        service: &str,
        own: &Own,
        announced: &BTreeSet<RouteKey>,
    ) -> Option<String> {
        let state = self.state();
        let facts = ExportFacts {
            to_org: peer.config.name.org(),
            relation: peer.relation,
            label: service.split_once('.').map_or(service, |s| s.0),
            foreign: false,
            no_export: own.no_export,
        };
        if let Err(denied) = catalyst_policy::export(state.exports(), &facts) {
            return Some(denied.to_string());
        }
        if !own.eligible {
            let why = if own.unhealthy { "unhealthy: its check fails" } else { "no usable way to it" };
            return Some(why.to_string());
        }
        if peer.session.is_none() {
            let end = &peer.last_end;
            return Some(if end.is_empty() {
                "no session".to_string()
            } else {
                alloc::format!("no session: {end}")
            });
        }
        if peer.refused_names_by_peer.contains(service) {
            return Some(alloc::format!(
                "refused by limit: {} says: {}",
                peer.config.name,
                peer.refused_by_peer.1
            ));
        }
        if !own.keys.iter().any(|key| announced.contains(key)) {
            return Some("not sent yet".to_string());
        }
        None
    }

    /// The services that a neighbour announces, and those of it that were refused.
    fn theirs(&self, peer: &Peer, rows: &mut Vec<VisibilityRow>) {
        let state = self.state();
        let mut seen: BTreeMap<&str, String> = BTreeMap::new();
        for name in &peer.refused_names {
            let why = peer.refused_why.as_deref().unwrap_or("a limit is reached");
            seen.insert(name, alloc::format!("refused by limit: {why}"));
        }
        let mut after = None;
        while let Some(key) = state.table().next_of(peer.sym, after) {
            after = Some(key);
            let Some(route) = state.table().route(key, peer.sym) else { continue };
            let why = if route.rank.eligible {
                String::new()
            } else if Attrs::read(route.attrs.as_ref()).is_ok_and(|a| a.health != Health::Up) {
                "unhealthy: its check fails".to_string()
            } else {
                Denied::NotImported.to_string()
            };
            let entry = seen.entry(state.table().text(key.service)).or_insert_with(|| why.clone());
            if why.is_empty() {
                entry.clear();
            }
            if seen.len() + rows.len() >= crate::Limits::VISIBILITY {
                break;
            }
        }
        rows.extend(seen.into_iter().map(|(service, why)| row(service, peer, false, why)));
    }
}

fn row(service: &str, peer: &Peer, ours: bool, why: String) -> VisibilityRow {
    VisibilityRow {
        service: service.to_string(),
        peer: peer.config.name.to_string(),
        ours,
        visible: why.is_empty(),
        why,
    }
}
