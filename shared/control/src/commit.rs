//! The commit of phase 1: the only place that mutates the tables.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use catalyst_names::NodeName;
use catalyst_policy::{Direction, Relation, Rule, RuleList};
use catalyst_route_table::{Rank, Refusal, RouteKey, Store, Sym};
use catalyst_wire::Attrs;

use crate::changes::Changes;
use crate::config::PeerConfig;
use crate::delta::{Count, Delta, Write};
use crate::effect::{Effect, Notice};
use crate::limits::Limits;
use crate::news::NUMBERED;
use crate::plugins;
use crate::state::{Peer, State};

/// Warn when a peer has used this share of its limit, in percent.
const WARN_PERCENT: usize = 80;
/// Warn again once it had fallen below this share.
const CALM_PERCENT: usize = 70;

impl<S: Store> State<S> {
    /// Applies the wishes of phase 1.
    pub(crate) fn apply(&mut self, delta: Delta<'_>, effects: &mut Vec<Effect>) -> Changes {
        let mut changes = Changes::default();
        delta.matched.iter().for_each(|rule| self.imports.matched(*rule));
        for write in delta.writes {
            #[cfg(feature = "watch")]
            self.because(&write);
            match write {
                Write::Announce { neighbour, service, origin, rank, protocol, weight, attrs } => {
                    let put =
                        Put { neighbour, names: (&service, &origin), rank, data: (protocol, weight), attrs };
                    self.put(put, &mut changes, effects);
                }
                Write::Withdraw { neighbour, service, origin } => {
                    self.settle(neighbour, (&service, &origin));
                    if let Some(key) = self.table.key(&service, &origin) {
                        let best = if mutant!(WithdrawsBest) { self.table.best(key) } else { None };
                        let neighbour = best.map_or(neighbour, |(best, _)| best.best);
                        self.count_change(neighbour, Some(key), None, &mut changes);
                        self.falls_silent(key, neighbour);
                        self.take(neighbour, key, &mut changes);
                    }
                }
                Write::Overtaken { service, origin, node, seqno } if NUMBERED => {
                    self.words.learn((&service, &origin), &node, seqno, self.now);
                    let key = self.table.key(&service, &origin);
                    if let Some(change) = key.and_then(|key| self.table.overtake(key, &node, seqno)) {
                        changes.routes.push(change);
                        self.learn(change.key, &node, seqno);
                    }
                    key.into_iter().for_each(|key| self.overtook(key));
                }
                Write::Overtaken { .. } => {}
                Write::Rest => self.rest(&mut changes),
                Write::TakeBack if NUMBERED => self.take_back(&mut changes),
                Write::TakeBack => {}
                Write::Flush(neighbour) => self.flush(neighbour, &mut changes),
                Write::Age(neighbour) => self.age(neighbour, &mut changes),
                Write::Count(neighbour, count) => self.count(neighbour, count, effects),
                Write::SetService(service) => {
                    self.services.insert(service.label.clone(), service);
                }
                Write::RemoveService(label) => {
                    self.services.remove(&label);
                }
                Write::SetPeer(config) => self.set_peer(*config, &mut changes, effects),
                Write::RemovePeer(name) => self.remove_peer(&name, &mut changes),
                Write::SetPolicy { exports, imports } => {
                    self.set_policy(exports, imports, &mut changes, effects);
                }
            }
        }
        self.hold_down(&mut changes);
        self.silenced(&changes.routes);
        changes
    }

    fn set_policy(
        &mut self,
        exports: &[Rule],
        imports: &[Rule],
        changes: &mut Changes,
        effects: &mut Vec<Effect>,
    ) {
        let list = |direction, rules: &[Rule]| {
            RuleList::new(direction, rules.to_vec()).map_err(|(place, why)| (direction, place, why))
        };
        match list(Direction::Export, exports).and_then(|e| Ok((e, list(Direction::Import, imports)?))) {
            Ok((exports, imports)) => {
                self.exports.replace(exports);
                self.imports.replace(imports);
                changes.policy.extend(self.peers.keys().cloned());
            }
            Err((direction, place, why)) => {
                let why = alloc::format!("{}/{place}: {why}", direction.list());
                effects.push(Effect::Notice(Notice::PolicyRefused(why)));
            }
        }
    }

    pub(crate) fn peer_mut(&mut self, sym: Sym) -> Option<&mut Peer> {
        self.peers.get_mut(self.by_sym.get(&sym)?).map(|peer| &mut **peer)
    }

    fn put(&mut self, put: Put<'_>, changes: &mut Changes, effects: &mut Vec<Effect>) {
        let key = self.table.key(put.names.0, put.names.1);
        let old = key.and_then(|key| self.table.route(key, put.neighbour));
        let generation = self.peer_by_sym(put.neighbour).map_or(0, |p| p.generation);
        // What was told before the last end of a session is nothing yet that it tells.
        let known = old.filter(|r| r.generation == generation).map(|r| r.attrs.as_ref().len());
        let stands = old.map(|r| r.attrs.as_ref().len());
        let over = self.over_limit(put.neighbour, put.attrs.len(), known, stands);
        let lacks_bytes = over.is_some();
        if let Some(why) = over.or_else(|| self.crowded(put.neighbour, put.names.0, key)) {
            if let Some(key) = key.filter(|_| !mutant!(RefusedStays)) {
                // What stands there is no longer what the neighbour announces.
                self.take(put.neighbour, key, changes);
            }
            self.refuse(put.neighbour, &put, why, effects);
            if let Some(peer) = self.peer_mut(put.neighbour).filter(|_| lacks_bytes) {
                peer.compared.lacks_bytes(put.attrs.len());
            }
            return;
        }
        #[cfg(feature = "watch")]
        let before = self.glance(key, put.neighbour);
        let flapping = self.count_change(put.neighbour, key, Some(&put.attrs), changes);
        let rank = Rank { flapping, ..put.rank };
        if let Some(key) = key {
            if !rank.eligible {
                self.falls_silent(key, put.neighbour);
            }
            self.speaks(key, put.neighbour, Some((rank, Some(&put.attrs))));
        }
        let difference = self.difference(put.neighbour, key, put.names, Some(&put.attrs));
        match self.table.announce_in(generation, put.neighbour, put.names, rank, put.data, &put.attrs) {
            Ok(outcome) => {
                self.heard(&put.attrs, outcome.change.as_ref());
                changes.routes.extend(outcome.change);
                self.still_under_way(put.neighbour, put.names, changes);
                key.into_iter().for_each(|key| self.overtook(key));
                self.recount(put.neighbour, difference);
                #[cfg(feature = "watch")]
                if self.observed.is_some() {
                    self.observe(self.table.key(put.names.0, put.names.1), put.neighbour, before);
                }
                let new_len = put.attrs.len();
                if let Some(peer) = self.peer_mut(put.neighbour) {
                    peer.routes += usize::from(outcome.old_len.is_none());
                    let old_len = outcome.old_len.filter(|_| !mutant!(OldBytesStay)).unwrap_or(0);
                    peer.bytes = (peer.bytes + new_len).saturating_sub(old_len);
                    let old_len = known.filter(|_| !mutant!(OldBytesStay)).unwrap_or(0);
                    let (routes, bytes) = peer.confirmed;
                    peer.confirmed =
                        (routes + usize::from(known.is_none()), (bytes + new_len).saturating_sub(old_len));
                }
                self.settle(put.neighbour, put.names);
                self.warn(put.neighbour, effects);
            }
            Err(refusal) => {
                if let (Refusal::Attrs, Some(key)) = (refusal, key) {
                    self.take(put.neighbour, key, changes);
                }
                self.refuse(put.neighbour, &put, refusal.to_string(), effects);
                let store = self.table.store();
                let (routes, names) = (store.len(), store.names());
                if let Some(peer) = self.peer_mut(put.neighbour) {
                    peer.compared.lacks_table(refusal, routes, names);
                }
            }
        }
    }

    /// What speaks against a route of this many bytes. `known` is what this telling said of it before, `stands` what is
    /// there of whatever telling.
    ///
    /// Only what this telling confirms counts against the limit. What it has yet to confirm has the same room once more,
    /// and no more: a neighbour may begin to tell its table again and again, and never come to its end.
    fn over_limit(
        &self,
        neighbour: Sym,
        new: usize,
        known: Option<usize>,
        stands: Option<usize>,
    ) -> Option<String> {
        let peer = self.peer_by_sym(neighbour)?;
        let limits = &self.settings.limits;
        let (max_routes, max_bytes) = (peer.max_routes(limits), peer.max_bytes(limits));
        let full = stands.is_none() && peer.routes >= max_routes.saturating_mul(2)
            || peer.bytes + new > max_bytes.saturating_mul(2).saturating_add(stands.unwrap_or(0));
        if full {
            return Some("what this peer has yet to confirm leaves no room for more".to_string());
        }
        let most = if mutant!(OneTooMany) { max_routes.saturating_add(1) } else { max_routes };
        if (known.is_none() || mutant!(ReplacementRefused)) && peer.confirmed.0 >= most {
            return Some(alloc::format!("the limit of {max_routes} routes for this peer is reached"));
        }
        if peer.confirmed.1 + new > max_bytes.saturating_add(known.unwrap_or(0)) {
            return Some(alloc::format!("the limit of {max_bytes} bytes of routes for this peer is reached"));
        }
        None
    }

    /// What speaks against one more origin of a service, if the key is new: each change of a service looks at all of them.
    fn crowded(&self, neighbour: Sym, service: &str, key: Option<RouteKey>) -> Option<String> {
        if neighbour == self.own || key.is_some_and(|key| self.table.best(key).is_some()) {
            return None;
        }
        let most = Limits::ORIGINS_OF_SERVICE;
        let service = self.table.store().find(service)?;
        let full = self.table.store().bests_of(service).nth(most - 1).is_some();
        full.then(|| alloc::format!("the limit of {most} origins of one service is reached"))
    }

    fn refuse(&mut self, neighbour: Sym, put: &Put<'_>, why: String, effects: &mut Vec<Effect>) {
        self.counters.refused += 1;
        if let Some(peer) = self.peer_mut(neighbour) {
            let first = peer.refused.refuse(put.names, &why);
            peer.compared.refuses(true);
            if first {
                effects.push(Effect::Notice(Notice::Refusing(peer.config.name.clone(), why)));
            }
        } else if let Some((label, _)) = put.names.0.split_once('.')
            && let Ok(label) = catalyst_names::ServiceLabel::parse(label)
        {
            self.services.remove(&label);
            effects.push(Effect::Notice(Notice::ServiceRefused(label, why)));
        }
    }

    /// An announcement of a neighbour is refused no longer, if it was: it is withdrawn, or held.
    fn settle(&mut self, neighbour: Sym, names: (&str, &str)) {
        if let Some(peer) = self.peer_mut(neighbour).filter(|peer| peer.refused.is_any()) {
            peer.refused.settle(names);
            peer.compared.refuses(peer.refused.is_any());
        }
    }

    fn warn(&mut self, neighbour: Sym, effects: &mut Vec<Effect>) {
        let limits = self.settings.limits;
        let Some(peer) = self.peer_mut(neighbour).filter(|p| !p.warned) else { return };
        if fills(peer, &limits, WARN_PERCENT) {
            peer.warned = true;
            effects.push(Effect::Notice(Notice::NearLimit(peer.config.name.clone())));
        }
    }

    pub(crate) fn take(&mut self, neighbour: Sym, key: RouteKey, changes: &mut Changes) {
        let names = (self.table.text(key.service), self.table.text(key.origin));
        let difference = self.difference(neighbour, Some(key), names, None);
        self.recount(neighbour, difference.filter(|_| !mutant!(WithdrawalUnsummed)));
        let told = self.table.route(key, neighbour).map(|route| route.generation);
        self.speaks(key, neighbour, None);
        #[cfg(feature = "watch")]
        let before = self.glance(Some(key), neighbour);
        let outcome = self.table.withdraw(neighbour, key);
        #[cfg(feature = "watch")]
        self.observe(Some(key), neighbour, before);
        changes.routes.extend(outcome.change);
        if let (Some(len), Some(peer)) = (outcome.old_len, self.peer_mut(neighbour)) {
            peer.routes = peer.routes.saturating_sub(usize::from(!mutant!(FreedUncounted)));
            peer.bytes = peer.bytes.saturating_sub(len);
            if told == Some(peer.generation) {
                let (routes, bytes) = peer.confirmed;
                let freed = usize::from(!mutant!(FreedUncounted));
                peer.confirmed = (routes.saturating_sub(freed), bytes.saturating_sub(len));
            }
        }
        let limits = self.settings.limits;
        if let Some(peer) = self.peer_mut(neighbour).filter(|p| p.warned && outcome.old_len.is_some()) {
            peer.warned = fills(peer, &limits, CALM_PERCENT);
        }
    }

    /// Ranks a route anew, without another word of its neighbour.
    pub(crate) fn rerank(&mut self, neighbour: Sym, key: RouteKey, rank: Rank, changes: &mut Changes) {
        #[cfg(feature = "watch")]
        let before = self.glance_before(key, neighbour);
        self.speaks(key, neighbour, Some((rank, None)));
        changes.routes.extend(self.table.rerank(neighbour, key, rank));
        #[cfg(feature = "watch")]
        self.observe(Some(key), neighbour, before);
    }

    fn flush(&mut self, neighbour: Sym, changes: &mut Changes) {
        let mut after = None;
        while let Some(key) = self.table.next_of(neighbour, after) {
            self.take(neighbour, key, changes);
            after = Some(key);
        }
    }

    /// Asks import again about all ways of a key that came over a border. Says how many it has.
    pub(crate) fn judge_again(&mut self, key: RouteKey, changes: &mut Changes) -> usize {
        let ways: Vec<Sym> = self.table.candidates(key).map(|(neighbour, _)| neighbour).collect();
        ways.iter().for_each(|neighbour| self.reimport(*neighbour, key, changes));
        ways.len()
    }

    fn reimport(&mut self, neighbour: Sym, key: RouteKey, changes: &mut Changes) {
        let external = |peer: &&Peer| peer.relation.is_some_and(Relation::is_external);
        let Some(peer) = self.peer_by_sym(neighbour).filter(external) else { return };
        let Some(route) = self.table.route(key, neighbour) else { return };
        let Ok(attrs) = Attrs::read(route.attrs.as_ref()) else { return };
        let verdict = plugins::judge(self, peer, self.texts(key), &attrs);
        let (rule, dropped) = (verdict.rule(), matches!(verdict, plugins::Verdict::Drop(_)));
        let kept = match verdict {
            plugins::Verdict::Keep { rank, .. } => {
                self.aged(peer, route, Rank { flapping: route.rank.flapping, ..rank })
            }
            plugins::Verdict::Drop(_) => None,
        };
        if let Some(rule) = rule {
            self.imports.matched(rule);
        }
        match kept {
            Some(rank) => self.rerank(neighbour, key, rank, changes),
            None => {
                self.take(neighbour, key, changes);
                if let Some(peer) = self.peer_mut(neighbour).filter(|_| dropped) {
                    peer.compared.suspend();
                }
            }
        }
    }

    fn texts(&self, key: RouteKey) -> (&str, &str) {
        (self.table.text(key.service), self.table.text(key.origin))
    }

    fn count(&mut self, neighbour: Sym, count: Count, effects: &mut Vec<Effect>) {
        let Some(peer) = self.peer_mut(neighbour) else { return };
        match count {
            Count::Malformed(what) => {
                peer.compared.suspend();
                peer.malformed = peer.malformed.saturating_add(1);
                effects.push(Effect::Notice(Notice::MalformedRoute(peer.config.name.clone(), what)));
            }
            Count::Looped => peer.looped = peer.looped.saturating_add(1),
            Count::Denied => peer.denied = peer.denied.saturating_add(1),
        }
    }

    fn set_peer(&mut self, config: PeerConfig, changes: &mut Changes, effects: &mut Vec<Effect>) {
        changes.policy.insert(config.name.clone());
        let own_org = self.settings.name.org_id();
        let full = self.peers().count() >= self.settings.limits.peers;
        // One whose routes are on their way out needs a place as a new one does.
        if let Some(peer) = self.peers.get_mut(&config.name).filter(|peer| !peer.is_removed() || !full) {
            let (session, agreed) = (peer.session, peer.agreed);
            let fresh = Peer::new(config, peer.sym, own_org.as_str());
            **peer = Peer {
                session,
                agreed,
                relation: fresh.relation,
                agreement: fresh.agreement,
                config: fresh.config,
                removed: false,
                ..Peer::clone(peer)
            };
            return;
        }
        match self.table.intern(config.name.as_str()) {
            Ok(sym) if !full => {
                self.by_sym.insert(sym, config.name.clone());
                let mut peer = Box::new(Peer::new(config, sym, own_org.as_str()));
                peer.since = self.now;
                self.peers.insert(peer.config.name.clone(), peer);
            }
            Ok(sym) => {
                self.table.release_name(sym);
                let why = "the limit of configured peers is reached".to_string();
                effects.push(Effect::Notice(Notice::Refusing(config.name, why)));
            }
            Err(refusal) => effects.push(Effect::Notice(Notice::Refusing(config.name, refusal.to_string()))),
        }
    }

    fn remove_peer(&mut self, name: &NodeName, changes: &mut Changes) {
        let Some(sym) = self.peers.get(name).map(|p| p.sym) else { return };
        self.flush(sym, changes);
        self.forget_flaps_of(sym, changes);
        self.peers.remove(name);
        self.by_sym.remove(&sym);
        self.table.release_name(sym);
    }
}

/// Whether a peer has used this share of one of its limits, in percent.
fn fills(peer: &Peer, limits: &Limits, percent: usize) -> bool {
    let near = |used: usize, max: usize| used.saturating_mul(100) >= max.saturating_mul(percent);
    let bytes = peer.max_bytes(limits);
    let (routes, used) = peer.confirmed;
    near(routes, peer.max_routes(limits)) || (bytes < usize::MAX && near(used, bytes))
}

/// An announcement on its way into the table.
struct Put<'a> {
    neighbour: Sym,
    names: (&'a str, &'a str),
    rank: Rank,
    data: (catalyst_names::Protocol, u16),
    attrs: Cow<'a, [u8]>,
}
