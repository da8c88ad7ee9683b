//! Frames to neighbours wait until the program that carries flows lets them use what they are told of: else the first flows
//! to a service that was just announced are turned away.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use bytes::Bytes;
use catalyst_control::SessionId;
use catalyst_names::NodeName;

use crate::limits::Limits;

/// Which neighbours wait, and their frames in order. At most a session's credit of each: what waits has not given it back.
#[derive(Debug, Default)]
pub(crate) struct Granting {
    /// Were granted something that is not flushed yet.
    fresh: BTreeSet<NodeName>,
    /// How often something granted was flushed.
    told: u64,
    /// The program is asked whether it has all up to this.
    asked: bool,
    held: BTreeMap<SessionId, Held>,
}

#[derive(Debug)]
struct Held {
    /// What the program must have.
    told: u64,
    /// Nobody waits for longer.
    until: Instant,
    frames: Vec<Bytes>,
}

impl Granting {
    /// A neighbour may use something that it could not use before.
    pub(crate) fn granted(&mut self, peer: &NodeName) {
        if !self.fresh.contains(peer) {
            self.fresh.insert(peer.clone());
        }
    }

    /// What was granted is flushed. These sessions, of the neighbours that [`Granting::fresh`] gave, wait from now on; one
    /// that waits already does so for no longer than it would have.
    pub(crate) fn flushed(&mut self, sessions: impl Iterator<Item = SessionId>, now: Instant) {
        self.told += 1;
        for session in sessions {
            let until = now + Limits::GRANTED;
            let held = self.held.entry(session).or_insert(Held { told: 0, until, frames: Vec::new() });
            held.told = self.told;
        }
    }

    /// Who was granted something since the last time.
    pub(crate) fn fresh(&mut self) -> BTreeSet<NodeName> {
        std::mem::take(&mut self.fresh)
    }

    /// Gives a frame back that need not wait.
    pub(crate) fn pass(&mut self, session: SessionId, frame: Bytes) -> Option<Bytes> {
        match self.held.get_mut(&session) {
            Some(held) => {
                held.frames.push(frame);
                None
            }
            None => Some(frame),
        }
    }

    /// The program has what was flushed up to `told`, or has had its time: what it may send now.
    pub(crate) fn known(&mut self, told: u64, now: Instant) -> Vec<(SessionId, Vec<Bytes>)> {
        let free = |held: &Held| held.told <= told || held.until <= now;
        let free: Vec<SessionId> = self.held.iter().filter(|(_, h)| free(h)).map(|(s, _)| *s).collect();
        free.into_iter().map(|session| (session, self.end(session))).collect()
    }

    /// The session waits no more: its frames.
    pub(crate) fn end(&mut self, session: SessionId) -> Vec<Bytes> {
        self.held.remove(&session).map(|held| held.frames).unwrap_or_default()
    }

    /// When somebody has waited for long enough.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.held.values().map(|held| held.until).min()
    }

    /// The program has answered, or has not in its time.
    pub(crate) fn answered(&mut self) {
        self.asked = false;
    }

    /// What to ask the program now; nothing while it is being asked.
    pub(crate) fn question(&mut self) -> Option<u64> {
        let ask = !self.asked && !self.held.is_empty();
        self.asked |= ask;
        ask.then_some(self.told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: SessionId = SessionId(1);
    const B: SessionId = SessionId(2);

    fn frame(n: u8) -> Bytes {
        Bytes::from(vec![n])
    }

    #[test]
    fn only_who_was_granted_something_waits_and_its_frames_keep_their_order() {
        let (mut granting, now) = (Granting::default(), Instant::now());
        granting.flushed([A].into_iter(), now);
        assert_eq!(granting.pass(A, frame(1)), None);
        assert_eq!(granting.pass(B, frame(2)), Some(frame(2)));
        assert_eq!(granting.pass(A, frame(3)), None);
        assert_eq!(granting.known(1, now), [(A, vec![frame(1), frame(3)])]);
        assert_eq!(granting.pass(A, frame(4)), Some(frame(4)));
    }

    #[test]
    fn what_was_granted_later_is_waited_for_as_well_but_not_for_longer() {
        let (mut granting, now) = (Granting::default(), Instant::now());
        granting.flushed([A].into_iter(), now);
        assert_eq!(granting.question(), Some(1));
        granting.pass(A, frame(1));
        granting.flushed([A].into_iter(), now + Limits::GRANTED / 2);
        assert_eq!(granting.question(), None, "one question at a time");
        assert_eq!(granting.known(1, now), []);
        assert_eq!(granting.due(), Some(now + Limits::GRANTED));
        assert_eq!(granting.known(0, now + Limits::GRANTED), [(A, vec![frame(1)])]);
        assert_eq!(granting.due(), None);
    }

    #[test]
    fn a_session_that_is_over_leaves_nothing_behind() {
        let (mut granting, now) = (Granting::default(), Instant::now());
        granting.flushed([A, B].into_iter(), now);
        granting.pass(A, frame(1));
        assert_eq!(granting.end(A), [frame(1)]);
        assert_eq!(granting.pass(A, frame(2)), Some(frame(2)));
        assert_eq!(granting.known(1, now), [(B, vec![])]);
    }
}
