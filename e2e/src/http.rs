//! An HTTP/1.1 service and client, in this process: no more than the scenarios need.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::tcp;

/// A service that answers every GET with its own words, and every POST with the bytes it got. `/head` is answered with the
/// head of the request, in small letters; `/ticks` with a number every few milliseconds, for ever.
#[derive(Debug)]
pub struct Http {
    service: tcp::Service,
    words: String,
    requests: Arc<AtomicUsize>,
}

/// Between two numbers of `/ticks`.
const TICK: Duration = Duration::from_millis(20);

impl Http {
    /// Serves on a free port.
    #[must_use]
    pub fn start(words: &str) -> Http {
        let requests = Arc::new(AtomicUsize::new(0));
        let (count, own) = (requests.clone(), words.to_string());
        let service = tcp::Service::start(move |stream| {
            // A client that goes away ends its connection, nothing else.
            let _ = serve(stream, &own, &count);
        });
        Http { service, words: words.to_string(), requests }
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.service.address()
    }

    /// What it answers.
    #[must_use]
    pub fn words(&self) -> &str {
        &self.words
    }

    /// Requests answered so far.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// Connections taken so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.service.taken()
    }
}

/// The first line, all other lines and the length of the body.
fn head(reader: &mut impl BufRead) -> io::Result<Option<(String, String, usize)>> {
    let mut first = String::new();
    if reader.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    let (mut length, mut others) = (0, String::new());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            return Ok(Some((first.trim_end().to_string(), others, length)));
        }
        others.push_str(&line);
        others.push('\n');
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(|_| ErrorKind::InvalidData)?;
        }
    }
}

fn serve(stream: TcpStream, words: &str, requests: &AtomicUsize) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    writer.set_nodelay(true)?;
    while let Some((first, others, length)) = head(&mut reader)? {
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        requests.fetch_add(1, Ordering::SeqCst);
        let answer = match first.split(' ').nth(1) {
            Some("/head") => format!("{first}\n{others}").into_bytes(),
            Some("/ticks") => return ticks(&mut writer),
            _ if first.starts_with("POST") => body,
            _ => words.as_bytes().to_vec(),
        };
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", answer.len());
        writer.write_all(&[head.as_bytes(), &answer].concat())?;
    }
    Ok(())
}

fn ticks(writer: &mut TcpStream) -> io::Result<()> {
    writer.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
    for number in 0_u64.. {
        let line = format!("{number}\n");
        writer.write_all(format!("{:x}\r\n{line}\r\n", line.len()).as_bytes())?;
        std::thread::sleep(TICK);
    }
    Ok(())
}

/// An answer that does not end by itself.
#[derive(Debug)]
pub struct Ticks(BufReader<TcpStream>);

impl Ticks {
    /// Asks for it, and waits until it has begun.
    ///
    /// # Errors
    /// As the socket says; anything but 200.
    pub fn open(address: SocketAddr, host: &str) -> io::Result<Ticks> {
        let mut stream = tcp::try_connect(address)?;
        stream.write_all(format!("GET /ticks HTTP/1.1\r\nhost: {host}\r\n\r\n").as_bytes())?;
        let mut reader = BufReader::new(stream);
        let (first, ..) = head(&mut reader)?.ok_or(ErrorKind::UnexpectedEof)?;
        if !first.starts_with("HTTP/1.1 200 ") {
            return Err(io::Error::other(first));
        }
        let mut ticks = Ticks(reader);
        ticks.next_line()?;
        Ok(ticks)
    }

    fn next_line(&mut self) -> io::Result<()> {
        match self.0.read_line(&mut String::new())? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// Whether there is more of it: what has come already, and then some.
    pub fn goes_on(&mut self) -> bool {
        self.0.get_ref().set_read_timeout(Some(tcp::PATIENCE)).unwrap();
        (0..20).all(|_| self.next_line().is_ok())
    }

    /// Whether it ends within this time.
    pub fn is_cut(&mut self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            self.0.get_ref().set_read_timeout(Some(left)).unwrap();
            match self.next_line() {
                Ok(()) => {}
                Err(error) => return !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
            }
        }
        false
    }
}

/// The status of an answer to a GET with these header lines beside Host, and its body.
///
/// # Errors
/// As the socket says.
pub fn ask(address: SocketAddr, host: &str, path: &str, lines: &[&str]) -> io::Result<(u16, String)> {
    let mut reader = BufReader::new(tcp::try_connect(address)?);
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n{lines}\r\n");
    reader.get_mut().write_all(request.as_bytes())?;
    let (first, _, length) = head(&mut reader)?.ok_or(ErrorKind::UnexpectedEof)?;
    let mut answer = vec![0; length];
    reader.read_exact(&mut answer)?;
    let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.ok_or(ErrorKind::InvalidData)?, String::from_utf8_lossy(&answer).into_owned()))
}

/// A connection that is kept alive between requests.
#[derive(Debug)]
pub struct Client(BufReader<TcpStream>, String);

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// As the socket says.
    pub fn connect(address: SocketAddr) -> io::Result<Client> {
        Client::connect_for(address, "test")
    }

    /// Connects, and asks for this host.
    ///
    /// # Errors
    /// As the socket says.
    pub fn connect_for(address: SocketAddr, host: &str) -> io::Result<Client> {
        Ok(Client(BufReader::new(tcp::try_connect(address)?), host.to_owned()))
    }

    fn ask(&mut self, method: &str, body: &[u8]) -> io::Result<Vec<u8>> {
        let host = &self.1;
        let head = format!("{method} / HTTP/1.1\r\nhost: {host}\r\ncontent-length: {}\r\n\r\n", body.len());
        self.0.get_mut().write_all(&[head.as_bytes(), body].concat())?;
        let (first, _, length) = self::head(&mut self.0)?.ok_or(ErrorKind::UnexpectedEof)?;
        let mut answer = vec![0; length];
        self.0.read_exact(&mut answer)?;
        if first.starts_with("HTTP/1.1 200 ") {
            Ok(answer)
        } else {
            Err(io::Error::other(format!("{first}: {}", String::from_utf8_lossy(&answer))))
        }
    }

    /// What the service says.
    ///
    /// # Errors
    /// As the socket says; anything but 200.
    pub fn get(&mut self) -> io::Result<String> {
        String::from_utf8(self.ask("GET", b"")?).map_err(|_| ErrorKind::InvalidData.into())
    }

    /// What the service makes of these bytes.
    ///
    /// # Errors
    /// As the socket says; anything but 200.
    pub fn post(&mut self, body: &[u8]) -> io::Result<Vec<u8>> {
        self.ask("POST", body)
    }
}

/// What the service at an address says, on a connection of its own.
///
/// # Errors
/// As the socket says; anything but 200.
pub fn get(address: SocketAddr) -> io::Result<String> {
    Client::connect(address)?.get()
}

/// The same for an address where several services are told apart by Host.
///
/// # Errors
/// As [`get`].
pub fn get_at(address: SocketAddr, host: &str) -> io::Result<String> {
    Client::connect_for(address, host)?.get()
}
