//! The bundles a node holds, shared by everything that verifies peers.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use catalyst_names::{NodeName, OrgId};

use crate::bundle::TrustBundle;
use crate::error::IdentityError;
use crate::fingerprint::Fingerprint;
use crate::limits::Limits;

/// The trust bundles of one node by organisation. Clones share their content; a change takes effect with the next handshake.
#[derive(Clone)]
pub struct TrustStore {
    limits: Limits,
    bundles: Arc<RwLock<BTreeMap<OrgId, Arc<TrustBundle>>>>,
    /// Revoked nodes, each with the one public key that it may use again, if it was invited anew.
    revoked: Arc<RwLock<BTreeMap<NodeName, Option<Fingerprint>>>>,
}

impl TrustStore {
    /// An empty store: it trusts nobody.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        TrustStore { limits, bundles: Arc::default(), revoked: Arc::default() }
    }

    /// Adds the bundle of an organisation, or replaces the one it had, which is returned.
    ///
    /// # Errors
    /// When [`Limits::organisations`] is reached and the organisation is a new one.
    pub fn insert(&self, bundle: TrustBundle) -> Result<Option<Arc<TrustBundle>>, IdentityError> {
        let mut bundles = self.bundles.write().unwrap_or_else(PoisonError::into_inner);
        if bundles.len() >= self.limits.organisations && !bundles.contains_key(bundle.org()) {
            return Err(IdentityError::StoreFull {
                org: Box::new(bundle.org().clone()),
                max: self.limits.organisations,
            });
        }
        Ok(bundles.insert(bundle.org().clone(), Arc::new(bundle)))
    }

    /// Stops trusting an organisation. Sessions that stand are the caller's to end.
    pub fn remove(&self, org: &OrgId) -> Option<Arc<TrustBundle>> {
        self.bundles.write().unwrap_or_else(PoisonError::into_inner).remove(org)
    }

    /// Refuses every certificate of a node from the next handshake on, but those for `except`: the fingerprint of the
    /// public point of a key. Sessions that stand are the caller's to end.
    ///
    /// # Errors
    /// When [`Limits::REVOKED`] nodes are revoked already.
    pub fn revoke(&self, name: &NodeName, except: Option<Fingerprint>) -> Result<(), IdentityError> {
        let mut revoked = self.revoked.write().unwrap_or_else(PoisonError::into_inner);
        if revoked.len() >= Limits::REVOKED && !revoked.contains_key(name) {
            return Err(IdentityError::TooMuch {
                what: "list of revoked nodes",
                size: revoked.len(),
                unit: "nodes",
                max: Limits::REVOKED,
            });
        }
        revoked.insert(name.clone(), except);
        Ok(())
    }

    /// Puts a whole list of revoked nodes in the place of the one there was; see [`TrustStore::revoke`].
    ///
    /// # Errors
    /// When there are more than [`Limits::REVOKED`]; the old list stays.
    pub fn set_revoked(&self, list: BTreeMap<NodeName, Option<Fingerprint>>) -> Result<(), IdentityError> {
        if list.len() > Limits::REVOKED {
            return Err(IdentityError::TooMuch {
                what: "list of revoked nodes",
                size: list.len(),
                unit: "nodes",
                max: Limits::REVOKED,
            });
        }
        *self.revoked.write().unwrap_or_else(PoisonError::into_inner) = list;
        Ok(())
    }

    /// Whether certificates of a node for this public point are refused.
    #[must_use]
    pub fn is_revoked(&self, name: &NodeName, public_point: &[u8]) -> bool {
        let revoked = self.revoked.read().unwrap_or_else(PoisonError::into_inner);
        revoked.get(name).is_some_and(|except| *except != Some(Fingerprint::of(public_point)))
    }

    /// Whether a node was revoked, and if so, the fingerprint of the one public point that it may use again.
    #[must_use]
    pub fn revoked(&self, name: &NodeName) -> Option<Option<Fingerprint>> {
        self.revoked.read().unwrap_or_else(PoisonError::into_inner).get(name).copied()
    }

    /// The bundle of exactly this organisation.
    #[must_use]
    pub fn bundle(&self, org: &OrgId) -> Option<Arc<TrustBundle>> {
        self.bundles.read().unwrap_or_else(PoisonError::into_inner).get(org).cloned()
    }

    /// All bundles, in the order of their organisations.
    #[must_use]
    pub fn bundles(&self) -> Vec<Arc<TrustBundle>> {
        self.bundles.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

impl Default for TrustStore {
    fn default() -> Self {
        TrustStore::new(Limits::default())
    }
}

impl fmt::Debug for TrustStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.bundles()).finish()
    }
}
