//! What is done before the sandbox is entered: Envoy is found, its keepers run, files are read.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use catalyst_config::{Config, Envoy, EnvoyMode, files};
use catalyst_dataplane::{Identity, Site, names, via};
use catalyst_envoy::{BootstrapSpec, EnvoyError, EnvoySpec, Launched, Place, find, launch};
use catalyst_names::NodeName;

/// What keeps the data plane from starting.
#[derive(Debug, thiserror::Error)]
pub enum MeshError {
    /// Envoy itself.
    #[error(transparent)]
    Envoy(#[from] EnvoyError),
    /// A private key that others may read.
    #[error(transparent)]
    Private(#[from] files::FileError),
    /// A file or socket.
    #[error("{}: {why}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        why: io::Error,
    },
}

pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> MeshError {
    let path = path.to_owned();
    |why| MeshError::File { path, why }
}

/// All that [`crate::EnvoyMesh::new`] needs; the private keys among it are never printed.
pub struct Prepared {
    /// An Envoy that is older was found again.
    pub(crate) since: SystemTime,
    pub(crate) launched: Option<Launched>,
    pub(crate) site: Site,
    pub(crate) place: Place,
    pub(crate) key: String,
    pub(crate) https: Option<(SocketAddr, Identity)>,
    pub(crate) address: Option<String>,
    /// Beside its name: what the node is called by those who were told where it is.
    pub(crate) hosts: BTreeSet<String>,
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared").field("site", &self.site).finish_non_exhaustive()
    }
}

/// The bootstrap for the Envoy of this node.
#[must_use]
pub fn bootstrap(config: &Config) -> BootstrapSpec {
    let name = NodeName::new(&config.node, &config.org);
    BootstrapSpec::new(name.as_str(), name.org(), &Place::of(&config.state_dir))
}

/// Finds Envoy and starts its keepers, if the configuration wants an Envoy. `flag` is `--envoy`.
///
/// # Errors
/// There is no Envoy that will do, or a file cannot be read.
pub fn prepare(config: &Config, flag: Option<&Path>) -> Result<Option<Prepared>, MeshError> {
    let wanted = config.envoy.as_ref().filter(|envoy| envoy.mode != EnvoyMode::Off);
    let Some(envoy) = wanted else { return Ok(None) };
    let since = SystemTime::now();
    let place = Place::of(&config.state_dir);
    place.make()?;
    let launched = match envoy.mode {
        EnvoyMode::Managed => Some(managed(config, envoy, flag, &place)?),
        EnvoyMode::External | EnvoyMode::Off => None,
    };
    let read = |path: &Path| files::read_text(path, catalyst_identity::Limits::PEM).map_err(at(path));
    let https = match &config.https {
        Some(https) => {
            files::check_private_file(&https.key)?;
            Some((https.listen, Identity { chain: read(&https.certificate)?, key: read(&https.key)? }))
        }
        None => None,
    };
    let key = read(&config.identity.key)?;
    let folder = place.folder();
    let own = NodeName::new(&config.node, &config.org);
    let site = Site {
        via: via(&key, &own),
        own,
        mesh: envoy.listen,
        node_socket: folder.join("node.sock"),
        stream_socket: folder.join("streams.sock"),
        http_socket: folder.join("http.sock"),
        access_log: folder.join("access.log"),
    };
    let address = envoy.address.as_ref().map(ToString::to_string);
    let hosts = hosts(config, envoy);
    Ok(Some(Prepared { since, launched, site, place, key, https, address, hosts }))
}

/// Where the node listens and says that it is, as the Host of a request has it.
fn hosts(config: &Config, envoy: &Envoy) -> BTreeSet<String> {
    let listens = config.listen.iter().chain([&envoy.listen]).filter(|at| !at.ip().is_unspecified());
    let said = envoy.address.iter().map(|address| address.host.to_ascii_lowercase());
    said.chain(listens.map(|at| names::host(at.ip()))).collect()
}

fn managed(
    config: &Config,
    envoy: &Envoy,
    flag: Option<&Path>,
    place: &Place,
) -> Result<Launched, MeshError> {
    let found = find(flag, envoy.path.as_deref())?;
    let mut spec = EnvoySpec::new(found, place.clone(), bootstrap(config));
    spec.concurrency = envoy.workers;
    Ok(launch(&spec)?)
}
