//! The data plane of the tunnel: local clients in, flows of neighbours on or out.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use catalyst_config::HostPort;
use catalyst_names::{NodeName, ServiceName};
use catalyst_transport::{FlowStream, LocalStream, PumpEnd, Transport, pump, relay};
use catalyst_tunnel::{FlowKind, Limits as TunnelLimits, Refusal, StreamHeader};
use futures_lite::future;
use tracing::{debug, info};

use crate::adopt::{spawn, timeout};
use crate::clock::Clocks;
use crate::denied::Denied;
use crate::gate::Gate;
use crate::limits::Limits;
use crate::own_ports::Carrier;
use crate::shell::Shell;
use crate::splice::splice;
use crate::tables::{Live, Plan, Step, Tables};
use crate::udp::UdpPorts;

/// The moving parts of the data plane; cheap to share.
pub(crate) struct Plane<Sh> {
    pub(crate) shell: Arc<Sh>,
    pub(crate) transport: Arc<Transport>,
    pub(crate) tables: Arc<Tables>,
    pub(crate) own: NodeName,
    pub(crate) clocks: Clocks,
    pub(crate) turned_away: TurnedAway,
    pub(crate) denied: Arc<Denied>,
    pub(crate) udp: Arc<UdpPorts>,
}

/// Log lines about local clients that are turned away: one in [`Limits::TURNED_AWAY_MS`], with how many there were.
#[derive(Debug, Default)]
pub(crate) struct TurnedAway {
    quiet_until: AtomicU64,
    unsaid: AtomicU64,
}

impl TurnedAway {
    /// One more at this time, in milliseconds. Returns how many the line is about, when there is to be one.
    pub(crate) fn count(&self, now: u64) -> Option<u64> {
        let unsaid = self.unsaid.fetch_add(1, Ordering::Relaxed) + 1;
        let until = self.quiet_until.load(Ordering::Relaxed);
        if now < until {
            return None;
        }
        let next = now + Limits::TURNED_AWAY_MS;
        self.quiet_until.compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed).ok()?;
        self.unsaid.fetch_sub(unsaid, Ordering::Relaxed);
        Some(unsaid)
    }
}

impl<Sh: Shell> Plane<Sh> {
    /// Serves local clients of one exposed service until the port is closed; connections that are there go on.
    pub(crate) async fn serve(self: Arc<Self>, listener: Sh::TcpListener, service: ServiceName, gate: Gate) {
        // The gate outlives the listener.
        let listener = listener;
        future::or(self.accept(&listener, &service), gate.closing()).await;
    }

    async fn accept(self: &Arc<Self>, listener: &Sh::TcpListener, service: &ServiceName) {
        loop {
            match Sh::accept(listener).await {
                Ok(client) => {
                    run(&*self.shell, self.clone().client(client, service.clone()));
                }
                Err(error) => {
                    // Out of descriptors, mostly: the client waits in the queue until some are free.
                    debug!(%service, %error, "cannot accept a local client");
                    timeout(&*self.shell, Duration::from_millis(100), future::pending::<()>()).await;
                }
            }
        }
    }

    /// One local client, until its bytes flow.
    async fn client(self: Arc<Self>, mut client: Sh::Tcp, service: ServiceName) -> Option<Joined> {
        let why = match self.way(&service).await {
            Ok((Way::Flow(flow), live)) => {
                let control = live.control.clone();
                return Some(Joined::new(live, pump(client, flow, control)));
            }
            Ok((Way::Socket(target), live)) => {
                let control = live.control.clone();
                return Some(Joined::new(live, splice(client, target, control)));
            }
            Err(why) => why,
        };
        // A client that tries again and again must not fill the log.
        if let Some(clients) = self.turned_away.count(self.clocks.now().mono) {
            info!(%service, %why, clients, "a local client was turned away");
        }
        client.abort();
        None
    }

    /// Where a local client's bytes go, and its place in the table.
    async fn way(&self, service: &ServiceName) -> Result<(Way<Sh::Tcp>, Live), Refusal> {
        let plan = self.tables.plan(None, service, None, TunnelLimits::HOPS, Limits::TRIES)?;
        let live = self.tables.enter(None, service, plan.epoch, self.clocks.now().mono)?;
        let way = self.dial(&plan, service, &self.own, &live).await?;
        Ok((way, live))
    }

    /// Tries the steps of a plan in order.
    pub(crate) async fn dial(
        &self,
        plan: &Plan,
        service: &ServiceName,
        caller: &NodeName,
        live: &Live,
    ) -> Result<Way<Sh::Tcp>, Refusal> {
        let mut last = Refusal::NoEndpoint;
        for step in &plan.steps {
            match step {
                Step::Target(target) => {
                    match timeout(&*self.shell, Limits::CONNECT, self.reach(target)).await {
                        Some(Ok(Some(socket))) => return Ok(Way::Socket(socket)),
                        Some(Ok(None)) => last = Refusal::HopLimit,
                        Some(Err(error)) => {
                            self.denied.look(target, &error);
                            debug!(%service, %target, %error, "the service's own socket refused");
                            last = Refusal::TargetRefused;
                        }
                        None => last = Refusal::TargetTimeout,
                    }
                }
                Step::Peer(peer, origin) => {
                    let header = plan.header(FlowKind::Bytes, service, origin, caller);
                    match self.transport.open_flow(peer, &header).await {
                        Ok(flow) => {
                            live.through(peer);
                            return Ok(Way::Flow(flow));
                        }
                        Err(error) => {
                            debug!(%service, %peer, %error, "a neighbour did not take the flow");
                            last = error.refusal();
                        }
                    }
                }
            }
        }
        Err(last)
    }

    /// Connects to a service's own socket; to none that is a port of this node, where it would begin anew: `None`.
    async fn reach(&self, target: &HostPort) -> io::Result<Option<Sh::Tcp>> {
        let addresses = match target.socket_addr() {
            Some(address) => vec![address],
            None => self.shell.resolver()(target.to_string()).await?,
        };
        let mut last = Err(io::ErrorKind::NotFound.into());
        for address in addresses {
            if let Some(at) = self.tables.ports().met(Carrier::Tcp, address) {
                self.tables.ports().cut(target, at);
                last = Ok(None);
                continue;
            }
            let to = HostPort { host: address.ip().to_string(), port: address.port() };
            match self.shell.connect(to).await {
                Ok(socket) => return Ok(Some(socket)),
                Err(error) => last = Err(error),
            }
        }
        last
    }

    /// One flow that a neighbour opened.
    pub(crate) fn neighbour(self: Arc<Self>, peer: NodeName, header: Box<StreamHeader>, flow: FlowStream) {
        let shell = self.shell.clone();
        run(&*shell, self.opened(peer, header, flow));
    }

    async fn opened(
        self: Arc<Self>,
        peer: NodeName,
        header: Box<StreamHeader>,
        flow: FlowStream,
    ) -> Option<Joined> {
        let service = &header.service;
        let origin = header.origin.as_ref();
        let plan = self.tables.plan(Some(&peer), service, origin, header.hop_limit, Limits::TRIES);
        let entered = plan.and_then(|plan| {
            let live = self.tables.enter(Some(&peer), service, plan.epoch, self.clocks.now().mono)?;
            Ok((plan, live))
        });
        let (plan, live) = match entered {
            Ok(both) => both,
            Err(why) => {
                debug!(%peer, %service, %why, "a flow was refused");
                flow.refuse(why).await;
                return None;
            }
        };
        #[cfg(feature = "mesh")]
        if let Some(entry) = self.entry(&plan, service) {
            let entered = crate::entering::enter(&*self.shell, &entry, &peer, service).await;
            return match entered {
                Ok(socket) => {
                    let flow = flow.accept().await.ok()?;
                    let control = live.control.clone();
                    Some(Joined::new(live, pump(socket, flow, control)))
                }
                Err(error) => {
                    debug!(%peer, %service, %error, "the mesh does not take the flow");
                    flow.refuse(Refusal::NoEndpoint).await;
                    None
                }
            };
        }
        match self.dial(&plan, service, &header.caller, &live).await {
            Ok(way) => {
                let flow = flow.accept().await.ok()?;
                let control = live.control.clone();
                Some(match way {
                    Way::Socket(socket) => {
                        control.serves();
                        Joined::new(live, pump(socket, flow, control))
                    }
                    Way::Flow(onward) => {
                        Joined::new(live, async move { relay(flow, onward, &control).await })
                    }
                })
            }
            Err(why) => {
                debug!(%peer, %service, %why, "a flow found no endpoint");
                flow.refuse(why).await;
                None
            }
        }
    }
}

/// A flow whose bytes move, in a box of its own.
struct Joined {
    live: Live,
    moving: Pin<Box<dyn Future<Output = PumpEnd> + Send>>,
}

impl Joined {
    fn new(live: Live, moving: impl Future<Output = PumpEnd> + Send + 'static) -> Self {
        Joined { live, moving: Box::pin(moving) }
    }
}

/// Runs a flow. What is needed only until bytes move lies in a box that is gone then: a task is as large as the largest
/// thing that it waits for, and thousands of flows are idle most of the time.
fn run<Sh: Shell>(shell: &Sh, opening: impl Future<Output = Option<Joined>> + Send + 'static) {
    let opening = Box::pin(opening);
    spawn(shell, async move {
        if let Some(joined) = opening.await {
            let end = joined.moving.await;
            if !matches!(end, PumpEnd::Finished | PumpEnd::Idle) {
                debug!(service = joined.live.service(), ?end, "a flow ended early");
            }
        }
    });
}

/// What a plan led to.
pub(crate) enum Way<T> {
    Socket(T),
    Flow(FlowStream),
}

pub(crate) fn ended(service: &ServiceName, end: &PumpEnd) {
    if !matches!(end, PumpEnd::Finished | PumpEnd::Idle) {
        debug!(%service, ?end, "a flow ended early");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_that_are_turned_away_share_one_line_a_second() {
        let away = TurnedAway::default();
        assert_eq!(away.count(5), Some(1));
        assert_eq!((0..100).filter_map(|n| away.count(6 + n)).count(), 0);
        assert_eq!(away.count(5 + Limits::TURNED_AWAY_MS), Some(101));
    }
}
