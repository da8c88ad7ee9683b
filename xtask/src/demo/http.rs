//! As much of HTTP/1.1 (RFC 9112) as the demo needs: a server whose answers say who gave them, and a client.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::print;

/// Bytes of a request's head. When full: the connection is closed.
const HEAD: u64 = 16 * 1024;
/// Bytes of a request's body that are read and forgotten. When full: the connection is closed.
const BODY: u64 = 1024 * 1024;
/// Connections at a time. When full: the next one is closed.
const CONNECTIONS: usize = 64;
/// Silence on a connection. When over: closed.
const IDLE: Duration = Duration::from_secs(30);
/// Carries the mark by which the demo knows its request in the answer.
const MARK: &str = "x-demo-request";

/// Serves for ever. Every request is a line on stdout.
///
/// # Errors
/// When the port is in use.
pub fn serve(service: &str, address: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?;
    print::line(&format!("{service} listens on {address}"));
    let open = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming().flatten() {
        if open.fetch_add(1, Ordering::Relaxed) >= CONNECTIONS {
            open.fetch_sub(1, Ordering::Relaxed);
            continue;
        }
        let (service, open) = (service.to_owned(), open.clone());
        std::thread::spawn(move || {
            // What goes wrong with one client is that client's affair.
            let _ = connection(&service, address, &stream);
            open.fetch_sub(1, Ordering::Relaxed);
        });
    }
    Ok(())
}

fn connection(service: &str, address: SocketAddr, stream: &TcpStream) -> Result<()> {
    stream.set_read_timeout(Some(IDLE))?;
    stream.set_write_timeout(Some(IDLE))?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    loop {
        let (first, headers) = head(&mut reader)?;
        let mut words = first.split_whitespace();
        let (Some(method), Some(path), Some(version)) = (words.next(), words.next(), words.next()) else {
            return Ok(());
        };
        let header = |name: &str| find(&headers, name);
        let length: u64 = header("content-length").map_or(Ok(0), str::parse)?;
        if length > BODY || header("transfer-encoding").is_some() {
            bail!("a body that the demo does not read");
        }
        std::io::copy(&mut (&mut reader).take(length), &mut std::io::sink())?;
        print::line(&format!("{method} {path} {}", header(MARK).unwrap_or("-")));
        let close =
            version == "HTTP/1.0" || header("connection").is_some_and(|v| v.eq_ignore_ascii_case("close"));
        let body = answer(service, address, &format!("{method} {path}"), header(MARK));
        let response = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nserver: {service}\r\n\
             connection: {}\r\n\r\n{}",
            body.len(),
            if close { "close" } else { "keep-alive" },
            if method == "HEAD" { "" } else { &body },
        );
        (&*stream).write_all(response.as_bytes())?;
        if close {
            return Ok(());
        }
    }
}

/// Written field by field: who answered comes first, as a person reads it.
fn answer(service: &str, address: SocketAddr, asked: &str, mark: Option<&str>) -> String {
    let data = match service {
        "inventory" => json!([{ "part": "bolt", "stock": 1200 }, { "part": "nut", "stock": 860 }]),
        "orders" => json!([{ "order": 17, "state": "shipped" }, { "order": 18, "state": "packed" }]),
        _ => json!([]),
    };
    let server = format!("pid {} on {address}", std::process::id());
    let mut fields =
        vec![("service", json!(service)), ("server", json!(server)), ("you_asked", json!(asked))];
    fields.extend(mark.map(|mark| ("request", json!(mark))));
    fields.push(("data", data));
    let fields: Vec<String> = fields.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
    format!("{{{}}}\n", fields.join(","))
}

/// The first line and the header lines of a message; an empty first line at the end of the stream.
fn head(reader: &mut impl BufRead) -> Result<(String, Vec<String>)> {
    let mut limited = reader.take(HEAD);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if limited.read_line(&mut line)? == 0 {
            if limited.limit() == 0 {
                bail!("a head of more than {HEAD} bytes");
            }
            break;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        lines.push(line.to_owned());
    }
    let first = if lines.is_empty() { String::new() } else { lines.remove(0) };
    Ok((first, lines))
}

fn find<'a>(headers: &'a [String], name: &str) -> Option<&'a str> {
    headers.iter().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// Asks, as `curl http://ADDRESS/` does, and gives the answer's body and the time it took from the first packet to
/// the last byte.
///
/// # Errors
/// When nobody listens, the connection ends early, the status is not 200, or the answer is not to this request.
pub fn get(address: SocketAddr, mark: &str, limit: Duration) -> Result<(Value, Duration)> {
    get_at(address, &address.to_string(), mark, limit)
}

/// The same where several services are told apart by Host.
///
/// # Errors
/// As [`get`].
pub fn get_at(address: SocketAddr, host: &str, mark: &str, limit: Duration) -> Result<(Value, Duration)> {
    let start = Instant::now();
    let stream = TcpStream::connect_timeout(&address, limit).context("no connection")?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_nodelay(true)?;
    let request = format!("GET / HTTP/1.1\r\nhost: {host}\r\n{MARK}: {mark}\r\nconnection: close\r\n\r\n");
    (&stream).write_all(request.as_bytes()).context("the connection ended before the request was out")?;
    let mut reader = BufReader::new(&stream);
    let (first, headers) = head(&mut reader).context("the connection ended before an answer")?;
    if first.is_empty() {
        bail!("the connection ended before an answer");
    }
    if first.split_whitespace().nth(1) != Some("200") {
        bail!("the answer is `{first}`");
    }
    let length: u64 =
        find(&headers, "content-length").context("an answer without content-length")?.parse()?;
    let mut body = Vec::new();
    reader.take(length).read_to_end(&mut body).context("the answer broke off")?;
    let took = start.elapsed();
    let body: Value = serde_json::from_slice(&body).context("the answer is not whole")?;
    if body.get("request").and_then(Value::as_str) != Some(mark) {
        bail!("the answer is to another request: {body}");
    }
    Ok((body, took))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    /// The server of one connection, on a port of the system's choice.
    fn one(service: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            connection(service, address, &stream).ok();
        });
        address
    }

    #[test]
    fn the_answer_says_who_gave_it_and_to_which_request() {
        let (body, _) = get(one("orders"), "mark-7", LIMIT).unwrap();
        assert_eq!(body["service"], "orders");
        assert_eq!(body["request"], "mark-7");
        assert_eq!(body["you_asked"], "GET /");
    }

    #[test]
    fn a_connection_serves_several_requests() {
        let stream = TcpStream::connect(one("inventory")).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let mut reader = BufReader::new(&stream);
        for path in ["/a", "/b"] {
            (&stream)
                .write_all(format!("POST {path} HTTP/1.1\r\ncontent-length: 2\r\n\r\nhi").as_bytes())
                .unwrap();
            let (first, headers) = head(&mut reader).unwrap();
            assert_eq!(first, "HTTP/1.1 200 OK");
            let mut body = vec![0; find(&headers, "Content-Length").unwrap().parse().unwrap()];
            reader.read_exact(&mut body).unwrap();
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["you_asked"], format!("POST {path}"));
        }
    }

    #[test]
    fn a_connection_that_is_closed_without_an_answer_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let closing = std::thread::spawn(move || drop(listener.accept()));
        assert!(get(address, "mark", LIMIT).is_err());
        closing.join().unwrap();
        assert!(get(address, "mark", LIMIT).unwrap_err().to_string().contains("no connection"));
    }

    #[test]
    fn a_head_without_end_is_refused() {
        let long = vec![b'a'; HEAD as usize + 1];
        assert!(head(&mut long.as_slice()).is_err());
    }
}
