//! Organisations whose cloud nodes have Envoys: what passes between them, what is refused, and what a withdrawn
//! permission ends.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use catalyst_e2e::h2::{Call, Echo};
use catalyst_e2e::http::{self, Http, Ticks};
use catalyst_e2e::tcp::{self, Service};
use catalyst_e2e::wait::{self, SOON};
use catalyst_e2e::{Fabric, Node, Org};
use serde_json::json;

/// What a service of TCP says first.
const BANNER: &[u8] = b"220 banner\n";
/// A withdrawn permission ends its flows within this time.
const CUT: Duration = Duration::from_secs(1);

/// Sends its banner, then all that it gets.
pub(crate) fn greeter() -> Service {
    Service::start(|mut stream| {
        if stream.write_all(BANNER).is_err() {
            return;
        }
        let mut buffer = [0; 1024];
        while let Ok(n @ 1..) = stream.read(&mut buffer) {
            if stream.write_all(&buffer[..n]).is_err() {
                return;
            }
        }
    })
}

/// Two organisations that have agreed with `acme`; all three have a node with an Envoy. `globex` and `initech` see what
/// `acme` exports.
struct Three {
    _fabric: Fabric,
    acme: Node,
    globex: Node,
    initech: Node,
    web: Http,
    grpc: Echo,
    raw: Service,
}

/// All three services go to globex, `raw` to initech; `secret` to nobody.
fn three() -> Three {
    let (web, grpc, raw) = (Http::start("web"), Echo::start(), greeter());
    let fabric = Fabric::new();
    let orgs: [Org; 3] = ["acme.example", "globex.example", "initech.example"].map(|name| fabric.org(name));
    let [mut acme, mut globex, mut initech] = [("hub", &orgs[0]), ("gate", &orgs[1]), ("door", &orgs[2])]
        .map(|(name, org)| fabric.cloud(org, name));
    acme.has_envoy();
    for (other, org) in [(&mut globex, &orgs[1]), (&mut initech, &orgs[2])] {
        other.has_envoy();
        let parties = [&orgs[0], org].map(|org| json!({ "org": org.name, "role": "peer" }));
        let agreement = fabric.agreement(&format!("{}.json", org.name), parties);
        acme.awaits_under(other, &agreement);
        other.dials_under(&acme, &agreement);
        other.imports("*", &orgs[0]);
        for label in ["raw", "other"] {
            other.exposes(&orgs[0].service(label));
        }
    }
    acme.offers("web", "http", web.address());
    acme.offers("grpc", "http:grpc", grpc.address());
    acme.offers("secret", "http", web.address());
    for label in ["raw", "other"] {
        acme.offers(label, "tcp", raw.address());
        acme.exports(label, &orgs[1]);
    }
    acme.exports("raw", &orgs[2]);
    acme.exports("web", &orgs[1]);
    acme.exports("web", &orgs[2]);
    acme.exports("grpc", &orgs[1]);
    for node in [&mut acme, &mut globex, &mut initech] {
        node.start();
    }
    Three { _fabric: fabric, acme, globex, initech, web, grpc, raw }
}

/// A flow of TCP whose both ways are open.
pub(crate) struct Flow(TcpStream);

impl Flow {
    pub(crate) fn open(at: SocketAddr) -> Option<Flow> {
        let mut stream = tcp::try_connect(at).ok()?;
        let mut banner = [0; BANNER.len()];
        stream.read_exact(&mut banner).ok()?;
        (banner == BANNER).then_some(Flow(stream))
    }

    #[track_caller]
    pub(crate) fn wait(at: SocketAddr) -> Flow {
        wait::until(&format!("a greeting at {at}"), SOON, || Flow::open(at))
    }

    #[track_caller]
    pub(crate) fn goes_on(&mut self) {
        self.0.write_all(b"still?").unwrap();
        let mut back = [0; 6];
        self.0.read_exact(&mut back).unwrap();
        assert_eq!(&back, b"still?");
    }

    /// Whether it ends within this time; the client says nothing.
    pub(crate) fn is_cut(&mut self, limit: Duration) -> bool {
        self.0.set_read_timeout(Some(limit)).unwrap();
        match self.0.read(&mut [0]) {
            Ok(n) => n == 0,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

fn call(at: SocketAddr, host: &str) -> Option<Call> {
    let mut call = Call::open(at, host, &[], b"hello").ok().filter(|call| call.status() == 200)?;
    (call.hear().ok()? == b"hello").then_some(call)
}

/// One of each kind that globex holds, and those that have nothing to do with it.
struct Held {
    raw: Flow,
    ticks: Ticks,
    call: Call,
    other: Flow,
    of_initech: Flow,
    ticks_of_initech: Ticks,
}

impl Held {
    #[track_caller]
    fn all(three: &Three) -> Held {
        let Three { globex, initech, .. } = three;
        let port = |node: &Node, label: &str| node.wait_reachable(&format!("{label}.acme.example"));
        let ticks =
            |node: &Node| wait::until("ticks", SOON, || Ticks::open(node.ingress(), "web.acme.example").ok());
        Held {
            raw: Flow::wait(port(globex, "raw")),
            ticks: ticks(globex),
            call: wait::until("a call", SOON, || call(globex.ingress(), "grpc.acme.example")),
            other: Flow::wait(port(globex, "other")),
            of_initech: Flow::wait(port(initech, "raw")),
            ticks_of_initech: ticks(initech),
        }
    }
}

fn rule(three: &Three, what: &str, label: &str) {
    let rule = json!({ "direction": "export", "org": "globex.example", "service": label });
    three.acme.ask(json!({ "do": what, "rule": rule }));
}

#[test]
fn what_is_exported_passes_both_envoys_and_each_log_names_the_neighbour() {
    let three = three();
    let Three { acme, globex, web, .. } = &three;
    let words = |at| http::get_at(at, "web.acme.example").ok().filter(|words| words == web.words());
    wait::until("an answer", SOON, || words(globex.ingress()));
    let (status, head) =
        http::ask(globex.ingress(), "web.acme.example", "/head", &["x-catalyst-caller: x"]).unwrap();
    let caller = format!("x-catalyst-caller: {}\n", globex.spiffe());
    assert!(status == 200 && head.contains(&caller) && !head.contains("caller: x"), "{head}");
    let mut flow = Flow::wait(globex.wait_reachable("raw.acme.example"));
    flow.goes_on();
    drop(flow);
    for authority in ["web.acme.example", "raw.acme.example:1"] {
        globex.wait_logged(&[("authority", authority), ("peer", &acme.spiffe()), ("status", "200")]);
        acme.wait_logged(&[("door", "mesh"), ("authority", authority), ("caller", &globex.spiffe())]);
    }
    // No way, no scope: what was never exported has no name there.
    assert_eq!(http::ask(globex.ingress(), "secret.acme.example", "/", &[]).unwrap().0, 404);
}

/// The neighbour's Envoy goes on asking, for its node hears of nothing.
#[test]
fn a_caller_without_permission_is_refused_before_the_service_sees_a_connection() {
    let mut three = three();
    let mut held = Held::all(&three);
    let (ingress, port) = (three.globex.ingress(), three.globex.port("raw.acme.example"));
    three.globex.freeze();
    for label in ["raw", "web", "grpc"] {
        rule(&three, "rule-remove", label);
    }
    assert!(held.raw.is_cut(CUT));
    let taken = three.raw.taken();
    let (requests, connections) = (three.web.requests(), three.web.connections());
    wait::until("the request is refused", SOON, || {
        (http::ask(ingress, "web.acme.example", "/", &[]).ok()?.0 == 403).then_some(())
    });
    // It says nothing: a service that speaks first would have spoken.
    for _ in 0..5 {
        let silent = tcp::connect(port);
        let got = tcp::read_all(&silent).unwrap_or_default();
        assert_eq!(got, b"", "the banner reached a stranger");
    }
    assert_eq!(three.raw.taken(), taken);
    assert_eq!((three.web.requests(), three.web.connections()), (requests, connections));
    for authority in ["web.acme.example", "raw.acme.example:1"] {
        let caller = three.globex.spiffe();
        three.acme.wait_logged(&[("authority", authority), ("caller", &caller), ("status", "403")]);
    }
    three.globex.thaw();
}

#[test]
fn a_withdrawn_export_ends_its_own_flows_and_no_others() {
    let three = three();
    let mut held = Held::all(&three);
    rule(&three, "rule-remove", "raw");
    assert!(held.raw.is_cut(CUT), "TCP");
    assert!(held.ticks.goes_on(), "another service");
    rule(&three, "rule-remove", "web");
    assert!(held.ticks.is_cut(CUT), "a request");
    held.call.say(b"still?");
    assert_eq!(held.call.hear().unwrap(), b"still?");
    rule(&three, "rule-remove", "grpc");
    assert!(held.call.is_cut(CUT), "a call");
    held.other.goes_on();
    held.of_initech.goes_on();
    assert!(held.ticks_of_initech.goes_on(), "another organisation");
    three.globex.wait_no_route("web.acme.example");
    assert_eq!(http::ask(three.globex.ingress(), "web.acme.example", "/", &[]).unwrap().0, 404);

    // Again.
    for label in ["raw", "web", "grpc"] {
        rule(&three, "rule-add", label);
    }
    Flow::wait(three.globex.wait_reachable("raw.acme.example")).goes_on();
    let words = || http::get_at(three.globex.ingress(), "web.acme.example").ok();
    assert_eq!(wait::until("an answer", SOON, words), three.web.words());
    wait::until("a call", SOON, || call(three.globex.ingress(), "grpc.acme.example"));
    assert_eq!(three.grpc.requests(), 2);
    held.other.goes_on();
    held.of_initech.goes_on();
}

/// Envoy lets a neighbour use a service before the neighbour hears of it.
#[test]
fn who_hears_of_a_service_may_use_it_at_once() {
    let three = three();
    let ask = || http::ask(three.globex.ingress(), "web.acme.example", "/", &[]).ok().map(|answer| answer.0);
    wait::until("an answer", SOON, || ask().filter(|status| *status == 200));
    for turn in 0..30 {
        rule(&three, "rule-remove", "web");
        wait::until("no way", SOON, || ask().filter(|status| *status == 404));
        rule(&three, "rule-add", "web");
        let first = wait::until("a way", SOON, || ask().filter(|status| *status != 404));
        assert_eq!(first, 200, "turn {turn}");
    }
}

/// Ends all flows of globex and none of initech.
#[track_caller]
fn ends_all_of_globex(three: &Three, held: Held, what: impl FnOnce()) {
    let Held { raw, mut ticks, mut call, other, mut of_initech, mut ticks_of_initech } = held;
    let began = Instant::now();
    let waiting = [raw, other].map(|mut flow| thread::spawn(move || flow.is_cut(SOON)));
    let requests = [thread::spawn(move || ticks.is_cut(SOON)), thread::spawn(move || call.is_cut(SOON))];
    what();
    let answered = began.elapsed();
    for (thread, kind) in waiting.into_iter().chain(requests).zip(["raw", "other", "request", "call"]) {
        assert!(thread.join().unwrap(), "{kind} goes on");
        assert!(began.elapsed() < answered + CUT, "{kind} ended after {:?}", began.elapsed());
    }
    of_initech.goes_on();
    assert!(ticks_of_initech.goes_on());
    assert_ne!(http::ask(three.globex.ingress(), "web.acme.example", "/", &[]).unwrap().0, 200);
}

#[test]
fn a_neighbour_that_is_forgotten_loses_all_its_flows() {
    let three = three();
    let held = Held::all(&three);
    ends_all_of_globex(&three, held, || {
        three.acme.ask(json!({ "do": "peer-remove", "name": three.globex.full_name() }));
    });
}

/// The document that both sides must hold is another one at acme from now on: what it allowed is over.
#[test]
fn a_neighbour_whose_agreement_is_another_one_loses_all_its_flows() {
    let three = three();
    let held = Held::all(&three);
    let parties = json!([
        { "org": "acme.example", "role": "provider" },
        { "org": "globex.example", "role": "customer" },
    ]);
    let bundle = std::fs::read_to_string(three.globex.org.bundle()).unwrap();
    let agreement = json!({ "version": 1, "parties": parties }).to_string();
    let peer = json!({ "node": "gate", "org": "globex.example", "bundle": bundle, "agreement": agreement });
    ends_all_of_globex(&three, held, || {
        three.acme.ask(json!({ "do": "peer-add", "peer": peer }));
    });
}
