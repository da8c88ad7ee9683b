//! The doors by which requests come in.

/// The door that a request comes in by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door<'a> {
    /// From a neighbour.
    Mesh,
    /// `CONNECT` from a port of this Envoy.
    Inner,
    /// From a local client, which names the service as Host.
    Ingress,
    /// From a local client of one service's port.
    Port(&'a str),
    /// From the tunnel; the service is in the filter state.
    Stream,
}

impl Door<'_> {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Door::Mesh => "mesh",
            Door::Inner => "inner",
            Door::Ingress => "ingress",
            Door::Port(_) => "port",
            Door::Stream => "stream",
        }
    }

    /// Whether a client outside of Catalyst is on the other side, whose word counts for nothing.
    pub(crate) fn is_client(self) -> bool {
        matches!(self, Door::Ingress | Door::Port(_) | Door::Stream)
    }
}
