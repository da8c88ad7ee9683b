//! The ports that this node listens on itself. A service whose target is one of them would be a circle: each connection
//! would open another one, until `limits.flows` is reached. What a target's text tells is refused when it is given; what a
//! look-up of a name leads to is seen before the node connects. What comes back through a translation of addresses or
//! another node is not seen.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Mutex, MutexGuard, PoisonError};

use catalyst_config::{HostPort, comes_back};
use catalyst_names::Protocol;

use crate::limits::Limits;

/// What carries a connection to a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    Tcp,
    Udp,
}

impl Carrier {
    /// Of services and ports of this protocol.
    pub(crate) fn of(protocol: Protocol) -> Self {
        if protocol == Protocol::Udp { Carrier::Udp } else { Carrier::Tcp }
    }
}

/// The ports that are open now.
#[derive(Debug, Default)]
pub(crate) struct OwnPorts {
    open: Mutex<Vec<(Carrier, SocketAddr)>>,
    told: Mutex<BTreeSet<HostPort>>,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The system would talk with an address of its own from that very address; nothing is sent.
fn is_of_this_machine(to: SocketAddr) -> bool {
    let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let from = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect(to)?;
        socket.local_addr()
    });
    from.is_ok_and(|from| from.ip() == to.ip())
}

impl OwnPorts {
    /// A port was opened.
    pub(crate) fn opened(&self, carrier: Carrier, at: SocketAddr) {
        lock(&self.open).push((carrier, at));
    }

    /// It is closed.
    pub(crate) fn closed(&self, carrier: Carrier, at: SocketAddr) {
        let mut open = lock(&self.open);
        if let Some(found) = open.iter().position(|port| *port == (carrier, at)) {
            open.swap_remove(found);
        }
    }

    /// The port of this node at which a connection to this address ends, if it is one.
    pub(crate) fn met(&self, carrier: Carrier, to: SocketAddr) -> Option<SocketAddr> {
        let met = |at: SocketAddr| {
            let any = at.ip().is_unspecified() && at.port() == to.port();
            comes_back(to, at) || any && is_of_this_machine(to)
        };
        lock(&self.open).iter().filter(|(of, _)| *of == carrier).map(|(_, at)| *at).find(|at| met(*at))
    }

    /// The same for a target that is given, as far as its text tells.
    pub(crate) fn aimed_at(&self, carrier: Carrier, target: &HostPort) -> Option<SocketAddr> {
        target.plain_addresses().into_iter().find_map(|to| self.met(carrier, to))
    }

    /// A connection to a target would be a circle, and is not made.
    pub(crate) fn cut(&self, target: &HostPort, at: SocketAddr) {
        let mut told = lock(&self.told);
        if told.len() < Limits::DENIED && told.insert(target.clone()) {
            tracing::warn!(
                %target, own = %at,
                "the target of a service is a port of this node itself: its connections would go in circles and are \
                 refused; change the target (said once)"
            );
        }
    }
}

/// What is said to whoever gives such a target or port.
pub(crate) fn circle(target: &HostPort, at: SocketAddr) -> String {
    format!(
        "the target '{target}' would be a circle: this node itself listens on {at}, so that each connection would open \
         another one; give the address of the server behind the service"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_met_while_it_is_open_by_all_of_its_names() {
        let (ports, at) = (OwnPorts::default(), |text: &str| text.parse::<SocketAddr>().unwrap());
        ports.opened(Carrier::Tcp, at("127.0.0.1:9001"));
        ports.opened(Carrier::Tcp, at("0.0.0.0:9002"));
        ports.opened(Carrier::Udp, at("[::]:9003"));
        let aims =
            |carrier, target: &str| ports.aimed_at(carrier, &HostPort::parse(target).unwrap()).is_some();
        for own in [
            "127.0.0.1:9001",
            "localhost:9001",
            "0.0.0.0:9001",
            "127.0.0.1:9002",
            "127.9.9.9:9002",
            "[::1]:9002",
        ] {
            assert!(aims(Carrier::Tcp, own), "{own}");
            assert!(!aims(Carrier::Udp, own), "{own}");
        }
        for other in
            ["127.0.0.2:9001", "[::1]:9001", "192.0.2.1:9002", "127.0.0.1:9003", "cloud.acme.example:9002"]
        {
            assert!(!aims(Carrier::Tcp, other), "{other}");
        }
        assert!(aims(Carrier::Udp, "127.0.0.1:9003") && aims(Carrier::Udp, "[::1]:9003"));
        // Any address of this machine, where the port is open on all.
        assert!(ports.met(Carrier::Tcp, at("127.0.0.1:9002")).is_some());
        assert!(ports.met(Carrier::Tcp, at("192.0.2.1:9002")).is_none());
        ports.closed(Carrier::Tcp, at("127.0.0.1:9001"));
        assert!(!aims(Carrier::Tcp, "127.0.0.1:9001") && aims(Carrier::Tcp, "127.0.0.1:9002"));
    }
}
