//! The configuration as the nodes use it: typed, complete, with absolute or base-relative paths resolved.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use catalyst_names::{NodeId, OrgId, Protocol, ServiceLabel, ServiceName};
use catalyst_policy::Rule;

use crate::address::{HostPort, PortRange};
use crate::local::{Check, Run};

/// A whole configuration. Every default is filled in; every cross check has passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The file it came from, if there was one.
    pub file: Option<PathBuf>,
    /// The organisation of this node.
    pub org: OrgId,
    /// The name of this node.
    pub node: NodeId,
    /// The folder of everything that survives a restart.
    pub state_dir: PathBuf,
    /// Key, certificate and bundle.
    pub identity: Identity,
    /// Where neighbours may dial this node; `None` dials only. Always `None` on the edge.
    pub listen: Option<SocketAddr>,
    /// Who issues certificates.
    pub authority: Authority,
    /// The admin API.
    pub admin: Admin,
    /// The link profile of neighbours that name none.
    pub profile: LinkProfile,
    /// How long routes of a lost neighbour are kept at most.
    pub stale_max_s: u32,
    /// When a route changes too often.
    pub flap: Flap,
    /// What is logged.
    pub log: LogLevel,
    /// What the node gives up before it starts.
    pub sandbox: Sandbox,
    /// How many threads carry flows, beside that of routes and sessions; `None` for one for each processor. Always `None` on the edge.
    pub threads: Option<u32>,
    /// Where Prometheus finds figures.
    pub metrics: Option<SocketAddr>,
    /// The neighbours, each once.
    pub peers: Vec<Peer>,
    /// Local services, each label once.
    pub services: Vec<Service>,
    /// What other organisations may learn.
    pub exports: Vec<Rule>,
    /// What is accepted of other organisations.
    pub imports: Vec<Rule>,
    /// What neighbours are to tell of; everything when `None`.
    pub interest: Option<Vec<String>>,
    /// Local ports for remote services.
    pub expose: Vec<Expose>,
    /// Ports that may be opened at run time; no others where a sandbox holds.
    pub expose_ports: PortRange,
    /// Where HTTP clients reach services by Host.
    pub http: Option<SocketAddr>,
    /// The same over TLS. It needs Envoy.
    pub https: Option<Https>,
    /// The Envoy of this node; `None` where the build has none.
    pub envoy: Option<Envoy>,
    /// Capacities, each at most what the build can serve.
    pub limits: Capacities,
}

/// When a route changes too often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flap {
    /// More changes than these within the window; 0: never.
    pub changes: u32,
    /// The window, in seconds.
    pub window_s: u32,
    /// How long it has to be at rest to rank as before, in seconds.
    pub rest_s: u32,
}

/// The files that say who a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Private key, PEM, mode 0600.
    pub key: PathBuf,
    /// Certificate, PEM.
    pub certificate: PathBuf,
    /// Roots of the own organisation, PEM.
    pub bundle: PathBuf,
}

/// Who issues certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// The folder of the organisation's root: this node issues. Always `None` on the edge.
    pub root: Option<PathBuf>,
    /// Where the issuing node is dialled.
    pub address: Option<HostPort>,
    /// Seconds that issued certificates last.
    pub lifetime_s: u64,
}

/// How the command line reaches a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// A Unix socket.
    pub socket: PathBuf,
}

/// A neighbour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its name in its organisation.
    pub node: NodeId,
    /// Its organisation.
    pub org: OrgId,
    /// Where to dial it; `None` waits for its dial.
    pub address: Option<HostPort>,
    /// Present exactly when `org` is another organisation.
    pub foreign: Option<Foreign>,
    /// The kind of link.
    pub profile: LinkProfile,
    /// How long it is asked to keep this node's routes; `None` follows from the profile.
    pub restart_s: Option<u32>,
    /// What may carry it, if this node dials.
    pub transport: PeerTransport,
}

/// What is held about another organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// Its roots, PEM.
    pub bundle: PathBuf,
    /// The agreement with it; `agreement::load` reads it.
    pub agreement: PathBuf,
}

/// A local service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its label.
    pub name: ServiceLabel,
    /// What it speaks.
    pub protocol: Protocol,
    /// Where it is.
    pub target: HostPort,
    /// Lower is better.
    pub cost: u32,
    /// Share among equals.
    pub weight: u16,
    /// `org:tag`, sorted, each once.
    pub tags: Vec<String>,
    /// Neighbours that have lost this node for long use it no longer.
    pub fail_closed: bool,
    /// The program that the node runs for it.
    pub run: Option<Run>,
    /// How the node finds out whether it works.
    pub check: Option<Check>,
}

/// A local port for a remote service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expose {
    /// The service.
    pub service: ServiceName,
    /// The local address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What local clients speak there: [`Protocol::Tcp`] or [`Protocol::Udp`].
    pub protocol: Protocol,
}

/// The keys under `limits`. What is beyond one is refused and shown; what is there stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacities {
    /// Routes, all neighbours together. When full: new ones are refused.
    pub routes: u32,
    /// Neighbours. When full: the configuration is refused.
    pub peers: u32,
    /// Local services. When full: new ones are refused.
    pub services: u32,
    /// Connections carried at one time. When full: new ones are refused.
    pub flows: u32,
    /// Flows of UDP, a part of the connections. When full: new ones are refused.
    pub udp_flows: u32,
    /// A flow of UDP that is idle for so many seconds ends.
    pub udp_idle_s: u32,
    /// Routes of one neighbour. When full: new ones are refused; the session stays.
    pub routes_per_peer: u32,
    /// Bytes of attributes of the routes of one neighbour of the organisation. When full: as above.
    pub bytes_per_peer: u32,
    /// Local ports for remote services. When full: the configuration is refused.
    pub expose: u32,
    /// Bytes of one neighbour's flows under way to this node. When full: the neighbour waits.
    pub window: u32,
    /// Clients of the port for HTTP. When full: the next one waits.
    pub http_clients: u32,
}

/// A kind of link: it sets timers and windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LinkProfile {
    /// A local network: a lost neighbour is noticed within a second.
    Lan,
    /// The Internet: within three seconds.
    #[default]
    Wan,
    /// A mobile network.
    Cellular,
    /// Rides out 7 % loss and round trips of 2 s.
    Satellite,
}

/// What may carry the link to a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum PeerTransport {
    /// QUIC; TCP while QUIC gets no answer.
    #[default]
    Auto,
    /// QUIC alone.
    Quic,
    /// TCP alone.
    Tcp,
}

/// The least important line that is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum LogLevel {
    /// Only what needs a person.
    Error,
    /// Also what may come to need one.
    Warn,
    /// Also what changes.
    #[default]
    Info,
    /// Everything.
    Debug,
}

/// Who runs the Envoy of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum EnvoyMode {
    /// The node.
    Managed,
    /// Somebody else.
    External,
    /// There is none.
    #[default]
    Off,
}

/// The data plane of a cloud node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envoy {
    /// Who runs it.
    pub mode: EnvoyMode,
    /// The program, when it is not where it is looked for.
    pub path: Option<PathBuf>,
    /// Threads that carry traffic.
    pub workers: Option<u32>,
    /// The mesh port.
    pub listen: SocketAddr,
    /// Where neighbours find the mesh port.
    pub address: Option<HostPort>,
}

/// A port for HTTPS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Https {
    /// Where.
    pub listen: SocketAddr,
    /// Its certificate.
    pub certificate: PathBuf,
    /// The key of the certificate.
    pub key: PathBuf,
}

/// Whether a node gives up what it does not need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Sandbox {
    /// As far as the kernel can.
    #[default]
    On,
    /// Fully, or the node does not start.
    Require,
    /// Nothing.
    Off,
}

macro_rules! words {
    ($name:ident { $($variant:ident = $word:literal),* }) => {
        impl $name {
            /// The word in the file.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word),* }
            }
        }
        impl FromStr for $name {
            type Err = ();
            fn from_str(word: &str) -> Result<Self, ()> {
                match word { $($word => Ok($name::$variant),)* _ => Err(()) }
            }
        }
    };
}

words!(PeerTransport { Auto = "auto", Quic = "quic", Tcp = "tcp" });
words!(LinkProfile { Lan = "lan", Wan = "wan", Cellular = "cellular", Satellite = "satellite" });
words!(Sandbox { On = "on", Require = "require", Off = "off" });
words!(EnvoyMode { Managed = "managed", External = "external", Off = "off" });
words!(LogLevel { Error = "error", Warn = "warn", Info = "info", Debug = "debug" });

/// What a path of the configuration is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathKind {
    /// Must be a file of mode 0600: `files::check_private_file` says so.
    PrivateKey,
    /// Must be a readable file.
    Certificate,
    /// Must be a readable file.
    Bundle,
    /// Must be a readable file.
    Agreement,
    /// Made when absent.
    StateDir,
    /// Made by the node.
    Socket,
}

/// A path that the configuration names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigPath {
    /// The JSON pointer of the key, such as `/identity/key`.
    pub pointer: String,
    /// What it is for.
    pub kind: PathKind,
    /// The path, resolved.
    pub path: PathBuf,
}

impl Config {
    /// Every path that it names, in the order of the file.
    #[must_use]
    pub fn paths(&self) -> Vec<ConfigPath> {
        let path = |pointer: &str, kind, path: &PathBuf| ConfigPath {
            pointer: pointer.to_owned(),
            kind,
            path: path.clone(),
        };
        let mut all = vec![
            path("/state_dir", PathKind::StateDir, &self.state_dir),
            path("/identity/key", PathKind::PrivateKey, &self.identity.key),
            path("/identity/certificate", PathKind::Certificate, &self.identity.certificate),
            path("/identity/bundle", PathKind::Bundle, &self.identity.bundle),
            path("/admin/socket", PathKind::Socket, &self.admin.socket),
        ];
        for (i, foreign) in self.peers.iter().enumerate().filter_map(|(i, p)| Some((i, p.foreign.as_ref()?)))
        {
            all.push(path(&format!("/peers/{i}/bundle"), PathKind::Bundle, &foreign.bundle));
            all.push(path(&format!("/peers/{i}/agreement"), PathKind::Agreement, &foreign.agreement));
        }
        all
    }
}
