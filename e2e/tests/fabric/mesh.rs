//! Cloud nodes whose traffic real Envoys carry.

use std::io::Write;
use std::net::{Shutdown, SocketAddr};

use catalyst_e2e::http::{self, Http};
use catalyst_e2e::tcp::{self, Service};
use catalyst_e2e::wait::{self, SOON};
use catalyst_e2e::{Fabric, Node, Org};

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
    let echo = || {
        let mut stream = tcp::try_connect(port).ok()?;
        stream.write_all(b"ping").ok()?;
        stream.shutdown(Shutdown::Write).ok()?;
        tcp::read_all(&stream).ok().filter(|got| got == b"ping")
    };
    wait::until("an echo", SOON, echo);
}
