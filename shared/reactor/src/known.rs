//! What is known of a source's readiness.

use std::task::Waker;

use rustix::event::epoll::EventFlags;

/// One of the two directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Bytes, packets or connections come in.
    Read,
    /// Bytes or packets go out.
    Write,
}

/// One direction of a source.
#[derive(Debug)]
pub(crate) struct Known {
    /// A call may succeed. The system tells each change once, so this stays until a call says `WouldBlock`.
    pub ready: bool,
    /// The other end has closed this direction, or it broke, or there is urgent data: that a call moved little does not
    /// mean that the next would wait. Only `WouldBlock` means it.
    pub ended: bool,
    /// Changes so far. Of a call that began before a change nothing can be learned.
    pub changes: u32,
    pub waker: Option<Waker>,
}

/// What the reactor keeps of a source.
#[derive(Debug)]
pub(crate) struct Entry {
    read: Known,
    write: Known,
}

impl Entry {
    pub fn new(ready: bool) -> Self {
        let known = || Known { ready, ended: false, changes: 0, waker: None };
        Entry { read: known(), write: known() }
    }

    pub fn side(&mut self, side: Side) -> &mut Known {
        match side {
            Side::Read => &mut self.read,
            Side::Write => &mut self.write,
        }
    }

    /// Takes down what the system told; the wakers are for the caller to wake.
    pub fn changed(&mut self, flags: EventFlags, woken: &mut Vec<Waker>) {
        let over = flags.intersects(EventFlags::HUP | EventFlags::ERR);
        // A read stops at urgent data (RFC 9293, section 3.8.5) with bytes behind it, of which no change tells.
        let read_ended = over || flags.intersects(EventFlags::RDHUP | EventFlags::PRI);
        self.read.changed(flags.contains(EventFlags::IN), read_ended, woken);
        self.write.changed(flags.contains(EventFlags::OUT), over, woken);
    }
}

impl Known {
    fn changed(&mut self, ready: bool, ended: bool, woken: &mut Vec<Waker>) {
        if ready || ended {
            self.ready = true;
            self.ended |= ended;
            self.changes = self.changes.wrapping_add(1);
            woken.extend(self.waker.take());
        }
    }
}
