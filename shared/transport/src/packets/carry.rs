//! Joins two ends of a flow of packets, whatever they are: a peer, a service's socket, a client of a local port.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use quinn::Runtime;

use super::counters::{Dropped, PacketCounters};
use crate::control::FlowControl;
use crate::pump::PumpEnd;

/// One end of a flow of packets.
pub trait PacketEnd: Send {
    /// Hands all packets that have come to `sink`; ready when this end is over.
    fn poll(&mut self, cx: &mut Context<'_>, sink: &mut dyn FnMut(&[u8])) -> Poll<PumpEnd>;

    /// Sends a packet now or never.
    ///
    /// # Errors
    /// Why it was dropped.
    fn send(&self, packet: &[u8]) -> Result<(), Dropped>;

    /// The flow is over, for this reason.
    fn close(&mut self, end: &PumpEnd);
}

/// Carries packets between the two until one end is over, the flow is cut, or no packet has passed either way for
/// `idle`. `up` of `control` counts bytes towards the service.
pub async fn carry(
    runtime: &Arc<dyn Runtime>,
    caller: &mut dyn PacketEnd,
    service: &mut dyn PacketEnd,
    control: &FlowControl,
    counters: &PacketCounters,
    idle: Duration,
) -> PumpEnd {
    let mut last = runtime.now();
    let mut timer = runtime.new_timer(last + idle);
    let end = poll_fn(|cx| {
        if let Some(why) = control.poll_cut(cx) {
            return Poll::Ready(PumpEnd::Cut(why));
        }
        let mut passed = false;
        let up = caller.poll(cx, &mut |packet| {
            passed = true;
            match service.send(packet) {
                Ok(()) => {
                    control.add_up(packet.len());
                    counters.carried(true, packet.len());
                }
                Err(why) => counters.dropped(why, 1),
            }
        });
        if let Poll::Ready(end) = up {
            return Poll::Ready(end);
        }
        let down = service.poll(cx, &mut |packet| {
            passed = true;
            match caller.send(packet) {
                Ok(()) => {
                    control.add_down(packet.len());
                    counters.carried(false, packet.len());
                }
                Err(why) => counters.dropped(why, 1),
            }
        });
        if let Poll::Ready(end) = down {
            return Poll::Ready(end);
        }
        if passed {
            last = runtime.now();
        }
        while timer.as_mut().poll(cx).is_ready() {
            let until = last + idle;
            if until <= runtime.now() {
                return Poll::Ready(PumpEnd::Idle);
            }
            timer.as_mut().reset(until);
        }
        Poll::Pending
    })
    .await;
    caller.close(&end);
    service.close(&end);
    end
}
