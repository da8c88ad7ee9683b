//! Connections come and go: dials, crossing dials, losses, closes.

use catalyst_control::{Event, SessionId};

use crate::conn::{Conn, End, Item};
use crate::fault::Noticed;
use crate::net::{Due, Net};

/// A session that lived as long as this was no failed dial.
const SETTLED: u64 = 1_000;
/// The longest pause between two dials, in milliseconds.
const LONGEST_PAUSE: u64 = 4_000;

impl Net {
    /// Plans a dial, if this side dials, has reason to, and has none planned.
    pub(crate) fn want_dial(&mut self, link: usize, side: usize) {
        if !self.may_dial(link, side) || self.links[link].dialling[side] {
            return;
        }
        let tries = self.links[link].tries[side].min(8);
        let longest = (10u64 << tries).min(LONGEST_PAUSE);
        let pause = self.rng.between((longest / 2, longest));
        self.links[link].dialling[side] = true;
        self.after(pause, Due::Dial { link, side });
    }

    fn may_dial(&self, link: usize, side: usize) -> bool {
        let plan = &self.links[link].plan;
        plan.dials[side]
            && plan.sides[side].is_some()
            && self.nodes[plan.ends[side]].core.is_some()
            && !self.conns_of(link).any(|(_, c)| c.open_at(side))
    }

    pub(crate) fn dial(&mut self, link: usize, side: usize) {
        self.links[link].dialling[side] = false;
        if !self.may_dial(link, side) {
            return;
        }
        let place = &self.links[link];
        let now = self.clock.now();
        let reachable = place.down_until <= now
            && place.stalled_until.iter().all(|until| *until <= now)
            && self.nodes[place.plan.ends[1 - side]].core.is_some();
        self.links[link].tries[side] += 1;
        if !reachable {
            return self.want_dial(link, side);
        }
        self.open(link, side);
    }

    /// Makes a connection dialled by this side, whatever else there is.
    pub fn open(&mut self, link: usize, side: usize) -> SessionId {
        let id = self.next_conn;
        self.next_conn += 1;
        self.stats.connections += 1;
        let (now, delay) = (self.clock.now(), self.links[link].plan.delay);
        let up_at = [now + self.rng.between(delay), now + self.rng.between(delay)];
        let mut conn = Conn::new(link, side, up_at);
        conn.flows.iter_mut().for_each(|flow| flow.credit = self.links[link].plan.window);
        self.conns.insert(id, conn);
        self.of_link.insert((link, id));
        for (side, at) in up_at.into_iter().enumerate() {
            self.at(at, Due::Up { conn: id, side });
        }
        SessionId(id)
    }

    pub(crate) fn conn_up(&mut self, id: u64, side: usize) {
        let Some(conn) = self.conns.get_mut(&id).filter(|c| c.ends[side] == End::Coming) else { return };
        conn.ends[side] = End::Up;
        let (link, dialled) = (conn.link, conn.dialler == side);
        let plan = &self.links[link].plan;
        let (node, bytes) = (plan.ends[side], plan.window);
        let peer = self.nodes[plan.ends[1 - side]].plan.name.clone();
        let session = SessionId(id);
        self.note(|net| format!("{}: connection {id} with {peer} is up", net.nodes[node].plan.name));
        self.feed(node, &Event::SessionUp { session, peer, dialled });
        // It may have been refused at once.
        if self.conns.get(&id).is_some_and(|c| c.ends[side] == End::Up) {
            self.feed(node, &Event::Writable { session, bytes });
        }
    }

    /// The transport of one side finds the connection gone.
    pub(crate) fn conn_gone(&mut self, id: u64, side: usize) {
        let Some(conn) = self.conns.get_mut(&id).filter(|c| c.ends[side] != End::Closed) else { return };
        let was_up = conn.reads(side);
        conn.ends[side] = End::Closed;
        conn.vanish(side);
        let link = conn.link;
        let node = self.links[link].plan.ends[side];
        self.note(|net| format!("{}: connection {id} is gone", net.nodes[node].plan.name));
        if was_up {
            self.feed(node, &Event::SessionDown { session: SessionId(id) });
        }
        self.forget(id);
        self.want_dial(link, side);
    }

    /// A node ends a connection: the last frame goes out whatever the credit, then the close.
    pub(crate) fn close(&mut self, node: usize, session: SessionId, last: Vec<u8>) {
        let Some((id, side)) = self.end_of(node, session) else {
            return self.violated(node, "closed a connection that it does not have");
        };
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if conn.ends[side] != End::Up {
            return self.violated(node, "closed a connection twice");
        }
        conn.ends[side] = End::Closing;
        let longest = self.links[conn.link].plan.delay.1;
        if !last.is_empty() {
            self.put_on_wire(id, side, last, false);
        }
        self.push_item(id, side, Item::Fin);
        // The transport waits a while for the other side before it reports the end.
        let wait = self.rng.between((0, 3 * longest));
        self.after(wait, Due::LocalDown { conn: id, side });
    }

    /// The transport reports a connection closed that the core itself closed. What it sent is still on its way.
    pub(crate) fn local_down(&mut self, id: u64, side: usize) {
        let Some(conn) = self.conns.get_mut(&id).filter(|c| c.ends[side] == End::Closing) else { return };
        conn.ends[side] = End::Closed;
        let link = conn.link;
        let node = self.links[link].plan.ends[side];
        self.feed(node, &Event::SessionDown { session: SessionId(id) });
        self.forget(id);
        self.want_dial(link, side);
    }

    /// A session that lasted makes its link dial afresh; one that was refused at once does not.
    fn forget(&mut self, id: u64) {
        let Some(conn) = self.conns.get(&id) else { return };
        if conn.established_at.is_some_and(|at| at + SETTLED < self.clock.now()) {
            self.links[conn.link].tries = [0; 2];
        }
        self.remove_if_over(id);
    }

    /// Loses every connection of a link.
    pub(crate) fn lose(&mut self, link: usize, noticed: Noticed) {
        let ids: Vec<u64> = self.conns_of(link).filter(|(_, c)| !c.cut).map(|(id, _)| id).collect();
        for id in ids {
            if let Some(conn) = self.conns.get_mut(&id) {
                conn.cut = true;
            }
            for side in 0..2 {
                let told = match noticed {
                    Noticed::Both => true,
                    Noticed::Only(which) => which == side,
                    Noticed::Neither => false,
                };
                self.lost_at(id, side, told);
            }
        }
    }

    /// One end of a connection that is lost: told, or left to its timers. Without a hold timer it is always told,
    /// as a transport has a timer of its own.
    pub(crate) fn lost_at(&mut self, id: u64, side: usize, told: bool) {
        let Some(conn) = self.conns.get(&id) else { return };
        let coming = conn.ends[side] == End::Coming;
        let hold = self.established_at(conn.link, side).filter(|(session, ..)| session.0 == id);
        let held = hold.is_none_or(|(_, _, ms)| ms > 0);
        let link = &self.links[conn.link];
        if coming || told || !held {
            let delay = self.rng.between(link.plan.delay);
            self.after(delay, Due::Gone { conn: id, side });
        }
    }
}
