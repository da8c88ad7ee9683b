//! `check`: everything that can be known before a start. The configuration, the files that it names, and the most
//! memory that the node will take.

use std::path::Path;

use catalyst_config::{Build, Config};
use serde_json::json;

use super::{Common, Program};
use crate::boot::Prepared;
use crate::confine;
use crate::error::NodeError;
use crate::memory::{Bound, bounds};
use crate::output;

fn parts(program: &Program, config: &Config) -> Vec<Bound> {
    let edge = program.build == Build::Edge;
    bounds(config, edge, (program.table)(config.limits.routes as usize))
}

/// A size that people can read.
fn size(bytes: usize) -> String {
    let tenths = bytes.saturating_mul(10) >> 20;
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

/// `config check`: the file and those that it names.
pub(super) fn files(program: &Program, common: &Common) -> Result<(), NodeError> {
    let config = looked_at(program, common)?;
    if common.json {
        output::line("{\"ok\":true}");
    } else {
        output::line(&good(&config));
    }
    Ok(())
}

/// `check`: that, and the sum of the memory. `more` adds what only one of the programs knows.
pub(super) fn all(program: &Program, common: &Common) -> Result<(), NodeError> {
    let config = looked_at(program, common)?;
    let parts = parts(program, &config);
    let sum: usize = parts.iter().map(|b| b.bytes).sum();
    let sandbox = confine::tried(&config);
    if common.json {
        let memory: Vec<_> =
            parts.iter().map(|b| json!({ "what": b.what, "of": b.of, "bytes": b.bytes })).collect();
        output::line(
            &json!({ "ok": true, "memory": memory, "memory_bytes": sum, "sandbox": sandbox }).to_string(),
        );
        return Ok(());
    }
    output::line(&good(&config));
    output::line("");
    output::line("It takes at most this much memory, all limits filled at once:");
    let rows: Vec<Vec<String>> =
        parts.iter().map(|b| vec![b.what.to_string(), size(b.bytes), b.of.clone()]).collect();
    output::table(&["WHAT", "AT MOST", "DECIDED BY"], &rows, "");
    let most = parts.iter().filter(|b| b.of.contains("limits.")).max_by_key(|b| b.bytes);
    let hint = most
        .map_or_else(String::new, |b| format!("; most of it: {}, lower {} for less", b.what, keys(&b.of)));
    output::line(&format!("sum: {}{hint}", size(sum)));
    output::line("");
    output::line("The sandbox, entered by this command as the node would enter it:");
    for layer in sandbox {
        let why = if layer.why.is_empty() { String::new() } else { format!(" ({})", layer.why) };
        output::line(&format!("  {}: {}{why}", layer.layer, layer.state));
    }
    Ok(())
}

/// The names of the keys in a text such as `limits.peers 4, limits.window 5`.
fn keys(of: &str) -> String {
    let keys: Vec<&str> = of.split([' ', ',']).filter(|word| word.starts_with("limits.")).collect();
    keys.join(" or ")
}

fn looked_at(program: &Program, common: &Common) -> Result<Config, NodeError> {
    let config = common.load(program)?;
    Prepared::check(&config)?;
    Ok(config)
}

fn good(config: &Config) -> String {
    format!(
        "{}: good. {}.{} with {} peer(s), {} service(s), {} local port(s)",
        config.file.as_deref().unwrap_or(Path::new("catalyst.json")).display(),
        config.node,
        config.org,
        config.peers.len(),
        config.services.len(),
        config.expose.len() + usize::from(config.http.is_some())
    )
}
