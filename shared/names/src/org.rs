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

impl OriginId {
    /// An opaque id from ASCII bytes that are a label by construction (a letter, then hexadecimal digits).
    /// Bytes that are not letters or digits are left out, so the result is always a label or, of nothing, `o`.
    #[must_use]
    pub fn from_hex_label(bytes: &[u8]) -> Self {
        let mut own = heapless::String::new();
        for b in bytes.iter().filter(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
            // When full: the rest is cut off; the callers' ids are 21 bytes.
            let _ = own.push(char::from(*b));
        }
        if own.is_empty() {
            let _ = own.push('o');
        }
        OriginId(own)
    }
}

/// The first label of a service's name, such as `inventory`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ServiceLabel(pub(crate) heapless::String<{ Limits::LABEL }, u8>);
text_name!(ServiceLabel, Limits::LABEL, "service", check::label);
