//! The ways through: local, to a neighbour, over several hops, to another organisation.

use std::io::Read;

use catalyst_dataplane::Via;
use catalyst_names::Protocol;

use crate::lab::{Lab, join, service, until, ways};
use crate::peers::{echoes, get, greeted, greeter, http};

#[test]
fn a_service_of_this_node_is_reached_by_host_and_by_port() {
    let lab = Lab::new(&["acme.example"]);
    let mut a = lab.node(1, "a.acme.example");
    let (web, db) = (service("web.acme.example"), service("db.acme.example"));
    let (page, base) = (http(a.ip, "web"), greeter(a.ip, "db"));
    a.planner.set_target(&web, Some(vec![page.at]));
    a.planner.set_service(&web, ways(Protocol::Http, &[Via::Local]));
    a.planner.set_target(&db, Some(vec![base.at]));
    a.planner.set_service(&db, ways(Protocol::Tcp, &[Via::Local]));
    a.planner.open_port(&web, a.at(9001));
    a.planner.open_port(&db, a.at(9002));
    a.tell();
    lab.settled(&a);
    let forged =
        "X-Catalyst-Caller: spiffe://evil.example/node/x\r\nx-mesh-via: 1\r\nx-catalyst-local: local|db\r\n";
    let (status, text) = get(a.at(8080), "web.acme.example:8080", "/x?y=1", forged);
    assert_eq!(status, 200, "{text}\n{}", a.log_text());
    assert!(text.contains("web GET /x?y=1 HTTP/1.1"), "{text}");
    assert!(text.contains("x-catalyst-caller: spiffe://acme.example/node/a\r\n"), "{text}");
    assert!(
        !text.contains("evil") && !text.contains("x-catalyst-local") && !text.contains("via: 1"),
        "{text}"
    );
    let (status, text) = get(a.at(9001), "127.0.0.1:9001", "/", "");
    assert_eq!(status, 200, "{text}");
    assert!(text.contains("host: web.acme.example\r\n"), "{text}");
    assert!(text.contains("x-forwarded-host: 127.0.0.1:9001\r\n"), "{text}");
    assert!(!text.contains("x-catalyst-service"), "{text}");
    assert!(echoes(&mut greeted(a.at(9002), "220 db\n").unwrap()));
    assert_eq!(get(a.at(8080), "nobody.acme.example", "/", "").0, 404);
}

#[test]
fn requests_and_connections_pass_three_envoys_of_one_organisation() {
    let lab = Lab::new(&["acme.example"]);
    let mut a = lab.node(1, "a.acme.example");
    let mut b = lab.node(2, "b.acme.example");
    let mut c = lab.node(3, "c.acme.example");
    join(&mut a, &mut b);
    join(&mut b, &mut c);
    let (web, db) = (service("web.acme.example"), service("db.acme.example"));
    let (page, base) = (http(c.ip, "web"), greeter(c.ip, "db"));
    c.planner.set_target(&web, Some(vec![page.at]));
    c.planner.set_target(&db, Some(vec![base.at]));
    for (node, via) in [(&mut c, Via::Local), (&mut b, Via::Local), (&mut a, Via::Local)] {
        let via = match node.name.node() {
            "a" => Via::Peer("b.acme.example".parse().unwrap()),
            "b" => Via::Peer("c.acme.example".parse().unwrap()),
            _ => via,
        };
        node.planner.set_service(&web, ways(Protocol::Http, std::slice::from_ref(&via)));
        node.planner.set_service(&db, ways(Protocol::Tcp, &[via]));
        node.tell();
    }
    a.planner.open_port(&db, a.at(9002));
    a.tell();
    [&a, &b, &c].iter().for_each(|node| lab.settled(node));
    let (status, text) = get(a.at(8080), "web.acme.example", "/far", "");
    assert_eq!(status, 200, "{text}\n{}", a.log_text());
    assert!(text.contains("x-catalyst-caller: spiffe://acme.example/node/b\r\n"), "{text}");
    let mut held = greeted(a.at(9002), "220 db\n").unwrap();
    assert!(echoes(&mut held));
    let shows = |log: String, caller: &str, cluster: &str| {
        log.lines().any(|l| l.contains(caller) && l.contains(cluster) && l.contains("\"/far\""))
    };
    until("b's access log", || shows(b.access_log(), "spiffe://acme.example/node/a", "peer|c.acme.example"));
    until("c's access log", || {
        shows(c.access_log(), "spiffe://acme.example/node/b", "local|web.acme.example")
    });
}

#[test]
fn another_organisation_gets_what_it_was_granted_and_loses_it_at_once() {
    let lab = Lab::new(&["acme.example", "globex.example", "initech.example"]);
    let mut a = lab.node(1, "a.acme.example");
    let mut g = lab.node(2, "g.globex.example");
    let mut i = lab.node(3, "i.initech.example");
    join(&mut a, &mut g);
    join(&mut a, &mut i);
    let db = service("db.acme.example");
    let base = greeter(a.ip, "db");
    a.planner.set_target(&db, Some(vec![base.at]));
    a.planner.set_service(&db, ways(Protocol::Tcp, &[Via::Local]));
    a.planner.set_grant(&i.name, &db, true);
    a.tell();
    for node in [&mut g, &mut i] {
        node.planner.set_service(&db, ways(Protocol::Tcp, &[a.via()]));
        node.planner.open_port(&db, node.at(9002));
        node.tell();
    }
    [&a, &g, &i].iter().for_each(|node| lab.settled(node));
    let mut others = greeted(i.at(9002), "220 db\n").unwrap();
    assert_eq!(base.taken(), 1);
    // A server that speaks first says nothing to a caller that is refused, and does not even see it.
    assert!(greeted(g.at(9002), "220 db\n").is_none());
    assert_eq!(base.taken(), 1);
    a.planner.set_grant(&g.name, &db, true);
    a.tell();
    lab.settled(&a);
    let mut held = greeted(g.at(9002), "220 db\n").unwrap();
    assert!(echoes(&mut held));
    a.planner.set_grant(&g.name, &db, false);
    let told = std::time::Instant::now();
    a.tell();
    assert_eq!(held.read(&mut [0; 8]).unwrap_or(0), 0, "the live flow ends");
    assert!(told.elapsed() < std::time::Duration::from_secs(1), "{:?}", told.elapsed());
    assert!(greeted(g.at(9002), "220 db\n").is_none());
    assert!(echoes(&mut others), "the other organisation's flow goes on");
}

#[test]
fn an_access_log_that_was_put_away_is_opened_anew() {
    let lab = Lab::new(&["acme.example"]);
    let a = lab.node(1, "a.acme.example");
    let old = a.site.access_log.with_extension("old");
    let asked = |path: &str| {
        get(a.at(8080), "nobody.acme.example", path, "");
    };
    asked("/before");
    until("a line about the first", || a.access_log().contains("/before"));
    std::fs::rename(&a.site.access_log, &old).unwrap();
    lab.reopen_logs(&a);
    asked("/after");
    until("a line about the second", || a.access_log().contains("/after"));
    let old = std::fs::read_to_string(old).unwrap();
    assert!(old.contains("/before") && !old.contains("/after"), "{old}");
}

#[test]
fn who_is_no_neighbour_any_more_gets_nothing_even_on_a_connection_that_stands() {
    let lab = Lab::new(&["acme.example"]);
    let mut a = lab.node(1, "a.acme.example");
    let mut b = lab.node(2, "b.acme.example");
    join(&mut a, &mut b);
    let web = service("web.acme.example");
    let page = http(b.ip, "web");
    b.planner.set_target(&web, Some(vec![page.at]));
    b.planner.set_service(&web, ways(Protocol::Http, &[Via::Local]));
    b.tell();
    a.planner.set_service(&web, ways(Protocol::Http, &[b.via()]));
    a.tell();
    [&a, &b].iter().for_each(|node| lab.settled(node));
    assert_eq!(get(a.at(8080), "web.acme.example", "/", "").0, 200, "{}", a.log_text());
    b.planner.set_neighbour(&a.name, None);
    b.tell();
    lab.settled(&b);
    // One client has one connection to b: a request in the moment in which that goes hears so, and all others how it is.
    let ask = |n: u32| get(a.at(8080), "web.acme.example", &format!("/after/{n}/"), "").0;
    let hears = |status: u16, from: u32| {
        let first = ask(from);
        if first == 503 {
            let (path, why) = (format!("/after/{from}/"), "{connection_termination}");
            let says = |line: &str| line.contains(&path) && line.contains(why);
            until("the log says that it went", || a.access_log().lines().any(says));
        } else {
            assert_eq!(first, status, "{}", a.access_log());
        }
        let later = [1, 2, 3].map(|n| ask(from + n));
        assert_eq!(later, [status; 3], "{}", a.access_log());
    };
    hears(403, 0);
    // As somebody new it has a part of the mesh port of its own, and leaves that of the others.
    b.planner.set_neighbour(&a.name, Some(vec![a.site.mesh]));
    b.tell();
    lab.settled(&b);
    hears(200, 10);
}
