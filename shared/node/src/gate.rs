//! A port that can be closed: whoever holds the [`Opened`] keeps it open.

use std::convert::Infallible;

use async_channel::{Receiver, Sender, bounded};

/// Held by whoever serves the port; dropped last, when its socket is gone.
pub(crate) struct Gate {
    closing: Receiver<Infallible>,
    _gone: Sender<Infallible>,
}

impl Gate {
    /// Returns when the port is to be closed.
    pub(crate) async fn closing(&self) {
        // Nothing is ever sent: this is the end of the channel.
        let _ = self.closing.recv().await;
    }
}

/// An open port. Dropping it closes the port.
#[derive(Debug)]
pub(crate) struct Opened {
    open: Sender<Infallible>,
    gone: Receiver<Infallible>,
}

impl Opened {
    pub(crate) fn new() -> (Opened, Gate) {
        let ((open, closing), (gone, is_gone)) = (bounded(1), bounded(1));
        (Opened { open, gone: is_gone }, Gate { closing, _gone: gone })
    }

    /// Closes the port; returns when its address is free.
    pub(crate) async fn close(self) {
        drop(self.open);
        let _ = self.gone.recv().await;
    }
}
