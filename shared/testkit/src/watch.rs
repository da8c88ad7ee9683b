//! Looks at every frame of one flow as a stranger would: what the protocol promises must hold on the wire.

use std::collections::{BTreeMap, BTreeSet};

use catalyst_policy::Role;
use catalyst_wire::{Announced, Attrs, Frame, FrameType, Keepalive, Refresh, Update, Withdrawn};

use crate::seen::Name;
use crate::sum::Sum;

/// What is known of one flow.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watch {
    opened: bool,
    ended: bool,
    /// END_OF_RIB was said.
    pub(crate) complete: bool,
    /// What the receiver must hold by now, were there no loop check: attributes by key.
    pub(crate) announced: BTreeMap<Name, Vec<u8>>,
    said: BTreeSet<Name>,
    /// The digest of it.
    sum: Sum,
    /// Digests that were said.
    pub(crate) digests: u64,
    /// A refresh is under way: what stood at its beginning and has not been told again.
    again: Option<BTreeSet<Name>>,
    /// The receiver has asked for a refresh that has not come to its end.
    pub(crate) owed: bool,
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
    /// That organisation, and what it is to the sender's.
    pub(crate) to: &'a str,
    pub(crate) role: Option<Role>,
}

impl Watch {
    /// The session is established: there is this to tell.
    pub(crate) fn established(&mut self, to_tell: BTreeSet<Name>, step: u64) {
        self.must = to_tell;
        self.since = step;
    }

    /// What END_OF_RIB comes too early for: `standing` is what there is to tell now, and `steady` says whether a service has
    /// changed at most once since a step of the simulator: what changes all the time may come later.
    pub(crate) fn missing(
        &self,
        standing: BTreeSet<Name>,
        steady: impl Fn(&str, u64) -> bool,
    ) -> Option<&Name> {
        let due = |k: &&Name| standing.contains(*k) && !self.said.contains(*k) && steady(&k.0, self.since);
        self.must.iter().find(due)
    }

    /// Looks at one frame.
    pub(crate) fn frame(
        &mut self,
        bytes: &[u8],
        facts: Facts<'_>,
        spoken: &mut BTreeMap<String, BTreeSet<String>>,
    ) -> Result<u64, String> {
        let mut elements = 0;
        let frame = Frame::whole(bytes).map_err(|e| format!("sent what is no frame: {e}"))?;
        let kind = frame.kind().map_err(|e| format!("sent an unknown frame: {e}"))?;
        let kind = kind.ok_or("sent a frame of a later version")?;
        if self.ended {
            return Err(format!("sent {} after NOTIFY", kind.as_str()));
        }
        match kind {
            FrameType::Notify => {
                self.ended = true;
                return Ok(0);
            }
            FrameType::Open if self.opened => return Err("sent OPEN twice".to_owned()),
            FrameType::Open => self.opened = true,
            _ if !self.opened => return Err(format!("sent {} before OPEN", kind.as_str())),
            FrameType::Keepalive => {
                let digest = Keepalive::read(frame.body).ok().and_then(|keepalive| keepalive.digest);
                self.digests += u64::from(digest.is_some());
                if digest.is_some_and(|said| said != self.sum.bytes()) {
                    return Err(format!(
                        "said another digest than that of the {} it told",
                        self.announced.len()
                    ));
                }
            }
            FrameType::Refresh => self.refresh(frame.body)?,
            FrameType::Update => {
                // The first telling of a table is not due to any change: neither what is told counts, nor its names.
                let mut first = BTreeMap::new();
                let names = if self.complete { spoken } else { &mut first };
                let told = self.update(frame.body, facts, names)?;
                elements = if self.complete { told } else { 0 };
            }
            FrameType::EndOfRib => {
                if self.complete {
                    return Err("sent END_OF_RIB twice".to_owned());
                }
                self.complete = true;
            }
            _ => {}
        }
        Ok(elements)
    }

    /// All of the table again, from here or to here; or the wish to hear it.
    fn refresh(&mut self, body: &[u8]) -> Result<(), String> {
        match Refresh::read(body) {
            Ok(Refresh::BEGIN) => {
                if !self.complete {
                    return Err("told its table again before it had told it".to_owned());
                }
                self.again = Some(self.announced.keys().cloned().collect());
            }
            Ok(Refresh::END) => {
                let Some(left) = self.again.take() else {
                    return Err("ended a refresh that it had not begun".to_owned());
                };
                // What was not told again is gone.
                for key in left {
                    if let Some(old) = self.announced.remove(&key) {
                        self.sum.take(&key, &old);
                    }
                }
                self.owed = false;
            }
            _ => {}
        }
        Ok(())
    }

    /// How many routes it speaks of.
    fn update(
        &mut self,
        body: &[u8],
        facts: Facts<'_>,
        spoken: &mut BTreeMap<String, BTreeSet<String>>,
    ) -> Result<u64, String> {
        let update = Update::read(body).map_err(|e| format!("sent an UPDATE that cannot be read: {e}"))?;
        let mut here = BTreeSet::new();
        for element in update.announced() {
            let Announced::Route(entry) = element else {
                return Err(format!("announced a malformed route: {element:?}"));
            };
            let (what, attrs) = (format!("{} of {}", entry.service, entry.origin), &entry.attrs);
            if facts.external {
                if !attrs.node_path.is_empty() || attrs.local_pref.is_some() || !attrs.seqnos.is_empty() {
                    return Err(format!("let inner attributes of {what} cross the border"));
                }
                if let Some(why) = wrong_path(entry.service, attrs, facts) {
                    return Err(format!("announced {what} {why}: {:?}", attrs.org_path));
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
                if attrs.seqnos.len() > path.len() {
                    return Err(format!("announced {what} with more numbers than nodes"));
                }
            }
            let key = (entry.service.to_owned(), entry.origin.to_owned());
            if !here.insert(key.clone()) {
                return Err(format!("announced {what} twice in one UPDATE"));
            }
            self.said.insert(key.clone());
            if let Some(left) = &mut self.again {
                left.remove(&key);
            }
            self.sum.add(&key, entry.raw);
            if let Some(old) = self.announced.insert(key.clone(), entry.raw.to_vec()) {
                self.sum.take(&key, &old);
            }
        }
        for element in update.withdrawn() {
            let Withdrawn::Key { service, origin } = element else {
                return Err("withdrew something without a key".to_owned());
            };
            let key = (service.to_owned(), origin.to_owned());
            if !here.insert(key.clone()) {
                return Err(format!("spoke twice of {service} of {origin} in one UPDATE"));
            }
            if let Some(old) = self.announced.remove(&key) {
                self.sum.take(&key, &old);
            }
            self.said.insert(key);
        }
        for news in update.overtaken() {
            let key = (news.service.to_owned(), news.origin.to_owned());
            if facts.external {
                return Err(format!("told another organisation of {}'s words", news.node));
            }
            if !here.contains(&key) {
                return Err(format!("told news of {key:?} and nothing else of it"));
            }
        }
        if here.is_empty() {
            return Err("sent an empty UPDATE".to_owned());
        }
        for (service, origin) in &here {
            spoken.entry(service.clone()).or_default().insert(origin.clone());
        }
        Ok(here.len() as u64)
    }
}

/// What is wrong with the way of a route over a border, and with its only-to-customer mark (RFC 9234 section 5).
fn wrong_path(service: &str, attrs: &Attrs<'_>, facts: Facts<'_>) -> Option<&'static str> {
    let path: Vec<&str> = attrs.org_path.iter().collect();
    let distinct: BTreeSet<&&str> = path.iter().collect();
    let home = service.split_once('.').map(|(_, org)| org);
    if path.first() != Some(&facts.org) || path.last().copied() != home {
        return Some("by a path that does not lead from here to its home");
    }
    if distinct.len() != path.len() || path.contains(&facts.to) {
        return Some("by a path in a circle");
    }
    match (facts.role, attrs.only_to_customer) {
        (Some(Role::Provider), Some(_)) => Some("to a provider, though it is for customers only"),
        (Some(Role::Peer), Some(by)) if by != facts.org => Some("to a peer, though it is for customers only"),
        (Some(Role::Customer | Role::Peer), None) => Some("without the mark that it is for customers only"),
        (None, _) => Some("without an agreement"),
        _ => None,
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
