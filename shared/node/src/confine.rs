//! What a node gives up before its first thread starts.

use std::path::{Path, PathBuf};

use catalyst_config::{Config, Sandbox};
use catalyst_sandbox::{Wanted, enter};

use crate::admin::LayerRow;
use crate::boot::Prepared;
use crate::error::NodeError;
use crate::serve;

/// Enters the sandbox, as the configuration wants it. Returns its layers, for `status`. Everything that the node reads
/// once must be read by now, and what it lists for itself be open.
///
/// # Errors
/// It does not hold, and the configuration requires that it does.
pub fn confine(prepared: &Prepared) -> Result<Vec<LayerRow>, NodeError> {
    let config = &prepared.config;
    if config.sandbox == Sandbox::Off {
        return Ok(off());
    }
    // A rule is about a folder that is there.
    serve::folder(&config.admin.socket)?;
    let report = enter(&wanted(config, prepared.tcp_ports()));
    if config.sandbox == Sandbox::Require
        && let Some(layer) = report.weakest()
    {
        return Err(NodeError::Failed(format!(
            "the sandbox does not hold ({}: {}: {}), and 'sandbox' is \"require\": set it to \"on\" to run with what holds",
            layer.name,
            layer.state.as_str(),
            layer.why
        )));
    }
    Ok(report.layers.iter().map(row).collect())
}

/// Enters the sandbox in a process that does nothing else, to see what holds here.
#[must_use]
pub fn tried(config: &Config) -> Vec<LayerRow> {
    if config.sandbox == Sandbox::Off {
        return off();
    }
    enter(&wanted(config, Some(Vec::new()))).layers.iter().map(row).collect()
}

fn off() -> Vec<LayerRow> {
    let why = "'sandbox' is \"off\" in the configuration".to_string();
    vec![LayerRow { layer: "all layers".to_string(), state: "off".to_string(), why }]
}

fn row(layer: &catalyst_sandbox::Layer) -> LayerRow {
    LayerRow {
        layer: layer.name.to_string(),
        state: layer.state.as_str().to_string(),
        why: layer.why.clone(),
    }
}

/// The folder that a file is in.
fn folder(path: &Path) -> PathBuf {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_path_buf()
}

/// The key is read again for each renewal. Nothing of the configuration can be written: whoever takes the node over
/// could choose the programs of its next start.
fn wanted(config: &Config, listen: Option<Vec<u16>>) -> Wanted {
    Wanted {
        read: vec![config.identity.key.clone()],
        write: vec![config.state_dir.clone()],
        sockets: vec![folder(&config.admin.socket)],
        listen,
    }
    .names()
}
