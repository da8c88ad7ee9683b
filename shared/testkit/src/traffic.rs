//! Frames on their way: order, delay, credit, stalls.

use catalyst_control::{Event, SessionId};
use catalyst_names::NodeName;
use catalyst_wire::{Frame, FrameType, Refresh};

use crate::conn::{End, Item};
use crate::net::{Due, Net};
use crate::watch::{Facts, describe};

/// Whether a frame is a KEEPALIVE.
pub(crate) fn is_keepalive(bytes: &[u8]) -> bool {
    is(bytes, FrameType::Keepalive)
}

fn is(bytes: &[u8], kind: FrameType) -> bool {
    Frame::whole(bytes).is_ok_and(|f| f.kind() == Ok(Some(kind)))
}

/// Whether a frame asks for a refresh.
fn is_request(bytes: &[u8]) -> bool {
    let body = Frame::whole(bytes).ok().filter(|f| f.kind() == Ok(Some(FrameType::Refresh))).map(|f| f.body);
    body.is_some_and(|body| Refresh::read(body) == Ok(Refresh::REQUEST))
}

impl Net {
    /// A node sends a frame within its credit.
    pub(crate) fn transmit(&mut self, node: usize, session: SessionId, frame: Vec<u8>) {
        let Some((id, side)) = self.end_of(node, session) else {
            return self.violated(node, "sent a frame on a connection that it does not have");
        };
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if conn.ends[side] != End::Up {
            return self.violated(node, "sent a frame on a connection that it closed");
        }
        match conn.flows[side].credit.checked_sub(frame.len()) {
            Some(rest) => conn.flows[side].credit = rest,
            None => self.violated(node, "sent more than its credit"),
        }
        self.put_on_wire(id, side, frame, true);
    }

    /// The node and the side that has this session.
    pub(crate) fn end_of(&self, node: usize, session: SessionId) -> Option<(u64, usize)> {
        let conn = self.conns.get(&session.0)?;
        let side = self.links[conn.link].plan.ends.iter().position(|n| *n == node)?;
        Some((session.0, side))
    }

    pub(crate) fn put_on_wire(&mut self, id: u64, side: usize, frame: Vec<u8>, credited: bool) {
        let Some(conn) = self.conns.get(&id) else { return };
        let ends = self.links[conn.link].plan.ends;
        let (from, to) = (ends[side], ends[1 - side]);
        self.stats.frames += 1;
        self.stats.loud += u64::from(!is_keepalive(&frame));
        for byte in frame.iter().chain(&(self.clock.now() ^ id).to_le_bytes()) {
            self.stats.trace = (self.stats.trace ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.note(|net| {
            let (a, b) = (&net.nodes[from].plan.name, &net.nodes[to].plan.name);
            format!("{a} > {b} [{id}] {}", describe(&frame))
        });
        let (sender, receiver) = (&self.nodes[from], &self.nodes[to]);
        let link = self.conns.get(&id).map(|conn| &self.links[conn.link].plan);
        let agreement = link.and_then(|plan| plan.sides[side].as_ref()?.agreement.as_ref());
        let role = agreement
            .and_then(|a| catalyst_oracle::rules::role(a, sender.plan.name.org(), receiver.plan.name.org()));
        let facts = Facts {
            org: sender.plan.name.org(),
            node: sender.plan.name.node(),
            external: sender.plan.name.org() != receiver.plan.name.org(),
            to: receiver.plan.name.org(),
            role,
        };
        let steady = |service: &str, step: u64| {
            let [_, before] = sender.changed.get(service).copied().unwrap_or_default();
            before.max(sender.rules_changed) <= step
        };
        let standing = || self.to_tell((from, to));
        let due = is(&frame, FrameType::EndOfRib).then(|| {
            let missing =
                self.conns.get(&id).and_then(|conn| conn.flows[side].watch.missing(standing(), steady));
            missing.map(|(service, origin)| format!("sent END_OF_RIB before {service} of {origin}"))
        });
        let spoken = &mut self.spoken;
        let watched =
            self.conns.get_mut(&id).map_or(Ok(0), |conn| conn.flows[side].watch.frame(&frame, facts, spoken));
        let watched = due.flatten().map_or(watched, Err);
        match watched {
            Ok(elements) => self.elements += elements,
            Err(what) => self.violated(from, &what),
        }
        self.push_item(id, side, Item::Frame(frame, credited));
    }

    /// Sends an item behind all others of its flow.
    pub(crate) fn push_item(&mut self, id: u64, from: usize, item: Item) {
        let Some(conn) = self.conns.get(&id) else { return };
        if conn.cut {
            return;
        }
        let delay = self.rng.between(self.links[conn.link].plan.delay);
        let now = self.clock.now();
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let up_at = conn.up_at[1 - from];
        let flow = &mut conn.flows[from];
        flow.last_at = flow.last_at.max(now + delay).max(up_at);
        let (at, round) = (flow.last_at, flow.round);
        self.at(at, Due::Item { conn: id, from, round, item });
    }

    /// An item comes to the end of its way, or to where the link is stalled.
    pub(crate) fn arrive(&mut self, id: u64, from: usize, round: u32, item: Item) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if conn.cut || conn.flows[from].round != round {
            return;
        }
        let stalled = self.links[conn.link].stalled_until[from] > self.clock.now();
        if stalled || !conn.flows[from].held.is_empty() {
            conn.flows[from].held.push_back(item);
            return;
        }
        self.deliver(id, from, item);
    }

    fn deliver(&mut self, id: u64, from: usize, item: Item) {
        let to = 1 - from;
        let Some(conn) = self.conns.get(&id).filter(|c| c.reads(to)) else { return };
        let (link, sender_open) = (conn.link, conn.ends[from] == End::Up);
        let node = self.links[link].plan.ends[to];
        match item {
            Item::Fin => self.conn_gone(id, to),
            Item::Frame(frame, credited) => {
                if credited && sender_open {
                    let delay = self.rng.between(self.links[link].plan.delay);
                    let (bytes, small) = (frame.len(), is_keepalive(&frame));
                    self.after(delay, Due::Credit { conn: id, side: from, bytes, small });
                }
                if let Some(conn) = self.conns.get_mut(&id) {
                    conn.flows[to].watch.owed |= is_request(&frame);
                    let lost = is(&frame, FrameType::Update) && std::mem::take(&mut conn.flows[from].swallow);
                    if lost && self.may_swallow(link, from) {
                        return self.swallowed(link, from, id);
                    }
                }
                self.feed(node, &Event::PeerFrame { session: SessionId(id), frame });
            }
        }
    }

    /// The receiver has taken bytes.
    pub(crate) fn credit(&mut self, id: u64, side: usize, bytes: usize) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if conn.cut || conn.ends[side] != End::Up {
            return;
        }
        conn.flows[side].credit += bytes;
        let node = self.links[conn.link].plan.ends[side];
        self.feed(node, &Event::Writable { session: SessionId(id), bytes });
    }

    /// A stall is over: what waited arrives in its order. Where one end has closed in the meantime, its transport
    /// does not know the connection any more, and the other end may be told so instead.
    pub(crate) fn flow_again(&mut self, link: usize) {
        let ids: Vec<u64> = self.conns_of(link).map(|(id, _)| id).collect();
        for id in ids {
            for from in 0..2 {
                if self.links[link].stalled_until[from] > self.clock.now() {
                    continue;
                }
                // Of a connection that was lost in the meantime nothing arrives any more.
                let Some(conn) = self.conns.get_mut(&id).filter(|conn| !conn.cut) else { break };
                let (sender_closed, receiver_up) = (conn.ends[from] == End::Closed, conn.reads(1 - from));
                if sender_closed && receiver_up && !conn.flows[from].held.is_empty() && self.rng.percent(50) {
                    conn.vanish(from);
                    self.after(1, Due::Gone { conn: id, side: 1 - from });
                    continue;
                }
                while let Some(item) = self.conns.get_mut(&id).and_then(|c| c.flows[from].held.pop_front()) {
                    self.deliver(id, from, item);
                }
            }
        }
    }

    /// A node says that a session is established: remember what it is to tell before END_OF_RIB.
    pub(crate) fn session_established(&mut self, node: usize, peer: &NodeName, session: SessionId) {
        let Some((id, side)) = self.end_of(node, session) else { return };
        let standing = self.place(peer).map(|peer| self.to_tell((node, peer))).unwrap_or_default();
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.flows[side].watch.established(standing, self.stats.steps);
            conn.established_at = Some(self.clock.now());
        }
    }
}
