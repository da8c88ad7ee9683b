//! Capacities and times of running Envoy.

use std::time::Duration;

/// Fixed capacities and times.
pub struct Limits;

impl Limits {
    /// Bytes of a socket's path (`sockaddr_un`, unix(7)). When longer: the place is refused.
    pub const SOCKET_PATH: usize = 107;
    /// Downstream connections that Envoy has open at once, unless the configuration says otherwise. When full: a new
    /// one is accepted and closed at once.
    pub const CONNECTIONS: u64 = 50_000;
    /// How long Envoy waits for its xDS stream to be taken. When over: it tries again.
    pub const XDS_CONNECT: Duration = Duration::from_secs(1);
    /// The first wait before Envoy opens a broken xDS stream again; it grows with each failure.
    pub const XDS_RETRY_FIRST: Duration = Duration::from_millis(50);
    /// The longest such wait.
    pub const XDS_RETRY_MOST: Duration = Duration::from_millis(500);
    /// How often Envoy looks at connections and memory for its overload manager.
    pub const OVERLOAD_LOOK: Duration = Duration::from_millis(250);
    /// How long an Envoy may take to print its version: 100 MB may first have to be read from a slow disk, by a machine that
    /// has much else to start. When over: it is killed, and refused.
    pub const VERSION_PATIENCE: Duration = Duration::from_secs(20);
    /// Bytes of what it prints then. When more: the rest is not read.
    pub const VERSION_TEXT: usize = 4 * 1024;
    /// Bytes of a line that Envoy writes. When full: the rest of the line is left out.
    pub const LINE: usize = 1024;
    /// How long Envoy may take to answer a question. When over: the question failed.
    pub const ADMIN_PATIENCE: Duration = Duration::from_secs(5);
    /// Bytes of such an answer. When more: the question failed.
    pub const ADMIN_ANSWER: usize = 16 * 1024 * 1024;
    /// Characters of a reason that `status` shows. When more: cut off.
    pub const REASON: usize = 300;
    /// How long Envoy goes on without a node. When over: it is ended.
    pub const AWAY: Duration = Duration::from_secs(30);
    /// How long Envoy has after SIGTERM. When over: SIGKILL.
    pub const TERM_PATIENCE: Duration = Duration::from_secs(2);
    /// How long a process may take to vanish after SIGKILL. When over: it is left, and told of.
    pub const KILL_PATIENCE: Duration = Duration::from_secs(5);
    /// Bytes of a file that names a process. When more: it names none.
    pub const PROCESS: u64 = 1024;
    /// What Envoy said so long before its end may be the reason.
    pub const LAST_WORDS: Duration = Duration::from_secs(2);
    /// Between two looks at something that cannot be waited for.
    pub const LOOK: Duration = Duration::from_millis(20);
    /// Keepers that a node starts: one in office, one that takes over when that one is killed.
    pub const KEEPERS: usize = 2;
    /// Between two looks of a keeper in waiting at whether the office is free.
    pub const WAITING_LOOK: Duration = Duration::from_millis(100);
    /// How long a keeper in office may take to answer another. When over: it hangs, and is killed.
    pub const KEEPER_PATIENCE: Duration = Duration::from_secs(5);
    /// How long a node tries to reach its keeper before it says that there is none. When over: it goes on trying.
    pub const KEEPER_MISSED: Duration = Duration::from_secs(3);
    /// Between two times that a node starts keepers, none being left.
    pub const KEEPER_AGAIN: Duration = Duration::from_millis(500);
    /// Bytes of a message between node and keeper. When full: the connection is closed.
    pub const MESSAGE: usize = 64 * 1024;
    /// Connections to a keeper that have not said who they are. When full: the next one is closed.
    pub const STRANGERS: usize = 4;
    /// Messages that wait for the node to read. When full: lines are left out and counted.
    pub const OUTBOX: usize = 256;
    /// Lines that are kept while no node listens. When full: the oldest goes.
    pub const KEPT_LINES: usize = 100;
    /// Lines of Envoy that are told at once. When full: lines are left out and counted.
    pub const LINES: u32 = 200;
    /// Lines that are told a second, after the first [`Limits::LINES`]. When full: the same.
    pub const LINES_PER_S: u32 = 50;
    /// How long lines that were written last are waited for. When over: they are left out.
    pub const REST: Duration = Duration::from_millis(500);
    /// Between two tries to tell lines that a node had no room for.
    pub const OWED: Duration = Duration::from_millis(500);
    /// How long a stop may take in all. When over: keeper and Envoy are killed.
    pub const STOP_PATIENCE: Duration = Duration::from_secs(10);
    /// Bytes of why a keeper could not begin. When full: the rest is left out.
    pub const KEEPER_WHY: usize = 1024;
    /// The wait before an Envoy that ended is started again; multiplied each time.
    pub const BACKOFF_FIRST: Duration = Duration::from_millis(20);
    /// By how much.
    pub const BACKOFF_FACTOR: u32 = 3;
    /// The longest such wait.
    pub const BACKOFF_MOST: Duration = Duration::from_secs(30);
    /// An Envoy that ran for so long is steady: the wait begins anew.
    pub const STEADY: Duration = Duration::from_secs(60);
}
