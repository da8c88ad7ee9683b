//! Link profiles: how fast a loss is noticed, and how patient a dialler is.
//!
//! QUIC's own idle timeout is the smaller of what both ends announce (RFC 9000 section 10.1), so a server with
//! the `wan` profile would cut a satellite peer. Each side therefore announces a long one as a backstop and
//! watches for silence by its own profile of that peer.

use std::time::Duration;

/// The timers of one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkProfile {
    /// Silence after which the peer counts as gone. A loss is noticed at most a quarter of it later.
    pub silence: Duration,
    /// After so long without a packet from the peer it is asked for one.
    pub keep_alive: Duration,
    /// A handshake, or the resolution of a host name, may take so long.
    pub connect: Duration,
    /// Within this time a dialling peer must open its control stream, and a flow must be answered; the first one includes
    /// the handshake of the data connection. When over: that stream or flow ends.
    pub answer: Duration,
    /// QUIC may go without an answer for so long before a dialler that may choose tries TCP.
    pub fallback: Duration,
    /// First and longest wait between two probes of QUIC while TCP carries the session, before jitter.
    pub probe: (Duration, Duration),
    /// First and longest wait of a dialler between two tries, before jitter.
    pub backoff: (Duration, Duration),
    /// A session that lived so long was a good one: the next wait starts again at the first.
    pub settled: Duration,
    /// A guess of the round trip before it is measured.
    pub initial_rtt: Duration,
    /// The link loses packets by noise, so that a moderate loss is no reason to slow down.
    pub noisy: bool,
}

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

impl LinkProfile {
    /// One room: a loss is noticed in less than a second.
    pub const LAN: LinkProfile = LinkProfile {
        silence: ms(600),
        keep_alive: ms(150),
        connect: ms(3_000),
        answer: ms(10_000),
        fallback: ms(1_500),
        probe: (ms(5_000), ms(120_000)),
        backoff: (ms(100), ms(5_000)),
        settled: ms(2_000),
        initial_rtt: ms(20),
        noisy: false,
    };
    /// The default: a loss is noticed in less than three seconds.
    pub const WAN: LinkProfile = LinkProfile {
        silence: ms(2_000),
        keep_alive: ms(600),
        connect: ms(10_000),
        answer: ms(10_000),
        fallback: ms(3_000),
        probe: (ms(30_000), ms(600_000)),
        backoff: (ms(200), ms(15_000)),
        settled: ms(5_000),
        initial_rtt: ms(100),
        noisy: false,
    };
    /// Radio that sleeps: few keep-alives.
    pub const CELLULAR: LinkProfile = LinkProfile {
        silence: ms(20_000),
        keep_alive: ms(5_000),
        connect: ms(20_000),
        answer: ms(20_000),
        fallback: ms(6_000),
        probe: (ms(60_000), ms(1_800_000)),
        backoff: (ms(1_000), ms(120_000)),
        settled: ms(30_000),
        initial_rtt: ms(300),
        noisy: false,
    };
    /// Two seconds of round trip and 7 % loss are ridden out.
    pub const SATELLITE: LinkProfile = LinkProfile {
        silence: ms(40_000),
        keep_alive: ms(5_000),
        connect: ms(40_000),
        answer: ms(40_000),
        fallback: ms(25_000),
        probe: (ms(60_000), ms(1_800_000)),
        backoff: (ms(2_000), ms(120_000)),
        settled: ms(60_000),
        initial_rtt: ms(1_500),
        noisy: true,
    };

    /// The profile of this name: `lan`, `wan`, `cellular`, `satellite`.
    #[must_use]
    pub fn named(name: &str) -> Option<LinkProfile> {
        Some(match name {
            "lan" => Self::LAN,
            "wan" => Self::WAN,
            "cellular" => Self::CELLULAR,
            "satellite" => Self::SATELLITE,
            _ => return None,
        })
    }
}

impl Default for LinkProfile {
    fn default() -> Self {
        Self::WAN
    }
}
