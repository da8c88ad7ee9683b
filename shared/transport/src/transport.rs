//! The handle: what the shell calls.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_channel::Sender;
use bytes::Bytes;
use catalyst_identity::{Credentials, PeerVerifier};
use catalyst_tunnel::StreamHeader;
use catalyst_tunnel::names::NodeName;
use quinn::{Endpoint, EndpointConfig, Runtime, ServerConfig};

use crate::config::{Carrier, DialTarget, TransportConfig};
use crate::error::{FlowError, SendError, TransportError};
use crate::event::{Event, SessionId};
use crate::flow::FlowStream;
use crate::limits::Limits;
use crate::packets::{PacketCounters, PacketFlow};
use crate::place::Catching;
use crate::profile::LinkProfile;
use crate::quic::{self, Dialling};
use crate::rt::{Bell, Rt, Signal, lock};
use crate::state::{Configured, Dialler, Shared};
use crate::{accept, code, data, dial};

/// A running driver. Dropping it cuts everything; [`Transport::shutdown`] ends it in order.
#[derive(Debug)]
pub struct Transport {
    shared: Arc<Shared>,
    local: SocketAddr,
    /// Makes the configuration of the accepting side; `None` if there is none. Only [`Transport::start`] names it,
    /// so that a program that only dials has no code of a server in it.
    server: Option<MakeServer>,
}

type MakeServer = fn(&Credentials, &PeerVerifier, &Limits, &LinkProfile) -> Result<Accepting, TransportError>;

/// The accepting side's TLS, for each carrier.
type Accepting = (ServerConfig, Arc<rustls::ServerConfig>);

fn accepting(
    credentials: &Credentials,
    verifier: &PeerVerifier,
    limits: &Limits,
    profile: &LinkProfile,
) -> Result<Accepting, TransportError> {
    let quic = quic::server(credentials, verifier, limits, profile)?;
    Ok((quic, quic::tcp_server(credentials, verifier)?))
}

/// When the system chooses the port, so often a UDP port is tried whose number is free for TCP as well.
const PORTS: usize = 16;

/// Counters since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Control sessions that are up.
    pub sessions: usize,
    /// Connections that were turned away before they became sessions.
    pub refused: u64,
    /// Sessions that ended because the peer broke the protocol.
    pub protocol_errors: u64,
    /// Flows of bytes that were reset because their readers stood still.
    pub stood_still: u64,
    /// Flows for which a peer's limit left no stream.
    pub unopened: u64,
}

impl Transport {
    /// Opens the socket and starts to listen, if asked to. Must be called where `runtime` can make sockets: with
    /// tokio, inside its context. Where the configuration has another place for flows, both must start tasks in their
    /// own place, whoever calls.
    ///
    /// # Errors
    /// Says what about the socket or the identity is wrong, and how to mend it.
    pub fn start(
        config: TransportConfig,
        runtime: Arc<dyn Runtime>,
        events: Sender<Event>,
    ) -> Result<Transport, TransportError> {
        if !config.listen {
            return Self::start_dialling(config, runtime, events);
        }
        let tcp = config.tcp.clone();
        let mut tries = if config.bind.port() == 0 { PORTS } else { 1 };
        loop {
            let transport =
                Self::open(config.clone(), Arc::clone(&runtime), events.clone(), Some(accepting))?;
            let listener = match tcp.as_ref().map(|tcp| tcp.listen(transport.local)).transpose() {
                Err(_) if tries > 1 => {
                    tries -= 1;
                    continue;
                }
                listener => listener.map_err(|e| TransportError::socket(transport.local, "tcp", e))?,
            };
            let shared = &transport.shared;
            shared.rt.spawn(accept::run(Arc::clone(shared)));
            if let Some(listener) = listener {
                shared.rt.spawn(accept::run_tcp(Arc::clone(shared), listener));
            }
            return Ok(transport);
        }
    }

    /// As [`Transport::start`], for a node that only dials, whatever [`TransportConfig::listen`] says.
    ///
    /// # Errors
    /// As [`Transport::start`].
    pub fn start_dialling(
        config: TransportConfig,
        runtime: Arc<dyn Runtime>,
        events: Sender<Event>,
    ) -> Result<Transport, TransportError> {
        Self::open(config, runtime, events, None)
    }

    fn open(
        config: TransportConfig,
        runtime: Arc<dyn Runtime>,
        events: Sender<Event>,
        server: Option<MakeServer>,
    ) -> Result<Transport, TransportError> {
        let TransportConfig {
            bind,
            credentials,
            verifier,
            prefer_chacha,
            flows,
            tcp,
            resolver,
            profile,
            limits,
            seed,
            ..
        } = config;
        let failed = |source| TransportError::socket(bind, "udp", source);
        let (accepting, tcp_server) =
            server.map(|make| make(&credentials, &verifier, &limits, &profile)).transpose()?.unzip();
        let socket = UdpSocket::bind(bind).map_err(failed)?;
        let of_endpoint = match &flows {
            Some(_) => Arc::new(Catching(Arc::clone(&runtime))),
            None => Arc::clone(&runtime),
        };
        let places = [Arc::clone(&runtime), flows.unwrap_or(runtime)].map(Rt::new);
        let endpoint =
            Endpoint::new(EndpointConfig::default(), accepting, socket, of_endpoint).map_err(failed)?;
        let local = endpoint.local_addr().map_err(failed)?;
        let dialling = Dialling::new(credentials, verifier, prefer_chacha);
        let shared = Shared::new(places, endpoint, events, limits, profile, seed, resolver, tcp, dialling);
        if let Some(config) = tcp_server {
            shared.set_tcp_server(config);
        }
        Ok(Transport { shared, local, server })
    }

    /// The address of the socket; useful after binding port 0.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Configures a neighbour; with an address it is dialled from now on, again after every loss. A changed
    /// address closes the session that was dialled to the old one.
    pub fn set_peer(&self, target: DialTarget) {
        let DialTarget { name, address, profile, via } = target;
        let dialler = address.map(|address| Dialler {
            address,
            via,
            stop: Signal::new(),
            now: Bell::new(),
            free: Bell::new(),
        });
        let Configured { start, stop } = self.shared.set_peer(&name, profile, dialler);
        if let Some(old) = stop {
            old.stop.raise();
        }
        if let Some(new) = start {
            self.shared.rt.spawn(dial::run(Arc::clone(&self.shared), name, new));
        }
    }

    /// Forgets a neighbour: stops to dial it, closes its sessions in order.
    pub fn remove_peer(&self, name: &NodeName) {
        if let Some(old) = self.shared.remove_peer(name) {
            old.stop.raise();
        }
        for outbox in self.shared.sessions(name) {
            outbox.finish(None);
        }
    }

    /// Cuts the wait of the neighbour's dialler short: for a link that just came up.
    pub fn dial_now(&self, name: &NodeName) {
        if let Some(dialler) = self.shared.dialler(name) {
            dialler.now.ring();
        }
    }

    /// What carries a session that is up.
    #[must_use]
    pub fn carrier(&self, session: SessionId) -> Option<Carrier> {
        self.shared.carrier(session)
    }

    /// Queues one whole frame.
    ///
    /// # Errors
    /// When the session is over, or the frame exceeds its credit; the latter closes the session.
    pub fn send(&self, session: SessionId, frame: Bytes) -> Result<(), SendError> {
        self.shared.outbox(session).ok_or(SendError::Closed)?.send(frame)
    }

    /// Closes a session in order: what is queued, then `last`, whatever the credit. The peer has
    /// [`crate::Limits::close`] to take it. `SessionDown` follows.
    pub fn close(&self, session: SessionId, last: Option<Bytes>) {
        if let Some(outbox) = self.shared.outbox(session) {
            outbox.finish(last);
        }
    }

    /// Opens a flow to a neighbour with which there is a session; waits for its answer.
    ///
    /// # Errors
    /// The neighbour's refusal, or why there was none.
    pub async fn open_flow(&self, peer: &NodeName, header: &StreamHeader) -> Result<FlowStream, FlowError> {
        data::open_flow(&self.shared, peer, header).await
    }

    /// Opens a flow of packets to a neighbour with which there is a session; waits for its answer. `header` must say
    /// that it is one.
    ///
    /// # Errors
    /// The neighbour's refusal, or why there was none.
    pub async fn open_packets(
        &self,
        peer: &NodeName,
        header: &StreamHeader,
    ) -> Result<PacketFlow, FlowError> {
        data::open_packets(&self.shared, peer, header).await
    }

    /// What was carried in packets and what was dropped. The shell counts what it carries here too.
    #[must_use]
    pub fn packets(&self) -> &Arc<PacketCounters> {
        &self.shared.packets
    }

    /// Uses a renewed certificate for every handshake from now on; what is connected stays.
    ///
    /// # Errors
    /// When the identity makes no TLS configuration; the old one stays in use then.
    pub fn set_identity(
        &self,
        credentials: Credentials,
        verifier: PeerVerifier,
    ) -> Result<(), TransportError> {
        let shared = &self.shared;
        if let Some(make) = self.server {
            let (server, tcp) = make(&credentials, &verifier, &shared.limits, &shared.profile)?;
            shared.endpoint.set_server_config(Some(server));
            shared.set_tcp_server(tcp);
        }
        lock(&shared.dialling).renew(credentials, verifier);
        Ok(())
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            sessions: self.shared.session_count(),
            refused: self.shared.refused.load(Ordering::Relaxed),
            protocol_errors: self.shared.protocol_errors.load(Ordering::Relaxed),
            stood_still: self.shared.stood_still.load(Ordering::Relaxed),
            unopened: self.shared.unopened.load(Ordering::Relaxed),
        }
    }

    /// Closes all sessions in order and the socket after them, within about twice [`crate::Limits::close`].
    pub async fn shutdown(&self) {
        let shared = &self.shared;
        shared.stop.raise();
        let gone = async {
            while shared.session_count() > 0 {
                shared.empty.heard().await;
            }
        };
        // Late ones are cut by the next line.
        let _ = shared.rt.timeout(shared.limits.close * 3 / 2, gone).await;
        shared.endpoint.close(code::CLOSED, b"");
        let _ = shared.rt.timeout(shared.limits.close / 2, shared.endpoint.wait_idle()).await;
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        self.shared.stop.raise();
        self.shared.endpoint.close(code::CLOSED, b"");
    }
}
