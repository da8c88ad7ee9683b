//! Neighbours as they are after what was changed at run time: the file, and the differences from it.
//!
//! The trust bundle and the agreement of a neighbour of another organisation are copied to `peers/` of the state
//! folder, so that the files that were given may go.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use catalyst_config::{Config, Foreign, HostPort, LinkProfile, Peer, PeerTransport};
use catalyst_names::{NodeId, NodeName, OrgId};
use catalyst_store::{Scan, Store, StoreError, Table};
use serde::{Deserialize, Serialize};

use crate::write::Write;

const PEERS: Table = Table::new("peers");

/// The longest restart time, in seconds.
#[cfg(feature = "mesh")]
pub(crate) const RESTART_S: u32 = 3_600;

/// A neighbour that is added at run time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerSpec {
    /// Its name in its organisation.
    pub node: NodeId,
    /// Its organisation.
    pub org: OrgId,
    /// `host:port` to dial; without it this node waits for the neighbour's dial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The kind of link: `lan`, `wan`, `cellular`, `satellite`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// What carries the link: `auto`, `quic`, `tcp`; without it `auto`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<String>,
    /// How long it is asked to keep this node's routes when the session is lost, in seconds; without it by the kind of link.
    #[cfg(feature = "mesh")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_s: Option<u32>,
    /// The trust bundle of another organisation, in PEM. Not kept in the row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<String>,
    /// The agreement with another organisation, as JSON text. Not kept in the row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreement: Option<String>,
}

impl PeerSpec {
    /// Its whole name.
    #[must_use]
    pub fn name(&self) -> NodeName {
        NodeName::new(&self.node, &self.org)
    }
}

/// One row, version 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Row {
    /// A neighbour that is not in the file, or is another way there.
    Added(PeerSpec),
    /// The neighbour of the file is none.
    Removed(NodeId, OrgId),
}

/// The differences from the file.
#[derive(Clone, Debug, Default)]
pub struct Peers {
    folder: PathBuf,
    of_file: BTreeMap<NodeName, Peer>,
    added: BTreeMap<NodeName, Peer>,
    removed: BTreeSet<NodeName>,
}

fn name_of(peer: &Peer) -> NodeName {
    NodeName::new(&peer.node, &peer.org)
}

impl Peers {
    /// Reads the differences, and makes `config` say what holds after them. A row that does not decode is left out:
    /// it is of a later version.
    ///
    /// # Errors
    /// The disk.
    pub fn load(store: &dyn Store, config: &mut Config) -> Result<Self, StoreError> {
        let of_file = config.peers.iter().map(|p| (name_of(p), p.clone())).collect();
        let mut peers = Peers { folder: config.state_dir.join("peers"), of_file, ..Peers::default() };
        let mut after: Option<Vec<u8>> = None;
        loop {
            let scan = after.as_deref().map_or(Scan::all(), |key| Scan::all().after(key));
            let rows = store.scan(PEERS, scan)?;
            let Some((last, _)) = rows.last() else { break };
            after = Some(last.clone());
            for (key, row) in &rows {
                let row = serde_json::from_slice::<Row>(row).map_err(|e| e.to_string());
                let taken = row.and_then(|row| match row {
                    Row::Added(spec) => {
                        let peer = peers.peer(&spec, config)?;
                        peers.added.insert(spec.name(), peer);
                        Ok(())
                    }
                    Row::Removed(node, org) => {
                        peers.removed.insert(NodeName::new(&node, &org));
                        Ok(())
                    }
                });
                if let Err(error) = taken {
                    tracing::warn!(key = %String::from_utf8_lossy(key), error, "a stored peer does not decode");
                }
            }
        }
        peers.apply(config);
        Ok(peers)
    }

    fn apply(&self, config: &mut Config) {
        let kept = |p: &&Peer| !self.removed.contains(&name_of(p)) && !self.added.contains_key(&name_of(p));
        config.peers = self.of_file.values().filter(kept).chain(self.added.values()).cloned().collect();
    }

    /// Whether the neighbour is as the file has it.
    #[must_use]
    pub fn is_of_file(&self, name: &NodeName) -> bool {
        !self.added.contains_key(name)
    }

    fn file(&self, name: &NodeName, what: &str) -> PathBuf {
        self.folder.join(format!("{name}.{what}"))
    }

    /// The neighbour as the configuration would have it.
    fn peer(&self, spec: &PeerSpec, config: &Config) -> Result<Peer, String> {
        let address = spec.address.as_deref().map(HostPort::parse).transpose();
        let foreign = (spec.org != config.org).then(|| Foreign {
            bundle: self.file(&spec.name(), "bundle.pem"),
            agreement: self.file(&spec.name(), "agreement.json"),
        });
        let profile = match spec.profile.as_deref() {
            None => config.profile,
            Some(word) => word
                .parse::<LinkProfile>()
                .map_err(|()| format!("'{word}' is no kind of link: use lan, wan, cellular or satellite"))?,
        };
        let transport = match spec.transport.as_deref() {
            None => PeerTransport::Auto,
            Some(word) => word
                .parse::<PeerTransport>()
                .map_err(|()| format!("'{word}' carries no link: use auto, quic or tcp"))?,
        };
        Ok(Peer {
            node: spec.node.clone(),
            org: spec.org.clone(),
            address: address.map_err(|why| format!("the address is not usable: {why}"))?,
            foreign,
            profile,
            #[cfg(feature = "mesh")]
            restart_s: match spec.restart_s {
                Some(seconds) if seconds > RESTART_S => {
                    return Err(format!("routes are kept for {RESTART_S} s at most, not {seconds}"));
                }
                restart => restart,
            },
            #[cfg(not(feature = "mesh"))]
            restart_s: None,
            transport,
        })
    }

    /// Takes a neighbour in, or changes one, and brings `config` up to date.
    ///
    /// # Errors
    /// What is wrong with it, and what to do.
    pub(crate) fn add(&mut self, mut spec: PeerSpec, config: &mut Config) -> Result<(Peer, Write), String> {
        let name = spec.name();
        if spec.org == config.org && spec.node == config.node {
            return Err(format!("'{name}' is this node itself"));
        }
        if spec.address.is_none() && config.listen.is_none() {
            return Err(
                "this node does not listen, so it must dial: give the address of the peer".to_string()
            );
        }
        let known = config.peers.iter().any(|p| name_of(p) == name);
        if !known && config.peers.len() >= config.limits.peers as usize {
            let limit = config.limits.peers;
            return Err(format!(
                "there are {limit} peers already (limits.peers); remove one, or raise the limit"
            ));
        }
        let peer = self.peer(&spec, config)?;
        let contents = (spec.bundle.take(), spec.agreement.take());
        let row = serde_json::to_vec(&Row::Added(spec)).ok();
        let mut write = Write::one(PEERS, name.as_str(), row);
        match (&peer.foreign, contents) {
            (Some(foreign), (Some(bundle), Some(agreement))) => {
                write = write.file(foreign.bundle.clone(), bundle).file(foreign.agreement.clone(), agreement);
            }
            (Some(_), _) => {
                return Err(format!(
                    "'{}' is another organisation: give its trust bundle and the agreement with it \
                     (--bundle FILE --agreement FILE)",
                    peer.org
                ));
            }
            (None, (None, None)) => {}
            (None, _) => {
                return Err("a node of the own organisation needs neither bundle nor agreement".to_string());
            }
        }
        self.removed.remove(&name);
        self.added.insert(name, peer.clone());
        self.apply(config);
        Ok((peer, write))
    }

    /// Takes a neighbour out, and brings `config` up to date.
    ///
    /// # Errors
    /// When there is none of this name.
    pub(crate) fn remove(&mut self, name: &NodeName, config: &mut Config) -> Result<Write, String> {
        let Some(peer) = config.peers.iter().find(|p| name_of(p) == *name).cloned() else {
            return Err(format!("no peer '{name}' at this node; see 'peer ls'"));
        };
        let own = self.added.remove(name).is_some();
        let row = self.of_file.contains_key(name).then(|| {
            self.removed.insert(name.clone());
            serde_json::to_vec(&Row::Removed(peer.node.clone(), peer.org.clone())).unwrap_or_default()
        });
        self.apply(config);
        let mut write = Write::one(PEERS, name.as_str(), row);
        for path in peer.foreign.iter().filter(|_| own).flat_map(|f| [&f.bundle, &f.agreement]) {
            write = write.without(path.clone());
        }
        Ok(write)
    }
}
