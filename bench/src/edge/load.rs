//! The service behind every contestant and the clients in front of it: bulk bytes, small requests, idle connections.
//!
//! A connection begins with a byte that says what it is for, so one service does for all.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// What follows is eight bytes with a length, then so many bytes; one byte answers when all have come.
const BULK: u8 = b'b';
/// What follows is sent back.
const ECHO: u8 = b'e';

/// One request and its answer.
const REQUEST: usize = 128;
/// Threads of the service and of clients do little.
const STACK: usize = 64 * 1024;
/// Nothing that is waited for takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts the service on a free port of loopback; it ends with this process.
pub fn service() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            // A thread that cannot be made costs this client its connection, and the measurement fails on that.
            let _ = thread::Builder::new().stack_size(STACK * 2).spawn(move || serve(client));
        }
    });
    Ok(address)
}

fn serve(mut client: TcpStream) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let mut kind = [0];
    client.read_exact(&mut kind)?;
    let mut buf = vec![0; if kind == [BULK] { 256 * 1024 } else { 4096 }];
    if kind == [BULK] {
        let mut length = [0; 8];
        client.read_exact(&mut length)?;
        let mut left = u64::from_be_bytes(length);
        while left > 0 {
            match client.read(&mut buf)? {
                0 => return Ok(()),
                read => left = left.saturating_sub(read as u64),
            }
        }
        return client.write_all(&[BULK]);
    }
    loop {
        let read = client.read(&mut buf)?;
        if read == 0 {
            return Ok(());
        }
        client.write_all(buf.get(..read).unwrap_or_default())?;
    }
}

fn connect(to: SocketAddr, kind: u8) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(to).with_context(|| format!("cannot connect to {to}"))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(&[kind])?;
    Ok(stream)
}

/// Sends `bytes` over `connections` at the same time, and waits until the service has them all.
pub fn bulk(to: SocketAddr, connections: u64, bytes: u64) -> Result<()> {
    let each = bytes / connections;
    let one = move || -> Result<()> {
        let mut stream = connect(to, BULK)?;
        stream.write_all(&each.to_be_bytes())?;
        let chunk = vec![0x5a; 256 * 1024];
        let mut left = each;
        while left > 0 {
            let now = chunk.len().min(usize::try_from(left)?);
            stream.write_all(chunk.get(..now).unwrap_or_default())?;
            left -= now as u64;
        }
        let mut answer = [0];
        stream.read_exact(&mut answer).context("the bytes did not all arrive")?;
        Ok(())
    };
    at_once((0..connections).map(|_| one))
}

/// Small requests, one after the other on each of `connections`. Returns how many a second.
pub fn requests(to: SocketAddr, connections: u64, each: u64) -> Result<f64> {
    let start = Instant::now();
    let one = move || -> Result<()> {
        let mut stream = connect(to, ECHO)?;
        let mut answer = [0; REQUEST];
        for _ in 0..each {
            stream.write_all(&[0x5a; REQUEST])?;
            stream.read_exact(&mut answer).context("no answer")?;
        }
        Ok(())
    };
    at_once((0..connections).map(|_| one))?;
    Ok((connections * each) as f64 / start.elapsed().as_secs_f64())
}

/// Opens connections that carry one byte there and back and then nothing; they close when dropped.
pub fn idle(to: SocketAddr, connections: usize) -> Result<Vec<TcpStream>> {
    let mut open = Vec::with_capacity(connections);
    for n in 0..connections {
        let mut stream = connect(to, ECHO)?;
        stream.write_all(b"x")?;
        let mut answer = [0];
        stream.read_exact(&mut answer).with_context(|| format!("idle connection {n} got no answer"))?;
        open.push(stream);
    }
    Ok(open)
}

/// One byte there and back, if that works now.
pub fn first_byte(to: SocketAddr) -> bool {
    let attempt = || -> std::io::Result<()> {
        let mut stream = TcpStream::connect_timeout(&to, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(&[ECHO, b'x'])?;
        let mut answer = [0];
        stream.read_exact(&mut answer)
    };
    attempt().is_ok()
}

/// Waits until something listens at `to` and carries a byte there and back.
pub fn until_forwards(to: SocketAddr) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    while !first_byte(to) {
        if Instant::now() > end {
            bail!("nothing came through {to} within {PATIENCE:?}");
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// A port of loopback that is free now, for programs that cannot tell which one they took.
pub fn free_port() -> Result<SocketAddr> {
    loop {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        match TcpListener::bind(address) {
            Ok(_) => return Ok(address),
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn at_once<F: FnOnce() -> Result<()> + Send + 'static>(jobs: impl Iterator<Item = F>) -> Result<()> {
    let running: Vec<_> = jobs.map(|job| thread::spawn(job)).collect();
    for job in running {
        match job.join() {
            Ok(result) => result?,
            Err(_) => bail!("a client ended in a panic"),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_serves_every_load() {
        let to = service().unwrap();
        bulk(to, 2, 1_000_000).unwrap();
        assert!(requests(to, 2, 10).unwrap() > 0.0);
        assert_eq!(idle(to, 3).unwrap().len(), 3);
        assert!(first_byte(to));
    }

    #[test]
    fn a_port_without_a_service_is_an_error() {
        let to = free_port().unwrap();
        assert!(bulk(to, 1, 10).is_err() && idle(to, 1).is_err() && !first_byte(to));
    }
}
