//! Which services two organisations see of each other, and why not: for people, not for decisions. The words follow from
//! the same tables and the same policy functions that decide.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use catalyst_policy::{Refused, RuleList};
use catalyst_route_table::{RouteKey, Store};
use catalyst_wire::{Attrs, Health, WellKnown};

use crate::core::Core;
use crate::limits::Limits;
use crate::plugins::{self, Verdict};
use crate::state::Peer;

/// One service, as one neighbour of another organisation has it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct VisibilityRow {
    /// The service's full name.
    pub service: String,
    /// The neighbour.
    pub peer: String,
    /// The service is of this organisation, or is passed on by it, and the question is whether the neighbour sees it; else the
    /// other way.
    pub ours: bool,
    /// Whether it is visible.
    pub visible: bool,
    /// Why not; when visible, empty.
    pub why: String,
}

/// An answer: some rows, and how many there are beyond.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Visibility {
    /// [`Limits::VISIBILITY`] at most.
    pub rows: Vec<VisibilityRow>,
    /// Rows that found no room, of those that [`Limits::VISIBILITY_LOOKS`] looks at routes find.
    #[serde(default)]
    pub left_out: usize,
}

impl Visibility {
    fn is_full(&self) -> bool {
        self.rows.len() >= Limits::VISIBILITY
    }

    /// Adds a row for each of these services of a neighbour, as far as there is room.
    fn add(&mut self, services: BTreeMap<&str, String>, peer: &Peer, ours: bool) {
        for (service, why) in services {
            if self.is_full() {
                self.left_out += 1;
            } else {
                self.rows.push(row(service, peer, ours, why));
            }
        }
    }

    /// How many services more may wait to be added, beside these.
    fn room(&self, services: &BTreeMap<&str, String>) -> usize {
        Limits::VISIBILITY.saturating_sub(self.rows.len() + services.len())
    }
}

/// What is known of one service of this organisation.
#[derive(Default)]
struct Own<'a> {
    keys: Vec<RouteKey>,
    eligible: bool,
    unhealthy: bool,
    /// Of each of its routes.
    attrs: Vec<Attrs<'a>>,
}

impl<S: Store> Core<S> {
    /// Rows for all neighbours of other organisations: neighbours in the order of their names, first what is ours, then
    /// what is theirs.
    #[must_use]
    pub fn visibility(&self) -> Visibility {
        let state = self.state();
        let own_org = state.settings().name.org();
        let foreign: Vec<&Peer> = state.peers().filter(|p| p.config.name.org() != own_org).collect();
        let mut all = Visibility::default();
        if foreign.is_empty() {
            return all;
        }
        let mut looks = Limits::VISIBILITY_LOOKS;
        let own = self.own_services(&mut looks);
        for peer in foreign {
            let announced = |key: &RouteKey| peer.session.is_some_and(|s| self.groups().is_told(s, *key));
            for (service, known) in &own {
                if all.is_full() {
                    all.left_out += 1;
                    continue;
                }
                let why = self.kept_in(peer, service, known, &announced).unwrap_or_default();
                all.rows.push(row(service, peer, true, why));
            }
            self.theirs(peer, &mut all, &mut looks);
        }
        all
    }

    /// Rows for services of others that an export rule names for a neighbour of another organisation: what is passed on to
    /// whom, or why not, in the order of neighbours.
    #[must_use]
    pub fn passed_on(&self) -> Visibility {
        let state = self.state();
        let own_org = state.settings().name.org();
        let mut all = Visibility::default();
        let mut looks = Limits::VISIBILITY_LOOKS;
        for peer in state.peers().filter(|p| p.config.name.org() != own_org) {
            let mut seen: BTreeMap<&str, String> = BTreeMap::new();
            let named = |service: &str| {
                let mut rules = state.exports().of(peer.config.name.org(), peer.config.name.as_str());
                rules.any(|(_, rule)| rule.service.matches(service, own_org))
            };
            let mut counted = None;
            for (key, _) in state.table().loc_rib().take(looks) {
                looks -= 1;
                let service = state.table().text(key.service);
                let org = service.split_once('.').map_or("", |(_, org)| org);
                if org == own_org || org == peer.config.name.org() || !named(service) {
                    continue;
                }
                if all.room(&seen) == 0 && !seen.contains_key(service) {
                    // The keys of a service stand together.
                    all.left_out += usize::from(counted.replace(key.service) != Some(key.service));
                    continue;
                }
                let why = self.silence(key, peer).1.unwrap_or_default();
                // One way of several is enough.
                let entry = seen.entry(service).or_insert_with(|| why.clone());
                if why.is_empty() {
                    entry.clear();
                }
            }
            all.add(seen, peer, true);
        }
        all
    }

    /// Services that began in this organisation, wherever in it, as far as so many looks at routes find them.
    fn own_services(&self, looks: &mut usize) -> BTreeMap<String, Own<'_>> {
        let state = self.state();
        let own_org = state.settings().name.org();
        let mut all: BTreeMap<String, Own<'_>> = BTreeMap::new();
        // One whose check fails may have no route, and is one of ours all the same.
        for service in state.services() {
            let entry = all.entry(alloc::format!("{}.{own_org}", service.label)).or_default();
            entry.unhealthy |= !service.healthy;
        }
        let senders = state.peers().filter(|p| p.config.name.org() == own_org).map(|p| p.sym);
        for sender in senders.chain([state.own()]) {
            let mut after = None;
            while *looks > 0
                && let Some(key) = state.table().next_of(sender, after)
            {
                after = Some(key);
                *looks -= 1;
                let service = state.table().text(key.service);
                if service.split_once('.').is_none_or(|(_, org)| org != own_org) {
                    continue;
                }
                let Some(route) = state.table().route(key, sender) else { continue };
                let Ok(attrs) = Attrs::read(route.attrs.as_ref()) else { continue };
                let entry = all.entry(service.to_string()).or_default();
                entry.keys.push(key);
                entry.eligible |= route.effective_rank().eligible;
                entry.unhealthy |= attrs.health != Health::Up;
                entry.attrs.push(attrs);
            }
        }
        all
    }

    /// Why a neighbour does not see a service of ours; `None` when it does.
    fn kept_in(
        &self,
        peer: &Peer,
        service: &str,
        own: &Own<'_>,
        announced: &dyn Fn(&RouteKey) -> bool,
    ) -> Option<String> {
        let state = self.state();
        let asked = peer.session.is_some_and(|session| self.groups().wants(session, service));
        let refused = peer.refused_names_by_peer.contains(service);
        // What it was told counts more than what the rules say of one of the ways.
        if asked && !refused && own.keys.iter().any(announced) {
            return None;
        }
        let without = [Attrs::default()];
        let ways = if own.attrs.is_empty() { &without } else { &*own.attrs };
        let refusals = ways.iter().map(|attrs| {
            let facts = plugins::facts(state, peer, service, attrs);
            let no_export = attrs.well_known.has(WellKnown::NO_EXPORT);
            catalyst_policy::export(state.exports(), &facts, no_export).err()
        });
        // Only where the rules let none of the ways out, they are the reason: that of the first.
        if let Some(all) = refusals.collect::<Option<Vec<Refused>>>()
            && let Some(first) = all.first()
        {
            return Some(in_words(*first, state.exports()));
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
        if refused {
            return Some(alloc::format!(
                "refused by limit: {} says: {}",
                peer.config.name,
                peer.refused_by_peer.1
            ));
        }
        if peer.session.is_some_and(|session| !self.groups().wants(session, service)) {
            return Some("its 'interest' does not name the service".to_string());
        }
        if !own.keys.iter().any(announced) {
            return Some("not sent yet".to_string());
        }
        None
    }

    /// Why a route of a neighbour is not used.
    fn unused(&self, peer: &Peer, key: (&str, &str), attrs: &[u8]) -> String {
        let Ok(attrs) = Attrs::read(attrs) else { return String::new() };
        match plugins::judge(self.state(), peer, key, &attrs) {
            Verdict::Keep { refused: Some(refused), .. } => in_words(refused, self.state().imports()),
            _ if attrs.health != Health::Up => "unhealthy: its check fails".to_string(),
            _ => "no usable way to it".to_string(),
        }
    }

    /// The services that a neighbour announces, and those of it that were refused, as far as so many looks at routes find them.
    fn theirs(&self, peer: &Peer, all: &mut Visibility, looks: &mut usize) {
        let state = self.state();
        let mut seen: BTreeMap<&str, String> = BTreeMap::new();
        for name in peer.refused.names() {
            let why = peer.refused.why().unwrap_or("a limit is reached");
            seen.insert(name, alloc::format!("refused by limit: {why}"));
        }
        let (mut after, mut counted) = (None, None);
        while *looks > 0
            && let Some(key) = state.table().next_of(peer.sym, after)
        {
            after = Some(key);
            *looks -= 1;
            let Some(route) = state.table().route(key, peer.sym) else { continue };
            let service = state.table().text(key.service);
            if all.room(&seen) == 0 && !seen.contains_key(service) {
                all.left_out += usize::from(counted.replace(key.service) != Some(key.service));
                continue;
            }
            let why = if route.rank.eligible {
                String::new()
            } else {
                self.unused(peer, (service, state.table().text(key.origin)), route.attrs.as_ref())
            };
            let entry = seen.entry(service).or_insert_with(|| why.clone());
            if why.is_empty() {
                entry.clear();
            }
        }
        all.add(seen, peer, false);
    }
}

/// Why policy keeps a route in or out, with the name of the rule.
fn in_words(refused: Refused, rules: &RuleList) -> String {
    match refused.rule {
        Some(place) => alloc::format!("rejected by '{}'", rules.name(usize::from(place))),
        None => refused.why.to_string(),
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
