//! The data plane for packets: clients of local UDP ports in, flows of neighbours on or out.
//!
//! A client is an address. Its first packet makes a flow, which ends when nothing passed either way for
//! `limits.udp_idle_s`, when the route or the permission goes, or with the link; the next packet makes a new one.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use catalyst_names::{NodeName, ServiceName};
use catalyst_transport::{Dropped, PacketEnd, PacketFlow, PumpEnd, carry, with_buffer};
use catalyst_tunnel::{FlowKind, Limits as TunnelLimits, NextHop, Refusal, StreamHeader};
use futures_lite::future;
use tracing::{debug, info};

use crate::adopt::{spawn, timeout};
use crate::gate::Gate;
use crate::limits::Limits;
use crate::plane::{Plane, ended};
use crate::shell::{Shell, UdpPort};
use crate::tables::{Live, Plan, Step};
use crate::udp::{self, Service, UdpPorts};

/// Packets that are read before others get their turn.
const TURNS: usize = 32;

/// A local port and its clients.
pub(crate) struct Port<U> {
    socket: U,
    service: ServiceName,
    clients: Mutex<BTreeMap<SocketAddr, u64>>,
    gate: Gate,
}

/// What became of a client's packet.
enum Taken {
    Queued(u64),
    /// The client is known, but has no flow now.
    NoFlow,
    /// The first of a new client.
    New(u64),
    Full,
}

impl<U: UdpPort> Port<U> {
    pub fn new(socket: U, service: ServiceName, gate: Gate) -> Arc<Self> {
        Arc::new(Port { socket, service, clients: Mutex::default(), gate })
    }

    fn take(&self, packet: &[u8], from: SocketAddr, all: &UdpPorts) -> Taken {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = clients.get(&from) {
            return all.inboxes.deliver(*id, packet).map_or(Taken::NoFlow, Taken::Queued);
        }
        if clients.len() >= all.flows {
            return Taken::Full;
        }
        let id = all.last.fetch_add(1, Ordering::Relaxed);
        clients.insert(from, id);
        all.inboxes.open(id);
        all.inboxes.deliver(id, packet);
        Taken::New(id)
    }

    fn forget(&self, client: SocketAddr) {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).remove(&client);
    }
}

/// A client's end of a flow.
struct Client<U> {
    port: Arc<Port<U>>,
    all: Arc<UdpPorts>,
    id: u64,
    address: SocketAddr,
}

impl<U: UdpPort> PacketEnd for Client<U> {
    fn poll(&mut self, cx: &mut Context<'_>, sink: &mut dyn FnMut(&[u8])) -> Poll<PumpEnd> {
        for _ in 0..TURNS {
            match self.all.inboxes.poll_take(self.id, cx) {
                Poll::Ready(packet) => sink(&packet),
                Poll::Pending => return Poll::Pending,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn send(&self, packet: &[u8]) -> Result<(), Dropped> {
        udp::send(&self.port.socket, packet, Some(self.address))
    }

    fn close(&mut self, _: &PumpEnd) {}
}

impl<Sh: Shell> Plane<Sh> {
    /// Serves local clients of one exposed UDP service until the port is closed.
    pub(crate) async fn serve_packets(self: Arc<Self>, port: Arc<Port<Sh::Udp>>) {
        future::or(self.read_packets(&port), port.gate.closing()).await;
    }

    async fn read_packets(self: &Arc<Self>, port: &Arc<Port<Sh::Udp>>) {
        loop {
            for _ in 0..TURNS {
                let taken = poll_fn(|cx| {
                    with_buffer(|buffer| {
                        let read = port.socket.poll_recv_from(cx, buffer);
                        read.map_ok(|(len, from)| {
                            let packet = buffer.get(..len).unwrap_or_default();
                            (port.take(packet, from, &self.udp), from)
                        })
                    })
                })
                .await;
                let counters = self.transport.packets();
                match taken {
                    Ok((Taken::New(id), address)) => {
                        let client = Client { port: port.clone(), all: self.udp.clone(), id, address };
                        spawn(&*self.shell, self.clone().packet_client(client));
                    }
                    Ok((Taken::Queued(dropped), _)) => counters.dropped(Dropped::Full, dropped),
                    Ok((Taken::NoFlow | Taken::Full, _)) => counters.dropped(Dropped::NoFlow, 1),
                    // What the system says of packets that were sent to clients (ICMP) is nothing to a port.
                    Err(error) => {
                        debug!(service = %port.service, %error, "a local UDP port failed to read");
                        timeout(&*self.shell, Duration::from_millis(1), future::pending::<()>()).await;
                    }
                }
            }
            future::yield_now().await;
        }
    }

    /// The life of one client. It ends with its port.
    async fn packet_client(self: Arc<Self>, mut client: Client<Sh::Udp>) {
        let (port, id, address) = (client.port.clone(), client.id, client.address);
        future::or(self.packet_life(&mut client), port.gate.closing()).await;
        self.transport.packets().dropped(Dropped::NoFlow, self.udp.inboxes.close(id));
        port.forget(address);
    }

    async fn packet_life(&self, client: &mut Client<Sh::Udp>) {
        let port = client.port.clone();
        let service = &port.service;
        let way = Box::pin(self.packet_way(service)).await;
        let (found, id) = (way.is_ok(), client.id);
        match way {
            Ok((mut end, live)) => ended(service, &self.carry(client, &mut *end, &live).await),
            Err(why) => {
                if let Some(clients) = self.turned_away.count(self.clocks.now().mono) {
                    info!(%service, %why, clients, "a local client was turned away");
                }
            }
        }
        self.transport.packets().dropped(Dropped::NoFlow, self.udp.inboxes.close(id));
        if !found {
            // A client that goes on all the same must not ask again with every packet.
            timeout(&*self.shell, Limits::PACKETS_HOLD_OFF, future::pending::<()>()).await;
        }
    }

    async fn carry(&self, caller: &mut dyn PacketEnd, service: &mut dyn PacketEnd, live: &Live) -> PumpEnd {
        let (runtime, counters) = (self.shell.runtime(), self.transport.packets());
        carry(&runtime, caller, service, &live.control, counters, self.udp.idle).await
    }

    async fn packet_way(&self, service: &ServiceName) -> Result<(Box<dyn PacketEnd>, Live), Refusal> {
        let plan = self.tables.plan_packets(None, service, None, TunnelLimits::HOPS, Limits::TRIES)?;
        let live = self.tables.enter_packets(None, service, plan.epoch, self.clocks.now().mono)?;
        let end = self.packet_dial(&plan, service, &self.own, &live).await?;
        Ok((end, live))
    }

    /// Tries the steps of a plan in order. A service's own socket always answers: UDP does not say who listens.
    async fn packet_dial(
        &self,
        plan: &Plan,
        service: &ServiceName,
        caller: &NodeName,
        live: &Live,
    ) -> Result<Box<dyn PacketEnd>, Refusal> {
        let mut last = Refusal::NoEndpoint;
        for step in &plan.steps {
            match step {
                Step::Target(target) => {
                    let reached = udp::connect(&*self.shell, target, self.tables.ports());
                    match timeout(&*self.shell, Limits::CONNECT, reached).await {
                        Some(Ok(None)) => last = Refusal::HopLimit,
                        Some(Ok(Some(socket))) => {
                            live.goes(NextHop::Local);
                            return Ok(Box::new(Service {
                                socket,
                                counters: self.transport.packets().clone(),
                            }));
                        }
                        Some(Err(error)) => {
                            self.denied.look(target, &error);
                            debug!(%service, %target, %error, "no socket towards the service");
                            last = Refusal::TargetRefused;
                        }
                        None => last = Refusal::TargetTimeout,
                    }
                }
                Step::Peer(peer, origin) => {
                    let header = plan.header(FlowKind::Packets, service, origin, caller);
                    match self.transport.open_packets(peer, &header).await {
                        Ok(flow) => {
                            live.goes(NextHop::Peer(Arc::new(peer.clone())));
                            return Ok(Box::new(flow));
                        }
                        Err(error) => {
                            debug!(%service, %peer, %error, "a neighbour did not take the packets");
                            last = error.refusal();
                        }
                    }
                }
            }
        }
        Err(last)
    }

    /// One flow of packets that a neighbour opened.
    pub(crate) async fn neighbour_packets(
        self: Arc<Self>,
        peer: NodeName,
        header: StreamHeader,
        flow: PacketFlow,
    ) {
        let service = &header.service;
        let origin = header.origin.as_ref();
        let plan = self.tables.plan_packets(Some(&peer), service, origin, header.hop_limit, Limits::TRIES);
        let entered = plan.and_then(|plan| {
            let now = self.clocks.now().mono;
            let live = self.tables.enter_packets(Some(&peer), service, plan.epoch, now)?;
            Ok((plan, live))
        });
        let (plan, live) = match entered {
            Ok(both) => both,
            Err(why) => {
                debug!(%peer, %service, %why, "packets were refused");
                return flow.refuse(why).await;
            }
        };
        match self.packet_dial(&plan, service, &header.caller, &live).await {
            Ok(mut end) => {
                let Ok(mut flow) = flow.accept().await else { return };
                ended(service, &self.carry(&mut flow, &mut *end, &live).await);
            }
            Err(why) => {
                debug!(%peer, %service, %why, "packets found no endpoint");
                flow.refuse(why).await;
            }
        }
    }
}
