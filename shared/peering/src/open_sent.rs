//! Our OPEN is out; theirs is awaited.

use catalyst_names::NodeName;
use catalyst_wire::Open;

use crate::failure::Failure;
use crate::limits::Limits;
use crate::terms::{Millis, Terms};

/// Waiting for the other side's OPEN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenSent {
    /// When waiting ends.
    pub until: Millis,
}

/// What both OPENs together mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// The highest version both speak.
    pub version: u8,
    /// The other side's run.
    pub incarnation: u64,
    /// The smaller of both hold times, within [`Limits::HOLD_MIN_MS`] and [`Limits::HOLD_MAX_MS`]; 0, off, if both say so.
    pub hold_ms: u32,
    /// The restart time the other side asks for, within [`Limits::RESTART_MAX_MS`].
    pub restart_ms: u32,
    /// The other side's optional abilities.
    pub capabilities: u32,
}

impl OpenSent {
    /// Starts to wait.
    #[must_use]
    pub fn new(terms: &Terms, now: Millis) -> Self {
        OpenSent { until: now.saturating_add(Self::patience(terms)) }
    }

    /// How long it waits, in milliseconds.
    #[must_use]
    pub fn patience(terms: &Terms) -> Millis {
        Limits::OPEN_MS.max(terms.hold_ms.into())
    }

    /// Holds their OPEN against our terms.
    ///
    /// # Errors
    /// The [`Failure`] to send back.
    pub fn judge(&self, terms: &Terms, open: &Open<'_>) -> Result<Agreed, Failure> {
        let version = terms.versions.1.min(open.version_max);
        if version < terms.versions.0 || version < open.version_min {
            return Err(Failure::Version(terms.versions, (open.version_min, open.version_max)));
        }
        if open.node != terms.peer.as_str() {
            // The frame's reader has checked the name; an empty fallback cannot be reached.
            return Err(NodeName::parse(open.node)
                .map_or(Failure::Malformed(catalyst_wire::FrameError::Text), Failure::Identity));
        }
        if terms.agreement != open.agreement {
            return Err(Failure::Agreement(terms.agreement, open.agreement));
        }
        // One that offers no timer gets the other's: it cannot switch it off for both.
        let hold_ms = match (terms.hold_ms, open.hold_ms) {
            (0, 0) => 0,
            (0, hold) | (hold, 0) => hold.clamp(Limits::HOLD_MIN_MS, Limits::HOLD_MAX_MS),
            (ours, theirs) => ours.min(theirs).clamp(Limits::HOLD_MIN_MS, Limits::HOLD_MAX_MS),
        };
        Ok(Agreed {
            version,
            incarnation: open.incarnation,
            hold_ms,
            restart_ms: open.restart_ms.min(Limits::RESTART_MAX_MS),
            capabilities: open.capabilities,
        })
    }
}
