//! `route watch`: changes of routes as they happen, to clients that read them at their own pace.
//!
//! ```text
//!   engine ──rows──> queue of each watcher (bounded) ──> its task ──> its socket
//!          when full: counted, and the watcher hears `missed` and every route again
//! ```
//! The engine never waits for a watcher. One that stops reading costs its queue, one piece of a snapshot and what its
//! socket holds.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_channel::{Receiver, Sender, bounded};
use catalyst_control::observe::WatchRow;
use futures_lite::{AsyncBufRead, AsyncBufReadExt, AsyncWrite, AsyncWriteExt, future};

use crate::admin::VERSION;
use crate::adopt::timeout;
use crate::ask::{Ask, Asked};
use crate::caller::Caller;
use crate::limits::Limits;
use crate::shell::Shell;
use crate::watchers::{STOPS, Wanted, WatchAsk, json, moment};

async fn asked(engine: &Sender<Asked>, ask: WatchAsk, caller: &Caller) -> bool {
    let (reply, _) = bounded(1);
    engine.send(Asked { ask: Ask::Watch(ask), reply, caller: caller.clone() }).await.is_ok()
}

/// Waits for those that watch to hear the end, for a moment.
pub(crate) async fn ended<Sh: Shell>(shell: &Sh, watchers: Option<Receiver<()>>) {
    if let Some(ended) = watchers {
        let _ = timeout(shell, Limits::WATCH_END, ended.recv()).await;
    }
}

/// Serves a client that watches, until it goes or the node stops. A node that refuses it says why.
pub(crate) async fn serve<R: AsyncBufRead + Unpin, W: AsyncWrite + Unpin>(
    reader: &mut R,
    writer: &mut W,
    engine: &Sender<Asked>,
    (pattern, changes_only): (Option<String>, bool),
    caller: &Caller,
) -> io::Result<Result<(), String>> {
    let wanted = match Wanted::new(pattern) {
        Ok(wanted) => wanted,
        Err(why) => return Ok(Err(why)),
    };
    let (reply, begun) = bounded(1);
    let stops = || STOPS.to_string();
    if !asked(engine, WatchAsk::Begin(wanted.clone(), reply), caller).await {
        return Ok(Err(stops()));
    }
    let watch = match begun.recv().await {
        Ok(Ok(watch)) => watch,
        Ok(Err(why)) => return Ok(Err(why)),
        Err(_) => return Ok(Err(stops())),
    };
    let mut out = Out(writer);
    let work = async {
        if changes_only {
            out.row(&WatchRow::of_watch("synced", "", None)).await?;
        } else if !snapshot(&mut out, engine, &wanted, caller).await? {
            return out.row(&WatchRow::of_watch("end", STOPS, None)).await;
        }
        while let Ok(first) = watch.rows.recv().await {
            let mut rows = vec![first];
            while rows.len() < Limits::WATCH_BATCH
                && let Ok(next) = watch.rows.try_recv()
            {
                rows.push(next);
            }
            out.rows(&rows).await?;
            while watch.rows.is_empty() && watch.missed.load(Ordering::Relaxed) > 0 {
                // What changes from here on is told again, and what it finds in its place is in the snapshot.
                let missed = watch.missed.swap(0, Ordering::Relaxed);
                let why = "it reads too slowly; here is every route again";
                out.row(&WatchRow::of_watch("missed", why, Some(missed))).await?;
                if !snapshot(&mut out, engine, &wanted, caller).await? {
                    break;
                }
            }
        }
        out.row(&WatchRow::of_watch("end", STOPS, None)).await
    };
    // Whatever the client says, or its end, ends the watch.
    let gone = async {
        let _ = reader.fill_buf().await;
        Ok(())
    };
    future::or(work, gone).await.map(Ok)
}

/// Every route that is there; false when the node stops.
async fn snapshot<W: AsyncWrite + Unpin>(
    out: &mut Out<'_, W>,
    engine: &Sender<Asked>,
    wanted: &Wanted,
    caller: &Caller,
) -> io::Result<bool> {
    let (mut after, mut count) = (None, 0u64);
    loop {
        let (reply, piece) = bounded(1);
        if !asked(engine, WatchAsk::Piece(wanted.clone(), after, reply), caller).await {
            return Ok(false);
        }
        let Ok(piece) = piece.recv().await else { return Ok(false) };
        count += piece.rows.len() as u64;
        for rows in piece.rows.chunks(Limits::WATCH_BATCH) {
            out.rows(rows).await?;
        }
        after = piece.next;
        if after.is_none() {
            out.row(&WatchRow::of_watch("synced", "", Some(count))).await?;
            return Ok(true);
        }
    }
}

/// The client, as answers with rows are written to it.
struct Out<'a, W>(&'a mut W);

impl<W: AsyncWrite + Unpin> Out<'_, W> {
    async fn row(&mut self, row: &WatchRow) -> io::Result<()> {
        let at = if row.at == 0 { moment(0) } else { row.at };
        self.rows(&[json(&WatchRow { at, ..row.clone() })]).await
    }

    async fn rows(&mut self, rows: &[Arc<str>]) -> io::Result<()> {
        let rows: Vec<&str> = rows.iter().map(|row| &**row).filter(|row| !row.is_empty()).collect();
        if rows.is_empty() {
            return Ok(());
        }
        let text = format!("{{\"v\":{VERSION},\"ok\":{{\"watch\":[{}]}}}}\n", rows.join(","));
        self.0.write_all(text.as_bytes()).await?;
        self.0.flush().await
    }
}
