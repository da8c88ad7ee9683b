//! Frames and peer events into Adj-RIB-In: loop check, import policy, treat-as-withdraw.

use alloc::borrow::Cow;
use alloc::string::ToString;
use alloc::vec::Vec;

use catalyst_names::{NodeName, Protocol};
use catalyst_policy::{Accepted, Denied, Refused, Relation, RuleList};
use catalyst_route_table::{Rank, Store, Sym};
use catalyst_wire::{Announced, Attrs, Frame, FrameType, RouteEntry, Update, Withdrawn};

use crate::delta::{Count, Delta, Write};
use crate::event::Event;
use crate::news::NUMBERED;
use crate::plugin::RouteTablePlugin;
use crate::plugins::overlay::{changed, facts};
use crate::state::{Peer, State};

/// Takes routes in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Routes;

/// What import says of one entry.
pub(crate) enum Verdict {
    /// Keep it, with this rank.
    Keep {
        /// The rank; not eligible where it was refused.
        rank: Rank,
        /// Why it may not be used.
        refused: Option<Refused>,
        /// The rule that accepts it.
        rule: Option<u16>,
    },
    /// Do not keep it, and count this.
    Drop(Count),
}

impl Verdict {
    /// The rule that decided.
    pub(crate) fn rule(&self) -> Option<u16> {
        match self {
            Verdict::Keep { refused: Some(refused), .. } => refused.rule,
            Verdict::Keep { rule, .. } => *rule,
            Verdict::Drop(_) => None,
        }
    }
}

/// Import: may the route stay, and how does it rank? Pure, so that a change of policy can ask again. What is well-formed
/// stays in Adj-RIB-In even if it may not be used: a later rule finds it there, and so does who asks why.
pub(crate) fn judge<S: Store>(
    state: &State<S>,
    peer: &Peer,
    key: (&str, &str),
    attrs: &Attrs<'_>,
) -> Verdict {
    judge_by(&state.imports.list, state, peer, key, attrs)
}

/// The same under other rules.
pub(crate) fn judge_by<S: Store>(
    rules: &RuleList,
    state: &State<S>,
    peer: &Peer,
    (service, origin): (&str, &str),
    attrs: &Attrs<'_>,
) -> Verdict {
    let own = &state.settings.name;
    let internal = peer.relation == Some(Relation::Internal);
    let drop_malformed = |why: &str| Verdict::Drop(Count::Malformed(why.to_string()));
    if internal && attrs.node_path.first() != Some(peer.config.name.node()) {
        return drop_malformed("node_path does not begin with the neighbour");
    }
    if !internal && !attrs.node_path.is_empty() {
        return drop_malformed("node_path crossed a border");
    }
    let passed = if mutant!(OnlyHomeLoops) {
        attrs.node_path.last() == Some(own.node())
    } else {
        attrs.node_path.contains(own.node())
    };
    // Nobody else can offer what begins here. Beyond a border an id says nothing.
    let ours = attrs.org_path.is_empty() && origin == own.node();
    let looped = internal && (passed || ours) && !mutant!(NoInnerLoopCheck);
    let decision = match catalyst_policy::import(rules, &facts(state, peer, service, attrs), attrs.local_pref)
    {
        Ok(_) if looped => Err(Denied::Looped.into()),
        Ok(Accepted { rule: Some((_, rule)), .. })
            if !rule.set.add_tags.is_empty() && changed(&rule.set, *attrs, &mut Vec::new()).is_none() =>
        {
            Err(Denied::TooLong.into())
        }
        other => other,
    };
    match decision {
        Ok(accepted) => {
            let rank = Rank::of(attrs, accepted.local_pref, false);
            let cost = accepted.rule.and_then(|(_, rule)| rule.set.cost).unwrap_or(rank.cost);
            let rule = accepted.rule.map(|(place, _)| place);
            Verdict::Keep { rank: Rank { cost, ..rank }, refused: None, rule }
        }
        Err(Refused { why: Denied::NoAgreement, .. }) => Verdict::Drop(Count::Denied),
        Err(refused) => {
            let rank = Rank { eligible: false, ..Rank::of(attrs, 0, false) };
            Verdict::Keep { rank, refused: Some(refused), rule: None }
        }
    }
}

fn withdraw<'e>(neighbour: Sym, service: &'e str, origin: &'e str) -> Write<'e> {
    Write::Withdraw { neighbour, service: Cow::Borrowed(service), origin: Cow::Borrowed(origin) }
}

fn announce<'e>(neighbour: Sym, entry: &RouteEntry<'e>, rank: Rank, protocol: Protocol) -> Write<'e> {
    Write::Announce {
        neighbour,
        service: Cow::Borrowed(entry.service),
        origin: Cow::Borrowed(entry.origin),
        rank,
        protocol,
        weight: entry.attrs.weight,
        attrs: Cow::Borrowed(entry.raw),
    }
}

fn update<'e, S: Store>(state: &State<S>, peer: &Peer, update: &Update<'e>, delta: &mut Delta<'e>) {
    let sym = peer.sym;
    // First, so that nothing overtaken is chosen in between. Only neighbours of this organisation know its nodes.
    let internal = peer.relation == Some(Relation::Internal) || mutant!(NewsFromOutside);
    for news in update.overtaken().filter(|_| NUMBERED && internal && !mutant!(NewsUnheard)) {
        if news.node != state.settings.name.node() || mutant!(OwnNewsBelieved) {
            delta.push(Write::Overtaken {
                service: Cow::Borrowed(news.service),
                origin: Cow::Borrowed(news.origin),
                node: Cow::Borrowed(news.node),
                seqno: news.seqno,
            });
        }
    }
    for element in update.announced() {
        match element {
            Announced::Route(entry) => {
                let verdict = judge(state, peer, (entry.service, entry.origin), &entry.attrs);
                if let Some(rule) = verdict.rule() {
                    delta.matched(rule);
                }
                match verdict {
                    Verdict::Keep { refused: Some(Refused { why: Denied::Looped, .. }), .. }
                        if mutant!(LoopedIgnored) => {}
                    Verdict::Keep { rank, refused, .. } => {
                        delta.push(announce(sym, &entry, rank, entry.attrs.protocol));
                        match refused.map(|r| r.why) {
                            None | Some(Denied::NotImported) => {}
                            Some(Denied::Looped) => delta.push(Write::Count(sym, Count::Looped)),
                            Some(_) => delta.push(Write::Count(sym, Count::Denied)),
                        }
                    }
                    Verdict::Drop(count) => {
                        // What it announced before under this key is no longer what it announces.
                        delta.push(withdraw(sym, entry.service, entry.origin));
                        delta.push(Write::Count(sym, count));
                    }
                }
            }
            Announced::Malformed { service, origin, why } => {
                if !mutant!(MalformedStays) {
                    delta.push(withdraw(sym, service, origin));
                }
                let text = alloc::format!("{service} from {origin}: {why}");
                delta.push(Write::Count(sym, Count::Malformed(text)));
            }
            Announced::NoKey => {
                delta
                    .push(Write::Count(sym, Count::Malformed("an entry without a readable key".to_string())));
            }
        }
    }
    for element in update.withdrawn() {
        match element {
            Withdrawn::Key { service, origin } => delta.push(withdraw(sym, service, origin)),
            Withdrawn::NoKey => {
                delta.push(Write::Count(
                    sym,
                    Count::Malformed("a withdrawal without a readable key".to_string()),
                ));
            }
        }
    }
}

impl<S: Store> RouteTablePlugin<S> for Routes {
    fn name(&self) -> &'static str {
        "routes"
    }

    fn apply<'e>(&self, event: &'e Event, state: &State<S>) -> Delta<'e> {
        let mut delta = Delta::default();
        match event {
            Event::PeerFrame { session, frame } => {
                let Some(peer) = state.peer_of(*session) else { return delta };
                let Ok(frame) = Frame::whole(frame) else { return delta };
                if frame.kind() != Ok(Some(FrameType::Update)) {
                    return delta;
                }
                if let Ok(content) = Update::read(frame.body) {
                    update(state, peer, &content, &mut delta);
                }
            }
            Event::PeerConfigured(config) => delta.push(Write::SetPeer(config.clone())),
            Event::PeerRemoved(name) => remove(state, name, &mut delta),
            // The routes that are there follow in a walk.
            Event::PolicyChanged { exports, imports } => delta.push(Write::SetPolicy { exports, imports }),
            _ => {}
        }
        delta
    }
}

fn remove<S: Store>(state: &State<S>, name: &NodeName, delta: &mut Delta<'_>) {
    if state.peers.contains_key(name) {
        delta.push(Write::RemovePeer(name.clone()));
    }
}
