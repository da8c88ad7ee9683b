use super::next_step as step;
use crate::admin::{ExposeRow, PeerRow, ServiceRow, Status};

const NOW: u64 = 1_000;

fn next_step(status: &Status) -> String {
    step(status, NOW)
}

pub(crate) fn peer(state: &str, address: &str, error: &str) -> PeerRow {
    PeerRow {
        name: "cloud-1.acme.example".into(),
        relation: "internal".into(),
        state: state.into(),
        address: address.into(),
        since_s: 0,
        routes: 0,
        max_routes: 10,
        #[cfg(feature = "mesh")]
        bytes: (0, 1_000),
        #[cfg(feature = "mesh")]
        near_limit: false,
        announced: 0,
        refused: 0,
        refused_more: false,
        refused_total: 0,
        refused_why: None,
        refused_by_peer: 0,
        digest: String::new(),
        digest_mismatches: 0,
        refreshes: 0,
        #[cfg(feature = "mesh")]
        interest: None,
        malformed: 0,
        denied: 0,
        withheld: String::new(),
        sessions: 0,
        stale: String::new(),
        last_error: error.into(),
        source: "file".into(),
        clones: String::new(),
        via: String::new(),
    }
}

pub(crate) fn status() -> Status {
    Status {
        node: "edge-1.acme.example".into(),
        build: "edge".into(),
        version: "0".into(),
        pid: 1,
        uptime_s: 0,
        incarnation: 1,
        peering: "0.0.0.0:1".into(),
        listens: false,
        certificate_until: NOW + 1,
        routes: (0, 10),
        remembered: (0, 0),
        flapping: (0, 0),
        routes_refused: 0,
        flows: (0, 10),
        flows_total: (0, 0),
        carried: (0, 0),
        flows_lost: (0, 0),
        denied: 0,
        udp: crate::admin::UdpRow::default(),
        #[cfg(feature = "mesh")]
        interest: None,
        peers: Vec::new(),
        services: Vec::new(),
        visibility: Vec::new(),
        visibility_left_out: 0,
        expose: Vec::new(),
        http: None,
        refused_connections: 0,
        sessions_ended: 0,
        malformed_frames: 0,
        joins_refused: 0,
        renewal_error: None,
        sandbox: Vec::new(),
        store_notice: None,
        owed: None,
        #[cfg(feature = "mesh")]
        envoy: None,
        #[cfg(feature = "mesh")]
        drain: None,
        next_step: String::new(),
    }
}

/// What is broken comes first, then what is missing, then what to try.
#[test]
fn the_next_step_is_the_one_that_helps() {
    let mut s = status();
    assert!(next_step(&s).contains("name a neighbour"), "{}", next_step(&s));
    s.peers = vec![peer("down", "gw:7443", "")];
    assert!(next_step(&s).contains("waiting for cloud-1.acme.example at gw:7443"), "{}", next_step(&s));
    s.peers = vec![peer("down", "dials us", "")];
    assert!(next_step(&s).contains("start cloud-1.acme.example"), "{}", next_step(&s));
    s.peers = vec![peer("down", "gw:7443", "no answer from 192.0.2.1:7443")];
    assert!(next_step(&s).contains("no answer from 192.0.2.1:7443"), "{}", next_step(&s));
    s.peers = vec![peer("up", "gw:7443", "")];
    assert!(next_step(&s).contains("offer a service"), "{}", next_step(&s));
    s.services = vec![ServiceRow {
        health: None,
        name: "inventory.acme.example".into(),
        protocol: "http".into(),
        target: "127.0.0.1:8080".into(),
        cost: 0,
        weight: 100,
        tags: Vec::new(),
        source: "file".into(),
        exported_to: Vec::new(),
        carried: (0, 0),
    }];
    assert!(next_step(&s).contains("expose add"), "{}", next_step(&s));
    let port = |state: &str| ExposeRow {
        source: "file".to_string(),
        service: "orders.globex.example".into(),
        listen: "127.0.0.1:9001".into(),
        port: "tcp".into(),
        protocol: "http:graphql".into(),
        state: state.into(),
        carried: Some((0, 0)),
    };
    s.expose = vec![port("reachable")];
    assert!(next_step(&s).contains("curl http://127.0.0.1:9001/"), "{}", next_step(&s));
    s.expose[0].protocol = "tcp".into();
    assert!(next_step(&s).contains("connect to 127.0.0.1:9001"), "{}", next_step(&s));
    s.expose = vec![port("no route for the service")];
    assert!(
        next_step(&s).contains("orders.globex.example is not reachable here: no route"),
        "{}",
        next_step(&s)
    );
    let mut full = peer("up", "gw:7443", "");
    full.refused = 3;
    full.refused_why = Some("the route table is full".into());
    s.peers = vec![full];
    assert!(next_step(&s).contains("the route table is full"), "{}", next_step(&s));
}

/// A node that turned a peer away says where to look; an expired certificate comes before anything else.
#[test]
fn a_refused_peer_is_not_called_absent() {
    let mut s = status();
    s.peers = vec![peer("down", "dials us", "the peer ended the session (shutdown): the node stops")];
    assert!(next_step(&s).contains("is down: the peer ended"), "{}", next_step(&s));
    s.refused_connections = 3;
    assert!(next_step(&s).contains("3 connection(s) were turned away"), "{}", next_step(&s));
    s.peers = vec![peer("down", "dials us", "")];
    assert!(next_step(&s).contains("the log says why"), "{}", next_step(&s));
    s.certificate_until = NOW;
    assert!(next_step(&s).contains("has expired"), "{}", next_step(&s));
}

/// A border without rules is not "all is well", and a port behind it names the list that is missing.
#[test]
fn a_missing_import_or_export_is_the_next_step() {
    let mut s = status();
    let mut border = peer("up", "gw:7443", "");
    border.name = "gateway-1.globex.example".into();
    border.relation = "provider".into();
    border.withheld = "nothing passes: neither 'exports' nor 'imports' names globex.example".into();
    s.peers = vec![border];
    assert!(
        next_step(&s).contains("gateway-1.globex.example is up, but nothing passes"),
        "{}",
        next_step(&s)
    );
    let port = ExposeRow {
        source: "file".to_string(),
        service: "orders.globex.example".into(),
        listen: "127.0.0.1:9001".into(),
        port: "tcp".into(),
        protocol: String::new(),
        state: "no route for this service".into(),
        carried: Some((0, 0)),
    };
    s.expose = vec![port];
    assert!(
        next_step(&s).contains("neither 'exports' nor 'imports' names globex.example"),
        "{}",
        next_step(&s)
    );
    s.peers[0].withheld = String::new();
    assert!(next_step(&s).contains("does gateway-1.globex.example export it"), "{}", next_step(&s));
    s.peers[0].withheld = "nothing goes to globex.example: no entry of 'exports' names it".into();
    s.expose[0].state = "reachable".into();
    assert!(next_step(&s).contains("all is well"), "{}", next_step(&s));
}
