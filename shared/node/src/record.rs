//! Recording: every event of the core as a line of JSON, for replay on a desk.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use catalyst_control::record::{Header, Record, Recording};
use catalyst_control::{Event, Now, Settings};
use catalyst_route_table::Limits as TableLimits;

use crate::error::NodeError;
use crate::limits::Limits;

/// A line that is no event: what the state was. A node of the cloud writes one now and then, one before it stops and one
/// at its end; a board spares itself the bytes.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Checkpoint {
    /// SHA-256 in hexadecimal digits, see `Core::digest`.
    pub(crate) digest: String,
}

/// An open recording.
pub struct Recorder {
    out: BufWriter<File>,
    written: usize,
    broken: bool,
    /// Events since the state was noted.
    #[cfg(feature = "mesh")]
    since: usize,
}

impl Recorder {
    /// Begins a recording of a node with such a route table; an existing file is not overwritten. Before the sandbox is entered, which has no place for it.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn create(path: &Path, settings: &Settings, table: TableLimits) -> Result<Self, NodeError> {
        // It holds no secret, but it does hold what partners offer.
        let file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(|e| NodeError::Failed(format!("cannot record to {}: {e}", path.display())))?;
        let mut recorder = Recorder {
            out: BufWriter::with_capacity(Limits::RECORD_BUFFER, file),
            written: 0,
            broken: false,
            #[cfg(feature = "mesh")]
            since: 0,
        };
        let header = Recording::new(settings).header;
        recorder.line(&Header { table: Some(table.into()), ..header });
        Ok(recorder)
    }

    /// Writes one event. A disk that fails ends the recording, not the node.
    pub(crate) fn event(&mut self, event: &Event, now: Now) {
        self.line(&Record { now, event: event.clone() });
        #[cfg(feature = "mesh")]
        {
            self.since += 1;
        }
    }

    /// Whether it is time to note the state, of so many routes. The digest takes longer the more there are, so events
    /// pay for it: a recording costs a node about as much again for each event, whatever the size of its table.
    #[cfg(feature = "mesh")]
    pub(crate) fn is_due(&self, routes: usize) -> bool {
        !self.broken && self.since >= Limits::CHECKPOINT.saturating_add(routes)
    }

    fn line(&mut self, value: &impl serde::Serialize) {
        if self.broken {
            return;
        }
        let written = serde_json::to_vec(value).map_err(std::io::Error::from).and_then(|mut line| {
            line.push(b'\n');
            self.written += line.len();
            if self.written > Limits::RECORDING {
                return Err(std::io::Error::other("it is as long as one that can be replayed"));
            }
            self.out.write_all(&line)
        });
        if let Err(error) = written {
            tracing::warn!(%error, "the recording ends here");
            self.broken = true;
        }
    }

    /// Notes the digest of the state that the events up to here have led to: a replay must come to the same.
    #[cfg(feature = "mesh")]
    pub(crate) fn checkpoint(&mut self, digest: &[u8; 32]) {
        let digest = digest.iter().map(|b| format!("{b:02x}")).collect();
        self.line(&Checkpoint { digest });
        self.since = 0;
    }

    /// Brings what is buffered to the file.
    pub(crate) fn flush(&mut self) {
        if self.out.flush().is_err() {
            self.broken = true;
        }
    }
}
