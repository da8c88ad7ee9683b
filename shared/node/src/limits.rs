//! Capacities of the shells' common part.

use std::time::Duration;

/// Fixed capacities; those that a user may set stand in `limits` of the configuration.
pub struct Limits;

impl Limits {
    /// For what carries flows to be ready, before neighbours hear of this node. After it: the node goes on without.
    #[cfg(feature = "mesh")]
    pub(crate) const MESH_READY: Duration = Duration::from_secs(5);
    /// How long frames to a neighbour wait until what carries flows lets it use what they tell of: a third of the shortest hold
    /// time. After it they go all the same.
    #[cfg(feature = "mesh")]
    pub(crate) const GRANTED: Duration = Duration::from_millis(100);
    /// Between two looks what neighbours have under way while a node drains.
    #[cfg(feature = "mesh")]
    pub(crate) const DRAIN_LOOK: Duration = Duration::from_millis(500);
    /// For the program that carries flows to say it. After it: that is not known, and the node waits on.
    #[cfg(feature = "mesh")]
    pub(crate) const DRAIN_ASK: Duration = Duration::from_secs(2);
    /// The longest deadline of a drain. When more is asked for: it is refused.
    #[cfg(feature = "mesh")]
    pub const DRAIN_MOST: Duration = Duration::from_secs(86_400);
    /// Bytes of a recording. When full: it ends, and the node goes on; a longer one is not replayed.
    pub const RECORDING: usize = 1 << 30;
    /// Events between two notes in a recording of what the state is, besides one for each route. When reached: it is
    /// noted.
    #[cfg(feature = "mesh")]
    pub(crate) const CHECKPOINT: usize = 64;
    /// Events of the transport that wait for the engine. When full: peers are not read, and nothing is lost.
    pub const EVENTS: usize = 256;
    /// The same on a board: each may be a frame of 16 KiB. When full: the same.
    pub const EDGE_EVENTS: usize = 32;
    /// Admin requests that wait for the engine. When full: the connection of the asker waits.
    pub const REQUESTS: usize = 16;
    /// Admin connections at a time. When full: one that has asked and is silent is closed for the next; without one, it
    /// waits.
    pub const ADMIN_CONNECTIONS: usize = 16;
    /// How long a client may take to read an answer. When over: it is cut off, so that others get theirs.
    pub const ADMIN_READ: Duration = Duration::from_secs(10);
    /// Bytes of one admin request: on a server of all rules at once. When more: an error is answered and the connection closed.
    pub const REQUEST: usize = if cfg!(feature = "mesh") { 512 * 1024 } else { Self::EDGE_REQUEST };
    /// The same on a board.
    pub const EDGE_REQUEST: usize = 64 * 1024;
    /// Patterns of an interest in an answer. When there are more: their number is told.
    #[cfg(feature = "mesh")]
    pub const PATTERNS: usize = 16;
    /// Programs that watch routes at a time, of [`Limits::ADMIN_CONNECTIONS`]. When full: the next one is refused.
    #[cfg(feature = "mesh")]
    pub const WATCHERS: usize = 8;
    /// Rows that wait for one of them. When full: further ones are counted, and it gets every route again when it has read
    /// what waits.
    #[cfg(feature = "mesh")]
    pub const WATCH_QUEUE: usize = 256;
    /// Routes of one piece of what it gets then. When there are more: the next piece follows when it has read this one.
    #[cfg(feature = "mesh")]
    pub const WATCH_PIECE: usize = 256;
    /// Rows of one line to it.
    #[cfg(feature = "mesh")]
    pub const WATCH_BATCH: usize = 64;
    /// How long a node that stops waits for watchers to hear of it.
    #[cfg(feature = "mesh")]
    pub const WATCH_END: Duration = Duration::from_millis(300);
    /// How long a new admin connection, and each further question from its first byte, may take. When over: closed, so
    /// that silent ones keep nobody out.
    pub const ADMIN_FIRST: Duration = Duration::from_secs(2);
    /// How long an admin connection that has asked may be silent. When over: closed.
    pub const ADMIN_IDLE: Duration = Duration::from_secs(60);
    /// At most one log line in this time, in milliseconds, for connections that are turned away. When more: only counted.
    pub const TURNED_AWAY_MS: u64 = 1_000;
    /// Log lines that one neighbour may cause in [`Limits::PEER_LINES_MS`] by what it sends. When more: only counted, and
    /// the next line says how many.
    pub const PEER_LINES: u32 = 16;
    /// That time, in milliseconds.
    pub const PEER_LINES_MS: u64 = 60_000;
    /// Characters of a neighbour's agreement in a line of the log. When more: the rest is left out.
    #[cfg(feature = "mesh")]
    pub const LOGGED: usize = 512;
    /// Neighbours whose lines are counted at a time. When full: the first of them is forgotten.
    pub const TALKERS: usize = 1_024;
    /// Routes of a list between two looks at the clock. When there are more: they follow, in this turn or in the next.
    #[cfg(feature = "mesh")]
    pub const LISTED: usize = 256;
    /// Changes of rules whose answers wait until they are in force for all routes. When full: the one that waits for longest
    /// is answered before that.
    #[cfg(feature = "mesh")]
    pub const JUDGED: usize = 16;
    /// How long the engine works on a plan or a list of routes before others have their turn.
    #[cfg(feature = "mesh")]
    pub const PLANNING: Duration = Duration::from_millis(10);
    /// How long connecting to a service's own socket may take. When over: the flow is refused.
    pub const CONNECT: Duration = Duration::from_secs(5);
    /// Bytes that flows of a board have read and not handed on, all together. When full: flows read little at a time.
    pub const EDGE_HELD: usize = 2 * 1024 * 1024;
    /// The same of a server.
    pub const HELD: usize = 64 * 1024 * 1024;
    /// What an HTTP client takes at most: a head and one read in each direction, before and after they are looked at.
    pub const HTTP_CLIENT: usize = 112 * 1024;
    /// How long an HTTP client may be silent between two requests. When over: the connection is closed.
    pub const HTTP_IDLE: Duration = Duration::from_secs(60);
    /// How long the head of a request may take after its first byte. When over: 408.
    pub const HTTP_HEAD: Duration = Duration::from_secs(10);
    /// How long an exchange may stand still, in both directions. When over: 504, or a reset when an answer had begun.
    pub const HTTP_STALL: Duration = Duration::from_secs(300);
    /// How long a client is heard after the last answer, so that it can read it. When over: closed.
    pub const HTTP_LINGER: Duration = Duration::from_secs(2);
    /// Reads of 1 KiB that are thrown away in that time. When more: closed.
    pub const HTTP_LINGER_READS: usize = 256;
    /// Bytes of one read of an HTTP message; with a head, the most that is kept of what a client sent ahead.
    pub const HTTP_READ: usize = 16 * 1024;
    /// Reports and results that wait for the task of local services. When full: who brings them waits.
    pub const SERVICE_EVENTS: usize = 64;
    /// Between the end of the process that runs local services and the start of another.
    pub const RELAUNCH: Duration = Duration::from_secs(1);
    /// What a stop may take, beside the grace of services and the patience after SIGKILL.
    pub const STOP_SLACK: Duration = Duration::from_secs(1);
    /// Empty pipes that a thread keeps for bytes between two local sockets. When full: one that is drained is closed.
    pub const PIPES: usize = 8;
    /// Targets of services of which the log says that the system forbids them. When full: they are only counted.
    pub const DENIED: usize = 64;
    /// Local clients that have connected and that the system holds until the node takes them. When full: further ones
    /// find no answer for the moment, and their systems try again.
    pub const BACKLOG: i32 = 1024;
    /// Endpoints that one flow tries. When all fail: the flow is refused with the last reason.
    pub const TRIES: usize = 3;
    /// Bytes of packets of the clients of all local UDP ports that wait for their flows, on a board. When full: the
    /// client that holds most loses its oldest packet, which is counted.
    pub const EDGE_PORT_PACKETS: usize = 256 * 1024;
    /// The same on a server.
    pub const PORT_PACKETS: usize = 4 * 1024 * 1024;

    /// Which of the two.
    #[must_use]
    pub const fn port_packets(edge: bool) -> usize {
        if edge { Self::EDGE_PORT_PACKETS } else { Self::PORT_PACKETS }
    }

    /// After a client of a UDP service was refused a flow its packets are dropped for so long, and counted.
    pub const PACKETS_HOLD_OFF: Duration = Duration::from_millis(250);
    /// Addresses of one peer that are remembered. When full: the oldest is forgotten.
    pub const REMOTES: usize = 3;
    /// Connections for figures at a time. When full: the next one waits in the socket's queue.
    pub const METRICS_CONNECTIONS: usize = 4;
    /// Bytes of the head of a request for figures. When more: the connection is closed.
    pub const METRICS_REQUEST: usize = 4 * 1024;
    /// How long one request for figures may take. When over: the connection is closed.
    pub const METRICS_PATIENCE: Duration = Duration::from_secs(5);
    /// Invitations that are kept, used ones until they expire. When full: a new one is refused.
    pub const INVITES: usize = 4_096;
    /// The longest time that an invitation is good for, in seconds.
    pub const INVITE_TTL_S: u64 = 30 * 86_400;
    /// Between two tries to renew a certificate, in seconds, at first; doubled up to an hour.
    pub const RENEW_RETRY_S: u64 = 10;
    /// Routes that are remembered for the next run. When full: the rest is left out.
    pub const REMEMBERED: usize = 4_096;
    /// Bytes of the file that holds them. When full: it is not written, and one that is there is not read.
    pub const REMEMBERED_BYTES: usize = 4 * 1024 * 1024;
    /// After a change they are written at most so much later, in milliseconds, and not more often.
    pub const REMEMBER_MS: u64 = 60_000;
    /// Changes that wait for the thread that writes. When full: the asker of the next one waits, not the engine.
    pub const WRITES: usize = 64;
    /// Changes that the disk did not take and that are owed to it. When full: the two oldest become one, in which the later
    /// value of a row counts, so that all together take no more than the node's own tables and one copy of each file.
    pub const OWED: usize = 64;
    /// Changes that the disk did not take are tried again so often, beside each newer change and the stop.
    pub const OWED_RETRY: Duration = Duration::from_secs(5);
    /// Names of lost changes in one message. When more: their number is told.
    pub const LOST_NAMES: usize = 8;
    /// Events handled before frames are polled: a burst coalesces, and no peer waits for more than this.
    pub const BATCH: usize = 64;
    /// Dial failures kept for `status`, one a configured peer. Bounded by the peers.
    pub const REASON: usize = 512;
    /// Log records of a recording in memory before they are written. When full: the engine waits for the disk.
    pub const RECORD_BUFFER: usize = 64 * 1024;

    /// Answers of the admin API in memory at one time. When full: the next question waits.
    #[must_use]
    pub const fn admin_answers(edge: bool) -> usize {
        if edge { 1 } else { 8 }
    }
}
