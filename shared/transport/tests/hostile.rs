//! A peer with a good certificate and bad manners: raw QUIC against a node.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use catalyst_identity::{SERVER_NAME, client_config};
use catalyst_transport::{DownReason, Event};
use common::tcp::header;
use common::*;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{
    ClientConfig, Connection, ConnectionError, Endpoint, EndpointConfig, ReadError, Runtime, VarInt,
};

const PEER: &[u8] = b"catalyst-peer/1";
const DATA: &[u8] = b"catalyst-data/1";

/// A node, and somebody who may talk to it in any way.
struct Stage {
    cloud: Node,
    org: Org,
    endpoint: Endpoint,
}

fn stage(rt: &Arc<dyn Runtime>) -> Stage {
    let org = Org::new("acme.example");
    let mut server = config(&org, "cloud-1", &[&org], true);
    server.profile.answer = Duration::from_millis(500);
    let cloud = Node::start(rt, server);
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let endpoint = Endpoint::new(EndpointConfig::default(), None, socket, Arc::clone(rt)).unwrap();
    Stage { cloud, org, endpoint }
}

impl Stage {
    async fn connect(&self, alpn: &'static [u8]) -> Result<Connection, ConnectionError> {
        let verifier = Org::verifier(&[&self.org]);
        let tls = client_config(&self.org.credentials("rude"), &verifier, &[alpn], false).unwrap();
        let config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
        let address = self.cloud.transport.local_addr();
        self.endpoint.connect_with(config, address, SERVER_NAME).unwrap().await
    }

    /// A control session with this first frame.
    async fn session(&self) -> (Connection, quinn::SendStream, quinn::RecvStream) {
        let connection = self.connect(PEER).await.unwrap();
        let (mut send, recv) = connection.open_bi().await.unwrap();
        send.write_all(&frame(1, b"open")).await.unwrap();
        let _ = self.cloud.up().await;
        assert_eq!(self.cloud.frame().await, frame(1, b"open"));
        (connection, send, recv)
    }

    async fn refused(&self) -> String {
        self.cloud
            .until("Refused", |e| match e {
                Event::Refused { reason, .. } => Some(reason),
                Event::SessionUp { .. } => panic!("a session"),
                _ => None,
            })
            .await
    }
}

/// The application code with which the node closed.
fn code(error: &ConnectionError) -> u64 {
    match error {
        ConnectionError::ApplicationClosed(close) => close.error_code.into_inner(),
        other => panic!("not closed by the node: {other}"),
    }
}

on_both!(a_connection_without_a_control_stream_is_closed, |rt: Arc<dyn Runtime>| async move {
    let stage = stage(&rt);
    let connection = stage.connect(PEER).await.unwrap();
    assert!(stage.refused().await.contains("no control stream"));
    assert_eq!(code(&connection.closed().await), 6);
});

on_both!(an_unknown_protocol_is_refused, |rt: Arc<dyn Runtime>| async move {
    let stage = stage(&rt);
    assert!(stage.connect(b"h3").await.is_err());
    stage.refused().await;
});

on_both!(a_data_connection_without_a_session_is_closed, |rt: Arc<dyn Runtime>| async move {
    let stage = stage(&rt);
    let connection = stage.connect(DATA).await.unwrap();
    assert_eq!(code(&connection.closed().await), 5);
});

on_both!(a_reset_control_stream_ends_the_session, |rt: Arc<dyn Runtime>| async move {
    let stage = stage(&rt);
    let (connection, mut send, _recv) = stage.session().await;
    send.reset(VarInt::from_u32(77)).unwrap();
    let reason = stage.cloud.down().await;
    assert!(matches!(&reason, DownReason::Protocol(what) if what.contains("77")), "{reason:?}");
    assert_eq!(code(&connection.closed().await), 1);
});

on_both!(dial_data_from_the_dialling_side_is_a_protocol_error, |rt: Arc<dyn Runtime>| async move {
    let stage = stage(&rt);
    let (connection, mut send, _recv) = stage.session().await;
    send.write_all(&frame(10, b"")).await.unwrap();
    let reason = stage.cloud.down().await;
    assert!(matches!(&reason, DownReason::Protocol(what) if what.contains("DIAL_DATA")), "{reason:?}");
    assert_eq!(code(&connection.closed().await), 1);
});

on_both!(more_streams_than_one_are_not_granted, |rt: Arc<dyn Runtime>| async move {
    let stage = stage(&rt);
    let (connection, _send, _recv) = stage.session().await;
    assert!(within(&rt, Duration::from_millis(300), connection.open_bi()).await.is_none());
    assert!(within(&rt, Duration::from_millis(300), connection.open_uni()).await.is_none());
    assert_eq!(stage.cloud.transport.stats().sessions, 1);
});

on_both!(a_bad_stream_header_costs_one_stream, |rt: Arc<dyn Runtime>| async move {
    let stage = stage(&rt);
    let _session = stage.session().await;
    let data = stage.connect(DATA).await.unwrap();
    let mut good = [0; 512];
    let len = header().encode(&mut good).unwrap();
    // A wrong version, an endless length, wrong fields, the half of a header, nothing at all.
    for bad in [&[9, 0, 1, 1][..], &[1, 0xff, 0xff], &[1, 0, 3, 1, b'A', 0], &good[..len / 2], &[1]] {
        let (mut send, mut recv) = data.open_bi().await.unwrap();
        send.write_all(bad).await.unwrap();
        let answer = recv.read(&mut [0; 8]).await;
        assert_eq!(answer, Err(ReadError::Reset(VarInt::from_u32(9))), "{bad:?}");
    }
    let (mut send, mut recv) = data.open_bi().await.unwrap();
    send.write_all(&good[..len]).await.unwrap();
    let (_, seen, flow) = stage.cloud.flow().await;
    assert_eq!(seen, header());
    let flow = flow.accept().await.unwrap();
    let mut status = [9];
    recv.read_exact(&mut status).await.unwrap();
    assert_eq!(status, [0]);
    drop(flow);
});

on_both!(noise_ends_its_own_session_and_no_other, |rt: Arc<dyn Runtime>| async move {
    let stage = stage(&rt);
    let good = Node::start(&rt, config(&stage.org, "edge-1", &[&stage.org], false));
    good.dials(&stage.cloud);
    let (at_good, _) = open(&good, &stage.cloud).await;
    let mut noise = 0x9e37_79b9_u64;
    for _ in 0..10 {
        let (connection, mut send, _recv) = stage.session().await;
        for _ in 0..200 {
            let mut bytes = [0; 64];
            for b in &mut bytes {
                noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                *b = (noise >> 56) as u8;
            }
            if send.write_all(&bytes).await.is_err() {
                break;
            }
        }
        let _ = send.finish();
        let reason = stage.cloud.down().await;
        assert!(matches!(reason, DownReason::Protocol(_)), "{reason:?}");
        connection.closed().await;
    }
    good.transport.send(at_good, frame(6, b"fine")).unwrap();
    assert_eq!(stage.cloud.frame().await, frame(6, b"fine"));
    assert_eq!(good.transport.stats().sessions, 1);
});

// Ids of no flow, of another's, cut ones: nothing is reached, nothing is kept, everything is counted.
on_both!(datagrams_of_no_flow_are_counted_and_forgotten, |rt: Arc<dyn Runtime>| async move {
    let stage = stage(&rt);
    let (_control, _send, _recv) = stage.session().await;
    let data = stage.connect(DATA).await.unwrap();
    let (mut send, mut recv) = data.open_bi().await.unwrap();
    let mut head = [0; 512];
    let len = common::packets::header().encode(&mut head).unwrap();
    send.write_all(&head[..len]).await.unwrap();
    let (_, flow) = common::packets::incoming(&stage.cloud).await;
    let service = common::packets::join(&stage.cloud, flow.accept().await.unwrap(), false, PATIENCE);
    let mut status = [9];
    recv.read_exact(&mut status).await.unwrap();
    assert_eq!(status, [0]);
    // Flow 4 is not open; 0xc0 alone is a cut id; the longest id there is.
    let bad: [&[u8]; 4] = [&[4, 1, 2, 3], &[0xc0], &[], &[0xff; 20]];
    for datagram in bad {
        data.send_datagram(datagram.to_vec().into()).unwrap();
    }
    let flow = u8::try_from(VarInt::from(send.id()).into_inner()).unwrap();
    data.send_datagram(vec![flow, 7, 7].into()).unwrap();
    assert_eq!(within(&rt, PATIENCE, service.heard.recv()).await.unwrap().unwrap(), [7, 7]);
    common::packets::counted(&stage.cloud, |t| t.unknown == 4 && t.to_service == (1, 2)).await;
    // A length that no packet has ends the flow, and the flow alone.
    send.write_all(&[0xff, 0xff]).await.unwrap();
    assert_eq!(service.end().await, catalyst_transport::PumpEnd::Cut(catalyst_tunnel::Refusal::BadHeader));
    assert_eq!(recv.read(&mut status).await, Err(ReadError::Reset(VarInt::from_u32(9))));
    assert!(data.close_reason().is_none());
});
