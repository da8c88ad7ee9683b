//! A UDP service whose answers say who gave them, and a client that asks until it is answered.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::print;

/// The longest question that is answered, and the longest answer.
const PACKET: usize = 512;
/// Between two questions: packets may be lost.
const RETRY: Duration = Duration::from_millis(250);

/// Serves for ever. Every question is a line on stdout.
///
/// # Errors
/// When the port is in use.
pub fn serve(service: &str, address: SocketAddr) -> Result<()> {
    let socket = UdpSocket::bind(address).with_context(|| format!("cannot listen on UDP {address}"))?;
    print::line(&format!("{service} listens on UDP {address}"));
    let mut buffer = [0; PACKET];
    loop {
        // An answer to somebody who is gone comes back as an error here.
        let Ok((len, from)) = socket.recv_from(&mut buffer) else { continue };
        let question = String::from_utf8_lossy(buffer.get(..len).unwrap_or_default());
        print::line(&question);
        let answer = format!("{question}: {service}, pid {}", std::process::id());
        // The caller may be gone.
        let _ = socket.send_to(answer.as_bytes(), from);
    }
}

/// Asks a UDP port, and gives the answer to this question and the time it took.
///
/// # Errors
/// When none comes within `limit`.
pub fn ask(address: SocketAddr, question: &str, limit: Duration) -> Result<(String, Duration)> {
    let start = Instant::now();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect(address)?;
    socket.set_read_timeout(Some(RETRY))?;
    let mut buffer = [0; PACKET];
    while start.elapsed() < limit {
        socket.send(question.as_bytes()).with_context(|| format!("cannot send to UDP {address}"))?;
        let Ok(len) = socket.recv(&mut buffer) else { continue };
        let answer = String::from_utf8_lossy(buffer.get(..len).unwrap_or_default()).into_owned();
        if answer.starts_with(question) {
            return Ok((answer, start.elapsed()));
        }
    }
    bail!("no answer from UDP {address} in {} s", limit.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_who_gave_it_and_a_silent_port_is_an_error() {
        let address = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let silent = ask(address, "q1", RETRY * 2);
        assert!(silent.is_err(), "{silent:?}");
        std::thread::spawn(move || serve("clock", address));
        let (answer, _) = ask(address, "q2", Duration::from_secs(10)).unwrap();
        assert_eq!(answer, format!("q2: clock, pid {}", std::process::id()));
    }
}
