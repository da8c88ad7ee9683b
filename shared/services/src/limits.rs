//! Capacities of running and checking services.

use std::time::Duration;

/// Fixed capacities and times; those that a user may set stand at the service in the configuration.
pub struct Limits;

impl Limits {
    /// Bytes of one frame between node and supervisor. When full: the frame is refused.
    pub const FRAME: usize = 32 * 1024;
    /// Programs that the supervisor runs at a time, and checks as many. When full: the start fails, and is tried again.
    pub const PROGRAMS: usize = 256;
    /// Programs that may be started: of services and of checks. When full: the next one may not.
    pub const ALLOWED: usize = 2 * Self::PROGRAMS;
    /// Bytes of a line that a service writes. When full: the rest of the line is left out.
    pub const LINE: usize = 512;
    /// Lines of one service that are logged at once. When full: lines are left out and counted.
    pub const LINES: u32 = 100;
    /// Lines of one service that are logged a second, after the first [`Limits::LINES`]. When full: the same.
    pub const LINES_PER_S: u32 = 20;
    /// Bytes of lines that wait for the node to read. When full: lines are left out and counted.
    pub const OUTBOX: usize = 16 * 1024;
    /// Bytes that are read of a service's output at a time. When full: the rest is read next.
    pub const READ: usize = 2 * 1024;
    /// How long a service has after SIGTERM when its node has gone. When over: SIGKILL.
    pub const ORPHAN_GRACE: Duration = Duration::from_secs(2);
    /// How long processes may take to vanish after SIGKILL. When over: they are reported and left.
    pub const KILL_PATIENCE: Duration = Duration::from_secs(5);
    /// Between two looks at processes that are to end.
    pub const LOOK: Duration = Duration::from_millis(25);
    /// The wait before a service that ended is started again, in milliseconds; doubled each time.
    pub const BACKOFF_FIRST_MS: u64 = 250;
    /// The longest such wait, in milliseconds.
    pub const BACKOFF_MAX_MS: u64 = 60_000;
    /// A service that ran for so long, in milliseconds, is steady: the wait begins anew.
    pub const STEADY_MS: u64 = 60_000;
    /// How long a service without a check runs, in milliseconds, after it ended early, before it counts as healthy.
    pub const SETTLE_MS: u64 = 1_000;
    /// Bytes of an answer to a check that are read, beside its status. When more: the connection is reset.
    pub const ANSWER: usize = 64 * 1024;
    /// Between two checks of a service that has just started, in milliseconds, if its interval is longer.
    pub const EAGER_MS: u64 = 200;
    /// Such quick checks after one start. When used up: the interval of the check holds.
    pub const EAGER: u32 = 50;
    /// Bytes of a reason that `status` shows. When more: cut off.
    pub const REASON: usize = 160;
}
