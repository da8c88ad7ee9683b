//! The tunnel beside a program that carries flows: what comes out of the tunnel is handed to it, and what only the tunnel
//! can carry comes from it.

use std::io;
use std::path::{Path, PathBuf};

use catalyst_names::{NodeName, ServiceName, SpiffeId};
use catalyst_transport::LocalStream;
use catalyst_tunnel::{FlowKind, Limits as TunnelLimits, Refusal};
use futures_lite::io::AsyncWriteExt;
use tracing::debug;

use crate::adopt::timeout;
use crate::limits::Limits;
use crate::mesh::{Flows, OpenFlow, proxy_header};
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

/// A connection to the program that says whose flow it is and where to.
pub(crate) async fn enter<Sh: Shell>(
    shell: &Sh,
    entry: &Path,
    caller: &NodeName,
    service: &ServiceName,
) -> io::Result<Box<dyn LocalStream>> {
    let caller = SpiffeId::node(&caller.org_id(), &caller.node_id()).to_string();
    let entering = async {
        let mut socket = shell.connect_unix(entry).await?;
        socket.write_all(&proxy_header(&caller, service.as_str())).await?;
        Ok(socket)
    };
    timeout(shell, Limits::CONNECT, entering).await.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into()))
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
                        return Ok(OpenFlow { stream, live });
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
