//! Both OPENs fit: routes flow, timers run.

use crate::failure::Failure;
use crate::limits::Limits;
use crate::open_sent::Agreed;
use crate::terms::Millis;

/// The timers of a running session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Established {
    /// What both sides agreed on.
    pub agreed: Agreed,
    heard: Millis,
    next_keepalive: Millis,
    blocked_since: Option<Millis>,
}

impl Established {
    /// Starts the timers.
    #[must_use]
    pub fn new(agreed: Agreed, now: Millis) -> Self {
        Established { agreed, heard: now, next_keepalive: now, blocked_since: None }
    }

    /// Something was heard.
    pub fn heard(&mut self, now: Millis) {
        self.heard = now;
    }

    /// There is something to send and no room for it; counts from the first call until [`Established::moved`].
    pub fn blocked(&mut self, now: Millis) {
        self.blocked_since.get_or_insert(now);
    }

    /// The other side took something.
    pub fn moved(&mut self) {
        self.blocked_since = None;
    }

    fn hold(&self) -> Option<u64> {
        (self.agreed.hold_ms > 0).then_some(u64::from(self.agreed.hold_ms))
    }

    fn send_hold(&self) -> Option<u64> {
        self.hold().map(|hold| (2 * hold).max(Limits::SEND_HOLD_MS))
    }

    /// Runs the timers: whether a KEEPALIVE is due.
    ///
    /// # Errors
    /// [`Failure::Hold`] or [`Failure::SendHold`].
    pub fn tick(&mut self, now: Millis) -> Result<bool, Failure> {
        let Some(hold) = self.hold() else { return Ok(false) };
        if now >= self.heard.saturating_add(hold) {
            return Err(Failure::Hold(now - self.heard));
        }
        if let (Some(since), Some(limit)) = (self.blocked_since, self.send_hold())
            && now >= since.saturating_add(limit)
        {
            return Err(Failure::SendHold(now - since));
        }
        let due = now >= self.next_keepalive;
        if due {
            self.next_keepalive = now.saturating_add((hold / Limits::KEEPALIVES).max(1));
        }
        Ok(due)
    }

    /// When [`Established::tick`] has something to do next.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        let hold = self.hold()?;
        let send = self.blocked_since.zip(self.send_hold()).map_or(Millis::MAX, |(s, l)| s.saturating_add(l));
        Some(self.heard.saturating_add(hold).min(self.next_keepalive).min(send))
    }
}
