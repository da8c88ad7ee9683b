//! The data plane of one node without the node: a planner, its delta server, and a real Envoy.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use catalyst_dataplane::{Bundle, Planner, Service, Site, Via, Way};
use catalyst_envoy::{BootstrapSpec, Place, print_bootstrap};
use catalyst_names::{NodeName, Protocol, ServiceName};
use catalyst_xds::{Limits, Publisher, serve};
use tokio::net::UnixListener;
use tokio::runtime::Runtime;

use crate::edge::load::free_port;
use crate::org::Org;

use super::envoy::Envoy;
use super::web::PATIENCE;

/// A node's files and ports.
pub struct Home {
    /// The node.
    pub name: NodeName,
    /// Where local clients name a service by Host.
    pub ingress: SocketAddr,
    /// What the planner has to know.
    pub site: Site,
    folder: PathBuf,
    place: Place,
}

impl Home {
    /// In a folder that is made here.
    pub fn new(folder: &Path, name: NodeName) -> Result<Home> {
        let place = Place::of(folder);
        place.make()?;
        let site = Site {
            own: name.clone(),
            mesh: free_port()?,
            node_socket: folder.join("node.sock"),
            stream_socket: folder.join("streams.sock"),
            http_socket: folder.join("http.sock"),
            access_log: folder.join("access.log"),
            via: catalyst_dataplane::via("a secret", &name),
        };
        let spec = BootstrapSpec::new(name.as_str(), name.org(), &place);
        fs::write(place.bootstrap(), print_bootstrap(&spec))?;
        Ok(Home { name, ingress: free_port()?, site, folder: folder.to_owned(), place })
    }

    /// A planner that knows certificates and ports.
    pub fn planner(&self, own: &Org, trusted: &[&Org]) -> Result<Planner> {
        let mut planner = Planner::new(self.site.clone());
        planner.set_identity(&own.identity(self.name.node())?);
        let bundle = |org: &&Org| Bundle { org: org.id().clone(), roots: org.roots() };
        planner.set_trust(&trusted.iter().map(bundle).collect::<Vec<_>>());
        planner.open_ingress(self.ingress, false);
        Ok(planner)
    }

    /// Where Envoy asks for its configuration.
    pub fn xds_socket(&self) -> PathBuf {
        self.place.xds_socket()
    }

    /// Starts Envoy.
    pub fn envoy(&self, program: &Path) -> Result<Envoy> {
        envoy_of(&self.folder, program)
    }
}

/// Starts the Envoy of a node whose [`Home`] another process made in this folder.
pub fn envoy_of(folder: &Path, program: &Path) -> Result<Envoy> {
    let place = Place::of(folder);
    Envoy::start(program, &place.bootstrap(), place.admin_socket(), folder.join("envoy.log"))
}

/// Starts the delta server of a planner; nothing is applied yet, and it is not open.
pub fn publish(runtime: &Runtime, home: &Home) -> Result<Publisher> {
    let publisher = Publisher::new(home.name.as_str(), Limits::CLOUD);
    let listener = {
        let _in = runtime.enter();
        UnixListener::bind(home.xds_socket())?
    };
    runtime.spawn(serve(listener, publisher.clone(), std::future::pending()));
    Ok(publisher)
}

/// Waits until Envoy has all that it was told, and none of it was rejected.
pub fn settled(runtime: &Runtime, publisher: &Publisher) -> Result<()> {
    let waited = runtime.block_on(async { tokio::time::timeout(PATIENCE, publisher.settled()).await });
    let status = publisher.status();
    if waited.is_err() || status.last_nack.is_some() {
        bail!("Envoy has not taken everything: {status:?}");
    }
    Ok(())
}

/// Planner, server and Envoy of one node.
pub struct Node {
    /// Names and ports.
    pub home: Home,
    /// What the node knows.
    pub planner: Planner,
    /// What Envoy is told.
    pub publisher: Publisher,
    /// The process.
    pub envoy: Envoy,
}

impl Node {
    /// A node whose Envoy has everything that does not depend on services.
    pub fn start(
        runtime: &Runtime,
        program: &Path,
        folder: &Path,
        name: &str,
        orgs: &[&Org],
    ) -> Result<Node> {
        let own = orgs.iter().find(|org| name.ends_with(org.id().as_str()));
        let own = own.with_context(|| format!("no organisation of {name}"))?;
        let home = Home::new(&folder.join(name), name.parse()?)?;
        let mut planner = home.planner(own, orgs)?;
        let publisher = publish(runtime, &home)?;
        publisher.apply(planner.drain())?;
        publisher.open();
        let envoy = home.envoy(program)?;
        settled(runtime, &publisher).with_context(|| envoy.log())?;
        Ok(Node { home, planner, publisher, envoy })
    }

    /// Gives Envoy what the planner has.
    pub fn tell(&mut self) -> Result<()> {
        Ok(self.publisher.apply(self.planner.drain())?)
    }

    /// The way here.
    pub fn via(&self) -> Via {
        Via::Peer(self.home.name.clone())
    }
}

/// Makes two nodes neighbours.
pub fn join(a: &mut Node, b: &mut Node) -> Result<()> {
    a.planner.set_neighbour(&b.home.name, Some(vec![b.home.site.mesh]));
    b.planner.set_neighbour(&a.home.name, Some(vec![a.home.site.mesh]));
    a.tell()?;
    b.tell()
}

/// A service with ways, best first.
pub fn ways(protocol: Protocol, vias: &[Via]) -> Service {
    let way = |via: &Via| Way { via: via.clone(), weight: 1, equal: false };
    Service { protocol, ways: vias.iter().map(way).collect() }
}

/// The name of the nth service.
pub fn nth(n: usize) -> Result<ServiceName> {
    Ok(ServiceName::parse(&format!("service-{n:05}.acme.example"))?)
}

/// A service of the node itself, at this address.
pub fn local(planner: &mut Planner, name: &ServiceName, protocol: Protocol, at: SocketAddr) {
    planner.set_target(name, Some(vec![at]));
    planner.set_service(name, ways(protocol, &[Via::Local]));
}
