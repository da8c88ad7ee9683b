//! Changes under load: nobody notices what does not concern him, and what is withdrawn ends at once.

use std::io::Read;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use catalyst_dataplane::{Caller, Via, key_mark};
use catalyst_names::Protocol;

use crate::http1::Http1;
use crate::lab::{Lab, Node, alone, join, service, until, ways};
use crate::peers::{Served, echoes, greeted, greeted_at_last, greeter, served};

const WEB: &str = "web.acme.example";
const DB: &str = "db.acme.example";

/// Answers, and under `/tick` never stops.
fn ticker(ip: IpAddr) -> Served {
    served(ip, |stream| {
        let mut peer = Http1::of(stream);
        while let Some(request) = peer.head() {
            if !request.head.starts_with("GET /tick ") {
                peer.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
                continue;
            }
            peer.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            while peer.out.write_all(b"1\r\n.\r\n").is_ok() {
                thread::sleep(Duration::from_millis(10));
            }
            return;
        }
    })
}

/// Keep-alive clients, and how many answers they got. A wrong answer or a closed connection ends the test.
struct Hammer {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<()>>,
}

impl Hammer {
    fn on(places: &[SocketAddr]) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let client = |at: &SocketAddr| {
            let (stop, done, at) = (stop.clone(), done.clone(), *at);
            thread::spawn(move || {
                let mut client = Http1::dial(at);
                while !stop.load(Ordering::Relaxed) {
                    let answer = client.get(WEB, "/", "").unwrap_or_else(|| panic!("{at}: closed"));
                    assert_eq!(answer.status(), 200, "{at}: {answer:?}");
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        Hammer { clients: places.iter().map(client).collect(), stop, done }
    }

    /// How many were answered; none was not.
    fn end(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.clients.into_iter().for_each(|client| client.join().expect("a client failed"));
        self.done.load(Ordering::Relaxed)
    }
}

/// `g` of another organisation calls through `a`, whose way leads on to `b`; `i` is of a third organisation.
struct Line {
    lab: Lab,
    a: Node,
    b: Node,
    g: Node,
    i: Node,
    served: Vec<Served>,
}

fn line() -> Line {
    let lab = Lab::new(&["acme.example", "globex.example", "initech.example"]);
    let mut a = lab.node(1, "a.acme.example");
    let mut b = lab.node(2, "b.acme.example");
    let mut g = lab.node(3, "g.globex.example");
    let mut i = lab.node(4, "i.initech.example");
    join(&mut a, &mut b);
    join(&mut a, &mut g);
    join(&mut a, &mut i);
    let mut kept = Vec::new();
    for (name, protocol) in [(WEB, Protocol::Http), (DB, Protocol::Tcp)] {
        let name = service(name);
        for node in [&mut a, &mut b] {
            let here = if protocol == Protocol::Tcp { greeter(node.ip, "db") } else { ticker(node.ip) };
            node.planner.set_target(&name, Some(vec![here.at]));
            kept.push(here);
        }
        b.planner.set_service(&name, ways(protocol, &[Via::Local]));
        a.planner.set_service(&name, ways(protocol, &[b.via()]));
        for node in [&mut g, &mut i] {
            a.planner.set_grant(&node.name, &name, true);
            node.planner.set_service(&name, ways(protocol, &[a.via()]));
        }
    }
    for node in [&mut a, &mut g, &mut i] {
        node.planner.open_port(&service(DB), node.at(9002));
    }
    for node in [&mut b, &mut a, &mut g, &mut i] {
        node.tell();
        lab.settled(node);
    }
    Line { lab, a, b, g, i, served: kept }
}

fn held(node: &Node) -> TcpStream {
    greeted(node.at(9002), "220 db\n")
        .unwrap_or_else(|| panic!("{}: {}{}", node.name, node.log_text(), node.access_log()))
}

/// An answer that goes on for ever, of which the beginning is here.
fn ticking(node: &Node) -> Http1 {
    let mut client = Http1::dial(node.at(8080));
    client.say(&format!("GET /tick HTTP/1.1\r\nHost: {WEB}\r\n\r\n"));
    assert_eq!(client.head().unwrap().status(), 200);
    dots(&mut client);
    client
}

/// What came since, one or more; several may have become one chunk on the way.
fn dots(client: &mut Http1) -> usize {
    let chunk = client.chunk();
    assert!(!chunk.is_empty() && chunk.iter().all(|b| *b == b'.'), "{chunk:?}");
    chunk.len()
}

/// The time until an answer is cut.
fn cut(client: &mut Http1, since: Instant) -> Duration {
    let mut buffer = [0; 4096];
    while let Ok(1..) = client.lines.read(&mut buffer) {
        assert!(since.elapsed() < Duration::from_secs(5), "it goes on");
    }
    since.elapsed()
}

#[test]
fn a_hundred_changes_in_ten_seconds_are_noticed_by_nobody() {
    let _alone = alone();
    let Line { lab, mut a, mut b, g, i, served } = line();
    let mut flows: Vec<TcpStream> = [&a, &g, &i].into_iter().map(held).collect();
    let mut answers: Vec<Http1> = [&a, &g].into_iter().map(ticking).collect();
    let places = [a.at(8080), g.at(8080), i.at(8080), a.at(8080)];
    let hammer = Hammer::on(&places);
    let began = Instant::now();
    let stranger = "stranger.globex.example".parse().unwrap();
    let (web_b, db_b) = (served[1].at, served[3].at);
    let (to_b, here) = (b.via(), Via::Local);
    for n in 0..100_u32 {
        let other = service(&format!("other{}.acme.example", n / 20));
        let on = n / 10 % 2 == 0;
        match n % 10 {
            // The endpoints of the services in use, in one way and another.
            0 => b.planner.set_target(&service(WEB), Some(if on { vec![web_b, web_b] } else { vec![web_b] })),
            1 => b.planner.set_target(&service(DB), Some(if on { vec![db_b, db_b] } else { vec![db_b] })),
            2 => b.planner.set_target(&other, on.then(|| vec![db_b])),
            3 => b.planner.set_service(&other, ways(Protocol::Tcp, if on { &[Via::Local] } else { &[] })),
            4 => a.planner.set_service(&other, ways(Protocol::Http, std::slice::from_ref(&to_b))),
            // The ways of the services in use: another, two, and back; for flows that are there, a former one.
            5 | 8 => {
                let vias = match n / 10 % 3 {
                    0 => vec![here.clone()],
                    1 => vec![to_b.clone(), here.clone()],
                    _ => vec![to_b.clone()],
                };
                a.planner.set_service(&service(WEB), ways(Protocol::Http, &vias));
                a.planner.set_service(&service(DB), ways(Protocol::Tcp, &vias));
            }
            6 if on => a.planner.open_port(&other, a.at(9100)),
            6 => a.planner.close_port(&other, a.at(9100)),
            // Grants of others, to the same organisation and beside it.
            7 => a.planner.set_grant(&g.name, &other, on),
            _ => {
                a.planner.set_neighbour(&stranger, on.then(Vec::new));
                a.planner.set_grant(&stranger, &service(WEB), on);
            }
        }
        a.tell();
        b.tell();
        let next = began + Duration::from_millis(100) * (n + 1);
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    [&a, &b].iter().for_each(|node| lab.settled(node));
    for (at, flow) in flows.iter_mut().enumerate() {
        assert!(echoes(flow), "flow {at}");
    }
    for answer in &mut answers {
        // All that came in ten seconds, and more of it.
        let mut came = 0;
        while came < 300 {
            came += dots(answer);
        }
    }
    let done = hammer.end();
    println!("{done} requests while 100 things changed");
    assert!(done > 400, "{done}");
}

#[test]
fn a_grant_that_is_withdrawn_ends_its_requests_and_flows_and_no_others() {
    let Line { lab, mut a, b: _b, g, i, served: _served } = line();
    let mut others: Vec<TcpStream> = [&a, &i].into_iter().map(held).collect();
    let mut going_on: Vec<Http1> = [&a, &i].into_iter().map(ticking).collect();
    let hammer = Hammer::on(&[a.at(8080), i.at(8080)]);
    let mut flow = held(&g);
    let mut answer = ticking(&g);
    a.planner.set_grant(&g.name, &service(DB), false);
    let told = Instant::now();
    a.tell();
    assert_eq!(flow.read(&mut [0; 8]).unwrap_or(0), 0, "the flow ends");
    let flow_took = told.elapsed();
    // What it may still use goes on.
    dots(&mut answer);
    a.planner.set_grant(&g.name, &service(WEB), false);
    let told = Instant::now();
    a.tell();
    let answer_took = cut(&mut answer, told);
    println!("cut: a flow after {flow_took:?}, an answer after {answer_took:?}");
    assert!(flow_took < Duration::from_secs(1), "{flow_took:?}");
    assert!(answer_took < Duration::from_secs(1), "{answer_took:?}");
    lab.settled(&a);
    assert!(greeted(g.at(9002), "220 db\n").is_none());
    assert_eq!(Http1::dial(g.at(8080)).get(WEB, "/", "").unwrap().status(), 403);
    let before = hammer.done.load(Ordering::Relaxed);
    until("others go on", || hammer.done.load(Ordering::Relaxed) > before + 50);
    others.iter_mut().for_each(|flow| assert!(echoes(flow)));
    going_on.iter_mut().for_each(|answer| assert!(dots(answer) > 0));
    hammer.end();
}

#[test]
fn flows_of_former_ways_live_on_and_end_with_their_grant() {
    let Line { lab, mut a, b, g, i: _i, served: _served } = line();
    let mut flows = vec![held(&g)];
    let mut answers = vec![ticking(&g)];
    for vias in [vec![Via::Local], vec![b.via(), Via::Local], vec![Via::Local], vec![b.via()]] {
        a.planner.set_service(&service(WEB), ways(Protocol::Http, &vias));
        a.planner.set_service(&service(DB), ways(Protocol::Tcp, &vias));
        a.tell();
        lab.settled(&a);
        flows.push(held(&g));
        answers.push(ticking(&g));
        flows.iter_mut().enumerate().for_each(|(at, flow)| assert!(echoes(flow), "{at} {vias:?}"));
        answers.iter_mut().for_each(|answer| assert!(dots(answer) > 0));
    }
    a.planner.set_grant(&g.name, &service(WEB), false);
    a.planner.set_grant(&g.name, &service(DB), false);
    let told = Instant::now();
    a.tell();
    for flow in &mut flows {
        assert_eq!(flow.read(&mut [0; 8]).unwrap_or(0), 0, "the flow ends");
    }
    for answer in &mut answers {
        cut(answer, told);
    }
    assert!(told.elapsed() < Duration::from_secs(1), "{:?}", told.elapsed());
}

/// `b`, `c` and `d` of one organisation, and `g` of another, call services of `a`.
fn star() -> (Lab, Node, Vec<Node>, Vec<Served>) {
    let lab = Lab::new(&["acme.example", "globex.example"]);
    let mut a = lab.node(1, "a.acme.example");
    let callers = ["b.acme.example", "c.acme.example", "d.acme.example", "g.globex.example"];
    let mut callers: Vec<Node> = (2..).zip(callers).map(|(at, name)| lab.node(at, name)).collect();
    let mut kept = Vec::new();
    for (name, protocol) in [(WEB, Protocol::Http), (DB, Protocol::Tcp)] {
        let name = service(name);
        let here = if protocol == Protocol::Tcp { greeter(a.ip, "db") } else { ticker(a.ip) };
        a.planner.set_target(&name, Some(vec![here.at]));
        a.planner.set_service(&name, ways(protocol, &[Via::Local]));
        kept.push(here);
        for node in &mut callers {
            node.planner.set_service(&name, ways(protocol, &[a.via()]));
        }
        a.planner.set_grant(&callers[3].name, &name, true);
    }
    for node in &mut callers {
        node.planner.open_port(&service(DB), node.at(9002));
        join(&mut a, node);
        lab.settled(node);
    }
    lab.settled(&a);
    (lab, a, callers, kept)
}

#[test]
fn a_neighbour_that_goes_or_whose_key_is_another_loses_all_its_flows_and_others_lose_none() {
    let (lab, mut a, callers, _served) = star();
    let mut flows: Vec<TcpStream> = callers.iter().map(held).collect();
    let mut answers: Vec<Http1> = callers.iter().map(ticking).collect();
    let hammer = Hammer::on(&callers[2..].iter().map(|node| node.at(8080)).collect::<Vec<_>>());
    let key = key_mark(&[0x4B; 12]);
    let forget: fn(&mut Node, &Node, &str) = |a, b, _| a.planner.set_neighbour(&b.name, None);
    let rekey: fn(&mut Node, &Node, &str) =
        |a, b, key| a.planner.set_caller(&b.name, Caller { key: Some(key.to_owned()), silent: false });
    // Who is no neighbour is told so; who shows another key than the one that is known does not get so far.
    for (at, (what, status)) in [(forget, 403), (rekey, 503)].into_iter().enumerate() {
        let (mut flow, mut answer) = (flows.remove(0), answers.remove(0));
        what(&mut a, &callers[at], &key);
        let told = Instant::now();
        a.tell();
        assert_eq!(flow.read(&mut [0; 8]).unwrap_or(0), 0, "the flow ends");
        let flow_took = told.elapsed();
        let answer_took = cut(&mut answer, told);
        println!("cut: a flow after {flow_took:?}, an answer after {answer_took:?}");
        assert!(flow_took < Duration::from_secs(1), "{flow_took:?}");
        assert!(answer_took < Duration::from_secs(1), "{answer_took:?}");
        lab.settled(&a);
        assert!(greeted(callers[at].at(9002), "220 db\n").is_none());
        assert_eq!(Http1::dial(callers[at].at(8080)).get(WEB, "/", "").unwrap().status(), status);
        flows.iter_mut().enumerate().for_each(|(n, flow)| assert!(echoes(flow), "{n}"));
        answers.iter_mut().for_each(|answer| assert!(dots(answer) > 0));
    }
    // So they do when somebody comes.
    let new = "n.acme.example".parse().unwrap();
    a.planner.set_neighbour(&new, Some(Vec::new()));
    a.planner.set_caller(&new, Caller { key: None, silent: true });
    a.tell();
    lab.settled(&a);
    flows.iter_mut().for_each(|flow| assert!(echoes(flow)));
    answers.iter_mut().for_each(|answer| assert!(dots(answer) > 0));
    let done = hammer.end();
    assert!(done > 50, "{done}");
    let stats = lab.stats(&a, "listener_manager.listener_(modified|in_place_updated)");
    assert!(stats.values().sum::<u64>() >= 2, "{stats:?}");
}

#[test]
fn one_of_two_nodes_of_an_organisation_that_loses_a_service_loses_its_flows() {
    let lab = Lab::new(&["acme.example", "globex.example"]);
    let mut a = lab.node(1, "a.acme.example");
    let mut callers = [2, 3].map(|at| lab.node(at, &format!("g{at}.globex.example")));
    let mut kept = Vec::new();
    for (name, protocol) in [(WEB, Protocol::Http), (DB, Protocol::Tcp)] {
        let name = service(name);
        let here = if protocol == Protocol::Tcp { greeter(a.ip, "db") } else { ticker(a.ip) };
        a.planner.set_target(&name, Some(vec![here.at]));
        a.planner.set_service(&name, ways(protocol, &[Via::Local]));
        kept.push(here);
        for node in &mut callers {
            node.planner.set_service(&name, ways(protocol, &[a.via()]));
            a.planner.set_grant(&node.name, &name, true);
        }
    }
    for node in &mut callers {
        node.planner.open_port(&service(DB), node.at(9002));
        join(&mut a, node);
        lab.settled(node);
    }
    lab.settled(&a);
    let [first, second] = &callers;
    let (mut flow, mut answer) = (held(first), ticking(first));
    let mut stays = ticking(second);
    // One service of two: what is left goes on, of both.
    a.planner.set_grant(&first.name, &service(DB), false);
    let told = Instant::now();
    a.tell();
    assert_eq!(flow.read(&mut [0; 8]).unwrap_or(0), 0, "the flow ends");
    let flow_took = told.elapsed();
    lab.settled(&a);
    dots(&mut answer);
    assert!(greeted(first.at(9002), "220 db\n").is_none());
    let mut others = held(second);
    // The last one: nobody else notices anything.
    a.planner.set_grant(&first.name, &service(WEB), false);
    let told = Instant::now();
    a.tell();
    let answer_took = cut(&mut answer, told);
    println!("cut: a flow after {flow_took:?}, an answer after {answer_took:?}");
    assert!(flow_took < Duration::from_secs(1), "{flow_took:?}");
    assert!(answer_took < Duration::from_secs(1), "{answer_took:?}");
    lab.settled(&a);
    until("it is refused", || {
        Http1::dial(first.at(8080)).get(WEB, "/", "").is_some_and(|answer| answer.status() == 503)
    });
    assert!(echoes(&mut others) && dots(&mut stays) > 0);
    // It may again.
    a.planner.set_grant(&first.name, &service(DB), true);
    a.tell();
    lab.settled(&a);
    until("it is let in", || greeted(first.at(9002), "220 db\n").is_some());
    assert!(echoes(&mut others) && dots(&mut stays) > 0);
}

#[test]
fn a_neighbour_that_goes_does_not_wait_for_services_that_are_being_loaded() {
    let _alone = alone();
    let (lab, mut a, callers, _served) = star();
    let (mut flow, mut answer) = (held(&callers[0]), ticking(&callers[0]));
    let mut stays = held(&callers[1]);
    for n in 0..4_000 {
        let name = service(&format!("s{n}.acme.example"));
        a.planner.set_target(&name, Some(vec![a.at(9)]));
        a.planner.set_service(&name, ways(Protocol::Http, &[Via::Local]));
    }
    a.tell();
    until("it is being loaded", || a.publisher.status().in_flight > 0);
    a.planner.set_neighbour(&callers[0].name, None);
    let told = Instant::now();
    a.tell();
    assert_eq!(flow.read(&mut [0; 8]).unwrap_or(0), 0, "the flow ends");
    let flow_took = told.elapsed();
    let answer_took = cut(&mut answer, told);
    let waiting = a.publisher.status().waiting;
    println!("cut: a flow after {flow_took:?}, an answer after {answer_took:?}; {waiting} wait");
    assert!(waiting > 500, "the load is over: {waiting}");
    assert!(flow_took < Duration::from_secs(1), "{flow_took:?}");
    assert!(answer_took < Duration::from_secs(1), "{answer_took:?}");
    assert!(echoes(&mut stays));
    lab.wait(a.publisher.settled());
    assert!(a.publisher.status().last_nack.is_none());
}

/// The port of a service leads to one neighbour at once, or to where the scope says: what stands is not moved.
#[test]
fn connections_of_a_port_outlive_every_change_of_its_ways() {
    let lab = Lab::new(&["acme.example"]);
    let [mut a, mut b, mut c] =
        [(1, "a"), (2, "b"), (3, "c")].map(|(at, n)| lab.node(at, &format!("{n}.acme.example")));
    join(&mut a, &mut b);
    join(&mut a, &mut c);
    let db = service(DB);
    let _bases = [(&mut b, "db b"), (&mut c, "db c")].map(|(node, name)| {
        let base = greeter(node.ip, name);
        node.planner.set_target(&db, Some(vec![base.at]));
        node.planner.set_service(&db, ways(Protocol::Tcp, &[Via::Local]));
        node.tell();
        lab.settled(node);
        base
    });
    let base = greeter(a.ip, "db a");
    a.planner.open_port(&db, a.at(9002));
    a.tell();
    lab.settled(&a);
    assert!(greeted(a.at(9002), "220 db\n").is_none(), "there is no way yet");
    a.planner.set_target(&db, Some(vec![base.at]));
    let (to_b, to_c) = (b.via(), c.via());
    let steps: &[(&[Via], &str)] = &[
        (std::slice::from_ref(&to_b), "220 db b\n"),
        (std::slice::from_ref(&to_c), "220 db c\n"),
        (&[to_b.clone(), to_c.clone()], "220 db b\n"),
        (&[Via::Local], "220 db a\n"),
        (&[to_c.clone(), Via::Local], "220 db c\n"),
        (std::slice::from_ref(&to_b), "220 db b\n"),
    ];
    let mut held = Vec::new();
    for (vias, greeting) in steps {
        a.planner.set_service(&db, ways(Protocol::Tcp, vias));
        a.tell();
        lab.settled(&a);
        held.push(greeted_at_last(a.at(9002), greeting));
        assert!(held.iter_mut().all(echoes), "{vias:?}");
    }
    a.planner.set_service(&db, ways(Protocol::Tcp, &[]));
    a.tell();
    lab.settled(&a);
    until("the service is gone", || greeted(a.at(9002), "220 db b\n").is_none());
    assert!(held.iter_mut().all(echoes), "what stands goes on");
    // A neighbour that refuses is not asked for ever, and the log says so.
    b.planner.set_service(&db, ways(Protocol::Tcp, &[]));
    b.tell();
    lab.settled(&b);
    a.planner.set_service(&db, ways(Protocol::Tcp, &[to_b]));
    a.tell();
    lab.settled(&a);
    until("it refuses", || greeted(a.at(9002), "220 db b\n").is_none());
    until("a line about the refusal", || {
        let log = a.access_log();
        let mut lines = log.lines();
        lines.any(|l| {
            l.contains("\"door\":\"port\"")
                && l.contains("\"status\":\"503\"")
                && l.contains("tunnel_response:40")
        })
    });
    drop(held);
    until("a line about what went well", || {
        let log = a.access_log();
        let mut lines = log.lines();
        lines.any(|l| {
            [
                "\"door\":\"port\"",
                "\"status\":\"200\"",
                "db.acme.example:1",
                "peer|c.acme.example",
                "spiffe://acme.example/node/c",
            ]
            .iter()
            .all(|part| l.contains(part))
        })
    });
}
