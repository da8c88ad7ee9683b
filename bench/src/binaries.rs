//! What is measured.

use std::path::PathBuf;

/// The binaries under test, as `cargo xtask bench` built them.
pub struct Binaries {
    /// The full node.
    pub cloud: PathBuf,
    /// The edge node.
    pub edge: PathBuf,
    /// The Envoy that the suite `dataplane` runs.
    pub envoy: PathBuf,
    /// What the suite `routes` measures beside.
    pub bird: Option<PathBuf>,
    /// Only when asked for: nobody packages it.
    pub rathole: Option<PathBuf>,
}
