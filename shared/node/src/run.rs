//! The running node: one task owns the engine; everything else sends to it or reads tables.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_channel::{Receiver, bounded};
use catalyst_config::Build;
use catalyst_control::{Core, Event};
use catalyst_route_table::Store;
use catalyst_transport::{Event as Input, Limits as TransportLimits, TransportConfig};
use catalyst_tunnel::Limits as TunnelLimits;
use futures_lite::future;
use tracing::info;

use crate::adopt::{sleep_until, spawn};
use crate::boot::{Prepared, link_profile};
use crate::engine::{Engine, Facts, Outcome};
use crate::error::NodeError;
use crate::limits::Limits;
use crate::persist::Persist;
use crate::plane::Plane;
use crate::record::Recorder;
use crate::serve::{self, Asked};
use crate::shell::Shell;
use crate::sockets::Sockets;
use crate::tables::Tables;

/// How a node is started, beside its configuration.
pub struct Stop {
    /// Anything received here stops the node in order; so does the end of the channel.
    pub stop: Receiver<()>,
    /// Where to record every event, if wanted.
    pub record: Option<PathBuf>,
    /// For processors without AES instructions.
    pub prefer_chacha: bool,
    /// Called once everything listens: for a service manager, or a line to the user.
    pub ready: Box<dyn FnOnce(&str) + Send>,
}

enum Woken {
    Input(Input),
    Asked(Asked),
    Time,
    Stop,
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
    let tunnel = if edge { TunnelLimits::EDGE } else { TunnelLimits::CLOUD };
    // Every route that is held can be used: there are never more services than routes.
    let tunnel =
        TunnelLimits { flows: prepared.config.limits.flows as usize, services: max_routes, ..tunnel };
    let tables = Arc::new(Tables::new(prepared.settings.name.clone(), tunnel));
    let plane = Arc::new(Plane {
        shell: shell.clone(),
        transport: transport.clone(),
        tables: tables.clone(),
        own: prepared.settings.name.clone(),
        clocks: prepared.clocks.clone(),
    });
    let exposed = expose(&plane, &prepared)?;
    let persist = Persist::start(prepared.store.clone())?;
    let recorder =
        stop.record.as_deref().map(|path| Recorder::create(path, &prepared.settings)).transpose()?;
    let core = Core::new(prepared.settings.clone(), routes).map_err(|e| NodeError::Failed(e.to_string()))?;
    let certificate = prepared.credentials.validity();
    if let Some(notice) = &prepared.store_notice {
        tracing::warn!("{notice}");
    }
    let facts = Facts {
        config: prepared.config,
        trust: prepared.trust,
        build: prepared.build,
        certificate,
        store_notice: prepared.store_notice,
        exposed,
        dial_errors: std::collections::BTreeMap::new(),
        max_routes,
        remotes: std::collections::BTreeMap::new(),
        quiet_until: 0,
    };
    let mut engine = Engine {
        core,
        transport: transport.clone(),
        tables,
        clocks: prepared.clocks,
        overlay: prepared.overlay,
        rules: prepared.rules,
        peers: prepared.peers,
        last_seen: crate::last_seen::LastSeen::default(),
        remembered: crate::remember::Remembered::load(&facts.config.state_dir),
        facts,
        recorder,
    };
    prepared.events.iter().for_each(|event| engine.feed(event));
    engine.offer_all();
    engine.drain();
    spawn(&*shell, serve::serve(shell.clone(), admin, ask));
    prepared.dials.into_iter().for_each(|dial| transport.set_peer(dial));
    info!(node = %engine.core.state().settings().name, peering = %transport.local_addr(), "the node runs");
    (stop.ready)(&engine.facts.config.admin.socket.display().to_string());
    serve_all(&plane, &mut engine, &inputs, &asked, &stop.stop, &persist).await;
    // Written before the sessions end, which takes the routes with it.
    if let Some(write) = engine.routes_to_save(true)
        && let Err(error) = persist.write(write).await
    {
        tracing::warn!(error, "the routes of this run will not be known to the next");
    }
    if let Some(write) = engine.time_to_save(true)
        && let Err(error) = persist.write(write).await
    {
        tracing::warn!(error, "the time of this run will not be known to the next");
    }
    engine.feed(&Event::Stop);
    engine.drain();
    transport.shutdown().await;
    drop(socket);
    info!("the node has stopped");
    Ok(())
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
        tcp: Some(Arc::new(Sockets(shell.clone()))),
        resolver: shell.resolver(),
        profile: link_profile(prepared.config.profile),
        limits: if edge { TransportLimits::EDGE } else { TransportLimits::CLOUD },
        seed: prepared.seed,
    }
}

/// Opens the local ports; all of them or none.
fn expose<Sh: Shell>(
    plane: &Arc<Plane<Sh>>,
    prepared: &Prepared,
) -> Result<Vec<(catalyst_names::ServiceName, std::net::SocketAddr)>, NodeError> {
    let mut open = Vec::new();
    for port in &prepared.config.expose {
        let fail = |source| NodeError::Listen {
            address: port.listen.to_string(),
            what: format!("expose: {}", port.service),
            source,
        };
        let listener = plane.shell.listen(port.listen).map_err(fail)?;
        let address = Sh::local_addr(&listener).map_err(fail)?;
        open.push((port.service.clone(), address, listener));
    }
    Ok(open
        .into_iter()
        .map(|(service, address, listener)| {
            spawn(&*plane.shell, plane.clone().serve(listener, service.clone()));
            (service, address)
        })
        .collect())
}

/// The loop. Events are handled in batches, then everything is drained: a burst coalesces by itself.
async fn serve_all<Sh: Shell, S: Store>(
    plane: &Arc<Plane<Sh>>,
    engine: &mut Engine<S>,
    inputs: &Receiver<Input>,
    asked: &Receiver<Asked>,
    stop: &Receiver<()>,
    persist: &Persist,
) {
    loop {
        let far = std::time::Instant::now() + Duration::from_secs(3600);
        let deadline = engine.deadline().unwrap_or(far);
        let input = async { inputs.recv().await.map_or(Woken::Stop, Woken::Input) };
        let question = async { asked.recv().await.map_or(Woken::Stop, Woken::Asked) };
        let time = async {
            sleep_until(&*plane.shell, deadline).await;
            Woken::Time
        };
        let end = async {
            let _ = stop.recv().await;
            Woken::Stop
        };
        // What waits is heard before a timer is judged: after a pause of the process, frames that came in time count.
        let first = future::or(end, future::or(input, future::or(question, time))).await;
        match first {
            Woken::Input(first) => {
                input_taken(plane, engine, first);
                for _ in 1..Limits::BATCH {
                    let Ok(next) = inputs.try_recv() else { break };
                    input_taken(plane, engine, next);
                }
            }
            Woken::Asked(asked) => question_answered(plane, engine, persist, asked),
            Woken::Time => {}
            Woken::Stop => return,
        }
        if engine.deadline().is_some_and(|due| due <= std::time::Instant::now()) {
            engine.tick();
        }
        // A flood of frames must not keep the person who asks why from an answer.
        if let Ok(asked) = asked.try_recv() {
            question_answered(plane, engine, persist, asked);
        }
        engine.drain();
        for write in [engine.routes_to_save(false), engine.time_to_save(false)].into_iter().flatten() {
            let persist = persist.clone();
            spawn(&*plane.shell, async move {
                if let Err(error) = persist.write(write).await {
                    tracing::warn!(error, "what this run has learned is not written down");
                }
            });
        }
    }
}

fn input_taken<Sh: Shell, S: Store>(plane: &Arc<Plane<Sh>>, engine: &mut Engine<S>, input: Input) {
    match input {
        // A flow is a task of its own, and no business of the core's.
        Input::Flow { peer, header, flow } => {
            spawn(&*plane.shell, plane.clone().neighbour(peer, *header, flow));
        }
        input => engine.transport(input),
    }
}

fn question_answered<Sh: Shell, S: Store>(
    plane: &Arc<Plane<Sh>>,
    engine: &mut Engine<S>,
    persist: &Persist,
    asked: Asked,
) {
    let Asked { request, reply } = asked;
    match engine.request(request) {
        Outcome::Done(result) => {
            // The asker may have gone away.
            let _ = reply.try_send(result);
        }
        Outcome::Write(write, answer) => {
            let persist = persist.clone();
            spawn(&*plane.shell, async move {
                let result = persist.write(write).await;
                let result = result.map(|()| answer).map_err(|error| {
                    format!("it is in force now, but will be lost at the next start, for it could not be written: {error}")
                });
                let _ = reply.try_send(result);
            });
        }
    }
}
