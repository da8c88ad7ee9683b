//! What the edge node gives up before its first thread starts.

use std::path::{Path, PathBuf};

use catalyst_config::{Config, Sandbox};
use catalyst_node::admin::LayerRow;
use catalyst_node::{NodeError, Prepared};
use catalyst_sandbox::{Wanted, enter};

/// Enters the sandbox, as the configuration wants it. Returns its layers, for `status`.
pub fn confine(prepared: &Prepared, record: Option<&Path>) -> Result<Vec<LayerRow>, NodeError> {
    let config = &prepared.config;
    if config.sandbox == Sandbox::Off {
        let why = "'sandbox' is \"off\" in the configuration".to_string();
        return Ok(vec![LayerRow { layer: "all layers".to_string(), state: "off".to_string(), why }]);
    }
    let report = enter(&wanted(config, record, prepared.tcp_ports()));
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
pub fn tried(config: &Config) -> Vec<LayerRow> {
    enter(&wanted(config, None, Vec::new())).layers.iter().map(row).collect()
}

fn row(layer: &catalyst_sandbox::Layer) -> LayerRow {
    LayerRow {
        layer: layer.name.to_string(),
        state: layer.state.as_str().to_string(),
        why: layer.why.clone(),
    }
}

/// The folder of a file that is replaced: a new one is made beside it.
fn folder(path: &Path) -> PathBuf {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_path_buf()
}

fn wanted(config: &Config, record: Option<&Path>, listen: Vec<u16>) -> Wanted {
    let mut write = vec![config.state_dir.clone(), folder(&config.admin.socket)];
    // The certificate is renewed.
    write.push(folder(&config.identity.certificate));
    write.extend(record.map(folder));
    Wanted { read: vec![config.identity.key.clone()], write, listen }.names()
}
