//! What the node tells, passed on to Envoy.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use catalyst_dataplane::{Identity, Site};
use catalyst_envoy::{Admin, Handle, State as EnvoyState, Supervisor, log_line};
use catalyst_names::{NodeName, Protocol, ServiceName};
use catalyst_node::drain::UnderWay;
use catalyst_node::envoy_row::{EnvoyRow, Trouble, is_taken};
use catalyst_node::mesh::{Change, Flows, Mesh, News};
use catalyst_node::shell::Boxed;
use catalyst_xds::Publisher;
use tokio::net::UnixListener;
use tokio::runtime;
use tokio::sync::{Notify, oneshot, watch};
use tracing::warn;

use crate::access_log;
use crate::blame::Blame;
use crate::limits::Limits;
use crate::neighbours::Neighbours;
use crate::prepare::{MeshError, Prepared, at};
use crate::rejected;
use crate::resolve;
use crate::rows;
use crate::shared::Shared;
use crate::state::State;
use crate::streams;
use crate::under_way;

// Listeners whose addresses are not in their names.
const MESH: &str = "mesh";
const INGRESS: &str = "ingress";
const INGRESS_TLS: &str = "ingress-tls";

/// Envoy as the node's data plane.
pub struct EnvoyMesh {
    shared: Arc<Shared>,
    runtime: runtime::Handle,
    resolve: Arc<Notify>,
    /// Taken by the stop.
    envoy: Mutex<Option<Handle>>,
    /// Taken by the start.
    node_socket: Mutex<Option<UnixListener>>,
    https: Option<(SocketAddr, Identity)>,
    stop: Mutex<Option<oneshot::Sender<()>>>,
    site: Site,
    since: SystemTime,
    hosts: BTreeSet<String>,
    /// What neighbours are told of the mesh port.
    address: Option<String>,
    /// How the process is, if this node runs it.
    process: Option<watch::Receiver<EnvoyState>>,
    neighbours: Arc<Neighbours>,
    admin: Admin,
    xds_socket: PathBuf,
}

fn listen(path: &Path) -> Result<UnixListener, MeshError> {
    match fs::remove_file(path) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(at(path)(why)),
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(at(path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(at(path))?;
    Ok(listener)
}

fn taken<T>(slot: &Mutex<Option<T>>) -> Option<T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}

impl EnvoyMesh {
    /// Goes on from [`crate::prepare`], inside a tokio runtime.
    ///
    /// # Errors
    /// A socket cannot be made.
    pub fn new(prepared: Prepared) -> Result<Arc<Self>, MeshError> {
        let Prepared { since, launched, site, place, key, https, address, hosts } = prepared;
        let publisher = Publisher::new(site.own.as_str(), catalyst_xds::Limits::default());
        let xds = listen(&place.xds_socket())?;
        let node_socket = listen(&site.node_socket)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = catalyst_xds::serve(xds, publisher.clone(), async move {
            let _ = stopped.await;
        });
        tokio::spawn(async move {
            if let Err(error) = serving.await {
                warn!(%error, "Envoy is told nothing any more");
            }
        });
        let envoy = launched.map(|launched| Supervisor::start(launched, log_line));
        Ok(Arc::new(EnvoyMesh {
            process: envoy.as_ref().map(Handle::state),
            address,
            hosts,
            neighbours: Arc::default(),
            admin: Admin::new(place.admin_socket()),
            xds_socket: place.xds_socket(),
            shared: Arc::new(Shared::new(State::new(site.clone(), key), publisher)),
            runtime: runtime::Handle::current(),
            resolve: Arc::new(Notify::new()),
            envoy: Mutex::new(envoy),
            node_socket: Mutex::new(Some(node_socket)),
            https,
            stop: Mutex::new(Some(stop)),
            site,
            since,
        }))
    }

    /// Ends Envoy, if the node runs it, and tells nothing any more.
    pub async fn stop(&self) {
        let mut left = vec![&self.xds_socket, &self.site.node_socket];
        if let Some(handle) = taken(&self.envoy) {
            handle.stop().await;
            // Envoy leaves its own behind.
            left.extend([&self.site.stream_socket, &self.site.http_socket]);
        }
        drop(taken(&self.stop));
        for path in left {
            let _ = fs::remove_file(path);
        }
    }
}

impl Mesh for EnvoyMesh {
    fn tell(&self, change: Change<'_>) {
        let mut state = self.shared.lock();
        if state.tell(&change) {
            self.resolve.notify_one();
        }
        match change {
            Change::Flush => self.shared.flush(&mut state),
            Change::Complete => {
                self.shared.flush(&mut state);
                state.complete = true;
                self.shared.open_if_whole(&state);
            }
            _ => {}
        }
    }

    fn start(&self, flows: Arc<dyn Flows>, http: Option<SocketAddr>, news: News) {
        let news = Arc::new(news);
        let mut addresses = BTreeMap::from([(MESH.to_owned(), self.site.mesh)]);
        addresses.extend(http.map(|at| (INGRESS.to_owned(), at)));
        addresses.extend(self.https.as_ref().map(|(at, _)| (INGRESS_TLS.to_owned(), *at)));
        {
            let mut state = self.shared.lock();
            if let Some(at) = http {
                state.open_ingress(at, None);
            }
            if let Some((at, certificate)) = &self.https {
                state.open_ingress(*at, Some(certificate));
            }
            if http.is_some() || self.https.is_some() {
                self.hosts.iter().for_each(|host| state.add_host(host));
            }
            self.shared.flush(&mut state);
        }
        self.runtime.spawn(resolve::watch(self.shared.clone(), self.resolve.clone(), news.clone()));
        self.runtime.spawn(rejected::watch(self.shared.clone(), news));
        self.runtime.spawn(rejected::reopen(self.shared.clone(), addresses));
        let shared = self.shared.clone();
        self.runtime.spawn(async move { shared.say_what_was_refused().await });
        let (neighbours, admin) = (self.neighbours.clone(), self.admin.clone());
        self.runtime.spawn(async move { neighbours.watch(admin).await });
        self.runtime.spawn(access_log::watch(self.site.access_log.clone(), self.admin.clone()));
        if let Some(socket) = taken(&self.node_socket) {
            let (own, via) = (self.site.own.clone(), self.site.via.clone());
            self.runtime.spawn(async move { streams::serve(socket, own, &via, flows).await });
        }
        let publisher = self.shared.publisher.clone();
        self.runtime.spawn(async move {
            tokio::time::sleep(Limits::COMPLETE).await;
            publisher.open();
        });
    }

    fn has(&self, service: &ServiceName) -> bool {
        let mut state = self.shared.lock();
        let status = self.shared.publisher.status();
        if status.settled {
            state.all_told();
        }
        status.connected.is_some() && !state.is_new(service)
    }

    fn settled(&self) -> Boxed<'static, ()> {
        let publisher = self.shared.publisher.clone();
        Box::pin(async move { publisher.settled().await })
    }

    fn ready(&self) -> Boxed<'static, ()> {
        let state = self.envoy.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(Handle::state);
        let (publisher, since) = (self.shared.publisher.clone(), self.since);
        Box::pin(async move {
            // One that somebody else runs has its own time.
            let Some(mut state) = state else { return };
            loop {
                match &*state.borrow_and_update() {
                    // Found again, it serves already. It is told nothing until this node knows what its neighbours know.
                    EnvoyState::Running { since: began, .. } if *began + Limits::TICK < since => return,
                    EnvoyState::Running { .. } => break,
                    EnvoyState::Missing { .. } => return,
                    EnvoyState::Starting | EnvoyState::Backoff { .. } => {}
                }
                if state.changed().await.is_err() {
                    return;
                }
            }
            publisher.open();
            publisher.settled().await;
        })
    }

    fn entry(&self, protocol: Protocol) -> &Path {
        match protocol {
            Protocol::Tcp | Protocol::Udp => &self.site.stream_socket,
            Protocol::Http | Protocol::HttpGraphql | Protocol::HttpGrpc => &self.site.http_socket,
        }
    }

    fn carries(&self, peer: &NodeName) -> bool {
        self.shared.lock().carries(peer)
    }

    fn ways(&self) -> usize {
        catalyst_dataplane::Limits::WAYS
    }

    fn under_way(&self) -> Boxed<'static, Option<UnderWay>> {
        let admin = self.admin.clone();
        Box::pin(async move { under_way::ask(&admin).await })
    }

    fn row(&self) -> EnvoyRow {
        let status = self.shared.publisher.status();
        let process = self.process.as_ref().map(|process| process.borrow().clone());
        let state = self.shared.lock();
        EnvoyRow {
            mesh: self.site.mesh.to_string(),
            address: self.address.clone(),
            https: self.https.as_ref().map(|(at, _)| at.to_string()),
            xds: rows::xds(&status),
            rejected: rows::rejected(&status),
            rejected_count: status.rejected_count,
            unresolved: rows::unresolved(&state),
            neighbours: rows::neighbours(&state, &self.neighbours),
            ..rows::process(process.as_ref(), &status)
        }
    }

    fn trouble(&self, service: &ServiceName) -> Option<Trouble> {
        self.shared.lock().troubles.of(service)
    }

    fn port_trouble(&self, service: &ServiceName, at: SocketAddr) -> Option<String> {
        let port = Blame::Port(service.clone(), at);
        let rejected = self.shared.publisher.rejected();
        match rejected.iter().find(|row| Blame::of(row.kind, &row.name) == port) {
            Some(row) if is_taken(&row.reason) => {
                Some(format!("cannot listen on {at}: another program has the port; it is tried again"))
            }
            Some(row) => Some(format!("Envoy rejects it: {}", row.reason)),
            None => self.shared.lock().troubles.of_envoy(service).map(|trouble| trouble.why),
        }
    }
}
