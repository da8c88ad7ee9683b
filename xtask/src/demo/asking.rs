//! What the checks have in common: a request that must be answered by the right process, and a row of `status`.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::fabric::Fabric;
use super::http;
use super::ports::Port;

/// How long a state may take that has no bar of its own.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// How long a request may take.
pub const REQUEST: Duration = Duration::from_secs(5);

/// One request to a local port of acme's cloud node; the process that must answer it has to say so itself.
pub fn request(fabric: &mut Fabric, port: Port, service: &str, mark: &str) -> Result<Duration> {
    let (body, took) = http::get(fabric.ports.address(port), mark, REQUEST)?;
    let pid = fabric.process(service).with_context(|| format!("{service} does not run"))?.pid();
    let server = body.get("server").and_then(Value::as_str).unwrap_or_default();
    ensure!(
        body.get("service").and_then(Value::as_str) == Some(service)
            && server.starts_with(&format!("pid {pid} ")),
        "the answer is not from {service}, pid {pid}: {body}"
    );
    Ok(took)
}

/// The state of a peer in a node's status.
pub fn peer_state<'a>(status: &'a Value, name: &str) -> Option<&'a str> {
    let row = status.get("peers")?.as_array()?.iter().find(|row| row["name"] == name)?;
    row.get("state")?.as_str()
}
