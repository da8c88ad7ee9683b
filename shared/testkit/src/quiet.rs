//! When a network has come to rest.

use std::collections::BTreeMap;

use catalyst_control::SessionId;

use crate::any::{AnyCore, Compared, Established};
use crate::conn::{Conn, End, Item};
use crate::net::{Due, Net};
use crate::traffic::is_keepalive;

/// A network comes to rest within this time after the last thing that happened to it, in milliseconds: the longest
/// hold time of a random network, the longest pause between dials, half as much again, and the longest time that ways are
/// withheld.
const PATIENCE: u64 = 40_000;
/// Frames for every link and key that a network may need to come to rest; paths that are tried one after the other
/// in a dense network inside one organisation take some ninety.
const FRAMES: u64 = 200;
/// Steps of the simulator after which a network is taken to chatter for ever.
const STEPS: u64 = 400_000;

impl Net {
    /// Whether a link is to have a session: both sides run, are configured and hold the same agreement.
    #[must_use]
    pub fn expected(&self, link: usize) -> bool {
        let plan = &self.links[link].plan;
        let running = plan.ends.iter().all(|node| self.nodes[*node].core.is_some());
        let agreed = match &plan.sides {
            [Some(a), Some(b)] => a.agreement == b.agreement,
            _ => false,
        };
        let dialled = (0..2).any(|side| plan.dials[side]);
        running && agreed && dialled
    }

    /// The session that both ends of a link have established, with both tables complete.
    #[must_use]
    pub fn established(&self, link: usize) -> Option<SessionId> {
        let [first, second] =
            [0, 1].map(|side| self.established_at(link, side).filter(|(_, synced, _)| *synced));
        let ((first, ..), (second, ..)) = (first?, second?);
        (first == second).then_some(first)
    }

    /// The session that one side of a link has established.
    #[must_use]
    pub fn established_side(&self, link: usize, side: usize) -> Option<SessionId> {
        self.established_at(link, side).map(|(session, ..)| session)
    }

    /// What one side of a link has established, whether the other's table is complete there, and the hold time.
    pub(crate) fn established_at(&self, link: usize, side: usize) -> Option<(SessionId, bool, u32)> {
        let plan = &self.links[link].plan;
        let peer = &self.nodes[plan.ends[1 - side]].plan.name;
        self.nodes[plan.ends[side]].core.as_ref()?.look(Established(peer))
    }

    /// Whether nothing but keepalives is under way or waits, and every link that is to have a session has exactly one.
    #[must_use]
    pub fn quiet(&self) -> bool {
        !self.is_pausing()
            && self.queue.values().all(|due| !self.matters(due))
            && self.settled()
            && self.whole_tables()
            && !self.walking()
    }

    /// Whether a node is on its way through its table.
    fn walking(&self) -> bool {
        let under_way = |core: &AnyCore| core.is_walking() || core.is_ageing() || core.is_looking();
        self.nodes.iter().any(|node| node.core.as_ref().is_some_and(under_way))
    }

    fn settled(&self) -> bool {
        let whole = |c: &&Conn| c.ends == [End::Up; 2] && !c.cut && c.flows.iter().all(|f| f.held.is_empty());
        (0..self.links.len()).all(|link| {
            if !self.expected(link) {
                // A connection of older terms may still become a session for a moment.
                let fresh = self.links[link].fresh_from;
                let old = self.conns_of(link).any(|(id, _)| id < fresh);
                return !old && (0..2).all(|side| self.established_at(link, side).is_none());
            }
            let mut conns = self.conns_of(link).map(|(_, c)| c);
            let one = conns.next().is_some_and(|c| whole(&c)) && conns.next().is_none();
            one && self.established(link).is_some()
        })
    }

    fn matters(&self, due: &Due) -> bool {
        let expected = |id: &u64| self.conns.get(id).is_some_and(|c| !c.cut && self.expected(c.link));
        match due {
            Due::Item { conn, from, round, item } => {
                let loud = !matches!(item, Item::Frame(bytes, _) if is_keepalive(bytes));
                let live = self.conns.get(conn).is_some_and(|c| c.flows[*from].round == *round);
                loud && live && expected(conn)
            }
            Due::Credit { conn, small, .. } => !small && expected(conn),
            Due::Up { conn, .. } | Due::Gone { conn, .. } | Due::LocalDown { conn, .. } => {
                self.conns.get(conn).is_some_and(|c| self.expected(c.link))
            }
            Due::Dial { link, .. } => self.expected(*link) && self.established(*link).is_none(),
            Due::Flow { link } => self.links[*link].stalled_until.iter().any(|at| *at > self.clock.now()),
            Due::Fault(_) | Due::Start { .. } => true,
            Due::Tick { .. } => false,
        }
    }

    /// Runs until the network has come to rest, then on for a while in which nothing may happen but keepalives.
    ///
    /// # Errors
    /// What was broken on the way, or why the network did not come to rest.
    pub fn settle(&mut self) -> Result<(), String> {
        let steps = self.stats.steps + STEPS * (1 + self.links.len() as u64 / 20);
        self.disturb(self.now());
        loop {
            if self.quiet() {
                break;
            }
            if let Some(first) = self.violations.first() {
                return Err(first.clone());
            }
            self.forget_healed();
            if let Some(overdue) = self.overdue_gap() {
                return Err(overdue);
            }
            if self.now() > self.disturbed_at + PATIENCE || self.stats.steps > steps {
                return Err(format!(
                    "not at rest after {PATIENCE} ms or {STEPS} steps: {}",
                    self.restless().join("; ")
                ));
            }
            // To look costs about as much as a step for every link.
            let went_on = (0..=self.links.len() / 2).take_while(|_| self.step()).count();
            if went_on == 0 {
                return Err(format!("at rest, but not settled: {}", self.restless().join("; ")));
            }
        }
        self.gaps_closed();
        let unrest = self.now().saturating_sub(self.disturbed_at);
        self.stats.longest_unrest = self.stats.longest_unrest.max(unrest);
        let keys: usize = self.nodes.iter().map(|n| n.plan.services.len().max(n.services.len())).sum();
        let ratio = (self.stats.loud - self.loud_before) / ((keys + 1) * (self.links.len() + 1)) as u64;
        self.stats.most_frames = self.stats.most_frames.max(ratio);
        if ratio > FRAMES {
            return Err(format!("{ratio} frames for every link and key until it came to rest"));
        }
        // Who was lied to finds it out by digests, and asks anew: a network with lies in it does not rest for long.
        if self.lied.is_empty() { self.linger() } else { Ok(()) }
    }

    /// Watches a network at rest for longer than any of its timers.
    fn linger(&mut self) -> Result<(), String> {
        let digests = |net: &Net| -> Vec<Option<[u8; 32]>> {
            net.nodes.iter().map(|n| n.core.as_ref().map(|c| c.digest())).collect()
        };
        let hold = (0..self.links.len())
            .filter(|link| self.expected(*link))
            .filter_map(|link| self.established_at(link, 0).map(|(_, _, hold_ms)| u64::from(hold_ms)))
            .max()
            .unwrap_or(0);
        let (before, loud) = (digests(self), self.stats.loud);
        let said: BTreeMap<u64, [u64; 2]> = self.conns.iter().map(|(id, c)| (*id, c.digests())).collect();
        let until = self.now() + hold + hold / 4 + 100;
        let waited = self.stale_until().is_some();
        let began = self.now();
        // A phase of staleness that begins meanwhile changes the state.
        if self.stale_until().is_some_and(|(next, _)| next <= until) {
            return Ok(());
        }
        while self.queue.first_key_value().is_some_and(|((at, _), _)| *at <= until) {
            self.step();
            let moves = self.stats.loud != loud && !self.quiet();
            let excused = || waited || self.tight || self.asked_for_room(began) || self.has_late_session();
            if moves && excused() {
                return self.settle();
            }
            if moves {
                let due: Vec<&Due> = self.queue.values().filter(|due| self.matters(due)).collect();
                return Err(format!(
                    "at {} ms, a network at rest began to move: {due:?}; {}",
                    self.now(),
                    self.restless().join("; ")
                ));
            }
        }
        if let Some(first) = self.violations.first() {
            return Err(first.clone());
        }
        if !self.quiet() {
            return Err(format!("a network at rest did not stay so: {}", self.restless().join("; ")));
        }
        // Who is waited for may be heard to be gone for good, on a link that is to have no session.
        if digests(self) != before && !waited && !self.tight {
            return Err("a state changed while the network was at rest".to_owned());
        }
        self.compared(&said)
    }

    /// Whether one end has established a session on a link that is to have none: what a node said before it stopped was
    /// under way. The network is not at rest before that has ended.
    fn has_late_session(&self) -> bool {
        let late = |link: usize| (0..2).any(|side| self.established_at(link, side).is_some());
        (0..self.links.len()).any(|link| !self.expected(link) && late(link))
    }

    /// Whether somebody has asked for a refresh since then who had refused something: what a liar left behind, and a
    /// session that came back has yet to confirm, may leave no room for the truth at first.
    fn asked_for_room(&self, since: u64) -> bool {
        let asked = self.gaps.asked.iter().filter(|(_, at)| **at >= since);
        asked.map(|(pair, _)| pair).any(|pair| {
            self.is_blamed(*pair)
                && self.shadows.all.get(pair).is_some_and(|shadow| !shadow.refused.is_empty())
        })
    }

    /// Each end of each session has said the digest of what it told, and heard that of what it holds.
    fn compared(&self, said: &BTreeMap<u64, [u64; 2]>) -> Result<(), String> {
        for link in (0..self.links.len()).filter(|link| self.expected(*link)) {
            for side in 0..2 {
                let Some((session, _, hold)) = self.established_at(link, side) else { continue };
                let ends = self.links[link].plan.ends;
                let (node, peer) = (&self.nodes[ends[side]], self.nodes[ends[1 - side]].name());
                let pair = (ends[side], ends[1 - side]);
                let refused = self.shadows.all.get(&pair).is_some_and(|shadow| !shadow.refused.is_empty());
                let mute = self.shadows.all.get(&pair).is_none_or(|shadow| shadow.terms.mute);
                if hold == 0 || mute {
                    continue;
                }
                let before = said.get(&session.0).map_or(0, |said| said[1 - side]);
                if self.conns.get(&session.0).is_none_or(|c| c.digests()[1 - side] <= before) {
                    return Err(format!("{peer}: says no digest to {}", node.name()));
                }
                let found = node.core.as_ref().and_then(|core| core.look(Compared(peer)));
                let Some((state, mismatches)) = found else { continue };
                // What is refused cannot be compared; a refresh may have found room for it.
                let fits = state == "equal" || refused && state == "suspended";
                if !fits || mismatches > 0 && !self.is_blamed(pair) {
                    return Err(format!(
                        "{}: finds the digest of {peer} `{state}`, and differed {mismatches} times",
                        node.name()
                    ));
                }
            }
        }
        Ok(())
    }

    /// Links that are not as they are to be, in words.
    fn restless(&self) -> Vec<String> {
        (0..self.links.len())
            .filter(|link| {
                let some = (0..2).any(|side| self.established_at(*link, side).is_some());
                if self.expected(*link) { self.established(*link).is_none() } else { some }
            })
            .map(|link| {
                let [a, b] = self.links[link].plan.ends.map(|n| self.nodes[n].plan.name.to_string());
                let ends = [0, 1].map(|side| self.established_at(link, side));
                let conns: Vec<String> =
                    self.conns_of(link).map(|(id, c)| format!("{id} {:?} cut={}", c.ends, c.cut)).collect();
                format!("link {link} of {a} and {b} has {ends:?} with connections {conns:?}")
            })
            .collect()
    }
}
