//! The most memory that a node may take, subject by subject, from its configuration: what `check` prints.
//!
//! Every figure is a capacity times what one of its kind takes at its largest. A test fills all of them at once and
//! reads the process's anonymous memory, which must stay below the sum.

use catalyst_config::{Capacities, Config};
use catalyst_identity::Limits as TrustLimits;
use catalyst_store::Limits as StoreLimits;
use catalyst_transport::{Held, Limits as TransportLimits};
use catalyst_tunnel::Limits as TunnelLimits;
use catalyst_wire::Limits as WireLimits;
use serde::Serialize;

use crate::limits::Limits;

/// One subject's part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bound {
    /// What takes it.
    pub what: &'static str,
    /// How many of what size, and which key decides.
    pub of: String,
    /// Bytes.
    pub bytes: usize,
}

/// What a program brings before anything is filled: the runtime, TLS, the allocator, the engine and its threads, and
/// the batch of packets that one call receives (3 MiB, if ever so many come at once).
const BASE: usize = 5 * 1024 * 1024;
/// A flow without bytes: its task, two sockets in the runtime, its row, a stream.
const FLOW: usize = 9 * 1024;
/// A flow of packets: two rows, its task, a socket, a stream. What waits for it counts with the connection.
const UDP_FLOW: usize = 6 * 1024;
/// A route in an answer of the admin API or in the file of remembered routes, as text and in memory.
const ROUTE_ROW: usize = 3 * 1024;
/// A service in the configuration, in memory and in answers.
const SERVICE: usize = 4 * 1024;
/// The process that runs local services, its way to the node and a burst of what they write.
const SUPERVISOR: usize = 512 * 1024;
/// What both processes know of a program, beside its arguments and variables: its last line, its state, its pipes.
const PROGRAM: usize = 8 * 1024;
/// How often its arguments and variables are there at a time: file, configuration, list, order, start.
const PROGRAM_COPIES: usize = 7;
/// A thread that resolves names: what of its stack is used.
const THREAD: usize = 96 * 1024;
/// A peer, service or local port in the page of figures, and in the status that the page is made of.
const METRICS_ROW: usize = 2 * 1024;

/// The limits of the transport that a configuration asks for.
#[must_use]
pub fn transport_limits(limits: &Capacities, edge: bool) -> TransportLimits {
    let base = if edge { TransportLimits::EDGE } else { TransportLimits::CLOUD };
    base.with_window(limits.window).with_peers(limits.peers as usize)
}

/// The limits of the data path that a configuration asks for: every route that is held can be used.
#[must_use]
pub fn tunnel_limits(limits: &Capacities, edge: bool) -> TunnelLimits {
    let base = if edge { TunnelLimits::EDGE } else { TunnelLimits::CLOUD };
    TunnelLimits {
        flows: limits.flows as usize,
        packet_flows: limits.udp_flows as usize,
        services: limits.routes as usize,
        ..base
    }
}

/// The limits of the core.
#[must_use]
pub fn control_limits(limits: &Capacities, base: catalyst_control::Limits) -> catalyst_control::Limits {
    catalyst_control::Limits {
        peers: limits.peers as usize,
        services: limits.services as usize,
        routes_per_peer: limits.routes_per_peer as usize,
        bytes_per_peer: limits.bytes_per_peer as usize,
        ..base
    }
}

/// What flows may hold together.
#[must_use]
pub const fn held(edge: bool) -> usize {
    if edge { Limits::EDGE_HELD } else { Limits::HELD }
}

/// The part of the programs that a node runs for its services and checks, if any: of the process that does it, and of
/// what the node knows of them. `programs` are the bytes of arguments and variables of each. A server has a second such
/// process, for the death of the first.
fn programs(programs: impl Iterator<Item = usize>, edge: bool) -> Option<Bound> {
    let (mut count, mut bytes) = (0, 0);
    for program in programs {
        count += 1;
        bytes += PROGRAM + PROGRAM_COPIES * program;
    }
    (count > 0).then(|| Bound {
        what: "process that runs programs",
        of: format!("{count} program(s); what they take themselves is not counted"),
        bytes: if edge { 1 } else { 2 } * SUPERVISOR + bytes,
    })
}

/// Every part of what a configuration asks for. `table` is what the route table takes.
#[must_use]
pub fn bounds(config: &Config, edge: bool, table: usize) -> Vec<Bound> {
    let mut all = limited(&config.limits, edge, table, config.http.is_some());
    if !edge {
        let foreign = config.peers.iter().any(|peer| peer.org != config.org);
        all.push(attributes(&config.limits, foreign));
    }
    all.extend(programs(crate::services::programs(config), edge));
    all
}

/// What the routes of a server's table say, which grows with them: a board has room for it from the start. A neighbour that
/// tells its table again may have all of it twice for a while. `foreign` says that there is a neighbour whose agreement says
/// how much it may announce.
fn attributes(limits: &Capacities, foreign: bool) -> Bound {
    let longest = limits.routes as usize * WireLimits::ENTRY;
    let told = limits.peers as usize * 2 * limits.bytes_per_peer as usize;
    let (of, bytes) = if foreign || longest <= told {
        (format!("limits.routes {}, each of {} bytes", limits.routes, WireLimits::ENTRY), longest)
    } else {
        (format!("limits.peers {}, limits.bytes_per_peer {}", limits.peers, limits.bytes_per_peer), told)
    };
    Bound { what: "attributes of routes", of, bytes }
}

/// The parts that limits decide. `http` says whether there is a port for HTTP by Host.
fn limited(limits: &Capacities, edge: bool, table: usize, http: bool) -> Vec<Bound> {
    let (peers, flows) = (limits.peers as usize, limits.flows as usize);
    let (services, routes) = (limits.services as usize, limits.routes as usize);
    let control = if edge { catalyst_control::Limits::EDGE } else { catalyst_control::Limits::CLOUD };
    let events = if edge { Limits::EDGE_EVENTS } else { Limits::EVENTS };
    let transport = transport_limits(limits, edge);
    let clients = limits.http_clients as usize;
    let (udp, expose) = (limits.udp_flows as usize, limits.expose as usize);
    let one = |what, of: String, bytes| Bound { what, of, bytes };
    let mut all = vec![
        one("the program itself", String::new(), BASE),
        one("route table", format!("limits.routes {routes}"), table),
        one(
            "peers and what they are told",
            format!("limits.peers {peers}, limits.routes_per_peer {}", limits.routes_per_peer),
            control_limits(limits, control).max_bytes(),
        ),
        one("ways of services", format!("limits.routes {routes}"), tunnel_limits(limits, edge).max_bytes()),
        one(
            "buffers of connections to peers",
            format!("limits.peers {peers}, limits.window {}", limits.window),
            transport.max_bytes(),
        ),
        one("frames that wait", format!("{events} of 16 KiB"), events * 16 * 1024),
        one("flows", format!("limits.flows {flows}"), flows * (FLOW + 2 * Held::SIP)),
        one("bytes that flows hold", "fixed".into(), held(edge)),
        one("flows of UDP", format!("limits.udp_flows {udp}"), udp * UDP_FLOW),
        one("packets of local clients that wait", "fixed".into(), Limits::port_packets(edge)),
        one("local services", format!("limits.services {services}"), services * SERVICE),
        one(
            "answers of the admin API",
            format!("{} at a time, limits.routes {routes}", Limits::admin_answers(edge)),
            Limits::ADMIN_CONNECTIONS * 2 * if edge { Limits::EDGE_REQUEST } else { Limits::REQUEST }
                + Limits::admin_answers(edge) * routes * ROUTE_ROW,
        ),
        one("routes remembered for the next start", format!("limits.routes {routes}"), routes * ROUTE_ROW),
        one("store", "cache and one change".into(), StoreLimits::max_bytes()),
        one("trust bundles", format!("limits.peers {peers}"), trust(limits).max_bytes()),
        one("name look-ups", format!("limits.peers {peers}"), peers * THREAD),
        one(
            "figures for Prometheus",
            format!("limits.peers {peers}, limits.services {services}, limits.expose {expose}"),
            Limits::METRICS_CONNECTIONS * (32 * 1024 + (peers + services + expose) * METRICS_ROW),
        ),
    ];
    #[cfg(feature = "mesh")]
    if !edge {
        let rows = Limits::WATCH_QUEUE + Limits::WATCH_PIECE;
        let of = format!("{} at a time", Limits::WATCHERS);
        all.push(one("programs that watch routes", of, Limits::WATCHERS * rows * ROUTE_ROW));
    }
    if http {
        all.push(one(
            "HTTP clients",
            format!("limits.http_clients {clients}"),
            clients * Limits::HTTP_CLIENT,
        ));
    }
    all
}

/// The organisations whose roots a node keeps: one's own, and at most one for each peer.
#[must_use]
pub fn trust(limits: &Capacities) -> TrustLimits {
    TrustLimits { organisations: limits.peers as usize + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Capacities = Capacities {
        routes: 1024,
        peers: 3,
        services: 64,
        flows: 1024,
        routes_per_peer: 1024,
        bytes_per_peer: 1024 * 256,
        expose: 16,
        window: 1 << 20,
        http_clients: 32,
        udp_flows: 256,
        udp_idle_s: 60,
    };

    fn sum(limits: &Capacities, http: bool) -> usize {
        limited(limits, true, 400_000, http).iter().map(|b| b.bytes).sum()
    }

    #[test]
    fn a_board_of_64_mebibytes_has_room_for_the_defaults() {
        // A board's build numbers no words and passes nothing on: there is no news to hold, no pause, and nothing is withheld.
        use catalyst_control::Limits;
        let more = Limits::news() + Limits::pauses() + Limits::withheld();
        assert!(sum(&SMALL, true) - more < 64 << 20, "{:#?}", limited(&SMALL, true, 400_000, true));
    }

    #[test]
    fn programs_are_counted() {
        assert_eq!(programs(std::iter::empty(), true), None);
        let two = programs([100, 200].into_iter(), true).unwrap();
        assert_eq!(two.bytes, SUPERVISOR + 2 * PROGRAM + 300 * PROGRAM_COPIES);
        assert!(two.of.starts_with("2 program(s)"), "{}", two.of);
    }

    #[test]
    fn attributes_are_bounded_by_neighbours_or_by_routes() {
        let few = Capacities { routes: 100_000, bytes_per_peer: 1_000_000, ..SMALL };
        assert_eq!(attributes(&few, false).bytes, 3 * 2 * 1_000_000);
        assert!(attributes(&few, false).of.contains("limits.bytes_per_peer 1000000"));
        assert_eq!(attributes(&few, true).bytes, 100_000 * WireLimits::ENTRY, "an agreement may allow more");
        let many = Capacities { bytes_per_peer: u32::MAX, ..few };
        assert_eq!(attributes(&many, false).bytes, 100_000 * WireLimits::ENTRY);
    }

    #[test]
    fn each_key_that_is_named_moves_the_sum() {
        let least = sum(&SMALL, false);
        for more in [
            Capacities { routes: 2048, ..SMALL },
            Capacities { peers: 4, ..SMALL },
            Capacities { services: 65, ..SMALL },
            Capacities { flows: 1025, ..SMALL },
            Capacities { routes_per_peer: 2048, ..SMALL },
            Capacities { bytes_per_peer: 2048 * 256, ..SMALL },
            Capacities { window: 2 << 20, ..SMALL },
        ] {
            assert!(sum(&more, false) > least, "{more:?}");
        }
        assert!(sum(&SMALL, true) > least);
    }
}
