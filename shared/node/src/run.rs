//! The running node: one task owns the engine; everything else sends to it or reads tables.

use std::sync::Arc;
use std::time::Duration;

use async_channel::{Receiver, bounded};
use catalyst_config::Build;
use catalyst_control::{Core, Event};
use catalyst_route_table::Store;
use catalyst_transport::TransportConfig;
use tracing::info;

use crate::admin::LayerRow;
use crate::adopt::spawn;
#[cfg(feature = "mesh")]
use crate::adopt::timeout;
use crate::boot::{Prepared, link_profile};
use crate::denied::Denied;
use crate::engine::{Engine, Facts};
use crate::error::NodeError;
use crate::limits::Limits;
use crate::memory;
use crate::mesh::Told;
use crate::own_ports::Carrier;
use crate::persist::Persist;
use crate::plane::{Plane, TurnedAway};
use crate::ports;
use crate::record::Recorder;
use crate::renewal::Renewal;
use crate::serve;
use crate::services::{Launched, Services};
use crate::shell::Shell;
use crate::sockets::Sockets;
use crate::tables::Tables;
use crate::turns::{Around, serve_all};
use crate::udp::UdpPorts;
use crate::watchdog::{self, Watchdog};

/// How a node is started, beside its configuration.
pub struct Stop {
    /// Anything received here stops the node in order; so does the end of the channel.
    pub stop: Receiver<()>,
    /// Where every event is recorded, if wanted.
    pub record: Option<Recorder>,
    /// For processors without AES instructions.
    pub prefer_chacha: bool,
    /// Called once everything listens: for a service manager, or a line to the user.
    pub ready: Box<dyn FnOnce(&str) + Send>,
    /// What runs local services, if the configuration has any: of [`crate::services::launch`].
    pub services: Option<Launched>,
    /// What the shell has given up, for `status`.
    pub sandbox: Vec<LayerRow>,
    /// Another program that carries flows, if any.
    pub mesh: Told,
}

/// Runs a node until it is told to stop.
///
/// # Errors
/// What kept it from starting. Once it runs, nothing but a stop ends it.
pub async fn run<Sh: Shell, S: Store + Send + 'static>(
    shell: Sh,
    prepared: Prepared,
    routes: S,
    max_routes: usize,
    stop: Stop,
) -> Result<(), NodeError> {
    let shell = Arc::new(shell);
    let edge = prepared.build == Build::Edge.as_str();
    let (events, inputs) = bounded(if edge { Limits::EDGE_EVENTS } else { Limits::EVENTS });
    let (ask, asked) = bounded(Limits::REQUESTS);
    let (admin, socket) = serve::listen(&*shell, &prepared.config.admin.socket)?;
    let config = transport_config(&shell, &prepared, &stop, edge);
    let transport = Arc::new(shell.transport(config, events)?);
    let capacities = prepared.config.limits;
    crate::descriptors::raise(&capacities);
    let tunnel = memory::tunnel_limits(&capacities, edge);
    let tables = Tables::new(prepared.settings.name.clone(), tunnel, memory::held(edge), prepared.seed);
    let tables = Arc::new(tables.with_mesh(stop.mesh.clone()));
    let denied = Arc::new(Denied::default());
    let plane = Arc::new(Plane {
        shell: shell.clone(),
        transport: transport.clone(),
        tables: tables.clone(),
        own: prepared.settings.name.clone(),
        clocks: prepared.clocks.clone(),
        turned_away: TurnedAway::default(),
        denied: denied.clone(),
        udp: Arc::new(UdpPorts::new(
            tunnel.packet_flows,
            Duration::from_secs(prepared.config.limits.udp_idle_s.into()),
            edge,
        )),
    });
    let exposed = {
        let (config, limit) = (&prepared.config, capacities.expose as usize);
        ports::expose(&plane, &config.expose, &prepared.exposes, limit, &*prepared.store)?
    };
    if prepared.config.listen.is_some() {
        // On both, by the same number.
        tables.ports().opened(Carrier::Udp, transport.local_addr());
        tables.ports().opened(Carrier::Tcp, transport.local_addr());
    }
    let clients = capacities.http_clients as usize;
    let http =
        prepared.config.http.map(|http| ports::http(&plane, http, clients, &*prepared.store)).transpose()?;
    let metrics = figures(&*shell, prepared.config.metrics)?;
    let store = prepared.store.clone();
    let persist = Persist::start(store.clone(), &prepared.config.state_dir, prepared.owing.into_inner())?;
    let core = Core::new(prepared.settings.clone(), routes).map_err(|e| NodeError::Failed(e.to_string()))?;
    let certificate = prepared.credentials.validity();
    if let Some(notice) = &prepared.store_notice {
        tracing::warn!("{notice}");
    }
    let mut services = Services::prepare(&prepared.config, &prepared.overlay, &prepared.clocks);
    let facts = Facts {
        config: prepared.config,
        trust: prepared.trust,
        build: prepared.build,
        certificate,
        store_notice: prepared.store_notice,
        owed: persist.owed(),
        exposed,
        http,
        dial_errors: std::collections::BTreeMap::new(),
        #[cfg(feature = "mesh")]
        disagreements: std::collections::BTreeMap::new(),
        max_routes,
        remotes: std::collections::BTreeMap::new(),
        started: false,
        complete: false,
        stopping: false,
        #[cfg(feature = "mesh")]
        draining: None,
        leaving: None,
        local: services.board.clone(),
        denied: denied.clone(),
        #[cfg(feature = "mesh")]
        failing: std::collections::BTreeSet::new(),
        sandbox: stop.sandbox,
        spread: 0,
        quiet_until: 0,
        talk: crate::talk::Talk::default(),
    };
    let mut engine = Engine {
        core,
        transport: transport.clone(),
        tables,
        clocks: prepared.clocks,
        overlay: prepared.overlay,
        exposes: prepared.exposes,
        rules: prepared.rules,
        authority: prepared.authority,
        revocations: prepared.revocations,
        unsaved: None,
        renewal: Renewal::default(),
        credentials: prepared.credentials,
        verifier: prepared.verifier,
        peers: prepared.peers,
        last_seen: crate::last_seen::LastSeen::default(),
        remembered: crate::remember::Remembered::load(&facts.config.state_dir, max_routes),
        facts,
        recorder: stop.record,
        #[cfg(feature = "mesh")]
        watchers: crate::watchers::Watchers::default(),
        #[cfg(feature = "mesh")]
        judged: Vec::new(),
        #[cfg(feature = "mesh")]
        granting: crate::granting::Granting::default(),
    };
    prepared.events.iter().for_each(|event| engine.feed(event));
    engine.offer_all();
    engine.drain();
    engine.plan_renewal(prepared.seed);
    engine.tell_all();
    #[cfg(feature = "mesh")]
    if let Some(mesh) = stop.mesh.get() {
        mesh.start(plane.clone(), engine.facts.http, crate::mesh::News(ask.clone()));
        engine.drain();
        if timeout(&*shell, Limits::MESH_READY, mesh.ready()).await.is_none() {
            tracing::warn!("what carries flows is not ready; the node goes on without it");
        }
    }
    spawn(&*shell, serve::serve(shell.clone(), admin, ask.clone(), Limits::admin_answers(edge)));
    services.start(&shell, &engine.clocks, denied, stop.services, ask.clone());
    if let Some(listener) = metrics {
        spawn(&*shell, crate::metrics::serve(shell.clone(), listener, ask.clone()));
    }
    prepared.dials.into_iter().for_each(|dial| transport.set_peer(dial));
    info!(node = %engine.core.state().settings().name, peering = %transport.local_addr(), "the node runs");
    (stop.ready)(&engine.facts.config.admin.socket.display().to_string());
    let around = Around { plane: &plane, ask, persist: &persist, prefer_chacha: stop.prefer_chacha };
    serve_all(&around, &mut engine, &inputs, &asked, &stop.stop, Watchdog::ready()).await;
    watchdog::stopping();
    // Written before the sessions end, which takes the routes with it.
    if let Some(write) = engine.routes_to_save(true)
        && let Err(error) = persist.write(write).await
    {
        tracing::warn!(error = error.why(), "the routes of this run will not be known to the next");
    }
    if let Some(write) = engine.time_to_save(true)
        && let Err(error) = persist.write(write).await
    {
        tracing::warn!(error = error.why(), "the time of this run will not be known to the next");
    }
    engine.facts.stopping = true;
    #[cfg(feature = "mesh")]
    let watchers = engine.watchers.end();
    #[cfg(feature = "mesh")]
    engine.checkpoint();
    engine.feed(&Event::Stop);
    engine.drain();
    #[cfg(feature = "mesh")]
    engine.checkpoint();
    transport.shutdown().await;
    #[cfg(feature = "mesh")]
    crate::watch::ended(&*shell, watchers).await;
    // Nobody is answered any more: who waits for an answer must not wait for ever.
    asked.close();
    services.stop().await;
    drop(socket);
    let owed = engine.facts.owed.row();
    let lost = persist.end().await;
    // The thread that writes may still hold it when the process ends.
    store.close();
    info!("the node has stopped");
    match owed.filter(|_| !lost.is_empty()) {
        None => Ok(()),
        Some(owed) => Err(NodeError::Lost { lost, why: owed.why }),
    }
}

/// The port for figures.
fn figures<Sh: Shell>(
    shell: &Sh,
    listen: Option<std::net::SocketAddr>,
) -> Result<Option<Sh::TcpListener>, NodeError> {
    let Some(address) = listen else { return Ok(None) };
    let fail =
        |source| NodeError::Listen { address: address.to_string(), what: "metrics.listen".into(), source };
    shell.listen(address).map(Some).map_err(fail)
}

fn transport_config<Sh: Shell>(
    shell: &Arc<Sh>,
    prepared: &Prepared,
    stop: &Stop,
    edge: bool,
) -> TransportConfig {
    let any = std::net::SocketAddr::from(([0, 0, 0, 0], 0));
    TransportConfig {
        bind: prepared.config.listen.unwrap_or(any),
        listen: prepared.config.listen.is_some(),
        credentials: prepared.credentials.clone(),
        verifier: prepared.verifier.clone(),
        prefer_chacha: stop.prefer_chacha,
        flows: shell.flows(),
        tcp: Some(Arc::new(Sockets(shell.clone()))),
        resolver: shell.resolver(),
        profile: link_profile(prepared.config.profile),
        limits: memory::transport_limits(&prepared.config.limits, edge),
        seed: prepared.seed,
    }
}
