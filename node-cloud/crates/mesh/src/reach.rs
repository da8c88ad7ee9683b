//! Which addresses a neighbour of another organisation may name as its mesh port. Envoy dials them as they stand, and asks
//! them again and again whether they answer: an address that stands for this machine, or for what only this machine can see,
//! would make it a probe of what is none of the neighbour's business.

use std::net::{IpAddr, SocketAddr};

/// The addresses that may be dialled. `own`: where this node's mesh port listens. On one machine (a trial, a test) all nodes
/// are on the loopback; then neighbours may be, too.
pub(crate) fn outside(own: IpAddr, addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let may = |at: &SocketAddr| {
        let ip = at.ip().to_canonical();
        (own.is_loopback() && ip.is_loopback()) || !is_inner(ip)
    };
    addresses.into_iter().filter(may).collect()
}

/// This machine, its link, or no single machine at all.
fn is_inner(ip: IpAddr) -> bool {
    let link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    link_local || ip.is_loopback() || ip.is_unspecified() || ip.is_multicast()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialled(own: &str, all: &[&str]) -> Vec<String> {
        let at = |ip: &&str| SocketAddr::new(ip.parse().unwrap(), 8443);
        let all = outside(own.parse().unwrap(), all.iter().map(at).collect());
        all.iter().map(|at| at.ip().to_string()).collect()
    }

    #[test]
    fn what_only_this_machine_can_see_is_not_dialled() {
        let inner = [
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "::ffff:127.0.0.1",
            "169.254.169.254",
            "fe80::1",
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "255.255.255.255",
        ];
        assert_eq!(dialled("0.0.0.0", &inner), Vec::<String>::new());
        let outer = ["192.0.2.1", "10.0.0.1", "2001:db8::1", "fd00::1"];
        assert_eq!(dialled("0.0.0.0", &outer), outer);
        assert_eq!(
            dialled("127.0.0.1", &["127.0.0.2", "169.254.169.254", "10.0.0.1"]),
            ["127.0.0.2", "10.0.0.1"]
        );
    }
}
