//! What the flows of packets of one data connection share.
//!
//! In: datagrams are given to flows by their id, which only counts on this connection, so that no neighbour reaches
//! the flows of another. Out: a datagram leaves at once while QUIC has room, else flows take turns.

use std::ops::Deref;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use catalyst_tunnel::packet;
use futures_lite::future;
use quinn::{Connection, SendDatagramError};

use super::counters::{Dropped, PacketCounters};
use super::deframe::Budget;
use super::inboxes::Inboxes;
use super::lanes::Lanes;
use crate::conn::Conn;
use crate::limits::Limits;
use crate::rt::{Bell, lock};
use crate::standing::Standing;

/// Datagrams that are given out before others get their turn.
const TURNS: usize = 64;

/// A data connection with what its flows of packets share; cheap to share.
#[derive(Clone, Debug)]
pub(crate) struct DataConn {
    conn: Conn,
    pub link: Arc<Link>,
}

impl Deref for DataConn {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        &self.conn
    }
}

/// Shared by the flows of one connection, most of it by those of packets.
#[derive(Debug)]
pub(crate) struct Link {
    pub inboxes: Inboxes,
    /// For packets on streams that are not whole.
    pub incoming: Budget,
    /// For packets on streams that were not sent yet.
    pub outgoing: Budget,
    pub counters: Arc<PacketCounters>,
    /// The flows of bytes.
    pub standing: Arc<Standing>,
    out: Mutex<Lanes>,
    /// Something waits in `out`.
    waiting: Bell,
}

impl DataConn {
    /// `onward`: what goes on over this connection may rest for so long on its way.
    pub fn new(conn: Conn, limits: &Limits, counters: &Arc<PacketCounters>, onward: Duration) -> Self {
        let link = Link {
            inboxes: Inboxes::new(limits.datagrams),
            incoming: Budget::new(limits.large_packets),
            outgoing: Budget::new(limits.large_packets),
            counters: Arc::clone(counters),
            standing: Standing::new(limits, onward),
            out: Mutex::new(Lanes::new(limits.datagrams)),
            waiting: Bell::new(),
        };
        DataConn { conn, link: Arc::new(link) }
    }

    /// Sends a packet of a flow in a datagram; `false` when it has to go another way.
    pub fn send(&self, flow: u64, payload: &[u8]) -> bool {
        let Conn::Quic(quic) = &self.conn else { return false };
        let fits = |most| packet::id_len(flow).is_some_and(|id| id + payload.len() <= most);
        if !quic.max_datagram_size().is_some_and(fits) {
            return false;
        }
        let Some(datagram) = packet::datagram(flow, payload).map(Bytes::from) else { return false };
        let mut out = lock(&self.link.out);
        // Only here and in `take_turns` is anything sent: what is seen to be free stays free.
        if out.is_empty() && quic.datagram_send_buffer_space() >= datagram.len() {
            drop(quic.send_datagram(datagram));
            return true;
        }
        let dropped = out.push(flow, datagram);
        drop(out);
        self.link.counters.dropped(Dropped::Full, dropped);
        self.link.waiting.ring();
        true
    }
}

impl Link {
    fn receive(&self, datagram: &[u8]) {
        let delivered = packet::read_datagram(datagram).and_then(|(flow, p)| self.inboxes.deliver(flow, p));
        match delivered {
            Some(dropped) => self.counters.dropped(Dropped::Full, dropped),
            None => self.counters.unknown(),
        }
    }

    /// A flow is over: what waits of it is dropped.
    pub fn forget(&self, flow: u64) {
        let dropped = self.inboxes.close(flow) + lock(&self.out).forget(flow);
        self.counters.dropped(Dropped::NoFlow, dropped);
    }

    async fn take_turns(&self, quic: &Connection) {
        loop {
            let next = lock(&self.out).take_next();
            let Some(datagram) = next else {
                self.waiting.heard().await;
                continue;
            };
            match quic.send_datagram_wait(datagram).await {
                Ok(()) => {}
                // The path has become narrower meanwhile.
                Err(SendDatagramError::TooLarge) => self.counters.dropped(Dropped::TooLong, 1),
                Err(_) => return,
            }
        }
    }

    async fn give_out(&self, quic: &Connection) {
        let mut turns = 0;
        while let Ok(datagram) = quic.read_datagram().await {
            self.receive(&datagram);
            turns += 1;
            if turns % TURNS == 0 {
                future::yield_now().await;
            }
        }
    }
}

/// Moves the datagrams of a connection, until it ends. A connection without datagrams never ends here.
pub(crate) async fn datagrams(conn: &DataConn) {
    match &conn.conn {
        Conn::Quic(quic) => future::or(conn.link.give_out(quic), conn.link.take_turns(quic)).await,
        Conn::Tcp(_) => std::future::poll_fn(|_| Poll::Pending).await,
    }
}
