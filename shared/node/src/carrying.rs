//! The tunnel beside a program that carries flows: what comes out of the tunnel is handed to it, and what only the tunnel
//! can carry comes from it.

use std::path::PathBuf;

use catalyst_names::{NodeName, ServiceName};
use catalyst_tunnel::{FlowKind, Limits as TunnelLimits, Refusal};
use tracing::debug;

use crate::limits::Limits;
use crate::mesh::{Flows, OpenFlow};
use crate::plane::Plane;
use crate::shell::{Boxed, Shell};
use crate::tables::{Plan, Step};

impl<Sh: Shell> Plane<Sh> {
    /// Where a flow of a neighbour is handed in. What another tunnel takes on never leaves the tunnel.
    pub(crate) fn entry(&self, plan: &Plan, service: &ServiceName) -> Option<PathBuf> {
        let mesh = self.tables.mesh();
        let program = mesh.get()?;
        let leaves = |step: &Step| match step {
            Step::Target(_) => true,
            Step::Peer(peer, _) => mesh.carries(peer),
        };
        let protocol = self.tables.protocol(service)?;
        plan.steps.iter().any(leaves).then(|| program.entry(protocol).to_owned())
    }
}

impl<Sh: Shell> Flows for Plane<Sh> {
    fn open<'a>(
        &'a self,
        service: &'a ServiceName,
        caller: Option<&'a NodeName>,
    ) -> Boxed<'a, Result<OpenFlow, Refusal>> {
        Box::pin(async move {
            // Whether the caller may is settled where it came in; here it only matters not to send the flow back.
            let plan = self.tables.plan(None, service, None, TunnelLimits::HOPS, usize::MAX)?;
            let live = self.tables.enter(None, service, plan.epoch, self.clocks.now().mono)?;
            let mut last = Refusal::NoEndpoint;
            let carried = |peer: &NodeName| self.tables.mesh().carries(peer) || caller == Some(peer);
            let tunnels = plan.steps.iter().filter_map(|step| match step {
                Step::Peer(peer, origin) if !carried(peer) => Some((peer, origin)),
                Step::Peer(..) | Step::Target(_) => None,
            });
            for (peer, origin) in tunnels.take(Limits::TRIES) {
                let header = plan.header(FlowKind::Bytes, service, origin, caller.unwrap_or(&self.own));
                match self.transport.open_flow(peer, &header).await {
                    Ok(stream) => {
                        live.through(peer);
                        let control = live.control.clone();
                        return Ok(OpenFlow { stream, control, place: Box::new(live) });
                    }
                    Err(error) => {
                        debug!(%service, %peer, %error, "a neighbour did not take the flow");
                        last = error.refusal();
                    }
                }
            }
            Err(last)
        })
    }
}
