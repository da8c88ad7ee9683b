//! The six kinds of resources that a node serves, and the order in which a change of them is safe.

use std::fmt;

/// A kind of resource. The order of the variants is the order of the steps of a change; see the crate's page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `Secret` (SDS): certificates, trust bundles. Asked for by name.
    Secret,
    /// `Cluster` (CDS). All of them are sent.
    Cluster,
    /// `ClusterLoadAssignment` (EDS). Asked for by name.
    Endpoints,
    /// `TypedExtensionConfig` (ECDS): the configuration of one filter. Asked for by name.
    Filter,
    /// `Listener` (LDS). All of them are sent.
    Listener,
    /// `ScopedRouteConfiguration` (SRDS). All of them are sent.
    Scope,
}

impl Kind {
    /// How many kinds there are.
    pub const COUNT: usize = 6;

    /// All kinds, in the order of the steps.
    pub const ALL: [Kind; Kind::COUNT] =
        [Kind::Secret, Kind::Cluster, Kind::Endpoints, Kind::Filter, Kind::Listener, Kind::Scope];

    /// The type URL by which the protocol names the kind.
    #[must_use]
    pub const fn type_url(self) -> &'static str {
        match self {
            Kind::Secret => "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
            Kind::Cluster => "type.googleapis.com/envoy.config.cluster.v3.Cluster",
            Kind::Endpoints => "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
            Kind::Filter => "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
            Kind::Listener => "type.googleapis.com/envoy.config.listener.v3.Listener",
            Kind::Scope => "type.googleapis.com/envoy.config.route.v3.ScopedRouteConfiguration",
        }
    }

    /// The kind that a type URL names; `None` for one that this server does not serve.
    #[must_use]
    pub fn from_type_url(url: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.type_url() == url)
    }

    /// Envoy takes all there are of this kind (a wildcard subscription), and names none.
    #[must_use]
    pub const fn is_wildcard(self) -> bool {
        matches!(self, Kind::Cluster | Kind::Listener | Kind::Scope)
    }

    /// Resources of this kind say who may do what.
    pub(crate) const fn permits(self) -> bool {
        matches!(self, Kind::Filter | Kind::Listener | Kind::Scope)
    }

    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Secret => "secret",
            Kind::Cluster => "cluster",
            Kind::Endpoints => "endpoints",
            Kind::Filter => "filter",
            Kind::Listener => "listener",
            Kind::Scope => "scope",
        })
    }
}
