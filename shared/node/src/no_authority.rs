//! In place of the authority where it is left out: no value of it can be, and the compiler drops what would use one.

use std::collections::BTreeMap;

use catalyst_config::Config;
use catalyst_identity::{Credentials, Fingerprint, JoinSecret, JoinToken, NodeKey};
use catalyst_names::{NodeId, NodeName};
use catalyst_store::Store;

use crate::admin::NodeRow;
use crate::enrolment::Granted;
use crate::error::NodeError;
use crate::write::Write;

/// There is none.
pub enum Authority {}

impl Authority {
    /// None: a configuration that names a root is refused before.
    ///
    /// # Errors
    /// None.
    pub fn load(_: &Config, _: &dyn Store) -> Result<Option<Self>, NodeError> {
        Ok(None)
    }

    pub(crate) fn refused(&self) -> u64 {
        match *self {}
    }

    pub(crate) fn refuse(&mut self) {
        match *self {}
    }

    pub(crate) fn bundle_pem(&self) -> String {
        match *self {}
    }

    pub(crate) fn sign(&self, _: &[u8], _: &[u8]) -> Result<Vec<u8>, String> {
        match *self {}
    }

    pub(crate) fn revoked(&self) -> std::iter::Empty<(NodeName, Option<Fingerprint>)> {
        match *self {}
    }

    pub(crate) fn invite(
        &mut self,
        _: &NodeId,
        _: String,
        _: u64,
        _: u64,
    ) -> Result<(JoinToken, Write), String> {
        match *self {}
    }

    pub(crate) fn join(&mut self, _: &str, _: &JoinSecret, _: &str, _: u64) -> Result<Granted, String> {
        match *self {}
    }

    pub(crate) fn renew(
        &mut self,
        _: &NodeName,
        _: &Fingerprint,
        _: &str,
        _: u64,
    ) -> Result<Granted, String> {
        match *self {}
    }

    pub(crate) fn known(&self) -> std::iter::Empty<&NodeId> {
        match *self {}
    }

    pub(crate) fn revoke(&mut self, _: &NodeId, _: u64) -> Write {
        match *self {}
    }

    pub(crate) fn relearn(&mut self, _: &BTreeMap<NodeName, Option<Fingerprint>>, _: u64, _: u64) -> Write {
        match *self {}
    }

    pub(crate) fn rows(&self, _: u64) -> Vec<NodeRow> {
        match *self {}
    }

    pub(crate) fn renew_own(&mut self, _: &NodeKey, _: &NodeId, _: u64) -> Result<Credentials, String> {
        match *self {}
    }
}
