//! One control session, from its stream to its end: a reader, a writer and a watch over the silence.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use catalyst_tunnel::names::NodeName;
use catalyst_wire::frame::FrameType;
use catalyst_wire::{HEADER, Limits as WireLimits, Notify, NotifyCode};
use futures_lite::future::{self, pending};
use quinn::VarInt;

use crate::code;
use crate::conn::{Conn, RecvHalf, SendHalf};
use crate::data;
use crate::end::{ConnEnd, HalfEnd};
use crate::event::{DownReason, Event, SessionId};
use crate::frame::FrameReader;
use crate::limits::Limits;
use crate::outbox::{Outbox, Taken};
use crate::profile::LinkProfile;
use crate::rt::Signal;
use crate::state::Shared;
use crate::watch::silence;

/// A control connection whose stream is open.
pub(crate) struct Link {
    pub connection: Conn,
    pub send: SendHalf,
    pub recv: RecvHalf,
    pub peer: NodeName,
    pub dialled: bool,
    pub profile: LinkProfile,
    /// Closes this session in order; so does the driver's own.
    pub stop: Signal,
}

/// Runs the session to its end and reports all of it. Returns how long it lived.
pub(crate) async fn run(shared: &Arc<Shared>, link: Link) -> Duration {
    let Link { connection, mut send, mut recv, peer, dialled, profile, stop } = link;
    let started = shared.rt.now();
    let (remote, carrier) = (connection.remote(), connection.carrier());
    let (session, outbox) = shared.add_session(&peer, dialled, remote, carrier);
    tracing::debug!(%peer, %session, dialled, %remote, %carrier, "session up");
    shared.emit(Event::SessionUp { session, peer: peer.clone(), dialled, remote, carrier }).await;
    shared.emit(Event::Writable { session, bytes: Limits::SESSION_CREDIT }).await;

    let context = Context { shared, session, peer: &peer, dialled, outbox: &outbox, stop: &stop };
    let reason = {
        let mut writing = Box::pin(context.write(&mut send));
        let ended = future::or(
            context.read(&mut recv),
            future::or(&mut writing, future::or(context.told(), silence(&shared.rt, &connection, profile))),
        );
        let reason = ended.await;
        if let DownReason::Protocol(what) = &reason {
            shared.protocol_errors.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(%peer, %session, what, "protocol error: session closed");
            outbox.finish(notify(what));
            // The peer hears why, if it takes it in time.
            let over = future::or(connection.closed(), shared.rt.sleep(shared.limits.close));
            future::or(async { drop(writing.await) }, over).await;
        }
        reason
    };
    // Our own closing wins over how the peer answered it.
    let reason = if outbox.closing.is_raised() && !matches!(reason, DownReason::Protocol(_)) {
        DownReason::Local
    } else {
        reason
    };
    let (code, text) = farewell(&reason);
    connection.close(code, text.as_bytes());
    shared.remove_session(session);
    tracing::debug!(%peer, %session, %reason, "session down");
    shared.emit(Event::SessionDown { session, peer, reason }).await;
    shared.rt.now().saturating_duration_since(started)
}

/// What we tell the peer when we close.
fn farewell(reason: &DownReason) -> (VarInt, String) {
    match reason {
        DownReason::Protocol(what) => (code::PROTOCOL, what.clone()),
        DownReason::Replaced => (code::REPLACED, reason.to_string()),
        DownReason::Silent => (code::SILENT, reason.to_string()),
        _ => (code::CLOSED, String::new()),
    }
}

fn notify(what: &str) -> Option<Bytes> {
    let notify = Notify { code: NotifyCode::MALFORMED, reason: what, document: "" };
    let mut buf = [0; WireLimits::REASON + 32];
    notify.write(&mut buf).ok().map(Bytes::copy_from_slice)
}

struct Context<'a> {
    shared: &'a Arc<Shared>,
    session: SessionId,
    peer: &'a NodeName,
    dialled: bool,
    outbox: &'a Arc<Outbox>,
    stop: &'a Signal,
}

impl Context<'_> {
    /// Ends with the stream, the connection or the first frame that is none.
    async fn read(&self, recv: &mut RecvHalf) -> DownReason {
        let mut frames = FrameReader::default();
        loop {
            match recv.read_chunk(usize::MAX).await {
                Ok(Some(chunk)) => frames.push(chunk),
                Ok(None) if frames.at_boundary() => return DownReason::Closed,
                Ok(None) => return DownReason::Protocol("the stream ended inside a frame".to_owned()),
                Err(e) => return read_ended(e),
            }
            loop {
                match frames.next() {
                    Ok(Some(frame)) if frame.first() == Some(&(FrameType::DialData as u8)) => {
                        if let Some(broken) = self.dial_data(&frame) {
                            return broken;
                        }
                    }
                    Ok(Some(frame)) => self.shared.emit(Event::Frame { session: self.session, frame }).await,
                    Ok(None) => break,
                    Err(e) => return DownReason::Protocol(e.to_string()),
                }
            }
        }
    }

    /// The peer wants a data connection and cannot dial.
    fn dial_data(&self, frame: &[u8]) -> Option<DownReason> {
        if !self.dialled {
            let what = format!("DIAL_DATA from the side that dialled ({} bytes)", frame.len() - HEADER);
            return Some(DownReason::Protocol(what));
        }
        data::asked_to_dial(self.shared, self.peer, self.session);
        None
    }

    /// Ends only when the peer stops the stream; a lost connection is for the reader to see, behind the last frame.
    async fn write(&self, send: &mut SendHalf) -> DownReason {
        let mut batch = Vec::new();
        loop {
            let ended = match self.outbox.take(&mut batch).await {
                Taken::Batch => self.write_batch(send, &mut batch).await,
                Taken::Own(frame) => send.write_chunk(frame).await,
                Taken::Finish => {
                    // Fails only if the stream is over already.
                    let _ = send.finish();
                    return pending().await;
                }
            };
            match ended {
                Ok(()) => batch.clear(),
                Err(HalfEnd::Peer(code)) => {
                    return DownReason::Protocol(format!("the control stream was stopped with code {code}"));
                }
                Err(_) => return pending().await,
            }
        }
    }

    async fn write_batch(&self, send: &mut SendHalf, batch: &mut [Bytes]) -> Result<(), HalfEnd> {
        let mut left = batch;
        while !left.is_empty() {
            let written = send.write_chunks(left).await?;
            let taken = left.iter().take_while(|chunk| chunk.is_empty()).count();
            left = left.get_mut(taken..).unwrap_or_default();
            let back = self.outbox.repay(written);
            if back > 0 {
                self.shared.emit(Event::Writable { session: self.session, bytes: back }).await;
            }
        }
        Ok(())
    }

    /// Ends when this node wants the session to end: at once, or when the peer had time to take the last frame.
    async fn told(&self) -> DownReason {
        let killed = async {
            self.outbox.killed.raised().await;
            self.outbox.why()
        };
        let stopped = async {
            future::or(self.stop.raised(), self.shared.stop.raised()).await;
            self.outbox.finish(None);
        };
        let closing = async {
            future::or(self.outbox.closing.raised(), stopped).await;
            self.shared.rt.sleep(self.shared.limits.close).await;
            DownReason::Local
        };
        future::or(killed, closing).await
    }
}

fn read_ended(end: HalfEnd) -> DownReason {
    match end {
        HalfEnd::Peer(code) => DownReason::Protocol(format!("the control stream was reset with code {code}")),
        HalfEnd::Lost(end) => connection_ended(end),
        HalfEnd::Early(what) => DownReason::Failed(what.to_owned()),
    }
}

fn connection_ended(end: ConnEnd) -> DownReason {
    match end {
        end if end.in_order() => DownReason::Closed,
        ConnEnd::Peer { code, reason } => DownReason::ClosedWith { code, reason },
        ConnEnd::Silent => DownReason::Silent,
        ConnEnd::Reset => DownReason::Reset,
        ConnEnd::Local => DownReason::Local,
        ConnEnd::Failed(what) => DownReason::Failed(what),
    }
}
