//! The way to the node that issues certificates, where something else answers at its port.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use catalyst_identity::joining_config;
use catalyst_testkit::relay::Relay;
use catalyst_transport::{EnrolError, EnrolStream, Event, JOIN_ALPN, TcpRuntime, TransportConfig, enrol};
use common::sockets::Sockets;
use common::*;
use futures_lite::future;
use quinn::Runtime;

/// A service that is no node takes the TCP port of a node that UDP reaches by a relay; gives back what came of an
/// exchange. UDP is silent until the other service has answered, and for ever if it is not to come back.
async fn ask(rt: &Arc<dyn Runtime>, comes_back: bool) -> Result<EnrolStream, EnrolError> {
    let org = Org::new("acme.example");
    let verifier = Org::verifier(&[&org]).with_strangers();
    let config = TransportConfig { verifier, ..config(&org, "cloud-1", &[&org], true) };
    let node = Node::start(rt, config);
    let (udp, tcp) = loop {
        let udp = Relay::to(node.transport.local_addr()).unwrap();
        if let Ok(tcp) = TcpListener::bind(udp.address()) {
            break (udp, tcp);
        }
    };
    udp.cut(true);
    let (answered, when) = async_channel::bounded(4);
    let address = udp.address().to_string();
    std::thread::spawn(move || {
        for stream in tcp.incoming() {
            let Ok(mut stream) = stream else { break };
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
            let _ = answered.try_send(());
        }
    });
    let connect = |to| Sockets.connect(to);
    let tls = joining_config(JOIN_ALPN, false).unwrap();
    let resolver = resolver();
    let asked = enrol(Arc::clone(rt), &connect, &resolver, &address, tls);
    let healed = async {
        when.recv().await.unwrap();
        if comes_back {
            udp.cut(false);
        }
        node.until("Enrol", |e| matches!(e, Event::Enrol { .. }).then_some(())).await;
        future::pending().await
    };
    future::or(asked, healed).await
}

on_both!(another_service_on_the_tcp_port_ends_no_exchange, |rt: Arc<dyn Runtime>| async move {
    let stream = within(&rt, Duration::from_secs(20), ask(&rt, true)).await.expect("in time").unwrap();
    assert_eq!(stream.peer().unwrap().as_str(), "cloud-1.acme.example");
});

on_both!(another_service_is_named_where_nothing_else_answers, |rt: Arc<dyn Runtime>| async move {
    let from = Instant::now();
    let error = within(&rt, Duration::from_secs(40), ask(&rt, false)).await.expect("in time").unwrap_err();
    let words = error.to_string();
    assert!(words.contains("over TCP: "), "{words}");
    assert!(from.elapsed() > Duration::from_secs(10), "QUIC had its time: {words}");
});
