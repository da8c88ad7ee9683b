//! Checks over the network: a connection, or a GET whose answer is 2xx or 3xx.

use std::io;
use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt};

use catalyst_services::Limits;

use super::Target;
use crate::adopt::timeout;
use crate::denied::Denied;
use crate::shell::Shell;

/// The head of a status line: `HTTP/1.1 200` (RFC 9112, section 4).
const STATUS: usize = 12;

/// Makes one check.
pub(super) async fn probe<Sh: Shell>(shell: &Sh, target: &Target, denied: &Denied) -> Result<(), String> {
    let time = Duration::from_millis(target.timeout_ms.into());
    let Some(result) = timeout(shell, time, attempt(shell, target, denied)).await else {
        return Err(format!("no answer from {} within {} ms", target.address, target.timeout_ms));
    };
    let (mut socket, verdict) = result?;
    // A connection that is closed with bytes unread is reset, which servers complain of.
    let rest = async {
        let mut some = [0; 1_024];
        let mut left = if target.path.is_some() { Limits::ANSWER } else { 0 };
        while left > 0
            && let Ok(read @ 1..) = socket.read(&mut some).await
        {
            left = left.saturating_sub(read);
        }
    };
    timeout(shell, time, rest).await;
    verdict
}

/// The connection, and what the answer says of the service.
async fn attempt<Sh: Shell>(
    shell: &Sh,
    target: &Target,
    denied: &Denied,
) -> Result<(Sh::Tcp, Result<(), String>), String> {
    let address = &target.address;
    let failed = |error: io::Error| format!("{address}: {error}");
    let connected = shell.connect(address.clone()).await.inspect_err(|error| denied.look(address, error));
    let mut socket = connected.map_err(failed)?;
    let Some(path) = &target.path else { return Ok((socket, Ok(()))) };
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: catalyst-check\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await.map_err(failed)?;
    let mut head = [0; STATUS];
    socket.read_exact(&mut head).await.map_err(|_| format!("{address} closed before it answered"))?;
    let verdict = match status(&head) {
        Some(200..=399) => Ok(()),
        Some(code) => Err(format!("GET {path} answers {code}")),
        None => Err(format!("{address} does not answer in HTTP/1")),
    };
    Ok((socket, verdict))
}

pub(crate) fn status(head: &[u8; STATUS]) -> Option<u16> {
    let text = std::str::from_utf8(head).ok()?.strip_prefix("HTTP/1.")?;
    text.get(2..)?.parse().ok().filter(|_| text.as_bytes().get(1) == Some(&b' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_lines() {
        for (head, code) in [
            (b"HTTP/1.1 200", Some(200)),
            (b"HTTP/1.0 304", Some(304)),
            (b"HTTP/1.1 503", Some(503)),
            (b"HTTP/1.1 2x0", None),
            (b"HTTP/1.1200 ", None),
            (b"HTTP/2.0 200", None),
            (b"SSH-2.0-Open", None),
        ] {
            assert_eq!(status(head), code, "{}", String::from_utf8_lossy(head));
        }
    }
}
