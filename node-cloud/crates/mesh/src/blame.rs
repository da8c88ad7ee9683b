//! Whose a resource is that Envoy rejects, by its name.

use std::net::SocketAddr;

use catalyst_dataplane::names;
use catalyst_names::{NodeName, ServiceName};
use catalyst_xds::Kind;

/// What a resource is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Blame {
    /// A service: the way to it, or its scope.
    Service(ServiceName),
    /// What another organisation may use of a service.
    Grant(ServiceName),
    /// A local port of a service.
    Port(ServiceName, SocketAddr),
    /// A neighbour's mesh port.
    Neighbour(NodeName),
    /// Part of the node itself.
    Node(&'static str),
}

impl Blame {
    pub(crate) fn of(kind: Kind, name: &str) -> Self {
        let mut parts = name.split('|');
        let (first, second) = (parts.next().unwrap_or_default(), parts.next());
        let service = || second.and_then(|text| ServiceName::parse(text).ok());
        let found = match (first, second) {
            ("local" | "node" | "ways", Some(_)) => service().map(Blame::Service),
            ("grant", Some(_)) => service().map(Blame::Grant),
            ("port", Some(_)) if kind == Kind::Filter => service().map(Blame::Service),
            ("port", Some(_)) => {
                let at = parts.next().and_then(|text| text.parse().ok());
                service().zip(at).map(|(service, at)| Blame::Port(service, at))
            }
            ("peer", Some(peer)) => peer.parse().ok().map(Blame::Neighbour),
            (service, None) if kind == Kind::Scope => ServiceName::parse(service).ok().map(Blame::Service),
            _ => None,
        };
        found.unwrap_or(Blame::Node(match (kind, name) {
            (Kind::Listener, "mesh") => "the mesh port",
            (Kind::Listener, "ingress") => "the HTTP ingress",
            (Kind::Listener, "ingress-tls") => "the HTTPS ingress",
            (Kind::Secret, names::IDENTITY) => "the certificate of this node",
            (Kind::Secret, names::INGRESS) => "the certificate of the HTTPS ingress",
            (Kind::Secret, names::TRUST) => "the trust bundles",
            _ => "this node",
        }))
    }
}

impl std::fmt::Display for Blame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Blame::Service(service) => write!(f, "service {service}"),
            Blame::Grant(service) => write!(f, "export of {service}"),
            Blame::Port(service, at) => write!(f, "port {at} of {service}"),
            Blame::Neighbour(peer) => write!(f, "mesh port of {peer}"),
            Blame::Node(what) => f.write_str(what),
        }
    }
}

#[cfg(test)]
mod tests {
    use catalyst_dataplane::Via;

    use super::*;

    #[test]
    fn every_name_that_is_given_is_understood() {
        let web: ServiceName = "web.acme.example".parse().unwrap();
        let peer: NodeName = "b.acme.example".parse().unwrap();
        let service = Blame::Service(web.clone());
        assert_eq!(Blame::of(Kind::Cluster, &names::local("web.acme.example")), service);
        assert_eq!(Blame::of(Kind::Endpoints, &names::local("web.acme.example")), service);
        assert_eq!(Blame::of(Kind::Listener, &names::tunnelled("web.acme.example")), service);
        assert_eq!(Blame::of(Kind::Cluster, "ways|web.acme.example|globex.example|0"), service);
        assert_eq!(Blame::of(Kind::Scope, "web.acme.example"), service);
        let grant = names::grant("web.acme.example", peer.org(), &Via::Local);
        assert_eq!(Blame::of(Kind::Listener, &grant), Blame::Grant(web.clone()));
        let at: SocketAddr = "[::1]:8080".parse().unwrap();
        assert_eq!(Blame::of(Kind::Listener, "port|web.acme.example|[::1]:8080"), Blame::Port(web, at));
        assert_eq!(Blame::of(Kind::Filter, "port|web.acme.example"), service);
        assert_eq!(Blame::of(Kind::Cluster, &names::peer(&peer)), Blame::Neighbour(peer));
        assert_eq!(Blame::of(Kind::Listener, "mesh").to_string(), "the mesh port");
        assert_eq!(Blame::of(Kind::Listener, "port|?|x"), Blame::Node("this node"));
    }
}
