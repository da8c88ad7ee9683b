//! Joins two flows on a node between caller and service: chunks are handed on as they come, without a copy.

use std::future::poll_fn;
use std::task::Poll;

use catalyst_tunnel::Refusal;
use futures_lite::future;
use quinn::{ReadError, RecvStream, SendStream, WriteError};

use crate::error::explain;
use crate::flow::{FlowControl, FlowStream};
use crate::pump::PumpEnd;

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

async fn one(from: &mut RecvStream, to: &mut SendStream, count: impl Fn(usize)) -> Result<(), PumpEnd> {
    loop {
        match from.read_chunk(CHUNK, true).await {
            Ok(Some(chunk)) => {
                count(chunk.bytes.len());
                to.write_chunk(chunk.bytes).await.map_err(write_end)?;
            }
            Ok(None) => {
                // An error means that the other side wants nothing more; its own half tells the rest.
                let _ = to.finish();
                return Ok(());
            }
            Err(ReadError::Reset(code)) => {
                return Err(PumpEnd::PeerReset(Refusal::from_reset(code.into_inner())));
            }
            Err(ReadError::ConnectionLost(error)) => return Err(PumpEnd::Lost(explain(&error))),
            Err(other) => return Err(PumpEnd::Lost(other.to_string())),
        }
    }
}

fn write_end(error: WriteError) -> PumpEnd {
    match error {
        WriteError::Stopped(code) => PumpEnd::PeerReset(Refusal::from_reset(code.into_inner())),
        WriteError::ConnectionLost(error) => PumpEnd::Lost(explain(&error)),
        other => PumpEnd::Lost(other.to_string()),
    }
}
