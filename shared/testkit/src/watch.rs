//! Looks at every frame of one flow as a stranger would: what the protocol promises must hold on the wire.

use std::collections::{BTreeMap, BTreeSet};

use catalyst_wire::{Announced, Frame, FrameType, Update, Withdrawn};

use crate::seen::Name;

/// What is known of one flow.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watch {
    opened: bool,
    ended: bool,
    complete: bool,
    /// What the receiver must hold by now, were there no loop check: attributes by key.
    pub(crate) announced: BTreeMap<Name, Vec<u8>>,
    said: BTreeSet<Name>,
    /// What stood when the session was established, and the step of the simulator.
    must: BTreeSet<Name>,
    since: u64,
}

/// What the flow is supposed to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    /// The sender's organisation and node.
    pub(crate) org: &'a str,
    pub(crate) node: &'a str,
    /// The receiver is of another organisation.
    pub(crate) external: bool,
}

impl Watch {
    /// The session is established: this stood in Adj-RIB-Out.
    pub(crate) fn established(&mut self, adj_rib_out: BTreeSet<Name>, step: u64) {
        self.must = adj_rib_out;
        self.since = step;
    }

    /// Looks at one frame. When END_OF_RIB is to be judged, `standing` gives Adj-RIB-Out, and `steady` says whether a
    /// service has changed at most once since a step of the simulator: what changes all the time may come later.
    pub(crate) fn frame(
        &mut self,
        bytes: &[u8],
        facts: Facts<'_>,
        standing: impl FnOnce() -> BTreeSet<Name>,
        steady: impl Fn(&str, u64) -> bool,
    ) -> Result<(), String> {
        let frame = Frame::whole(bytes).map_err(|e| format!("sent what is no frame: {e}"))?;
        let kind = frame.kind().map_err(|e| format!("sent an unknown frame: {e}"))?;
        let kind = kind.ok_or("sent a frame of a later version")?;
        if self.ended {
            return Err(format!("sent {} after NOTIFY", kind.as_str()));
        }
        match kind {
            FrameType::Notify => {
                self.ended = true;
                return Ok(());
            }
            FrameType::Open if self.opened => return Err("sent OPEN twice".to_owned()),
            FrameType::Open => self.opened = true,
            _ if !self.opened => return Err(format!("sent {} before OPEN", kind.as_str())),
            FrameType::Update => self.update(frame.body, facts)?,
            FrameType::EndOfRib => {
                if self.complete {
                    return Err("sent END_OF_RIB twice".to_owned());
                }
                self.complete = true;
                let standing = standing();
                let due =
                    |k: &&Name| standing.contains(*k) && !self.said.contains(*k) && steady(&k.0, self.since);
                let missing = self.must.iter().find(due);
                if let Some((service, origin)) = missing {
                    return Err(format!("sent END_OF_RIB before {service} of {origin}"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn update(&mut self, body: &[u8], facts: Facts<'_>) -> Result<(), String> {
        let update = Update::read(body).map_err(|e| format!("sent an UPDATE that cannot be read: {e}"))?;
        let mut here = BTreeSet::new();
        for element in update.announced() {
            let Announced::Route(entry) = element else {
                return Err(format!("announced a malformed route: {element:?}"));
            };
            let (what, attrs) = (format!("{} of {}", entry.service, entry.origin), &entry.attrs);
            if facts.external {
                if !attrs.node_path.is_empty() || attrs.local_pref.is_some() {
                    return Err(format!("let inner attributes of {what} cross the border"));
                }
                if attrs.org_path.len() != 1 || attrs.org_path.first() != Some(facts.org) {
                    return Err(format!("passed on {what} of a third organisation: {:?}", attrs.org_path));
                }
                let hex = entry.origin.strip_prefix('o').unwrap_or_default();
                if hex.len() != 20 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return Err(format!("let the inner origin of {what} cross the border"));
                }
            } else {
                let path: Vec<&str> = attrs.node_path.iter().collect();
                let distinct: BTreeSet<&&str> = path.iter().collect();
                if path.first() != Some(&facts.node) || distinct.len() != path.len() {
                    return Err(format!("announced {what} by the path {path:?}"));
                }
            }
            let key = (entry.service.to_owned(), entry.origin.to_owned());
            if !here.insert(key.clone()) {
                return Err(format!("announced {what} twice in one UPDATE"));
            }
            self.said.insert(key.clone());
            self.announced.insert(key, entry.raw.to_vec());
        }
        for element in update.withdrawn() {
            let Withdrawn::Key { service, origin } = element else {
                return Err("withdrew something without a key".to_owned());
            };
            let key = (service.to_owned(), origin.to_owned());
            if !here.insert(key.clone()) {
                return Err(format!("spoke twice of {service} of {origin} in one UPDATE"));
            }
            self.announced.remove(&key);
            self.said.insert(key);
        }
        if here.is_empty() {
            return Err("sent an empty UPDATE".to_owned());
        }
        Ok(())
    }
}

/// A frame in a few words.
pub(crate) fn describe(bytes: &[u8]) -> String {
    let Ok(frame) = Frame::whole(bytes) else { return "not a frame".to_owned() };
    let kind = frame.kind().ok().flatten();
    let mut text = kind.map_or("unknown", FrameType::as_str).to_owned();
    match kind {
        Some(FrameType::Update) => {
            let Ok(update) = Update::read(frame.body) else { return text };
            for element in update.announced() {
                if let Announced::Route(e) = element {
                    let path: Vec<&str> = e.attrs.org_path.iter().chain(e.attrs.node_path.iter()).collect();
                    text +=
                        &format!(" +{}@{} by {} cost {}", e.service, e.origin, path.join(","), e.attrs.cost);
                }
            }
            for element in update.withdrawn() {
                if let Withdrawn::Key { service, origin } = element {
                    text += &format!(" -{service}@{origin}");
                }
            }
        }
        Some(FrameType::Notify) => {
            if let Ok(said) = catalyst_wire::Notify::read(frame.body) {
                text += &format!(" {}: {}", said.code, said.reason);
            }
        }
        _ => {}
    }
    text
}
