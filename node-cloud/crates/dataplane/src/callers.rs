//! Who may come in at the mesh port. Each neighbour has a part of the port for itself, found by the server name that it asks
//! for, so that its connections can be ended without those of others. Neighbours that are not known to have a mesh port of
//! their own, and those beyond a limit, share one.

use std::collections::{BTreeMap, BTreeSet};

use catalyst_names::NodeName;

use crate::limits::Limits;
use crate::proto::{beginning, exactly, ext, rbac, state};
use crate::site::names;

/// What the serial number of a neighbour's certificate begins with, in hexadecimal digits: it stands for the one key that is
/// let in.
pub type KeyMark = String;

/// The mark, of the bytes that the serial number begins with.
#[must_use]
pub fn key_mark(prefix: &[u8]) -> KeyMark {
    prefix.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A neighbour, as somebody who calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// No other key is let in.
    pub key: Option<KeyMark>,
    /// It never calls, as far as is known: it needs no part for itself.
    pub silent: bool,
}

/// All neighbours.
#[derive(Debug, Default)]
pub(crate) struct Callers {
    known: BTreeMap<NodeName, Caller>,
    /// As Envoy was told: who has a part, and who shares one.
    told: Option<(BTreeSet<NodeName>, BTreeMap<NodeName, Caller>)>,
    changed: bool,
    moves: u64,
}

impl Callers {
    /// What is known of one; `None`: it is no neighbour.
    pub(crate) fn set(&mut self, peer: &NodeName, caller: Option<Caller>) {
        if self.known.get(peer) == caller.as_ref() {
            return;
        }
        self.changed = true;
        match caller {
            Some(caller) => self.known.insert(peer.clone(), caller),
            None => self.known.remove(peer),
        };
    }

    /// Whether there is anything to tell Envoy, which is told now.
    pub(crate) fn tell(&mut self) -> bool {
        if self.told.is_some() && !std::mem::take(&mut self.changed) {
            return false;
        }
        let alone: BTreeSet<NodeName> = self.with_own().map(|(peer, _)| peer.clone()).collect();
        let shared: BTreeMap<NodeName, Caller> =
            self.shared().map(|(peer, caller)| (peer.clone(), caller.clone())).collect();
        if let Some((was_alone, shared_it)) = &self.told {
            // Connections in the part that is shared do not tell whose they are. Somebody who has a part for himself from
            // now on may have come there before, too: he would be refused on those connections.
            let left = shared_it.iter().any(|(peer, caller)| shared.get(peer) != Some(caller));
            let comes = alone.iter().any(|peer| !was_alone.contains(peer));
            self.moves += u64::from(left || comes);
        }
        self.told = Some((alone, shared));
        true
    }

    /// How often somebody moved between the parts since Envoy was told first.
    pub(crate) fn moves(&self) -> u64 {
        self.moves
    }

    fn with_own(&self) -> impl Iterator<Item = (&NodeName, &Caller)> {
        self.known.iter().filter(|(_, caller)| !caller.silent).take(Limits::CALLERS)
    }

    /// Those with a part for themselves, and the one key of each.
    pub(crate) fn alone(&self) -> impl Iterator<Item = (&NodeName, Option<&KeyMark>)> {
        self.with_own().map(|(peer, caller)| (peer, caller.key.as_ref()))
    }

    fn shared(&self) -> impl Iterator<Item = (&NodeName, &Caller)> {
        let last = self.with_own().map(|(peer, _)| peer).nth(Limits::CALLERS - 1);
        self.known.iter().filter(move |(peer, of)| of.silent || last.is_some_and(|last| *peer > last))
    }

    /// The list of those who share a part.
    pub(crate) fn listed(&self) -> ext::filters::http::rbac::v3::Rbac {
        let rules = only(self.shared().map(|(peer, of)| caller(peer, of.key.as_ref())).collect());
        ext::filters::http::rbac::v3::Rbac { rules: Some(rules), ..Default::default() }
    }
}

/// A neighbour, by its certificate.
pub(crate) fn caller(peer: &NodeName, key: Option<&KeyMark>) -> rbac::Principal {
    use rbac::principal::{Identifier, Set};
    let is =
        |key, matches| rbac::Principal { identifier: Some(Identifier::FilterState(state(key, matches))) };
    let by_name = is(names::CALLER, exactly(&names::spiffe(peer)));
    let Some(key) = key else { return by_name };
    let ids = vec![by_name, is(names::SERIAL, beginning(key))];
    rbac::Principal { identifier: Some(Identifier::AndIds(Set { ids })) }
}

/// Lets these in and nobody else.
pub(crate) fn only(principals: Vec<rbac::Principal>) -> rbac::Rbac {
    use rbac::permission;
    // A policy needs a principal; without one nobody is let in.
    let policies = match principals.is_empty() {
        true => Default::default(),
        false => {
            let permissions = vec![rbac::Permission { rule: Some(permission::Rule::Any(true)) }];
            [("neighbours".to_owned(), rbac::Policy { permissions, principals, ..Default::default() })].into()
        }
    };
    rbac::Rbac { action: rbac::rbac::Action::Allow as i32, policies, ..Default::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(n: usize) -> NodeName {
        format!("n{n:04}.acme.example").parse().unwrap()
    }

    fn alone(callers: &Callers) -> Vec<String> {
        callers.alone().map(|(peer, _)| peer.to_string()).collect()
    }

    #[test]
    fn who_moves_between_the_parts_is_counted_once_envoy_was_told() {
        let mut callers = Callers::default();
        let told = |callers: &mut Callers| (callers.tell(), callers.shared().count(), callers.moves());
        (0..Limits::CALLERS).for_each(|n| callers.set(&peer(n), Some(Caller::default())));
        assert_eq!(told(&mut callers), (true, 0, 0));
        assert_eq!(alone(&callers).len(), Limits::CALLERS);
        // One too many joins the others.
        callers.set(&peer(9_000), Some(Caller::default()));
        assert_eq!(told(&mut callers), (true, 1, 0));
        let silent = Caller { silent: true, ..Caller::default() };
        callers.set(&peer(1), Some(silent.clone()));
        // The part that the silent one leaves is that of the other now.
        assert_eq!(told(&mut callers), (true, 1, 1));
        assert!(alone(&callers).contains(&peer(9_000).to_string()));
        callers.set(&peer(1), Some(silent));
        assert_eq!(told(&mut callers), (false, 1, 1));
        callers.set(&peer(0), None);
        assert_eq!(told(&mut callers), (true, 1, 1), "it had a part for itself");
        callers.set(&peer(1), None);
        assert_eq!(told(&mut callers), (true, 0, 2));
        callers.set(&peer(1), Some(Caller::default()));
        assert_eq!(told(&mut callers), (true, 0, 3), "it may have been there before");
    }
}
