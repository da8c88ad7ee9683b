//! Replay of a recording, of either build. Only the cloud binary has the command: it is work for a desk, and the
//! table that grows and the reader of events would be a good part of a board's binary.

use std::path::Path;

use catalyst_config::files;
use catalyst_control::Core;
use catalyst_control::record::{Header, Record, SCHEMA};
use catalyst_route_table::{Heap, Limits as TableLimits};

use crate::admin::Answer;
use crate::error::NodeError;
use crate::limits::Limits;
use crate::output;
use crate::record::Checkpoint;

/// A recording as it is read: where it says what the state was, after so many events.
struct Read {
    header: Header,
    records: Vec<Record>,
    checkpoints: Vec<(usize, String)>,
}

/// Runs a recording through a fresh core; prints its routes and the digest of its state. Where the recording says what
/// the state was, it must be the same again.
///
/// # Errors
/// Says which line does not fit, or after how many events the state was another.
pub fn replay(file: &Path, json: bool) -> Result<(), NodeError> {
    let Read { header, records, checkpoints } = read(file)?;
    let fail = |text: String| NodeError::Failed(text);
    let mut core =
        Core::new(header.settings, Heap::new(TableLimits::CLOUD)).map_err(|e| fail(e.to_string()))?;
    let mut left = checkpoints.iter().peekable();
    for done in 0..=records.len() {
        while let Some((_, told)) = left.next_if(|(at, _)| *at == done) {
            let found = hex(&core.digest());
            if found != *told {
                return Err(fail(format!(
                    "{}: after {done} events the state was {told}, and the replay comes to {found}; replay it with the \
                     version that wrote it, and if that does not differ, report it with the file",
                    file.display()
                )));
            }
        }
        if let Some(record) = records.get(done) {
            core.handle(&record.event, record.now);
            while core.poll_effect().is_some() {}
            while core.poll_transmit().is_some() {}
        }
    }
    let (events, same, digest) = (records.len(), checkpoints.len(), hex(&core.digest()));
    if json {
        output::line(&format!("{{\"events\":{events},\"checkpoints\":{same},\"digest\":\"{digest}\"}}"));
        return Ok(());
    }
    output::text(&Answer::Routes(core.state().route_rows()), None);
    let said = if same == 0 { "; the recording does not say which it was" } else { ", as recorded" };
    output::line(&format!("{events} events, state digest {digest}{said}"));
    Ok(())
}

fn hex(digest: &[u8; 32]) -> String {
    digest.iter().map(|b| format!("{b:02x}")).collect()
}

fn read(path: &Path) -> Result<Read, NodeError> {
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
    let mut read = Read { header, records: Vec::new(), checkpoints: Vec::new() };
    for (n, line) in lines {
        if line.starts_with("{\"digest\"") {
            let checkpoint: Checkpoint = serde_json::from_str(line).map_err(|e| bad(n, &e))?;
            read.checkpoints.push((read.records.len(), checkpoint.digest));
        } else {
            read.records.push(serde_json::from_str(line).map_err(|e| bad(n, &e))?);
        }
    }
    Ok(read)
}
