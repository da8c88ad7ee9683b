//! What other rules would do, before they do it: the live table under both sets of rules, key by key, without a copy of
//! it. A node that does not ask for it does not carry it.
//!
//! It is worked out in pieces, so that no step takes long: each key and each neighbour is an announcement to encode. What
//! changes meanwhile is seen as it is when its turn comes.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use catalyst_policy::{Direction, Relation, Rule, RuleError, RuleList};
use catalyst_route_table::{Rank, RouteKey, Store, Sym, rank};
use catalyst_wire::{Attrs, Limits as WireLimits};

use crate::core::Core;
use crate::explain::kind;
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

/// How many keys of a service a neighbour would hear of no longer, newly, and otherwise; and the rule.
#[derive(Debug, Default)]
struct Count {
    lost: u32,
    gained: u32,
    altered: bool,
    rule: String,
}

/// A plan that is being worked out: [`Core::planning`], then [`Core::plan_on`] until that gives the plan.
#[derive(Debug)]
pub struct Planning {
    exports: RuleList,
    imports: RuleList,
    plan: Plan,
    /// Of a service and a neighbour. The number of a service may be given to another between two pieces.
    heard: BTreeMap<(Arc<str>, Sym), Count>,
    /// How many keys a neighbour hears of now, and would.
    announced: BTreeMap<Sym, (usize, usize)>,
    /// Keys of a service that were usable and would not be, and the other way.
    usable: BTreeMap<Arc<str>, (u32, u32)>,
    /// Whose routes have yet to be looked at, and after which key of the first of them it goes on.
    senders: VecDeque<Sym>,
    after: Option<RouteKey>,
    buf: Vec<u8>,
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
        Ok(Planning {
            exports: list(Direction::Export, exports)?,
            imports: list(Direction::Import, imports)?,
            plan: Plan::default(),
            heard: BTreeMap::new(),
            announced: BTreeMap::new(),
            usable: BTreeMap::new(),
            senders: self.state().by_sym.keys().copied().chain([self.state().own]).collect(),
            after: None,
            buf: vec![0; WireLimits::ENTRY + 8],
        })
    }

    /// Goes on with a plan by so many keys, one at least. At the end: the plan.
    pub fn plan_on(&self, planning: &mut Planning, keys: usize) -> Option<Plan> {
        let mut buf = core::mem::take(&mut planning.buf);
        let mut run = Run { core: self, planning };
        for _ in 0..keys.max(1) {
            if !run.next_key(&mut buf) && !run.next_row(&mut buf) {
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
        while let Some(sender) = self.planning.senders.front().copied() {
            let Some(key) = table.next_of(sender, self.planning.after) else {
                self.planning.senders.pop_front();
                self.planning.after = None;
                continue;
            };
            self.planning.after = Some(key);
            // Each key once: with the first of those that announced it.
            if table.candidates(key).map(|(sym, _)| sym).min() == Some(sender) {
                self.key(key, buf);
            }
            return true;
        }
        false
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
        if old.is_some() != new.is_some() {
            let usable = self.planning.usable.entry(Arc::from(table.text(key.service))).or_default();
            usable.0 += u32::from(old.is_some());
            usable.1 += u32::from(new.is_some());
        }
        let others = state.peers().filter(|p| p.relation.is_some_and(Relation::is_external));
        let mut text: Option<Arc<str>> = None;
        for peer in others {
            let now = heard(state, (state.exports(), state.imports()), key, old, peer, buf);
            let rules = (&self.planning.exports, &self.planning.imports);
            let then = heard(state, rules, key, new, peer, buf);
            let announced = self.planning.announced.entry(peer.sym).or_default();
            announced.0 += usize::from(now.is_some());
            announced.1 += usize::from(then.is_some());
            let same = match (&now, &then) {
                (None, None) => true,
                (Some(a), Some(b)) => a.1 == b.1,
                _ => false,
            };
            if same {
                continue;
            }
            let text = text.get_or_insert_with(|| Arc::from(table.text(key.service)));
            let count = self.planning.heard.entry((text.clone(), peer.sym)).or_default();
            count.lost += u32::from(then.is_none());
            count.gained += u32::from(now.is_none());
            count.altered |= now.is_some() && then.is_some();
            if let Some((rule, _)) = then {
                count.rule = rule;
            }
        }
    }

    /// How many keys of a service a neighbour hears of now.
    fn heard_now(&self, service: Sym, peer: &Peer, buf: &mut [u8]) -> u32 {
        let state = self.core.state();
        let rules = (state.exports(), state.imports());
        let mut count = 0;
        for (key, best, route) in state.table.winners(service) {
            let best = Some((best.best, route.rank));
            count += u32::from(heard(state, rules, key, best, peer, buf).is_some());
        }
        count
    }

    /// Puts the next service, or a service and a neighbour, into its list; false when there is none left.
    fn next_row(&mut self, buf: &mut [u8]) -> bool {
        let state = self.core.state();
        if let Some(((service, sym), count)) = self.planning.heard.pop_first() {
            let Some(peer) = state.peer_by_sym(sym) else { return true };
            let known = state.table.store().find(&service);
            let now = known.map_or(0, |known| self.heard_now(known, peer, buf));
            let row =
                Exposure { service: service.to_string(), to: peer.config.name.to_string(), rule: count.rule };
            let plan = &mut self.planning.plan;
            let list = match (now, (now + count.gained).saturating_sub(count.lost)) {
                (0, 0) => return true,
                (0, _) => &mut plan.exposed,
                (_, 0) => &mut plan.hidden,
                _ => &mut plan.altered,
            };
            push(list, &mut plan.left_out, row);
            return true;
        }
        let Some((service, (lost, gained))) = self.planning.usable.pop_first() else { return false };
        let known = state.table.store().find(&service);
        let now = known.map_or(0, |known| state.table.winners(known).count());
        let now = u32::try_from(now).unwrap_or(u32::MAX);
        let plan = &mut self.planning.plan;
        let list = match (now, now.saturating_add(gained).saturating_sub(lost)) {
            (0, 1..) => &mut plan.gained,
            (1.., 0) => &mut plan.lost,
            _ => return true,
        };
        push(list, &mut plan.left_out, service.to_string());
        true
    }

    fn finish(self) -> Plan {
        let state = self.core.state();
        let Planning { announced, plan, .. } = self.planning;
        for (sym, (_, then)) in core::mem::take(announced) {
            let Some(peer) = state.peer_by_sym(sym) else { continue };
            let own = state.settings.name.org();
            let most = peer.config.agreement.as_ref().and_then(|a| a.party(own)).map(|p| p.max_services);
            if let Some(most) = most.filter(|most| then > *most as usize) {
                let name = &peer.config.name;
                let text =
                    alloc::format!("{name} would hear of {then} routes; the agreement lets it take {most}");
                plan.over_limit.push(text);
            }
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
