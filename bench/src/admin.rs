//! A client of the admin API that keeps its connection: for asking often.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use catalyst_node::admin::{Answer, Envelope, Reply, Request, Status, VERSION};

/// An open connection.
pub struct Admin {
    stream: BufReader<UnixStream>,
}

impl Admin {
    /// Connects to a node's socket.
    pub fn connect(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket).with_context(|| socket.display().to_string())?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(Admin { stream: BufReader::new(stream) })
    }

    fn ask(&mut self, request: Request) -> Result<Answer> {
        let mut line = serde_json::to_vec(&Envelope { v: VERSION, request })?;
        line.push(b'\n');
        self.stream.get_mut().write_all(&line)?;
        let mut text = String::new();
        self.stream.read_line(&mut text)?;
        match serde_json::from_str::<Reply>(&text)? {
            Reply { ok: Some(answer), .. } => Ok(answer),
            Reply { error, .. } => bail!("the node refused: {}", error.unwrap_or_default()),
        }
    }

    /// How the node is.
    pub fn status(&mut self) -> Result<Status> {
        match self.ask(Request::Status)? {
            Answer::Status(status) => Ok(*status),
            other => bail!("asked for the status, got {other:?}"),
        }
    }
}
