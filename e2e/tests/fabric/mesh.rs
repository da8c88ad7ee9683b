//! Cloud nodes whose traffic real Envoys carry.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use catalyst_e2e::http::{self, Client, Http};
use catalyst_e2e::process::Process;
use catalyst_e2e::tcp::{self, Service};
use catalyst_e2e::wait::{self, SOON};
use catalyst_e2e::{Fabric, Node, Org, udp};
use serde_json::{Value, json};

/// Two cloud nodes of one organisation, and the ingress of the first.
struct Meshed {
    _org: Org,
    a: Node,
    b: Node,
    ingress: SocketAddr,
}

fn meshed(configure: impl FnOnce(&mut Node, &mut Node)) -> Meshed {
    let fabric = Fabric::new();
    let org = fabric.org("acme.example");
    let mut a = fabric.cloud(&org, "a");
    let mut b = fabric.cloud(&org, "b");
    let ingress = a.has_envoy();
    b.has_envoy();
    a.joins(&mut b);
    configure(&mut a, &mut b);
    b.start();
    a.start();
    Meshed { _org: org, a, b, ingress }
}

#[test]
fn a_request_goes_from_envoy_to_envoy_and_both_logs_show_who_asked() {
    let web = Http::start("hello from b");
    let Meshed { a, b, ingress, .. } = meshed(|a, b| {
        b.offers("web", "http", web.address());
        a.exposes("web.acme.example");
    });
    let port = a.wait_reachable("web.acme.example");
    wait::until("an answer at the port", SOON, || http::get(port).ok().filter(|words| *words == web.words()));
    let by_host = || http::get_at(ingress, "web.acme.example").ok().filter(|words| *words == web.words());
    wait::until("an answer at the ingress", SOON, by_host);
    let shows = |log: String, caller: &str, cluster: &str| {
        log.lines().any(|line| line.contains(caller) && line.contains(cluster)).then_some(())
    };
    wait::until("a's access log", SOON, || {
        shows(a.access_log(), "spiffe://acme.example/node/a", "peer|b.acme.example")
    });
    wait::until("b's access log", SOON, || {
        shows(b.access_log(), "spiffe://acme.example/node/a", "local|web.acme.example")
    });
}

#[test]
fn a_connection_goes_from_envoy_to_envoy() {
    let service = Service::echo();
    let Meshed { a, b: _b, .. } = meshed(|a, b| {
        b.offers("raw", "tcp", service.address());
        a.exposes("raw.acme.example");
    });
    let port = a.wait_reachable("raw.acme.example");
    wait::until("an echo", SOON, || echo(port));
}

fn echo(port: SocketAddr) -> Option<()> {
    let mut stream = tcp::try_connect(port).ok()?;
    stream.write_all(b"ping").ok()?;
    stream.shutdown(Shutdown::Write).ok()?;
    tcp::read_all(&stream).ok().filter(|got| got == b"ping").map(|_| ())
}

fn answers(at: SocketAddr, host: &str, words: &str) -> Option<()> {
    http::get_at(at, host).ok().filter(|said| said == words).map(|_| ())
}

#[test]
fn packets_go_through_the_tunnel_beside_the_envoys() {
    let service = udp::Service::echo();
    let Meshed { a, b, .. } = meshed(|a, b| {
        b.offers("packets", "udp", service.address());
        a.exposes_udp("packets.acme.example");
    });
    let client = udp::Client::new(a.wait_reachable("packets.acme.example"));
    for size in [0, 1, 1_200, 9_000, 60_000] {
        client.echo(&tcp::pattern(size, 5));
    }
    assert_eq!(service.callers(), 1);
    assert_eq!(b.status()["udp"]["flows"][0], 1);
}

/// Every node has ports of its own, and a service of one has the number that the other gives to its local port.
#[test]
fn nodes_with_different_ranges_of_ports_carry_traffic_both_ways() {
    let (here, there) = (Http::start("here"), Http::start("there"));
    let raw = Service::echo();
    let Meshed { a, b, .. } = meshed(|a, b| {
        a.config["expose_ports"] = "9210-9219".into();
        b.config["expose_ports"] = "9220-9229".into();
        a.offers("here", "http", here.address());
        b.offers("there", "http", there.address());
        a.offers("raw", "tcp", raw.address());
    });
    let open = |node: &Node, service: &str| {
        let any = SocketAddr::new(node.fabric.ip(), 0).to_string();
        let expose = json!({ "service": service, "listen": any, "port": "tcp" });
        node.ask(json!({ "do": "expose-add", "expose": expose }));
        node.wait_reachable(service)
    };
    let [to_there, from_a] = ["there.acme.example", "here.acme.example"].map(|service| open(&a, service));
    let [to_here, to_raw] = ["here.acme.example", "raw.acme.example"].map(|service| open(&b, service));
    assert_eq!([to_there, from_a].map(|port| port.port()), [9210, 9211]);
    assert_eq!([to_here, to_raw].map(|port| port.port()), [9220, 9221]);
    for (port, web) in [(to_there, &there), (from_a, &here), (to_here, &here)] {
        wait::until("an answer", SOON, || answers(port, "any", web.words()));
    }
    wait::until("an echo", SOON, || echo(to_raw));
    assert_eq!((there.requests(), here.requests()), (1, 2), "each request reached its service once");
}

/// Both offer a service of one name; the other's goes.
#[test]
fn a_withdrawal_far_away_leaves_the_local_service_of_that_name_up() {
    let (ours, theirs) = (Http::start("ours"), Http::start("theirs"));
    let Meshed { a, b, ingress, .. } = meshed(|a, b| {
        a.offers("web", "http", ours.address());
        b.offers("web", "http", theirs.address());
        b.offers("raw", "tcp", theirs.address());
        a.exposes("web.acme.example");
    });
    let port = a.wait_reachable("web.acme.example");
    wait::until("an answer", SOON, || answers(ingress, "web.acme.example", "ours"));
    a.wait_routes("web.acme.example", "both", |rows| rows.len() == 2);
    let mut clients = [ingress, port].map(|at| Client::connect_for(at, "web.acme.example").unwrap());
    let mut ask = || clients.each_mut().map(|client| client.get().unwrap());
    assert_eq!(ask(), ["ours", "ours"]);
    for _ in 0..3 {
        b.remove("web");
        a.wait_routes("web.acme.example", "the own one alone", |rows| rows.len() == 1);
        assert_eq!(ask(), ["ours", "ours"]);
        b.add_service(json!({ "name": "web", "protocol": "http", "target": theirs.address().to_string() }));
        a.wait_routes("web.acme.example", "both again", |rows| rows.len() == 2);
        assert_eq!(ask(), ["ours", "ours"]);
    }
    // The far node is gone altogether.
    drop(b);
    wait::stays("the own service", Duration::from_millis(500), || ask() == ["ours", "ours"]);
    assert_eq!(theirs.requests(), 0);
}

#[test]
fn a_restart_keeps_the_ports_and_serves_before_anything_changes() {
    let (web, raw) = (Http::start("web"), Service::echo());
    let Meshed { mut a, b, ingress, .. } = meshed(|a, b| {
        b.offers("web", "http", web.address());
        a.offers("raw", "tcp", raw.address());
        a.exposes("web.acme.example");
        a.exposes("raw.acme.example");
    });
    let ports = |node: &Node| ["web", "raw"].map(|label| node.port(&format!("{label}.acme.example")));
    let before = ports(&a);
    let serves = || {
        answers(ingress, "web.acme.example", web.words())?;
        answers(before[0], "any", web.words())?;
        echo(before[1])
    };
    wait::until("everything is there", SOON, serves);
    for orderly in [true, false] {
        let envoy = a.envoy_pid();
        match orderly {
            true => drop(a.stop()),
            false => a.kill_all(),
        }
        wait::until("nobody listens", SOON, || tcp::try_connect(ingress).err());
        assert_eq!(a.envoy_pid(), None);
        a.start();
        wait::until("everything is there again", SOON, serves);
        assert_eq!(ports(&a), before);
        assert_ne!(a.envoy_pid(), envoy);
    }
    assert_eq!(b.peer(&a)["state"], "up");
}

/// What Envoy says on its admin socket.
fn admin(socket: &Path, question: &str) -> Option<String> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(tcp::PATIENCE)).unwrap();
    write!(stream, "GET {question} HTTP/1.1\r\nhost: envoy\r\nconnection: close\r\n\r\n").ok()?;
    let mut all = String::new();
    stream.read_to_string(&mut all).ok()?;
    Some(all.split_once("\r\n\r\n")?.1.to_owned())
}

/// An Envoy that was given the wrong socket, of another node's or of its own twin.
#[test]
fn two_envoys_never_share_a_configuration() {
    let (web, other) = (Http::start("web"), Http::start("other"));
    let Meshed { a, b, ingress, .. } = meshed(|a, _| a.offers("web", "http", web.address()));
    wait::until("an answer", SOON, || answers(ingress, "web.acme.example", web.words()));
    let folder = a.dir.join("second");
    fs::create_dir(&folder).unwrap();
    for (whose, says) in [(&b, "the xDS server serves"), (&a, "is connected already")] {
        let printed = String::from_utf8(whose.cli(&["envoy", "bootstrap"]).stdout).unwrap();
        let bootstrap = printed
            .replace(whose.dir.join("state/envoy/admin.sock").to_str().unwrap(), "@admin")
            .replace(whose.dir.to_str().unwrap(), a.dir.to_str().unwrap())
            .replace("@admin", folder.join("admin.sock").to_str().unwrap());
        let file = folder.join("envoy.json");
        fs::write(&file, bootstrap).unwrap();
        let mut command = Command::new(std::env::var("CATALYST_ENVOY").unwrap());
        command.arg("-c").arg(&file).args(["--disable-hot-restart", "--concurrency", "1"]);
        let _second = Process::start(&mut command, &folder.join("log"));
        wait::until(says, SOON, || fs::read_to_string(a.log()).unwrap().contains(says).then_some(()));
        let socket = folder.join("admin.sock");
        let listeners = wait::until("its admin socket", SOON, || admin(&socket, "/listeners"));
        // A line a listener: `name::address`.
        assert!(!listeners.contains("::"), "it was told something: {listeners}");
        // The right one goes on, and hears of what is new.
        let label = format!("new-{}", whose.name);
        a.add_service(json!({ "name": label, "protocol": "http", "target": other.address().to_string() }));
        wait::until("the new service", SOON, || answers(ingress, &format!("{label}.acme.example"), "other"));
        assert_eq!(answers(ingress, "web.acme.example", web.words()), Some(()));
        assert!(!admin(&socket, "/listeners").unwrap().contains("::"));
    }
    // And those of two nodes have each the listeners of their own node alone.
    let own = |node: &Node| admin(&node.dir.join("state/envoy/admin.sock"), "/listeners").unwrap();
    assert!(own(&a).contains(&ingress.to_string()) && !own(&b).contains(&ingress.to_string()));
}

/// A node without an Envoy beside one that has one, and the same node with one after a restart.
#[test]
fn a_node_without_an_envoy_is_reached_by_the_tunnel_and_gets_one_by_a_restart() {
    let (ours, theirs) = (Http::start("ours"), Http::start("theirs"));
    let raw = Service::echo();
    let Meshed { a, mut b, ingress, .. } = meshed(|a, b| {
        b.has_no_envoy();
        a.offers("ours", "http", ours.address());
        b.offers("theirs", "http", theirs.address());
        for (node, label) in [(&mut *a, "raw-a"), (&mut *b, "raw-b")] {
            node.offers(label, "tcp", raw.address());
        }
        a.exposes("raw-b.acme.example");
        b.exposes("raw-a.acme.example");
    });
    let there = b.ingress();
    let (to_b, to_a) = (a.port("raw-b.acme.example"), b.port("raw-a.acme.example"));
    let all = || {
        answers(ingress, "theirs.acme.example", theirs.words())?;
        answers(there, "ours.acme.example", ours.words())?;
        echo(to_a).and_then(|()| echo(to_b))
    };
    for (mode, cluster) in
        [("off", "node|theirs.acme.example"), ("managed", "peer|b.acme.example"), ("off", "")]
    {
        if b.config["envoy"]["mode"] != mode {
            b.stop();
            b.config["envoy"]["mode"] = mode.into();
            b.start();
        }
        wait::until(&format!("all of it with {mode}"), SOON, all);
        assert_eq!(b.envoy_pid().is_some(), mode == "managed");
        if !cluster.is_empty() {
            a.wait_logged(&[("authority", "theirs.acme.example"), ("status", "200"), ("cluster", cluster)]);
        }
        assert_eq!(a.peer(&b)["state"], Value::from("up"));
    }
}
