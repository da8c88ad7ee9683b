//! What was carried in packets, and what was dropped and why: no packet goes without a trace.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Why a packet was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// No room in a queue, or the next hop takes nothing now.
    Full,
    /// Longer than [`catalyst_tunnel::Limits::PACKET`].
    TooLong,
    /// The system could not send it, or the service's port is closed.
    Unreachable,
    /// There is no flow for it: none could be opened, or it has ended.
    NoFlow,
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Dropped::Full => "no room for the packet",
            Dropped::TooLong => "the packet is too long",
            Dropped::Unreachable => "the packet's target cannot be reached",
            Dropped::NoFlow => "there is no flow for the packet",
        })
    }
}

/// Sums since the start, shared by all flows of packets of a node.
#[derive(Debug, Default)]
pub struct PacketCounters {
    to_service: [AtomicU64; 2],
    from_service: [AtomicU64; 2],
    full: AtomicU64,
    too_long: AtomicU64,
    unreachable: AtomicU64,
    no_flow: AtomicU64,
    unknown: AtomicU64,
}

/// The sums at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PacketTotals {
    /// Packets and bytes carried towards services.
    pub to_service: (u64, u64),
    /// Packets and bytes carried from services.
    pub from_service: (u64, u64),
    /// Packets dropped for [`Dropped::Full`].
    pub full: u64,
    /// Packets dropped for [`Dropped::TooLong`].
    pub too_long: u64,
    /// Packets dropped for [`Dropped::Unreachable`].
    pub unreachable: u64,
    /// Packets dropped for [`Dropped::NoFlow`].
    pub no_flow: u64,
    /// Datagrams of neighbours with a flow id that belongs to no flow: late ones, or forged.
    pub unknown: u64,
}

fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

impl PacketCounters {
    /// One packet of `bytes` was handed on.
    pub fn carried(&self, to_service: bool, bytes: usize) {
        let [packets, sum] = if to_service { &self.to_service } else { &self.from_service };
        add(packets, 1);
        add(sum, bytes as u64);
    }

    /// So many packets were dropped.
    pub fn dropped(&self, why: Dropped, packets: u64) {
        let counter = match why {
            Dropped::Full => &self.full,
            Dropped::TooLong => &self.too_long,
            Dropped::Unreachable => &self.unreachable,
            Dropped::NoFlow => &self.no_flow,
        };
        add(counter, packets);
    }

    pub(super) fn unknown(&self) {
        add(&self.unknown, 1);
    }

    /// The sums now.
    #[must_use]
    pub fn totals(&self) -> PacketTotals {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let pair = |[packets, bytes]: &[AtomicU64; 2]| (get(packets), get(bytes));
        PacketTotals {
            to_service: pair(&self.to_service),
            from_service: pair(&self.from_service),
            full: get(&self.full),
            too_long: get(&self.too_long),
            unreachable: get(&self.unreachable),
            no_flow: get(&self.no_flow),
            unknown: get(&self.unknown),
        }
    }
}

impl PacketTotals {
    /// All packets that were dropped.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.full + self.too_long + self.unreachable + self.no_flow
    }
}
