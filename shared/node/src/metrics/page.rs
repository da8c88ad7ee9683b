//! The page: one family after the other, HELP and TYPE before its samples. What has one value, or one for each peer or
//! service, stands in tables: another figure is one line there.

use std::collections::BTreeMap;

use super::process;
use crate::admin::{HealthRow, PeerRow, Status};
#[cfg(feature = "mesh")]
use crate::envoy_row::EnvoyRow;

/// A family: its name, which ends in `_total` if it only grows; what it is; its value.
type Figure<T> = (&'static str, &'static str, fn(&T) -> u64);

const OF_NODE: &[Figure<Status>] = &[
    ("uptime_seconds", "Since the start.", |s| s.uptime_s),
    ("certificate_expiry_timestamp_seconds", "When the certificate ends, since 1970.", |s| {
        s.certificate_until
    }),
    ("routes", "Routes held.", |s| s.routes.0 as u64),
    ("routes_limit", "The most routes that it may hold.", |s| s.routes.1 as u64),
    ("routes_refused_total", "Routes refused for want of room.", |s| s.routes_refused),
    ("routes_flapping", "Routes that rank behind others: they change too often.", |s| s.flapping.0 as u64),
    ("routes_demoted_total", "How often a route came to that.", |s| s.flapping.1),
    ("flows", "Connections carried now.", |s| s.flows.0 as u64),
    ("flows_limit", "The most connections that it may carry.", |s| s.flows.1 as u64),
    ("flows_opened_total", "Connections carried so far.", |s| s.flows_total.0),
    ("flows_refused_total", "Connections refused.", |s| s.flows_total.1),
    ("udp_flows", "Clients of UDP services carried now.", |s| s.udp.flows.0 as u64),
    ("udp_flows_limit", "The most of them.", |s| s.udp.flows.1 as u64),
    ("udp_flows_opened_total", "Clients of UDP services so far.", |s| s.udp.flows_total.0),
    ("udp_flows_refused_total", "Flows of UDP refused for want of room.", |s| s.udp.flows_total.1),
    ("udp_unknown_datagrams_total", "Datagrams of peers that belong to no flow.", |s| {
        s.udp.unknown_datagrams
    }),
    ("connections_refused_total", "Peering connections turned away.", |s| s.refused_connections),
    ("sessions_ended_total", "Sessions ended by this node for cause.", |s| s.sessions_ended),
    ("malformed_frames_total", "Frames that could not be understood.", |s| s.malformed_frames),
    ("permission_denied_total", "Connections to services of this node that the system forbade.", |s| {
        s.denied
    }),
    ("joins_refused_total", "Certificates refused to nodes that asked.", |s| s.joins_refused),
    ("changes_unwritten", "Changes that are in force and not on the disk.", |s| {
        s.owed.as_ref().map_or(0, |owed| owed.changes as u64)
    }),
    ("services", "Services of this node.", |s| s.services.len() as u64),
];

const OF_PEERS: &[Figure<PeerRow>] = &[
    ("peer_up", "Whether the session stands.", |p| u64::from(p.state != "down")),
    ("peer_routes", "Routes of the peer.", |p| p.routes as u64),
    ("peer_routes_stale", "Routes of the peer that are kept though it is lost.", |p| {
        if p.state == "down" { p.routes as u64 } else { 0 }
    }),
    ("peer_announced", "Routes announced to the peer.", |p| p.announced as u64),
    ("peer_refused", "Routes of the peer that are refused now.", |p| u64::from(p.refused)),
    ("peer_refused_total", "How often a route of the peer was refused.", |p| p.refused_total),
    ("peer_digest_mismatches_total", "Digests of the peer that did not fit.", |p| {
        u64::from(p.digest_mismatches)
    }),
    ("peer_refreshes_total", "Refreshes asked of the peer.", |p| u64::from(p.refreshes)),
    ("peer_sessions_total", "Sessions so far.", |p| u64::from(p.sessions)),
];

const OF_SERVICES: &[Figure<HealthRow>] = &[
    ("service_healthy", "Whether a service that is run or checked here works.", |h| {
        u64::from(h.state == "healthy")
    }),
    ("service_restarts_total", "How often a service was started again.", |h| u64::from(h.restarts)),
    ("service_checks_failed_total", "Checks of a service that failed.", |h| h.checks_failed),
];

/// A page in the making. Kept in small calls: it is code of the edge, which has little room.
struct Page {
    text: String,
    name: &'static str,
}

impl Page {
    fn push(&mut self, parts: &[&str]) {
        parts.iter().for_each(|part| self.text.push_str(part));
    }

    fn family(&mut self, name: &'static str, help: &str) {
        self.name = name;
        let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
        self.push(&["# HELP catalyst_", name, " ", help, "\n# TYPE catalyst_", name, " ", kind, "\n"]);
    }

    /// A value of the family that was begun last.
    fn sample(&mut self, labels: &[(&str, &str)], value: u64) {
        self.push(&["catalyst_", self.name]);
        for (at, (name, text)) in labels.iter().enumerate() {
            self.push(&[if at == 0 { "{" } else { "," }, name, "=\""]);
            for c in text.chars() {
                match c {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    c => self.text.push(c),
                }
            }
            self.text.push('"');
        }
        self.push(&[if labels.is_empty() { " " } else { "} " }, &value.to_string(), "\n"]);
    }

    /// A family with one label.
    fn by(&mut self, name: &'static str, help: &str, label: &str, values: &[(&str, u64)]) {
        self.family(name, help);
        for (text, value) in values {
            self.sample(&[(label, text)], *value);
        }
    }

    /// A family with a value for each direction.
    fn ways(&mut self, name: &'static str, help: &str, to: u64, from: u64) {
        self.by(name, help, "direction", &[("to_service", to), ("from_service", from)]);
    }
}

#[cfg(feature = "mesh")]
const OF_ENVOY: &[Figure<EnvoyRow>] = &[
    ("envoy_up", "Whether Envoy runs and hears this node.", |e| u64::from(e.is_up())),
    ("envoy_restarts_total", "How often Envoy was started again.", |e| e.restarts),
    ("envoy_nacks_total", "Answers of Envoy by which it rejected something.", |e| e.xds.nacks),
    ("envoy_rejected", "Resources that Envoy rejects: should be 0.", |e| e.rejected_count as u64),
    ("envoy_unresolved_names", "Names of targets and mesh ports that do not resolve: should be 0.", |e| {
        e.unresolved.len() as u64
    }),
];

#[cfg(feature = "mesh")]
fn envoy(page: &mut Page, row: &EnvoyRow) {
    for (name, help, value) in OF_ENVOY {
        page.family(name, help);
        page.sample(&[], value(row));
    }
    let resources: Vec<(&str, u64)> =
        row.xds.resources.iter().map(|(kind, count)| (kind.as_str(), *count as u64)).collect();
    page.by("envoy_resources", "What Envoy is to hold.", "kind", &resources);
}

/// The page.
pub(super) fn text(s: &Status) -> String {
    let mut page = Page { text: String::new(), name: "" };
    process::figures(&mut page.text);
    page.family("node_info", "This node.");
    page.sample(&[("node", &s.node), ("build", &s.build), ("version", &s.version)], 1);
    for (name, help, value) in OF_NODE {
        page.family(name, help);
        page.sample(&[], value(s));
    }
    let lost = [("stood_still", s.flows_lost.0), ("neighbour_full", s.flows_lost.1)];
    page.by("flows_lost_total", "Connections lost to a limit towards a neighbour.", "reason", &lost);
    page.ways("bytes_total", "Bytes carried by connections and in packets.", s.carried.0, s.carried.1);
    let udp = &s.udp;
    let (to, from) = (udp.to_services, udp.from_services);
    page.ways("udp_packets_total", "Packets carried.", to.0, from.0);
    page.ways("udp_bytes_total", "Bytes carried in packets.", to.1, from.1);
    let dropped = [
        ("full", udp.dropped_full),
        ("too_long", udp.dropped_too_long),
        ("unreachable", udp.dropped_unreachable),
        ("no_flow", udp.dropped_no_flow),
    ];
    page.by("udp_dropped_total", "Packets dropped.", "reason", &dropped);
    let mut carried: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    carried.extend(s.services.iter().map(|row| (row.name.as_str(), row.carried)));
    carried.extend(s.expose.iter().filter_map(|row| Some((row.service.as_str(), row.carried?))));
    page.family(
        "service_bytes_total",
        "Bytes carried for a service of this node, or one with a local port here.",
    );
    for (name, (to, from)) in carried {
        page.sample(&[("service", name), ("direction", "to_service")], to);
        page.sample(&[("service", name), ("direction", "from_service")], from);
    }
    for (name, help, value) in OF_SERVICES {
        page.family(name, help);
        for (row, health) in s.services.iter().filter_map(|row| Some((row, row.health.as_ref()?))) {
            page.sample(&[("service", &row.name)], value(health));
        }
    }
    #[cfg(feature = "mesh")]
    if let Some(row) = &s.envoy {
        envoy(&mut page, row);
    }
    for (name, help, value) in OF_PEERS {
        page.family(name, help);
        s.peers.iter().for_each(|peer| page.sample(&[("peer", &peer.name)], value(peer)));
    }
    page.text
}

#[cfg(test)]
mod tests;
