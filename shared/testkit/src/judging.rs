//! While a walk brings the routes of a node under other rules: nothing leaves for another organisation that the rules of now
//! keep in, and no flow is cut that they let through. Nor is one ever cut while the node has a way that they let out.

use std::collections::{BTreeMap, BTreeSet};

use catalyst_control::{Effect, SessionId};
use catalyst_names::{NodeName, ServiceName};
use catalyst_oracle::{Key, Table, rules};
use catalyst_policy::{Agreement, border_origin};
use catalyst_wire::{Announced, Frame, FrameType, Update};

use crate::any::AnyCore;
use crate::local::Told;
use crate::net::Net;
use crate::pauses::Paused;
use crate::seen::{Name, See};
use crate::shadow::Pair;

/// The keys that a frame announces, and as what.
fn announced(frame: &[u8]) -> Vec<(Name, Told)> {
    let frame = Frame::whole(frame).ok().filter(|frame| frame.kind() == Ok(Some(FrameType::Update)));
    let Some(Ok(update)) = frame.map(|frame| Update::read(frame.body)) else { return Vec::new() };
    let name = |element| match element {
        Announced::Route(entry) => {
            Some(((entry.service.to_owned(), entry.origin.to_owned()), Told::read(entry.raw)))
        }
        _ => None,
    };
    update.announced().filter_map(name).collect()
}

/// What a neighbour may use from now on, or no longer.
pub(crate) struct Granted {
    pair: Pair,
    /// The session that it had before.
    session: u64,
    service: ServiceName,
    granted: bool,
}

impl Net {
    /// A node sends these while its rules are not in force for all routes: each announcement to another organisation has to
    /// be one that they let out, as they make it.
    pub(crate) fn lets_out(&mut self, node: usize, frames: &[(SessionId, Vec<u8>)]) {
        let Some(core) = self.nodes[node].core.as_ref().filter(|core| !core.is_ageing()) else { return };
        let own = self.nodes[node].name();
        let mut table = None;
        let mut wrong = None;
        for (session, frame) in frames {
            let Some((id, side)) = self.end_of(node, *session) else { continue };
            let Some(conn) = self.conns.get(&id) else { continue };
            let peer = self.links[conn.link].plan.ends[1 - side];
            let told = announced(frame);
            if self.nodes[peer].name().org() == own.org() || told.is_empty() {
                continue;
            }
            let table = table.get_or_insert_with(|| self.made_of(node, &core.look(See)));
            let may = self.names_of((node, peer), table);
            let name = self.nodes[peer].name();
            // Of those a better way waits.
            let waiting = core.look(Paused);
            let waits = |service: &str| waiting.iter().any(|((of, _), _)| of == service);
            let bad = told.into_iter().find_map(|(key, told)| match may.get(&key) {
                None => Some(format!("told {name} of {key:?}, which the rules of now keep in")),
                Some(wanted) if *wanted != told && !waits(&key.0) => Some(format!(
                    "told {name} of {key:?} as {told:?}, of which the rules of now make {wanted:?}"
                )),
                Some(_) => None,
            });
            wrong = wrong.or(bad);
        }
        if let Some(what) = wrong {
            self.violated(node, &what);
        }
    }

    /// What a node has to tell a neighbour now, under the names that it has on the wire. Nothing where that is about to change:
    /// rules or phases are not in force for all routes.
    pub(crate) fn to_tell(&self, (node, peer): Pair) -> BTreeSet<Name> {
        let halfway = |core: &&AnyCore| core.is_judging() || core.is_ageing();
        let core = self.nodes[node].core.as_ref().filter(|core| !halfway(core));
        let Some(core) = core else { return BTreeSet::new() };
        let mut table = self.made_of(node, &core.look(See));
        // Of those a better way waits, and the one that was told may be the neighbour's own.
        let waiting = core.look(Paused);
        let waits = |key: &Key| {
            waiting.iter().any(|((s, o), _)| *s == key.service.as_str() && *o == key.origin.as_str())
        };
        table.loc_rib.retain(|key, _| !waits(key));
        let wants = self.nodes[peer].plan.interest.as_ref();
        let names = self.names_of((node, peer), &table);
        names.into_keys().filter(|name| rules::wanted(wants, &name.0)).collect()
    }

    /// What a neighbour has to hear of a table, under the names that it has on the wire.
    fn names_of(&self, (node, peer): Pair, table: &Table) -> BTreeMap<Name, Told> {
        let digest = self.agreement(node, peer).map(Agreement::digest);
        let secret = &self.nodes[node].secret;
        let wire = |key: &Key| {
            let origin = digest.as_ref().map(|digest| border_origin(secret, digest, key.origin.as_str()));
            let origin = origin.unwrap_or_else(|| key.origin.clone());
            (key.service.to_string(), origin.as_str().to_owned())
        };
        self.heard((node, peer), table).into_iter().map(|(key, told)| (wire(&key), told)).collect()
    }

    /// What another organisation may use changes. Where rules are all that changed, nothing goes that comes back.
    pub(crate) fn cuts(&mut self, node: usize, (peer, service): (&NodeName, &ServiceName), granted: bool) {
        let Some(cut) = &mut self.nodes[node].cut else { return };
        let pair = (peer.clone(), service.clone());
        if !granted {
            cut.insert(pair);
        } else if cut.contains(&pair) {
            self.violated(node, &format!("cut the flows of {peer} to {service}, which may go on"));
        }
    }

    /// What neighbours of another organisation with a session may use from now on, or no longer.
    pub(crate) fn granted(&self, node: usize, effects: &[Effect]) -> Vec<Granted> {
        let running = effects.iter().filter_map(|effect| match effect {
            Effect::Grant { peer, service, granted } => {
                let pair = (node, self.place(peer)?);
                let session = self.shadows.all.get(&pair)?.session?;
                Some(Granted { pair, session, service: service.clone(), granted: *granted })
            }
            _ => None,
        });
        running.collect()
    }

    /// A node has dealt with an event while its rules are not in force for all routes: what changes of that is as the rules of now
    /// have it.
    pub(crate) fn is_as_rules_are(&mut self, node: usize, changed: &[Granted]) {
        let Some(core) = self.nodes[node].core.as_ref().filter(|core| !core.is_ageing()) else { return };
        let mut table = None;
        let mut wrong = None;
        for Granted { pair, session, service, granted } in changed {
            let stays = self.shadows.all.get(pair).is_some_and(|shadow| shadow.session == Some(*session));
            let peer = self.nodes[pair.1].name();
            let now = self.nodes[node].grants.contains(&(peer.clone(), service.clone()));
            if !stays || now != *granted {
                continue;
            }
            let table = table.get_or_insert_with(|| self.made_of(node, &core.look(See)));
            let may = self.names_of(*pair, table).keys().any(|(name, _)| name == service.as_str());
            if may != *granted {
                let [what, rules] = if may { ["denies", "let out"] } else { ["grants", "keep in"] };
                wrong = Some(format!("{what} {peer} {service}, which the rules of now {rules}"));
            }
        }
        if let Some(what) = wrong {
            self.violated(node, &what);
        }
    }

    /// A node has dealt with an event: has it cut flows of somebody who is still there, although it has a way that the rules let out?
    pub(crate) fn is_rightly_denied(&mut self, node: usize, changed: Vec<Granted>) {
        for Granted { pair, session, service, .. } in changed.into_iter().filter(|changed| !changed.granted) {
            // Who has yet to hear the table may hear of the other way later.
            let flow = self
                .end_of(node, SessionId(session))
                .and_then(|(id, side)| Some((self.conns.get(&id)?, side)));
            if flow.is_none_or(|(conn, side)| !conn.flows[side].watch.complete) {
                continue;
            }
            let stays = self.shadows.all.get(&pair).is_some_and(|shadow| shadow.session == Some(session));
            let peer = self.nodes[pair.1].name().clone();
            let granted = self.nodes[node].grants.contains(&(peer.clone(), service.clone()));
            let has_way = self.nodes[node].forwards.contains_key(&service);
            if stays
                && !granted
                && has_way
                && self.to_tell(pair).iter().any(|(name, _)| name == service.as_str())
            {
                self.violated(node, &format!("cut the flows of {peer} to {service}, to which it has a way"));
            }
        }
    }
}
