//! What waits for the node to read. Reports wait as long as they must; lines of output only while there is room.

use std::io::{ErrorKind, Write};
use std::os::unix::net::UnixStream;

use crate::frame::{Message, Report};
use crate::limits::Limits;

#[derive(Default)]
pub(super) struct Outbox(Vec<u8>);

impl Outbox {
    /// Bounded by the programs: each has a few of them until the node answers.
    pub(super) fn report(&mut self, report: &Report) {
        self.0.extend(report.encode());
    }

    /// Takes the line if there is room.
    pub(super) fn line(&mut self, line: &Report) -> bool {
        let room = self.room();
        if room {
            self.report(line);
        }
        room
    }

    /// Whether there is room for what may be told later, or never.
    pub(super) fn room(&self) -> bool {
        self.0.len() < Limits::OUTBOX
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes what the socket takes. Returns whether the node is there.
    pub(super) fn flush(&mut self, link: &mut UnixStream) -> bool {
        while !self.0.is_empty() {
            match link.write(&self.0) {
                Ok(written) => drop(self.0.drain(..written)),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return e.kind() == ErrorKind::WouldBlock,
            }
        }
        // Memory for a burst need not stay.
        self.0.shrink_to(512);
        true
    }
}
