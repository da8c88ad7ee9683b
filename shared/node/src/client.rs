//! The admin API's client, for commands: blocking, with a deadline.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::admin::{Answer, Envelope, Reply, Request, VERSION};
use crate::error::NodeError;

/// How long a node may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks the node behind a socket. The error beside an answer: it is in force, but not on the disk yet.
///
/// # Errors
/// No node answers, or it refuses.
pub fn ask(path: &Path, request: Request) -> Result<(Answer, Option<NodeError>), NodeError> {
    let stream = UnixStream::connect(path).map_err(|source| NodeError::no_answer(path, source))?;
    let broken = |error: std::io::Error| {
        let why = match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                format!(
                    "no answer within {} s: it is stuck or stopped, or other clients hold all its admin connections; it \
                     drops what it has not begun when this command ends, so look what holds before you ask again",
                    PATIENCE.as_secs()
                )
            }
            _ => error.to_string(),
        };
        NodeError::Failed(format!("the node behind {} did not answer: {why}", path.display()))
    };
    stream.set_read_timeout(Some(PATIENCE)).map_err(broken)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(broken)?;
    let mut line = serde_json::to_vec(&Envelope { v: VERSION, request }).map_err(|e| broken(e.into()))?;
    line.push(b'\n');
    (&stream).write_all(&line).map_err(broken)?;
    let mut text = String::new();
    BufReader::new(&stream).read_line(&mut text).map_err(broken)?;
    // From bytes, as everything else is read: a second kind of source would be a second copy of the reading code.
    let reply: Reply = serde_json::from_slice(text.as_bytes()).map_err(|error| {
        NodeError::Failed(format!(
            "the node behind {} answered something that this version does not read: {error}",
            path.display()
        ))
    })?;
    match (reply.ok.or(reply.done), reply.error) {
        (Some(answer), error) => Ok((answer, error.map(NodeError::Unwritten))),
        (None, Some(error)) => Err(NodeError::Refused(error)),
        (None, None) => Err(NodeError::Failed("the node gave an empty answer".to_string())),
    }
}
