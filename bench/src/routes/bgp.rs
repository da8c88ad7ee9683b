//! As much of BGP-4 (RFC 4271) as it takes to fill another router's table and to see what comes out at its other side:
//! IPv4, numbers of two octets, no timers.

use std::io::{BufReader, BufWriter, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use socket2::{Domain, Socket, Type};

use super::seen::{Seen, Watch};

const OPEN: u8 = 1;
const UPDATE: u8 = 2;
const KEEPALIVE: u8 = 4;
/// Marker, length, type.
const HEADER: usize = 19;
/// The first prefix; the others follow, each 256 addresses further on.
const FIRST: u32 = 0x0100_0000;
const LENGTH: u8 = 24;

/// One side of an established session.
pub struct Speaker {
    stream: TcpStream,
    reader: Option<JoinHandle<()>>,
    number: u16,
    address: Ipv4Addr,
    /// When the last single announcement left.
    sent: Option<Instant>,
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut whole = vec![0xff; 16];
    let len = u16::try_from(HEADER + body.len()).unwrap_or(u16::MAX);
    whole.extend(len.to_be_bytes());
    whole.push(kind);
    whole.extend(body);
    whole
}

/// Reads one message: its type, and its body into `body`.
fn read(stream: &mut impl Read, body: &mut Vec<u8>) -> std::io::Result<u8> {
    let mut head = [0; HEADER];
    stream.read_exact(&mut head)?;
    let len = usize::from(u16::from_be_bytes([head[16], head[17]]));
    body.resize(len.saturating_sub(HEADER), 0);
    stream.read_exact(body)?;
    Ok(head[18])
}

/// A socket with a source address of its own: the other side knows its neighbours by them.
fn dial(from: Ipv4Addr, to: SocketAddr) -> Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((from, 0)).into())?;
    socket.connect(&to.into())?;
    Ok(TcpStream::from(socket))
}

impl Speaker {
    /// Dials from an address, as an autonomous system of this number.
    pub fn connect(from: Ipv4Addr, number: u16, to: SocketAddr) -> Result<Speaker> {
        let mut stream = dial(from, to)?;
        stream.set_nodelay(true)?;
        let mut open = vec![4];
        open.extend(number.to_be_bytes());
        // No hold time, no optional parameters.
        open.extend([0, 0]);
        open.extend(from.octets());
        open.push(0);
        stream.write_all(&message(OPEN, &open))?;
        let mut body = Vec::new();
        let kind = read(&mut stream, &mut body).context("no OPEN")?;
        if kind != OPEN {
            bail!("a message of type {kind} instead of OPEN: {body:?}");
        }
        stream.write_all(&message(KEEPALIVE, &[]))?;
        let kind = read(&mut stream, &mut body).context("no KEEPALIVE")?;
        if kind != KEEPALIVE {
            bail!("a message of type {kind} instead of KEEPALIVE: {body:?}");
        }
        Ok(Speaker { stream, reader: None, number, address: from, sent: None })
    }

    /// Shows `watch` what comes from now on.
    pub fn listen(&mut self, mut watch: Watch) -> Result<()> {
        let mut reading = BufReader::with_capacity(1 << 16, self.stream.try_clone()?);
        self.reader = Some(std::thread::spawn(move || {
            let mut body = Vec::new();
            while let Ok(kind) = read(&mut reading, &mut body) {
                if kind == UPDATE {
                    update(&body, &mut watch);
                }
            }
        }));
        Ok(())
    }

    /// One UPDATE for one prefix: every route with attributes of its own.
    fn announcement(&self, index: usize, metric: u32) -> Vec<u8> {
        let mut attributes = vec![0x40, 1, 1, 0, 0x40, 2, 4, 2, 1];
        attributes.extend(self.number.to_be_bytes());
        attributes.extend([0x40, 3, 4]);
        attributes.extend(self.address.octets());
        attributes.extend([0x80, 4, 4]);
        attributes.extend(metric.to_be_bytes());
        let mut body = vec![0, 0];
        body.extend(u16::try_from(attributes.len()).unwrap_or(0).to_be_bytes());
        body.extend(attributes);
        body.push(LENGTH);
        let prefix = FIRST.wrapping_add(u32::try_from(index).unwrap_or(0) << (32 - LENGTH));
        body.extend(&prefix.to_be_bytes()[..3]);
        message(UPDATE, &body)
    }

    /// Announces the first `routes` prefixes; returns when the first byte left.
    pub fn announce_all(&mut self, routes: usize) -> Result<Instant> {
        let mut out = BufWriter::with_capacity(1 << 16, self.stream.try_clone()?);
        let start = Instant::now();
        for index in 0..routes {
            out.write_all(&self.announcement(index, u32::try_from(index)?))?;
        }
        out.flush()?;
        Ok(start)
    }

    /// Announces one prefix anew; [`Speaker::sent`] says when.
    pub fn announce(&mut self, index: usize, metric: u32) -> Result<()> {
        let message = self.announcement(index, metric);
        self.sent = Some(Instant::now());
        Ok(self.stream.write_all(&message)?)
    }

    /// When the last single announcement left.
    pub fn sent(&self) -> Result<Instant> {
        self.sent.context("nothing was announced")
    }

    /// Ends the session; returns when.
    pub fn leave(&mut self) -> Result<Instant> {
        let start = Instant::now();
        self.stream.shutdown(Shutdown::Both)?;
        Ok(start)
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        // It may be over already.
        let _ = self.stream.shutdown(Shutdown::Both);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// The prefixes of a region; others than ours count for nothing.
fn prefixes(mut region: &[u8], watch: &mut Watch, withdrawn: bool) {
    while let Some((len, rest)) = region.split_first() {
        let octets = usize::from(*len).div_ceil(8);
        let Some((prefix, rest)) = rest.split_at_checked(octets) else { return };
        region = rest;
        if let ([a, b, c], LENGTH) = (prefix, *len) {
            let number = u32::from_be_bytes([*a, *b, *c, 0]).wrapping_sub(FIRST) >> (32 - LENGTH);
            watch(Seen { index: number as usize, withdrawn });
        }
    }
}

fn update(body: &[u8], watch: &mut Watch) {
    let part = |bytes: &[u8]| -> Option<usize> {
        Some(usize::from(u16::from_be_bytes([*bytes.first()?, *bytes.get(1)?])))
    };
    let regions = || {
        let withdrawn = part(body)?;
        let rest = body.get(2 + withdrawn..)?;
        let attributes = part(rest)?;
        Some((body.get(2..2 + withdrawn)?, rest.get(2 + attributes..)?))
    };
    if let Some((withdrawn, announced)) = regions() {
        prefixes(withdrawn, watch, true);
        prefixes(announced, watch, false);
    }
}
