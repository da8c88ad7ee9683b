//! A queue with one lane a flow and one bound for all of them.
//!
//! It never waits. When it is full, the lane that would hold most loses its oldest packet. So whoever sends more than is
//! taken loses packets of its own, and a flow with little to say loses none.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};

use bytes::Bytes;

/// What a packet costs beside its bytes, so that empty ones are bounded too.
const COST: usize = 64;

/// The queue. Lanes without packets take no memory.
#[derive(Debug)]
pub(super) struct Lanes {
    lanes: BTreeMap<u64, Lane>,
    /// What all packets cost.
    held: usize,
    limit: usize,
    /// Whose turn it was.
    last: u64,
}

#[derive(Debug, Default)]
struct Lane {
    packets: VecDeque<Bytes>,
    held: usize,
}

impl Lanes {
    /// At most `limit` bytes, [`COST`] for each packet included; one packet is taken whatever its size.
    pub fn new(limit: usize) -> Self {
        Lanes { lanes: BTreeMap::new(), held: 0, limit, last: 0 }
    }

    pub fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Adds a packet to a lane, and returns how many packets were dropped for it; it may be one of them.
    pub fn push(&mut self, flow: u64, packet: Bytes) -> u64 {
        let cost = packet.len() + COST;
        let mut dropped = 0;
        while self.held > 0 && self.held + cost > self.limit {
            let own = self.lanes.get(&flow).map_or(0, |lane| lane.held);
            let others = self.lanes.iter().filter(|(id, _)| **id != flow);
            let longest = others.map(|(id, lane)| (lane.held, *id)).max();
            dropped += 1;
            match longest.filter(|(held, _)| *held >= own + cost) {
                Some((_, other)) => drop(self.take(other)),
                None if own > 0 => drop(self.take(flow)),
                None => return dropped,
            }
        }
        let lane = self.lanes.entry(flow).or_default();
        lane.packets.push_back(packet);
        lane.held += cost;
        self.held += cost;
        dropped
    }

    /// The oldest packet of a lane.
    pub fn take(&mut self, flow: u64) -> Option<Bytes> {
        let lane = self.lanes.get_mut(&flow)?;
        let packet = lane.packets.pop_front()?;
        let cost = packet.len() + COST;
        lane.held -= cost;
        self.held -= cost;
        if lane.packets.is_empty() {
            self.lanes.remove(&flow);
        }
        Some(packet)
    }

    /// The oldest packet of the lane whose turn it is.
    pub fn take_next(&mut self) -> Option<Bytes> {
        let after = self.lanes.range((Excluded(self.last), Unbounded)).next();
        let flow = *after.or_else(|| self.lanes.iter().next())?.0;
        self.last = flow;
        self.take(flow)
    }

    /// Forgets a lane, and returns how many packets were in it.
    pub fn forget(&mut self, flow: u64) -> u64 {
        let Some(lane) = self.lanes.remove(&flow) else { return 0 };
        self.held -= lane.held;
        lane.packets.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(tag: u8, len: usize) -> Bytes {
        vec![tag; len].into()
    }

    #[test]
    fn packets_of_a_lane_keep_their_order_and_lanes_take_turns() {
        let mut lanes = Lanes::new(10_000);
        for n in 0..3 {
            assert_eq!(lanes.push(7, packet(n, 10)), 0);
        }
        assert_eq!(lanes.push(9, packet(9, 0)), 0, "an empty packet is one");
        assert_eq!(lanes.push(3, packet(3, 1)), 0);
        let tags: Vec<_> = std::iter::from_fn(|| lanes.take_next()).map(|p| p.first().copied()).collect();
        assert_eq!(tags, [Some(3), Some(0), None, Some(1), Some(2)]);
        assert!(lanes.is_empty() && lanes.held == 0);
    }

    #[test]
    fn the_flow_that_floods_loses_its_own_oldest_packets() {
        let mut lanes = Lanes::new(10 * (100 + COST));
        assert_eq!(lanes.push(1, packet(42, 100)), 0);
        let dropped: u64 = (0..30).map(|n| lanes.push(2, packet(n, 100))).sum();
        assert_eq!(dropped, 21);
        assert_eq!(lanes.take(1), Some(packet(42, 100)), "the quiet one lost nothing");
        assert_eq!(lanes.take(2), Some(packet(21, 100)), "the oldest went");
        // A quiet one that comes while it is full takes room from the flood.
        lanes.push(2, packet(30, 100));
        lanes.push(2, packet(31, 100));
        assert_eq!(lanes.push(3, packet(3, 100)), 1);
        assert_eq!(lanes.take(3), Some(packet(3, 100)));
    }

    #[test]
    fn a_huge_packet_does_not_clear_the_lanes_of_others() {
        let mut lanes = Lanes::new(1_000);
        assert_eq!(lanes.push(1, packet(1, 5_000)), 0, "alone it is taken");
        assert_eq!(lanes.forget(1), 1);
        lanes.push(2, packet(2, 100));
        assert_eq!(lanes.push(1, packet(1, 5_000)), 1);
        assert_eq!(lanes.take(1), None);
        assert_eq!(lanes.take(2), Some(packet(2, 100)));
    }

    #[test]
    fn empty_packets_are_bounded_too() {
        let mut lanes = Lanes::new(100 * COST);
        let dropped: u64 = (0..1_000).map(|_| lanes.push(1, Bytes::new())).sum();
        assert_eq!(dropped, 900);
        assert_eq!(lanes.forget(1), 100);
        assert_eq!((lanes.held, lanes.is_empty()), (0, true));
    }
}
