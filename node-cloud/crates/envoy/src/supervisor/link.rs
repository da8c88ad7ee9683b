//! The connection to the keeper in office.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use crate::message::{Inbox, Order, PROTOCOL, Report, Who, encode};
use crate::spec::Run;

/// A connection over which hello was said.
pub(super) struct Link {
    reading: OwnedReadHalf,
    writing: OwnedWriteHalf,
    inbox: Inbox,
}

impl Link {
    /// Connects, and says which Envoy is wanted. `None`: the keeper has another one, and makes room.
    pub(super) async fn open(run: &Run) -> io::Result<Option<Self>> {
        let (reading, mut writing) = UnixStream::connect(run.place.keeper_socket()).await?.into_split();
        let hello = Order::Hello { protocol: PROTOCOL, who: Who::Node, run: Box::new(run.clone()) };
        writing.write_all(&encode(&hello)).await?;
        let mut link = Link { reading, writing, inbox: Inbox::default() };
        match link.next().await? {
            Report::Hello { same } => Ok(same.then_some(link)),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// The next report. Nothing is lost when this future is dropped.
    pub(super) async fn next(&mut self) -> io::Result<Report> {
        loop {
            match self.inbox.next() {
                Ok(Some(report)) => return Ok(report),
                Ok(None) => {}
                Err(_) => return Err(io::ErrorKind::InvalidData.into()),
            }
            let mut some = [0; 4_096];
            match self.reading.read(&mut some).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                got => self.inbox.push(some.get(..got).unwrap_or_default()),
            }
        }
    }

    pub(super) async fn order(&mut self, order: &Order) -> io::Result<()> {
        self.writing.write_all(&encode(order)).await
    }
}
