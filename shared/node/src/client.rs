//! The admin API's client, for commands: blocking, with a deadline.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::admin::{Answer, Envelope, Reply, Request, VERSION};
use crate::error::NodeError;
use crate::limits::Limits;

/// How long a node may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long it may take to answer this. What goes over its whole table is worked on in pieces, while others have their turns.
#[cfg(feature = "mesh")]
fn patience(request: &Request) -> Duration {
    match request {
        Request::PolicyPlan { .. }
        | Request::PolicyApply { .. }
        | Request::RuleAdd { .. }
        | Request::RuleRemove { .. }
        | Request::Routes { .. } => Duration::from_secs(120),
        _ => PATIENCE,
    }
}

/// A board's table is small.
#[cfg(not(feature = "mesh"))]
fn patience(_request: &Request) -> Duration {
    PATIENCE
}

/// Watches routes of the node behind a socket until `each` has had enough of the rows, or the time is over.
#[cfg(feature = "mesh")]
pub(crate) fn watch(
    path: &Path,
    request: Request,
    until: Option<std::time::Instant>,
    mut each: impl FnMut(catalyst_control::observe::WatchRow) -> bool,
) -> Result<(), NodeError> {
    let stream = UnixStream::connect(path).map_err(|source| NodeError::no_answer(path, source))?;
    let gone = |why: &str| NodeError::Gone { path: path.to_owned(), why: why.to_string() };
    let mut line = serde_json::to_vec(&Envelope { v: VERSION, request }).map_err(|e| gone(&e.to_string()))?;
    line.push(b'\n');
    (&stream).write_all(&line).map_err(|e| gone(&e.to_string()))?;
    let mut reader = BufReader::new(&stream);
    let mut text = Vec::new();
    // It begins at once; what changes after that may take for ever.
    let mut begun = false;
    loop {
        let left = until.map(|until| until.saturating_duration_since(std::time::Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Ok(());
        }
        let patience = if begun { left } else { Some(left.map_or(PATIENCE, |left| left.min(PATIENCE))) };
        stream.set_read_timeout(patience).map_err(|e| gone(&e.to_string()))?;
        // What has come of a line stays in `text` when the time is over.
        match reader.read_until(b'\n', &mut text) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if begun || left.is_some_and(|left| left <= PATIENCE) {
                    return Ok(());
                }
                return Err(gone(&format!("no answer within {} s", PATIENCE.as_secs())));
            }
            Err(error) => return Err(gone(&error.to_string())),
            Ok(_) if text.last() != Some(&b'\n') => return Err(gone("the connection was lost")),
            Ok(_) => begun = true,
        }
        let reply: Reply = serde_json::from_slice(&text)
            .map_err(|e| gone(&format!("it said something that this version does not read: {e}")))?;
        text.clear();
        match (reply.ok, reply.error) {
            (Some(Answer::Watch(rows)), _) => {
                for row in rows {
                    let end = (row.what == "end").then(|| gone(&row.why));
                    if !each(row) {
                        return Ok(());
                    }
                    end.map_or(Ok(()), Err)?;
                }
            }
            (_, error) => {
                return Err(NodeError::Refused(
                    error.unwrap_or_else(|| "it gave an empty answer".to_string()),
                ));
            }
        }
    }
}

/// Asks the node behind a socket. The error beside an answer: it is in force, but not on the disk yet.
///
/// # Errors
/// No node answers, or it refuses.
pub fn ask(path: &Path, request: Request) -> Result<(Answer, Option<NodeError>), NodeError> {
    let stream = UnixStream::connect(path).map_err(|source| NodeError::no_answer(path, source))?;
    let patience = patience(&request);
    let broken = |error: std::io::Error| {
        let why = match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                format!(
                    "no answer within {} s: it is stuck or stopped, or other clients hold all its admin connections; it \
                     drops what it has not begun when this command ends, so look what holds before you ask again",
                    patience.as_secs()
                )
            }
            _ => error.to_string(),
        };
        NodeError::Failed(format!("the node behind {} did not answer: {why}", path.display()))
    };
    stream.set_read_timeout(Some(patience)).map_err(broken)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(broken)?;
    let mut line = serde_json::to_vec(&Envelope { v: VERSION, request }).map_err(|e| broken(e.into()))?;
    line.push(b'\n');
    if line.len() > Limits::REQUEST {
        // The node would close the connection before it has read all.
        return Err(NodeError::Failed(format!(
            "this is too much for one request: {} bytes, and a node takes {} at most; nothing was asked",
            line.len(),
            Limits::REQUEST
        )));
    }
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
