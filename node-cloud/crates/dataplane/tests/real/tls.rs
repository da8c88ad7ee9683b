//! The mesh port lets in neighbours with their own certificates, and nobody else; and a neighbour is called by nothing but
//! its name. Certificates and roots change under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use catalyst_dataplane::{Bundle, Caller, Identity, Via};
use catalyst_names::Protocol;
use time::Duration;

use crate::certs::{hello_of_1_2, odd, tls, tls_to};
use crate::http1::Http1;
use crate::http2::{Answer, Http2};
use crate::lab::{Lab, Node, join, pair, server_name, service, until, ways};
use crate::peers::{echoes, get, greeted, greeter, http};

const HOST: &str = "web.acme.example";

/// What somebody with this certificate gets for a request on a mesh port, who asks for the part of this neighbour.
fn asks(a: &Node, part: Option<&str>, identity: Option<&Identity>) -> Answer {
    let part = part.map(|caller| server_name(caller, &a.name));
    let said = tls_to(a.site.mesh, part, identity, &["h2"]);
    let said = said.and_then(|stream| Http2::over(Box::new(stream)));
    match said {
        Ok(mut client) => client.get(HOST, "/", &[]),
        Err(why) => Answer { closed: Some(why.to_string()), ..Answer::default() },
    }
}

/// A node with a service, and a neighbour in name: its certificate is all there is of it.
fn guarded(lab: &Lab) -> (Node, crate::peers::Served, Identity) {
    let mut a = lab.node(1, "a.acme.example");
    let web = service(HOST);
    let page = http(a.ip, "web");
    a.planner.set_target(&web, Some(vec![page.at]));
    a.planner.set_service(&web, ways(Protocol::Http, &[Via::Local]));
    let known = "known.acme.example".parse().unwrap();
    a.planner.set_neighbour(&known, Some(Vec::new()));
    a.tell();
    lab.settled(&a);
    let identity = lab.identity(&known);
    (a, page, identity)
}

#[test]
fn only_neighbours_with_their_own_certificates_come_in() {
    let lab = Lab::new(&["acme.example", "globex.example"]);
    let foreign = Lab::new(&["acme.example"]);
    let (a, page, known) = guarded(&lab);
    let part = Some("known.acme.example");
    assert_eq!(asks(&a, part, Some(&known)).status, 200, "{}", a.log_text());
    let before = page.taken();
    let root = lab.root("acme.example");
    let day = Duration::days(1);
    let own = |uris: &[&str]| odd(root, uris, day);
    let (node, other) = ("spiffe://acme.example/node/known", "spiffe://acme.example/node/other");
    // That the certificates that are made here can be right.
    assert_eq!(asks(&a, part, Some(&own(&[node]))).status, 200, "{}", a.log_text());
    let wrong = [
        ("no certificate", None),
        ("a foreign root of the same name", Some(foreign.identity(&"known.acme.example".parse().unwrap()))),
        ("no neighbour", Some(own(&[other]))),
        ("expired", Some(odd(root, &[node], -day))),
        ("two names, the neighbour's first", Some(own(&[node, other]))),
        ("two names, the neighbour's last", Some(own(&[other, node]))),
        ("the same name twice", Some(own(&[node, node]))),
        ("two organisations' names", Some(own(&[node, "spiffe://globex.example/node/known"]))),
        ("a service", Some(own(&["spiffe://acme.example/svc/known"]))),
        ("a service of the neighbour's path", Some(own(&["spiffe://acme.example/svc/node/known"]))),
        ("another organisation's name", Some(own(&["spiffe://globex.example/node/known"]))),
        ("a name in capitals", Some(own(&["spiffe://acme.example/node/KNOWN"]))),
        ("a name with a comma", Some(own(&["spiffe://acme.example/node/known,spiffe://x.example/node/y"]))),
        ("a longer name", Some(own(&["spiffe://acme.example/node/known/more"]))),
        ("no name", Some(own(&[]))),
    ];
    for (what, identity) in wrong {
        for part in [part, None, Some("other.acme.example")] {
            let answer = asks(&a, part, identity.as_ref());
            assert!(answer.status == 403 || answer.status == 0, "{what}: {answer:?}");
            assert!(answer.status != 0 || answer.closed.is_some(), "{what}: {answer:?}");
        }
    }
    // The neighbour itself, in the part of nobody or of another.
    for part in [None, Some("other.acme.example")] {
        assert_eq!(asks(&a, part, Some(&known)).status, 403);
    }
    assert_eq!(page.taken(), before, "the service saw somebody");
}

#[test]
fn the_mesh_port_speaks_tls_1_3_and_http2_alone() {
    let lab = Lab::new(&["acme.example"]);
    let (a, page, known) = guarded(&lab);
    let (kind, alert) = hello_of_1_2(a.site.mesh);
    // Alert, fatal, protocol_version.
    assert_eq!((kind, alert), (21, vec![2, 70]));
    for alpn in [&["http/1.1"][..], &[], &["h3"]] {
        let said = tls(a.site.mesh, Some(&known), alpn);
        assert!(said.is_err(), "{alpn:?}");
    }
    // Bytes without TLS.
    assert_eq!(get(a.site.mesh, HOST, "/", "").0, 0);
    assert_eq!(page.taken(), 0);
    assert_eq!(asks(&a, Some("known.acme.example"), Some(&known)).status, 200);
}

#[test]
fn behind_a_neighbours_address_only_the_neighbour_is_believed() {
    let lab = Lab::new(&["acme.example"]);
    let mut a = lab.node(1, "a.acme.example");
    let mut c = lab.node(3, "c.acme.example");
    join(&mut a, &mut c);
    let web = service(HOST);
    let page = http(c.ip, "web");
    c.planner.set_target(&web, Some(vec![page.at]));
    c.planner.set_service(&web, ways(Protocol::Http, &[Via::Local]));
    c.tell();
    let b = "b.acme.example".parse().unwrap();
    a.planner.set_neighbour(&b, Some(vec![c.site.mesh]));
    a.planner.set_service(&web, ways(Protocol::Http, &[Via::Peer(b)]));
    a.tell();
    [&a, &c].iter().for_each(|node| lab.settled(node));
    let (status, text) = get(a.at(8080), HOST, "/", "");
    assert_eq!(status, 503, "{text}");
    assert_eq!(page.taken(), 0);
    let failed = lab.stats(&a, "b.acme.example.*ssl.fail_verify_san");
    assert!(failed.values().sum::<u64>() > 0, "{failed:?}");
    // The same under the name that is right.
    a.planner.set_service(&web, ways(Protocol::Http, &[c.via()]));
    a.tell();
    lab.settled(&a);
    assert_eq!(get(a.at(8080), HOST, "/", "").0, 200);
}

#[test]
fn the_key_exchange_is_post_quantum_on_both_sides() {
    let pair = pair(Protocol::Http, |ip| http(ip, "web"));
    assert_eq!(get(pair.a.at(8080), HOST, "/", "").0, 200);
    for (node, side) in [(&pair.a, "cluster.peer"), (&pair.b, "listener.")] {
        let curves = pair.lab.stats(node, "ssl.curves");
        let of_side: Vec<_> = curves.iter().filter(|(name, _)| name.starts_with(side)).collect();
        assert!(of_side.iter().any(|(name, n)| name.ends_with("X25519MLKEM768") && **n > 0), "{curves:?}");
        assert!(of_side.iter().all(|(name, n)| name.ends_with("X25519MLKEM768") || **n == 0), "{curves:?}");
        let versions = pair.lab.stats(node, "ssl.versions");
        let of_side: Vec<_> = versions.iter().filter(|(name, _)| name.starts_with(side)).collect();
        assert!(of_side.iter().any(|(name, n)| name.ends_with("TLSv1.3") && **n > 0), "{versions:?}");
        assert!(of_side.iter().all(|(name, n)| name.ends_with("TLSv1.3") || **n == 0), "{versions:?}");
    }
}

#[test]
fn certificates_and_roots_change_under_load() {
    let mut pair = pair(Protocol::Http, |ip| http(ip, "web"));
    let db = service("db.acme.example");
    let base = greeter(pair.b.ip, "db");
    pair.b.planner.set_target(&db, Some(vec![base.at]));
    pair.b.planner.set_service(&db, ways(Protocol::Tcp, &[Via::Local]));
    pair.b.tell();
    pair.a.planner.set_service(&db, ways(Protocol::Tcp, &[pair.b.via()]));
    pair.a.planner.open_port(&db, pair.a.at(9002));
    pair.a.tell();
    [&pair.a, &pair.b].iter().for_each(|node| pair.lab.settled(node));
    let mut held = greeted(pair.a.at(9002), "220 db\n").unwrap();
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let hammers: Vec<_> = (0..2)
        .map(|_| {
            let (stop, done, at) = (stop.clone(), done.clone(), pair.a.at(8080));
            std::thread::spawn(move || {
                let mut client = Http1::dial(at);
                while !stop.load(Ordering::Relaxed) {
                    let answer = client.get(HOST, "/", "").expect("the connection stays open");
                    assert_eq!(answer.status(), 200, "{answer:?}");
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let more = Lab::new(&["globex.example"]);
    for round in 0..20 {
        let roots: Vec<Bundle> = match round % 2 {
            0 => [pair.lab.bundles(), more.bundles()].concat(),
            _ => pair.lab.bundles(),
        };
        let names = [pair.a.name.clone(), pair.b.name.clone()];
        for (node, name) in [(&mut pair.a, &names[0]), (&mut pair.b, &names[1])] {
            node.planner.set_identity(&pair.lab.identity(name));
            node.planner.set_trust(&roots);
            node.tell();
        }
        [&pair.a, &pair.b].iter().for_each(|node| pair.lab.settled(node));
        let before = done.load(Ordering::Relaxed);
        until("requests go on", || done.load(Ordering::Relaxed) > before + 5);
        assert!(echoes(&mut held), "round {round}");
        assert!(echoes(&mut greeted(pair.a.at(9002), "220 db\n").unwrap()));
    }
    stop.store(true, Ordering::Relaxed);
    hammers.into_iter().for_each(|hammer| hammer.join().unwrap());
    assert!(echoes(&mut held));
}

#[test]
fn a_root_that_is_no_longer_trusted_lets_nobody_in() {
    let lab = Lab::new(&["acme.example", "globex.example"]);
    let (mut a, page, _) = guarded(&lab);
    let g = "g.globex.example".parse().unwrap();
    a.planner.set_neighbour(&g, Some(Vec::new()));
    a.planner.set_grant(&g, &service(HOST), true);
    a.tell();
    lab.settled(&a);
    let identity = lab.identity(&g);
    assert_eq!(asks(&a, Some("g.globex.example"), Some(&identity)).status, 200, "{}", a.log_text());
    let without: Vec<Bundle> =
        lab.bundles().into_iter().filter(|b| b.org.as_str() == "acme.example").collect();
    a.planner.set_trust(&without);
    a.tell();
    lab.settled(&a);
    let before = page.taken();
    let answer = asks(&a, Some("g.globex.example"), Some(&identity));
    assert!(answer.status == 0 && answer.closed.is_some(), "{answer:?}");
    assert_eq!(page.taken(), before);
    a.planner.set_trust(&lab.bundles());
    a.tell();
    lab.settled(&a);
    assert_eq!(asks(&a, Some("g.globex.example"), Some(&identity)).status, 200, "{}", a.log_text());
}

#[test]
fn of_a_name_that_came_back_with_another_key_only_the_new_key_comes_in() {
    let lab = Lab::new(&["acme.example"]);
    let (mut a, page, old) = guarded(&lab);
    let known = "known.acme.example".parse().unwrap();
    let (new, key) = lab.identity_with_key(&known);
    let asks = |a: &Node, identity: &Identity| {
        [Some("known.acme.example"), None].map(|part| asks(a, part, Some(identity)).status)
    };
    assert_eq!((asks(&a, &old), asks(&a, &new)), ([200, 403], [200, 403]));
    // In a part of its own, then among others.
    for silent in [false, true] {
        a.planner.set_caller(&known, Caller { key: Some(key.clone()), silent });
        a.tell();
        lab.settled(&a);
        let before = page.taken();
        assert!(asks(&a, &old).iter().all(|status| *status != 200), "{silent}");
        assert_eq!(page.taken(), before);
        assert!(asks(&a, &new).contains(&200), "{silent}: {}", a.log_text());
        // A certificate that is renewed is one of the same key.
        let renewed = lab.renewed(&known, &new);
        assert!(asks(&a, &renewed).contains(&200), "{silent}: {}", a.log_text());
    }
}

/// Envoy writes of a rejection to its own log, too, which the node hands on: no part of a key may be in it.
#[test]
fn a_private_key_that_envoy_rejects_is_in_no_log() {
    let lab = Lab::new(&["acme.example"]);
    let mut a = lab.node(1, "a.acme.example");
    a.planner.open_ingress(a.at(8445), true);
    let good = lab.identity(&a.name);
    let other = lab.identity(&a.name);
    let lines: Vec<&str> = other.key.lines().collect();
    // The key of another certificate; one that is cut short; one without its frame; none at all.
    let half = format!("{}\n{}\n", lines[0], lines[1]);
    let bare = lines[1..lines.len() - 1].join("\n");
    let keys = [other.key.clone(), half, bare, format!("{} trailing", lines[1])];
    let bad = keys.map(|key| (good.chain.clone(), key));
    // Without a certificate the message itself is wrong, and Envoy quotes what it cannot read.
    for (chain, key) in bad.into_iter().chain([(String::new(), other.key.clone())]) {
        a.planner.set_ingress(&Identity { chain, key });
        a.tell();
        until("it is rejected", || !a.publisher.rejected().is_empty());
        a.planner.set_ingress(&good);
        a.tell();
        until("it is mended", || a.publisher.rejected().is_empty());
    }
    let said = format!("{} {:?}", a.log_text(), a.publisher.status());
    assert!(a.log_text().contains("Secret rejected: "), "{said}");
    for line in &lines[1..lines.len() - 1] {
        for part in line.as_bytes().chunks_exact(16) {
            let part = std::str::from_utf8(part).unwrap();
            assert!(!said.contains(part), "a part of the key is in {said}");
        }
    }
}
