//! Who of the organisation is revoked, for every node of it: a list that the root has signed, handed from neighbour to
//! neighbour (TRUST) and kept over a restart (ADR 0011).
//!
//! The authority states a list; every other node takes one that is signed and newer than its own, cuts off whom it names,
//! and hands it on. What a node has is never replaced by something older, whoever sends it.

use std::collections::BTreeMap;

use catalyst_identity::{Fingerprint, TrustBundle};
use catalyst_names::{NodeId, NodeName, OrgId};
use catalyst_store::{Store, StoreError, Table};
use catalyst_wire::{Frame, HEADER, Limits as WireLimits, Revocations as Statement, Revoked, Trust};

use crate::write::Write;

const NODE: Table = Table::new("node");
const KEY: &str = "revocations";

/// Revoked nodes, each with the one key that it may use again.
pub(crate) type List = BTreeMap<NodeName, Option<Fingerprint>>;

/// The newest list.
#[derive(Clone, Debug, Default)]
pub struct Revocations {
    pub(crate) epoch: u64,
    pub(crate) list: List,
    /// As it came, and as it is handed on.
    pub(crate) frame: Vec<u8>,
    /// It is newer than what the disk has.
    pub(crate) unsaved: bool,
}

fn read<'a>(frame: &'a [u8], org: &OrgId) -> Option<(Trust<'a>, u64, List)> {
    let trust = Trust::read(Frame::whole(frame).ok()?.body).ok()?;
    let statement = Statement::read(trust.statement).ok().filter(|s| s.org == org.as_str())?;
    let mut list = List::new();
    for entry in statement.entries() {
        // A name that cannot be one of a node names nobody.
        if let Ok(node) = NodeId::parse(entry.node) {
            list.insert(NodeName::new(&node, org), entry.except.map(Fingerprint));
        }
    }
    (trust.kind == Trust::REVOCATIONS).then_some((trust, statement.epoch, list))
}

impl Revocations {
    /// What the last run left. A row that does not read is as good as none.
    ///
    /// # Errors
    /// The disk.
    pub fn load(store: &dyn Store, org: &OrgId) -> Result<Self, StoreError> {
        let Some(frame) = store.get(NODE, KEY.as_bytes())? else { return Ok(Self::default()) };
        let read = read(&frame, org).map(|(_, epoch, list)| (epoch, list));
        Ok(read.map_or_else(Self::default, |(epoch, list)| Revocations {
            epoch,
            list,
            frame,
            unsaved: false,
        }))
    }

    /// The TRUST frame to hand on; empty when there is none.
    pub(crate) fn frame(&self) -> &[u8] {
        &self.frame
    }

    /// The revoked nodes, each with the one key that it may use again.
    pub(crate) fn list(&self) -> impl Iterator<Item = (&NodeName, Option<Fingerprint>)> {
        self.list.iter().map(|(name, except)| (name, *except))
    }

    /// A list that was handed on, if it is good and newer than this one. `None`: there is nothing new in it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn newer(&self, frame: &[u8], bundle: &TrustBundle) -> Result<Option<Self>, &'static str> {
        let (trust, epoch, list) =
            read(frame, bundle.org()).ok_or("it is no list of revoked nodes of this organisation")?;
        if epoch <= self.epoch {
            return Ok(None);
        }
        if !bundle.has_signed(Trust::DOMAIN, trust.statement, trust.signature) {
            return Err("no root of this organisation has signed it");
        }
        Ok(Some(Revocations { epoch, list, frame: frame.to_vec(), unsaved: true }))
    }

    /// The next list of the authority.
    ///
    /// # Errors
    /// When it is longer than a frame, or cannot be signed.
    pub(crate) fn next(
        &self,
        org: &OrgId,
        list: List,
        now: u64,
        sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, String>,
    ) -> Result<Self, String> {
        let epoch = self.epoch.saturating_add(1).max(now);
        let entries =
            list.iter().map(|(name, except)| Revoked { node: name.node(), except: except.map(|k| k.0) });
        let mut statement = vec![0; WireLimits::STATEMENT];
        let written = Statement::write(org.as_str(), epoch, entries, &mut statement);
        statement.truncate(written.map_err(|_| {
            format!("{} revoked nodes are more than one list can tell other nodes", list.len())
        })?);
        let signature = sign(&statement)?;
        let trust = Trust { kind: Trust::REVOCATIONS, statement: &statement, signature: &signature };
        let mut buf = vec![0; HEADER + WireLimits::FRAME_BODY];
        let frame = trust.write(&mut buf).map_err(|_| "a list that does not fit".to_string())?.to_vec();
        Ok(Revocations { epoch, list, frame, unsaved: true })
    }

    /// What is to be written.
    pub(crate) fn save(&mut self) -> Option<Write> {
        let unsaved = std::mem::take(&mut self.unsaved);
        unsaved.then(|| Write::one(NODE, KEY, Some(self.frame.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalyst_identity::OrgRoot;
    use catalyst_store::MemoryStore;

    fn root() -> OrgRoot {
        OrgRoot::generate(&"acme.example".parse().unwrap(), 1_800_000_000).unwrap()
    }

    fn list(names: &[&str]) -> List {
        names.iter().map(|n| (format!("{n}.acme.example").parse().unwrap(), None)).collect()
    }

    fn stated(root: &OrgRoot, before: &Revocations, names: &[&str]) -> Revocations {
        let sign = |b: &[u8]| root.sign_statement(Trust::DOMAIN, b).map_err(|e| e.to_string());
        before.next(root.org(), list(names), 100, sign).unwrap()
    }

    #[test]
    fn a_signed_and_newer_list_is_taken_and_nothing_else() {
        let (root, own) = (root(), Revocations::default());
        let bundle = root.bundle().unwrap();
        let first = stated(&root, &own, &["edge-1"]);
        let second = stated(&root, &first, &["edge-1", "edge-2"]);
        let taken = own.newer(&first.frame, &bundle).unwrap().unwrap();
        assert_eq!((taken.epoch, &taken.list), (100, &list(&["edge-1"])));
        let taken = taken.newer(&second.frame, &bundle).unwrap().unwrap();
        assert_eq!((taken.epoch, &taken.list), (101, &list(&["edge-1", "edge-2"])));
        assert!(taken.newer(&first.frame, &bundle).unwrap().is_none(), "an older list brings nobody back");
        assert!(taken.newer(&second.frame, &bundle).unwrap().is_none());

        let forged = stated(&self::root(), &second, &["cloud-1"]);
        assert!(taken.newer(&forged.frame, &bundle).is_err(), "signed by another root of the same name");
        let mut bent = stated(&root, &second, &["edge-1", "edge-2", "edge-3"]).frame;
        let at = bent.windows(6).position(|w| w == b"edge-3").unwrap();
        bent[at + 5] = b'4';
        assert!(taken.newer(&bent, &bundle).is_err());
        for junk in [&b""[..], &[8, 0, 0, 0], &[8, 0, 0, 1, 1], b"\x08\x00\x00\x03\x01\x00\x00"] {
            assert!(taken.newer(junk, &bundle).is_err(), "{junk:?}");
        }
    }

    #[test]
    fn it_is_there_after_a_restart() {
        let (root, store) = (root(), MemoryStore::default());
        let mut first = stated(&root, &Revocations::default(), &["edge-1"]);
        first.save().unwrap().run(&store).unwrap();
        assert!(first.save().is_none(), "once");
        let again = Revocations::load(&store, root.org()).unwrap();
        assert_eq!((again.epoch, &again.list, &again.frame), (first.epoch, &first.list, &first.frame));
        store.put(NODE, KEY.as_bytes(), b"junk").unwrap();
        assert!(Revocations::load(&store, root.org()).unwrap().frame.is_empty());
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let root = root();
        let names: Vec<String> = (0..2_000).map(|n| format!("edge-{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let sign = |_: &[u8]| Ok(Vec::new());
        let why = Revocations::default().next(root.org(), list(&names), 1, sign).unwrap_err();
        assert!(why.contains("2000 revoked nodes"), "{why}");
        assert!(Revocations::default().next(root.org(), list(&names[..1_000]), 1, sign).is_ok());
    }
}
