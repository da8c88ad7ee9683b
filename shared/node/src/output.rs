//! What commands print: tables for people, JSON for programs.

use catalyst_control::view::RouteRow;
use catalyst_control::visibility::VisibilityRow;
use catalyst_identity::Date;
use catalyst_wire::attr::DEFAULT_WEIGHT;

use crate::admin::{Answer, ExposeRow, NodeRow, PeerRow, RuleRow, ServiceRow, Status};
#[cfg(feature = "mesh")]
use crate::in_words;
use crate::plain;
use crate::printed::print;
use crate::rule_words::details;

/// One line on stdout. A reader that went away, as 'head' does, is no error. Words of peers are in it, so what could
/// move a cursor or end a line is shown as a dot.
pub(crate) fn line(text: &str) {
    print(&format!("{}\n", plain::line(text)));
}

/// A JSON document on stdout.
pub(crate) fn document(text: &str) {
    raw(&plain::json(text));
}

/// Text of our own that may hold several lines.
pub(crate) fn raw(text: &str) {
    print(&format!("{text}\n"));
}

/// The answer as JSON: the bare object or list, without the envelope.
pub(crate) fn json(answer: &Answer) {
    let text = match answer {
        Answer::Status(status) => serde_json::to_string_pretty(status),
        Answer::Routes(rows) => serde_json::to_string_pretty(rows),
        Answer::Peers(rows) => serde_json::to_string_pretty(rows),
        Answer::Exposed(rows) => serde_json::to_string_pretty(rows),
        Answer::Rules(rows) => serde_json::to_string_pretty(rows),
        #[cfg(feature = "mesh")]
        Answer::Plan(plan) => serde_json::to_string_pretty(plan),
        #[cfg(feature = "mesh")]
        Answer::Drain(row) => serde_json::to_string_pretty(row),
        #[cfg(feature = "mesh")]
        Answer::Watch(rows) => serde_json::to_string_pretty(rows),
        #[cfg(feature = "mesh")]
        Answer::Explained(explained) => serde_json::to_string_pretty(explained),
        Answer::Visibility(all) => serde_json::to_string_pretty(all),
        Answer::Nodes(rows) => serde_json::to_string_pretty(rows),
        other @ (Answer::Bundle { .. }
        | Answer::Invitation { .. }
        | Answer::Enrolled(_)
        | Answer::Unwritten { .. }) => serde_json::to_string_pretty(other),
        Answer::Services(rows) => serde_json::to_string_pretty(rows),
    };
    document(&text.unwrap_or_default());
}

/// The answer for people; `said` is what a change says before its list.
pub(crate) fn text(answer: &Answer, said: Option<String>) {
    if let Some(said) = said {
        line(&said);
    }
    match answer {
        Answer::Status(s) => status(s),
        Answer::Routes(rows) => routes(rows),
        Answer::Peers(rows) => peers(rows),
        Answer::Services(rows) => services(rows),
        Answer::Exposed(rows) => exposed(rows),
        Answer::Rules(rows) => rules(rows),
        #[cfg(feature = "mesh")]
        Answer::Plan(answer) => in_words::plan(answer).iter().for_each(|text| line(text)),
        #[cfg(feature = "mesh")]
        Answer::Drain(row) if row.state == "none" => line("neighbours may use this node as before"),
        #[cfg(feature = "mesh")]
        Answer::Drain(row) => line(&row.line()),
        #[cfg(feature = "mesh")]
        Answer::Watch(rows) => rows.iter().for_each(|row| line(&in_words::watched(row))),
        #[cfg(feature = "mesh")]
        Answer::Explained(explained) => in_words::explained(explained).iter().for_each(|text| line(text)),
        Answer::Visibility(all) => visibility(&all.rows, all.left_out),
        Answer::Bundle { pem, .. } => raw(pem.trim_end()),
        Answer::Nodes(rows) => nodes(rows),
        Answer::Invitation { token, node, expires, address } => {
            // The words go to stderr: TOKEN=$(catalyst node invite NAME) holds the token and nothing else.
            eprintln!(
                "for {node}, once, until {}; it dials {address}. Whoever holds it can become the node.",
                Date(*expires)
            );
            eprintln!("next, on its machine: catalyst-edge join TOKEN, or catalyst join TOKEN");
            line(token);
        }
        Answer::Enrolled(_) | Answer::Unwritten { .. } => {}
    }
}

/// Prints columns as wide as their widest cell; the last is not padded.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>], empty: &str) {
    if rows.is_empty() {
        line(empty);
        return;
    }
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|r| r.get(column)).map(|c| c.chars().count());
        cells.chain(head.get(column).map(|h| h.len())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let print = |cells: Vec<&str>| {
        let mut text = String::new();
        for (cell, width) in cells.iter().zip(&widths) {
            text.push_str(cell);
            let pad = width.saturating_sub(cell.chars().count()) + 2;
            text.extend(std::iter::repeat_n(' ', pad));
        }
        line(text.trim_end());
    };
    print(head.to_vec());
    rows.iter().for_each(|row| print(row.iter().map(String::as_str).collect()));
}

/// `3 d 4 h`, `12 min`, `7 s`.
fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, m) => format!("{m} min"),
        (0, h, m) => format!("{h} h {m} min"),
        (d, h, _) => format!("{d} d {h} h"),
    }
}

/// How long the node's certificate is good for, by the clock of whoever asks: on the same machine it is the node's.
fn certificate(until: u64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs());
    match until.checked_sub(now) {
        Some(left) if left > 0 => format!("certificate good for {}", duration(left)),
        _ => format!("certificate expired {} ago", duration(now.saturating_sub(until))),
    }
}

fn or_dash(text: String) -> String {
    if text.is_empty() { "-".to_string() } else { text }
}

/// The neighbour of a route, and what is to be said of the route itself.
fn via(r: &RouteRow) -> String {
    let word = |on: bool, word| if on { word } else { "" };
    let marks = [r.stale.as_str(), word(r.flapping, "flapping"), word(r.draining, "draining")];
    let mut text = r.via.clone();
    for mark in marks.into_iter().filter(|mark| !mark.is_empty()) {
        text.push_str(&format!(" ({mark})"));
    }
    text
}

fn routes(rows: &[RouteRow]) {
    let cells = |r: &RouteRow| {
        let mark = match r.standing.as_str() {
            "best" => "*",
            "next" => "+",
            "ineligible" => "!",
            "remembered" => "?",
            _ => " ",
        };
        vec![
            format!("{mark} {}", r.service),
            r.protocol.clone(),
            r.origin.clone(),
            via(r),
            or_dash(r.node_path.join(" ")),
            or_dash(r.org_path.join(" ")),
            r.local_pref.to_string(),
            r.cost.to_string(),
        ]
    };
    let head = ["  SERVICE", "PROTOCOL", "ORIGIN", "VIA", "NODE-PATH", "ORG-PATH", "PREF", "COST"];
    let rows: Vec<_> = rows.iter().map(cells).collect();
    table(&head, &rows, "no routes: no service is offered here, and no peer announced one");
}

fn peers(rows: &[PeerRow]) {
    let cells = |p: &PeerRow| {
        let refused = match (p.refused, p.refused_by_peer) {
            (0, 0) => "-".to_string(),
            (ours, theirs) => format!("{ours}{} here, {theirs} there", if p.refused_more { "+" } else { "" }),
        };
        vec![
            p.name.clone(),
            p.relation.clone(),
            p.state.clone(),
            if p.via.is_empty() { "-".to_string() } else { p.via.clone() },
            duration(p.since_s),
            format!("{}/{}", p.routes, p.max_routes),
            p.announced.to_string(),
            refused,
            p.address.clone(),
        ]
    };
    let head = ["PEER", "RELATION", "STATE", "OVER", "FOR", "ROUTES", "ANNOUNCED", "REFUSED", "ADDRESS"];
    table(&head, &rows.iter().map(cells).collect::<Vec<_>>(), "no peers are configured");
    for peer in rows {
        if !peer.last_error.is_empty() {
            line(&format!("  {}: {}", peer.name, peer.last_error));
        }
        if !peer.clones.is_empty() {
            line(&format!("  {}: {}", peer.name, peer.clones));
        }
        #[cfg(feature = "mesh")]
        if let Some(interest) = &peer.interest {
            line(&format!("  {}: asks for {}", peer.name, in_words::interest(interest)));
        }
        #[cfg(feature = "mesh")]
        if peer.near_limit {
            let (bytes, most) = peer.bytes;
            line(&format!(
                "  {}: nears its limit: {} of {} routes, {bytes} of {most} bytes",
                peer.name, peer.routes, peer.max_routes
            ));
        }
        if !peer.stale.is_empty() {
            line(&format!("  {}: {}", peer.name, peer.stale));
        }
        if !peer.withheld.is_empty() {
            line(&format!("  {}: {}", peer.name, peer.withheld));
        }
        if peer.malformed > 0 || peer.denied > 0 {
            line(&format!(
                "  {}: {} route(s) malformed, {} kept out by policy",
                peer.name, peer.malformed, peer.denied
            ));
        }
        if peer.digest_mismatches > 0 {
            line(&format!(
                "  {}: digest {}; {} did not fit, {} refresh(es) asked for",
                peer.name, peer.digest, peer.digest_mismatches, peer.refreshes
            ));
        }
        if let Some(why) = &peer.refused_why {
            let more = if peer.refused_more { " and more" } else { "" };
            line(&format!("  {}: {}{more} route(s) refused: {why}", peer.name, peer.refused));
        }
    }
}

fn services(rows: &[ServiceRow]) {
    let cells = |s: &ServiceRow| {
        vec![
            s.name.clone(),
            s.protocol.clone(),
            s.target.clone(),
            s.cost.to_string(),
            s.source.clone(),
            s.health.as_ref().map_or("-".to_string(), |h| format!("{} {}", h.state, duration(h.since_s))),
            or_dash(s.exported_to.join(" ")),
        ]
    };
    let head = ["SERVICE", "PROTOCOL", "TARGET", "COST", "FROM", "HEALTH", "EXPORTED TO"];
    table(&head, &rows.iter().map(cells).collect::<Vec<_>>(), "this node offers no services");
    for s in rows.iter().filter(|s| !s.tags.is_empty() || s.weight != DEFAULT_WEIGHT) {
        line(&format!("  {}: weight {}, tags {}", s.name, s.weight, or_dash(s.tags.join(" "))));
    }
    for (service, health) in rows.iter().filter_map(|s| Some((s, s.health.as_ref()?))) {
        let mut words = Vec::new();
        words.extend(Some(health.why.clone()).filter(|why| !why.is_empty()));
        words.extend(health.pid.map(|pid| format!("process {pid}")));
        words.push(format!("{} restart(s), {} check(s) failed", health.restarts, health.checks_failed));
        line(&format!("  {}: {}", service.name, words.join(", ")));
    }
}

fn exposed(rows: &[ExposeRow]) {
    let listens =
        |e: &ExposeRow| if e.port == "udp" { format!("udp {}", e.listen) } else { e.listen.clone() };
    let cells = |e: &ExposeRow| vec![e.service.clone(), listens(e), e.source.clone(), e.state.clone()];
    let none = "no local ports; open one: expose add SERVICE.ORG";
    let head = ["LOCAL PORT FOR", "LISTENS ON", "FROM", "STATE"];
    table(&head, &rows.iter().map(cells).collect::<Vec<_>>(), none);
}

fn nodes(rows: &[NodeRow]) {
    let when = |n: &NodeRow| {
        let word = if n.state == "revoked" || n.state == "expired" { "since" } else { "until" };
        format!("{word} {}", Date(n.until))
    };
    let cells = |n: &NodeRow| vec![n.node.to_string(), n.state.clone(), when(n)];
    let none = "nobody was invited yet: catalyst node invite NAME";
    table(&["NODE", "STATE", "WHEN"], &rows.iter().map(cells).collect::<Vec<_>>(), none);
}

fn rules(rows: &[RuleRow]) {
    let cells = |r: &RuleRow| {
        let (direction, org) = (r.rule.direction.as_str(), r.rule.org.to_string());
        let what = r.detail.as_ref().map_or_else(String::new, |rule| details(rule));
        let matches = r.matches.to_string();
        vec![
            direction.to_string(),
            r.name.clone(),
            r.rule.service.clone(),
            org,
            what,
            matches,
            r.source.clone(),
        ]
    };
    let none = "no rules: nothing passes between organisations (RFC 8212)";
    let head = ["RULE", "NAME", "SERVICE", "ORGANISATION", "WHAT", "MATCHES", "FROM"];
    table(&head, &rows.iter().map(cells).collect::<Vec<_>>(), none);
}

fn visibility(rows: &[VisibilityRow], left_out: usize) {
    let cells = |v: &VisibilityRow| {
        let who = if v.ours { format!("{} sees", v.peer) } else { format!("of {}, seen here", v.peer) };
        vec![v.service.clone(), who, if v.visible { "yes".to_string() } else { v.why.clone() }]
    };
    let none = "no peer of another organisation";
    table(&["SERVICE", "WHO", "VISIBLE"], &rows.iter().map(cells).collect::<Vec<_>>(), none);
    if left_out > 0 {
        line(&format!("{left_out} more row(s) are left out"));
    }
}

fn status(s: &Status) {
    line(&format!("{}  {} {}, pid {}, up {}", s.node, s.build, s.version, s.pid, duration(s.uptime_s)));
    let dial = if s.listens { "and TCP, peers may dial it" } else { "dials out only" };
    line(&format!("peering on UDP {} ({dial}), {}", s.peering, certificate(s.certificate_until)));
    let refused: u32 = s.peers.iter().map(|peer| peer.refused).sum();
    line(&format!(
        "routes {} of {}{}, flows {} of {} ({} so far{})",
        s.routes.0,
        s.routes.1,
        if refused > 0 { format!(", {refused} refused") } else { String::new() },
        s.flows.0,
        s.flows.1,
        s.flows_total.0,
        if s.flows_total.1 > 0 { format!(", {} refused", s.flows_total.1) } else { String::new() },
    ));
    let udp = &s.udp;
    if udp.flows_total != (0, 0) || udp.dropped() > 0 {
        line(&format!(
            "UDP: {} of {} flows ({} so far{}), {} packet(s) to services, {} from them, {} dropped",
            udp.flows.0,
            udp.flows.1,
            udp.flows_total.0,
            if udp.flows_total.1 > 0 { format!(", {} refused", udp.flows_total.1) } else { String::new() },
            udp.to_services.0,
            udp.from_services.0,
            udp.dropped(),
        ));
    }
    if let Some(http) = &s.http {
        line(&format!("HTTP services by Host on {http}"));
    }
    #[cfg(feature = "mesh")]
    if let Some(drain) = &s.drain {
        let time = duration(drain.for_s);
        line(&if drain.is_over() {
            format!("{} (the drain began {time} ago)", drain.line())
        } else {
            format!("draining for {time}: {}", drain.line())
        });
    }
    #[cfg(feature = "mesh")]
    if let Some(envoy) = &s.envoy {
        envoy.lines(duration).iter().for_each(|text| line(text));
    }
    if s.remembered.0 > 0 {
        line(&format!(
            "{} route(s) of the last run are remembered, not used: their peers have not come back ('route ls')",
            s.remembered.0
        ));
    }
    #[cfg(feature = "mesh")]
    if let Some(interest) = &s.interest {
        line(&format!("asks its neighbours for {}", in_words::interest(interest)));
    }
    if s.flapping.0 > 0 {
        line(&format!("{} route(s) change too often and rank behind others ('route ls')", s.flapping.0));
    }
    if s.refused_connections + s.sessions_ended + s.malformed_frames > 0 {
        line(&format!(
            "turned away {} connection(s), ended {} session(s), {} malformed frame(s)",
            s.refused_connections, s.sessions_ended, s.malformed_frames
        ));
    }
    if s.joins_refused > 0 {
        line(&format!("refused {} question(s) for a certificate: the log says why", s.joins_refused));
    }
    if let Some(why) = &s.renewal_error {
        line(&format!("the last renewal of this node's certificate failed: {why}"));
    }
    if s.flows_lost != (0, 0) {
        line(&format!(
            "reset {} connection(s) whose reader stood still, {} found a neighbour full",
            s.flows_lost.0, s.flows_lost.1
        ));
    }
    if s.denied > 0 {
        line(&format!(
            "the system forbade {} connection(s) to services of this node: the log says which",
            s.denied
        ));
    }
    if !s.sandbox.is_empty() {
        let layers: Vec<String> = s.sandbox.iter().map(|l| format!("{} {}", l.layer, l.state)).collect();
        line(&format!("sandbox: {}", layers.join(", ")));
        for layer in s.sandbox.iter().filter(|l| l.state != "enforced") {
            line(&format!("  {}: {}", layer.layer, layer.why));
        }
    }
    if let Some(notice) = &s.store_notice {
        line(&format!("state: {notice}"));
    }
    if let Some(owed) = &s.owed {
        line(&format!(
            "not on the disk: {} change(s) that are in force, for {} s: {}",
            owed.changes, owed.since_s, owed.why
        ));
    }
    line("");
    peers(&s.peers);
    line("");
    services(&s.services);
    if !s.expose.is_empty() {
        line("");
        exposed(&s.expose);
    }
    if !s.visibility.is_empty() {
        line("");
        visibility(&s.visibility, s.visibility_left_out);
    }
    line("");
    line(&format!("next: {}", s.next_step));
}
