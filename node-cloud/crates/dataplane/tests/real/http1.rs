//! HTTP/1.1 by hand, on both sides: what is on the wire is what the tests are about.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::lab::PATIENCE;

/// A request or an answer as it was read.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// The first line and all headers, with the empty line.
    pub head: String,
    pub body: Vec<u8>,
    /// What follows a chunked body.
    pub trailers: String,
}

impl Message {
    /// The answer's status.
    pub fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let of = |line: &str| line.split(':').next().unwrap_or_default().eq_ignore_ascii_case(name);
        self.head.lines().skip(1).find(|line| of(line)).map(|line| line[name.len() + 1..].trim())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One side of a connection.
pub struct Http1 {
    pub lines: BufReader<Box<dyn Read + Send>>,
    pub out: Box<dyn Write + Send>,
}

impl Http1 {
    pub fn dial(at: SocketAddr) -> Self {
        Self::of(TcpStream::connect(at).unwrap())
    }

    pub fn of(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let lines = BufReader::new(Box::new(stream.try_clone().unwrap()) as Box<dyn Read + Send>);
        Http1 { lines, out: Box::new(stream) }
    }

    pub fn say(&mut self, text: &str) {
        self.out.write_all(text.as_bytes()).unwrap();
    }

    /// All of a head; `None` when the other side has closed.
    pub fn head(&mut self) -> Option<Message> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.lines.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        Some(Message { head, ..Message::default() })
    }

    /// The next chunk of a chunked body, empty at its end.
    pub fn chunk(&mut self) -> Vec<u8> {
        let mut size = String::new();
        self.lines.read_line(&mut size).unwrap();
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or_else(|_| panic!("no size: {size:?}"));
        let mut chunk = vec![0; size];
        self.lines.read_exact(&mut chunk).unwrap();
        if size > 0 {
            self.lines.read_line(&mut String::new()).unwrap();
        }
        chunk
    }

    /// After the last chunk.
    pub fn trailers(&mut self) -> String {
        let mut trailers = String::new();
        while !trailers.ends_with("\r\n\r\n") && trailers != "\r\n" {
            assert_ne!(self.lines.read_line(&mut trailers).unwrap(), 0, "closed in the trailers");
        }
        trailers
    }

    /// A message with its body.
    pub fn message(&mut self) -> Option<Message> {
        let mut message = self.head()?;
        if message.header("transfer-encoding").is_some() {
            loop {
                let chunk = self.chunk();
                if chunk.is_empty() {
                    break;
                }
                message.body.extend(chunk);
            }
            message.trailers = self.trailers();
        } else if let Some(length) = message.header("content-length") {
            message.body = vec![0; length.parse().unwrap()];
            self.lines.read_exact(&mut message.body).unwrap();
        }
        Some(message)
    }

    /// A GET on this connection.
    pub fn get(&mut self, host: &str, path: &str, more: &str) -> Option<Message> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n");
        self.out.write_all(request.as_bytes()).ok()?;
        self.message()
    }
}
