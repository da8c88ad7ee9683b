//! The real transport, as everything in this process uses it.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use async_channel::Sender;
use catalyst_transport::{Event, Limits, LinkProfile, Transport, TransportConfig};
use tokio::runtime::Handle;

use crate::org::Org;

/// Starts it for a node of `org` on loopback, with its tasks on `runtime`.
pub fn start(
    runtime: &Handle,
    org: &Org,
    name: &str,
    listen: bool,
    events: Sender<Event>,
) -> Result<Arc<Transport>> {
    let config = TransportConfig {
        bind: SocketAddr::from(([127, 0, 0, 1], 0)),
        listen,
        credentials: org.credentials(name)?,
        verifier: org.verifier()?,
        flows: None,
        prefer_chacha: false,
        tcp: None,
        resolver: Arc::new(|text| {
            Box::pin(async move { text.parse().map(|a| vec![a]).map_err(std::io::Error::other) })
        }),
        profile: LinkProfile::WAN,
        limits: Limits::CLOUD,
        seed: 7,
    };
    let _inside = runtime.enter();
    Ok(Arc::new(Transport::start(config, Arc::new(quinn::TokioRuntime), events)?))
}
