//! The server against a real Envoy.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "real/again.rs"]
mod again;
#[path = "real/load.rs"]
mod load;
#[path = "real/resources.rs"]
mod resources;
#[path = "real/world.rs"]
mod world;

use catalyst_xds::{Changes, Kind};
use resources::*;
use world::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resources_are_loaded_changed_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let http = dir.path().join("http.sock");
    let node = Node::start(dir.path());
    let (one, two) = (service("one").await, service("two").await);
    node.set([
        eds("web"),
        endpoints("web", one),
        http_listener("http", &http, None),
        scope("web.acme", "web"),
    ]);
    node.publisher.open();
    let envoy = Envoy::start(dir.path(), NODE);
    println!("loaded in {:?}", node.settled().await);
    until_answer(&http, "web.acme", Ok((200, "one"))).await;

    node.set([endpoints("web", two)]);
    println!("endpoints in {:?}", node.settled().await);
    until_answer(&http, "web.acme", Ok((200, "two"))).await;

    // A changed cluster is warm again without a wait for its endpoints.
    node.set([catalyst_xds::Resource::cluster(&eds_message("web", std::time::Duration::from_secs(3)))]);
    println!("cluster in {:?}", node.settled().await);
    until_answer(&http, "web.acme", Ok((200, "two"))).await;
    assert_eq!(envoy.stat("cluster_manager.warming_clusters").await, 0);

    // A second service, then the first goes.
    node.set([eds("api"), endpoints("api", one), scope("api.acme", "api")]);
    println!("service in {:?}", node.settled().await);
    until_answer(&http, "api.acme", Ok((200, "one"))).await;
    let remove = [(Kind::Scope, "web.acme"), (Kind::Cluster, "web"), (Kind::Endpoints, "web")];
    let remove = remove.map(|(kind, name)| (kind, name.to_owned())).into();
    node.apply(Changes { remove, ..Changes::default() });
    println!("removed in {:?}", node.settled().await);
    until_answer(&http, "web.acme", Ok((404, ""))).await;
    until_answer(&http, "api.acme", Ok((200, "one"))).await;
    assert_eq!(envoy.stat("cluster_manager.cluster_removed").await, 1);
    let status = node.publisher.status();
    assert_eq!((status.overdue, status.rejected_count), (0, 0));
    assert!(status.last_nack.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_moves_a_hundred_times_and_no_request_fails() {
    let dir = tempfile::tempdir().unwrap();
    let http = dir.path().join("http.sock");
    let node = Node::start(dir.path());
    let at = [service("one").await, service("two").await];
    node.set([
        eds("web-0"),
        endpoints("web-0", at[0]),
        http_listener("http", &http, None),
        scope("web", "web-0"),
    ]);
    node.publisher.open();
    let _envoy = Envoy::start(dir.path(), NODE);
    node.settled().await;

    let (done, mut over) = tokio::sync::watch::channel(false);
    let hammer = tokio::spawn(async move {
        let (mut answers, mut bad) = (0, Vec::new());
        while !*over.borrow_and_update() {
            match get(&http, "web", "/").await {
                Ok((200, _)) => answers += 1,
                other => bad.push(other),
            }
        }
        (answers, bad)
    });
    // Each move is one change: the new cluster and the scope that turns to it come, the old cluster goes. Half of
    // them do not wait for the one before.
    for n in 1..=100 {
        let (old, new) = (format!("web-{}", n - 1), format!("web-{n}"));
        let set = vec![eds(&new), endpoints(&new, at[n % 2]), scope("web", &new)];
        let remove = vec![(Kind::Cluster, old.clone()), (Kind::Endpoints, old)];
        node.apply(Changes { set, remove, ..Changes::default() });
        if n % 2 == 0 {
            node.settled().await;
        }
    }
    node.settled().await;
    done.send_replace(true);
    let (answers, bad) = hammer.await.unwrap();
    println!("{answers} answers");
    assert!(bad.is_empty() && answers > 10, "{answers} good, bad: {bad:?}");
    assert_eq!(node.publisher.status().overdue, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_mixed_response_the_good_ones_serve_and_the_bad_one_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let http = dir.path().join("http.sock");
    let node = Node::start(dir.path());
    let mut rejections = node.publisher.rejections();
    let (one, two) = (service("one").await, service("two").await);
    node.set([http_listener("http", &http, Some("filter")), rbac("filter", false)]);
    for name in ["c1", "c2"] {
        node.set([eds(name), endpoints(name, one), scope(name, name)]);
    }
    node.publisher.open();
    let _envoy = Envoy::start(dir.path(), NODE);
    node.settled().await;

    // Of each kind one that Envoy rejects, among good ones that sort before and after it.
    node.set([
        eds("c3"),
        endpoints("c3", one),
        bad_cluster("c4"),
        endpoints("c4", one),
        eds("c5"),
        endpoints("c5", one),
        endpoints("c1", two),
        bad_endpoints("c2"),
        bad_filter("filter"),
        tcp_listener("l3", &dir.path().join("l3"), "c1"),
        bad_listener("l4", &dir.path().join("l4")),
        tcp_listener("l5", &dir.path().join("l5"), "c1"),
        scope("c3", "c3"),
        bad_scope("bad"),
        scope("c5", "c5"),
    ]);
    let took = node.settled().await;
    let status = node.publisher.status();
    let rejected: Vec<_> = status.rejected.iter().map(|row| (row.kind, row.name.to_string())).collect();
    let bad = [
        (Kind::Cluster, "c4"),
        (Kind::Endpoints, "c2"),
        (Kind::Filter, "filter"),
        (Kind::Listener, "l4"),
        (Kind::Scope, "bad"),
    ];
    assert_eq!(rejected, bad.map(|(kind, name)| (kind, name.to_owned())));
    for (row, words) in
        status.rejected.iter().zip(["positive", "malformed IP", "RBAC", "no filter chains", "Domains"])
    {
        assert!(row.reason.contains(words) && !row.reason.contains("debugonly"), "{row:?}");
    }
    let mut heard: Vec<_> = std::iter::from_fn(|| rejections.try_recv().ok()).map(|news| news.name).collect();
    heard.sort();
    assert_eq!(heard.iter().map(|name| &**name).collect::<Vec<_>>(), ["bad", "c2", "c4", "filter", "l4"]);
    // Nothing waited for a deadline.
    assert!(status.overdue == 0 && took < catalyst_xds::Limits::STEP_DEADLINE, "{took:?}");

    // The good ones serve, and what was good before still does.
    for (host, from) in [("c1", "two"), ("c2", "one"), ("c3", "one"), ("c5", "one")] {
        until_answer(&http, host, Ok((200, from))).await;
    }
    assert!(dir.path().join("l3").exists() && dir.path().join("l5").exists());

    // Repaired, and taken back.
    node.set([eds("c4"), endpoints("c2", two), rbac("filter", false)]);
    let remove = vec![(Kind::Listener, "l4".to_owned()), (Kind::Scope, "bad".to_owned())];
    node.apply(Changes { remove, ..Changes::default() });
    node.settled().await;
    assert_eq!(node.publisher.status().rejected, []);
    until_answer(&http, "c2", Ok((200, "two"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_without_endpoints_holds_up_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let http = dir.path().join("http.sock");
    let node = Node::start(dir.path());
    let one = service("one").await;
    node.set([eds("web"), endpoints("web", one), http_listener("http", &http, None), scope("web", "web")]);
    node.publisher.open();
    let envoy = Envoy::start(dir.path(), NODE);
    node.settled().await;
    node.set([eds("late"), eds("api"), endpoints("api", one), scope("late", "late"), scope("api", "api")]);
    node.settled().await;
    // Told that there are none, Envoy takes the cluster as warm and empty.
    assert_eq!(envoy.stat("cluster_manager.warming_clusters").await, 0);
    until_answer(&http, "api", Ok((200, "one"))).await;
    until_answer(&http, "late", Ok((503, "no healthy upstream"))).await;
    node.set([endpoints("late", one)]);
    node.settled().await;
    assert_eq!(node.publisher.status().overdue, 0);
    until_answer(&http, "late", Ok((200, "one"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_come_before_what_waits_for_them_and_no_rejection_quotes_one() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path());
    let one = service("one").await;
    node.set([eds("web"), endpoints("web", one)]);
    node.publisher.open();
    let envoy = Envoy::start(dir.path(), NODE);
    node.settled().await;

    let made = rcgen::generate_simple_self_signed(["a.acme.example".to_owned()]).unwrap();
    let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let other = rcgen::generate_simple_self_signed(["a.acme.example".to_owned()]).unwrap();
    let others = other.signing_key.serialize_pem();
    node.set([tls("secure", "id"), endpoints("secure", one), certificate("id", &chain, &key)]);
    node.settled().await;
    assert_eq!(envoy.stat("cluster_manager.warming_clusters").await, 0);
    assert_eq!(node.publisher.status().overdue, 0);

    // A key of another certificate, a key that is none, and a good pair beside them.
    let set = ["bad", "worse", "good"].map(|name| tls(name, name)).into_iter();
    let ends = ["bad", "worse", "good"].map(|name| endpoints(name, one));
    let secrets = [
        certificate("bad", &chain, &others),
        certificate("worse", &chain, "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"),
        certificate("good", &chain, &key),
    ];
    node.set(set.chain(ends).chain(secrets));
    let status = node.until("two are rejected", |status| status.rejected_count == 2).await;
    let names: Vec<_> = status.rejected.iter().map(|row| (row.kind, &*row.name)).collect();
    assert_eq!(names, [(Kind::Secret, "bad"), (Kind::Secret, "worse")]);
    for text in [format!("{status:?}"), format!("{:?}", certificate("id", &chain, &key))] {
        assert!(!text.contains("BEGIN") && !text.contains("c2VjcmV0"), "{text}");
    }
    println!("{:#?}", status.rejected);

    // A good one in its place.
    node.set([certificate("bad", &chain, &key), certificate("worse", &chain, &key)]);
    node.until("none is rejected", |status| status.rejected_count == 0).await;
    node.settled().await;
    assert_eq!(envoy.stat("cluster_manager.warming_clusters").await, 0);
}
