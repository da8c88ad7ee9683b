//! Names of one part: organisations, nodes, origins and service labels.

use crate::check;
use crate::limits::Limits;
use crate::macros::text_name;

/// An organisation: a trust domain shaped like DNS, such as `acme.example`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct OrgId(pub(crate) heapless::String<{ Limits::ORG }, u8>);
text_name!(OrgId, Limits::ORG, "organisation", check::org);

/// A node, unique in its organisation, such as `edge-1`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct NodeId(pub(crate) heapless::String<{ Limits::LABEL }, u8>);
text_name!(NodeId, Limits::LABEL, "node", check::label);

/// Where a service comes from: a node's name inside its organisation, an opaque label beyond the border.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct OriginId(pub(crate) heapless::String<{ Limits::LABEL }, u8>);
text_name!(OriginId, Limits::LABEL, "origin", check::label);

impl From<&NodeId> for OriginId {
    fn from(node: &NodeId) -> Self {
        OriginId(node.0.clone())
    }
}

/// The first label of a service's name, such as `inventory`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ServiceLabel(pub(crate) heapless::String<{ Limits::LABEL }, u8>);
text_name!(ServiceLabel, Limits::LABEL, "service", check::label);
