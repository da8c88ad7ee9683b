//! Joins two flows on a node between caller and service: chunks are handed on as they come, without a copy.

use std::future::poll_fn;
use std::task::Poll;

use catalyst_tunnel::Refusal;
use futures_lite::future;

use crate::conn::{RecvHalf, SendHalf};
use crate::flow::{FlowControl, FlowStream};
use crate::pump::{PumpEnd, peer_ended};

/// The most that one read takes from a stream before the other stream is asked to take it.
const CHUNK: usize = 64 * 1024;

/// Copies both ways until both halves have ended or one breaks; what breaks on one side is passed to the other.
/// `up` counts bytes of `caller`, `down` bytes for it.
pub async fn relay(mut caller: FlowStream, mut onward: FlowStream, control: &FlowControl) -> PumpEnd {
    let cut = poll_fn(|cx| match control.poll_cut(cx) {
        Some(why) => Poll::Ready(Err(PumpEnd::Cut(why))),
        None => Poll::Pending,
    });
    let end = {
        let up = one(&mut caller.recv, &mut onward.send, |n| control.add_up(n));
        let down = one(&mut onward.recv, &mut caller.send, |n| control.add_down(n));
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

async fn one(from: &mut RecvHalf, to: &mut SendHalf, count: impl Fn(usize)) -> Result<(), PumpEnd> {
    while let Some(chunk) = from.read_chunk(CHUNK).await.map_err(peer_ended)? {
        count(chunk.len());
        to.write_chunk(chunk).await.map_err(peer_ended)?;
    }
    // An error means that the other side wants nothing more; its own half tells the rest.
    let _ = to.finish();
    Ok(())
}
