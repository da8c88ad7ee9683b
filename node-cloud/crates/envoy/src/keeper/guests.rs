//! Connections to the keeper's socket: who comes says who it is first; what a node says and hears after that.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::limits::Limits;
use crate::message::{Inbox, Now, Order, PROTOCOL, Report, Who, encode};
use crate::spec::Run;

/// What comes of them.
pub(super) enum Event {
    /// Somebody said who it is and what it wants.
    Hello(Guest, Box<Run>),
    /// The node of this number orders the end.
    Stop(u64),
    /// The node of this number has gone.
    Gone(u64),
}

/// Who said hello, to be answered.
pub(super) struct Guest {
    pub(super) who: Who,
    stream: UnixStream,
    inbox: Inbox,
}

/// The door.
pub(super) struct Door {
    strangers: Arc<Semaphore>,
    sender: Sender<Event>,
    last: u64,
}

impl Door {
    pub(super) fn new() -> (Self, Receiver<Event>) {
        let (sender, receiver) = channel(Limits::STRANGERS * 2);
        (Door { strangers: Arc::new(Semaphore::new(Limits::STRANGERS)), sender, last: 0 }, receiver)
    }

    /// Somebody came, and has a moment to say who it is.
    pub(super) fn enter(&self, stream: UnixStream) {
        let Ok(place) = Arc::clone(&self.strangers).try_acquire_owned() else { return };
        let sender = self.sender.clone();
        tokio::spawn(async move {
            if let Ok(Some(event)) = timeout(Limits::KEEPER_PATIENCE, hello(stream)).await {
                let _ = sender.send(event).await;
            }
            drop(place);
        });
    }

    /// Takes the guest in as the node, which hears the state now and whenever it changes.
    pub(super) fn seat(&mut self, guest: Guest, now: watch::Receiver<Now>) -> Node {
        self.last += 1;
        let (reading, writing) = guest.stream.into_split();
        let (lines, receiver) = channel(Limits::OUTBOX);
        let reader = tokio::spawn(orders(reading, guest.inbox, self.sender.clone(), self.last));
        let writer = tokio::spawn(reports(writing, now, receiver));
        Node { number: self.last, lines, reader, writer }
    }
}

impl Guest {
    /// Tells a guest that is not taken in what is to be known, and sees it off.
    pub(super) async fn answer(mut self, same: bool) {
        let answer = encode(&Report::Hello { same });
        let _ = timeout(Limits::KEEPER_PATIENCE, self.stream.write_all(&answer)).await;
    }
}

/// The node that listens.
pub(super) struct Node {
    pub(super) number: u64,
    lines: Sender<Report>,
    reader: JoinHandle<()>,
    writer: JoinHandle<()>,
}

impl Node {
    /// Whether there is room for another line.
    pub(super) fn has_room(&self) -> bool {
        // One place stays free for what is said last.
        self.lines.capacity() > 1
    }

    pub(super) fn tell(&self, report: Report) {
        let _ = self.lines.try_send(report);
    }

    /// Tells it the last thing, and waits a moment until it was written.
    pub(super) async fn part(self, report: Report) {
        self.tell(report);
        self.reader.abort();
        drop(self.lines);
        let _ = timeout(Limits::REST, self.writer).await;
    }

    /// Another came in its place.
    pub(super) fn dismiss(self) {
        self.reader.abort();
        self.writer.abort();
    }
}

async fn hello(mut stream: UnixStream) -> Option<Event> {
    let mut inbox = Inbox::default();
    loop {
        match inbox.next().ok()? {
            Some(Order::Hello { protocol: PROTOCOL, who, run }) => {
                return Some(Event::Hello(Guest { who, stream, inbox }, run));
            }
            Some(_) => return None,
            None => {}
        }
        let mut some = [0; 4_096];
        let got = stream.read(&mut some).await.ok().filter(|got| *got > 0)?;
        inbox.push(some.get(..got)?);
    }
}

async fn orders(mut reading: OwnedReadHalf, mut inbox: Inbox, sender: Sender<Event>, number: u64) {
    let mut some = [0; 512];
    loop {
        match inbox.next::<Order>() {
            Ok(Some(Order::Stop)) => {
                let _ = sender.send(Event::Stop(number)).await;
                continue;
            }
            Ok(None) => {}
            Ok(Some(Order::Hello { .. })) | Err(_) => break,
        }
        match reading.read(&mut some).await {
            Ok(got) if got > 0 => inbox.push(some.get(..got).unwrap_or_default()),
            _ => break,
        }
    }
    let _ = sender.send(Event::Gone(number)).await;
}

async fn reports(mut writing: OwnedWriteHalf, mut now: watch::Receiver<Now>, mut lines: Receiver<Report>) {
    let mut next = Some(Report::Hello { same: true });
    now.mark_changed();
    while let Some(report) = next {
        if writing.write_all(&encode(&report)).await.is_err() {
            return;
        }
        next = tokio::select! {
            biased;
            Ok(()) = now.changed() => Some(Report::Now(now.borrow_and_update().clone())),
            line = lines.recv() => line,
        };
    }
}
