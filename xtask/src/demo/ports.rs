//! A block of ports for one demo. Two demos at a time get two blocks: the first port of a block is the lock on it.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, UdpSocket};

use anyhow::{Result, bail};

/// Below the ports that the system gives to outgoing connections, so that none of those takes ours.
const FIRST: u16 = 20_000;
/// When full: the demo does not start, and says so.
const BLOCKS: u16 = 50;
const BLOCK: u16 = 15;

/// The ports of a demo, all on loopback.
#[derive(Debug)]
pub struct Ports {
    base: u16,
    /// Held for as long as the demo lives; nobody is answered on it.
    _lock: TcpListener,
}

/// What the ports of a block are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// acme's local port for `inventory.acme.example`.
    Inventory = 1,
    /// acme's local port for `orders.globex.example`.
    Orders,
    /// acme's local port for `payroll.globex.example`.
    Payroll,
    /// Peering of acme's cloud node, UDP.
    AcmePeering,
    /// Peering of globex's cloud node, UDP.
    GlobexPeering,
    /// The HTTP server `inventory` behind the edge node.
    InventoryServer,
    /// The HTTP server `orders` behind globex's node.
    OrdersServer,
    /// The HTTP server `payroll` behind globex's node.
    PayrollServer,
    /// The local port for `inventory.acme.example` at the node that joins.
    JoinedInventory,
    /// The UDP service `clock` behind the edge node.
    ClockServer,
    /// The local UDP port for `clock.acme.example` at the node that joins.
    JoinedClock,
    /// The mesh port of acme's Envoy.
    AcmeMesh,
    /// The mesh port of globex's Envoy.
    GlobexMesh,
    /// Where acme's Envoy finds a service by Host.
    Ingress,
}

const ALL: [Port; 14] = [
    Port::Inventory,
    Port::Orders,
    Port::Payroll,
    Port::AcmePeering,
    Port::GlobexPeering,
    Port::InventoryServer,
    Port::OrdersServer,
    Port::PayrollServer,
    Port::JoinedInventory,
    Port::ClockServer,
    Port::JoinedClock,
    Port::AcmeMesh,
    Port::GlobexMesh,
    Port::Ingress,
];

impl Ports {
    /// The first block that is free.
    ///
    /// # Errors
    /// When none is.
    pub fn take() -> Result<Self> {
        for index in 0..BLOCKS {
            let base = FIRST + index * BLOCK;
            let Ok(lock) = TcpListener::bind((Ipv4Addr::LOCALHOST, base)) else { continue };
            let ports = Self { base, _lock: lock };
            if ports.busy().is_none() {
                return Ok(ports);
            }
        }
        let last = FIRST + BLOCKS * BLOCK - 1;
        bail!("no {BLOCK} free ports in a row on 127.0.0.1 from {FIRST} to {last}; end what uses them");
    }

    /// The address of one of them.
    pub fn address(&self, port: Port) -> SocketAddr {
        SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, self.number(port)))
    }

    /// Its number.
    pub fn number(&self, port: Port) -> u16 {
        self.base + port as u16
    }

    /// The first that somebody uses, for UDP or TCP.
    pub fn busy(&self) -> Option<SocketAddr> {
        ALL.iter()
            .map(|port| self.address(*port))
            .find(|address| TcpListener::bind(address).is_err() || UdpSocket::bind(address).is_err())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_demos_get_two_blocks() {
        let (one, two) = (Ports::take().unwrap(), Ports::take().unwrap());
        assert_ne!(one.base, two.base);
        assert_eq!(one.number(Port::Inventory), one.base + 1);
        assert!(one.number(Port::Ingress) < one.base + BLOCK);
    }

    #[test]
    fn a_port_in_use_is_seen() {
        let ports = Ports::take().unwrap();
        let _udp = UdpSocket::bind(ports.address(Port::GlobexPeering)).unwrap();
        assert_eq!(ports.busy(), Some(ports.address(Port::GlobexPeering)));
    }
}
