//! File descriptors: a flow needs two, and what a process gets by default is few.

use catalyst_config::Capacities;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::info;

/// Besides flows and clients: store, sockets of the node, threads, pipes.
const BESIDES: u64 = 256;

/// What a node needs with everything filled: each flow two sockets and, while bytes move, a pipe with two ends.
fn needed(limits: &Capacities) -> u64 {
    let peers = u64::from(limits.peers).saturating_mul(8);
    u64::from(limits.flows)
        .saturating_mul(2)
        .saturating_add(u64::from(limits.http_clients))
        .saturating_add(u64::from(limits.expose))
        .saturating_add(u64::from(limits.udp_flows))
        .saturating_add(peers)
        .saturating_add(BESIDES)
}

/// Takes what the limits need, as far as the system lets it. With fewer, connections wait in the system's queue.
pub(crate) fn raise(limits: &Capacities) {
    let needed = needed(limits);
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let Some(now) = current.filter(|now| *now < needed) else { return };
    let wanted = maximum.map_or(needed, |most| most.min(needed));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum });
    let got = if raised.is_ok() { wanted } else { now };
    if got < needed {
        info!(
            descriptors = got,
            needed,
            "the system allows fewer file descriptors than 'limits' may need: when they are used up, connections wait; \
             raise the limit (LimitNOFILE= in a systemd unit, or 'ulimit -Hn'), or lower limits.flows"
        );
    }
}
