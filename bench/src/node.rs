//! A node in this process: the core over the real transport, on a runtime of its own, driven as the daemon's
//! engine drives it, with somebody who watches what comes out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use async_channel::{Receiver, Sender, bounded};
use bytes::Bytes;
use catalyst_control::{Core, Effect, Event, LocalService, Now, PeerConfig, SessionId, Settings};
use catalyst_names::{NodeName, Protocol, ServiceLabel};
use catalyst_node::{Limits, Tables};
use catalyst_route_table::Heap;
use catalyst_transport::{DialTarget, Event as Input, SessionId as Link, Transport, Via};
use catalyst_tunnel::Limits as TunnelLimits;
use futures_lite::future;
use tokio::runtime::Runtime;

use crate::link;
use crate::org::Org;

/// What the watcher is shown, on the node's own task.
pub enum Seen<'a> {
    /// An effect that has been carried out: a route is in Loc-RIB and in the forwarding table.
    Effect(&'a Effect),
    /// A frame on its way to a peer.
    Sent(&'a [u8]),
    /// A frame of a peer.
    Received(&'a [u8]),
}

/// Looks on; must be quick.
pub type Watcher = Box<dyn FnMut(Seen<'_>) + Send>;

/// A running node. Dropping it cuts its sessions.
pub struct Node {
    commands: Option<Sender<Vec<Event>>>,
    address: SocketAddr,
    runtime: Option<Runtime>,
}

/// Whom a node knows, and how.
pub struct Neighbour<'a> {
    /// Its name.
    pub name: &'a str,
    /// Where to dial it; `None` waits for its dial.
    pub address: Option<SocketAddr>,
}

/// A service of this label, as `service add` makes it.
pub fn service(label: &str) -> Result<LocalService> {
    Ok(LocalService {
        label: ServiceLabel::parse(label)?,
        protocol: Protocol::Http,
        cost: 0,
        weight: catalyst_wire::attr::DEFAULT_WEIGHT,
        tags: Vec::new(),
        healthy: true,
        fail_closed: false,
    })
}

impl Node {
    /// Starts a node of `org`.
    pub fn start(org: &Org, name: &str, neighbours: &[Neighbour<'_>], watcher: Watcher) -> Result<Node> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let (events, inputs) = bounded(Limits::EVENTS);
        let transport = link::start(runtime.handle(), org, name, true, events)?;
        let own = org.name(name)?;
        let settings = Settings {
            name: own.clone(),
            incarnation: 1,
            border_secret: [7; 32],
            limits: catalyst_control::Limits::CLOUD,
            mesh_address: String::new(),
            stale_max_ms: 0,
            flap: Default::default(),
        };
        let core = Core::new(settings, Heap::new(catalyst_route_table::Limits::CLOUD))
            .map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
        let tables =
            Tables::new(own, TunnelLimits { services: 1_000_000, ..TunnelLimits::CLOUD }, 64 << 20, 1);
        let (commands, todo) = bounded(Limits::REQUESTS);
        let address = transport.local_addr();
        let start = Instant::now();
        let mut engine = Engine { core, transport, tables, start, watcher };
        let mut dials = Vec::new();
        for neighbour in neighbours {
            let name: NodeName = org.name(neighbour.name)?;
            let peer = PeerConfig { name: name.clone(), agreement: None, hold_ms: 2_500, restart_ms: 0 };
            engine.feed(&Event::PeerConfigured(Box::new(peer)));
            dials.push(DialTarget {
                name,
                address: neighbour.address.map(|a| a.to_string()),
                profile: None,
                via: Via::Quic,
            });
        }
        let inside = runtime.enter();
        dials.into_iter().for_each(|dial| engine.transport.set_peer(dial));
        drop(inside);
        runtime.spawn(engine.run(inputs, todo));
        Ok(Node { commands: Some(commands), address, runtime: Some(runtime) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Hands events to the node's task, as the admin server hands over a request: they are handled together, then
    /// everything is sent that can be.
    pub fn feed(&self, events: Vec<Event>) -> Result<()> {
        self.commands.as_ref().context("the node runs")?.send_blocking(events).context("the node has ended")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
    }
}

struct Engine {
    core: Core<Heap>,
    transport: Arc<Transport>,
    tables: Tables,
    start: Instant,
    watcher: Watcher,
}

enum Woken {
    Input(Input),
    Asked(Vec<Event>),
    Time,
    Stop,
}

impl Engine {
    fn feed(&mut self, event: &Event) {
        let elapsed = self.start.elapsed();
        let mono = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        self.core.handle(event, Now { mono, wall: 1_800_000_000 + elapsed.as_secs(), wall_trusted: true });
    }

    fn input(&mut self, input: Input) {
        match input {
            Input::SessionUp { session, peer, dialled, .. } => {
                self.feed(&Event::SessionUp { session: SessionId(session.0), peer, dialled });
            }
            Input::Frame { session, frame } => {
                (self.watcher)(Seen::Received(&frame));
                self.feed(&Event::PeerFrame { session: SessionId(session.0), frame: frame.to_vec() });
            }
            Input::Writable { session, bytes } => {
                self.feed(&Event::Writable { session: SessionId(session.0), bytes });
            }
            Input::SessionDown { session, .. } => {
                self.feed(&Event::SessionDown { session: SessionId(session.0) });
            }
            _ => {}
        }
    }

    fn drain(&mut self) {
        while let Some(effect) = self.core.poll_effect() {
            match &effect {
                Effect::Forward(forward) => drop(self.tables.set_forward(forward)),
                Effect::Close { session, last } => {
                    let last = (!last.is_empty()).then(|| Bytes::copy_from_slice(last));
                    self.transport.close(Link(session.0), last);
                }
                _ => {}
            }
            (self.watcher)(Seen::Effect(&effect));
        }
        while let Some((session, frame)) = self.core.poll_transmit() {
            (self.watcher)(Seen::Sent(&frame));
            // A session that is over says so itself.
            let _ = self.transport.send(Link(session.0), Bytes::from(frame));
        }
    }

    /// The loop of the daemon: events in batches, then everything is drained.
    async fn run(mut self, inputs: Receiver<Input>, todo: Receiver<Vec<Event>>) {
        self.drain();
        loop {
            let far = Instant::now() + Duration::from_secs(3600);
            let deadline = self.core.next_deadline().map(|ms| self.start + Duration::from_millis(ms));
            let input = async { inputs.recv().await.map_or(Woken::Stop, Woken::Input) };
            let asked = async { todo.recv().await.map_or(Woken::Stop, Woken::Asked) };
            let time = async {
                tokio::time::sleep_until(deadline.unwrap_or(far).into()).await;
                Woken::Time
            };
            let mut next = Some(future::or(time, future::or(input, asked)).await);
            for turn in 0.. {
                match next.take() {
                    Some(Woken::Input(input)) => self.input(input),
                    Some(Woken::Asked(events)) => events.iter().for_each(|event| self.feed(event)),
                    Some(Woken::Time) => self.feed(&Event::Tick),
                    Some(Woken::Stop) => return,
                    None => break,
                }
                if turn < Limits::BATCH {
                    next = inputs.try_recv().ok().map(Woken::Input);
                }
            }
            if let Ok(events) = todo.try_recv() {
                events.iter().for_each(|event| self.feed(event));
            }
            self.drain();
        }
    }
}
