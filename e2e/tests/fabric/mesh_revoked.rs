//! Nodes of one organisation with Envoys, of which one is revoked, or forgotten: its flows end, and those of others go on.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use catalyst_e2e::http::{self, Http, Ticks};
use catalyst_e2e::process::{both, output};
use catalyst_e2e::tcp::Service;
use catalyst_e2e::wait::{self, SOON};
use catalyst_e2e::{Build, Fabric, Node, Org};
use catalyst_identity::{
    Clock, Credentials, Fingerprint, NodeKey, PeerVerifier, TrustBundle, TrustStore, client_config,
};
use serde_json::json;

use super::join::{authority, invite};
use super::mesh_lines::wait_direct;
use super::mesh_orgs::{Flow, greeter};

/// Flows of a neighbour that is none any more end within this time.
const CUT: Duration = Duration::from_secs(1);
const WEB: &str = "web.acme.example";
const RAW: &str = "raw.acme.example";
const FAR: &str = "far.acme.example";

/// cloud-1 holds the root; cloud-2 and cloud-3 are its neighbours and each other's. Services are at the first two.
struct Three {
    fabric: Fabric,
    acme: Org,
    first: Node,
    second: Node,
    third: Node,
    web: Http,
    _raw: Service,
}

fn three() -> Three {
    let (web, raw) = (Http::start("web"), greeter());
    let fabric = Fabric::new();
    let acme = fabric.org("acme.example");
    let mut first = authority(&fabric, &acme);
    let [mut second, mut third] = ["cloud-2", "cloud-3"].map(|name| fabric.cloud(&acme, name));
    for node in [&mut first, &mut second, &mut third] {
        node.has_envoy();
    }
    second.joins(&mut first);
    third.joins(&mut first);
    third.joins(&mut second);
    first.offers("web", "http", web.address());
    first.offers("raw", "tcp", raw.address());
    second.offers("far", "tcp", raw.address());
    second.exposes(RAW);
    third.exposes(RAW);
    third.exposes(FAR);
    first.exposes(FAR);
    for node in [&mut first, &mut second, &mut third] {
        node.start();
    }
    Three { fabric, acme, first, second, third, web, _raw: raw }
}

fn ticks(node: &Node) -> Ticks {
    wait::until("ticks", SOON, || Ticks::open(node.ingress(), WEB).ok())
}

/// All that the third node has ends by this, and nothing else does.
#[track_caller]
fn ends_all_of_the_third(three: &Three, far: bool, what: impl FnOnce()) {
    let Three { first, second, third, .. } = three;
    // And not by way of the other neighbour, as long as a session is not there yet.
    wait_direct(third, RAW, first);
    wait_direct(third, WEB, first);
    wait_direct(second, RAW, first);
    wait_direct(second, WEB, first);
    wait_direct(first, FAR, second);
    let mut flows = vec![Flow::wait(third.wait_reachable(RAW))];
    if far {
        flows.push(Flow::wait(third.wait_reachable(FAR)));
    }
    let mut request = ticks(third);
    let mut others = [Flow::wait(second.wait_reachable(RAW)), Flow::wait(first.wait_reachable(FAR))];
    let mut other_request = ticks(second);
    let began = Instant::now();
    let flows = flows.into_iter().map(|mut flow| thread::spawn(move || flow.is_cut(SOON)));
    let waiting: Vec<_> = flows.chain([thread::spawn(move || request.is_cut(SOON))]).collect();
    what();
    let answered = began.elapsed();
    for (at, thread) in waiting.into_iter().enumerate() {
        assert!(thread.join().unwrap(), "{at} goes on");
        assert!(began.elapsed() < answered + CUT, "{at} ended after {:?}, {answered:?}", began.elapsed());
    }
    others.iter_mut().for_each(Flow::goes_on);
    assert!(other_request.goes_on());
}

/// The first byte of the head of the answer that somebody with this certificate gets at a mesh port: 0x88 stands for
/// `:status` 200 (RFC 7541, appendix A).
fn first_of_answer(key: &str, certificate: &str, acme: &Org, to: &Node, at: SocketAddr) -> Option<u8> {
    #[derive(Debug)]
    struct System;
    impl Clock for System {
        fn validity_unix(&self) -> u64 {
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
        }
    }
    let bundle = std::fs::read_to_string(acme.bundle()).unwrap();
    let trust = TrustStore::default();
    trust.insert(TrustBundle::from_pem(&bundle).unwrap()).unwrap();
    let credentials = Credentials::from_pem(certificate, &NodeKey::from_pem(key).unwrap()).unwrap();
    let own = credentials.name().clone();
    let verifier = PeerVerifier::new(trust, Arc::new(System));
    let mut config = client_config(&credentials, &verifier, &[b"h2"], false).unwrap();
    config.enable_sni = true;
    // The part of the port that is for this neighbour.
    let digest = Fingerprint::of(format!("{own}\0{}", to.full_name()).as_bytes());
    let part: String = digest.0[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    let name = format!("n{part}").try_into().unwrap();
    let mut client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut socket = TcpStream::connect(at).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    let mut tls = rustls::Stream::new(&mut client, &mut socket);
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    // No names of the table are longer than what is written here: each field is a literal without an index.
    let mut block = vec![0x82, 0x86, 0x84, 0x41, u8::try_from(WEB.len()).unwrap()];
    block.extend(WEB.as_bytes());
    let head = [0, 0, u8::try_from(block.len()).unwrap(), 1, 5, 0, 0, 0, 1];
    let all = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &settings[..], &head[..], &block[..]].concat();
    tls.write_all(&all).ok()?;
    loop {
        let mut head = [0; 9];
        tls.read_exact(&mut head).ok()?;
        let mut body = vec![0; usize::from(u16::from_be_bytes([head[1], head[2]]))];
        tls.read_exact(&mut body).ok()?;
        if head[3] == 1 {
            // What comes first may be the size of the table.
            return body.into_iter().find(|byte| byte & 0xE0 != 0x20);
        }
    }
}

#[test]
fn a_node_that_is_revoked_loses_all_its_flows_and_comes_back_with_its_new_key_alone() {
    let mut three = three();
    let mesh: SocketAddr = three.first.config["envoy"]["listen"].as_str().unwrap().parse().unwrap();
    let pem = |node: &Node, name: &str| std::fs::read_to_string(node.dir.join(name)).unwrap();
    let [key, certificate] = ["cloud-3.key", "cloud-3.crt"].map(|name| pem(&three.third, name));
    let ask = |three: &Three, key: &str, certificate: &str| {
        first_of_answer(key, certificate, &three.acme, &three.first, mesh)
    };
    ticks(&three.third);
    assert_eq!(ask(&three, &key, &certificate), Some(0x88));
    ends_all_of_the_third(&three, true, || {
        let out = three.first.cli(&["node", "revoke", "cloud-3"]);
        assert!(out.status.success(), "{}", both(&out));
    });
    assert_ne!(ask(&three, &key, &certificate), Some(0x88));
    three.third.kill();

    // The same name is invited anew, with a key of its own.
    let token = invite(&three.first, "cloud-3", &[]);
    let dir = three.fabric.dir().join("again");
    std::fs::create_dir_all(&dir).unwrap();
    let file = dir.join("catalyst.json");
    let out = output(three.fabric.command(Build::Cloud).arg("join").arg("-c").arg(file).arg(&token));
    assert!(out.status.success(), "{}", both(&out));
    let mut again = three.fabric.adopt(&three.acme, Build::Cloud, "cloud-3", dir);
    again.has_envoy();
    again.start();
    again.wait_up(&three.first);
    let answer = || http::get_at(again.ingress(), WEB).ok();
    assert_eq!(wait::until("an answer", SOON, answer), three.web.words());
    let before = three.web.requests();
    assert_ne!(ask(&three, &key, &certificate), Some(0x88), "the old key");
    // After a restart of the node that admits it, too.
    three.first.kill();
    three.first.start();
    again.wait_up(&three.first);
    assert_eq!(wait::until("an answer", SOON, answer), three.web.words());
    assert_ne!(ask(&three, &key, &certificate), Some(0x88), "the old key");
    assert_eq!(three.web.requests(), before + 1);
    let new = ["cloud-3.key", "cloud-3.crt"].map(|name| pem(&again, name));
    assert_eq!(ask(&three, &new[0], &new[1]), Some(0x88));
}

#[test]
fn a_neighbour_of_the_own_organisation_that_is_forgotten_loses_its_flows() {
    let three = three();
    ends_all_of_the_third(&three, false, || {
        three.first.ask(json!({ "do": "peer-remove", "name": three.third.full_name() }));
    });
}
