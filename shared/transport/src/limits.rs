//! Every capacity of the driver.

use std::time::Duration;

/// Capacities. Each node chooses its own; the two below are made for a board and for a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Peers with control sessions. When full: another peer that dials is told so and refused; sessions that are up stay.
    pub sessions: usize,
    /// Handshakes under way on the accepting side. When full: new ones are refused before any work is done for
    /// them; from half of it on, a caller must first prove its address (RFC 9000 section 8.1.2).
    pub handshakes: usize,
    /// Flows that one peer may have open towards this node. When full: the peer's next flow waits a quarter of `LinkProfile::answer` for one to
    /// end, and is refused then.
    pub flows_per_peer: u32,
    /// Flows that wait for a data connection to one peer. When full: `open_flow` answers at once that it is.
    pub waiting_flows: usize,
    /// Unacknowledged and unread bytes of one connection. When full: the sender waits, with all its flows. Flows whose
    /// reader stands still hold a `stream_window` of it each, so this should be many times as much.
    pub receive_window: u32,
    /// The same of a control connection, which carries frames of 16 KiB one after the other.
    pub control_window: u32,
    /// The same of one stream. When full: that stream's sender waits, others go on.
    pub stream_window: u32,
    /// Bytes that QUIC keeps until they are acknowledged, for each connection. When full: writers wait.
    pub send_window: u64,
    /// Bytes of packets in datagrams that wait on one connection in each direction, 64 for each packet included. When
    /// full: the flow that holds most loses its oldest packet, which is counted.
    pub datagrams: usize,
    /// Bytes of packets on streams, too long for a datagram, that are not whole on one connection, in each direction.
    /// When full: the next such packet is dropped and counted.
    pub large_packets: usize,
    /// How long a session that is being closed waits for the peer to take its last frames.
    pub close: Duration,
}

impl Limits {
    /// Bytes of frames that the core may hand over before it must wait for `Writable`. When exceeded: the session is closed.
    pub const SESSION_CREDIT: usize = 64 * 1024;
    /// Flows whose readers have taken nothing for so long, although there is something, stand still. As many as fill
    /// three quarters of the window may do so on one connection. When more: those that stand longest are reset.
    pub const STANDING: Duration = Duration::from_secs(2);
    /// How often a connection with so many flows is looked at.
    pub(crate) const STANDING_LOOK: Duration = Duration::from_millis(500);
    /// Exchanges with nodes that want a certificate, at one time. When full: the next one is told so and refused.
    pub const ENROL: usize = 64;
    /// Joins that one address may try at once. When full: the next one is told so and refused, until one has returned.
    /// Renewals, with a certificate in hand, are not counted.
    pub const JOIN_TRIES: u32 = 20;
    /// A try returns after so long; one that ended with a certificate at once.
    pub const JOIN_EVERY: Duration = Duration::from_secs(3);
    /// Addresses whose tries are remembered. When full: the one that was here longest ago is forgotten.
    pub const JOIN_SOURCES: usize = 1024;
    /// Bytes of one message of such an exchange. When more: it ends.
    pub const ENROL_MESSAGE: usize = 32 * 1024;
    /// QUIC may go without an answer for so long before the asking side of an exchange tries TCP as well.
    pub const ENROL_HEAD_START: Duration = Duration::from_secs(3);
    /// How long each step of such an exchange may take. When over: it ends.
    pub const ENROL_PATIENCE: Duration = Duration::from_secs(15);
    /// Flows that a peer may open on a new data connection; doubled, up to [`Limits::flows_per_peer`], whenever half
    /// of what it may open is open: QUIC keeps 84 bytes for each stream that is allowed, open or not. When full:
    /// the peer's next flow waits for the doubling, one round trip.
    pub const FLOWS_AT_FIRST: u32 = 64;
    /// Bytes of flows that one TCP connection keeps before the system takes them. When full: writers wait, each in
    /// its turn.
    pub const TCP_QUEUE: usize = 64 * 1024;
    /// Bytes of frames without data that one TCP connection keeps. When full: the connection is closed, for a peer
    /// that makes this node say so much takes nothing.
    pub const TCP_CONTROL: usize = 256 * 1024;
    /// A data connection over TCP on which nothing comes for so long, not even an answer to a ping, is closed.
    pub const TCP_DATA_SILENCE: Duration = Duration::from_secs(60);
    /// What TLS keeps of one TCP connection: a record in each direction, and what the system has not taken.
    const TLS: usize = 128 * 1024;
    /// Bytes of packets that wait for the stream of one flow, if more than one packet does. When full: the newest is
    /// dropped and counted.
    pub const STREAM_BACKLOG: usize = 32 * 1024;
    /// Control connections of one peer: two while a double dial is being settled. When full: the newest replaces the oldest.
    pub const CONTROL_PER_PEER: usize = 2;
    /// Data connections of one peer. When full: the newest replaces the oldest.
    pub const DATA_PER_PEER: usize = 2;
    /// The smallest window of a connection.
    pub const LEAST_WINDOW: u32 = 64 * 1024;
    /// The smallest window of a stream.
    pub const LEAST_STREAM_WINDOW: u32 = 16 * 1024;
    /// What QUIC keeps for a stream that the peer may open, whether it is open or not.
    const STREAM: usize = 96;
    /// What a connection takes without any byte in it.
    const CONNECTION: usize = 64 * 1024;
    /// Addresses of one host name that a dialler tries in turn. When full: the rest is left out.
    pub const ADDRESSES: usize = 8;

    /// For a board: the windows that keep QUIC below 1 MB under load.
    pub const EDGE: Limits = Limits {
        sessions: 16,
        handshakes: 16,
        flows_per_peer: 1024,
        waiting_flows: 1024,
        receive_window: 16 * 64 * 1024,
        control_window: 64 * 1024,
        stream_window: 64 * 1024,
        send_window: 256 * 1024,
        datagrams: 64 * 1024,
        large_packets: 256 * 1024,
        close: Duration::from_millis(500),
    };

    /// For a server: windows for 100 Mbit/s over 80 ms.
    pub const CLOUD: Limits = Limits {
        sessions: 4096,
        handshakes: 256,
        flows_per_peer: 4096,
        waiting_flows: 1024,
        receive_window: 32 * 1024 * 1024,
        control_window: 1024 * 1024,
        stream_window: 1024 * 1024,
        send_window: 4 * 1024 * 1024,
        datagrams: 256 * 1024,
        large_packets: 4 * 1024 * 1024,
        close: Duration::from_millis(500),
    };

    /// Flows that may stand still on one connection; what they leave of its window is for the others.
    #[must_use]
    pub fn standing_flows(&self) -> usize {
        let windows = self.receive_window / self.stream_window.max(1);
        (windows as usize * 3 / 4).max(1)
    }

    /// Flows that a peer may have open on a new data connection.
    pub(crate) fn flows_at_first(&self) -> u32 {
        Self::FLOWS_AT_FIRST.min(self.flows_per_peer)
    }

    /// Windows of a connection, of one of its streams, and of what it sends.
    pub(crate) fn windows(&self, control: bool) -> (u32, u32, u64) {
        if control {
            (self.control_window, self.control_window, u64::from(self.control_window))
        } else {
            (self.receive_window, self.stream_window, self.send_window)
        }
    }

    /// With another window for the flows of each peer; those of streams and of what is sent follow it.
    #[must_use]
    pub fn with_window(self, bytes: u32) -> Limits {
        let receive_window = bytes.max(Self::LEAST_WINDOW);
        let stream_window = (receive_window / 16).clamp(Self::LEAST_STREAM_WINDOW, self.stream_window);
        let send_window =
            u64::from(receive_window / 4).clamp(u64::from(Self::LEAST_WINDOW), self.send_window);
        Limits { receive_window, stream_window, send_window, ..self }
    }

    /// For at most so many peers.
    #[must_use]
    pub fn with_peers(self, sessions: usize) -> Limits {
        Limits { sessions, ..self }
    }

    /// An upper bound of the bytes that all sessions together may hold at once.
    #[must_use]
    pub fn max_bytes(&self) -> usize {
        let send = usize::try_from(self.send_window).unwrap_or(usize::MAX / 4);
        let streams = (self.flows_per_peer as usize).saturating_mul(Self::STREAM);
        // What is received in small pieces is copied together when less than half of its room is used.
        let quic = |window: usize, send: usize| 2 * window + send + 2 * self.datagrams + Self::CONNECTION;
        // A buffer that grows may have room for twice what it holds.
        let tcp =
            |window: usize| 2 * window + Self::TCP_QUEUE + Self::TCP_CONTROL + Self::TLS + Self::CONNECTION;
        let one = |window: u32, send: usize| quic(window as usize, send).max(tcp(window as usize));
        let control = one(self.control_window, self.control_window as usize) + Self::SESSION_CREDIT;
        // Behind QUIC's own: what waits for flows and for turns, and what is not whole.
        let packets = 2 * (self.datagrams + self.large_packets);
        let data = one(self.receive_window, send) + streams + packets;
        let per_peer =
            Self::CONTROL_PER_PEER.saturating_mul(control) + Self::DATA_PER_PEER.saturating_mul(data);
        self.sessions.saturating_mul(per_peer)
    }
}
