//! gRPC through two Envoys: what a call is made of arrives as it was sent.

use std::net::{IpAddr, TcpListener};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use catalyst_names::Protocol;
use h2::client::SendRequest;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, Response};

use crate::lab::{PATIENCE, Pair, pair};
use crate::peers::Served;

const HOST: &str = "web.acme.example";

type Told = mpsc::Sender<Reason>;

/// A service; it says when a call was given up.
fn calls(ip: IpAddr, told: Told) -> Served {
    let listener = TcpListener::bind((ip, 0)).unwrap();
    let at = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let told = told.clone();
                tokio::spawn(async move {
                    let mut connection = h2::server::handshake(stream).await.unwrap();
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        tokio::spawn(call(request, respond, told.clone()));
                    }
                });
            }
        });
    });
    Served { at, taken: Default::default() }
}

fn status(code: &str, message: &str) -> HeaderMap {
    let mut all = HeaderMap::new();
    all.insert("grpc-status", code.parse().unwrap());
    all.insert("grpc-message", message.parse().unwrap());
    all
}

async fn call(request: Request<RecvStream>, mut respond: SendResponse<Bytes>, told: Told) {
    let (head, mut body) = request.into_parts();
    let mut answer = Response::builder().header("content-type", "application/grpc");
    for name in ["grpc-timeout", "x-large", "te", "x-catalyst-caller"] {
        if let Some(value) = head.headers.get(name) {
            answer = answer.header(format!("seen-{name}"), value);
        }
    }
    let answer = answer.body(()).unwrap();
    if head.uri.path() == "/t.T/None" {
        let mut answer = answer;
        answer.headers_mut().extend(status("5", "no such thing"));
        respond.send_response(answer, true).unwrap();
        return;
    }
    let mut out = respond.send_response(answer, false).unwrap();
    if head.uri.path() == "/t.T/Hang" {
        let reset = std::future::poll_fn(|cx| out.poll_reset(cx)).await;
        let _ = told.send(reset.unwrap());
        return;
    }
    while let Some(Ok(data)) = body.data().await {
        body.flow_control().release_capacity(data.len()).unwrap();
        if out.send_data(data, false).is_err() {
            return;
        }
    }
    let (code, message) = if head.uri.path() == "/t.T/Chat" { ("8", "full%20up") } else { ("0", "fine") };
    let mut last = status(code, message);
    last.insert("x-large-trailer", "t".repeat(8_000).parse().unwrap());
    let _ = out.send_trailers(last);
}

async fn client(pair: &Pair) -> SendRequest<Bytes> {
    let stream = tokio::net::TcpStream::connect(pair.a.at(8080)).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    client.ready().await.unwrap()
}

async fn begin(
    pair: &Pair,
    path: &str,
    more: &[(&str, &str)],
) -> (h2::client::ResponseFuture, SendStream<Bytes>) {
    let mut request = Request::post(format!("http://{HOST}/t.T/{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    for (name, value) in more {
        request = request.header(*name, *value);
    }
    client(pair).await.send_request(request.body(()).unwrap(), false).unwrap()
}

/// A message as gRPC frames it.
fn message(text: &str) -> Bytes {
    let mut all = vec![0];
    all.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
    all.extend(text.as_bytes());
    all.into()
}

/// Status and message.
fn ended(all: &HeaderMap) -> String {
    ["grpc-status", "grpc-message"].map(|name| all[name].to_str().unwrap()).join(" ")
}

async fn rest(body: &mut RecvStream) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(data) = body.data().await {
        let data = data.unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        all.extend(data);
    }
    all
}

fn made() -> (Pair, mpsc::Receiver<Reason>) {
    let (told, tells) = mpsc::channel();
    (pair(Protocol::HttpGrpc, |ip| calls(ip, told)), tells)
}

#[test]
fn a_call_has_its_message_its_status_and_its_metadata() {
    let (pair, _tells) = made();
    pair.lab.wait(async {
        let large = "m".repeat(20_000);
        let more = [("grpc-timeout", "2500m"), ("x-large", large.as_str())];
        let (answer, mut out) = begin(&pair, "Once", &more).await;
        out.send_data(message("hello"), true).unwrap();
        let (head, mut body) = answer.await.unwrap().into_parts();
        assert_eq!(head.status, 200, "{head:?}");
        assert_eq!(head.headers["seen-grpc-timeout"], "2500m");
        assert_eq!(head.headers["seen-x-large"], large.as_str());
        assert_eq!(head.headers["seen-te"], "trailers");
        assert_eq!(head.headers["seen-x-catalyst-caller"], "spiffe://acme.example/node/a");
        assert_eq!(rest(&mut body).await, message("hello"));
        let trailers = body.trailers().await.unwrap().unwrap();
        assert_eq!(ended(&trailers), "0 fine");
        assert_eq!(trailers["x-large-trailer"].len(), 8_000);
        // An answer that is nothing but a status.
        let (answer, mut out) = begin(&pair, "None", &[]).await;
        out.send_data(message("x"), true).unwrap();
        let head = answer.await.unwrap().into_parts().0;
        assert_eq!(ended(&head.headers), "5 no such thing");
    });
}

#[test]
fn both_sides_talk_at_the_same_time() {
    let (pair, _tells) = made();
    pair.lab.wait(async {
        let (answer, mut out) = begin(&pair, "Chat", &[]).await;
        let mut body = answer.await.unwrap().into_body();
        for n in 0..50 {
            let said = message(&format!("line {n}"));
            out.send_data(said.clone(), false).unwrap();
            let mut back = Vec::new();
            while back.len() < said.len() {
                let data = body.data().await.unwrap().unwrap();
                body.flow_control().release_capacity(data.len()).unwrap();
                back.extend(data);
            }
            assert_eq!(back, said, "it is back before the next is said");
        }
        out.send_data(Bytes::new(), true).unwrap();
        assert_eq!(rest(&mut body).await, b"");
        let trailers = body.trailers().await.unwrap().unwrap();
        assert_eq!(ended(&trailers), "8 full%20up");
    });
}

#[test]
fn a_call_that_is_given_up_ends_at_the_service() {
    let (pair, tells) = made();
    let began = pair.lab.wait(async {
        let (answer, mut out) = begin(&pair, "Hang", &[]).await;
        assert_eq!(answer.await.unwrap().status(), 200);
        out.send_reset(Reason::CANCEL);
        Instant::now()
    });
    // Envoy gives a reason of its own; what counts is that the call ends.
    let reason = tells.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(reason, Reason::CANCEL | Reason::INTERNAL_ERROR), "{reason:?}");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[test]
fn a_service_that_is_not_there_is_unavailable_in_the_words_of_grpc() {
    let (mut pair, _tells) = made();
    let at = pair.b.at(1);
    pair.b.planner.set_target(&crate::lab::service(HOST), Some(vec![at]));
    pair.b.tell();
    pair.lab.settled(&pair.b);
    pair.lab.wait(async {
        let (answer, mut out) = begin(&pair, "Once", &[]).await;
        out.send_data(message("x"), true).unwrap();
        let head = answer.await.unwrap().into_parts().0;
        assert_eq!(
            (head.status.as_u16(), &head.headers["grpc-status"]),
            (200, &"14".parse().unwrap()),
            "{head:?}"
        );
    });
}
