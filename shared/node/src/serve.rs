//! The admin API's server: lines of JSON on a Unix socket.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use async_channel::{Receiver, Sender, bounded};
use futures_lite::io::BufReader;
use futures_lite::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, future};

#[cfg(feature = "mesh")]
use crate::admin::Request;
use crate::admin::{Envelope, Reply, VERSION};
use crate::adopt::{spawn, timeout};
pub(crate) use crate::ask::{Ask, Asked};
use crate::caller::Caller;
use crate::error::NodeError;
use crate::limits::Limits;
use crate::shell::Shell;

/// The socket in the file system. It goes with the node, however that ends: nobody may find one that no node answers.
pub(crate) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = fs::remove_file(&self.0);
    }
}

/// Makes the folder of the socket, for the owner alone, if it is not there.
pub(crate) fn folder(path: &Path) -> Result<(), NodeError> {
    let fail = |source| NodeError::Socket { path: path.to_owned(), source };
    if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty() && !p.exists()) {
        fs::create_dir_all(folder).map_err(fail)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(fail)?;
    }
    Ok(())
}

/// Makes the socket: in a folder of the owner's, mode 0600. What a dead node left behind is removed; a socket that
/// somebody answers is not touched.
pub(crate) fn listen<Sh: Shell>(
    shell: &Sh,
    path: &Path,
) -> Result<(Sh::UnixListener, SocketFile), NodeError> {
    let fail = |source| NodeError::Socket { path: path.to_owned(), source };
    folder(path)?;
    if path.exists() {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(fail(io::Error::from(io::ErrorKind::AddrInUse)));
        }
        fs::remove_file(path).map_err(fail)?;
    }
    let listener = shell.listen_unix(path).map_err(fail)?;
    let file = SocketFile(path.to_owned());
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(fail)?;
    Ok((listener, file))
}

/// Serves clients for as long as the listener lives.
pub(crate) async fn serve<Sh: Shell>(
    shell: Arc<Sh>,
    listener: Sh::UnixListener,
    engine: Sender<Asked>,
    answers: usize,
) {
    let turns = bounded(answers);
    // One token a client, given back at its end.
    let (take, give) = bounded(Limits::ADMIN_CONNECTIONS);
    // What is sent here ends one client that has asked and is silent: who waits longest hears it first.
    let (want, yield_place) = bounded(1);
    loop {
        let Ok(client) = Sh::accept_unix(&listener).await else {
            timeout(&*shell, Duration::from_millis(100), future::pending::<()>()).await;
            continue;
        };
        if take.try_send(()).is_err() {
            let _ = want.try_send(());
            if take.send(()).await.is_err() {
                return;
            }
            // Another place came free first.
            let _ = yield_place.try_recv();
        }
        let (task_shell, engine, give, turns) = (shell.clone(), engine.clone(), give.clone(), turns.clone());
        let newcomer = yield_place.clone();
        spawn(&*shell, async move {
            // What goes wrong with one client is that client's affair.
            let _ = client_loop(&*task_shell, client, &engine, &turns, &newcomer).await;
            let _ = give.try_recv();
        });
    }
}

async fn client_loop<Sh: Shell>(
    shell: &Sh,
    client: Sh::Unix,
    engine: &Sender<Asked>,
    turns: &Turns,
    newcomer: &Receiver<()>,
) -> io::Result<()> {
    let caller = Caller::at(&client)?;
    let (reader, mut writer) = futures_lite::io::split(client);
    let mut reader = BufReader::with_capacity(1024, reader);
    let mut asked = false;
    loop {
        // Whoever connects has a question; who has asked one may think about the next, while nobody waits for the place.
        if asked {
            let asks = async { reader.fill_buf().await.map(|some| !some.is_empty()) };
            let gives_up = async {
                let _ = newcomer.recv().await;
                Ok(false)
            };
            let more = timeout(shell, Limits::ADMIN_IDLE, future::or(asks, gives_up)).await;
            if !more.unwrap_or(Ok(false))? {
                return Ok(());
            }
        }
        let mut line = Vec::new();
        let read = (&mut reader).take(Limits::REQUEST as u64).read_until_line(&mut line);
        let Some(got) = timeout(shell, Limits::ADMIN_FIRST, read).await else { return Ok(()) };
        asked = true;
        if got? == 0 {
            return Ok(());
        }
        #[cfg(feature = "mesh")]
        if let Some(wanted) = watched(&line) {
            let refused = crate::watch::serve(&mut reader, &mut writer, engine, wanted, &caller).await?;
            if let Err(why) = refused {
                let mut text = serde_json::to_vec(&Reply::of(Err(why))).map_err(io::Error::from)?;
                text.push(b'\n');
                writer.write_all(&text).await?;
                writer.flush().await?;
            }
            return Ok(());
        }
        // From the question until the answer is read.
        let _turn = Turn::take(turns).await;
        let whole = line.last() == Some(&b'\n');
        let reply = if whole || line.len() < Limits::REQUEST {
            answer(&line, caller.clone(), engine).await
        } else {
            Reply::of(Err(format!("a request has at most {} bytes", Limits::REQUEST)))
        };
        let mut text = serde_json::to_vec(&reply).map_err(io::Error::from)?;
        text.push(b'\n');
        let sent = timeout(shell, Limits::ADMIN_READ, writer.write_all(&text)).await;
        sent.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into()))?;
        writer.flush().await?;
        if !whole {
            return Ok(());
        }
    }
}

/// Places for answers in memory.
type Turns = (Sender<()>, Receiver<()>);

/// A place, given back when dropped.
struct Turn<'a>(&'a Turns);

impl<'a> Turn<'a> {
    async fn take(turns: &'a Turns) -> Self {
        // Both ends live as long as the listener.
        let _ = turns.0.send(()).await;
        Turn(turns)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let _ = self.0.1.try_recv();
    }
}

/// `read_until` of a line feed on a bounded reader.
trait ReadLine {
    async fn read_until_line(self, line: &mut Vec<u8>) -> io::Result<usize>;
}

impl<R: futures_lite::AsyncBufRead + Unpin> ReadLine for futures_lite::io::Take<R> {
    async fn read_until_line(mut self, line: &mut Vec<u8>) -> io::Result<usize> {
        self.read_until(b'\n', line).await
    }
}

/// What a client wants to watch, if that is what it asks for.
#[cfg(feature = "mesh")]
pub(crate) fn watched(line: &[u8]) -> Option<(Option<String>, bool)> {
    match serde_json::from_slice(line).ok()? {
        Envelope { v: VERSION, request: Request::Watch { pattern, changes_only } } => {
            Some((pattern, changes_only))
        }
        _ => None,
    }
}

pub(crate) async fn answer(line: &[u8], caller: Caller, engine: &Sender<Asked>) -> Reply {
    let envelope: Envelope = match serde_json::from_slice(line) {
        Ok(envelope) => envelope,
        Err(error) if error.to_string().starts_with("unknown variant") => {
            return Reply::of(Err(format!(
                "this node does not know that request: an edge node has fewer than a cloud node, an older one too ({error})"
            )));
        }
        Err(error) => return Reply::of(Err(format!("not a request of the admin API: {error}"))),
    };
    if envelope.v != VERSION {
        return Reply::of(Err(format!(
            "version {} of the admin API is not spoken here; use {VERSION}",
            envelope.v
        )));
    }
    let (reply, result) = bounded(1);
    let asked = Asked { ask: Ask::Admin(envelope.request), reply, caller };
    let stopping = || "the node is stopping".to_string();
    if engine.send(asked).await.is_err() {
        return Reply::of(Err(stopping()));
    }
    Reply::of(result.recv().await.unwrap_or_else(|_| Err(stopping())))
}
