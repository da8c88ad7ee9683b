//! Figures for Prometheus: `GET /metrics`, text exposition format 0.0.4, on a port of its own.

use std::sync::Arc;
use std::time::Duration;

use async_channel::{Sender, bounded};
use futures_lite::{AsyncReadExt, AsyncWriteExt, future};

use crate::admin::{Answer, Request, Status};
use crate::adopt::{spawn, timeout};
use crate::caller::Caller;
use crate::limits::Limits;
use crate::serve::{Ask, Asked};
use crate::shell::Shell;

mod page;
mod process;

/// Serves for as long as the listener lives.
pub(crate) async fn serve<Sh: Shell>(shell: Arc<Sh>, listener: Sh::TcpListener, engine: Sender<Asked>) {
    let (take, give) = bounded(Limits::METRICS_CONNECTIONS);
    while take.send(()).await.is_ok() {
        let Ok(client) = Sh::accept(&listener).await else {
            let _ = give.try_recv();
            timeout(&*shell, Duration::from_millis(100), future::pending::<()>()).await;
            continue;
        };
        let (engine, give, own) = (engine.clone(), give.clone(), shell.clone());
        spawn(&*shell, async move {
            // A client that is slow or gone is its own affair.
            timeout(&*own, Limits::METRICS_PATIENCE, answer(client, &engine)).await;
            let _ = give.try_recv();
        });
    }
}

async fn answer<T: futures_lite::AsyncRead + futures_lite::AsyncWrite + Unpin>(
    mut client: T,
    engine: &Sender<Asked>,
) {
    let mut head = Vec::new();
    let mut some = [0; 512];
    while !head.windows(4).any(|w| w == b"\r\n\r\n") {
        match client.read(&mut some).await {
            Ok(read) if read > 0 && head.len() < Limits::METRICS_REQUEST => {
                head.extend_from_slice(some.get(..read).unwrap_or_default());
            }
            _ => return,
        }
    }
    let (status, kind, body) = match head.strip_prefix(b"GET /metrics") {
        Some([b' ' | b'?', ..]) => match ask(engine).await {
            Some(status) => ("200 OK", "text/plain; version=0.0.4; charset=utf-8", page::text(&status)),
            None => ("503 Service Unavailable", "text/plain", "the node is stopping\n".to_string()),
        },
        _ => ("404 Not Found", "text/plain", "there is /metrics here, for GET\n".to_string()),
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    let _ = client.write_all(head.as_bytes()).await;
    let _ = client.write_all(body.as_bytes()).await;
    let _ = client.close().await;
}

async fn ask(engine: &Sender<Asked>) -> Option<Box<Status>> {
    let (reply, result) = bounded(1);
    engine.send(Asked { ask: Ask::Admin(Request::Status), reply, caller: Caller::default() }).await.ok()?;
    match result.recv().await.ok()?.ok()? {
        Answer::Status(status) => Some(status),
        _ => None,
    }
}
