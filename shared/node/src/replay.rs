//! Replay of a recording, of either build. Only the cloud binary has the command: it is work for a desk, and the
//! table that grows and the reader of events would be a good part of a board's binary.

use std::path::Path;

use catalyst_config::files;
use catalyst_control::record::{Header, Record, Recording, SCHEMA};
use catalyst_route_table::{Heap, Limits as TableLimits};

use crate::admin::Answer;
use crate::error::NodeError;
use crate::limits::Limits;
use crate::output;

/// Runs a recording through a fresh core; prints its routes and the digest of its state.
///
/// # Errors
/// Says which line does not fit.
pub fn replay(file: &Path, json: bool) -> Result<(), NodeError> {
    let recording = read(file)?;
    let core =
        recording.replay(Heap::new(TableLimits::CLOUD)).map_err(|e| NodeError::Failed(e.to_string()))?;
    let digest: String = core.digest().iter().map(|b| format!("{b:02x}")).collect();
    if json {
        output::line(&format!("{{\"events\":{},\"digest\":\"{digest}\"}}", recording.records.len()));
        return Ok(());
    }
    output::text(&Answer::Routes(core.state().route_rows()), None);
    output::line(&format!("{} events, state digest {digest}", recording.records.len()));
    Ok(())
}

fn read(path: &Path) -> Result<Recording, NodeError> {
    let text = files::read_text(path, Limits::RECORDING)
        .map_err(|e| NodeError::Failed(format!("cannot read {}: {e}", path.display())))?;
    let bad = |line: usize, why: &dyn std::fmt::Display| {
        NodeError::Input(format!("{}:{}: not a line of a recording: {why}", path.display(), line + 1))
    };
    let mut lines = text.lines().enumerate();
    let (_, first) = lines.next().ok_or_else(|| bad(0, &"the file is empty"))?;
    let header: Header = serde_json::from_str(first).map_err(|e| bad(0, &e))?;
    if header.schema != SCHEMA {
        return Err(bad(0, &format!("schema {} is not one that this version reads", header.schema)));
    }
    let records = lines
        .map(|(n, line)| serde_json::from_str(line).map_err(|e| bad(n, &e)))
        .collect::<Result<Vec<Record>, _>>()?;
    Ok(Recording { header, records })
}
