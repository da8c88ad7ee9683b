//! Packets that come on a stream, each behind its length. No I/O.

use std::sync::atomic::{AtomicUsize, Ordering};

use catalyst_tunnel::packet::read_length;

/// Bytes that the flows of one connection may keep together, of packets that are not whole.
#[derive(Debug)]
pub(crate) struct Budget {
    held: AtomicUsize,
    limit: usize,
}

impl Budget {
    pub fn new(limit: usize) -> Self {
        Budget { held: AtomicUsize::new(0), limit }
    }

    /// `false` when there is no room for so much more.
    pub fn take(&self, bytes: usize) -> bool {
        let more = |held: usize| held.checked_add(bytes).filter(|sum| *sum <= self.limit);
        self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    pub fn give_back(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The reader. What it keeps of a packet that is not whole is taken from the budget.
#[derive(Debug)]
pub(super) enum Deframer {
    /// Before a packet, or behind the first byte of its length.
    Length(Option<u8>),
    /// Inside a packet of which so much is still to come.
    Packet { kept: Vec<u8>, whole: usize },
    /// Inside a packet for which there is no room.
    Passing { left: usize },
}

/// The peer sent a length that no packet has.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl Deframer {
    pub fn new() -> Self {
        Deframer::Length(None)
    }

    /// Takes what came and hands whole packets to `sink`. Returns how many packets were passed over for want of room.
    pub fn feed(
        &mut self,
        mut bytes: &[u8],
        budget: &Budget,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Result<u64, TooLong> {
        let mut dropped = 0;
        while let Some((&first, behind)) = bytes.split_first() {
            match self {
                Deframer::Length(None) => {
                    (*self, bytes) = (Deframer::Length(Some(first)), behind);
                    dropped += self.begin(&mut bytes, budget, sink)?;
                }
                Deframer::Length(Some(_)) => dropped += self.begin(&mut bytes, budget, sink)?,
                Deframer::Packet { kept, whole } => {
                    let (now, rest) = bytes.split_at(bytes.len().min(*whole - kept.len()));
                    kept.extend_from_slice(now);
                    bytes = rest;
                    if kept.len() == *whole {
                        sink(kept);
                        self.clear(budget);
                    }
                }
                Deframer::Passing { left } => {
                    let (now, rest) = bytes.split_at(bytes.len().min(*left));
                    *left -= now.len();
                    bytes = rest;
                    if *left == 0 {
                        *self = Deframer::new();
                    }
                }
            }
        }
        Ok(dropped)
    }

    /// With the first byte of the length at hand: a packet that is here as a whole is handed on at once, without a copy.
    fn begin(
        &mut self,
        bytes: &mut &[u8],
        budget: &Budget,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Result<u64, TooLong> {
        let (Deframer::Length(Some(high)), Some((&low, behind))) = (&*self, bytes.split_first()) else {
            return Ok(0);
        };
        let whole = read_length([*high, low]).ok_or(TooLong)?;
        *bytes = behind;
        if let Some((packet, rest)) = behind.split_at_checked(whole) {
            sink(packet);
            (*self, *bytes) = (Deframer::new(), rest);
            return Ok(0);
        }
        if budget.take(whole) {
            *self = Deframer::Packet { kept: Vec::with_capacity(whole), whole };
            return Ok(0);
        }
        *self = Deframer::Passing { left: whole };
        Ok(1)
    }

    /// Forgets what it keeps and gives it back to the budget.
    pub fn clear(&mut self, budget: &Budget) {
        if let Deframer::Packet { whole, .. } = self {
            budget.give_back(*whole);
        }
        *self = Deframer::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalyst_tunnel::packet::length;

    fn framed(packets: &[Vec<u8>]) -> Vec<u8> {
        packets.iter().flat_map(|p| [&length(p).unwrap()[..], p].concat()).collect()
    }

    #[test]
    fn packets_come_out_whole_however_the_bytes_are_cut() {
        let packets: Vec<Vec<u8>> = [0, 1, 300, 0, 65_507, 2].map(|n| vec![n as u8; n]).to_vec();
        let bytes = framed(&packets);
        for step in [1, 2, 3, 7, 299, 1_200, 70_000] {
            let (budget, mut reader) = (Budget::new(65_507), Deframer::new());
            let mut seen = Vec::new();
            for part in bytes.chunks(step) {
                assert_eq!(reader.feed(part, &budget, &mut |p| seen.push(p.to_vec())), Ok(0));
            }
            assert!(seen == packets, "in steps of {step}");
            assert!(budget.take(65_507), "all was given back");
        }
    }

    #[test]
    fn a_packet_without_room_is_passed_over_and_the_next_one_is_read() {
        let (budget, mut reader, mut seen) = (Budget::new(10), Deframer::new(), Vec::new());
        let bytes = framed(&[vec![1; 11], vec![2; 10]]);
        let dropped: u64 =
            bytes.chunks(1).map(|b| reader.feed(b, &budget, &mut |p| seen.push(p.to_vec())).unwrap()).sum();
        assert_eq!((dropped, seen), (1, vec![vec![2; 10]]));
    }

    #[test]
    fn what_is_kept_of_a_broken_packet_is_given_back() {
        let (budget, mut reader) = (Budget::new(100), Deframer::new());
        assert_eq!(reader.feed(&[0, 100, 1, 2], &budget, &mut |_| {}), Ok(0));
        assert!(!budget.take(1));
        reader.clear(&budget);
        assert!(budget.take(100));
        assert_eq!(reader.feed(&[0xff, 0xff], &budget, &mut |_| {}), Err(TooLong));
    }

    /// Whatever comes, in whatever pieces: no packet is longer than one may be, and the budget is whole in the end.
    #[test]
    fn noise_in_any_pieces_ends_with_the_budget_as_it_was() {
        let mut seed = 0x5eed_u64;
        let mut below = |n: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(seed >> 33).unwrap() % n
        };
        let (mut ended, mut packets, mut passed) = (0, 0, 0);
        for _ in 0..1_000 {
            let room = below(4_000);
            let budget = Budget::new(room);
            let mut deframer = Deframer::new();
            for _ in 0..40 {
                let long = below(5) == 0;
                let mut piece: Vec<u8> = (0..below(200)).map(|_| below(256) as u8).collect();
                if let (Some(first), false) = (piece.first_mut(), long) {
                    *first = [0, 0, 1, 2, 0xff][below(5)];
                }
                match deframer
                    .feed(&piece, &budget, &mut |packet| packets += usize::from(packet.len() <= 65_507))
                {
                    Ok(dropped) => passed += dropped,
                    Err(TooLong) => {
                        ended += 1;
                        break;
                    }
                }
            }
            deframer.clear(&budget);
            assert!(budget.take(room) && !budget.take(1), "the budget is another");
        }
        assert!(packets > 200 && passed > 100 && ended > 10, "{packets} {passed} {ended}");
    }
}
