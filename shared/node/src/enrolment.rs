//! What the two sides of an enrolment say to each other, version 1: JSON, one message each way after a greeting.
//!
//! ```text
//!   authority: { "v": 1, "bundle": "-----BEGIN...", "now": 1767225600 }
//!   node:      { "v": 1, "token": { "id": "..", "secret": ".." }, "csr": "-----BEGIN..." }     to join
//!              { "v": 1, "csr": "-----BEGIN..." }                                              to renew
//!   authority: { "v": 1, "chain": "-----BEGIN...", "node": "cloud-1.acme.example" } or { "v": 1, "error": ".." }
//! ```
//! The node says nothing before it has judged the authority by the greeting and the handshake.

use catalyst_identity::Fingerprint;
use catalyst_names::{NodeId, NodeName};
use catalyst_transport::EnrolStream;
use serde::{Deserialize, Serialize};

use crate::write::Write;

/// The version that this code speaks.
pub const VERSION: u32 = 1;

/// The authority's first words.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Greeting {
    pub(crate) v: u32,
    /// The trust bundle of its organisation.
    pub(crate) bundle: String,
    /// Its clock.
    pub(crate) now: u64,
}

/// The proof of an invitation. Not for logs: it has no `Debug`.
#[derive(Serialize, Deserialize)]
pub(crate) struct Proof {
    pub(crate) id: String,
    pub(crate) secret: String,
}

/// What the node asks.
#[derive(Serialize, Deserialize)]
pub(crate) struct Question {
    pub(crate) v: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<Proof>,
    pub(crate) csr: String,
}

/// What the engine is asked.
pub(crate) struct Enrol {
    pub(crate) question: Question,
    /// Who showed a certificate, and the key in it.
    pub(crate) peer: Option<(NodeName, Fingerprint)>,
}

/// A certificate that is ready, and what must be on the disk before it goes out.
pub(crate) struct Granted {
    pub(crate) chain: String,
    pub(crate) node: NodeId,
    pub(crate) key: Fingerprint,
    /// It was revoked before: only this key may come back.
    pub(crate) pinned: bool,
    pub(crate) write: Write,
}

/// What it gets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// [`VERSION`].
    pub v: u32,
    /// The certificate, in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<String>,
    /// The authority's own name: the first peer of a node that joins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeName>,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Reply {
    pub(crate) fn refused(error: String) -> Self {
        Reply { v: VERSION, error: Some(error), ..Reply::default() }
    }
}

/// The authority's first words, as the node reads them.
///
/// # Errors
/// In words, without the address.
pub(crate) async fn greeted(stream: &mut EnrolStream) -> Result<Greeting, String> {
    let greeting = stream.read().await.map_err(|e| e.to_string())?;
    let greeting: Greeting = serde_json::from_slice(&greeting).map_err(|e| e.to_string())?;
    if greeting.v != VERSION {
        return Err(format!("it speaks version {} of the enrolment, this node {VERSION}", greeting.v));
    }
    Ok(greeting)
}

/// 32 bytes from 64 hexadecimal digits, and from nothing else: a sign would be read as part of a number.
pub(crate) fn secret(text: &str) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
}

/// The other way.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
