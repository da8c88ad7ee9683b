//! HTTP as it is spoken in the field, through two Envoys: nothing is held back, cut short or made up.

use std::io::{Read, Write};
use std::net::IpAddr;

use catalyst_names::Protocol;

use crate::http1::Http1;
use crate::http2::Http2;
use crate::lab::pair;
use crate::peers::{Served, http, served};

const HOST: &str = "web.acme.example";

/// Answers by path, as services do that are not all alike.
fn motley(ip: IpAddr) -> Served {
    served(ip, |stream| {
        let mut peer = Http1::of(stream);
        while let Some(request) = peer.head() {
            let path = request.head.split(' ').nth(1).unwrap_or_default().to_owned();
            match path.as_str() {
                "/echo" => echo(&mut peer),
                "/size" => {
                    let size: usize = request.header("content-length").unwrap().parse().unwrap();
                    let mut body = vec![0; size];
                    peer.lines.read_exact(&mut body).unwrap();
                    let sum: u64 = body.iter().map(|b| u64::from(*b)).sum();
                    let text = format!("{size} {sum}");
                    peer.say(&format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len()));
                }
                "/refused" => {
                    peer.say("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n");
                }
                "/awaited" => {
                    assert_eq!(request.header("expect"), Some("100-continue"), "{}", request.head);
                    peer.say("HTTP/1.1 100 Continue\r\n\r\n");
                    let mut body = [0; 4];
                    peer.lines.read_exact(&mut body).unwrap();
                    peer.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
                    peer.out.write_all(&body).unwrap();
                }
                "/204" => peer.say("HTTP/1.1 204 No Content\r\nETag: \"a\"\r\n\r\n"),
                "/304" => peer.say("HTTP/1.1 304 Not Modified\r\nETag: \"b\"\r\n\r\n"),
                "/head" => peer.say("HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n"),
                "/socket" => {
                    let key = request.header("sec-websocket-key").unwrap_or("none").to_owned();
                    peer.say(&format!(
                        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Key: {key}\r\n\r\n"
                    ));
                    let mut buffer = [0; 4096];
                    while let Ok(n @ 1..) = peer.lines.read(&mut buffer) {
                        peer.out.write_all(&buffer[..n]).unwrap();
                    }
                    return;
                }
                other => panic!("nobody asks for {other}"),
            }
        }
    })
}

/// Each chunk goes back as soon as it is here; then the trailers.
fn echo(peer: &mut Http1) {
    peer.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n");
    loop {
        let chunk = peer.chunk();
        if chunk.is_empty() {
            break;
        }
        peer.say(&format!("{:x}\r\n{}\r\n", chunk.len(), String::from_utf8(chunk.clone()).unwrap()));
    }
    let trailers = peer.trailers();
    let sum = trailers.lines().find_map(|l| l.strip_prefix("x-sum: ").or(l.strip_prefix("x-sum:")));
    peer.say(&format!("0\r\nx-sum: {} seen\r\n\r\n", sum.unwrap_or("none")));
}

#[test]
fn requests_share_a_connection_one_after_another_and_all_at_once() {
    let pair = pair(Protocol::Http, |ip| http(ip, "web"));
    for (at, host) in [(pair.a.at(8080), HOST), (pair.a.at(9001), "127.0.0.1")] {
        let mut client = Http1::dial(at);
        for n in 0..5 {
            let answer = client.get(host, &format!("/{n}"), "").unwrap();
            assert_eq!(answer.status(), 200, "{answer:?}\n{}", pair.a.log_text());
            assert!(answer.text().starts_with(&format!("web GET /{n} HTTP/1.1\r\n")), "{answer:?}");
            assert!(answer.text().contains(&format!("host: {HOST}\r\n")), "{answer:?}");
        }
        let many: String = (0..20).map(|n| format!("GET /p{n} HTTP/1.1\r\nHost: {host}\r\n\r\n")).collect();
        client.say(&many);
        for n in 0..20 {
            let answer = client.message().unwrap();
            assert!(answer.text().starts_with(&format!("web GET /p{n} HTTP/1.1\r\n")), "{answer:?}");
        }
    }
}

#[test]
fn bodies_stream_both_ways_and_end_with_their_trailers() {
    let pair = pair(Protocol::Http, motley);
    for (at, host) in [(pair.a.at(8080), HOST), (pair.a.at(9001), "x")] {
        for _ in 0..2 {
            // A new one each time: Envoy closes a connection on which an answer began before its request had ended, and says
            // so in the answer.
            let mut client = Http1::dial(at);
            client.say(&format!(
                "POST /echo HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n\r\n"
            ));
            let answer = client.head().unwrap();
            assert_eq!(answer.status(), 200, "{answer:?}");
            for word in ["one", "two", "three"] {
                client.say(&format!("{:x}\r\n{word}\r\n", word.len()));
                // It is back before the end is sent.
                assert_eq!(client.chunk(), word.as_bytes());
            }
            client.say("0\r\nx-sum: 11\r\n\r\n");
            assert_eq!(client.chunk(), b"");
            let trailers = client.trailers();
            assert_eq!(trailers.to_lowercase(), "x-sum: 11 seen\r\n\r\n");
        }
    }
}

#[test]
fn a_large_upload_arrives_whole() {
    let pair = pair(Protocol::Http, motley);
    let mut client = Http1::dial(pair.a.at(8080));
    let body: Vec<u8> = (0..5_000_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    let sum: u64 = body.iter().map(|b| u64::from(*b)).sum();
    for _ in 0..2 {
        client.say(&format!("POST /size HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {}\r\n\r\n", body.len()));
        client.out.write_all(&body).unwrap();
        let answer = client.message().unwrap();
        assert_eq!((answer.status(), answer.text()), (200, format!("5000000 {sum}")));
    }
}

#[test]
fn the_service_itself_says_whether_an_upload_may_begin() {
    let pair = pair(Protocol::Http, motley);
    let mut client = Http1::dial(pair.a.at(8080));
    let ask = |path: &str| {
        format!("POST {path} HTTP/1.1\r\nHost: {HOST}\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
    };
    client.say(&ask("/awaited"));
    let first = client.head().unwrap();
    assert_eq!(first.status(), 100, "{first:?}");
    client.say("body");
    let answer = client.message().unwrap();
    assert_eq!((answer.status(), answer.text().as_str()), (200, "body"), "{answer:?}");
    client.say(&ask("/refused"));
    let refused = client.head().unwrap();
    assert_eq!(refused.status(), 417, "{refused:?}");
}

#[test]
fn answers_without_a_body_leave_the_connection_usable() {
    let pair = pair(Protocol::Http, motley);
    let mut client = Http1::dial(pair.a.at(8080));
    for _ in 0..2 {
        for (method, path, status, header) in [
            ("GET", "/204", 204, ("etag", "\"a\"")),
            ("GET", "/304", 304, ("etag", "\"b\"")),
            ("HEAD", "/head", 200, ("content-length", "77")),
        ] {
            client.say(&format!("{method} {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
            let answer = client.head().unwrap();
            assert_eq!(answer.status(), status, "{answer:?}");
            assert_eq!(answer.header(header.0), Some(header.1), "{answer:?}");
        }
    }
}

#[test]
fn a_websocket_passes_both_envoys() {
    let pair = pair(Protocol::Http, motley);
    for (at, host) in [(pair.a.at(8080), HOST), (pair.a.at(9001), "x")] {
        let mut client = Http1::dial(at);
        client.say(&format!(
            "GET /socket HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        ));
        let answer = client.head().unwrap();
        assert_eq!(answer.status(), 101, "{answer:?}\n{}", pair.b.log_text());
        assert_eq!(answer.header("x-key"), Some("dGhlIHNhbXBsZSBub25jZQ=="), "{answer:?}");
        for n in 0..50_u8 {
            let frame = [0x82, 0x03, n, n, n];
            client.out.write_all(&frame).unwrap();
            let mut back = [0; 5];
            client.lines.read_exact(&mut back).unwrap();
            assert_eq!(back, frame);
        }
    }
}

#[test]
fn clients_may_speak_http2_without_tls() {
    let pair = pair(Protocol::Http, |ip| http(ip, "web"));
    for at in [pair.a.at(8080), pair.a.at(9001)] {
        let mut client = Http2::dial(at);
        for n in 0..30 {
            let path = format!("/{n}");
            let answer = client.get(HOST, &path, &[]);
            assert_eq!(answer.status, 200, "{answer:?}");
            assert!(answer.text().starts_with(&format!("web GET {path} HTTP/1.1\r\n")), "{answer:?}");
        }
    }
}
