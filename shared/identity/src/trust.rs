//! The bundles a node holds, shared by everything that verifies peers.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use catalyst_names::OrgId;

use crate::bundle::TrustBundle;
use crate::error::IdentityError;
use crate::limits::Limits;

/// The trust bundles of one node by organisation. Clones share their content; a change takes effect with the next handshake.
#[derive(Clone)]
pub struct TrustStore {
    limits: Limits,
    bundles: Arc<RwLock<BTreeMap<OrgId, Arc<TrustBundle>>>>,
}

impl TrustStore {
    /// An empty store: it trusts nobody.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        TrustStore { limits, bundles: Arc::default() }
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
