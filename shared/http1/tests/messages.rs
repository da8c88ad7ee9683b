//! Heads and bodies, good and bad.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use catalyst_http1::{BadMessage, Body, Framing, Limits, Request, Response, head_length};
use proptest::prelude::*;

fn read(text: &str) -> Result<Request, BadMessage> {
    let length = head_length(text.as_bytes())?.expect("a whole head");
    Request::parse(&text.as_bytes()[..length])
}

fn get(more: &str) -> Result<Request, BadMessage> {
    read(&format!("GET / HTTP/1.1\r\nHost: web.acme.example\r\n{more}\r\n"))
}

#[test]
fn a_request_names_its_host_in_lower_case_without_a_port() {
    let host = |text: &str| read(text).map(|r| r.host);
    assert_eq!(host("GET / HTTP/1.1\r\nHost: Web.ACME.example:8080\r\n\r\n").unwrap(), "web.acme.example");
    assert_eq!(host("GET http://A.b:1/x HTTP/1.1\r\nhost: c.d\r\n\r\n").unwrap(), "a.b", "the target wins");
    assert_eq!(host("OPTIONS * HTTP/1.1\r\nHost: a.b.\r\n\r\n").unwrap(), "a.b");
    for bad in
        ["", "Host: a.b\r\nHost: a.b\r\n", "Host: \r\n", "Host: u@a.b\r\n", "Host: a b\r\n", "Host: a:b\r\n"]
    {
        assert_eq!(host(&format!("GET / HTTP/1.1\r\n{bad}\r\n")), Err(BadMessage::Host), "{bad:?}");
    }
    for good in ["a.b", "a.b:", "a.b:0", "a.b:0080", "a.b:65535", "a.b.:80", "\t A.B:80 "] {
        assert_eq!(
            host(&format!("GET / HTTP/1.1\r\nHost: {good}\r\n\r\n")).as_deref(),
            Ok("a.b"),
            "{good:?}"
        );
    }
    for bad in [
        "a.b:65536",
        "a.b:99999",
        "a.b:18446744073709551696",
        "a.b:x",
        "a.b:-1",
        "a.b:+1",
        "a.b: 80",
        "a.b:80:80",
        ":80",
        "[::1",
        "[::1]",
        "::1",
        "a b",
        "a.b..",
        ".a.b",
        "a..b",
        ".",
        "a.b/",
        "a.b,c.d",
        "%61.b",
        "a.b\u{e9}",
    ] {
        assert_eq!(host(&format!("GET / HTTP/1.1\r\nHost: {bad}\r\n\r\n")), Err(BadMessage::Host), "{bad:?}");
        let target = format!("GET http://{bad}/x HTTP/1.1\r\nHost: a.b\r\n\r\n");
        assert!(bad == "a.b/" || host(&target).is_err(), "{bad:?}");
    }
}

#[test]
fn shapes_that_smuggle_requests_are_refused() {
    let length =
        |more: &str| assert!(matches!(get(more), Err(BadMessage::Length(_))), "{more:?}: {:?}", get(more));
    length("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n");
    length("Transfer-Encoding: chunked\r\ncontent-length: 5\r\n");
    length("Content-Length: 5\r\nContent-Length: 5\r\n");
    for number in ["5, 5", "+5", "-1", "0x5", "5 5", "", "18446744073709551616", "5;"] {
        length(&format!("Content-Length: {number}\r\n"));
    }
    for coding in ["gzip", "chunked, chunked", "gzip, chunked", "xchunked", "identity", "chunked;q=1", ""] {
        assert_eq!(get(&format!("Transfer-Encoding: {coding}\r\n")), Err(BadMessage::Coding), "{coding:?}");
    }
    assert_eq!(get("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), Err(BadMessage::Coding));
    let old = "POST / HTTP/1.0\r\nHost: a.b\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(read(old), Err(BadMessage::Coding));
    assert_eq!(get("A: b\r\n folded\r\n"), Err(BadMessage::Folded));
    for bare in ["A: b\n", "A: b\rC: d\r\n", "A: b\r\r\n", "\n"] {
        assert_eq!(get(bare), Err(BadMessage::BareLineEnd), "{bare:?}");
    }
    for malformed in ["A : b\r\n", ": b\r\n", "A\r\n", "A: \u{1}\r\n", "A: \0\r\n", "Content-Length : 5\r\n"]
    {
        assert!(
            matches!(get(malformed), Err(BadMessage::Malformed(_))),
            "{malformed:?}: {:?}",
            get(malformed)
        );
    }
}

#[test]
fn what_is_not_http_1_is_refused_by_name() {
    assert_eq!(head_length(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Err(BadMessage::Http2));
    assert_eq!(read("CONNECT a.b:443 HTTP/1.1\r\nHost: a.b\r\n\r\n"), Err(BadMessage::Connect));
    assert_eq!(read("GET / HTTP/2.0\r\nHost: a.b\r\n\r\n").unwrap_err().status(), 505);
    assert_eq!(head_length(&[b'a'; Limits::HEAD]), Err(BadMessage::HeadTooLong));
    assert_eq!(get(&"A: b\r\n".repeat(Limits::FIELDS)), Err(BadMessage::TooManyFields));
    assert!(get(&"A: b\r\n".repeat(Limits::FIELDS - 1)).is_ok());
}

#[test]
fn connection_and_upgrade_are_read_as_lists() {
    let plain = get("").unwrap();
    assert!(plain.keep_alive && !plain.upgrade && !plain.is_head);
    assert!(!get("Connection: x, Close\r\n").unwrap().keep_alive);
    assert!(get("Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n").unwrap().upgrade);
    assert!(!get("Upgrade: websocket\r\n").unwrap().upgrade, "not named by Connection");
    assert!(!read("GET / HTTP/1.0\r\nHost: a.b\r\n\r\n").unwrap().keep_alive);
}

#[test]
fn some_answers_have_no_body_whatever_they_say() {
    let answer = |status: u16, more: &str, to_head| {
        Response::parse(format!("HTTP/1.1 {status} X\r\n{more}\r\n").as_bytes(), to_head)
    };
    let length = "Content-Length: 7\r\n";
    assert_eq!(answer(200, length, false).unwrap().framing, Framing::Length(7));
    assert_eq!(answer(200, length, true).unwrap().framing, Framing::None);
    for status in [100, 101, 103, 204, 304] {
        assert_eq!(answer(status, length, false).unwrap().framing, Framing::None, "{status}");
    }
    assert!(answer(100, "", false).unwrap().is_interim() && !answer(101, "", false).unwrap().is_interim());
    let open = answer(200, "", false).unwrap();
    assert_eq!((open.framing, open.keep_alive), (Framing::UntilClose, false));
    assert!(answer(200, "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", false).is_err());
    assert!(answer(700, "", false).is_err());
}

/// Bytes taken and whether the body is done, for one way to cut the input.
fn chunked(bytes: &[u8], step: usize) -> Result<(usize, bool), BadMessage> {
    let (mut body, mut at) = (Body::new(Framing::Chunked), 0);
    while at < bytes.len() && !body.is_done() {
        let end = (at + step).min(bytes.len());
        at += body.take(&bytes[at..end])?;
    }
    Ok((at, body.is_done()))
}

#[test]
fn chunks_end_exactly_where_they_end_however_they_come() {
    let good = b"5\r\nhello\r\n00A;x=\"y\"\r\n0123456789\r\n0\r\nT: v\r\nU: w\r\n\r\n";
    let next = [good.as_slice(), b"GET / HTTP/1.1\r\n"].concat();
    for step in 1..next.len() {
        assert_eq!(chunked(&next, step), Ok((good.len(), true)), "step {step}");
    }
    for bad in [
        "\r\n",
        "5\nhello",
        "5 \r\nhello",
        " 5\r\n",
        "0x5\r\n",
        "+5\r\n",
        "g\r\n",
        ";x\r\n",
        "5\r\nhello0\r\n",
        "5\r\nhelloX\r",
        "5\r\nhello\n",
        "5\rx",
        "5;a\nb\r\n",
        "00000000000000001\r\n",
        "0\r\n\n",
        "0\r\n folded\r\n",
        "0\r\nA: b\n\r\n",
        "0\r\nA\rB\r\n",
    ] {
        assert_eq!(chunked(bad.as_bytes(), 3), Err(BadMessage::Chunk), "{bad:?}");
    }
    let long = format!("5;{}\r\n", "x".repeat(Limits::CHUNK_LINE));
    assert_eq!(chunked(long.as_bytes(), 64), Err(BadMessage::Chunk));
    let trailers = format!("0\r\n{}\r\n", "A: b\r\n".repeat(Limits::TRAILERS / 6 + 1));
    assert_eq!(chunked(trailers.as_bytes(), 64), Err(BadMessage::Chunk));
}

#[test]
fn a_length_is_counted_and_only_some_bodies_may_end_with_the_connection() {
    let mut body = Body::new(Framing::Length(5));
    assert_eq!((body.take(b"abc").unwrap(), body.is_done(), body.may_close()), (3, false, false));
    assert_eq!((body.take(b"defg").unwrap(), body.is_done(), body.may_close()), (2, true, true));
    assert!(Body::new(Framing::Length(0)).is_done() && Body::new(Framing::None).is_done());
    let mut open = Body::new(Framing::UntilClose);
    assert_eq!((open.take(&[0; 99]).unwrap(), open.is_done(), open.may_close()), (99, false, true));
}

proptest! {
    #[test]
    fn a_chunked_body_of_any_content_is_taken_whole(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 0..8),
        step in 1usize..60,
    ) {
        let mut bytes = Vec::new();
        for chunk in &chunks {
            bytes.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
            bytes.extend(chunk);
            bytes.extend(b"\r\n");
        }
        bytes.extend(b"0\r\n\r\n");
        let whole = bytes.len();
        bytes.extend(b"5\r\nnext");
        prop_assert_eq!(chunked(&bytes, step), Ok((whole, true)));
    }

    /// One byte put in, taken out or changed: never a panic, and never two lengths that a server could choose from.
    #[test]
    fn a_mutated_request_has_one_reading_or_none(at in 0usize..110, byte in any::<u8>(), how in 0u8..3) {
        let mut text = b"POST /p HTTP/1.1\r\nHost: a.b\r\nContent-Length: 5\r\nX-Encoding: chunked\r\nConnection: close\r\n\r\nhello"
            .to_vec();
        let at = at.min(text.len() - 1);
        match how {
            0 => text[at] = byte,
            1 => text.insert(at, byte),
            _ => { text.remove(at); }
        }
        if let Ok(Some(length)) = head_length(&text) {
            let head = &text[..length];
            prop_assert!(head.ends_with(b"\r\n\r\n"));
            prop_assert!(!head[..length - 2].windows(4).any(|w| w == b"\r\n\r\n"));
            if let Ok(request) = Request::parse(head) {
                let lower = String::from_utf8_lossy(head).to_ascii_lowercase();
                let lengths = lower.matches("\r\ncontent-length:").count();
                let codings = lower.matches("\r\ntransfer-encoding:").count();
                prop_assert!(lengths + codings <= 1);
                prop_assert_eq!(matches!(request.framing, Framing::Length(_)), lengths == 1);
            }
        }
    }

    #[test]
    fn no_bytes_make_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = head_length(&bytes);
        let _ = Request::parse(&bytes);
        let _ = Response::parse(&bytes, false);
        let _ = chunked(&bytes, 7);
    }
}
