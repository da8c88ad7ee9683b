//! What passes between Envoy and the state machine, free of the wire format.

use std::sync::Arc;

use crate::kind::Kind;
use crate::resource::Resource;

/// One `DeltaDiscoveryRequest`.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub type_url: String,
    /// Names that Envoy wants from now on. Empty in the first request of a kind: all there are.
    pub subscribe: Vec<String>,
    pub unsubscribe: Vec<String>,
    /// What Envoy holds from an earlier stream, with versions. Only in the first request of a kind.
    pub held: Vec<(String, String)>,
    /// Of the response that this answers; empty if it answers none.
    pub nonce: String,
    /// Envoy rejects that response, and says why.
    pub error: Option<String>,
}

/// One `DeltaDiscoveryResponse`.
#[derive(Clone, Debug)]
pub struct Response {
    pub kind: Kind,
    pub nonce: u64,
    pub set: Vec<Resource>,
    /// Gone, or asked for and not there.
    pub remove: Vec<Arc<str>>,
}

/// How a version is written on the wire.
pub fn version_text(version: u64) -> String {
    format!("{version:016x}")
}

/// The version that Envoy says it holds; one that we did not write equals none of ours.
pub fn version_of(text: &str) -> u64 {
    u64::from_str_radix(text, 16).unwrap_or(0)
}
