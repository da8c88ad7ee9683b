//! Answers about the node: rows for peers, services and local ports, and the one next step that makes sense.

use catalyst_control::{Peer, Phase, SessionId};
use catalyst_identity::Date;
use catalyst_names::{NodeName, ServiceLabel, ServiceName};
use catalyst_policy::{Relation, Role};
use catalyst_route_table::Store;
use catalyst_services::Policy;
use catalyst_transport::SessionId as Link;

#[cfg(feature = "mesh")]
use catalyst_control::export::Asked;

#[cfg(feature = "mesh")]
use crate::admin::InterestRow;
use crate::admin::{ExposeRow, HealthRow, PeerRow, ServiceRow, Status, UdpRow};
use crate::authority::Authority;
use crate::engine::Engine;
#[cfg(feature = "mesh")]
use crate::limits::Limits;
use crate::rules::{exported_to, speaks_of};

const INTERNAL: &str = "internal";
const DIALS_US: &str = "dials us";
const NOTHING: &str = "nothing passes";

fn relation(peer: &Peer) -> &'static str {
    match peer.relation {
        Some(Relation::Internal) => INTERNAL,
        Some(Relation::External(Role::Customer)) => "customer",
        Some(Relation::External(Role::Provider)) => "provider",
        Some(Relation::External(Role::Peer)) => "peer",
        None => "no agreement",
    }
}

/// What becomes of the routes of a lost neighbour.
fn stale(peer: &Peer, now: u64) -> String {
    let Some(stale) = &peer.stale else { return String::new() };
    let in_s = |at: u64| at.saturating_sub(now).div_ceil(1000);
    let ago = now.saturating_sub(stale.since) / 1000;
    let next = in_s(stale.next());
    if peer.routes == 0 {
        return format!("lost {ago} s ago; no route of it is left");
    }
    let fate = match (stale.phase, stale.sweep_at) {
        (Phase::Swept, _) => "going".to_string(),
        (Phase::Kept, Some(_)) => format!("kept until it has told its table, at most {next} s"),
        (Phase::Kept, None) => {
            let sooner =
                if stale.path_lost { "; those that need its tunnel go then, others are" } else { "," };
            format!("stale: kept for {next} s{sooner} gone in {} s", in_s(stale.until))
        }
        (Phase::LongLived, _) => format!("long-lived stale: gone in {next} s"),
    };
    format!("lost {ago} s ago; its routes are {fate}")
}

/// An interest as it is shown.
#[cfg(feature = "mesh")]
fn asked(asked: Asked) -> InterestRow {
    match asked {
        Asked::Awaited => InterestRow { awaited: true, count: 0, patterns: Vec::new() },
        Asked::These(mut patterns) => {
            let count = patterns.len();
            patterns.truncate(Limits::PATTERNS);
            InterestRow { awaited: false, count, patterns }
        }
    }
}

impl<S: Store> Engine<S> {
    pub(crate) fn peer_rows(&self) -> Vec<PeerRow> {
        self.core.state().peers().map(|peer| self.peer_row(peer)).collect()
    }

    fn peer_row(&self, peer: &Peer) -> PeerRow {
        let name = &peer.config.name;
        let configured = self
            .facts
            .config
            .peers
            .iter()
            .find(|p| p.node.as_str() == name.node() && p.org.as_str() == name.org());
        let address = configured.and_then(|p| p.address.as_ref());
        let state = match (peer.session, peer.synced) {
            (None, _) => "down",
            (Some(_), false) => "syncing",
            (Some(_), true) => "up",
        };
        let last_error = match (peer.session, self.facts.dial_errors.get(name)) {
            (Some(_), _) => String::new(),
            (None, Some(error)) => error.clone(),
            (None, None) => peer.last_end.clone(),
        };
        #[cfg(feature = "mesh")]
        let last_error = match self.facts.disagreements.get(name) {
            Some(difference) if peer.session.is_none() => format!("{last_error} ({difference})"),
            _ => last_error,
        };
        let announced = peer.session.map_or(0, |s: SessionId| self.core.groups().announced_count(s));
        let now = self.clocks.now().mono;
        let limits = &self.core.state().settings().limits;
        PeerRow {
            name: name.to_string(),
            relation: relation(peer).to_string(),
            state: state.to_string(),
            address: address.map_or_else(|| DIALS_US.to_string(), ToString::to_string),
            via: peer
                .session
                .and_then(|s| self.transport.carrier(Link(s.0)))
                .map_or_else(String::new, |c| c.to_string()),
            since_s: now.saturating_sub(peer.since) / 1000,
            routes: peer.routes,
            max_routes: peer.max_routes(limits),
            announced,
            #[cfg(feature = "mesh")]
            bytes: (peer.bytes, peer.max_bytes(limits)),
            #[cfg(feature = "mesh")]
            near_limit: peer.warned,
            refused: peer.refused.count(),
            refused_more: peer.refused.is_more(),
            refused_total: peer.refused.total(),
            refused_why: peer.refused.why().map(str::to_string),
            refused_by_peer: peer.refused_by_peer.0,
            digest: if peer.session.is_some() { peer.compared.as_str().to_string() } else { String::new() },
            digest_mismatches: peer.compared.mismatches,
            refreshes: peer.compared.refreshes,
            #[cfg(feature = "mesh")]
            interest: peer.session.and_then(|session| self.core.groups().interest(session)).map(asked),
            malformed: peer.malformed,
            denied: peer.denied,
            withheld: self.withheld(name),
            sessions: peer.sessions,
            stale: stale(peer, now),
            last_error,
            clones: self.clones(peer, now),
            source: if self.peers.is_of_file(name) { "file" } else { "runtime" }.to_string(),
        }
    }

    /// Who else uses the identity of a peer.
    fn clones(&self, peer: &Peer, now: u64) -> String {
        if !peer.clones.suspected(now) {
            return String::new();
        }
        let runs: Vec<String> = peer.clones.runs().map(|r| r.to_string()).collect();
        let remotes = self.facts.remotes.get(&peer.config.name).map_or(&[][..], Vec::as_slice);
        let remotes: Vec<String> = remotes.iter().map(ToString::to_string).collect();
        format!("clone suspected: incarnations {}, last seen at {}", runs.join(", "), remotes.join(", "))
    }

    /// Between organisations nothing passes that no rule names: said here, so that nobody has to guess (RFC 8212).
    fn withheld(&self, peer: &NodeName) -> String {
        let (config, org) = (&self.facts.config, peer.org());
        let exports = speaks_of(&config.exports, org, peer.as_str());
        let imports = speaks_of(&config.imports, org, peer.as_str());
        match (org == config.org.as_str(), exports, imports) {
            (true, ..) | (_, true, true) => String::new(),
            (_, false, true) => format!("nothing goes to {org}: no entry of 'exports' names it"),
            (_, true, false) => format!("nothing comes from {org}: no entry of 'imports' names it"),
            (_, false, false) => format!("{NOTHING}: neither 'exports' nor 'imports' names {org}"),
        }
    }

    pub(crate) fn service_rows(&self) -> Vec<ServiceRow> {
        self.overlay.services(&self.facts.config).iter().map(|spec| self.service_row(spec)).collect()
    }

    pub(crate) fn service_row(&self, spec: &crate::admin::ServiceSpec) -> ServiceRow {
        let config = &self.facts.config;
        let full = ServiceName::new(&spec.name, &config.org);
        ServiceRow {
            health: self.health(&spec.name, &full, self.clocks.now().mono),
            carried: self.tables.carried(&full),
            name: full.to_string(),
            protocol: spec.protocol.to_string(),
            target: spec.target.clone(),
            cost: spec.cost,
            weight: spec.weight,
            tags: spec.tags.clone(),
            source: if self.overlay.is_of_file(&spec.name) { "file" } else { "runtime" }.to_string(),
            exported_to: exported_to(&config.exports, &full, &config.org),
        }
    }

    /// How a service is that is run or checked, or that the program that carries flows cannot serve.
    fn health(&self, label: &ServiceLabel, service: &ServiceName, mono: u64) -> Option<HealthRow> {
        let row = self.facts.local.row(label, mono);
        #[cfg(feature = "mesh")]
        if let Some(trouble) = self.tables.mesh().get().and_then(|mesh| mesh.trouble(service)) {
            let known = row.unwrap_or_else(|| HealthRow {
                state: String::new(),
                since_s: 0,
                why: String::new(),
                pid: None,
                restarts: 0,
                checks_failed: 0,
            });
            return Some(HealthRow {
                state: "unhealthy".to_string(),
                since_s: trouble.since_s,
                why: trouble.why,
                ..known
            });
        }
        let _ = service;
        row
    }

    fn udp(&self) -> UdpRow {
        let (flows, most, opened, refused) = self.tables.packet_flows();
        let packets = self.transport.packets().totals();
        UdpRow {
            flows: (flows, most),
            flows_total: (opened, refused),
            to_services: packets.to_service,
            from_services: packets.from_service,
            dropped_full: packets.full,
            dropped_too_long: packets.too_long,
            dropped_unreachable: packets.unreachable,
            dropped_no_flow: packets.no_flow,
            unknown_datagrams: packets.unknown,
        }
    }

    /// How the node is, in one line for a service manager.
    pub(crate) fn summary(&self) -> String {
        let state = self.core.state();
        let (mut up, mut peers) = (0, 0);
        for peer in state.peers() {
            peers += 1;
            up += usize::from(peer.session.is_some() && peer.synced);
        }
        let sandbox = match self.facts.sandbox.iter().find(|layer| layer.state != "enforced") {
            None if self.facts.sandbox.is_empty() => "no sandbox".to_string(),
            None => "sandbox enforced".to_string(),
            Some(weak) => format!("sandbox: {} {}", weak.layer, weak.state),
        };
        format!("{up} of {peers} peers up, {} routes, {sandbox}", state.table().store().len())
    }

    pub(crate) fn status(&self) -> Status {
        let state = self.core.state();
        let stats = self.transport.stats();
        let counters = state.counters();
        let (flows, totals) = self.tables.flows();
        let visibility = self.core.visibility();
        let mut status = Status {
            node: state.settings().name.to_string(),
            build: self.facts.build.to_string(),
            version: env!("CARGO_PKG_VERSION").to_string(),
            pid: std::process::id(),
            uptime_s: self.clocks.now().mono / 1000,
            incarnation: state.settings().incarnation,
            peering: self.transport.local_addr().to_string(),
            listens: self.facts.config.listen.is_some(),
            certificate_until: self.facts.certificate.not_after,
            routes: (state.table().store().len(), self.facts.max_routes),
            remembered: self.remembered_count(),
            routes_refused: counters.refused,
            flapping: (state.flapping(), counters.demoted),
            flows: (flows, self.facts.config.limits.flows as usize),
            flows_total: (totals.opened, totals.refused),
            carried: (totals.bytes_in, totals.bytes_out),
            flows_lost: (stats.stood_still, stats.unopened),
            denied: self.facts.denied.count(),
            udp: self.udp(),
            #[cfg(feature = "mesh")]
            interest: state.interest().map(|list| asked(Asked::These(list.to_vec()))),
            peers: self.peer_rows(),
            services: self.service_rows(),
            expose: self.expose_rows(),
            http: self.facts.http.map(|address| address.to_string()),
            visibility: visibility.rows,
            visibility_left_out: visibility.left_out,
            refused_connections: stats.refused + counters.unconfigured,
            sessions_ended: counters.sessions_ended,
            malformed_frames: counters.malformed_frames + stats.protocol_errors,
            joins_refused: self.authority.as_ref().map_or(0, Authority::refused),
            renewal_error: self.renewal.last_error.clone(),
            sandbox: self.facts.sandbox.clone(),
            store_notice: self.facts.store_notice.clone(),
            owed: self.facts.owed.row(),
            #[cfg(feature = "mesh")]
            envoy: self.tables.mesh().get().map(|mesh| Box::new(mesh.row())),
            #[cfg(feature = "mesh")]
            drain: self.drain_row(),
            next_step: String::new(),
        };
        status.next_step = next_step(&status, self.clocks.now().wall);
        status
    }
}

/// The first service that is known not to work.
fn ill(status: &Status) -> Option<(&str, &HealthRow)> {
    let rows = status.services.iter().filter_map(|s| Some((s.name.as_str(), s.health.as_ref()?)));
    rows.into_iter().find(|(_, health)| health.state == "unhealthy")
}

/// The one next step: what is broken first, then what is missing, then what to try. `now` is in seconds since 1970.
pub(crate) fn next_step(status: &Status, now: u64) -> String {
    if status.certificate_until <= now {
        return format!(
            "the certificate of this node has expired by its clock, which says {}, and neighbours refuse it: set the \
             clock if it is wrong; else sign its request again ('org sign'), put the new certificate in place, and \
             restart",
            Date(now)
        );
    }
    if let Some(owed) = &status.owed {
        let free = owed.free_bytes.map_or_else(String::new, |free| format!(", where {free} bytes are free"));
        return format!(
            "make space in {}{free}: {} change(s) are in force and not on the disk, and a stop now would lose them ({})",
            owed.folder, owed.changes, owed.why
        );
    }
    #[cfg(feature = "mesh")]
    if let Some(row) = &status.drain {
        return if row.is_over() {
            "neighbours use this node last; 'node undrain' brings them back, SIGTERM stops it".to_string()
        } else {
            format!("this node drains ({}); 'node undrain' takes it back", row.line())
        };
    }
    if let Some(peer) = status.peers.iter().find(|p| !p.clones.is_empty()) {
        return format!(
            "two processes run as {} ({}): stop one, and give it a key of its own",
            peer.name, peer.clones
        );
    }
    #[cfg(feature = "mesh")]
    if let Some(step) = status.envoy.as_ref().and_then(|envoy| envoy.next_step()) {
        return step;
    }
    if let Some(peer) = status.peers.iter().find(|p| p.state == "down") {
        return down(peer, status.refused_connections);
    }
    if let Some((service, health)) = ill(status) {
        return if health.why == Policy::LOST {
            format!("start the node again: {}, and {service} with it", Policy::LOST)
        } else {
            format!("{service} is unhealthy ({}): the log says more", health.why)
        };
    }
    if let Some(peer) = status.peers.iter().find(|p| p.refused > 0 || p.refused_more) {
        let why = peer.refused_why.as_deref().unwrap_or("a limit is reached");
        return format!(
            "{} announces more than fits: {why}; raise the limit, or let it announce less",
            peer.name
        );
    }
    if let Some(peer) = status.peers.iter().find(|p| p.refused_by_peer > 0) {
        return format!(
            "{} takes no more routes of this node: announce less to it, or have its limit raised",
            peer.name
        );
    }
    if let Some(port) = status.expose.iter().find(|e| e.state != "reachable") {
        return unreachable(port, status);
    }
    if status.peers.is_empty() {
        return "name a neighbour: 'peer add', or 'peers' of catalyst.json and a restart".to_string();
    }
    // A border that lets things pass one way only may be meant so; one that lets nothing pass is unfinished.
    if let Some(peer) = status.peers.iter().find(|p| p.withheld.starts_with(NOTHING)) {
        return format!(
            "{} is up, but {}; offer with 'export add', use with 'import add'",
            peer.name, peer.withheld
        );
    }
    if let Some(port) = status.expose.first() {
        return if port.protocol.starts_with("http") {
            format!("all is well; try: curl http://{}/   ({})", port.listen, port.service)
        } else if port.port == "udp" {
            format!("all is well; clients of {} send their packets to {}", port.service, port.listen)
        } else {
            format!("all is well; clients of {} connect to {}", port.service, port.listen)
        };
    }
    if status.services.is_empty() {
        return "offer a service: service add NAME --protocol http --target 127.0.0.1:8080".to_string();
    }
    "all is well; to use a remote service here, give it a local port: expose add SERVICE.ORG".to_string()
}

/// What to do about a peer without a session. Whoever dials is told why it failed; who is dialled has it in the log, but
/// cannot tell whether it was this peer: strangers are turned away too.
fn down(peer: &PeerRow, turned_away: u64) -> String {
    let name = &peer.name;
    if peer.address != DIALS_US {
        return match peer.last_error.as_str() {
            "" => format!("waiting for {name} at {}; is it started?", peer.address),
            why => format!("{name} is down: {why}"),
        };
    }
    let step = match peer.last_error.as_str() {
        "" => format!("start {name}; it dials this node"),
        why => format!("{name} is down: {why}"),
    };
    match turned_away {
        0 => step,
        n => format!(
            "{step} ({n} connection(s) were turned away since the start; if it was one of them, the log says why, and \
             so does 'status' there)"
        ),
    }
}

/// What to do about a local port whose service cannot be reached.
fn unreachable(port: &ExposeRow, status: &Status) -> String {
    let org = |name: &str| name.split_once('.').map(|(_, org)| org.to_string());
    let owner = org(&port.service);
    let foreign = status.peers.iter().find(|p| p.relation != INTERNAL && org(&p.name) == owner);
    let help = match foreign {
        Some(peer) if peer.withheld.contains("'imports'") => {
            format!("{}; add it there, or with 'import add'", peer.withheld)
        }
        Some(peer) => format!(
            "does {} export it to this organisation, and does 'imports' here name it? see 'route ls'",
            peer.name
        ),
        None => "see 'route ls' and 'peer ls'".to_string(),
    };
    format!("{} is not reachable here: {}; {help}", port.service, port.state)
}

#[cfg(test)]
pub(crate) mod tests;
