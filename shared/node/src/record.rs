//! Recording: every event of the core as a line of JSON, for replay on a desk.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use catalyst_control::record::{Record, Recording};
use catalyst_control::{Event, Now, Settings};

use crate::error::NodeError;
use crate::limits::Limits;

/// An open recording.
pub struct Recorder {
    out: BufWriter<File>,
    broken: bool,
}

impl Recorder {
    /// Begins a recording; an existing file is not overwritten. Before the sandbox is entered, which has no place for it.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn create(path: &Path, settings: &Settings) -> Result<Self, NodeError> {
        // It holds no secret, but it does hold what partners offer.
        let file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(|e| NodeError::Failed(format!("cannot record to {}: {e}", path.display())))?;
        let mut recorder =
            Recorder { out: BufWriter::with_capacity(Limits::RECORD_BUFFER, file), broken: false };
        recorder.line(&Recording::new(settings).header);
        Ok(recorder)
    }

    /// Writes one event. A disk that fails ends the recording, not the node.
    pub(crate) fn event(&mut self, event: &Event, now: Now) {
        self.line(&Record { now, event: event.clone() });
    }

    fn line(&mut self, value: &impl serde::Serialize) {
        if self.broken {
            return;
        }
        let written = serde_json::to_writer(&mut self.out, value)
            .map_err(std::io::Error::from)
            .and_then(|()| self.out.write_all(b"\n"));
        if let Err(error) = written {
            tracing::warn!(%error, "the recording ends here");
            self.broken = true;
        }
    }

    /// Brings what is buffered to the file.
    pub(crate) fn flush(&mut self) {
        if self.out.flush().is_err() {
            self.broken = true;
        }
    }
}
