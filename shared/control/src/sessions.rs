//! Control connections: up, frames, timers, down.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use catalyst_names::{NodeName, ServiceName};
use catalyst_peering::{Agreed, Contender, Failure, Input, Keep, Session, Terms, resolve};
use catalyst_policy::Relation;
use catalyst_route_table::Store;
use catalyst_wire::{
    Capabilities, Frame, FrameType, Keepalive, Limits as WireLimits, Notify, NotifyCode, Trust,
};

use crate::config::PeerConfig;
use crate::core::Core;
use crate::effect::{Effect, Notice};
use crate::event::{Event, SessionId};
use crate::export::GroupKind;
use crate::limits::{Limits, PIECES};
use crate::link::Link;
use crate::now::Now;
use crate::stale::Loss;
use crate::state::Peer;
use crate::sum::Sum;

/// Room for a NOTIFY with an agreement in it.
const SMALL: usize = 64 + WireLimits::REASON + WireLimits::DOCUMENT;

/// A NOTIFY frame.
fn notify(code: NotifyCode, reason: &str, document: &str) -> Vec<u8> {
    let mut buf = [0u8; SMALL];
    Notify { code, reason, document }.write(&mut buf).map(<[u8]>::to_vec).unwrap_or_default()
}

impl<S: Store> Core<S> {
    pub(crate) fn session_up(&mut self, session: SessionId, name: &NodeName, dialled: bool, now: Now) {
        // The transport does not use a number twice; if it did, the first connection would be lost sight of.
        if self.links.contains_key(&session) {
            return;
        }
        let Some(peer) = self.state.peer(name) else {
            self.state.counters.unconfigured += 1;
            let reason = alloc::format!(
                "'{name}' is not a configured peer of '{}'; add it to 'peers' there",
                self.state.settings.name
            );
            self.end_unknown(session, name, NotifyCode::UNCONFIGURED, &reason);
            return;
        };
        if self.sessions_of(name).count() >= self.state.settings.limits.links_per_peer {
            self.end_unknown(session, name, NotifyCode::LIMIT, "too many connections of this peer at once");
            return;
        }
        let settings = &self.state.settings;
        let mut terms =
            Terms::new(settings.name.clone(), name.clone(), settings.incarnation, peer.config.hold_ms);
        terms.agreement = peer.agreement;
        terms.restart_ms = peer.config.restart_ms;
        terms.capabilities = self.capabilities();
        let mut buf = [0u8; 1024];
        let open = terms.open(&settings.mesh_address, &mut buf).map(<[u8]>::to_vec).unwrap_or_default();
        let mut link = Link::new(name.clone(), dialled, Session::start(terms, now.mono));
        link.queue(&open);
        self.links.insert(session, Box::new(link));
        self.of_peer.insert((name.clone(), session));
        self.set_timer(session);
        self.mark_ready(session);
    }

    /// Ends a connection that never became a link.
    fn end_unknown(&mut self, session: SessionId, name: &NodeName, code: NotifyCode, reason: &str) {
        self.state.counters.sessions_ended += 1;
        self.push_effect(Effect::Close { session, last: notify(code, reason, "") });
        self.notice(Notice::SessionEnded(name.clone(), code, reason.to_string()));
    }

    pub(crate) fn frame(&mut self, session: SessionId, bytes: &[u8], event: &Event, now: Now) {
        self.end_overdue_refresh(session, now);
        let Some(link) = self.links.get_mut(&session) else { return self.last_words(session, bytes) };
        let received =
            Frame::whole(bytes).map_err(Failure::Malformed).and_then(|f| link.session.receive(f, now.mono));
        match received {
            Ok(Input::Nothing) => {}
            Ok(Input::Interest(interest)) => {
                if let Err(failure) = self.interest_came(session, &interest) {
                    self.fail(session, &failure, now);
                }
            }
            Ok(Input::Digest(digest)) => self.digest_came(session, digest, now),
            Ok(Input::Refresh(refresh)) => self.refresh_came(session, refresh, now),
            Ok(Input::Established(agreed, mesh_address)) => {
                let mesh_address = mesh_address.to_string();
                self.open_fits(session, agreed, mesh_address, now);
            }
            Ok(Input::Update(_)) => {
                self.update(session, event);
            }
            Ok(Input::EndOfRib) => {
                let name = link.peer.clone();
                if let Some(peer) = self.state.peers.get_mut(&name).filter(|p| p.session == Some(session)) {
                    peer.synced = true;
                    self.table_told(&name, now);
                }
            }
            Ok(Input::Trust(trust)) => {
                // Another organisation has nothing to say about this one's nodes; a kind of later is passed over.
                let peer = link.peer.clone();
                let known = trust.kind == Trust::REVOCATIONS;
                if known && peer.org() == self.state.settings.name.org() && bytes != self.trust {
                    self.push_effect(Effect::Trust { peer, frame: bytes.to_vec() });
                }
            }
            Ok(Input::Refused(refused)) => {
                let name = link.peer.clone();
                let reason = refused.reason.to_string();
                let names = refused.services.split(' ').filter(|n| ServiceName::parse(n).is_ok());
                let names = names.take(Limits::REFUSED_NAMES).map(ToString::to_string).collect();
                if let Some(peer) = self.state.peers.get_mut(&name) {
                    peer.refused_names_by_peer = names;
                    peer.refused_by_peer = (refused.count, reason.clone());
                }
                self.notice(Notice::RefusedBy(name, refused.count, reason));
            }
            Ok(Input::Ended(said)) => {
                let (code, reason, document) =
                    (said.code, said.reason.to_string(), said.document.to_string());
                let name = link.peer.clone();
                let text = alloc::format!("the peer ended the session ({code}): {reason}");
                self.notice(Notice::NotifiedBy(name, code, reason, document));
                self.push_effect(Effect::Close { session, last: Vec::new() });
                self.session_down(session, &text, self.word(session, code), now);
            }
            Err(failure) => self.fail(session, &failure, now),
        }
    }

    /// The other side's NOTIFY on a connection that this side has ended: both OPENs crossed, and each found a fault
    /// in the other's. Of all that may still come only this counts.
    fn last_words(&mut self, session: SessionId, bytes: &[u8]) {
        let frame = Frame::whole(bytes).ok().filter(|f| f.kind() == Ok(Some(FrameType::Notify)));
        let Some(said) = frame.and_then(|f| Notify::read(f.body).ok()) else { return };
        if let Some(name) = self.closing.remove(&session) {
            let (reason, document) = (said.reason.to_string(), said.document.to_string());
            self.notice(Notice::NotifiedBy(name, said.code, reason, document));
        }
    }

    /// Takes routes in, and remembers to tell the peer what is refused of them.
    fn update(&mut self, session: SessionId, event: &Event) {
        self.step(event);
        self.tell_refusals(session);
    }

    /// Remembers to tell the peer what is refused of it, if that is not what it was told last. While it tells its table once
    /// more it hears only that there is more.
    pub(crate) fn tell_refusals(&mut self, session: SessionId) {
        let Some(peer) = self.state.peer_of(session).filter(|peer| peer.refused.has_moved()) else { return };
        let (now, refreshing) = (peer.refused.count(), peer.compared.is_refreshing());
        if let Some(link) = self.links.get_mut(&session)
            && (now > link.refused_told || !refreshing)
            && !mutant!(RefusalUntold)
        {
            link.refused_due = true;
            self.mark_ready(session);
        }
    }

    /// Ends a session from our side, for cause.
    fn fail(&mut self, session: SessionId, failure: &Failure, now: Now) {
        if matches!(failure, Failure::Malformed(_)) {
            self.state.counters.malformed_frames += 1;
        }
        let document = match failure {
            Failure::Agreement(..) => self.document(session),
            _ => String::new(),
        };
        let Some(link) = self.links.get(&session) else { return };
        let why = failure.between(&self.state.settings.name, &link.peer).to_string();
        self.end(session, failure.code(), &why, &document, now);
    }

    /// The agreement that this side holds, in words for the other.
    fn document(&self, session: SessionId) -> String {
        let mut text = String::new();
        let peer = self.links.get(&session).and_then(|l| self.state.peers.get(&l.peer));
        if let Some(agreement) = peer.and_then(|p| p.config.agreement.as_ref()) {
            let _ = agreement.write_canonical(&mut text);
        }
        text
    }

    fn end(&mut self, session: SessionId, code: NotifyCode, reason: &str, document: &str, now: Now) {
        let Some(link) = self.links.get(&session) else { return };
        let name = link.peer.clone();
        self.state.counters.sessions_ended += 1;
        self.push_effect(Effect::Close { session, last: notify(code, reason, document) });
        self.notice(Notice::SessionEnded(name.clone(), code, reason.to_string()));
        self.session_down(session, reason, Loss::of(code), now);
        if self.closing.len() >= Limits::CLOSING {
            self.closing.pop_first();
        }
        self.closing.insert(session, name);
    }

    /// Their OPEN fits ours: settle which connection stays, then start to exchange routes.
    fn open_fits(&mut self, session: SessionId, agreed: Agreed, mesh_address: String, now: Now) {
        let Some(link) = self.links.get_mut(&session) else { return };
        link.incarnation = agreed.incarnation;
        let new = Contender { dialled_by_us: link.dialled, incarnation: agreed.incarnation };
        let name = link.peer.clone();
        let running = self.state.peers.get(&name).and_then(|p| p.session);
        if self.is_held(&name, agreed.incarnation, running.is_some(), now) {
            let why = "another process with this node's identity holds the session, and both have come back in turns: \
                       stop one of the two, or give it an identity of its own";
            return self.end(session, NotifyCode::COLLISION, why, "", now);
        }
        if let Some((old_session, old)) = running.and_then(|s| Some((s, self.links.get(&s)?))) {
            let old = Contender { dialled_by_us: old.dialled, incarnation: old.incarnation };
            match resolve(&self.state.settings.name, &name, old, new) {
                Keep::Old => {
                    self.end(
                        session,
                        NotifyCode::COLLISION,
                        "both sides dialled; the other connection stays",
                        "",
                        now,
                    );
                    return;
                }
                Keep::New => {
                    self.end(old_session, NotifyCode::SUPERSEDED, "a newer connection of the same node took over; if this repeats, two nodes run with this identity", "", now);
                }
            }
        }
        let Some(peer) = self.state.peers.get_mut(&name) else { return };
        peer.session = Some(session);
        peer.agreed = Some(agreed);
        peer.mesh_address = mesh_address;
        peer.since = now.mono;
        peer.synced = false;
        peer.compared.begin();
        peer.sessions = peer.sessions.saturating_add(1);
        peer.refused_by_peer = (0, String::new());
        peer.refused_names_by_peer.clear();
        let sym = peer.sym;
        let kind = match (peer.relation, peer.agreement) {
            (Some(Relation::Internal), _) => Some(GroupKind::Internal),
            (Some(relation), Some(agreement)) => {
                let node = self.state.exports.list.names_node(name.as_str()).then(|| name.clone());
                Some(GroupKind::External { org: name.org_id(), relation, agreement, node })
            }
            _ => None,
        };
        self.state.by_session.insert(session, name.clone());
        if let Some(link) = self.links.get_mut(&session) {
            link.trust_due = kind == Some(GroupKind::Internal) && !self.trust.is_empty();
        }
        match kind {
            Some(kind) => {
                let absent = self.groups.is_absent(sym, &kind);
                if !absent {
                    // It was expected in another group, before the rules changed.
                    self.unexpect(&name);
                }
                let (group, build) = self.groups.join(&kind, session, sym);
                if kind == GroupKind::Internal && !mutant!(NewSessionWaits) {
                    self.end_withholding();
                }
                // What the group has already; what it gets by the new member is granted to all of it.
                if !absent {
                    self.groups.granted(session).into_iter().for_each(|s| self.grant(sym, s, true));
                }
                if build {
                    self.walk_for_table(group);
                }
                if agreed.capabilities & Capabilities::INTERESTED == 0 {
                    self.groups.sync(session);
                } else {
                    self.groups.await_interest(session);
                }
                self.begin_interest(session);
            }
            // Nothing may be told to this peer, and that is all there is.
            None => self.end_of_rib(session),
        }
        self.regain(&name, now);
        self.set_timer(session);
        self.mark_ready(session);
        self.notice(Notice::PeerUp(name, session));
    }

    /// Whether another process of the peer's identity is to be left alone.
    fn is_held(&mut self, name: &NodeName, incarnation: u64, running: bool, now: Now) -> bool {
        let Some(peer) = self.state.peers.get_mut(name) else { return false };
        let verdict = peer.clones.judge(incarnation, running, now.mono);
        if verdict.alarm {
            let runs = peer.clones.runs().collect();
            self.notice(Notice::Clones(name.clone(), runs));
        }
        verdict.held
    }

    /// What the other side's NOTIFY means for its routes.
    fn word(&self, session: SessionId, code: NotifyCode) -> Loss {
        let Some(link) = self.links.get(&session) else { return Loss::Lost };
        let established = self.state.peers.get(&link.peer).is_some_and(|p| p.session == Some(session));
        match Loss::of(code) {
            // The connection that takes over is on its way here, or it is not what the other side thinks.
            Loss::Moved if self.sessions_of(&link.peer).all(|other| other == session) => Loss::Lost,
            // It has too many connections: that says nothing of those that stand.
            Loss::Hard if code == NotifyCode::LIMIT && !established => Loss::Lost,
            loss => loss,
        }
    }

    pub(crate) fn session_down(&mut self, session: SessionId, why: &str, loss: Loss, now: Now) {
        let Some(link) = self.links.remove(&session) else { return };
        if let Some(at) = link.timer {
            self.timers.remove(&(at, session));
        }
        let line = (link.peer.clone(), session);
        self.of_peer.remove(&line);
        let Some(peer) = self.state.peers.get_mut(&link.peer) else {
            // A plugin forgot the peer under its session.
            self.groups.leave(session, false, &mut self.state.table);
            self.state.by_session.remove(&session);
            return;
        };
        if peer.session != Some(session) {
            if peer.session.is_none() {
                peer.last_end = why.to_string();
            }
            return self.lose_link(&link.peer, loss, now);
        }
        self.step(&Event::SessionDown { session });
        self.lose(&link.peer, session, loss, now);
        self.state.by_session.remove(&session);
        if let Some(peer) = self.state.peers.get_mut(&link.peer) {
            peer.forget_refused();
            peer.session = None;
            peer.agreed = None;
            peer.synced = false;
            peer.since = now.mono;
            peer.last_end = why.to_string();
        }
        self.notice(Notice::PeerDown(link.peer, why.to_string()));
    }

    /// Hands a statement of the organisation to all its neighbours.
    pub(crate) fn trust_changed(&mut self, frame: &[u8]) {
        self.trust = frame.to_vec();
        let internal = self.state.peers.values().filter(|p| p.relation == Some(Relation::Internal));
        let sessions: Vec<SessionId> = internal.filter_map(|p| p.session).collect();
        for session in sessions {
            if let Some(link) = self.links.get_mut(&session) {
                link.trust_due = !frame.is_empty();
            }
            self.mark_ready(session);
        }
    }

    pub(crate) fn peer_configured(&mut self, config: &PeerConfig, event: &Event, now: Now) {
        let same = self.state.peer(&config.name).is_some_and(|p| p.config == *config);
        if same {
            return;
        }
        if config.name == self.state.settings.name {
            let why = "a node cannot be its own peer; remove it from 'peers'".to_string();
            return self.notice(Notice::Refusing(config.name.clone(), why));
        }
        // Other terms need another OPEN.
        let sessions: Vec<SessionId> = self.sessions_of(&config.name).collect();
        for session in sessions {
            self.end(session, NotifyCode::REMOVED, "the peer's configuration changed; dial again", "", now);
        }
        self.reset(&config.name, now);
        self.step(event);
    }

    pub(crate) fn peer_removed(&mut self, name: &NodeName, why: &str, now: Now) {
        let sessions: Vec<SessionId> = self.sessions_of(name).collect();
        for session in sessions {
            self.end(session, NotifyCode::REMOVED, why, "", now);
        }
        self.reset(name, now);
        // Its routes go in pieces, and it goes with the last of them.
        let left = |peer: &&mut Box<Peer>| PIECES && peer.routes > 0 && peer.stale.is_some();
        if let Some(peer) = self.state.peers.get_mut(name).filter(left) {
            peer.removed = true;
            return;
        }
        self.step(&Event::PeerRemoved(name.clone()));
        if self.state.peer(name).is_none() {
            self.forget_age(name);
        }
    }

    pub(crate) fn sessions_of(&self, name: &NodeName) -> impl Iterator<Item = SessionId> {
        let range = (name.clone(), SessionId(0))..=(name.clone(), SessionId(u64::MAX));
        self.of_peer.range(range).map(|(_, session)| *session)
    }

    /// Ends the sessions for which their groups would have to remember too much. One that the shell has not come round to
    /// since there was something for it is not slow: it had no chance to hear.
    pub(crate) fn end_overdue(&mut self, now: Now) {
        loop {
            let limit = self.state.settings.limits.tombstones;
            let mut sessions = self.groups.overdue(limit, &mut self.state.table);
            sessions.retain(|session| self.links.get(session).is_none_or(|link| !link.listed));
            if sessions.is_empty() {
                return;
            }
            for session in sessions {
                self.end(
                    session,
                    NotifyCode::SEND_HOLD,
                    "the peer reads too slowly; starting afresh",
                    "",
                    now,
                );
            }
        }
    }

    pub(crate) fn tick(&mut self, now: Now) {
        self.tick_ages(now);
        self.go_on_walking();
        self.go_on_looking();
        self.tick_flaps(now);
        self.tick_hold_down(now);
        self.tick_pauses(now);
        self.tick_withheld(now);
        while let Some((at, session)) = self.timers.first().copied().filter(|(at, _)| *at <= now.mono) {
            self.timers.remove(&(at, session));
            let Some(link) = self.links.get_mut(&session) else { continue };
            link.timer = None;
            match link.session.tick(now.mono) {
                Ok(due) => {
                    if due && !link.queued() {
                        let mut buf = [0u8; 64];
                        let able = link
                            .session
                            .established()
                            .is_some_and(|e| e.agreed.capabilities & Capabilities::REFRESH != 0);
                        let digest = self.groups.digest(session).filter(|_| able).map(Sum::bytes);
                        if let Ok(frame) = (Keepalive { digest }).write(&mut buf) {
                            link.queue(frame);
                        }
                    }
                    // What did not fit may be gone without having been sent.
                    if link.stuck {
                        link.session.blocked(now.mono);
                    } else {
                        link.session.moved();
                    }
                    self.set_timer(session);
                    self.mark_ready(session);
                }
                Err(failure) => self.fail(session, &failure, now),
            }
        }
    }

    /// Ends all sessions in order, because the node stops.
    pub(crate) fn stop(&mut self, now: Now) {
        let reason = if self.state.draining { "drained" } else { "the node stops" };
        let sessions: Vec<SessionId> = self.links.keys().copied().collect();
        for session in sessions {
            self.end(session, NotifyCode::SHUTDOWN, reason, "", now);
        }
    }

    fn set_timer(&mut self, session: SessionId) {
        let Some(link) = self.links.get_mut(&session) else { return };
        if let Some(at) = link.timer.take() {
            self.timers.remove(&(at, session));
        }
        if let Some(at) = link.session.deadline() {
            link.timer = Some(at);
            self.timers.insert((at, session));
        }
    }
}
