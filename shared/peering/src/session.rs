//! One control connection from OPEN to the end.

use catalyst_wire::{Frame, FrameType, Interest, Keepalive, Notify, Open, Refresh, Refused, Trust, Update};

use crate::established::Established;
use crate::failure::Failure;
use crate::open_sent::{Agreed, OpenSent};
use crate::terms::{Millis, Terms};

/// Where the session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Our OPEN is out.
    OpenSent(OpenSent),
    /// Both OPENs fit.
    Established(Established),
}

/// What a frame means.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A sign of life, or something that this version skips.
    Nothing,
    /// The session is up; where the other side says its mesh port is, or nothing.
    Established(Agreed, &'a str),
    /// Routes.
    Update(Update<'a>),
    /// The other side's table is complete.
    EndOfRib,
    /// The other side's table is complete, and this is the digest of all of it.
    Digest([u8; 16]),
    /// The other side's table once more: a wish for ours, or the begin or end of its own.
    Refresh(Refresh),
    /// What the other side wants to hear of.
    Interest(Interest<'a>),
    /// The other side did not take some of our routes.
    Refused(Refused<'a>),
    /// A signed statement of an organisation. Nothing of it has been verified.
    Trust(Trust<'a>),
    /// The other side ends the session.
    Ended(Notify<'a>),
}

/// One control connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    terms: Terms,
    phase: Phase,
}

impl Session {
    /// Starts: the caller sends [`Terms::open`] at once.
    #[must_use]
    pub fn start(terms: Terms, now: Millis) -> Self {
        let phase = Phase::OpenSent(OpenSent::new(&terms, now));
        Session { terms, phase }
    }

    /// Our terms.
    #[must_use]
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Where it stands.
    #[must_use]
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// The running state, once established.
    #[must_use]
    pub fn established(&self) -> Option<&Established> {
        match &self.phase {
            Phase::Established(running) => Some(running),
            Phase::OpenSent(_) => None,
        }
    }

    /// Feeds one frame.
    ///
    /// # Errors
    /// The [`Failure`] with which the session ends: send it as NOTIFY and close.
    pub fn receive<'a>(&mut self, frame: Frame<'a>, now: Millis) -> Result<Input<'a>, Failure> {
        let Some(kind) = frame.kind().map_err(Failure::Malformed)? else {
            return self.heard(now).map(|()| Input::Nothing);
        };
        if kind == FrameType::Notify {
            return Notify::read(frame.body).map(Input::Ended).map_err(Failure::Malformed);
        }
        match &mut self.phase {
            Phase::OpenSent(waiting) => {
                if kind != FrameType::Open {
                    return Err(Failure::Unexpected(kind, false));
                }
                let open = Open::read(frame.body).map_err(Failure::Malformed)?;
                let agreed = waiting.judge(&self.terms, &open)?;
                self.phase = Phase::Established(Established::new(agreed, now));
                Ok(Input::Established(agreed, open.mesh_address))
            }
            Phase::Established(running) => {
                running.heard(now);
                Self::read(kind, frame.body)
            }
        }
    }

    /// An unknown optional frame before OPEN is as wrong as a known one, but it has no name to report.
    fn heard(&mut self, now: Millis) -> Result<(), Failure> {
        match &mut self.phase {
            Phase::Established(running) => {
                running.heard(now);
                Ok(())
            }
            Phase::OpenSent(_) => Ok(()),
        }
    }

    fn read(kind: FrameType, body: &[u8]) -> Result<Input<'_>, Failure> {
        let input = match kind {
            FrameType::Open => return Err(Failure::Unexpected(kind, true)),
            FrameType::Update => Update::read(body).map(Input::Update),
            FrameType::EndOfRib => Ok(Input::EndOfRib),
            FrameType::Keepalive => {
                Keepalive::read(body).map(|k| k.digest.map_or(Input::Nothing, Input::Digest))
            }
            FrameType::Refused => Refused::read(body).map(Input::Refused),
            FrameType::Trust => Trust::read(body).map(Input::Trust),
            FrameType::Notify => Notify::read(body).map(Input::Ended),
            FrameType::Refresh => Refresh::read(body).map(Input::Refresh),
            FrameType::Interest => Interest::read(body).map(Input::Interest),
            // For the transport.
            FrameType::DialData => Ok(Input::Nothing),
        };
        input.map_err(Failure::Malformed)
    }

    /// Runs the timers: whether a KEEPALIVE is due.
    ///
    /// # Errors
    /// The [`Failure`] with which the session ends.
    pub fn tick(&mut self, now: Millis) -> Result<bool, Failure> {
        match &mut self.phase {
            Phase::OpenSent(waiting) if now >= waiting.until => {
                Err(Failure::OpenTimer(OpenSent::patience(&self.terms)))
            }
            Phase::OpenSent(_) => Ok(false),
            Phase::Established(running) => running.tick(now),
        }
    }

    /// There is something to send and no room for it.
    pub fn blocked(&mut self, now: Millis) {
        if let Phase::Established(running) = &mut self.phase {
            running.blocked(now);
        }
    }

    /// The other side took something.
    pub fn moved(&mut self) {
        if let Phase::Established(running) = &mut self.phase {
            running.moved();
        }
    }

    /// When [`Session::tick`] has something to do next.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        match &self.phase {
            Phase::OpenSent(waiting) => Some(waiting.until),
            Phase::Established(running) => running.deadline(),
        }
    }
}
