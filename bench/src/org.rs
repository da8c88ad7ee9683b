//! An organisation for a run: a root in memory, certificates for nodes in this process and files for others.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use catalyst_config::files;
use catalyst_dataplane::Identity;
use catalyst_identity::{Clock, Credentials, Limits, NodeKey, OrgRoot, PeerVerifier, TrustStore};
use catalyst_names::{NodeId, NodeName, OrgId};

/// All nodes of a run belong to it.
pub struct Org {
    id: OrgId,
    root: OrgRoot,
}

#[derive(Debug)]
struct Wall;

impl Clock for Wall {
    fn validity_unix(&self) -> u64 {
        now()
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

impl Org {
    /// `acme.example` with a new root.
    pub fn new() -> Result<Self> {
        Self::named("acme.example")
    }

    /// Another one.
    pub fn named(name: &str) -> Result<Self> {
        let id = OrgId::parse(name)?;
        Ok(Org { root: OrgRoot::generate(&id, now())?, id })
    }

    /// The full name of a node.
    pub fn name(&self, node: &str) -> Result<NodeName> {
        Ok(NodeName::new(&NodeId::parse(node)?, &self.id))
    }

    /// Its name.
    pub fn id(&self) -> &OrgId {
        &self.id
    }

    /// Its root certificates, in PEM.
    pub fn roots(&self) -> String {
        self.root.certificate_pem()
    }

    /// Certificate and key of a node, for an Envoy.
    pub fn identity(&self, node: &str) -> Result<Identity> {
        let (key, chain) = self.issue(node)?;
        Ok(Identity { chain, key: key.to_pem().expose().to_owned() })
    }

    fn issue(&self, node: &str) -> Result<(NodeKey, String)> {
        let id = NodeId::parse(node)?;
        let key = NodeKey::generate()?;
        let csr = key.csr(&self.id, &id)?;
        let chain = self.root.sign_csr(&csr, Some(&id), now(), 86_400)?;
        Ok((key, chain))
    }

    /// Certificate and key of a node in this process.
    pub fn credentials(&self, node: &str) -> Result<Credentials> {
        let (key, chain) = self.issue(node)?;
        Ok(Credentials::from_pem(&chain, &key)?)
    }

    /// Judges peers by this organisation's root.
    pub fn verifier(&self) -> Result<PeerVerifier> {
        let trust = TrustStore::new(Limits::default());
        trust.insert(self.root.bundle()?)?;
        Ok(PeerVerifier::new(trust, Arc::new(Wall)))
    }

    /// Writes key, certificate and bundle of a node into a folder, under the names that a node looks for.
    pub fn write(&self, folder: &Path, node: &str) -> Result<serde_json::Value> {
        let (key, chain) = self.issue(node)?;
        let path = |name: String| -> PathBuf { folder.join(name) };
        let (key_path, certificate, bundle) = (
            path(format!("{node}.key")),
            path(format!("{node}.crt")),
            path(format!("{}.bundle.pem", self.id)),
        );
        files::write_private_file(&key_path, key.to_pem().expose().as_bytes())?;
        files::write_public_file(&certificate, chain.as_bytes())?;
        if !bundle.exists() {
            files::write_public_file(&bundle, self.root.certificate_pem().as_bytes())?;
        }
        Ok(serde_json::json!({ "key": key_path, "certificate": certificate, "bundle": bundle }))
    }
}
