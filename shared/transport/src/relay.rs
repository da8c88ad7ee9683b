//! Joins two flows on a node between caller and service: chunks are handed on as they come, without a copy.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use catalyst_tunnel::Refusal;
use futures_lite::future;

use crate::conn::{RecvHalf, SendHalf};
use crate::control::FlowControl;
use crate::flow::FlowStream;
use crate::pump::{PumpEnd, peer_ended};
use crate::standing::{Mark, Taken};

/// The most that one read takes from a stream before the other stream is asked to take it.
const CHUNK: usize = 64 * 1024;

/// Copies both ways until both halves have ended or one breaks; what breaks on one side is passed to the other.
/// `up` counts bytes of `caller`, `down` bytes for it.
pub async fn relay(mut caller: FlowStream, mut onward: FlowStream, control: &Arc<FlowControl>) -> PumpEnd {
    for (flow, taken, other) in [(&caller, Taken::Up, &onward), (&onward, Taken::Down, &caller)] {
        if let Some(mark) = &flow.mark {
            mark.meter(control, taken, other.mark.as_ref());
        }
    }
    let cut = poll_fn(|cx| match control.poll_cut(cx) {
        Some(why) => Poll::Ready(Err(PumpEnd::Cut(why))),
        None => Poll::Pending,
    });
    let end = {
        let (up, down) = (caller.mark.as_ref(), onward.mark.as_ref());
        let up = one(&mut caller.recv, up, &mut onward.send, |n| control.add_up(n));
        let down = one(&mut onward.recv, down, &mut caller.send, |n| control.add_down(n));
        future::or(cut, future::try_zip(up, down)).await
    };
    match end {
        Ok(_) => {
            caller.ended = true;
            onward.ended = true;
            PumpEnd::Finished
        }
        Err(end) => {
            let why = match &end {
                PumpEnd::Cut(why) | PumpEnd::PeerReset(why) => *why,
                _ => Refusal::Aborted,
            };
            caller.on_drop = why;
            onward.on_drop = why;
            end
        }
    }
}

async fn one(
    from: &mut RecvHalf,
    mark: Option<&Mark>,
    to: &mut SendHalf,
    count: impl Fn(usize),
) -> Result<(), PumpEnd> {
    let waits = |waits| mark.inspect(|mark| mark.waits(waits));
    while let Some(chunk) = from.read_chunk(CHUNK).await.map_err(peer_ended)? {
        waits(false);
        let mut chunks = [chunk];
        while !chunks.iter().all(Bytes::is_empty) {
            count(to.write_chunks(&mut chunks).await.map_err(peer_ended)?);
        }
        waits(true);
    }
    // An error means that the other side wants nothing more; its own half tells the rest.
    let _ = to.finish();
    Ok(())
}
