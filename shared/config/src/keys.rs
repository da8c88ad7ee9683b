//! The table: every key of `catalyst.json` and of an agreement, once.

use crate::envoy_keys::{ENVOY, HTTPS};
use crate::form::Form;
use crate::key::{Key, Kind, Need};
use crate::limits::Limits;
use crate::rule_keys::{EXPORT, IMPORT};
use crate::service_keys::{CHECK, ON_STALE, RUN};

use Need::{Default, Derived, Optional, PerBuild, Required};

/// The words of `profile`.
pub(crate) const PROFILES: &[&str] = &["lan", "wan", "cellular", "satellite"];
/// The words of a neighbour's `transport`.
pub(crate) const TRANSPORTS: &[&str] = &["auto", "quic", "tcp"];
/// The words of an exposed port's `protocol`.
pub(crate) const PORTS: &[&str] = &["tcp", "udp"];
/// The words of `log`.
pub(crate) const LEVELS: &[&str] = &["error", "warn", "info", "debug"];
/// The words of `sandbox`.
pub(crate) const SANDBOX: &[&str] = &["on", "require", "off"];
/// The words of `role`.
pub(crate) const ROLES: &[&str] = &["customer", "provider", "peer"];

/// The largest list that any build takes; `limits` says what a node takes.
const ANY: usize = 65_536;

/// Every key of `catalyst.json`.
pub static ROOT: &[Key] = &[
    Key::new(
        "$schema",
        Kind::Note,
        Optional,
        "Where the JSON Schema of this file is, for editors. The node does not read it.",
        "remove it, or give the address of the schema as text",
    ),
    Key::new(
        "version",
        Kind::Integer(1, 1),
        Required,
        "The version of this file's shape.",
        "write \"version\": 1; a file of a later version needs a later build",
    ),
    Key::new(
        "org",
        Kind::Text(Form::Org),
        Required,
        "The organisation that this node belongs to: a trust domain shaped like DNS.",
        "write \"org\": \"acme.example\" with your own domain",
    ),
    Key::new(
        "node",
        Kind::Text(Form::Node),
        Required,
        "The name of this node, unique in its organisation.",
        "write \"node\": \"edge-1\" with a name of your choice",
    ),
    Key::new(
        "state_dir",
        Kind::Text(Form::Path),
        Default("\"state\""),
        "The folder of everything that must survive a restart. Relative paths, here and below, start at this file's folder.",
        "give the path of a folder that the node may write",
    ),
    Key::new(
        "identity",
        Kind::Object(IDENTITY),
        Default("{}"),
        "Who this node is: its key, its certificate and the roots of its organisation.",
        "write an object with the keys key, certificate and bundle",
    ),
    Key::new(
        "authority",
        Kind::Object(AUTHORITY),
        Default("{}"),
        "Who issues certificates: this node, when it holds the organisation's root, or the node at the address, where this one renews its own.",
        "write an object such as { \"address\": \"cloud.acme.example:7443\" }",
    ),
    Key::new(
        "listen",
        Kind::Text(Form::Listen),
        Optional,
        "Where this node waits for its neighbours, by UDP. Without it the node only dials out. Port 0 takes a free one.",
        "write \"listen\": \"0.0.0.0:7443\", or leave it out to dial only",
    )
    .cloud_only(),
    Key::new(
        "admin",
        Kind::Object(ADMIN),
        Default("{}"),
        "How the command line reaches this node.",
        "write an object with the key socket",
    ),
    Key::new(
        "profile",
        Kind::Choice(PROFILES),
        Default("\"wan\""),
        "The kind of link to the neighbours, which sets timers and windows: a lost neighbour is noticed within 1 s (lan), 3 s (wan), or later where links are slow.",
        "use \"wan\" unless the links are known to be better or worse",
    ),
    Key::new(
        "stale_max_s",
        Kind::Integer(0, 604_800),
        Default("3600"),
        "How long routes of a neighbour that is lost are kept at most, in seconds. 0: they go with the session.",
        "leave it out for an hour",
    ),
    Key::new(
        "flap",
        Kind::Object(FLAP),
        Default("{}"),
        "When a route changes too often: it then ranks behind those that hold still, and is never hidden.",
        "write an object such as { \"changes\": 5, \"window_s\": 60, \"rest_s\": 60 }",
    ),
    Key::new(
        "log",
        Kind::Choice(LEVELS),
        Default("\"info\""),
        "The least important line that is logged.",
        "use \"info\"",
    ),
    Key::new(
        "sandbox",
        Kind::Choice(SANDBOX),
        Default("\"on\""),
        "Whether the node gives up files, ports, system calls and capabilities that it does not need before it starts: on (as far as the kernel can), require (else it does not start) or off.",
        "use \"on\"",
    ),
    Key::new(
        "threads",
        Kind::Integer(1, 128),
        Optional,
        "How many threads carry flows, beside the one that routes and sessions have for themselves. Without the key: one for each processor.",
        "give a number of threads, or leave it out",
    )
    .cloud_only(),
    Key::new(
        "metrics",
        Kind::Object(METRICS),
        Default("{}"),
        "Figures for Prometheus.",
        "write an object such as { \"listen\": \"127.0.0.1:9400\" }",
    ),
    Key::new(
        "peers",
        Kind::List(&Kind::Object(PEER), ANY),
        Default("[]"),
        "The neighbours of this node. No other node gets a session.",
        "write a list of objects, one for each neighbour: [{ \"node\": \"cloud-1\", \"address\": \"gateway.acme.example:7443\" }]",
    ),
    Key::new(
        "services",
        Kind::List(&Kind::Object(SERVICE), ANY),
        Default("[]"),
        "What this node offers: local services, and where they are.",
        "write a list of objects: [{ \"name\": \"inventory\", \"protocol\": \"http\", \"target\": \"127.0.0.1:8080\" }]",
    ),
    Key::new(
        "exports",
        Kind::List(&Kind::Object(EXPORT), Limits::RULES),
        Default("[]"),
        "Rules that say which services other organisations may learn from this node. The first that speaks of a route decides; what none speaks of stays inside (RFC 8212).",
        "write a list of objects: [{ \"service\": \"inventory\", \"to\": \"globex.example\" }]",
    ),
    Key::new(
        "imports",
        Kind::List(&Kind::Object(IMPORT), Limits::RULES),
        Default("[]"),
        "Rules that say which services of other organisations this node accepts. The first that speaks of a route decides; what none speaks of is not accepted (RFC 8212).",
        "write a list of objects: [{ \"service\": \"orders\", \"from\": \"globex.example\" }]",
    ),
    Key::new(
        "interest",
        Kind::List(&Kind::Text(Form::FullPattern), Limits::INTEREST),
        Optional,
        "The services that neighbours tell this node of, by full name or pattern: what it does not use it need not hold. Without the key: everything. What 'expose' names is added. For nodes that pass nothing on to others.",
        "write a list such as [\"inventory.acme.example\", \"*.globex.example\"]",
    ),
    Key::new(
        "expose",
        Kind::List(&Kind::Object(EXPOSE), ANY),
        Default("[]"),
        "Local ports that lead to remote services.",
        "write a list of objects: [{ \"service\": \"orders.globex.example\", \"listen\": \"127.0.0.1:9001\" }]",
    ),
    Key::new(
        "expose_ports",
        Kind::Text(Form::Ports),
        Default("\"9000-9099\""),
        "Ports that may be opened while the node runs ('expose add'): the sandbox allows no other TCP ports. Without a port in the command the first free one of them is taken.",
        "write \"expose_ports\": \"9000-9099\", or \"none\"",
    ),
    Key::new(
        "http",
        Kind::Object(HTTP),
        Default("{}"),
        "One local port for all HTTP services.",
        "write an object such as { \"listen\": \"127.0.0.1:8080\" }",
    ),
    Key::new(
        "https",
        Kind::Object(HTTPS),
        Default("{}"),
        "The same over TLS.",
        "write an object such as { \"listen\": \"127.0.0.1:8444\", \"certificate\": \"web.crt\", \"key\": \"web.key\" }",
    )
    .cloud_only(),
    Key::new(
        "envoy",
        Kind::Object(ENVOY),
        Default("{}"),
        "The Envoy that carries this node's traffic.",
        "write an object such as { \"mode\": \"managed\", \"address\": \"gateway.acme.example:8443\" }",
    )
    .cloud_only(),
    Key::new(
        "limits",
        Kind::Object(LIMITS),
        Default("{}"),
        "Capacities. What is beyond them is refused and shown; what is there stays.",
        "write an object such as { \"routes\": 1024 }",
    ),
];

static IDENTITY: &[Key] = &[
    Key::new(
        "key",
        Kind::Text(Form::Path),
        Derived("<node>.key"),
        "The private key of this node, in PEM. The file must be readable by its owner only.",
        "give the path of the key that 'catalyst node csr' made",
    ),
    Key::new(
        "certificate",
        Kind::Text(Form::Path),
        Derived("<node>.crt"),
        "The certificate of this node, in PEM.",
        "give the path of the certificate that 'catalyst org sign' made",
    ),
    Key::new(
        "bundle",
        Kind::Text(Form::Path),
        Derived("<org>.bundle.pem"),
        "The trust bundle of this node's organisation: its root certificates, in PEM.",
        "give the path of the bundle that 'catalyst org init' made",
    ),
];

static AUTHORITY: &[Key] = &[
    Key::new(
        "root",
        Kind::Text(Form::Path),
        Optional,
        "The folder of the organisation's root, as 'catalyst org init' made it. With it this node invites others and issues their certificates.",
        "give the path of the folder with ORG.root.key, or leave it out",
    )
    .cloud_only(),
    Key::new(
        "address",
        Kind::Text(Form::Address),
        Optional,
        "Where the node that issues certificates is dialled. At that node itself: what its join tokens say.",
        "write \"address\": \"cloud.acme.example:7443\"",
    ),
    Key::new(
        "lifetime_s",
        Kind::Integer(1, 315_360_000),
        Default("7776000"),
        "How long the certificates last that this node issues, in seconds; they are renewed at half of it.",
        "leave it out for 90 days",
    )
    .cloud_only(),
];

static FLAP: &[Key] = &[
    Key::new(
        "changes",
        Kind::Integer(0, 100),
        Default("5"),
        "More changes than these within the window are too many. 0: routes may change as they like.",
        "leave it out for 5",
    ),
    Key::new(
        "window_s",
        Kind::Integer(1, 3_600),
        Default("60"),
        "The window, in seconds.",
        "leave it out for a minute",
    ),
    Key::new(
        "rest_s",
        Kind::Integer(1, 3_600),
        Default("60"),
        "How long a route has to be at rest to rank as before, in seconds.",
        "leave it out for a minute",
    ),
];

static METRICS: &[Key] = &[Key::new(
    "listen",
    Kind::Text(Form::Listen),
    Optional,
    "Where Prometheus finds /metrics, in its text format. Without it nothing listens. Whoever reaches it sees names of peers.",
    "write \"listen\": \"127.0.0.1:9400\", or leave it out",
)];

static HTTP: &[Key] = &[Key::new(
    "listen",
    Kind::Text(Form::Listen),
    Optional,
    "Where HTTP/1.1 clients reach every HTTP service by its name in 'Host'. Without it nothing listens. Whoever reaches it may use what this node may use.",
    "write \"listen\": \"127.0.0.1:8080\", or leave it out",
)];

static ADMIN: &[Key] = &[Key::new(
    "socket",
    Kind::Text(Form::Path),
    Derived("<state_dir>/admin.sock"),
    "The Unix socket of the admin API.",
    "give the path of a socket in a folder that the node may write",
)];

static PEER: &[Key] = &[
    Key::new(
        "node",
        Kind::Text(Form::Node),
        Required,
        "The name of the neighbour.",
        "write \"node\": \"cloud-1\" with the neighbour's own name",
    ),
    Key::new(
        "org",
        Kind::Text(Form::Org),
        Derived("this node's organisation"),
        "The organisation of the neighbour.",
        "write \"org\": \"globex.example\", or leave it out for a node of your own organisation",
    ),
    Key::new(
        "address",
        Kind::Text(Form::Address),
        Optional,
        "Where to dial the neighbour. Without it this node waits for the neighbour's dial.",
        "write \"address\": \"gateway.acme.example:7443\"",
    ),
    Key::new(
        "bundle",
        Kind::Text(Form::Path),
        Optional,
        "The trust bundle of the neighbour's organisation, in PEM. Required for another organisation, refused for one's own.",
        "give the path of the bundle that the other organisation sent",
    ),
    Key::new(
        "agreement",
        Kind::Text(Form::Path),
        Optional,
        "The agreement with the neighbour's organisation; both sides hold the same document. Required for another organisation, refused for one's own.",
        "give the path of the agreement that both organisations hold",
    ),
    Key::new(
        "profile",
        Kind::Choice(PROFILES),
        Derived("profile of the node"),
        "The kind of link to this neighbour.",
        "leave it out to use the node's profile",
    ),
    Key::new(
        "restart_s",
        Kind::Integer(0, 3_600),
        Derived("by the profile: lan 10, wan 30, cellular 120, satellite 300"),
        "How long this neighbour is asked to keep this node's routes in use when the session is lost, in seconds. 0: not at all.",
        "leave it out to use what fits the profile",
    ),
    Key::new(
        "transport",
        Kind::Choice(TRANSPORTS),
        Default("\"auto\""),
        "What may carry the link when this node dials: QUIC and, while QUIC gets no answer, TCP (auto); or one of them alone. TCP uses the same port number.",
        "leave it out, unless one of the two is known not to pass",
    ),
];

static SERVICE: &[Key] = &[
    Key::new(
        "name",
        Kind::Text(Form::Service),
        Required,
        "The first label of the service's name; the organisation is this node's.",
        "write \"name\": \"inventory\"",
    ),
    Key::new(
        "protocol",
        Kind::Text(Form::Protocol),
        Required,
        "What the service speaks: tcp, udp, http, http:graphql or http:grpc.",
        "write \"protocol\": \"http\"; \"tcp\" carries anything",
    ),
    Key::new(
        "target",
        Kind::Text(Form::Address),
        Required,
        "Where the service is, as this node reaches it.",
        "write \"target\": \"127.0.0.1:8080\"",
    ),
    Key::new(
        "cost",
        Kind::Integer(0, u32::MAX as u64),
        Default("0"),
        "Among otherwise equal offers the lower cost wins.",
        "leave it out for 0",
    ),
    Key::new(
        "weight",
        Kind::Integer(0, u16::MAX as u64),
        Default("100"),
        "The share of this node among nodes that offer the service equally. 0 takes no new flows while others are there.",
        "leave it out for 100",
    ),
    Key::new(
        "tags",
        Kind::List(&Kind::Text(Form::Tag), Limits::TAGS),
        Default("[]"),
        "Marks that policies can match, each with the organisation that defines it.",
        "write a list such as [\"acme.example:gold\"]",
    ),
    Key::new(
        "on_stale",
        Kind::Choice(ON_STALE),
        Default("\"fail_static\""),
        "What neighbours do that have lost this node for longer than the restart time: use the service on while there is no other offer of it (fail_static), or no longer (fail_closed).",
        "leave it out for \"fail_static\"",
    ),
    Key::new(
        "run",
        Kind::Object(RUN),
        Optional,
        "The program that is the service: the node starts it, starts it again when it ends, and stops it with itself. While it does not run the service is unhealthy.",
        "write an object such as { \"command\": [\"python3\", \"-m\", \"http.server\", \"8000\"] }",
    ),
    Key::new(
        "check",
        Kind::Object(CHECK),
        Optional,
        "How the node finds out whether the service works. While it does not, neighbours do not hear of it.",
        "write an object such as { \"type\": \"http\", \"path\": \"/healthz\" }",
    ),
];

static EXPOSE: &[Key] = &[
    Key::new(
        "service",
        Kind::Text(Form::ServiceName),
        Required,
        "The full name of the service.",
        "write \"service\": \"orders.globex.example\"",
    ),
    Key::new(
        "listen",
        Kind::Text(Form::Listen),
        Required,
        "The local address that leads to it. Port 0 takes a free one.",
        "write \"listen\": \"127.0.0.1:9001\"",
    ),
    Key::new(
        "protocol",
        Kind::Choice(PORTS),
        Default("\"tcp\""),
        "What local clients speak there: tcp, which HTTP is too, or udp for a service that is announced as udp.",
        "leave it out for tcp",
    ),
];

static LIMITS: &[Key] = &[
    Key::new(
        "routes",
        Kind::Capacity(|c| c.routes),
        PerBuild { edge: 1_024, cloud: 100_000 },
        "Routes in the table, all neighbours together. When full: new ones are refused and shown.",
        "leave it out for the default",
    ),
    Key::new(
        "peers",
        Kind::Capacity(|c| c.peers),
        PerBuild { edge: 3, cloud: 1_024 },
        "Neighbours. When full: the configuration is refused.",
        "leave it out for the default",
    ),
    Key::new(
        "services",
        Kind::Capacity(|c| c.services),
        PerBuild { edge: 64, cloud: 4_096 },
        "Local services, those added at run time included. When full: new ones are refused.",
        "leave it out for the default",
    ),
    Key::new(
        "flows",
        Kind::Capacity(|c| c.flows),
        PerBuild { edge: 1_024, cloud: 65_536 },
        "Connections carried at one time. When full: new ones are refused.",
        "leave it out for the default",
    ),
    Key::new(
        "udp_flows",
        Kind::Capacity(|c| c.flows),
        PerBuild { edge: 512, cloud: 16_384 },
        "Clients of UDP services served at one time, a part of \"flows\". When full: new ones get no answer, and are counted.",
        "leave it out for the default",
    ),
    Key::new(
        "udp_idle_s",
        Kind::Integer(1, 86_400),
        Default("60"),
        "A client of a UDP service for which nothing has passed either way for so long, in seconds, is forgotten.",
        "leave it out for a minute",
    ),
    Key::new(
        "routes_per_peer",
        Kind::Capacity(|c| c.routes_per_peer),
        PerBuild { edge: 1_024, cloud: 100_000 },
        "Routes that one neighbour may announce. When full: new ones are refused, the session stays.",
        "leave it out for the default",
    ),
    Key::new(
        "bytes_per_peer",
        Kind::Integer(1, u32::MAX as u64),
        Derived("256 for each of routes_per_peer"),
        "Bytes of route entries that one neighbour of this organisation may announce. When full: new ones are refused, the session stays.",
        "leave it out for the default",
    ),
    Key::new(
        "expose",
        Kind::Capacity(|c| c.expose),
        PerBuild { edge: 16, cloud: 256 },
        "Local ports for remote services. When full: the configuration is refused.",
        "leave it out for the default",
    ),
    Key::new(
        "window",
        Kind::Capacity(|c| c.window),
        PerBuild { edge: 1_048_576, cloud: 33_554_432 },
        "Bytes of one neighbour's flows that may be under way to this node, not yet taken by their receivers. When full: the neighbour waits. At least 65536 are used.",
        "leave it out for the default",
    ),
    Key::new(
        "http_clients",
        Kind::Capacity(|c| c.http_clients),
        PerBuild { edge: 32, cloud: 4_096 },
        "Clients of the port for HTTP services at one time. When full: the next one waits.",
        "leave it out for the default",
    ),
];

/// Every key of an agreement.
pub static AGREEMENT: &[Key] = &[
    Key::new(
        "$schema",
        Kind::Note,
        Optional,
        "Where the JSON Schema of this file is, for editors. It is no part of the agreement.",
        "remove it, or give the address of the schema as text",
    ),
    Key::new(
        "version",
        Kind::Integer(1, 1),
        Required,
        "The version of this document's shape.",
        "write \"version\": 1; a document of a later version needs a later build",
    ),
    Key::new(
        "parties",
        Kind::List(&Kind::Object(PARTY), 2),
        Required,
        "The two organisations, in either order.",
        "write a list of two objects, one for each organisation",
    ),
];

static PARTY: &[Key] = &[
    Key::new("org", Kind::Text(Form::Org), Required, "The organisation.", "write \"org\": \"acme.example\""),
    Key::new(
        "role",
        Kind::Choice(ROLES),
        Required,
        "What this organisation is to the other (RFC 9234): customer with provider, or peer with peer.",
        "write \"role\": \"peer\" for both if neither pays the other",
    ),
    Key::new(
        "max_services",
        Kind::Integer(0, u32::MAX as u64),
        Default("100"),
        "How many services it may announce. Beyond: new ones are refused, the session stays.",
        "leave it out for 100",
    ),
    Key::new(
        "max_bytes",
        Kind::Integer(0, u32::MAX as u64),
        Default("65536"),
        "How many bytes of route entries it may announce. Beyond: new ones are refused, the session stays.",
        "leave it out for 65536",
    ),
    Key::new(
        "bundle",
        Kind::List(&Kind::Text(Form::Fingerprint), catalyst_policy::Limits::FINGERPRINTS),
        Default("[]"),
        "SHA-256 fingerprints of the root certificates of its trust bundle.",
        "write a list such as [\"sha256:...\"]",
    ),
    Key::new(
        "contact",
        Kind::Text(Form::Contact),
        Default("\"\""),
        "Whom to call when something is wrong.",
        "write \"contact\": \"ops@acme.example\"",
    ),
];
