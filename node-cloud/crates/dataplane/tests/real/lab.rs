//! Nodes of a test: a planner, its delta server and a real Envoy each, with certificates of test organisations.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use catalyst_dataplane::{Bundle, Identity, KeyMark, Planner, Service, Site, Via, Way, key_mark, names, via};
use catalyst_envoy::{Admin, BootstrapSpec, Place, Stats, print_bootstrap};
use catalyst_identity::{NodeKey, OrgRoot, public_key};
use catalyst_names::{NodeName, OrgId, Protocol, ServiceName};
use catalyst_xds::{Limits, Publisher, serve};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::runtime::Runtime;

use crate::peers::Served;

/// The longest that anything may take.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// Tests that keep the machine busy take turns.
pub fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks until it is so.
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < end, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub fn service(name: &str) -> ServiceName {
    ServiceName::parse(name).unwrap()
}

/// What this caller's Envoy asks a node for.
pub fn server_name(caller: &str, called: &NodeName) -> String {
    names::server_name(&caller.parse().unwrap(), called)
}

pub fn way(via: Via) -> Way {
    Way { via, weight: 1, equal: false }
}

pub fn ways(protocol: Protocol, vias: &[Via]) -> Service {
    Service { protocol, ways: vias.iter().cloned().map(way).collect() }
}

/// Organisations and the machine's addresses.
pub struct Lab {
    roots: BTreeMap<String, OrgRoot>,
    net: [u8; 2],
    dir: TempDir,
    runtime: Runtime,
}

static LABS: AtomicU8 = AtomicU8::new(1);

impl Lab {
    pub fn new(orgs: &[&str]) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let root =
            |org: &&str| ((*org).to_owned(), OrgRoot::generate(&OrgId::parse(org).unwrap(), now).unwrap());
        // Each lab has addresses of its own, so that ports may be the usual ones.
        let process = u8::try_from(std::process::id() % 200).unwrap() + 20;
        let net = [process, LABS.fetch_add(1, Ordering::Relaxed)];
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        Lab { roots: orgs.iter().map(root).collect(), net, dir: TempDir::new().unwrap(), runtime }
    }

    /// The roots of all organisations of the lab.
    pub fn bundles(&self) -> Vec<Bundle> {
        let bundle = |(org, root): (&String, &OrgRoot)| Bundle {
            org: OrgId::parse(org).unwrap(),
            roots: root.certificate_pem(),
        };
        self.roots.iter().map(bundle).collect()
    }

    /// The certificate of a node, whatever node it is.
    pub fn identity(&self, name: &NodeName) -> Identity {
        self.issue(name, &NodeKey::generate().unwrap())
    }

    /// The same, and the mark of its key.
    pub fn identity_with_key(&self, name: &NodeName) -> (Identity, KeyMark) {
        let identity = self.identity(name);
        let mark = key_mark(&public_key(&identity.chain).unwrap().serial_prefix());
        (identity, mark)
    }

    /// Another certificate for the key of this one.
    pub fn renewed(&self, name: &NodeName, identity: &Identity) -> Identity {
        self.issue(name, &NodeKey::from_pem(&identity.key).unwrap())
    }

    fn issue(&self, name: &NodeName, key: &NodeKey) -> Identity {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let csr = key.csr(&name.org_id(), &name.node_id()).unwrap();
        let root = &self.roots[name.org()];
        let chain = root.sign_csr(&csr, None, now, 86_400).unwrap();
        Identity { chain, key: key.to_pem().expose().to_owned() }
    }

    /// An organisation's root.
    pub fn root(&self, org: &str) -> &OrgRoot {
        &self.roots[org]
    }

    /// Waits for something of the runtime.
    pub fn wait<T>(&self, what: impl Future<Output = T>) -> T {
        let all = async { tokio::time::timeout(PATIENCE * 2, what).await };
        self.runtime.block_on(all).expect("in time")
    }

    /// Counters and gauges of a node's Envoy whose names match.
    pub fn stats(&self, node: &Node, filter: &str) -> Stats {
        self.wait(Admin::new(node.place.admin_socket()).stats(filter)).unwrap()
    }

    /// A node whose Envoy runs and has everything.
    pub fn node(&self, at: u8, name: &str) -> Node {
        let name = NodeName::parse(name).unwrap();
        let ip = IpAddr::V4(Ipv4Addr::new(127, self.net[0], self.net[1], at));
        let folder = self.dir.path().join(name.node());
        let place = Place::of(&folder);
        place.make().unwrap();
        let site = Site {
            own: name.clone(),
            mesh: SocketAddr::new(ip, 8443),
            node_socket: folder.join("node.sock"),
            stream_socket: folder.join("streams.sock"),
            http_socket: folder.join("http.sock"),
            access_log: folder.join("access.log"),
            via: via("a secret", &name),
        };
        let mut planner = Planner::new(site.clone());
        planner.set_identity(&self.identity(&name));
        planner.set_trust(&self.bundles());
        planner.open_ingress(SocketAddr::new(ip, 8080), false);
        let publisher = Publisher::new(name.as_str(), Limits::default());
        publisher.apply(planner.drain()).unwrap();
        publisher.open();
        let listener = {
            let _in = self.runtime.enter();
            UnixListener::bind(place.xds_socket()).unwrap()
        };
        self.runtime.spawn(serve(listener, publisher.clone(), std::future::pending()));
        let spec = BootstrapSpec::new(name.as_str(), name.org(), &place);
        fs::write(place.bootstrap(), print_bootstrap(&spec)).unwrap();
        let mut node =
            Node { name, ip, site, planner, publisher, place, log: folder.join("envoy.log"), envoy: None };
        node.start();
        self.settled(&node);
        node
    }

    /// Has a node's Envoy open its log files anew.
    pub fn reopen_logs(&self, node: &Node) {
        self.runtime.block_on(Admin::new(node.place.admin_socket()).reopen_logs()).unwrap();
    }

    /// Waits until the node's Envoy has all that it was told, and none of it was rejected.
    pub fn settled(&self, node: &Node) {
        let waited =
            self.runtime.block_on(async { tokio::time::timeout(PATIENCE, node.publisher.settled()).await });
        let status = node.publisher.status();
        assert!(waited.is_ok(), "{}: {status:?}\n{}", node.name, node.log_text());
        assert!(status.last_nack.is_none(), "{status:?}");
    }
}

/// One node.
pub struct Node {
    pub name: NodeName,
    pub ip: IpAddr,
    pub site: Site,
    pub planner: Planner,
    pub publisher: Publisher,
    pub place: Place,
    log: PathBuf,
    envoy: Option<Child>,
}

impl Node {
    /// Starts Envoy.
    pub fn start(&mut self) {
        let program = std::env::var_os("CATALYST_ENVOY").expect(
            "CATALYST_ENVOY must name an Envoy: 'cargo xtask envoy fetch' gets one and prints its path",
        );
        let log = fs::File::create(&self.log).unwrap();
        let child = Command::new(program)
            .arg("-c")
            .arg(self.place.bootstrap())
            .args(["--reject-unknown-dynamic-fields", "--use-dynamic-base-id", "--concurrency", "1"])
            .args(["--drain-time-s", "0", "--drain-strategy", "immediate", "-l", "warning"])
            .args(["--file-flush-interval-msec", "200"])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.envoy = Some(child);
    }

    /// Kills Envoy without a word.
    pub fn kill(&mut self) {
        let mut envoy = self.envoy.take().unwrap();
        envoy.kill().unwrap();
        envoy.wait().unwrap();
    }

    /// A signal for Envoy.
    pub fn signal(&self, signal: Signal) {
        let pid = self.envoy.as_ref().unwrap().id();
        kill(Pid::from_raw(pid.try_into().unwrap()), signal).unwrap();
    }

    /// Kilobytes of Envoy's memory.
    pub fn resident(&self) -> u64 {
        let pid = self.envoy.as_ref().unwrap().id();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Gives Envoy what the planner has.
    pub fn tell(&mut self) {
        self.publisher.apply(self.planner.drain()).unwrap();
    }

    pub fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.ip, port)
    }

    pub fn log_text(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn access_log(&self) -> String {
        fs::read_to_string(&self.site.access_log).unwrap_or_default()
    }

    pub fn via(&self) -> Via {
        Via::Peer(self.name.clone())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut envoy) = self.envoy.take() {
            let _ = envoy.kill();
            let _ = envoy.wait();
        }
    }
}

/// Makes two nodes neighbours.
pub fn join(a: &mut Node, b: &mut Node) {
    a.planner.set_neighbour(&b.name, Some(vec![b.site.mesh]));
    b.planner.set_neighbour(&a.name, Some(vec![a.site.mesh]));
    a.tell();
    b.tell();
}

/// `web.acme.example` at b, asked for at a: by Host at a's port 8080, and at its own port 9001.
pub struct Pair {
    pub lab: Lab,
    pub a: Node,
    pub b: Node,
    pub served: Served,
}

/// Two nodes of one organisation, and a service of the second that is told its address.
pub fn pair(protocol: Protocol, serve: impl FnOnce(IpAddr) -> Served) -> Pair {
    let lab = Lab::new(&["acme.example"]);
    let mut a = lab.node(1, "a.acme.example");
    let mut b = lab.node(2, "b.acme.example");
    join(&mut a, &mut b);
    let name = service("web.acme.example");
    let served = serve(b.ip);
    b.planner.set_target(&name, Some(vec![served.at]));
    b.planner.set_service(&name, ways(protocol, &[Via::Local]));
    a.planner.set_service(&name, ways(protocol, &[b.via()]));
    a.planner.open_port(&name, a.at(9001));
    b.tell();
    a.tell();
    [&a, &b].iter().for_each(|node| lab.settled(node));
    Pair { lab, a, b, served }
}
