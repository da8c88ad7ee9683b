//! `catalyst up`: the node, and the Envoy that carries its traffic.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_channel::bounded;
use catalyst_mesh::EnvoyMesh;
use catalyst_node::cli::Common;
use catalyst_node::confine::confine;
use catalyst_node::mesh::Told;
use catalyst_node::printed::aside;
use catalyst_node::services::launch;
use catalyst_node::{NodeError, Prepared, Recorder, Stop, run};
use catalyst_route_table::{Heap, Limits};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use crate::shell::{Place, Tokio};
use crate::{PROGRAM, log, runtime};

fn failed(error: impl std::fmt::Display) -> NodeError {
    NodeError::Failed(error.to_string())
}

/// `up ...`
#[derive(Args)]
pub struct Up {
    /// Record every event of the core to this new file
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// The Envoy program to run, in place of the one that is found
    #[arg(long, value_name = "PATH")]
    envoy: Option<PathBuf>,
    /// Who runs Envoy: managed, external or off; the same as --set envoy.mode=MODE
    #[arg(long, value_name = "MODE")]
    envoy_mode: Option<String>,
}

impl Up {
    pub fn run(&self, common: &Common) -> Result<(), NodeError> {
        let mode = self.envoy_mode.iter().map(|mode| format!("envoy.mode={mode}"));
        let set = common.set.iter().cloned().chain(mode).collect();
        let common = Common { set, ..common.clone() };
        up(&common, self.record.clone(), self.envoy.as_deref())
    }
}

fn up(common: &Common, record: Option<PathBuf>, envoy: Option<&Path>) -> Result<(), NodeError> {
    let config = common.load(&PROGRAM)?;
    log::start(&config);
    let routes = config.limits.routes as usize;
    let prepared = Prepared::new(config, PROGRAM.build.as_str(), catalyst_control::Limits::CLOUD)?;
    let services = launch(&prepared.config, true)?;
    // Before the sandbox: inside it no program is started, and no file of another folder is read.
    let mesh = catalyst_mesh::prepare(&prepared.config, envoy).map_err(failed)?;
    let holds = Limits { routes, names: routes.saturating_mul(2).max(1024), ..Limits::CLOUD };
    let record = record.map(|path| Recorder::create(&path, &prepared.settings, holds)).transpose()?;
    let threads = runtime::threads(prepared.config.threads);
    let sandbox = confine(&prepared)?;
    let (pool, engine) = (runtime::large(threads)?, runtime::small()?);
    engine.block_on(async {
        let (stopper, stop) = bounded(1);
        for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
            let mut signal = signal(kind).map_err(runtime::failed)?;
            let stopper = stopper.clone();
            tokio::spawn(async move {
                signal.recv().await;
                let _ = stopper.send(()).await;
            });
        }
        let mesh = {
            let _inside = pool.enter();
            mesh.map(EnvoyMesh::new).transpose().map_err(failed)?
        };
        let told = mesh.clone().map(|mesh| Told::new(mesh)).unwrap_or_default();
        let ready = Box::new(|socket: &str| aside(&format!("ready; admin socket {socket}")));
        let stop = Stop { stop, record, prefer_chacha: false, ready, services, sandbox, mesh: told };
        let table = Heap::new(holds);
        let places = [&engine, &pool].map(|runtime| Arc::new(Place(runtime.handle().clone())));
        let [engine, pool] = places;
        let result = run(Tokio { engine, pool }, prepared, table, routes, stop).await;
        if let Some(mesh) = mesh {
            mesh.stop().await;
        }
        result
    })
}
