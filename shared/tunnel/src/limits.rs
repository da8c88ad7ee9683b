//! Every capacity of the data path's tables.

/// Capacities. The constants are fixed by the wire; the fields are chosen by each node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Services in the forwarding table. When full: `set` of a new service answers `Full`; what is there stays.
    pub services: usize,
    /// Endpoints of one service. When full: the lowest ranked are left out, and `set` says how many.
    pub endpoints: usize,
    /// Grants (neighbour x service). When full: `grant` answers `Full`; the neighbour stays refused.
    pub grants: usize,
    /// Live flows. When full: a new flow is refused with [`crate::Refusal::TooManyFlows`].
    pub flows: usize,
    /// Live flows of packets, a part of `flows`. When full: a new one is refused with the same.
    pub packet_flows: usize,
}

impl Limits {
    /// Bytes of an encoded [`crate::StreamHeader`], its first three included. When full: the stream is reset.
    pub const HEADER: usize = 512;
    /// Bytes of one packet: what UDP over IPv4 can carry. When more: the packet is dropped and counted.
    pub const PACKET: usize = 65_507;
    /// Nodes a flow may pass, as its first node writes it. When used up: [`crate::Refusal::HopLimit`].
    pub const HOPS: u8 = 8;

    /// For a board: 1,024 flows at about 7 KiB of kernel memory each are what 64 MiB of it can carry.
    pub const EDGE: Limits =
        Limits { services: 1024, endpoints: 4, grants: 1024, flows: 1024, packet_flows: 512 };
    /// For a server.
    pub const CLOUD: Limits =
        Limits { services: 20_000, endpoints: 16, grants: 100_000, flows: 50_000, packet_flows: 16_384 };

    /// An upper bound of the memory that the tables take when full: names at their longest, half-filled tree
    /// nodes.
    #[must_use]
    pub fn max_bytes(&self) -> usize {
        let name = catalyst_names::Limits::SERVICE + 1;
        let endpoint = catalyst_names::Limits::LABEL + 1 + name + 16;
        2 * (self.services * (name + 64 + self.endpoints * endpoint)
            + self.grants * 2 * name
            + self.flows * (2 * name + 64))
    }
}
