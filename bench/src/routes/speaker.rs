//! A neighbour that speaks the peering protocol over the real transport and keeps no table: it injects frames, or shows
//! what comes.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::mpsc::{Receiver as Told, Sender as Tell, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use async_channel::{Sender, bounded};
use bytes::Bytes;
use catalyst_names::NodeName;
use catalyst_transport::{DialTarget, Event as Input, SessionId, Transport, Via};
use catalyst_wire::{
    Announced, Attrs, Capabilities, Frame, FrameType, HEADER, Interest, Keepalive, Limits as WireLimits,
    Notify, NotifyCode, Open, Path, Reader, Update, UpdateWriter, Withdrawn, Writer, small,
    update::write_entry,
};

use super::one_thread::OneThread;
use super::seen::{Seen, Watch};
use crate::link;
use crate::org::Org;

const PATIENCE: Duration = Duration::from_secs(60);

/// Credit that is kept for signs of life, which leave whenever the node gives one.
const RESERVE: isize = 1_024;

/// UPDATE frames of services, as full as they get.
pub struct Entries<'a> {
    name: &'a NodeName,
    left: Range<usize>,
    cost: Option<u32>,
}

impl<'a> Entries<'a> {
    /// Of this node's services with these numbers. Every route has attributes of its own: without `cost` its number is it.
    pub fn new(name: &'a NodeName, services: Range<usize>, cost: Option<u32>) -> Self {
        Entries { name, left: services, cost }
    }

    fn entry<'b>(&self, index: usize, buf: &'b mut [u8]) -> Result<&'b [u8]> {
        let cost = self.cost.map_or_else(|| u32::try_from(index), Ok)?;
        let mut path = [0; 256];
        let mut out = Writer::new(&mut path);
        let full = |e| anyhow!("{e}");
        out.u64(1).map_err(full)?;
        out.text(self.name.node()).map_err(full)?;
        let node_path =
            Path::read(&mut Reader::new(out.written()), 1, 255, |_| true).map_err(|e| anyhow!("{e}"))?;
        let attrs = Attrs { node_path, cost, protocol: catalyst_names::Protocol::Http, ..Attrs::default() };
        write_entry(buf, &service(index), self.name.node(), &attrs).map_err(full)
    }

    fn frame(&mut self) -> Result<Vec<u8>> {
        let full = |e| anyhow!("{e}");
        let mut element = [0; 512];
        let mut buf = vec![0; HEADER + WireLimits::FRAME_BODY];
        let mut frame = UpdateWriter::new(&mut buf).map_err(full)?;
        while !self.left.is_empty() {
            if frame.announce(self.entry(self.left.start, &mut element)?).is_err() {
                break;
            }
            self.left.start += 1;
        }
        let len = frame.finish().map_err(full)?.len();
        buf.truncate(len);
        Ok(buf)
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        (!self.left.is_empty()).then(|| self.frame())
    }
}

/// One neighbour with an established session.
pub struct Speaker {
    name: NodeName,
    transport: Arc<Transport>,
    session: SessionId,
    /// What came back, and less what signs of life took.
    credit: Told<isize>,
    left: isize,
    /// Single frames, for the thread of the session to send.
    orders: Sender<(SessionId, Bytes)>,
    /// When it sent the last of them.
    sent: Arc<Mutex<Option<Instant>>>,
    /// What all of this runs on.
    _thread: Arc<OneThread>,
}

/// The service of this number.
pub fn service(index: usize) -> String {
    format!("service-{index}.acme.example")
}

/// The number of a service.
fn number(service: &str) -> Option<usize> {
    service.split_once('.')?.0.rsplit_once('-')?.1.parse().ok()
}

/// What every neighbour says first.
pub fn open(own: &NodeName, mesh_address: &str) -> Result<Bytes> {
    open_with(own, mesh_address, 0)
}

/// The same, with these capabilities.
pub fn open_with(own: &NodeName, mesh_address: &str, capabilities: u32) -> Result<Bytes> {
    let mut buf = [0; 1024];
    let open = Open {
        version_min: 1,
        version_max: 1,
        node: own.as_str(),
        incarnation: 1,
        hold_ms: 0,
        restart_ms: 0,
        capabilities,
        agreement: None,
        mesh_address,
    };
    Ok(Bytes::copy_from_slice(open.write(&mut buf).map_err(|e| anyhow!("{e}"))?))
}

/// Shows the routes of an UPDATE.
fn show(body: &[u8], watch: &mut Watch) {
    let Ok(update) = Update::read(body) else { return };
    for announced in update.announced() {
        if let Announced::Route(entry) = announced
            && let Some(index) = number(entry.service)
        {
            watch(Seen { index, withdrawn: false });
        }
    }
    for withdrawn in update.withdrawn() {
        if let Withdrawn::Key { service, .. } = withdrawn
            && let Some(index) = number(service)
        {
            watch(Seen { index, withdrawn: true });
        }
    }
}

impl Speaker {
    /// Dials the node `middle`, and waits for its OPEN; what comes is shown to `watch`. `mesh` is where its Envoy would be;
    /// empty: it has none.
    pub fn connect(org: &Org, name: &str, mesh: &str, middle: SocketAddr, watch: Watch) -> Result<Speaker> {
        let hello = open(&org.name(name)?, mesh)?;
        Self::start(OneThread::start()?, org, name, hello, middle, watch)
    }

    /// One that wants these services and no others. Many of them share a thread.
    pub fn interested(
        thread: &Arc<OneThread>,
        org: &Org,
        name: &str,
        middle: SocketAddr,
        wanted: Vec<String>,
        watch: Watch,
    ) -> Result<Speaker> {
        let can = Capabilities::INTEREST | Capabilities::INTERESTED;
        let hello = open_with(&org.name(name)?, "", can)?;
        let mut speaker = Self::start(thread.clone(), org, name, hello, middle, watch)?;
        let mut buf = vec![0; HEADER + WireLimits::FRAME_BODY];
        let patterns = wanted.iter().map(String::as_str);
        let (frame, fit) = Interest::write(Some(patterns), &mut buf).map_err(|e| anyhow!("{e}"))?;
        anyhow::ensure!(fit == wanted.len(), "the interests need more than one frame");
        let frame = Bytes::copy_from_slice(frame);
        speaker.send(frame)?;
        Ok(speaker)
    }

    fn start(
        thread: Arc<OneThread>,
        org: &Org,
        name: &str,
        hello: Bytes,
        middle: SocketAddr,
        mut watch: Watch,
    ) -> Result<Speaker> {
        let (events, inputs) = bounded(256);
        let own = org.name(name)?;
        let transport = link::start(&thread.handle, org, name, false, events)?;
        let inside = thread.handle.enter();
        transport.set_peer(DialTarget {
            name: org.name("middle")?,
            address: Some(middle.to_string()),
            profile: None,
            via: Via::Quic,
        });
        drop(inside);
        let (credit_in, credit): (Tell<isize>, Told<isize>) = channel();
        let (up, is_up) = channel();
        let sending = transport.clone();
        let said = hello.len().cast_signed();
        let alive = Keepalive { digest: None }.write(&mut [0; 64]).map(Bytes::copy_from_slice);
        let alive = alive.map_err(|e| anyhow!("{e}"))?;
        let work = async move {
            while let Ok(input) = inputs.recv().await {
                // Whoever waits for these has gone when the measurement is over.
                match input {
                    Input::SessionUp { session, .. } => drop(sending.send(session, hello.clone())),
                    Input::Writable { bytes, .. } => drop(credit_in.send(bytes.cast_signed())),
                    Input::Frame { session, frame } => match Frame::whole(&frame).map(|f| (f.kind(), f.body))
                    {
                        Ok((Ok(Some(FrameType::Open)), _)) => drop(up.send(session)),
                        Ok((Ok(Some(FrameType::Update)), body)) => show(body, &mut watch),
                        Ok((Ok(Some(FrameType::Keepalive)), _)) => {
                            let _ = credit_in.send(-alive.len().cast_signed());
                            let _ = sending.send(session, alive.clone());
                        }
                        _ => {}
                    },
                    _ => {}
                }
            }
        };
        let (orders, ordered) = bounded::<(SessionId, Bytes)>(1);
        let (sent, by_order) = (Arc::new(Mutex::new(None)), transport.clone());
        let when = sent.clone();
        let singles = async move {
            while let Ok((session, frame)) = ordered.recv().await {
                let now = Instant::now();
                if by_order.send(session, frame).is_ok() {
                    *when.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
                }
            }
        };
        thread.handle.spawn(work);
        thread.handle.spawn(singles);
        let session = is_up.recv_timeout(PATIENCE).context("no session")?;
        let mut speaker =
            Speaker { name: own, transport, session, credit, left: 0, orders, sent, _thread: thread };
        speaker.left = speaker.credit.recv_timeout(PATIENCE)? - said - RESERVE;
        // Its table is complete: there is nothing in it yet.
        let mut buf = [0; 16];
        let end = Bytes::copy_from_slice(small::write_end_of_rib(&mut buf).map_err(|e| anyhow!("{e}"))?);
        speaker.send(end)?;
        Ok(speaker)
    }

    /// Sends a frame as soon as the session has credit for it.
    fn send(&mut self, frame: Bytes) -> Result<()> {
        self.take_credit(frame.len().cast_signed())?;
        Ok(self.transport.send(self.session, frame)?)
    }

    fn take_credit(&mut self, len: isize) -> Result<()> {
        while self.left < len {
            self.left += self.credit.recv_timeout(PATIENCE).context("the node takes nothing")?;
        }
        while let Ok(more) = self.credit.try_recv() {
            self.left += more;
        }
        self.left -= len;
        Ok(())
    }

    /// Announces the first `routes` services, in frames as full as they get; returns when the first left.
    pub fn announce_all(&mut self, routes: usize) -> Result<Instant> {
        let start = Instant::now();
        let name = self.name.clone();
        for frame in Entries::new(&name, 0..routes, None) {
            self.send(Bytes::from(frame?))?;
        }
        Ok(start)
    }

    /// Announces one service anew; [`Speaker::sent`] says when.
    pub fn announce(&mut self, index: usize, cost: u32) -> Result<()> {
        let name = self.name.clone();
        let frame = Entries::new(&name, index..index + 1, Some(cost)).next().context("no frame")??;
        self.take_credit(frame.len().cast_signed())?;
        *self.sent.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(self.orders.send_blocking((self.session, Bytes::from(frame)))?)
    }

    /// When the thread of the session sent the announcement that has come by now. Who speaks BGP here writes to the socket
    /// himself; so the way of an order to that thread is no part of what is measured.
    pub fn sent(&self) -> Result<Instant> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).context("the announcement was not sent")
    }

    /// Ends the session for good (a hard reset: nothing is kept for a return); returns when.
    pub fn leave(&mut self) -> Result<Instant> {
        let mut buf = [0; 1024];
        let notify = Notify { code: NotifyCode::SHUTDOWN, reason: "", document: "" };
        let last = notify.write(&mut buf).map_err(|e| anyhow!("{e}"))?;
        let start = Instant::now();
        self.transport.close(self.session, Some(Bytes::copy_from_slice(last)));
        Ok(start)
    }
}
