//! The node that holds the organisation's root: it invites, issues, renews and revokes.
//!
//! An invitation is kept as the hash of its secret. What is promised to a board is on the disk before it leaves: an
//! invitation is marked as used before the certificate that it bought is sent.

use std::collections::BTreeMap;

use catalyst_config::{Config, files};
use catalyst_identity::{Credentials, Date, Fingerprint, JoinSecret, JoinToken, NodeKey, OrgRoot};
use catalyst_names::{NodeId, NodeName};
use catalyst_store::{Scan, Store, Table};
use serde::{Deserialize, Serialize};

use crate::admin::NodeRow;
use crate::enrolment::{Granted, hex};
use crate::error::NodeError;
use crate::limits::Limits;
use crate::write::Write;

const INVITES: Table = Table::new("invites");
const ISSUED: Table = Table::new("issued");

/// An invitation, version 1.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Invite {
    node: NodeId,
    /// SHA-256 of the secret.
    hash: String,
    expires: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    used: Option<u64>,
    /// The fingerprint of the key that it bought a certificate for: that one may come again with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

/// What was issued to a node last, version 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issued {
    /// Its name.
    pub node: NodeId,
    /// When, in seconds since 1970.
    pub at: u64,
    /// Until when.
    pub not_after: u64,
    /// The fingerprint of its public point.
    pub key: String,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<u64>,
    /// It was revoked once: no other key than this one may come back under its name.
    #[serde(default)]
    pub pinned: bool,
}

/// The root with its books.
pub struct Authority {
    root: OrgRoot,
    lifetime_s: u64,
    invites: BTreeMap<String, Invite>,
    issued: BTreeMap<NodeId, Issued>,
    refused: u64,
}

/// All rows of a table that decode.
fn rows<T: serde::de::DeserializeOwned>(
    store: &dyn Store,
    table: Table,
) -> Result<Vec<(String, T)>, NodeError> {
    let mut all = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let scan = after.as_deref().map_or(Scan::all(), |key| Scan::all().after(key));
        let found = store.scan(table, scan)?;
        let Some((last, _)) = found.last() else { return Ok(all) };
        after = Some(last.clone());
        for (key, row) in &found {
            match serde_json::from_slice(row) {
                Ok(row) => all.push((String::from_utf8_lossy(key).into_owned(), row)),
                Err(error) => {
                    tracing::warn!(key = %String::from_utf8_lossy(key), %error, "a stored row does not decode");
                }
            }
        }
    }
}

impl Authority {
    /// Reads the root that the configuration names, if it names one, and the books.
    ///
    /// # Errors
    /// What is wrong with the files, or the disk.
    pub fn load(config: &Config, store: &dyn Store) -> Result<Option<Self>, NodeError> {
        let Some(root) = root(config)? else { return Ok(None) };
        let invites = rows(store, INVITES)?.into_iter().collect();
        let issued =
            rows::<Issued>(store, ISSUED)?.into_iter().map(|(_, row)| (row.node.clone(), row)).collect();
        Ok(Some(Authority { root, lifetime_s: config.authority.lifetime_s, invites, issued, refused: 0 }))
    }

    /// Questions that were refused since the start.
    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }

    /// One more question was refused.
    pub(crate) fn refuse(&mut self) {
        self.refused += 1;
    }

    /// The trust bundle of the root.
    pub(crate) fn bundle_pem(&self) -> String {
        self.root.certificate_pem()
    }

    /// Signs a statement with the root.
    pub(crate) fn sign(&self, domain: &[u8], statement: &[u8]) -> Result<Vec<u8>, String> {
        self.root.sign_statement(domain, statement).map_err(|e| e.to_string())
    }

    /// Nodes whose certificates are refused, each with the one key that it may use again, if it was invited anew.
    pub(crate) fn revoked(&self) -> impl Iterator<Item = (NodeName, Option<Fingerprint>)> {
        let name = |i: &Issued| NodeName::new(&i.node, self.root.org());
        let listed = self.issued.values().filter(|i| i.revoked.is_some() || i.pinned);
        listed.map(move |i| (name(i), i.key.parse().ok().filter(|_| i.revoked.is_none())))
    }

    /// Invites a node.
    ///
    /// # Errors
    /// When too many invitations are open.
    pub(crate) fn invite(
        &mut self,
        node: &NodeId,
        address: String,
        ttl_s: u64,
        now: u64,
    ) -> Result<(JoinToken, Write), String> {
        let mut write = Write::default();
        let over: Vec<String> =
            self.invites.iter().filter(|(_, i)| i.expires < now).map(|(id, _)| id.clone()).collect();
        for id in over {
            write = write.and(INVITES, &id, None);
            self.invites.remove(&id);
        }
        if self.invites.len() >= Limits::INVITES {
            return Err(format!(
                "{} invitations are kept already, the most; those that have expired make room",
                self.invites.len()
            ));
        }
        let roots = self.root.bundle().map_err(|e| e.to_string())?.fingerprints().collect();
        let expires = now.saturating_add(ttl_s);
        let token = JoinToken::generate(self.root.org().clone(), node.clone(), address, roots, now, expires)
            .map_err(|e| e.to_string())?;
        let invite = Invite {
            node: node.clone(),
            hash: token.secret().hash().to_string(),
            expires,
            used: None,
            key: None,
        };
        let id = hex(&token.id);
        let row = serde_json::to_vec(&invite).map_err(|e| e.to_string())?;
        self.invites.insert(id.clone(), invite);
        Ok((token, write.and(INVITES, &id, Some(row))))
    }

    /// Issues for a request that comes with a token.
    ///
    /// # Errors
    /// Why not, for the node that asked. Whoever does not hold the secret learns nothing about the invitation.
    pub(crate) fn join(
        &mut self,
        id: &str,
        secret: &JoinSecret,
        csr: &str,
        now: u64,
    ) -> Result<Granted, String> {
        let hash = secret.hash().to_string();
        let Some(invite) = self.invites.get(id).filter(|i| i.hash == hash).cloned() else {
            return Err(
                "this token is not known here: its node was revoked, another node made it, it was forged, or \
                 expired long ago"
                    .into(),
            );
        };
        // The answer may have been lost on its way, or this node could not write down what it gave: whoever holds the same
        // key may ask again.
        let again = || {
            let key = self.root.requested_key(csr).ok().map(|key| key.to_string());
            key.is_some() && key == invite.key
        };
        if let Some(at) = invite.used.filter(|_| !again()) {
            return Err(format!(
                "this token was used already, at {}: if that was not you, revoke the node ('catalyst node revoke {}'); \
                 for a new token: 'catalyst node invite {}'",
                Date(at),
                invite.node,
                invite.node
            ));
        }
        if invite.expires < now {
            return Err(format!(
                "this token expired at {} (the clock here: {}); for a new one: 'catalyst node invite {}'",
                Date(invite.expires),
                Date(now),
                invite.node
            ));
        }
        let mut granted = self.issue(csr, &invite.node, now)?;
        let used = Invite { used: Some(now), key: Some(granted.key.to_string()), ..invite };
        granted.write = granted.write.and(INVITES, id, serde_json::to_vec(&used).ok());
        self.invites.insert(id.to_string(), used);
        Ok(granted)
    }

    /// Renews for a node that showed its certificate: for the same name and the same key.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn renew(
        &mut self,
        peer: &NodeName,
        key: &Fingerprint,
        csr: &str,
        now: u64,
    ) -> Result<Granted, String> {
        if peer.org() != self.root.org().as_str() {
            return Err(format!("{peer} is of another organisation"));
        }
        let node = NodeId::parse(peer.node()).map_err(|e| e.to_string())?;
        // The connection may be older than the revocation.
        if let Some(known) = self.issued.get(&node)
            && (known.revoked.is_some() || (known.pinned && known.key != key.to_string()))
        {
            return Err("this key was revoked: the node needs an invitation".into());
        }
        let granted = self.issue(csr, &node, now)?;
        if granted.key != *key {
            return Err(
                "a renewal is for the key that the node has; for another key it needs an invitation".into()
            );
        }
        Ok(granted)
    }

    fn issue(&mut self, csr: &str, node: &NodeId, now: u64) -> Result<Granted, String> {
        let chain = self.root.sign_csr(csr, Some(node), now, self.lifetime_s).map_err(|e| e.to_string())?;
        let not_after = catalyst_identity::not_after(&chain).map_err(|e| e.to_string())?;
        let key = catalyst_identity::public_key(&chain).map_err(|e| e.to_string())?;
        let pinned = self.issued.get(node).is_some_and(|i| i.revoked.is_some() || i.pinned);
        let issued =
            Issued { node: node.clone(), at: now, not_after, key: key.to_string(), revoked: None, pinned };
        let write = Write::one(ISSUED, node.as_str(), serde_json::to_vec(&issued).ok());
        self.issued.insert(node.clone(), issued);
        Ok(Granted { chain, node: node.clone(), key, pinned, write })
    }

    /// Nodes that were invited, issued for or revoked.
    pub(crate) fn known(&self) -> impl Iterator<Item = &NodeId> {
        self.issued.keys().chain(self.invites.values().map(|invite| &invite.node))
    }

    /// Revokes a node: what it holds is worth nothing from now on, and open invitations for it go.
    pub(crate) fn revoke(&mut self, node: &NodeId, now: u64) -> Write {
        let mut write = Write::default();
        let open: Vec<String> =
            self.invites.iter().filter(|(_, i)| i.node == *node).map(|(id, _)| id.clone()).collect();
        for id in open {
            self.invites.remove(&id);
            write = write.and(INVITES, &id, None);
        }
        let none = Issued {
            node: node.clone(),
            at: now,
            not_after: 0,
            key: String::new(),
            revoked: None,
            pinned: false,
        };
        let issued = self.issued.entry(node.clone()).or_insert(none);
        issued.revoked = Some(now);
        write.and(ISSUED, node.as_str(), serde_json::to_vec(issued).ok())
    }

    /// Takes into the books what this root has once stated, with this epoch: books that do not know it were lost, or are
    /// of an older day. What they say of a later day counts, but no other key than the one issued then.
    pub(crate) fn relearn(
        &mut self,
        list: &BTreeMap<NodeName, Option<Fingerprint>>,
        epoch: u64,
        now: u64,
    ) -> Write {
        let mut write = Write::default();
        for (name, except) in list {
            let Ok(node) = NodeId::parse(name.node()) else { continue };
            let key = || except.map(|k| k.to_string()).unwrap_or_default();
            let stated = |at, not_after, key| Issued {
                node: node.clone(),
                at,
                not_after,
                key,
                revoked: except.is_none().then_some(now),
                pinned: except.is_some(),
            };
            let issued = match self.issued.get(&node) {
                None => stated(now, 0, key()),
                Some(known) if known.revoked.is_some() => continue,
                // An epoch is no earlier than the second in which it was stated.
                Some(known) if known.at > epoch => Issued { pinned: true, ..known.clone() },
                Some(known) if except.is_none() => stated(known.at, known.not_after, known.key.clone()),
                Some(known) => stated(known.at, known.not_after, key()),
            };
            write = write.and(ISSUED, node.as_str(), serde_json::to_vec(&issued).ok());
            self.issued.insert(node, issued);
        }
        write
    }

    /// The books, for people.
    pub(crate) fn rows(&self, now: u64) -> Vec<NodeRow> {
        let mut rows: BTreeMap<NodeId, NodeRow> = BTreeMap::new();
        for issued in self.issued.values() {
            let (state, until) = match issued.revoked {
                Some(at) => ("revoked", at),
                None if issued.not_after < now => ("expired", issued.not_after),
                None => ("joined", issued.not_after),
            };
            rows.insert(
                issued.node.clone(),
                NodeRow { node: issued.node.clone(), state: state.into(), until },
            );
        }
        for invite in self.invites.values().filter(|i| i.used.is_none() && i.expires >= now) {
            let row = NodeRow { node: invite.node.clone(), state: "invited".into(), until: invite.expires };
            rows.insert(invite.node.clone(), row);
        }
        rows.into_values().collect()
    }

    /// Renews the certificate of the authority itself.
    ///
    /// # Errors
    /// As [`Authority::renew`].
    pub(crate) fn renew_own(
        &mut self,
        key: &NodeKey,
        node: &NodeId,
        now: u64,
    ) -> Result<Credentials, String> {
        let csr = key.csr(self.root.org(), node).map_err(|e| e.to_string())?;
        let granted = self.issue(&csr, node, now)?;
        Credentials::from_pem(&granted.chain, key).map_err(|e| e.to_string())
    }
}

/// The root, if the configuration names one.
fn root(config: &Config) -> Result<Option<OrgRoot>, NodeError> {
    let Some(folder) = &config.authority.root else { return Ok(None) };
    let key_path = folder.join(format!("{}.root.key", config.org));
    let path = folder.join(format!("{}.bundle.pem", config.org));
    let read = |path: &std::path::Path| {
        files::read_text(path, catalyst_identity::Limits::PEM).map_err(|source| NodeError::File {
            path: path.to_owned(),
            key: "authority.root",
            source,
        })
    };
    let key = zeroize::Zeroizing::new(read(&key_path)?);
    files::check_private_file(&key_path).map_err(|e| NodeError::PrivateFile(e.to_string()))?;
    let root =
        OrgRoot::from_pem(&read(&path)?, &key).map_err(|source| NodeError::Identity { path, source })?;
    Ok(Some(root))
}

#[cfg(test)]
mod tests;
