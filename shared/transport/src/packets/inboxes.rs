//! Lanes at which tasks wait, each for the packets of its own flow.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::lanes::Lanes;
use crate::rt::lock;

/// Packets by flow, for those who have opened an inbox. When full: the flow that holds most loses its oldest packet.
#[derive(Debug)]
pub struct Inboxes(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    lanes: Lanes,
    readers: BTreeMap<u64, Option<Waker>>,
}

impl Inboxes {
    /// At most so many bytes wait in all of them together.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Inboxes(Mutex::new(Inner { lanes: Lanes::new(limit), readers: BTreeMap::new() }))
    }

    /// From now on packets of this flow are taken in.
    pub fn open(&self, flow: u64) {
        lock(&self.0).readers.insert(flow, None);
    }

    /// No more; returns how many packets nobody took.
    pub fn close(&self, flow: u64) -> u64 {
        let mut inner = lock(&self.0);
        inner.readers.remove(&flow);
        inner.lanes.forget(flow)
    }

    /// A packet has come. Returns how many packets were dropped for it, or `None` when the flow has no inbox.
    pub fn deliver(&self, flow: u64, packet: &[u8]) -> Option<u64> {
        let mut inner = lock(&self.0);
        let reader = inner.readers.get_mut(&flow)?.take();
        // A copy: what came may be a small part of a large buffer, which would be kept.
        let dropped = inner.lanes.push(flow, Bytes::copy_from_slice(packet));
        drop(inner);
        if let Some(reader) = reader {
            reader.wake();
        }
        Some(dropped)
    }

    /// The oldest packet of a flow; wakes the task when there is one.
    pub fn poll_take(&self, flow: u64, cx: &Context<'_>) -> Poll<Bytes> {
        let mut inner = lock(&self.0);
        if let Some(packet) = inner.lanes.take(flow) {
            return Poll::Ready(packet);
        }
        if let Some(reader) = inner.readers.get_mut(&flow)
            && !reader.as_ref().is_some_and(|w| w.will_wake(cx.waker()))
        {
            *reader = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}
