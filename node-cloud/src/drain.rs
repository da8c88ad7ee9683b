//! `catalyst node drain`: begins it, says how far it is, and ends with it. The node does all of it by itself; who
//! interrupts the command only looks away.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use catalyst_node::admin::{Answer, Request};
use catalyst_node::cli::{Common, NodeCommand, node_request};
use catalyst_node::drain::DrainRow;
use catalyst_node::{NodeError, ask, say};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use crate::{PROGRAM, runtime};

/// Between two questions how far it is. A node that is drained stays for a second, for the last of them.
const LOOK: Duration = Duration::from_millis(250);
/// For a drained node to end.
const END: Duration = Duration::from_secs(30);

const UNDO: &str = "'catalyst node undrain' takes it back";

pub fn run(common: &Common, command: &NodeCommand) -> Result<(), NodeError> {
    let request = node_request(command)?;
    let socket = common.socket(&PROGRAM)?;
    let begun = asked(&socket, request)?;
    runtime::small()?.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt()).map_err(runtime::failed)?;
        let mut last = begun.clone();
        tokio::select! {
            done = watch(common.json, &socket, begun, &mut last) => done,
            _ = interrupt.recv() => {
                Err(NodeError::Failed(format!("the drain goes on without this command ({}); {UNDO}", last.line())))
            }
        }
    })
}

fn asked(socket: &Path, request: Request) -> Result<DrainRow, NodeError> {
    match ask(socket, request)? {
        (Answer::Drain(row), _) => Ok(*row),
        _ => Err(NodeError::Failed("the node answered something else".to_owned())),
    }
}

/// One line for a program, or for a person what changed.
fn show(json: bool, row: &DrainRow) {
    if json {
        say!("{}", serde_json::to_string(row).unwrap_or_default());
    } else {
        say!("{}", row.line());
    }
}

async fn watch(json: bool, socket: &Path, begun: DrainRow, last: &mut DrainRow) -> Result<(), NodeError> {
    if !json {
        say!("draining: neighbours are told to use other ways, for {} s at most; {UNDO}", begun.left_s);
    }
    let mut row = begun;
    loop {
        // The error says it.
        if json || !row.is_late() {
            show(json, &row);
        }
        *last = row;
        if last.is_over() {
            break;
        }
        row = next(socket, last).await?;
    }
    if !last.stay {
        gone(socket).await?;
    }
    let end = match last.stay {
        true => format!("the node stays, as the last choice of its neighbours; {UNDO}"),
        false => "the node has stopped".to_owned(),
    };
    if last.is_late() {
        return Err(NodeError::Late(format!("{}; {end}", last.line())));
    }
    if !json {
        say!("{end}");
    }
    Ok(())
}

/// The next row that says something else.
async fn next(socket: &Path, last: &DrainRow) -> Result<DrainRow, NodeError> {
    loop {
        sleep(LOOK).await;
        let path: PathBuf = socket.to_owned();
        // On a thread of its own: a node may take long to answer, and an interrupt must not wait for that.
        let answer = tokio::task::spawn_blocking(move || asked(&path, Request::Drained)).await;
        let row = match answer.map_err(|error| NodeError::Failed(error.to_string()))? {
            Ok(row) => row,
            Err(NodeError::NotRunning { .. }) => {
                let line = last.line();
                let why = format!("the node has ended before it was drained ({line}): its log says why");
                return Err(NodeError::Failed(why));
            }
            Err(error) => return Err(error),
        };
        if row.state == "none" {
            return Err(NodeError::Failed("the drain was taken back".to_owned()));
        }
        if row.line() != last.line() {
            return Ok(row);
        }
    }
}

/// Until the node does not answer any more.
async fn gone(socket: &Path) -> Result<(), NodeError> {
    let until = Instant::now() + END;
    while std::os::unix::net::UnixStream::connect(socket).is_ok() {
        if Instant::now() > until {
            let why = format!("the node is drained, but has not stopped for {} s", END.as_secs());
            return Err(NodeError::Failed(why));
        }
        sleep(LOOK).await;
    }
    Ok(())
}
