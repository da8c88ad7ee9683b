//! One flow: a stream of a data connection, behind its header.

use std::fmt;
use std::sync::Arc;

use catalyst_tunnel::Refusal;
use quinn::VarInt;

use crate::conn::{RecvHalf, SendHalf};
use crate::error::FlowError;
use crate::standing::{Mark, Standing};

/// The two halves of a flow. Dropped before both ended, it is reset, so that a cut flow never looks like a whole one.
pub struct FlowStream {
    pub(crate) send: SendHalf,
    pub(crate) recv: RecvHalf,
    /// Our half has been finished or reset.
    pub(crate) ended: bool,
    /// The code of the reset that dropping makes.
    pub(crate) on_drop: Refusal,
    /// Counts it among the flows that the peer has open.
    _place: Option<Arc<()>>,
    /// Its place among those of the connection that must not stand still.
    pub(crate) mark: Option<Mark>,
}

impl fmt::Debug for FlowStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FlowStream({})", self.send)
    }
}

pub(crate) fn reset_code(refusal: Refusal) -> VarInt {
    VarInt::from_u32(u32::from(refusal.code()))
}

impl FlowStream {
    pub(crate) fn new(send: SendHalf, recv: RecvHalf, on_drop: Refusal) -> Self {
        FlowStream { send, recv, ended: false, on_drop, _place: None, mark: None }
    }

    /// One of the flows of a connection.
    pub(crate) fn among(mut self, standing: &Standing) -> Self {
        self.mark = Some(Mark::new(standing));
        self
    }

    /// Whether its reader waits for the peer, and not the peer for its reader.
    pub(crate) fn waits(&self, waits: bool) {
        if let Some(mark) = &self.mark {
            mark.waits(waits);
        }
    }

    /// Holds on to `place` as long as it lives.
    pub(crate) fn counted(mut self, place: Arc<()>) -> Self {
        self._place = Some(place);
        self
    }

    /// Tells the opener that the target is connected; bytes may follow.
    ///
    /// # Errors
    /// [`FlowError::Lost`], when the opener gave up or the connection is gone.
    pub async fn accept(mut self) -> Result<FlowStream, FlowError> {
        self.send.write_all(&[Refusal::CONNECTED]).await.map_err(|e| FlowError::Lost(e.to_string()))?;
        self.on_drop = Refusal::Aborted;
        Ok(self)
    }

    /// Tells the opener why not.
    pub async fn refuse(mut self, why: Refusal) {
        self.on_drop = why;
        if self.send.write_all(&[why.code()]).await.is_ok() && self.send.finish().is_ok() {
            self.ended = true;
        }
    }

    /// Ends both halves at once, with a reason.
    pub fn reset(mut self, why: Refusal) {
        self.on_drop = why;
    }
}

impl Drop for FlowStream {
    fn drop(&mut self) {
        if !self.ended {
            self.send.reset(reset_code(self.on_drop));
        }
        self.recv.stop(reset_code(self.on_drop));
    }
}
