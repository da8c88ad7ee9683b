//! What other rules would do, before they do it: the live table under both sets of rules, key by key, without a copy of
//! it. A node that does not ask for it does not carry it.
//!
//! It is worked out in pieces, so that no step takes long: each key and each neighbour is an announcement to encode. What
//! changes meanwhile is seen as it is when its turn comes. The keys come in their order, whoever announced them, so that a
//! service is done with before the next begins: what is remembered does not grow with the table.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use catalyst_policy::{Direction, Relation, Rule, RuleError, RuleList};
use catalyst_route_table::{Rank, RouteKey, Store, Sym, rank};
use catalyst_wire::{Attrs, Limits as WireLimits};

use crate::core::Core;
use crate::explain::kind;
use crate::export::parts;
use crate::limits::Limits;
use crate::plugins::{Verdict, element, imported_by, judge_by};
use crate::state::{Peer, State};

/// What would change. Each list holds [`Limits::PLAN`] rows at most; `left_out` says how many there were beyond.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Plan {
    /// Services that neighbours of other organisations would learn, and do not know now.
    pub exposed: Vec<Exposure>,
    /// Services that they would no longer know. Live flows to them would be cut.
    pub hidden: Vec<Exposure>,
    /// Services that they would hear of with other attributes, or by another way.
    pub altered: Vec<Exposure>,
    /// Services that this node could use, and cannot now.
    pub gained: Vec<String>,
    /// Services that it could no longer use.
    pub lost: Vec<String>,
    /// Origins of services that would be reached by another neighbour.
    pub moved: Vec<Moved>,
    /// Routes that would rank differently inside this organisation.
    pub ranked: Vec<Ranked>,
    /// Neighbours that would be announced more than their agreement takes.
    pub over_limit: Vec<String>,
    /// Rows that found no room.
    pub left_out: usize,
}

impl Plan {
    /// Whether nothing would change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Plan::default()
    }
}

/// A service and a neighbour of another organisation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Exposure {
    /// The full name of the service.
    pub service: String,
    /// The neighbour.
    pub to: String,
    /// The rule that decides, by name; empty where none does any more.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rule: String,
}

/// A key whose best way would be another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Moved {
    /// The full name of the service.
    pub service: String,
    /// The origin.
    pub origin: String,
    /// The neighbour by which it is reached now.
    pub from: String,
    /// The neighbour by which it would be.
    pub to: String,
}

/// A route whose rank would change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Ranked {
    /// The full name of the service.
    pub service: String,
    /// Who announced it.
    pub via: String,
    /// local_pref and cost now.
    pub from: (u32, u32),
    /// local_pref and cost then.
    pub to: (u32, u32),
}

/// What a neighbour hears of a key: the rule, and the bytes.
type Heard = Option<(String, Vec<u8>)>;

/// How many keys of a service a neighbour hears of now and would, whether one of them would change, and the rule.
#[derive(Debug, Default)]
struct Count {
    now: u32,
    then: u32,
    altered: bool,
    rule: String,
}

/// The service whose keys are looked at.
#[derive(Debug)]
struct Current {
    /// Its name: its number may be given to another between two pieces.
    name: String,
    /// By neighbour that hears of it or would.
    heard: BTreeMap<Sym, Count>,
    /// Keys that are usable here now, and would be.
    usable: (u32, u32),
}

/// What a neighbour is announced, now or then.
#[derive(Clone, Copy, Debug, Default)]
struct Announced {
    keys: usize,
    /// Of attributes, as limits count them.
    bytes: usize,
}

/// A plan that is being worked out: [`Core::planning`], then [`Core::plan_on`] until that gives the plan.
#[derive(Debug)]
pub struct Planning {
    exports: RuleList,
    imports: RuleList,
    plan: Plan,
    /// None before the first key.
    current: Option<Current>,
    /// What each neighbour with an agreement would be announced.
    announced: BTreeMap<Sym, Announced>,
    /// The next key of each that announced some: the smallest is looked at next.
    next: BTreeSet<(RouteKey, Sym)>,
    buf: Vec<u8>,
}

impl Planning {
    /// The new export rules.
    #[must_use]
    pub fn exports(&self) -> &RuleList {
        &self.exports
    }

    /// The new import rules.
    #[must_use]
    pub fn imports(&self) -> &RuleList {
        &self.imports
    }
}

#[cfg(test)]
impl Planning {
    /// How much is remembered beside the lists.
    pub(crate) fn remembered(&self) -> usize {
        let heard = self.current.as_ref().map_or(0, |current| current.heard.len());
        heard + self.announced.len() + self.next.len()
    }
}

struct Run<'a, S> {
    core: &'a Core<S>,
    planning: &'a mut Planning,
}

/// A row, if there is room for it.
fn push<T>(list: &mut Vec<T>, left_out: &mut usize, row: T) {
    if list.len() < Limits::PLAN { list.push(row) } else { *left_out += 1 }
}

impl<S: Store> Core<S> {
    /// Begins to work out what these rules would change.
    ///
    /// # Errors
    /// Which list, the place of the rule in it, and what is wrong with it.
    pub fn planning(
        &self,
        exports: &[Rule],
        imports: &[Rule],
    ) -> Result<Planning, (Direction, usize, RuleError)> {
        let list = |direction, rules: &[Rule]| {
            RuleList::new(direction, rules.to_vec()).map_err(|(place, why)| (direction, place, why))
        };
        let senders = self.state().by_sym.keys().copied().chain([self.state().own]);
        Ok(Planning {
            exports: list(Direction::Export, exports)?,
            imports: list(Direction::Import, imports)?,
            plan: Plan::default(),
            current: None,
            announced: BTreeMap::new(),
            next: senders.filter_map(|sym| Some((self.state().table.next_of(sym, None)?, sym))).collect(),
            buf: vec![0; WireLimits::ENTRY + 8],
        })
    }

    /// Goes on with a plan by so many keys, one at least. At the end: the plan.
    pub fn plan_on(&self, planning: &mut Planning, keys: usize) -> Option<Plan> {
        let mut buf = core::mem::take(&mut planning.buf);
        let mut run = Run { core: self, planning };
        for _ in 0..keys.max(1) {
            if !run.next_key(&mut buf) {
                return Some(run.finish());
            }
        }
        planning.buf = buf;
        None
    }

    /// All of it at once.
    #[cfg(test)]
    pub(crate) fn plan(
        &self,
        exports: &[Rule],
        imports: &[Rule],
    ) -> Result<Plan, (Direction, usize, RuleError)> {
        let mut planning = self.planning(exports, imports)?;
        loop {
            if let Some(plan) = self.plan_on(&mut planning, 64) {
                return Ok(plan);
            }
        }
    }
}

impl<S: Store> Run<'_, S> {
    /// The rank of a candidate under the new rules.
    fn ranked(&self, key: RouteKey, sym: Sym, now: &Rank) -> Rank {
        let state = self.core.state();
        let Some(peer) = state.peer_by_sym(sym).filter(|p| p.relation.is_some_and(Relation::is_external))
        else {
            return *now;
        };
        let Some(route) = state.table.route(key, sym) else { return *now };
        let Ok(attrs) = Attrs::read(route.attrs.as_ref()) else { return *now };
        let names = (state.table.text(key.service), state.table.text(key.origin));
        let before = judge_by(state.imports(), state, peer, names, &attrs);
        let after = judge_by(&self.planning.imports, state, peer, names, &attrs);
        match (before, after) {
            (Verdict::Keep { rank: before, .. }, Verdict::Keep { rank: after, .. }) => Rank {
                // What is not for rules to say stays as it is.
                eligible: after.eligible && (now.eligible || !before.eligible),
                local_pref: if before.local_pref == after.local_pref {
                    now.local_pref
                } else {
                    after.local_pref
                },
                cost: if before.cost == after.cost { now.cost } else { after.cost },
                ..*now
            },
            _ => *now,
        }
    }

    /// Looks at the next key; false when there is none left.
    fn next_key(&mut self, buf: &mut [u8]) -> bool {
        let table = &self.core.state().table;
        let Some((key, _)) = self.planning.next.first().copied() else { return false };
        // Each key once, whoever announced it.
        while let Some((same, sender)) = self.planning.next.first().copied().filter(|next| next.0 == key) {
            self.planning.next.remove(&(same, sender));
            self.planning.next.extend(table.next_of(sender, Some(key)).map(|next| (next, sender)));
        }
        let service = table.text(key.service);
        if self.planning.current.as_ref().is_none_or(|current| current.name != service) {
            self.end_service();
            let name = service.to_string();
            self.planning.current = Some(Current { name, heard: BTreeMap::new(), usable: (0, 0) });
        }
        self.key(key, buf);
        true
    }

    /// Looks at one key under both sets of rules.
    fn key(&mut self, key: RouteKey, buf: &mut [u8]) {
        let state = self.core.state();
        let table = &state.table;
        let old = table.best(key).map(|(best, route)| (best.best, route.rank));
        let mut new: Option<(Sym, Rank)> = None;
        let service = || table.text(key.service).to_string();
        // No rule brings back what is overtaken.
        for (sym, route) in table.candidates(key).filter(|(_, route)| !route.overtaken) {
            let rank = self.ranked(key, sym, &route.rank);
            let pair = |r: &Rank| (r.local_pref, r.cost);
            if rank.eligible && route.rank.eligible && pair(&rank) != pair(&route.rank) {
                let row = Ranked {
                    service: service(),
                    via: table.text(sym).to_string(),
                    from: pair(&route.rank),
                    to: pair(&rank),
                };
                let plan = &mut self.planning.plan;
                push(&mut plan.ranked, &mut plan.left_out, row);
            }
            let ahead =
                |b: &(Sym, Rank)| rank::better((&rank, table.text(sym)), (&b.1, table.text(b.0))).is_lt();
            if rank.eligible && new.as_ref().is_none_or(ahead) {
                new = Some((sym, rank));
            }
        }
        match (old, new) {
            (Some((from, _)), Some((to, _))) if from != to => {
                let text = |sym| table.text(sym).to_string();
                let row =
                    Moved { service: service(), origin: text(key.origin), from: text(from), to: text(to) };
                let plan = &mut self.planning.plan;
                push(&mut plan.moved, &mut plan.left_out, row);
            }
            _ => {}
        }
        let Some(current) = &mut self.planning.current else { return };
        current.usable.0 += u32::from(old.is_some());
        current.usable.1 += u32::from(new.is_some());
        for peer in state.peers().filter(|p| p.relation.is_some_and(Relation::is_external)) {
            let now = heard(state, (state.exports(), state.imports()), key, old, peer, buf);
            let rules = (&self.planning.exports, &self.planning.imports);
            let then = heard(state, rules, key, new, peer, buf);
            if let Some((_, element)) = &then {
                let announced = self.planning.announced.entry(peer.sym).or_default();
                announced.keys += 1;
                announced.bytes += parts(element).map_or(0, |(_, _, attrs)| attrs.len());
            }
            if now.is_none() && then.is_none() {
                continue;
            }
            let count = current.heard.entry(peer.sym).or_default();
            count.now += u32::from(now.is_some());
            count.then += u32::from(then.is_some());
            if now.as_ref().map(|(_, element)| element) != then.as_ref().map(|(_, element)| element) {
                count.altered = true;
                count.rule = then.map_or(core::mem::take(&mut count.rule), |(rule, _)| rule);
            }
        }
    }

    /// All keys of a service were looked at: what differs goes into the lists, all else is forgotten.
    fn end_service(&mut self) {
        let Some(Current { name, heard, usable }) = self.planning.current.take() else { return };
        let plan = &mut self.planning.plan;
        for (sym, count) in heard.into_iter().filter(|(_, count)| count.altered) {
            let Some(peer) = self.core.state().peer_by_sym(sym) else { continue };
            let list = match (count.now, count.then) {
                (0, _) => &mut plan.exposed,
                (_, 0) => &mut plan.hidden,
                _ => &mut plan.altered,
            };
            let to = peer.config.name.to_string();
            push(list, &mut plan.left_out, Exposure { service: name.clone(), to, rule: count.rule });
        }
        match usable {
            (0, 1..) => push(&mut plan.gained, &mut plan.left_out, name),
            (1.., 0) => push(&mut plan.lost, &mut plan.left_out, name),
            _ => {}
        }
    }

    fn finish(mut self) -> Plan {
        self.end_service();
        let state = self.core.state();
        let Planning { announced, plan, .. } = self.planning;
        for (sym, then) in core::mem::take(announced) {
            let Some(peer) = state.peer_by_sym(sym) else { continue };
            let agreement = peer.config.agreement.as_ref();
            let Some(own) = agreement.and_then(|a| a.party(state.settings.name.org())) else { continue };
            let mut check = |what: &str, then: usize, most: u32| {
                if then > most as usize {
                    let name = &peer.config.name;
                    let text = alloc::format!(
                        "{name} would hear of {then} {what}; the agreement lets it take {most}"
                    );
                    plan.over_limit.push(text);
                }
            };
            check("routes", then.keys, own.max_services);
            check("bytes of routes", then.bytes, own.max_bytes);
        }
        [&mut plan.exposed, &mut plan.hidden, &mut plan.altered].into_iter().for_each(|l| l.sort());
        [&mut plan.gained, &mut plan.lost].into_iter().for_each(|l| l.sort());
        plan.moved.sort();
        plan.ranked.sort();
        core::mem::take(plan)
    }
}

/// What a neighbour hears of a key with this winner, under these rules.
fn heard<S: Store>(
    state: &State<S>,
    rules: (&RuleList, &RuleList),
    key: RouteKey,
    best: Option<(Sym, Rank)>,
    peer: &Peer,
    buf: &mut [u8],
) -> Heard {
    let (sym, rank) = best.filter(|(sym, _)| *sym != peer.sym)?;
    let route = state.table.route(key, sym)?;
    let attrs = Attrs::read(route.attrs.as_ref()).ok()?;
    let mut scratch = Vec::new();
    let service = state.table.text(key.service);
    let attrs = imported_by(rules.1, state, state.peer_by_sym(sym), service, attrs, &mut scratch);
    let mut kind = kind(state, peer)?;
    if let crate::export::GroupKind::External { node, .. } = &mut kind {
        *node = Some(peer.config.name.clone());
    }
    let (rule, out) = element(state, rules.0, &kind, key, (&attrs, rank.local_pref), buf);
    let rule = rule.map(|place| rules.0.name(usize::from(place))).unwrap_or_default();
    Some((rule, out.ok()?.to_vec()))
}
