//! Names of two parts: a label, a dot, an organisation.

use crate::check;
use crate::error::NameError;
use crate::limits::Limits;
use crate::macros::text_name;
use crate::org::{NodeId, OrgId, ServiceLabel};

/// A service's full name, such as `inventory.acme.example`: the first label is the service, the rest the organisation.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ServiceName(heapless::String<{ Limits::SERVICE }, u8>);
text_name!(ServiceName, Limits::SERVICE, "service name", check_service);

/// A node with its organisation, such as `edge-1.acme.example`: what a neighbour is called.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct NodeName(heapless::String<{ Limits::SERVICE }, u8>);
text_name!(NodeName, Limits::SERVICE, "node name", check_service);

fn check_service(text: &str, what: &'static str) -> Result<(), NameError> {
    check::service(text, what).map(|_| ())
}

/// Splits at the first dot; both parts were checked when the name was made.
fn halves(text: &str) -> (&str, &str) {
    text.split_once('.').unwrap_or((text, ""))
}

fn join<const N: usize>(label: &str, org: &str) -> heapless::String<N, u8> {
    let mut own = heapless::String::new();
    // Cannot overflow: N is label + 1 + organisation by the definition of `Limits::SERVICE`.
    let _ = own.push_str(label);
    let _ = own.push('.');
    let _ = own.push_str(org);
    own
}

impl ServiceName {
    /// The service `label` of organisation `org`.
    #[must_use]
    pub fn new(label: &ServiceLabel, org: &OrgId) -> Self {
        ServiceName(join(label.as_str(), org.as_str()))
    }

    /// The first label.
    #[must_use]
    pub fn label(&self) -> &str {
        halves(self.as_str()).0
    }

    /// The organisation, as text.
    #[must_use]
    pub fn org(&self) -> &str {
        halves(self.as_str()).1
    }
}

impl NodeName {
    /// The node `node` of organisation `org`.
    #[must_use]
    pub fn new(node: &NodeId, org: &OrgId) -> Self {
        NodeName(join(node.as_str(), org.as_str()))
    }

    /// The node's own label.
    #[must_use]
    pub fn node(&self) -> &str {
        halves(self.as_str()).0
    }

    /// The organisation, as text.
    #[must_use]
    pub fn org(&self) -> &str {
        halves(self.as_str()).1
    }

    /// The node's label as a [`NodeId`].
    #[must_use]
    pub fn node_id(&self) -> NodeId {
        let mut own = heapless::String::new();
        let _ = own.push_str(self.node());
        NodeId(own)
    }

    /// The organisation as an [`OrgId`].
    #[must_use]
    pub fn org_id(&self) -> OrgId {
        let mut own = heapless::String::new();
        let _ = own.push_str(self.org());
        OrgId(own)
    }
}
