//! Why a service goes the way it goes: every candidate, the step of best path that decided against it, the rule or check
//! that keeps it out, and who hears of it. For people, not for decisions: the words follow from the same tables and the
//! same functions that decide. A node that does not ask for it does not carry it.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use catalyst_names::NodeName;
use catalyst_policy::{Denied, Relation, RuleList};
use catalyst_route_table::{Rank, RouteKey, Store, Sym};
use catalyst_wire::{Attrs, Health, Limits as WireLimits};

use crate::core::Core;
use crate::export::{Asked, GroupKind};
use crate::limits::Limits;
use crate::plugins::{Kept, Verdict, element, imported, judge};
use crate::state::{Peer, State};
use crate::view::RouteRow;

/// Everything about one service.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Explanation {
    /// Its full name.
    pub service: String,
    /// One for each origin, the one that is used first; ineligible ones last.
    pub origins: Vec<OriginRow>,
    /// How many ways carry traffic at most; the shell fills it in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ways_at_most: Option<usize>,
}

/// One origin of a service.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct OriginRow {
    /// Its id, as this node knows it.
    pub origin: String,
    /// How it stands among the origins of the service: `first`, `equal` (shares with the one before by weight), `later`
    /// (used when those before it fail) or `unusable`.
    pub standing: String,
    /// There are so many ways before it that it carries no traffic; the shell fills it in.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub beyond: bool,
    /// Why it comes after the one before.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// Every way that a neighbour announced, best first.
    pub candidates: Vec<CandidateRow>,
    /// What each neighbour hears of the best way.
    pub announced: Vec<AnnouncedRow>,
}

/// One way.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CandidateRow {
    /// The route, as `route ls` shows it.
    #[serde(flatten)]
    pub route: RouteRow,
    /// The cost that best path compares, after the rules.
    pub ranked_cost: u32,
    /// The only-to-customer mark, if there is one, as import left it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only_to_customer: Option<String>,
    /// The import rule that decided, by name; empty inside the organisation.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rule: String,
    /// Why it won, why another is better, or why it may not be used.
    pub why: String,
}

/// What one neighbour hears.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AnnouncedRow {
    /// The neighbour.
    pub peer: String,
    /// Whether it hears of the route.
    pub announced: bool,
    /// The export rule that decided, by name; empty inside the organisation.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rule: String,
    /// Why not; or what came of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

/// The first step of the order in which `better` beats `worse`, in words.
pub(crate) fn step(better: &Rank, worse: &Rank) -> Option<String> {
    let number = |what: &str, a: u64, b: u64| alloc::format!("{what} ({a} against {b})");
    let (a, b) = (better, worse);
    Some(if a.eligible != b.eligible {
        "eligible against not eligible".to_string()
    } else if a.stale != b.stale {
        "fresh against long-lived stale".to_string()
    } else if a.flapping != b.flapping {
        "steady against flapping".to_string()
    } else if a.local_pref != b.local_pref {
        number("higher local_pref", a.local_pref.into(), b.local_pref.into())
    } else if a.local != b.local {
        "a service of this node".to_string()
    } else if a.org_len != b.org_len {
        number("shorter org_path", a.org_len.into(), b.org_len.into())
    } else if a.cost != b.cost {
        number("lower cost", a.cost.into(), b.cost.into())
    } else if a.node_len != b.node_len {
        number("shorter node_path", a.node_len.into(), b.node_len.into())
    } else if a.compare(b).is_ne() {
        "a better rank".to_string()
    } else {
        return None;
    })
}

/// Whether local_pref decides, and may do so because a node is about to stop.
fn drained(better: &Rank, worse: &Rank) -> bool {
    let same = (better.eligible, better.stale, better.flapping);
    same == (worse.eligible, worse.stale, worse.flapping) && better.local_pref > 0 && worse.local_pref == 0
}

/// Why a neighbour with an interest hears nothing: it does not ask.
fn unasked(asked: Option<Asked>) -> String {
    let list = match asked {
        None | Some(Asked::Awaited) => return "what it asks for ('interest') has not come yet".to_string(),
        Some(Asked::These(list)) => list,
    };
    let more = list.len().saturating_sub(Limits::PATTERNS);
    let shown = list.iter().take(Limits::PATTERNS).map(String::as_str).collect::<Vec<_>>().join(", ");
    match (shown.is_empty(), more) {
        (true, _) => "it does not ask for it (its interest is empty)".to_string(),
        (_, 0) => alloc::format!("it does not ask for it (its interest: {shown})"),
        _ => alloc::format!("it does not ask for it (its interest: {shown} and {more} more)"),
    }
}

/// The name of the rule at a place.
fn named(rules: &RuleList, place: Option<u16>) -> String {
    place.map(|place| rules.name(usize::from(place))).unwrap_or_default()
}

impl<S: Store> State<S> {
    /// All keys of a service in Adj-RIB-In, whether usable or not.
    fn keys_of(&self, service: Sym) -> Vec<RouteKey> {
        let before = service.0.checked_sub(1).map(|n| RouteKey::range(Sym(n)).1);
        let mut keys = Vec::new();
        for sender in self.by_sym.keys().copied().chain([self.own]) {
            let mut after = before;
            while let Some(key) = self.table.next_of(sender, after).filter(|k| k.service == service) {
                keys.push(key);
                after = Some(key);
            }
        }
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// [`step`], in the words for a drain where that is what put the worse one behind.
    fn decided(&self, better: &Rank, worse: (RouteKey, Sym, &Rank)) -> Option<String> {
        let why = step(better, worse.2)?;
        if drained(better, worse.2) && self.row(worse.0, worse.1).is_some_and(|row| row.draining) {
            return Some(alloc::format!("staying against draining: {why}"));
        }
        Some(why)
    }

    /// All ways to one origin; `alone`: there is no other that could be used.
    fn candidates(&self, key: RouteKey, alone: bool) -> Vec<CandidateRow> {
        let ranked = self.table.candidates(key).map(|(sym, route)| (sym, route.effective_rank()));
        let mut ways: Vec<(Sym, Rank)> = ranked.collect();
        ways.sort_by(|a, b| {
            catalyst_route_table::rank::better((&a.1, self.table.text(a.0)), (&b.1, self.table.text(b.0)))
        });
        let best = ways.first().copied();
        let rest = ways.get(1).copied();
        let row = |(sym, rank): &(Sym, Rank)| self.candidate(key, *sym, rank, (best?, rest), alone);
        ways.iter().filter_map(row).collect()
    }

    fn candidate(
        &self,
        key: RouteKey,
        sym: Sym,
        rank: &Rank,
        ends: ((Sym, Rank), Option<(Sym, Rank)>),
        alone: bool,
    ) -> Option<CandidateRow> {
        let route = self.row(key, sym)?;
        let attrs = Attrs::read(self.table.route(key, sym)?.attrs.as_ref()).ok()?;
        let peer = self.peer_by_sym(sym);
        let service = self.table.text(key.service);
        let verdict = peer.map(|peer| judge(self, peer, (service, self.table.text(key.origin)), &attrs));
        let rule = named(self.imports(), verdict.as_ref().and_then(Verdict::rule));
        let (best, second) = ends;
        let against = |better: &Rank, worse: (Sym, &Rank)| {
            let why = self.decided(better, (key, worse.0, worse.1));
            why.unwrap_or_else(|| "all else is equal: the lowest neighbour id".to_string())
        };
        let why = if let Some(Verdict::Keep { refused: Some(refused), .. }) = &verdict {
            match refused.rule {
                Some(_) => alloc::format!("not used: rejected by '{rule}'"),
                None => alloc::format!("not used: {}", refused.why),
            }
        } else if attrs.health != Health::Up {
            "not used: unhealthy, its check fails".to_string()
        } else if self.table.route(key, sym).is_some_and(|route| route.overtaken) {
            "not used: a node of its path has said something newer".to_string()
        } else if !rank.eligible && route.stale.is_empty() {
            "not used: no way to it".to_string()
        } else if !rank.eligible {
            "not used: its neighbour is lost, and the tunnel to it is, too".to_string()
        } else if sym == best.0 {
            match second.filter(|(_, r)| r.eligible) {
                None if alone => "best: the only usable way".to_string(),
                None => "best: the only usable way to this origin".to_string(),
                Some((other, worse)) => {
                    alloc::format!(
                        "best: before {}: {}",
                        self.table.text(other),
                        against(rank, (other, &worse))
                    )
                }
            }
        } else {
            alloc::format!("loses to {}: {}", self.table.text(best.0), against(&best.1, (sym, rank)))
        };
        let mut scratch = Vec::new();
        let mark = imported(self, peer, service, attrs, &mut scratch).only_to_customer;
        let only_to_customer = mark.map(ToString::to_string);
        Some(CandidateRow { route, ranked_cost: rank.cost, only_to_customer, rule, why })
    }
}

impl<S: Store> Core<S> {
    /// Explains a service, or `None` if no neighbour announced it and it is none of this node's. With `peer`, the
    /// announcements to that one alone.
    #[must_use]
    pub fn explain(&self, service: &str, peer: Option<&NodeName>) -> Option<Explanation> {
        let state = self.state();
        let sym = state.table.store().find(service)?;
        let keys = state.keys_of(sym);
        if keys.is_empty() {
            return None;
        }
        let mut winners: Vec<_> = state.table.winners(sym).collect();
        winners.sort_by(|a, b| state.table.compare_winners((a.0, a.1, &a.2.rank), (b.0, b.1, &b.2.rank)));
        let mut origins = Vec::new();
        let mut before: Option<Rank> = None;
        let alone = winners.len() < 2;
        for (key, way, route) in &winners {
            let (standing, why) = match &before {
                None => ("first", String::new()),
                Some(better) => match state.decided(better, (*key, way.best, &route.rank)) {
                    None => ("equal", String::new()),
                    Some(why) => ("later", alloc::format!("behind the one before: {why}")),
                },
            };
            origins.push(self.origin(*key, (standing, why), alone, peer));
            before = Some(route.rank);
        }
        let won = |key: &RouteKey| winners.iter().any(|w| w.0 == *key);
        let lost = keys.iter().filter(|k| !won(k));
        origins.extend(lost.map(|key| self.origin(*key, ("unusable", String::new()), alone, peer)));
        Some(Explanation { service: service.to_string(), origins, ways_at_most: None })
    }

    fn origin(
        &self,
        key: RouteKey,
        (standing, why): (&str, String),
        alone: bool,
        only: Option<&NodeName>,
    ) -> OriginRow {
        let state = self.state();
        let peers = state.peers().filter(|p| only.is_none_or(|name| p.config.name == *name));
        OriginRow {
            origin: state.table.text(key.origin).to_string(),
            standing: standing.to_string(),
            beyond: false,
            why,
            candidates: state.candidates(key, alone),
            announced: peers.map(|peer| self.heard(key, peer)).collect(),
        }
    }

    /// What a neighbour hears of a key, and why not.
    fn heard(&self, key: RouteKey, peer: &Peer) -> AnnouncedRow {
        let (announced, rule, why) = match self.silence(key, peer) {
            (rule, None) => (true, rule, String::new()),
            (rule, Some(why)) => (false, rule, why),
        };
        AnnouncedRow { peer: peer.config.name.to_string(), announced, rule, why }
    }

    /// The export rule that decides about a key for a neighbour, and why it hears nothing of it, if it does not.
    pub(crate) fn silence(&self, key: RouteKey, peer: &Peer) -> (String, Option<String>) {
        let state = self.state();
        let none = |why: &str| (String::new(), Some(why.to_string()));
        let Some((best, route)) = state.table.best(key) else { return none("no usable way to it") };
        let service = state.table.text(key.service);
        let Ok(attrs) = Attrs::read(route.attrs.as_ref()) else {
            return none("its attributes are malformed");
        };
        if best.best == peer.sym {
            return none("split horizon: the best way is the one it announced itself");
        }
        let Some(kind) = kind(state, peer) else { return none("no agreement with that organisation") };
        let mut scratch = Vec::new();
        let attrs = imported(state, state.peer_by_sym(best.best), service, attrs, &mut scratch);
        let mut buf = vec![0; WireLimits::ENTRY + 8];
        let pref = route.rank.local_pref;
        let (rule, out) = element(state, state.exports(), &kind, key, (&attrs, pref), &mut buf);
        let rule = named(state.exports(), rule);
        let why = match out {
            Err(Kept::TooLong) => Some("its path or its tags would be longer than they may be".to_string()),
            Err(Kept::Refused(refused)) if refused.rule.is_some() => {
                Some(alloc::format!("rejected by '{rule}'"))
            }
            Err(Kept::Refused(refused)) => Some(refused.why.to_string()),
            Ok(_) => match peer.session {
                None if peer.last_end.is_empty() => Some("no session".to_string()),
                None => Some(alloc::format!("no session: {}", peer.last_end)),
                Some(_) if peer.refused_names_by_peer.contains(service) => {
                    Some(alloc::format!("it refuses it: {}", peer.refused_by_peer.1))
                }
                Some(session) if !self.groups().wants(session, service) => {
                    Some(unasked(self.groups().interest(session)))
                }
                Some(session) if self.groups().is_crowded_out(session, key) => {
                    Some(Denied::Crowded.to_string())
                }
                #[cfg(feature = "transit")]
                Some(_) if kind == GroupKind::Internal && self.state().withheld.holds(key) => {
                    Some("not for some seconds: another way was lost, and it has one of its own".to_string())
                }
                Some(session) if !self.groups().is_announced(session, key) => {
                    Some("kept back by a plugin".to_string())
                }
                Some(_) => None,
            },
        };
        (rule, why)
    }
}

/// The export group that a neighbour is in, or would be with a session.
pub(crate) fn kind<S: Store>(state: &State<S>, peer: &Peer) -> Option<GroupKind> {
    match (peer.relation?, peer.agreement) {
        (Relation::Internal, _) => Some(GroupKind::Internal),
        (relation, Some(agreement)) => {
            let name = &peer.config.name;
            let node = state.exports().names_node(name.as_str()).then(|| name.clone());
            Some(GroupKind::External { org: name.org_id(), relation, agreement, node })
        }
        _ => None,
    }
}
