//! The page: one family after the other, HELP and TYPE before its samples.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::process;
use crate::admin::{HealthRow, Status};

/// A label's value, escaped as the format wants it.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// The page.
pub(super) fn text(s: &Status) -> String {
    let mut out = String::new();
    process::figures(&mut out);
    let mut family = |name: &str, kind: &str, help: &str, samples: &[(String, u64)]| {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "# HELP catalyst_{name} {help}\n# TYPE catalyst_{name} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(out, "catalyst_{name}{labels} {value}");
        }
    };
    let one = |value: u64| vec![(String::new(), value)];
    let count = |n: usize| one(n as u64);
    let info = format!(
        "{{node=\"{}\",build=\"{}\",version=\"{}\"}}",
        escaped(&s.node),
        escaped(&s.build),
        escaped(&s.version)
    );
    family("node_info", "gauge", "This node.", &[(info, 1)]);
    family("uptime_seconds", "gauge", "Since the start.", &one(s.uptime_s));
    family(
        "certificate_expiry_timestamp_seconds",
        "gauge",
        "When the certificate ends, since 1970.",
        &one(s.certificate_until),
    );
    family("routes", "gauge", "Routes held.", &count(s.routes.0));
    family("routes_limit", "gauge", "The most routes that it may hold.", &count(s.routes.1));
    family("routes_refused_total", "counter", "Routes refused for want of room.", &one(s.routes_refused));
    family("flows", "gauge", "Connections carried now.", &count(s.flows.0));
    family("flows_limit", "gauge", "The most connections that it may carry.", &count(s.flows.1));
    family("flows_opened_total", "counter", "Connections carried so far.", &one(s.flows_total.0));
    family("flows_refused_total", "counter", "Connections refused.", &one(s.flows_total.1));
    let lost = [("stood_still", s.flows_lost.0), ("neighbour_full", s.flows_lost.1)];
    let lost = lost.map(|(why, flows)| (format!("{{reason=\"{why}\"}}"), flows));
    family("flows_lost_total", "counter", "Connections lost to a limit towards a neighbour.", &lost);
    let ways = |to: u64, from: u64| {
        vec![
            ("{direction=\"to_service\"}".to_string(), to),
            ("{direction=\"from_service\"}".to_string(), from),
        ]
    };
    family(
        "bytes_total",
        "counter",
        "Bytes carried by connections and in packets.",
        &ways(s.carried.0, s.carried.1),
    );
    let udp = &s.udp;
    family("udp_flows", "gauge", "Clients of UDP services carried now.", &count(udp.flows.0));
    family("udp_flows_limit", "gauge", "The most of them.", &count(udp.flows.1));
    family("udp_flows_opened_total", "counter", "Clients of UDP services so far.", &one(udp.flows_total.0));
    family(
        "udp_flows_refused_total",
        "counter",
        "Flows of UDP refused for want of room.",
        &one(udp.flows_total.1),
    );
    let (to, from) = (udp.to_services, udp.from_services);
    family("udp_packets_total", "counter", "Packets carried.", &ways(to.0, from.0));
    family("udp_bytes_total", "counter", "Bytes carried in packets.", &ways(to.1, from.1));
    let dropped = [
        ("full", udp.dropped_full),
        ("too_long", udp.dropped_too_long),
        ("unreachable", udp.dropped_unreachable),
        ("no_flow", udp.dropped_no_flow),
    ];
    let dropped = dropped.map(|(why, packets)| (format!("{{reason=\"{why}\"}}"), packets));
    family("udp_dropped_total", "counter", "Packets dropped.", &dropped);
    family(
        "udp_unknown_datagrams_total",
        "counter",
        "Datagrams of peers that belong to no flow.",
        &one(udp.unknown_datagrams),
    );
    family(
        "connections_refused_total",
        "counter",
        "Peering connections turned away.",
        &one(s.refused_connections),
    );
    family(
        "sessions_ended_total",
        "counter",
        "Sessions ended by this node for cause.",
        &one(s.sessions_ended),
    );
    family(
        "malformed_frames_total",
        "counter",
        "Frames that could not be understood.",
        &one(s.malformed_frames),
    );
    family(
        "joins_refused_total",
        "counter",
        "Certificates refused to nodes that asked.",
        &one(s.joins_refused),
    );
    let mut carried: BTreeMap<&str, (u64, u64)> =
        s.services.iter().map(|row| (row.name.as_str(), row.carried)).collect();
    carried.extend(s.expose.iter().map(|row| (row.service.as_str(), row.carried)));
    let row = |name: &str, direction: &str, bytes: u64| {
        (format!("{{service=\"{}\",direction=\"{direction}\"}}", escaped(name)), bytes)
    };
    let rows = carried
        .iter()
        .flat_map(|(name, (to, from))| [row(name, "to_service", *to), row(name, "from_service", *from)]);
    family(
        "service_bytes_total",
        "counter",
        "Bytes carried for a service of this node, or one with a local port here.",
        &rows.collect::<Vec<_>>(),
    );
    family("services", "gauge", "Services of this node.", &count(s.services.len()));
    let of_services = |value: fn(&HealthRow) -> u64| -> Vec<(String, u64)> {
        let rows = s.services.iter().filter_map(|row| Some((row, value(row.health.as_ref()?))));
        rows.map(|(row, value)| (format!("{{service=\"{}\"}}", escaped(&row.name)), value)).collect()
    };
    family(
        "service_healthy",
        "gauge",
        "Whether a service that is run or checked here works.",
        &of_services(|h| u64::from(h.state == "healthy")),
    );
    family(
        "service_restarts_total",
        "counter",
        "How often a service was started again.",
        &of_services(|h| u64::from(h.restarts)),
    );
    family(
        "service_checks_failed_total",
        "counter",
        "Checks of a service that failed.",
        &of_services(|h| h.checks_failed),
    );
    let of_peers = |value: &dyn Fn(&crate::admin::PeerRow) -> u64| -> Vec<(String, u64)> {
        s.peers.iter().map(|p| (format!("{{peer=\"{}\"}}", escaped(&p.name)), value(p))).collect()
    };
    family("peer_up", "gauge", "Whether the session stands.", &of_peers(&|p| u64::from(p.state != "down")));
    family("peer_routes", "gauge", "Routes of the peer.", &of_peers(&|p| p.routes as u64));
    family("peer_announced", "gauge", "Routes announced to the peer.", &of_peers(&|p| p.announced as u64));
    family(
        "peer_refused_total",
        "counter",
        "Routes of the peer refused.",
        &of_peers(&|p| u64::from(p.refused)),
    );
    family("peer_sessions_total", "counter", "Sessions so far.", &of_peers(&|p| u64::from(p.sessions)));
    out
}

#[cfg(test)]
mod tests;
