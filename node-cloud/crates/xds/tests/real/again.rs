//! Either end starts again; another Envoy comes; a permission is withdrawn.

use std::time::{Duration, Instant};

use catalyst_xds::{Changes, Kind, Limits};
use envoy_types::pb::envoy::service::discovery::v3::DeltaDiscoveryRequest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::resources::*;
use crate::world::*;

/// What the node of these tests says of itself, in every run of it.
fn everything(dir: &std::path::Path, web: std::net::SocketAddr, echo: std::net::SocketAddr) -> Changes {
    let listeners = [
        http_listener("http", &dir.join("http.sock"), None),
        tcp_listener("tcp", &dir.join("tcp.sock"), "grant"),
    ];
    let services =
        [eds("web"), endpoints("web", web), eds("echo"), endpoints("echo", echo), scope("web", "web")];
    let set = listeners.into_iter().chain(services).chain(grant("grant", "echo")).collect();
    Changes { set, ..Changes::default() }
}

async fn echoes(stream: &mut UnixStream, word: &[u8]) -> std::io::Result<bool> {
    stream.write_all(word).await?;
    let mut back = vec![0; word.len()];
    stream.read_exact(&mut back).await?;
    Ok(back == word)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_envoy_that_was_killed_gets_everything_again() {
    let dir = tempfile::tempdir().unwrap();
    let http = dir.path().join("http.sock");
    let node = Node::start(dir.path());
    node.apply(everything(dir.path(), service("one").await, echo().await));
    node.publisher.open();
    let envoy = Envoy::start(dir.path(), NODE);
    node.settled().await;
    let before = node.publisher.status();
    envoy.kill().await;

    // Changes go on meanwhile.
    let two = service("two").await;
    node.set([endpoints("web", two)]);
    let _envoy = Envoy::start(dir.path(), NODE);
    node.settled().await;
    until_answer(&http, "web", Ok((200, "two"))).await;
    let after = node.publisher.status();
    assert_eq!((after.streams, after.overdue), (before.streams + 1, 0));
    for kind in [Kind::Cluster, Kind::Endpoints, Kind::Listener, Kind::Scope] {
        let sent = |status: &catalyst_xds::Status| status.kinds[kind as usize].sent;
        assert_eq!(sent(&after), 2 * sent(&before), "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_starts_again_with_the_same_sends_nothing_and_cuts_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (http, tcp) = (dir.path().join("http.sock"), dir.path().join("tcp.sock"));
    let (web, echo) = (service("one").await, echo().await);
    let node = Node::start(dir.path());
    node.apply(everything(dir.path(), web, echo));
    node.publisher.open();
    let envoy = Envoy::start(dir.path(), NODE);
    node.settled().await;
    let mut held = UnixStream::connect(&tcp).await.unwrap();
    assert!(echoes(&mut held, b"before").await.unwrap());
    node.stop().await;

    let node = Node::start(dir.path());
    node.until("connected", |status| status.connected.is_some()).await;
    // The node gathers; Envoy hears nothing, and serves.
    assert!(echoes(&mut held, b"gathering").await.unwrap());
    until_answer(&http, "web", Ok((200, "one"))).await;
    assert!(!node.publisher.status().settled);
    node.apply(everything(dir.path(), web, echo));
    node.publisher.open();
    node.settled().await;
    let status = node.publisher.status();
    assert_eq!(status.kinds.map(|kind| kind.sent), [0; Kind::COUNT], "{status:#?}");
    assert!(echoes(&mut held, b"after").await.unwrap());

    // A third run lacks one service: only that goes.
    node.stop().await;
    let node = Node::start(dir.path());
    let mut changes = everything(dir.path(), web, echo);
    changes.set.retain(|resource| resource.name() != "web");
    node.apply(changes);
    node.publisher.open();
    node.settled().await;
    until_answer(&http, "web", Ok((404, ""))).await;
    let sent = node.publisher.status().kinds.map(|kind| kind.sent);
    assert_eq!(
        (sent[Kind::Cluster as usize], sent[Kind::Scope as usize], sent[Kind::Listener as usize]),
        (1, 1, 0)
    );
    assert!(echoes(&mut held, b"still").await.unwrap());
    drop(envoy);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_withdrawn_grant_is_cut_while_a_large_change_is_under_way() {
    let dir = tempfile::tempdir().unwrap();
    let tcp = dir.path().join("tcp.sock");
    let web = service("one").await;
    let node = Node::start(dir.path());
    node.apply(everything(dir.path(), web, echo().await));
    node.publisher.open();
    let _envoy = Envoy::start(dir.path(), NODE);
    node.settled().await;
    let mut held = UnixStream::connect(&tcp).await.unwrap();
    assert!(echoes(&mut held, b"granted").await.unwrap());

    let names: Vec<String> = (0..3_000).map(|n| format!("s{n:05}")).collect();
    node.set(names.iter().flat_map(|name| [eds(name), endpoints(name, web), scope(name, name)]));
    node.until("under way", |status| status.kinds[Kind::Cluster as usize].acked > 500).await;
    let start = Instant::now();
    node.apply(Changes {
        urgent: vec![(Kind::Listener, "grant".into())],
        remove: vec![(Kind::Cluster, "grant".into())],
        ..Changes::default()
    });
    let mut rest = Vec::new();
    let end = tokio::time::timeout(PATIENCE, held.read_to_end(&mut rest)).await.expect("the flow ends");
    let took = start.elapsed();
    let status = node.publisher.status();
    println!("cut after {took:?} ({end:?}), {} names still wait", status.waiting);
    assert!(status.waiting > 0, "the large change was over");
    assert!(took < Duration::from_secs(1), "{took:?}");
    node.settled_in(3 * PATIENCE).await;
    let mut anew = UnixStream::connect(&tcp).await.unwrap();
    assert!(!echoes(&mut anew, b"refused").await.unwrap_or(false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_envoy_is_refused_with_a_reason_and_the_first_stays() {
    let dir = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path());
    node.apply(everything(dir.path(), service("one").await, echo().await));
    node.publisher.open();
    let _envoy = Envoy::start(dir.path(), NODE);
    node.settled().await;

    std::os::unix::fs::symlink(dir.path().join("xds.sock"), other.path().join("xds.sock")).unwrap();
    let stranger = Envoy::start(other.path(), "b.globex.example");
    let refused = node.until("refused", |status| status.refused > 0).await;
    let reason = refused.last_refused.unwrap();
    assert!(reason.contains("a.acme.example") && reason.contains("b.globex.example"), "{reason}");
    stranger.kill().await;

    let twin = Envoy::start(other.path(), NODE);
    let taken = |status: &catalyst_xds::Status| {
        status.last_refused.as_ref().is_some_and(|reason| reason.contains("connected already"))
    };
    let status = node.until("the twin is refused", taken).await;
    assert_eq!(status.streams, 1);
    twin.kill().await;
    until_answer(&dir.path().join("http.sock"), "web", Ok((200, "one"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_envoy_makes_nothing_grow_and_is_seen_in_status() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (service("one").await, service("two").await);
    let node = Node::start(dir.path());
    node.apply(everything(dir.path(), one, echo().await));
    node.publisher.open();
    let envoy = Envoy::start(dir.path(), NODE);
    node.settled().await;

    let signal = |name: &str| {
        let done = std::process::Command::new("kill").args([name, &envoy.id().to_string()]).status().unwrap();
        assert!(done.success());
    };
    signal("-STOP");
    for at in [two, one, two] {
        node.set([endpoints("web", at)]);
    }
    let stuck = |status: &catalyst_xds::Status| {
        status.overdue > 0 && status.unanswered.is_some_and(|age| age > Limits::STEP_DEADLINE)
    };
    let status = node.until("seen as stuck", stuck).await;
    assert!(!status.settled && status.in_flight <= Limits::IN_FLIGHT, "{status:#?}");
    signal("-CONT");
    node.settled().await;
    until_answer(&dir.path().join("http.sock"), "web", Ok((200, "two"))).await;

    // The node can end without it.
    signal("-STOP");
    node.set([endpoints("web", one)]);
    node.stop().await;
    signal("-CONT");
}

#[tokio::test]
async fn what_is_no_request_of_ours_is_refused_with_what_to_do() {
    use envoy_types::pb::envoy::config::core::v3::Node;
    use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
    let dir = tempfile::tempdir().unwrap();
    let server = crate::world::Node::start(dir.path());
    let uri = format!("unix://{}", dir.path().join("xds.sock").display());
    let channel = tonic::transport::Endpoint::try_from(uri).unwrap().connect().await.unwrap();
    let mut client = AggregatedDiscoveryServiceClient::new(channel);
    let refused = client.stream_aggregated_resources(tokio_stream::empty()).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unimplemented);
    assert!(refused.message().contains("DELTA_GRPC"), "{refused}");

    // A request without a node, and one of a kind that nobody serves.
    let nameless = tokio_stream::once(DeltaDiscoveryRequest::default());
    let mut answers = client.delta_aggregated_resources(nameless).await.unwrap().into_inner();
    assert_eq!(answers.message().await.unwrap_err().code(), tonic::Code::InvalidArgument);

    // A request that is too large.
    let id = "x".repeat(Limits::CLOUD.request_bytes);
    let large = DeltaDiscoveryRequest { node: Some(Node { id, ..Node::default() }), ..Default::default() };
    let mut answers =
        client.delta_aggregated_resources(tokio_stream::once(large)).await.unwrap().into_inner();
    assert_eq!(answers.message().await.unwrap_err().code(), tonic::Code::OutOfRange);
    server.until("noted", |status| status.refused == 1).await;
    server.stop().await;
}
