//! What must fit together across keys.

use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;

use catalyst_names::Protocol;
use catalyst_policy::{Direction, Rule};

use crate::address::comes_back;
use crate::compiled::Build;
#[cfg(feature = "cloud")]
use crate::config::EnvoyMode;
use crate::config::{Config, Service};
use crate::error::{Report, Wrong};
use crate::limits::Limits;
use crate::policy;
use crate::print;
use crate::programs;
use crate::tree::Tree;

/// The sections that were checked and hold no error, so that no message follows from another.
struct Sections<'a, 'b, 'c> {
    config: &'a Config,
    tree: &'a Tree,
    report: &'a mut Report<'b>,
    build: Build,
    clean: &'c dyn Fn(&str) -> bool,
}

/// Checks the relations between the parts of a configuration.
pub(crate) fn check(config: &Config, tree: &Tree, build: Build, report: &mut Report<'_>) {
    let names = [
        "/org",
        "/node",
        "/listen",
        "/peers",
        "/services",
        "/exports",
        "/imports",
        "/expose",
        "/interest",
        "/http",
        "/https",
        "/envoy",
        "/limits",
    ];
    let clean: Vec<&str> = names.into_iter().filter(|name| report.clean(name)).collect();
    let clean = |name: &str| clean.contains(&name);
    let mut all = Sections { config, tree, report, build, clean: &clean };
    all.peers();
    all.services();
    all.rules(Direction::Export, &config.exports);
    all.rules(Direction::Import, &config.imports);
    all.expose();
    all.interest();
    all.http();
    #[cfg(feature = "cloud")]
    all.envoy();
    all.sizes();
    all.socket();
}

impl Sections<'_, '_, '_> {
    fn add(
        &mut self,
        pointer: String,
        expected: impl Into<String>,
        found: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.wrong(pointer, Wrong::new(expected, found, help));
    }

    fn wrong(&mut self, pointer: String, wrong: Wrong) {
        let at = self.tree.nearest(&pointer).at.clone();
        self.report.add(&at, Some(pointer), wrong);
    }

    /// Reports each element whose key an earlier one has.
    fn twice(&mut self, list: &str, name: &str, what: &str, keys: Vec<String>) {
        // Sorted names tell whether any stands twice without comparing each with each.
        let mut sorted: Vec<&str> = keys.iter().map(String::as_str).collect();
        sorted.sort_unstable();
        if sorted.windows(2).all(|two| two.first() != two.last()) {
            return;
        }
        for (i, key) in keys.iter().enumerate() {
            if let Some(first) = keys.iter().take(i).position(|earlier| earlier == key) {
                let help = format!("the first one is {list}/{first}: remove one of the two");
                self.add(
                    format!("{list}/{i}{name}"),
                    format!("each {what} once"),
                    format!("{key} again"),
                    help,
                );
            }
        }
    }

    fn peers(&mut self) {
        if !(self.clean)("/peers") || !(self.clean)("/org") {
            return;
        }
        let config = self.config;
        self.twice(
            "/peers",
            "/node",
            "peer",
            config.peers.iter().map(|p| format!("\"{}.{}\"", p.node, p.org)).collect(),
        );
        for (i, peer) in config.peers.iter().enumerate() {
            let at = |name: &str| format!("/peers/{i}{name}");
            if peer.org == config.org && peer.node == config.node {
                let found = format!("this node itself, \"{}\"", peer.node);
                self.add(
                    at("/node"),
                    "a neighbour",
                    found,
                    "remove this peer, or correct \"node\" here or at the top",
                );
            }
            for name in ["bundle", "agreement"] {
                let there =
                    self.tree.nearest(&format!("/peers/{i}")).get(name).map(|t| print::found(&t.value));
                match there {
                    Some(found) if peer.org == config.org => self.add(
                        at(&format!("/{name}")),
                        format!("no \"{name}\" for a node of the own organisation"),
                        found,
                        "nodes of one organisation share everything: remove it, or write the peer's \"org\"",
                    ),
                    None if peer.org != config.org => self.add(
                        at(&format!("/{name}")),
                        format!("the key \"{name}\", as \"{}\" is another organisation", peer.org),
                        "none",
                        format!(
                            "give the path of the {name}; without it nothing is exchanged with \"{}\"",
                            peer.org
                        ),
                    ),
                    _ => {}
                }
            }
            if peer.address.is_none() && config.listen.is_none() && (self.clean)("/listen") {
                let help = match self.build {
                    Build::Edge => "write \"address\": the edge dials out only",
                    Build::Cloud => {
                        "write \"address\", or let this node listen: \"listen\": \"0.0.0.0:7443\""
                    }
                };
                self.add(at("/address"), "an address, as this node does not listen", "none", help);
            }
        }
    }

    fn services(&mut self) {
        if (self.clean)("/services") {
            let names = self.config.services.iter().map(|s| format!("\"{}\"", s.name)).collect();
            self.twice("/services", "/name", "service", names);
            let (config, tree) = (self.config, self.tree.get("services"));
            for (i, service) in config.services.iter().enumerate() {
                let mut add = |at: &str, wrong| self.wrong(format!("/services/{i}{at}"), wrong);
                programs::check(service, tree.and_then(|s| s.items().get(i)), &mut add);
                self.circle(i, service);
            }
        }
    }

    /// A target that is a port of the node itself: each connection would open another one.
    fn circle(&mut self, i: usize, service: &Service) {
        let (config, udp) = (self.config, service.protocol == Protocol::Udp);
        let targets = service.target.plain_addresses();
        let aimed = |listen: &SocketAddr| targets.iter().any(|to| comes_back(*to, *listen));
        let expose =
            config.expose.iter().position(|e| (e.protocol == Protocol::Udp) == udp && aimed(&e.listen));
        let place = match expose {
            Some(first) if (self.clean)("/expose") => format!("/expose/{first}"),
            _ if !udp && (self.clean)("/http") && config.http.as_ref().is_some_and(aimed) => {
                "/http".to_owned()
            }
            _ if (self.clean)("/listen") && config.listen.as_ref().is_some_and(aimed) => "/listen".to_owned(),
            _ => return,
        };
        let found = format!("\"{}\", which this node itself listens on ({place})", service.target);
        let help =
            "each connection would open another one: give the address of the server behind the service";
        self.add(format!("/services/{i}/target"), "the address of a server", found, help);
    }

    fn rules(&mut self, direction: Direction, rules: &[Rule]) {
        let list = direction.list();
        if !["/org", "/peers"].iter().all(|s| (self.clean)(s)) || !(self.clean)(&format!("/{list}")) {
            return;
        }
        let others: Vec<(String, String)> = (self.config.peers.iter())
            .filter(|p| p.foreign.is_some())
            .map(|p| (p.org.to_string(), format!("{}.{}", p.node, p.org)))
            .collect();
        let mut whole = policy::check(direction, rules);
        for (place, rule) in rules.iter().enumerate() {
            if let Some((_, key, wrong)) = whole.take_if(|(at, ..)| *at == place) {
                self.wrong(format!("/{list}/{place}{key}"), wrong);
            }
            if let Some(wrong) = policy::neighbour(rule, &self.config.org, &others, direction) {
                self.wrong(format!("/{list}/{place}/{}", policy::who(direction)), wrong);
            }
        }
    }

    fn expose(&mut self) {
        if !(self.clean)("/expose") {
            return;
        }
        let config = self.config;
        for (i, expose) in config.expose.iter().enumerate() {
            let at = format!("/expose/{i}/listen");
            let found = format!("\"{}\"", expose.listen);
            let earlier = config
                .expose
                .iter()
                .take(i)
                .position(|e| e.protocol == expose.protocol && same(&e.listen, &expose.listen));
            if let Some(first) = earlier {
                let help = format!("/expose/{first} listens there already: give another port");
                self.add(at, "a free address", found, help);
            } else if (self.clean)("/listen") && config.listen.is_some_and(|own| same(&own, &expose.listen)) {
                self.add(
                    at,
                    "a free address",
                    found,
                    "the node itself listens there (/listen): give another port",
                );
            }
        }
    }

    /// What neighbours take of a list, and what `expose` adds to it.
    fn interest(&mut self) {
        let config = self.config;
        let Some(list) = config.interest.as_ref().filter(|_| (self.clean)("/interest")) else { return };
        let stars = list.iter().filter(|pattern| pattern.contains('*')).count();
        let exposed = config.expose.iter().filter(|port| !list.iter().any(|p| p == port.service.as_str()));
        let all = list.len() + exposed.count();
        for (there, limit, what, help) in [
            (
                stars,
                Limits::INTEREST_STARS,
                "patterns with '*'",
                "name services, or everything of an organisation",
            ),
            (all, Limits::INTEREST, "services and patterns, those of 'expose' among them", "use patterns"),
        ] {
            if there > limit {
                self.add("/interest".into(), format!("at most {limit} {what}"), there.to_string(), help);
            }
        }
    }

    fn http(&mut self) {
        let Some(http) = self.config.http.filter(|_| (self.clean)("/http")) else { return };
        let taken = |other: &SocketAddr| same(other, &http);
        let expose = self.config.expose.iter().position(|e| e.protocol != Protocol::Udp && taken(&e.listen));
        let help = match expose {
            Some(i) if (self.clean)("/expose") => format!("/expose/{i} listens there: give another port"),
            _ if self.config.metrics.as_ref().is_some_and(taken) => {
                "/metrics listens there: give another port".to_owned()
            }
            _ if (self.clean)("/listen") && self.config.listen.as_ref().is_some_and(taken) => {
                "the node itself listens there (/listen): give another port".to_owned()
            }
            _ => return,
        };
        self.add("/http/listen".into(), "a free address", format!("\"{http}\""), help);
    }

    /// Ports of Envoy, and what they need.
    #[cfg(feature = "cloud")]
    fn envoy(&mut self) {
        let config = self.config;
        let runs = config.envoy.as_ref().filter(|e| e.mode != EnvoyMode::Off && (self.clean)("/envoy"));
        let others = |at: &SocketAddr| {
            let taken = |other: &SocketAddr| same(other, at);
            let expose = config.expose.iter().position(|e| e.protocol != Protocol::Udp && taken(&e.listen));
            match expose {
                Some(i) => Some(format!("/expose/{i}")),
                None if config.metrics.as_ref().is_some_and(taken) => Some("/metrics".to_owned()),
                None if config.http.as_ref().is_some_and(taken) => Some("/http".to_owned()),
                None if config.listen.as_ref().is_some_and(taken) => {
                    Some("the node itself (/listen)".to_owned())
                }
                None => None,
            }
        };
        if let Some(envoy) = runs
            && let Some(who) = others(&envoy.listen)
        {
            let found = format!("\"{}\"", envoy.listen);
            self.add(
                "/envoy/listen".into(),
                "a free address",
                found,
                format!("{who} listens there: give another port"),
            );
        }
        let given = |key: &str| self.tree.get("https").and_then(|https| https.get(key)).is_some();
        if let Some(missing) = ["certificate", "key"].into_iter().find(|key| given("listen") && !given(key)) {
            let help = format!("give the path of the {missing}, or leave /https/listen out");
            return self.add("/https".into(), format!("a {missing} beside listen"), "none", help);
        }
        let Some(https) = config.https.as_ref().filter(|_| (self.clean)("/https")) else { return };
        let found = format!("\"{}\"", https.listen);
        let Some(envoy) = runs else {
            let help = "set envoy.mode to \"managed\", or leave /https out";
            return self.add("/https".into(), "an Envoy, which serves HTTPS", found, help);
        };
        let mesh = same(&envoy.listen, &https.listen).then(|| "/envoy".to_owned());
        if let Some(who) = others(&https.listen).or(mesh) {
            self.add(
                "/https/listen".into(),
                "a free address",
                found,
                format!("{who} listens there: give another port"),
            );
        }
    }

    fn sizes(&mut self) {
        if !(self.clean)("/limits") {
            return;
        }
        let config = self.config;
        for (list, there, limit) in [
            ("peers", config.peers.len(), config.limits.peers),
            ("services", config.services.len(), config.limits.services),
            ("expose", config.expose.len(), config.limits.expose),
        ] {
            if (self.clean)(&format!("/{list}")) && there > limit as usize {
                let help = format!(
                    "raise limits.{list} (CATALYST_LIMITS__{}), or remove some",
                    list.to_ascii_uppercase()
                );
                self.add(format!("/{list}"), format!("at most {limit} of them"), there.to_string(), help);
            }
        }
    }

    fn socket(&mut self) {
        let path = &self.config.admin.socket;
        let bytes = path.as_os_str().as_bytes().len();
        if bytes > Limits::SOCKET_PATH {
            let expected =
                format!("a path of at most {} bytes, as the system wants of a socket", Limits::SOCKET_PATH);
            let found = format!("{bytes} bytes, \"{}\"", print::cut(&path.to_string_lossy()));
            self.add(
                "/admin/socket".into(),
                expected,
                found,
                "give a shorter admin.socket, or a shorter state_dir",
            );
        }
    }
}

/// Whether both cannot be listened on at one time. Port 0 is a new port each time.
fn same(a: &SocketAddr, b: &SocketAddr) -> bool {
    let overlap = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() != 0 && a.port() == b.port() && overlap
}
