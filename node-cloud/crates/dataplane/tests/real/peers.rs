//! Services and clients of a test, by hand: what reaches them is what the tests are about.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::lab::PATIENCE;

/// A socket with a service behind it, and how many connections it took.
pub struct Served {
    pub at: SocketAddr,
    pub taken: Arc<AtomicUsize>,
}

impl Served {
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }
}

/// Gives each connection a thread.
pub fn served(ip: IpAddr, each: impl Fn(TcpStream) + Send + Sync + 'static) -> Served {
    let listener = TcpListener::bind((ip, 0)).unwrap();
    let at = listener.local_addr().unwrap();
    let taken = Arc::new(AtomicUsize::new(0));
    let (count, each) = (taken.clone(), Arc::new(each));
    thread::spawn(move || {
        for stream in listener.incoming() {
            count.fetch_add(1, Ordering::SeqCst);
            let each = each.clone();
            thread::spawn(move || each(stream.unwrap()));
        }
    });
    Served { at, taken }
}

/// Answers each request with its name, the request line, and all headers.
pub fn http(ip: IpAddr, name: &'static str) -> Served {
    served(ip, move |stream| {
        let mut lines = BufReader::new(stream.try_clone().unwrap());
        let mut out = stream;
        loop {
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                if lines.read_line(&mut head).unwrap_or(0) == 0 {
                    return;
                }
            }
            let body = format!("{name} {head}");
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            if out.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    })
}

/// Speaks first, then says everything back.
pub fn greeter(ip: IpAddr, name: &'static str) -> Served {
    served(ip, move |mut stream| {
        let _ = stream.write_all(format!("220 {name}\n").as_bytes());
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = stream.read(&mut buffer) {
            if stream.write_all(&buffer[..n]).is_err() {
                return;
            }
        }
    })
}

/// The status and all of the answer to a request; 0 when there was none.
pub fn get(at: SocketAddr, host: &str, path: &str, more: &str) -> (u16, String) {
    let Ok(mut stream) = TcpStream::connect(at) else { return (0, "no connection".into()) };
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    (status, answer)
}

/// A connection that has got this greeting.
pub fn greeted(at: SocketAddr, greeting: &str) -> Option<TcpStream> {
    let (stream, got) = said_first(at, greeting.len())?;
    assert_eq!(got, greeting);
    Some(stream)
}

/// The same once it is this greeting: Envoy acknowledges a change in its main thread before its worker, on a busy machine,
/// goes by it for new connections.
pub fn greeted_at_last(at: SocketAddr, greeting: &str) -> TcpStream {
    let end = Instant::now() + PATIENCE;
    loop {
        let said = said_first(at, greeting.len());
        match said {
            Some((stream, got)) if got == greeting => return stream,
            other => {
                let last = other.map(|(_, got)| got);
                assert!(Instant::now() < end, "not within {PATIENCE:?}: {greeting:?}; last {last:?}");
            }
        }
        thread::sleep(Duration::from_millis(2));
    }
}

fn said_first(at: SocketAddr, length: usize) -> Option<(TcpStream, String)> {
    let mut stream = TcpStream::connect(at).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut got = vec![0; length];
    stream.read_exact(&mut got).ok()?;
    Some((stream, String::from_utf8_lossy(&got).into_owned()))
}

/// Whether what is sent comes back.
pub fn echoes(stream: &mut TcpStream) -> bool {
    let mut got = [0; 4];
    stream.write_all(b"ping").is_ok() && stream.read_exact(&mut got).is_ok() && &got == b"ping"
}
