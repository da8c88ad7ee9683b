//! How much may be under way on a QUIC connection: CUBIC (RFC 9438), and on links that lose by noise a controller that
//! takes a moderate loss for what it is there.
//!
//! CUBIC halves its speed for every lost packet, whatever the reason: at 7 % loss and two seconds of round trip that
//! leaves some ten kilobytes a second of any link. The profile `satellite` says that a link loses by noise. There, a full
//! queue is told by its delay, or by a loss that is far above the noise.
//!
//! The accepting side learns only after the handshake who came over which link, so every connection starts with CUBIC,
//! and [`expect_noise`] changes it over. (After a move to another address the accepting side is on CUBIC again.)

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use quinn::Connection;
use quinn::congestion::{Controller, ControllerFactory, Cubic, CubicConfig};
use quinn_proto::RttEstimator;

/// The controllers of an endpoint's connections.
pub(crate) struct Factory {
    /// Every connection goes over a link that loses by noise.
    pub noisy: bool,
}

impl ControllerFactory for Factory {
    fn build(self: Arc<Self>, now: Instant, mtu: u16) -> Box<dyn Controller> {
        let cubic = Cubic::new(Arc::new(CubicConfig::default()), now, mtu);
        let tolerant = Tolerant::new(cubic.initial_window(), mtu, now);
        Box::new(Both { cubic, tolerant, noisy: Arc::new(AtomicBool::new(self.noisy)) })
    }
}

/// This connection goes over a link that loses by noise.
pub(crate) fn expect_noise(connection: &Connection) {
    // What comes is a copy, but the word is shared with the one in use.
    if let Ok(both) = connection.congestion_state().into_any().downcast::<Both>() {
        both.noisy.store(true, Ordering::Relaxed);
    }
}

#[derive(Clone)]
struct Both {
    cubic: Cubic,
    tolerant: Tolerant,
    noisy: Arc<AtomicBool>,
}

impl Both {
    fn is_noisy(&self) -> bool {
        self.noisy.load(Ordering::Relaxed)
    }
}

impl Controller for Both {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet: u64) {
        self.cubic.on_sent(now, bytes, last_packet);
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, rtt: &RttEstimator) {
        if self.is_noisy() {
            self.tolerant.acked(now, sent, bytes, app_limited, rtt.get(), rtt.min());
        } else {
            self.cubic.on_ack(now, sent, bytes, app_limited, rtt);
        }
    }

    fn on_congestion_event(&mut self, now: Instant, sent: Instant, persistent: bool, lost: u64) {
        if self.is_noisy() {
            self.tolerant.lost(now, sent, persistent, lost);
        } else {
            self.cubic.on_congestion_event(now, sent, persistent, lost);
        }
    }

    fn on_mtu_update(&mut self, mtu: u16) {
        self.cubic.on_mtu_update(mtu);
        self.tolerant.mtu = mtu.into();
    }

    fn window(&self) -> u64 {
        if self.is_noisy() { self.tolerant.window } else { self.cubic.window() }
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }

    fn initial_window(&self) -> u64 {
        self.cubic.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// Of a hundred bytes so many may be lost by noise.
const NOISE: u64 = 15;
/// Loss is judged over at least so many packets, or seven lost ones among fifty would often look like twenty.
const SAMPLE: u64 = 64;
/// A queue that adds less than this to the round trip is none.
const QUEUE: Duration = Duration::from_millis(50);

/// Grows until packets wait in a queue, or until more is lost than noise explains.
#[derive(Clone, Debug)]
struct Tolerant {
    window: u64,
    mtu: u64,
    /// No queue and no heavy loss was met yet: the window doubles with every round trip.
    doubling: bool,
    /// A packet that was sent from then on, acknowledged, ends the round.
    round: Instant,
    /// The window was the limit in this round.
    used: bool,
    /// Bytes of the sample.
    acked: u64,
    lost: u64,
    /// What was lost of packets that were sent before has been answered.
    answered: Option<Instant>,
}

impl Tolerant {
    fn new(window: u64, mtu: u16, now: Instant) -> Tolerant {
        Tolerant {
            window,
            mtu: mtu.into(),
            doubling: true,
            round: now,
            used: false,
            acked: 0,
            lost: 0,
            answered: None,
        }
    }

    fn least(&self) -> u64 {
        4 * self.mtu
    }

    fn shrink(&mut self, window: u64) {
        self.doubling = false;
        self.window = window.max(self.least());
    }

    fn acked(&mut self, now: Instant, sent: Instant, bytes: u64, idle: bool, rtt: Duration, least: Duration) {
        self.acked = self.acked.saturating_add(bytes);
        if self.acked.saturating_add(self.lost) > 2 * SAMPLE * self.mtu {
            self.acked /= 2;
            self.lost /= 2;
        }
        if !idle {
            self.used = true;
            if self.doubling {
                self.window = self.window.saturating_add(bytes);
            }
        }
        if sent < self.round {
            return;
        }
        self.round = now;
        let waiting = rtt.saturating_sub(least);
        if waiting > (least / 4).max(QUEUE) {
            self.shrink(self.window - self.window / 8);
        } else if self.used && !self.doubling {
            self.window = self.window.saturating_add((self.window / 16).max(self.mtu));
        }
        self.used = false;
    }

    fn lost(&mut self, now: Instant, sent: Instant, persistent: bool, lost: u64) {
        if persistent {
            // Nothing came through for several round trips: the link was gone, and may come back as another one.
            self.window = self.least();
            self.doubling = true;
            return;
        }
        self.lost = self.lost.saturating_add(lost);
        let sample = self.acked.saturating_add(self.lost);
        // Without a loss it is a mark of a router that is about to lose (RFC 3168).
        let heavy = lost == 0 || (sample >= SAMPLE * self.mtu && self.lost * 100 > sample * NOISE);
        if heavy && self.answered.is_none_or(|at| sent > at) {
            self.answered = Some(now);
            (self.acked, self.lost) = (0, 0);
            self.shrink(self.window / 10 * 7);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MTU: u64 = 1200;
    const RTT: Duration = Duration::from_secs(2);

    /// A link of so many packets in a round trip, with room for as many again in its queue; of a hundred packets `noise`
    /// are lost. Returns the windows of all rounds, in packets.
    fn windows(link: u64, noise: u64, rounds: usize) -> Vec<u64> {
        let (mut seed, mut now) = (1_u64, Instant::now());
        let mut control = Tolerant::new(10 * MTU, 1200, now);
        let round = |_| {
            let sent = now;
            let window = control.window / MTU;
            let queue = window.saturating_sub(link).min(link);
            let full = window.saturating_sub(2 * link);
            let rtt = RTT + RTT * u32::try_from(queue).unwrap() / u32::try_from(link).unwrap();
            now += rtt;
            for packet in 0..window {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                if packet < full || (seed >> 33) % 100 < noise {
                    control.lost(now, sent, false, MTU);
                } else {
                    control.acked(now, sent, MTU, false, rtt, RTT);
                }
            }
            window
        };
        (0..rounds).map(round).collect()
    }

    fn mean(windows: &[u64]) -> u64 {
        windows.iter().sum::<u64>() / windows.len() as u64
    }

    #[test]
    fn noise_does_not_keep_it_from_filling_the_link() {
        let filled = mean(&windows(200, 7, 100)[20..]);
        assert!((150..=300).contains(&filled), "{filled} packets on a link for 200");
    }

    #[test]
    fn without_noise_it_fills_the_link_and_little_of_the_queue() {
        let windows = windows(200, 0, 100);
        let filled = mean(&windows[20..]);
        assert!((150..=300).contains(&filled), "{filled} packets on a link for 200");
        assert!(windows[20..].iter().all(|w| *w < 400), "the queue never runs over: {windows:?}");
    }

    #[test]
    fn a_loss_above_the_noise_slows_it_down() {
        let slow = mean(&windows(200, 40, 100)[50..]);
        assert!(slow <= 20, "{slow} packets at 40 % loss");
    }

    #[test]
    fn a_mark_counts_once_a_round_and_an_outage_starts_over() {
        let now = Instant::now();
        let mut control = Tolerant::new(100 * MTU, 1200, now);
        control.lost(now + RTT, now, false, 0);
        control.lost(now + RTT, now, false, 0);
        assert_eq!(control.window, 70 * MTU);
        control.lost(now + 3 * RTT, now + 2 * RTT, false, 0);
        assert_eq!(control.window, 49 * MTU);
        control.lost(now + 3 * RTT, now, true, MTU);
        assert_eq!((control.window, control.doubling), (4 * MTU, true));
    }

    #[test]
    fn it_does_not_grow_while_there_is_nothing_to_send() {
        let mut now = Instant::now();
        let mut control = Tolerant::new(10 * MTU, 1200, now);
        for _ in 0..100 {
            let sent = now;
            now += RTT;
            control.acked(now, sent, MTU, true, RTT, RTT);
        }
        assert_eq!(control.window, 10 * MTU);
    }
}
