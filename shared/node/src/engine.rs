//! The engine: feeds the core, carries out its effects. One task owns it; it never waits for anything.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use catalyst_config::Config;
use catalyst_control::{Core, Effect, Event, LOST, Notice, SessionId};
use catalyst_identity::{Credentials, PeerVerifier, TrustStore, Validity};
use catalyst_names::NodeName;
use catalyst_route_table::Store as RouteStore;
use catalyst_transport::{Event as Input, SessionId as Link, Transport};
use catalyst_wire::NotifyCode;
use tracing::{debug, info, warn};

use crate::admin::{Answer, LayerRow};
use crate::authority::Authority;
use crate::clock::Clocks;
use crate::denied::Denied;
use crate::exposes::Exposes;
use crate::gate::Opened;
use crate::last_seen::LastSeen;
use crate::limits::Limits;
use crate::mesh::Change;
use crate::overlay::Overlay;
use crate::peers::Peers;
use crate::persist::Owed;
use crate::ports::OpenPort;
use crate::record::Recorder;
use crate::remember::Remembered;
use crate::renewal::Renewal;
use crate::revocations::Revocations;
use crate::rules::Rules;
use crate::services::Board;
use crate::tables::Tables;
use crate::talk::Talk;
use crate::write::Write;

/// What the engine knows beside the core: for answers, not for decisions.
pub(crate) struct Facts {
    /// As it is after all changes at run time.
    pub(crate) config: Config,
    pub(crate) trust: TrustStore,
    pub(crate) build: &'static str,
    /// When the node's certificate is good.
    pub(crate) certificate: Validity,
    pub(crate) store_notice: Option<String>,
    /// What is in force and not on the disk.
    pub(crate) owed: Owed,
    pub(crate) exposed: Vec<OpenPort>,
    /// Where HTTP clients reach services by Host.
    pub(crate) http: Option<std::net::SocketAddr>,
    /// Why the last dial of a peer failed, or its connection was lost, since its last session came up.
    pub(crate) dial_errors: BTreeMap<NodeName, String>,
    /// How the agreement that a peer holds differs from ours, since its last session came up.
    #[cfg(feature = "mesh")]
    pub(crate) disagreements: BTreeMap<NodeName, String>,
    pub(crate) max_routes: usize,
    /// Where each peer was seen last, newest first.
    pub(crate) remotes: BTreeMap<NodeName, Vec<std::net::SocketAddr>>,
    /// Who carries flows has heard all that a node starts with, and then also what its neighbours have told.
    pub(crate) started: bool,
    pub(crate) complete: bool,
    /// This node stops.
    pub(crate) stopping: bool,
    /// It drains, or has drained.
    #[cfg(feature = "mesh")]
    pub(crate) draining: Option<crate::drain::Draining>,
    /// The peer that has just said that it stops.
    pub(crate) leaving: Option<NodeName>,
    /// How the services are that this node runs or checks.
    pub(crate) local: Arc<Board>,
    /// Services whose checks fail, or have not succeeded yet.
    #[cfg(feature = "mesh")]
    pub(crate) failing: std::collections::BTreeSet<catalyst_names::ServiceLabel>,
    /// What the system does not permit.
    pub(crate) denied: Arc<Denied>,
    /// What the shell has given up.
    pub(crate) sandbox: Vec<LayerRow>,
    /// Any number of this run, to spread what all nodes would do at one time.
    pub(crate) spread: u64,
    /// Until when connections that are turned away get no line of their own, by the monotonic clock.
    pub(crate) quiet_until: u64,
    /// Lines that neighbours have caused.
    pub(crate) talk: Talk,
}

impl Facts {
    /// Whether a stranger's doing may have a line of the log now.
    pub(crate) fn may_log(&mut self, mono: u64) -> bool {
        let may = mono >= self.quiet_until;
        if may {
            self.quiet_until = mono + Limits::TURNED_AWAY_MS;
        }
        may
    }

    /// Keeps the last addresses of a configured peer, newest first.
    fn remember(&mut self, peer: &NodeName, remote: std::net::SocketAddr) {
        let known =
            self.config.peers.iter().any(|p| p.node.as_str() == peer.node() && p.org.as_str() == peer.org());
        if !known {
            return;
        }
        let all = self.remotes.entry(peer.clone()).or_default();
        all.retain(|r| *r != remote);
        all.insert(0, remote);
        all.truncate(Limits::REMOTES);
    }
}

/// The core with its surroundings.
pub struct Engine<S> {
    pub(crate) core: Core<S>,
    pub(crate) transport: Arc<Transport>,
    pub(crate) tables: Arc<Tables>,
    pub(crate) clocks: Clocks,
    pub(crate) overlay: Overlay,
    pub(crate) exposes: Exposes,
    pub(crate) rules: Rules,
    pub(crate) peers: Peers,
    pub(crate) remembered: Remembered,
    pub(crate) last_seen: LastSeen,
    pub(crate) authority: Option<Authority>,
    pub(crate) revocations: Revocations,
    /// What neighbours have told and the disk does not have yet.
    pub(crate) unsaved: Option<Write>,
    pub(crate) renewal: Renewal,
    pub(crate) credentials: Credentials,
    pub(crate) verifier: PeerVerifier,
    pub(crate) facts: Facts,
    pub(crate) recorder: Option<Recorder>,
    /// Who watches routes.
    #[cfg(feature = "mesh")]
    pub(crate) watchers: crate::watchers::Watchers,
    /// Who waits until rules that were changed are in force for all routes. Closed, by being dropped, when they are.
    #[cfg(feature = "mesh")]
    pub(crate) judged: Vec<async_channel::Sender<()>>,
    /// Neighbours that are told of nothing before what carries flows lets them use it.
    #[cfg(feature = "mesh")]
    pub(crate) granting: crate::granting::Granting,
}

/// What a request leads to: an answer now, or after a change is on the disk.
pub(crate) enum Outcome {
    /// The answer.
    Done(Result<Answer, String>),
    /// The change is in force; the answer waits until it is written.
    Write(Write, Answer),
    /// The same; it waits until the rules that it changed are in force for all routes, too.
    #[cfg(feature = "mesh")]
    Judged(Write, Answer),
    /// The same as [`Outcome::Write`]; it waits until these ports are closed, too.
    Closed(Vec<Opened>, Write, Answer),
}

impl<S: RouteStore> Engine<S> {
    /// Feeds one event, without draining.
    pub(crate) fn feed(&mut self, event: &Event) {
        let now = self.clocks.now();
        if let Some(recorder) = &mut self.recorder {
            recorder.event(event, now);
        }
        self.core.handle(event, now);
    }

    /// Notes in the recording what the state is now.
    #[cfg(feature = "mesh")]
    pub(crate) fn checkpoint(&mut self) {
        if let Some(recorder) = &mut self.recorder {
            recorder.checkpoint(&self.core.digest());
            recorder.flush();
        }
    }

    /// Feeds what the transport says. Flows are not for the core and must not come here.
    pub(crate) fn transport(&mut self, input: Input) {
        match input {
            Input::SessionUp { session, peer, dialled, remote, carrier } => {
                debug!(%peer, %remote, %carrier, dialled, session = session.0, "a control connection is up");
                self.facts.dial_errors.remove(&peer);
                self.facts.remember(&peer, remote);
                if peer.org() == self.core.state().settings().name.org() {
                    let now = self.clocks.now();
                    self.last_seen.confirm(now.wall, now.mono);
                }
                self.feed(&Event::SessionUp { session: SessionId(session.0), peer, dialled });
            }
            Input::Frame { session, frame } => {
                self.feed(&Event::PeerFrame { session: SessionId(session.0), frame: frame.to_vec() });
            }
            Input::Writable { session, bytes } => {
                self.feed(&Event::Writable { session: SessionId(session.0), bytes });
            }
            Input::SessionDown { session, peer, reason } => {
                debug!(%peer, session = session.0, %reason, "a control connection is gone");
                #[cfg(feature = "mesh")]
                self.forget_frames(SessionId(session.0));
                self.feed(&Event::SessionDown { session: SessionId(session.0) });
                // What NOTIFY said, or this node itself, helps more than how the connection closed after it.
                if self.core.state().peer(&peer).is_some_and(|p| p.last_end == LOST) {
                    self.facts.dial_errors.insert(peer, reason.to_string());
                }
            }
            Input::DialFailed { peer, error, retry_in } => {
                let first = !self.facts.dial_errors.contains_key(&peer);
                if first {
                    warn!(%peer, %error, ?retry_in, "cannot reach a peer; trying on");
                } else {
                    debug!(%peer, %error, ?retry_in, "cannot reach a peer");
                }
                let mut error = error;
                let end = (0..=Limits::REASON).rev().find(|n| error.is_char_boundary(*n)).unwrap_or(0);
                error.truncate(end.min(error.len()));
                self.facts.dial_errors.insert(peer, error);
            }
            Input::Refused { remote, reason } => {
                // A stranger must not be able to fill the disk; 'status' counts every one.
                if self.facts.may_log(self.clocks.now().mono) {
                    info!(%remote, %reason, "a connection was turned away");
                } else {
                    debug!(%remote, %reason, "a connection was turned away");
                }
            }
            Input::Flow { .. } | Input::Packets { .. } | Input::Enrol { .. } => {}
        }
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self) {
        self.feed(&Event::Tick);
    }

    /// When [`Engine::tick`] is due.
    pub(crate) fn deadline(&self) -> Option<std::time::Instant> {
        let core = self.core.next_deadline().map(|mono| self.clocks.at(mono));
        let seen = self.last_seen.due().map(|mono| self.clocks.at(mono));
        let others = core.into_iter().chain(self.remembered.due()).chain(self.renewal.due()).chain(seen);
        #[cfg(feature = "mesh")]
        let others = others.chain(self.leaves_at()).chain(self.granting.due());
        others.min()
    }

    /// Carries out all effects. After every event of a batch: those of 256 frames together would be tens of megabytes.
    pub(crate) fn act(&mut self) {
        while let Some(effect) = self.core.poll_effect() {
            self.carry_out(effect);
        }
        #[cfg(feature = "mesh")]
        self.tell_watchers();
    }

    /// Carries out all effects, then sends all frames that credit allows.
    pub(crate) fn drain(&mut self) {
        self.act();
        let change = if self.complete() { Change::Complete } else { Change::Flush };
        self.tables.mesh().tell(change);
        #[cfg(feature = "mesh")]
        self.wait_for_grants();
        while let Some((session, frame)) = self.core.poll_transmit() {
            #[cfg(feature = "mesh")]
            self.pass(session, Bytes::from(frame));
            #[cfg(not(feature = "mesh"))]
            self.send(session, Bytes::from(frame));
        }
        #[cfg(feature = "mesh")]
        if !self.core.is_judging() {
            self.judged.clear();
        }
        #[cfg(feature = "mesh")]
        if self.recorder.as_ref().is_some_and(|r| r.is_due(self.core.state().table().store().len())) {
            self.checkpoint();
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.flush();
        }
    }

    /// Hands a frame to the transport.
    pub(crate) fn send(&self, session: SessionId, frame: Bytes) {
        if let Err(error) = self.transport.send(Link(session.0), frame) {
            // Its SessionDown is on the way.
            debug!(session = session.0, %error, "a frame was not taken");
        }
    }

    /// Whether a session ends because one of the two nodes stops: nothing that needs a person.
    fn is_orderly(&mut self, notice: &Notice) -> bool {
        match notice {
            Notice::NotifiedBy(peer, NotifyCode::SHUTDOWN, ..) => {
                self.facts.leaving = Some(peer.clone());
                true
            }
            Notice::PeerDown(peer, _) => {
                self.facts.stopping || self.facts.leaving.take_if(|p| p == peer).is_some()
            }
            Notice::SessionEnded(_, NotifyCode::SHUTDOWN, _) => true,
            _ => false,
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Forward(forward) => {
                self.remembered.changed();
                if let Some(why) = self.tables.set_forward(&forward) {
                    warn!(service = %forward.service, why, "a service is known but cannot be used");
                }
            }
            Effect::Grant { peer, service, granted } => {
                if let Some(why) = self.tables.set_grant(&peer, &service, granted) {
                    warn!(%peer, %service, why, "an exported service cannot be used by a peer");
                }
                #[cfg(feature = "mesh")]
                if granted {
                    self.granting.granted(&peer);
                }
            }
            Effect::Close { session, last } => {
                #[cfg(feature = "mesh")]
                self.say_all(session);
                let last = (!last.is_empty()).then(|| Bytes::from(last));
                self.transport.close(Link(session.0), last);
            }
            Effect::Trust { peer, frame } => self.trust_heard(&peer, &frame),
            Effect::Notice(notice) => self.noticed(notice),
        }
    }

    /// Does what a notice asks for, and gives it a line of the log, unless its neighbour has caused too many.
    fn noticed(&mut self, notice: Notice) {
        let orderly = self.is_orderly(&notice);
        match &notice {
            Notice::PeerUp(peer, _) => {
                #[cfg(feature = "mesh")]
                self.facts.disagreements.remove(peer);
                self.tell_neighbour(peer);
                self.remembered.changed();
            }
            #[cfg(feature = "mesh")]
            Notice::NotifiedBy(peer, _, _, document) if !document.is_empty() => {
                self.disagrees(peer, document);
            }
            _ => {}
        }
        let Some(left_out) = self.facts.talk.may(&notice, self.clocks.now().mono) else { return };
        if left_out > 0 {
            warn!(left_out, "lines about the peer of the next one were left out: it caused too many");
        }
        #[cfg(feature = "mesh")]
        if let Notice::NotifiedBy(peer, code, reason, document) = &notice
            && !document.is_empty()
        {
            let difference = self.facts.disagreements.get(peer).cloned().unwrap_or_default();
            // Its own words may be long, and what counts of them is the difference.
            let theirs: String = document.chars().take(Limits::LOGGED).collect();
            warn!(%peer, %code, reason, difference, theirs, "the peer ended the session");
            return;
        }
        if orderly {
            info!("{}", self::orderly(&notice));
        } else {
            log(notice);
        }
    }
}

impl<S: RouteStore> Engine<S> {
    /// Keeps what differs between the agreement that a peer sent with its last word and ours.
    #[cfg(feature = "mesh")]
    fn disagrees(&mut self, peer: &NodeName, theirs: &str) {
        let known = self.core.state().peer(peer).and_then(|p| p.config.agreement.as_ref());
        let Some(agreement) = known else { return };
        let mut ours = String::new();
        if agreement.write_canonical(&mut ours).is_ok() {
            let difference = crate::disagreement::difference(&ours, theirs);
            if !difference.is_empty() {
                self.facts.disagreements.insert(peer.clone(), difference);
            }
        }
    }

    /// Who carries flows hears where a neighbour's mesh port is, or that there is no such neighbour.
    pub(crate) fn tell_neighbour(&self, peer: &NodeName) {
        if self.tables.mesh().get().is_none() {
            return;
        }
        let known = self.core.state().peer(peer).map(|known| known.mesh_address.as_str());
        let (mesh_address, key) = match self.facts.trust.revoked(peer) {
            // It stays configured, but it is nobody.
            Some(None) => (None, None),
            Some(key) => (known, key),
            None => (known, None),
        };
        self.tables.mesh().tell(Change::Neighbour { peer, mesh_address, key });
    }

    /// Who carries flows hears what a node starts with.
    pub(crate) fn tell_all(&mut self) {
        self.facts.started = true;
        if self.tables.mesh().get().is_none() {
            return;
        }
        self.tables.mesh().tell(Change::Identity(&self.credentials));
        self.tell_trust();
        self.facts.config.peers.iter().for_each(|p| self.tell_neighbour(&NodeName::new(&p.node, &p.org)));
        self.tables.mesh().tell(Change::Flush);
    }

    /// Whether for the first time all neighbours have told their tables that this node dials, or that were connected when
    /// it went: they count on it, and it must not forget them for the moment that they need to come back.
    fn complete(&mut self) -> bool {
        if self.facts.complete || self.tables.mesh().get().is_none() {
            return false;
        }
        let state = self.core.state();
        let told = |name: &NodeName| state.peer(name).is_some_and(|peer| peer.synced);
        let awaited = |p: &catalyst_config::Peer, name: &NodeName| {
            p.address.is_some() || self.remembered.was_connected(name)
        };
        let all_told = || {
            self.facts.config.peers.iter().all(|p| {
                let name = NodeName::new(&p.node, &p.org);
                !awaited(p, &name) || told(&name)
            })
        };
        self.facts.complete = self.facts.started && all_told();
        self.facts.complete
    }

    /// Who carries flows hears whom to trust.
    pub(crate) fn tell_trust(&self) {
        if self.tables.mesh().get().is_some() {
            self.tables.mesh().tell(Change::Trust(&self.facts.trust.bundles()));
        }
    }
}

/// The line for an end that somebody wanted.
fn orderly(notice: &Notice) -> String {
    match notice {
        Notice::NotifiedBy(peer, _, reason, _) => format!("{peer} is stopping: {reason}"),
        Notice::PeerDown(peer, _) | Notice::SessionEnded(peer, ..) => {
            format!("the session with {peer} ends in order")
        }
        _ => String::new(),
    }
}

fn log(notice: Notice) {
    match notice {
        Notice::PeerUp(peer, session) => info!(%peer, session = session.0, "the session is established"),
        Notice::PeerDown(peer, why) => warn!(%peer, why, "the session is over"),
        Notice::SessionEnded(peer, code, why) => {
            warn!(%peer, %code, why, "a connection was ended by this node")
        }
        Notice::NotifiedBy(peer, code, reason, document) if document.is_empty() => {
            warn!(%peer, %code, reason, "the peer ended the session");
        }
        Notice::NotifiedBy(peer, code, reason, document) => {
            warn!(%peer, %code, reason, theirs = document, "the peer ended the session");
        }
        Notice::MalformedRoute(peer, what) => {
            warn!(%peer, what, "a malformed route was treated as withdrawn")
        }
        Notice::Clones(peer, runs) => warn!(
            %peer, ?runs, "two processes use the identity of this peer and take turns: a copied board? stop one of \
            them, and give it an identity of its own"
        ),
        Notice::RefreshAsked(peer) => {
            warn!(%peer, "the peer's digest does not fit what is held of it; its table is asked for once more");
        }
        Notice::NearLimit(peer) => warn!(%peer, "the peer has used 80 % of its limit"),
        Notice::Refusing(peer, why) => warn!(%peer, why, "routes of the peer are refused; those held stay"),
        Notice::RefusedBy(peer, 0, _) => info!(%peer, "the peer refuses no route of this node any more"),
        Notice::RefusedBy(peer, count, why) => {
            warn!(%peer, count, why, "the peer refuses routes of this node")
        }
        Notice::InterestCut(count) => {
            warn!(
                count,
                "this node wants to hear of too many services: neighbours are not asked for the rest"
            )
        }
        Notice::ServiceRefused(service, why) => warn!(%service, why, "a service was not taken"),
        Notice::PluginConflict(what) => warn!("{what}"),
        Notice::PolicyRefused(why) => warn!("the new rules are not taken, the old ones stay: {why}"),
    }
}
