//! Time, as an argument.

/// What the shell's clocks say at the moment of an event.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub struct Now {
    /// Milliseconds of a clock that never jumps. Timers use it.
    pub mono: u64,
    /// Seconds since 1970. Validity uses it.
    pub wall: u64,
    /// Whether `wall` is to be believed: a board without a clock boots in 1970.
    pub wall_trusted: bool,
}

impl Now {
    /// A moment of which only the monotonic clock is known.
    #[must_use]
    pub fn mono(mono: u64) -> Self {
        Now { mono, wall: 0, wall_trusted: false }
    }
}
