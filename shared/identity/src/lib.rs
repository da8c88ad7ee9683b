//! Node keys, certificates, trust bundles and the one verifier of peers.
//!
//! This crate does cryptography and nothing else: it opens no file and no socket and reads no clock. Keys and
//! certificates come in and go out as PEM text; time comes in as seconds since 1970 UTC.
//!
//! | what | type |
//! |---|---|
//! | a node's private key, and its signing request | [`NodeKey`] |
//! | an organisation's root, which signs requests | [`OrgRoot`] |
//! | the roots of an organisation, without keys | [`TrustBundle`] |
//! | the bundles a node holds | [`TrustStore`] |
//! | a node's chain and key, ready for TLS | [`Credentials`] |
//! | the judge of peers | [`PeerVerifier`] |
//! | a one-time invitation | [`JoinToken`] |
//! | TLS configurations | [`server_config`], [`client_config`] |
//!
//! Certificates are X.509-SVIDs: the only name that counts is the URI `spiffe://ORG/node/NAME`. All keys are on
//! P-256, all TLS is version 1.3 by ring.

mod bundle;
mod credentials;
mod csr;
mod date;
mod enrol;
mod error;
mod fingerprint;
mod key;
mod limits;
mod pem_text;
mod provider;
mod root;
mod serial;
mod statement;
mod tls;
mod token;
mod trust;
mod verify;
mod x509;

pub use bundle::TrustBundle;
pub use credentials::Credentials;
pub use date::Date;
pub use enrol::{joining_config, judge_authority};
pub use error::IdentityError;
pub use fingerprint::Fingerprint;
pub use key::{NodeKey, SecretPem};
pub use limits::Limits;
pub use root::{BACKDATE_SECS, DEFAULT_LEAF_SECS, OrgRoot, ROOT_SECS};
pub use tls::{SERVER_NAME, client_config, server_config};
pub use token::{JoinSecret, JoinToken};
pub use trust::TrustStore;
pub use verify::{Clock, PeerVerifier, peer_name};
pub use x509::{Validity, key_of, not_after, public_key, validity};
