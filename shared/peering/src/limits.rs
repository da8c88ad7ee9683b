//! Timers and versions that are not negotiated.

/// Fixed numbers of a session.
pub struct Limits;

impl Limits {
    /// The lowest version of the protocol that this code speaks.
    pub const VERSION_MIN: u8 = 1;
    /// The highest version of the protocol that this code speaks.
    pub const VERSION_MAX: u8 = 1;
    /// How long the other side may take to send OPEN, in milliseconds, or the hold time that this side offers if that is
    /// longer: on a slow link OPEN is slow too. When over: the session ends.
    pub const OPEN_MS: u64 = 5_000;
    /// Keepalives in one hold time.
    pub const KEEPALIVES: u64 = 3;
    /// The shortest send-hold time, in milliseconds (RFC 9687 wants more than the hold time).
    pub const SEND_HOLD_MS: u64 = 10_000;
    /// Runs of one neighbour that are remembered. When full: the oldest is forgotten.
    pub const CLONE_RUNS: usize = 4;
    /// So often a run must come back after another before two processes with one identity are suspected.
    pub const CLONE_RETURNS: u32 = 2;
    /// How long a session of a suspected clone is left alone, in milliseconds. The other process is refused meanwhile.
    pub const CLONE_HOLD_MS: u64 = 30_000;
    /// A suspicion ends when no run came back for so long, in milliseconds.
    pub const CLONE_QUIET_MS: u64 = 600_000;
    /// The shortest hold time that is accepted, in milliseconds. When less is offered: this is used.
    pub const HOLD_MIN_MS: u32 = 300;
    /// The longest hold time that is accepted, in milliseconds. When more is offered: this is used.
    pub const HOLD_MAX_MS: u32 = 600_000;
    /// The longest restart time that is granted, in milliseconds. When more is asked for: this is granted.
    pub const RESTART_MAX_MS: u32 = 3_600_000;
}
