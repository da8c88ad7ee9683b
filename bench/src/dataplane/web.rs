//! An HTTP service and a client that keeps its connection: what asks again and again until a change is served.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Nothing that is waited for takes longer, even on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Starts an HTTP/1.1 service that answers every request with `words`; it ends with this process.
pub fn service(words: &'static str) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let at = listener.local_addr()?;
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{words}", words.len());
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let answer = answer.clone();
            // A thread that cannot be made costs this client its connection, and the measurement fails on that.
            let _ =
                thread::Builder::new().stack_size(128 * 1024).spawn(move || serve(client, answer.as_bytes()));
        }
    });
    Ok(at)
}

fn serve(client: TcpStream, answer: &[u8]) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let mut lines = BufReader::new(client.try_clone()?);
    let mut out = client;
    let mut line = Vec::new();
    loop {
        line.clear();
        match lines.read_until(b'\n', &mut line)? {
            0 => return Ok(()),
            // The empty line ends the request: nobody here sends a body.
            2 => out.write_all(answer)?,
            _ => {}
        }
    }
}

/// A client of one HTTP port.
pub struct Client {
    at: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
}

impl Client {
    /// Connects with the first request.
    pub fn new(at: SocketAddr) -> Self {
        Client { at, stream: None }
    }

    /// Status and body. A connection that fails is made anew by the next request.
    pub fn ask(&mut self, host: &str) -> Result<(u16, String)> {
        let answer = self.exchange(host);
        if answer.is_err() {
            self.stream = None;
        }
        answer
    }

    fn exchange(&mut self, host: &str) -> Result<(u16, String)> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let stream = TcpStream::connect(self.at)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                none.insert(BufReader::new(stream))
            }
        };
        stream.get_mut().write_all(format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n").as_bytes())?;
        let (mut line, mut status, mut length) = (String::new(), 0, 0);
        loop {
            line.clear();
            if stream.read_line(&mut line)? == 0 {
                bail!("the connection ended within an answer");
            }
            let text = line.trim_end();
            if text.is_empty() {
                break;
            }
            if status == 0 {
                status = text.split(' ').nth(1).and_then(|code| code.parse().ok()).context("no status")?;
            } else if let Some(value) = text.strip_prefix("content-length: ") {
                length = value.parse()?;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    /// Asks until the answer is 200 with these words. Returns the time since `start`.
    pub fn until(&mut self, host: &str, words: &str, start: Instant) -> Result<Duration> {
        loop {
            let answer = self.ask(host);
            let now = start.elapsed();
            match answer {
                Ok((200, text)) if text == words => return Ok(now),
                other if now > PATIENCE => bail!("{host} answers {other:?} instead of {words:?}"),
                Err(_) => thread::sleep(Duration::from_millis(1)),
                Ok(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_asks_again_on_one_connection() {
        let at = service("words").unwrap();
        let mut client = Client::new(at);
        for _ in 0..3 {
            assert_eq!(client.ask("a.example").unwrap(), (200, "words".to_owned()));
        }
        assert!(client.until("a.example", "words", Instant::now()).unwrap() < PATIENCE);
    }
}
