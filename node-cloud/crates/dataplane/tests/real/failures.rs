//! What fails on the way: the next endpoint takes over, without a word of the node.

use catalyst_dataplane::Via;
use catalyst_names::Protocol;
use nix::sys::signal::Signal;

use crate::lab::{Lab, Node, join, service, until, ways};
use crate::peers::{Served, echoes, get, greeted, greeter, http};

/// `web` and `db` at b, and at a itself for when b has none; asked for at a.
struct Twice {
    lab: Lab,
    a: Node,
    b: Node,
    _services: Vec<Served>,
}

fn twice() -> Twice {
    let lab = Lab::new(&["acme.example"]);
    let mut a = lab.node(1, "a.acme.example");
    let mut b = lab.node(2, "b.acme.example");
    join(&mut a, &mut b);
    let (web, db) = (service("web.acme.example"), service("db.acme.example"));
    let mut services = Vec::new();
    for (node, names) in [(&mut a, ["web a", "db a"]), (&mut b, ["web b", "db b"])] {
        let (page, base) = (http(node.ip, names[0]), greeter(node.ip, names[1]));
        node.planner.set_target(&web, Some(vec![page.at]));
        node.planner.set_target(&db, Some(vec![base.at]));
        services.extend([page, base]);
    }
    let to_b = Via::Peer(b.name.clone());
    b.planner.set_service(&web, ways(Protocol::Http, &[Via::Local]));
    b.planner.set_service(&db, ways(Protocol::Tcp, &[Via::Local]));
    a.planner.set_service(&web, ways(Protocol::Http, &[to_b.clone(), Via::Local]));
    a.planner.set_service(&db, ways(Protocol::Tcp, &[to_b, Via::Local]));
    a.planner.open_port(&db, a.at(9002));
    a.tell();
    b.tell();
    [&a, &b].iter().for_each(|node| lab.settled(node));
    // Until b's mesh port has answered for the first time, what is here is the better way.
    let healthy =
        || lab.stats(&a, r"^cluster\.peer\|b\.acme\.example\.membership_healthy$").values().sum::<u64>();
    until("b's mesh port answers", || healthy() == 1);
    Twice { lab, a, b, _services: services }
}

fn answers(node: &Node, name: &str) -> bool {
    get(node.at(8080), "web.acme.example", "/", "").1.contains(name)
}

#[test]
fn when_the_best_service_is_gone_the_next_answers_and_no_request_fails() {
    let Twice { lab, a, mut b, .. } = twice();
    assert!(answers(&a, "web b GET"), "{}", a.log_text());
    assert!(echoes(&mut greeted(a.at(9002), "220 db b\n").unwrap()));
    // A port where nothing listens.
    for name in ["web.acme.example", "db.acme.example"] {
        b.planner.set_target(&service(name), Some(vec![b.at(1)]));
    }
    b.tell();
    lab.settled(&b);
    for _ in 0..20 {
        let (status, text) = get(a.at(8080), "web.acme.example", "/", "");
        assert_eq!(status, 200, "{text}");
        assert!(text.contains("web a GET"), "{text}");
        assert!(echoes(&mut greeted(a.at(9002), "220 db a\n").unwrap()));
    }
}

#[test]
fn when_a_neighbours_envoy_is_gone_or_stands_still_the_next_answers() {
    let Twice { lab: _lab, a, mut b, .. } = twice();
    assert!(answers(&a, "web b GET"), "{}", a.log_text());
    b.kill();
    for _ in 0..20 {
        assert!(answers(&a, "web a GET"));
        assert!(echoes(&mut greeted(a.at(9002), "220 db a\n").unwrap()));
    }
    b.start();
    until("b is used again", || answers(&a, "web b GET"));
    b.signal(Signal::SIGSTOP);
    until("b is given up", || answers(&a, "web a GET"));
    b.signal(Signal::SIGCONT);
    until("b is used again", || answers(&a, "web b GET"));
}

#[test]
fn equals_share_by_weight_and_stand_in_for_each_other() {
    let Twice { lab, mut a, mut b, .. } = twice();
    let web = service("web.acme.example");
    let mut both = ways(Protocol::Http, &[Via::Peer(b.name.clone()), Via::Local]);
    both.ways[0].weight = 3;
    both.ways[1].equal = true;
    a.planner.set_service(&web, both);
    a.tell();
    lab.settled(&a);
    let (mut at_a, mut at_b) = (0, 0);
    for _ in 0..200 {
        let text = get(a.at(8080), "web.acme.example", "/", "").1;
        at_a += usize::from(text.contains("web a GET"));
        at_b += usize::from(text.contains("web b GET"));
    }
    assert_eq!(at_a + at_b, 200);
    assert!((120..=180).contains(&at_b), "3 of 4 for b: {at_b}");
    b.kill();
    for _ in 0..40 {
        assert!(answers(&a, "web a GET"));
    }
}

#[test]
fn nodes_whose_routes_point_at_each_other_do_not_send_a_request_round() {
    let Twice { lab, mut a, mut b, .. } = twice();
    let web = service("web.acme.example");
    a.planner.set_service(&web, ways(Protocol::Http, &[Via::Peer(b.name.clone())]));
    b.planner.set_service(&web, ways(Protocol::Http, &[Via::Peer(a.name.clone())]));
    a.tell();
    b.tell();
    [&a, &b].iter().for_each(|node| lab.settled(node));
    assert_eq!(get(a.at(8080), "web.acme.example", "/", "").0, 403);
}

#[test]
fn a_request_that_reads_is_asked_again_when_the_envoy_that_has_it_dies_and_one_that_writes_is_not() {
    let Twice { lab, mut a, mut b, .. } = twice();
    let web = service("web.acme.example");
    // It takes the request and says nothing.
    let silent = std::net::TcpListener::bind((b.ip, 0)).unwrap();
    b.planner.set_target(&web, Some(vec![silent.local_addr().unwrap()]));
    b.tell();
    lab.settled(&b);
    a.planner.set_service(&web, ways(Protocol::Http, &[Via::Peer(b.name.clone()), Via::Local]));
    a.tell();
    lab.settled(&a);
    let ask = |method: &'static str| {
        let at = a.at(8080);
        std::thread::spawn(move || {
            use std::io::{Read, Write};
            let mut stream = std::net::TcpStream::connect(at).unwrap();
            let head = format!(
                "{method} / HTTP/1.1\r\nHost: web.acme.example\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).unwrap();
            let mut answer = String::new();
            let _ = stream.read_to_string(&mut answer);
            answer
        })
    };
    let (read, write) = (ask("GET"), ask("POST"));
    let held = [silent.accept().unwrap(), silent.accept().unwrap()];
    b.kill();
    let (read, write) = (read.join().unwrap(), write.join().unwrap());
    assert!(read.starts_with("HTTP/1.1 200") && read.contains("web a GET"), "{read}");
    assert!(write.starts_with("HTTP/1.1 503"), "{write}");
    drop(held);
}
