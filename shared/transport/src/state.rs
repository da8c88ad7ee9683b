//! What all tasks of the driver share: who is connected, and to whom connections are wanted.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_channel::Sender;
use catalyst_tunnel::names::NodeName;
use quinn::Endpoint;

use crate::code;
use crate::config::{Carrier, Resolver, Via};
use crate::event::{DownReason, Event, SessionId};
use crate::limits::Limits;
use crate::outbox::Outbox;
use crate::packets::{DataConn, PacketCounters};
use crate::profile::LinkProfile;
use crate::quic::Dialling;
use crate::rt::{Bell, Rt, Signal, lock};
use crate::tcp::TcpRuntime;
use crate::visitors::Visitors;

/// What a task that waits for a data connection gets.
#[derive(Clone)]
pub(crate) enum DataAnswer {
    Here(DataConn),
    Failed(String),
    /// The session that it would have belonged to has ended; there may be another.
    Again,
}

/// Shared by the handle and every task.
pub(crate) struct Shared {
    /// Sessions and all that is not said to live with the flows.
    pub rt: Rt,
    /// Data connections, their flows, and who comes new; the same where sessions have no place of their own.
    pub flows: Rt,
    pub endpoint: Endpoint,
    pub events: Sender<Event>,
    pub limits: Limits,
    pub profile: LinkProfile,
    pub seed: u64,
    pub resolver: Resolver,
    pub tcp: Option<Arc<dyn TcpRuntime>>,
    tcp_server: Mutex<Option<Arc<rustls::ServerConfig>>>,
    pub dialling: Mutex<Dialling>,
    /// The whole driver stops.
    pub stop: Signal,
    /// Rings when the last session has gone.
    pub empty: Bell,
    pub refused: AtomicU64,
    /// One reference for each exchange under way, and this one.
    pub enrolling: Arc<()>,
    pub visitors: Arc<Visitors>,
    pub protocol_errors: AtomicU64,
    pub packets: Arc<PacketCounters>,
    /// Flows that were cut because they stood still.
    pub stood_still: AtomicU64,
    /// Flows for which the peer's limit left no stream.
    pub unopened: AtomicU64,
    state: Mutex<State>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}

#[derive(Default)]
struct State {
    last_session: u64,
    sessions: BTreeMap<SessionId, Session>,
    /// Boxed: a tree keeps room for eleven values at once, and most nodes have few peers.
    peers: BTreeMap<NodeName, Box<Peer>>,
    handshakes: usize,
}

/// One control connection.
struct Session {
    peer: NodeName,
    dialled: bool,
    remote: SocketAddr,
    carrier: Carrier,
    outbox: Arc<Outbox>,
}

/// A neighbour that is configured, connected, or both.
#[derive(Default)]
struct Peer {
    dialler: Option<Dialler>,
    profile: Option<LinkProfile>,
    /// Each belongs to a session and goes with it; newest last.
    data: Vec<(SessionId, DataConn)>,
    /// This node is dialling the data connection of this session.
    dialling: Option<SessionId>,
    /// The peer was asked over this session to dial it.
    asked: Option<(SessionId, Instant)>,
    waiting: Vec<Sender<DataAnswer>>,
}

/// The task that dials one peer.
#[derive(Clone)]
pub(crate) struct Dialler {
    pub address: String,
    pub via: Via,
    pub stop: Signal,
    /// "Do not wait, dial now."
    pub now: Bell,
    /// "A session with this peer has ended."
    pub free: Bell,
}

/// What to do about a data connection that is not there.
pub(crate) enum DataPlan {
    /// Here it is.
    Have(DataConn),
    /// This node dialled this session, and must dial: wait for the answer on the channel.
    Dial(SessionId, SocketAddr, Carrier),
    /// The peer must dial: send it DIAL_DATA on this session.
    Ask(Arc<Outbox>),
    /// Somebody is at it already.
    Wait,
    /// There is no session.
    NoSession,
    /// Too many wait.
    Full,
}

impl Shared {
    #[allow(clippy::too_many_arguments)]
    pub fn new(
        [rt, flows]: [Rt; 2],
        endpoint: Endpoint,
        events: Sender<Event>,
        limits: Limits,
        profile: LinkProfile,
        seed: u64,
        resolver: Resolver,
        tcp: Option<Arc<dyn TcpRuntime>>,
        dialling: Dialling,
    ) -> Arc<Self> {
        Arc::new(Shared {
            rt,
            flows,
            endpoint,
            events,
            limits,
            profile,
            seed,
            resolver,
            tcp,
            tcp_server: Mutex::default(),
            dialling: Mutex::new(dialling),
            stop: Signal::new(),
            empty: Bell::new(),
            refused: AtomicU64::new(0),
            enrolling: Arc::default(),
            visitors: Arc::default(),
            protocol_errors: AtomicU64::new(0),
            packets: Arc::default(),
            stood_still: AtomicU64::new(0),
            unopened: AtomicU64::new(0),
            state: Mutex::default(),
        })
    }

    /// Hands an event to the shell; waits while the channel is full. Without a reader nothing more matters.
    pub async fn emit(&self, event: Event) {
        let _ = self.events.send(event).await;
    }

    /// Counts somebody who was turned away, and says so if there is room.
    pub fn refuse(&self, remote: SocketAddr, reason: String) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(%remote, reason, "refused a connection");
        let _ = self.events.try_send(Event::Refused { remote, reason });
    }

    /// The TLS of the accepting side over TCP, if this node accepts.
    pub fn tcp_server(&self) -> Option<Arc<rustls::ServerConfig>> {
        lock(&self.tcp_server).clone()
    }

    pub fn set_tcp_server(&self, config: Arc<rustls::ServerConfig>) {
        *lock(&self.tcp_server) = Some(config);
    }

    /// Takes one of the places for handshakes; `false` when none is free.
    pub fn begin_handshake(&self) -> bool {
        let mut state = lock(&self.state);
        let free = state.handshakes < self.limits.handshakes;
        state.handshakes += usize::from(free);
        free
    }

    /// Whether so many handshakes are under way that callers must prove their address first.
    pub fn is_busy(&self) -> bool {
        lock(&self.state).handshakes * 2 >= self.limits.handshakes
    }

    pub fn end_handshake(&self) {
        lock(&self.state).handshakes -= 1;
    }

    /// The profile of the link to `peer`.
    pub fn profile_of(&self, peer: &NodeName) -> LinkProfile {
        lock(&self.state).peers.get(peer).and_then(|p| p.profile).unwrap_or(self.profile)
    }

    /// How long the handshake of a node may take that nobody has named yet: as long as that of any neighbour.
    pub fn longest_connect(&self) -> Duration {
        let state = lock(&self.state);
        let profiles = state.peers.values().filter_map(|p| p.profile).chain([self.profile]);
        profiles.map(|p| p.connect).max().unwrap_or_default()
    }

    // Sessions.

    pub fn session_count(&self) -> usize {
        lock(&self.state).sessions.len()
    }

    /// Peers with a session.
    pub fn peers_up(&self) -> usize {
        let state = lock(&self.state);
        state.sessions.values().map(|s| &s.peer).collect::<std::collections::BTreeSet<_>>().len()
    }

    pub fn has_session(&self, peer: &NodeName) -> bool {
        lock(&self.state).sessions.values().any(|s| s.peer == *peer)
    }

    /// Enters a session; the oldest of the peer's goes if there are too many.
    pub fn add_session(
        &self,
        peer: &NodeName,
        dialled: bool,
        remote: SocketAddr,
        carrier: Carrier,
    ) -> (SessionId, Arc<Outbox>) {
        let outbox = Arc::new(Outbox::new());
        let mut state = lock(&self.state);
        let of_peer: Vec<_> = state.sessions.values().filter(|s| s.peer == *peer).collect();
        if of_peer.len() >= Limits::CONTROL_PER_PEER
            && let Some(oldest) = of_peer.first()
        {
            oldest.outbox.kill(DownReason::Replaced);
        }
        state.last_session += 1;
        let id = SessionId(state.last_session);
        let session = Session { peer: peer.clone(), dialled, remote, carrier, outbox: Arc::clone(&outbox) };
        state.sessions.insert(id, session);
        state.peers.entry(peer.clone()).or_default();
        (id, outbox)
    }

    /// Removes a session, and its data connections with it.
    pub fn remove_session(&self, id: SessionId) {
        let mut state = lock(&self.state);
        let Some(Session { peer: name, .. }) = state.sessions.remove(&id) else { return };
        if state.sessions.is_empty() {
            self.empty.ring();
        }
        let connected = state.sessions.values().any(|s| s.peer == name);
        let Some(peer) = state.peers.get_mut(&name) else { return };
        peer.data.retain(|(session, connection)| {
            if *session == id {
                connection.close(code::CLOSED, b"the session has ended");
            }
            *session != id
        });
        peer.answer(&DataAnswer::Again);
        if connected {
            return;
        }
        if let Some(dialler) = &peer.dialler {
            dialler.free.ring();
        } else if peer.profile.is_none() {
            state.peers.remove(&name);
        }
    }

    pub fn outbox(&self, id: SessionId) -> Option<Arc<Outbox>> {
        lock(&self.state).sessions.get(&id).map(|s| Arc::clone(&s.outbox))
    }

    pub fn carrier(&self, id: SessionId) -> Option<Carrier> {
        lock(&self.state).sessions.get(&id).map(|s| s.carrier)
    }

    /// The sessions with a peer, oldest first.
    pub fn sessions(&self, peer: &NodeName) -> Vec<Arc<Outbox>> {
        let state = lock(&self.state);
        state.sessions.values().filter(|s| s.peer == *peer).map(|s| Arc::clone(&s.outbox)).collect()
    }

    // Diallers.

    /// Configures a peer; returns the dialler that was there before, and whether it must go.
    pub fn set_peer(
        &self,
        name: &NodeName,
        profile: Option<LinkProfile>,
        dialler: Option<Dialler>,
    ) -> Configured {
        let mut state = lock(&self.state);
        let peer = state.peers.entry(name.clone()).or_default();
        peer.profile = Some(profile.unwrap_or(self.profile));
        match (&peer.dialler, dialler) {
            (Some(old), Some(new)) if (&old.address, old.via) == (&new.address, new.via) => {
                Configured { start: None, stop: None }
            }
            (_, new) => Configured { stop: std::mem::replace(&mut peer.dialler, new.clone()), start: new },
        }
    }

    /// Forgets a peer's configuration; returns its dialler.
    pub fn remove_peer(&self, name: &NodeName) -> Option<Dialler> {
        let mut state = lock(&self.state);
        let connected = state.sessions.values().any(|s| s.peer == *name);
        let peer = state.peers.get_mut(name)?;
        peer.profile = None;
        let dialler = peer.dialler.take();
        if !connected {
            state.peers.remove(name);
        }
        dialler
    }

    pub fn dialler(&self, name: &NodeName) -> Option<Dialler> {
        lock(&self.state).peers.get(name)?.dialler.clone()
    }

    // Data connections.

    /// What a new flow to `name` needs; unless the connection is there, `waiter` gets the answer. Only a
    /// connection of the newest session counts: those of an older one may lead to a process that is gone.
    pub fn plan_data(&self, name: &NodeName, waiter: Sender<DataAnswer>) -> DataPlan {
        let now = self.rt.now();
        let mut state = lock(&self.state);
        let State { sessions, peers, .. } = &mut *state;
        let Some((id, session)) = sessions.iter().rfind(|(_, s)| s.peer == *name) else {
            return DataPlan::NoSession;
        };
        let peer = peers.entry(name.clone()).or_default();
        if let Some(connection) = peer.live_data(*id) {
            return DataPlan::Have(connection);
        }
        peer.waiting.retain(|w| !w.is_closed());
        if peer.waiting.len() >= self.limits.waiting_flows {
            return DataPlan::Full;
        }
        peer.waiting.push(waiter);
        if session.dialled {
            if peer.dialling.replace(*id) == Some(*id) {
                return DataPlan::Wait;
            }
            return DataPlan::Dial(*id, session.remote, session.carrier);
        }
        // One question at a time; it is repeated only when the peer had time enough to answer.
        let patience = peer.profile.unwrap_or(self.profile).connect;
        let fresh =
            |(over, at): (SessionId, Instant)| over == *id && now.saturating_duration_since(at) < patience;
        if peer.asked.is_some_and(fresh) {
            return DataPlan::Wait;
        }
        peer.asked = Some((*id, now));
        DataPlan::Ask(Arc::clone(&session.outbox))
    }

    /// The peer asks over this session for a data connection: where to, if this node dialled the session and has
    /// neither a connection nor a dial of it under way.
    pub fn must_dial_data(&self, id: SessionId) -> Option<(SocketAddr, Carrier)> {
        let mut state = lock(&self.state);
        let State { sessions, peers, .. } = &mut *state;
        let session = sessions.get(&id).filter(|s| s.dialled)?;
        let peer = peers.get_mut(&session.peer)?;
        let idle = peer.live_data(id).is_none() && peer.dialling.replace(id) != Some(id);
        idle.then_some((session.remote, session.carrier))
    }

    /// The dial of a data connection has failed.
    pub fn data_failed(&self, name: &NodeName, id: SessionId, why: String) {
        if let Some(peer) = lock(&self.state).peers.get_mut(name)
            && peer.dialling.take_if(|d| *d == id).is_some()
        {
            peer.answer(&DataAnswer::Failed(why));
        }
    }

    /// Enters a data connection and hands it to those who wait. It belongs to the session for which this node
    /// dialled it, or to the newest that the peer dialled the same way; `false` without one: the caller closes it.
    pub fn add_data(&self, name: &NodeName, connection: &DataConn, dialled_for: Option<SessionId>) -> bool {
        let mut state = lock(&self.state);
        let State { sessions, peers, .. } = &mut *state;
        let Some(peer) = peers.get_mut(name) else { return false };
        let id = match dialled_for {
            Some(id) => {
                peer.dialling.take_if(|d| *d == id);
                sessions.contains_key(&id).then_some(id)
            }
            None => {
                let carrier = connection.carrier();
                let theirs = |s: &Session| s.peer == *name && !s.dialled && s.carrier == carrier;
                sessions.iter().rfind(|(_, s)| theirs(s)).map(|(id, _)| *id)
            }
        };
        let Some(id) = id else { return false };
        peer.asked.take_if(|(over, _)| *over == id);
        peer.data.retain(|(_, c)| !c.is_over());
        if peer.data.len() >= Limits::DATA_PER_PEER {
            peer.data.remove(0).1.close(code::REPLACED, b"a newer data connection took its place");
        }
        peer.data.push((id, connection.clone()));
        peer.answer(&DataAnswer::Here(connection.clone()));
        true
    }

    /// Forgets a data connection that has ended.
    pub fn remove_data(&self, name: &NodeName, connection: &DataConn) {
        if let Some(peer) = lock(&self.state).peers.get_mut(name) {
            peer.data.retain(|(_, c)| !c.is(connection));
        }
    }
}

/// What `set_peer` found.
pub(crate) struct Configured {
    pub start: Option<Dialler>,
    pub stop: Option<Dialler>,
}

impl Peer {
    fn live_data(&mut self, of: SessionId) -> Option<DataConn> {
        self.data.retain(|(_, c)| !c.is_over());
        self.data.iter().rfind(|(session, _)| *session == of).map(|(_, c)| c.clone())
    }

    fn answer(&mut self, answer: &DataAnswer) {
        for waiter in self.waiting.drain(..) {
            let _ = waiter.try_send(answer.clone());
        }
    }
}
