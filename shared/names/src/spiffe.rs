//! SPIFFE IDs (SPIFFE-ID section 2): how a certificate names a node or a service.

use core::fmt;
use core::str::FromStr;

use crate::error::{NameError, Reason};
use crate::org::{NodeId, OrgId, ServiceLabel};
use crate::pair::NodeName;

const SCHEME: &str = "spiffe://";

/// `spiffe://acme.example/node/edge-1` or `spiffe://acme.example/svc/inventory`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpiffeId {
    /// The trust domain.
    pub org: OrgId,
    /// What the path names.
    pub kind: SpiffeKind,
}

/// What the path of a SPIFFE ID names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpiffeKind {
    /// `/node/NAME`
    Node(NodeId),
    /// `/svc/NAME`
    Service(ServiceLabel),
}

impl SpiffeId {
    /// The ID of a node.
    #[must_use]
    pub fn node(org: &OrgId, node: &NodeId) -> Self {
        SpiffeId { org: org.clone(), kind: SpiffeKind::Node(node.clone()) }
    }

    /// The node's name, if the ID names a node.
    #[must_use]
    pub fn node_name(&self) -> Option<NodeName> {
        match &self.kind {
            SpiffeKind::Node(node) => Some(NodeName::new(node, &self.org)),
            SpiffeKind::Service(_) => None,
        }
    }
}

impl FromStr for SpiffeId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let bad = NameError { what: "SPIFFE ID", at: 0, reason: Reason::NotSpiffe };
        let rest = text.strip_prefix(SCHEME).ok_or(bad)?;
        let (org, path) = rest.split_once('/').ok_or(bad)?;
        let (kind, name) = path.split_once('/').ok_or(bad)?;
        // The parsers of the parts count from the start of their part.
        let shift = |by: usize| move |e: NameError| NameError { at: e.at + by, ..e };
        let org = OrgId::parse(org).map_err(shift(SCHEME.len()))?;
        let before_name = text.len() - name.len();
        let kind = match kind {
            "node" => SpiffeKind::Node(NodeId::parse(name).map_err(shift(before_name))?),
            "svc" => SpiffeKind::Service(ServiceLabel::parse(name).map_err(shift(before_name))?),
            _ => return Err(bad),
        };
        Ok(SpiffeId { org, kind })
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            SpiffeKind::Node(node) => write!(f, "spiffe://{}/node/{node}", self.org),
            SpiffeKind::Service(service) => write!(f, "spiffe://{}/svc/{service}", self.org),
        }
    }
}
